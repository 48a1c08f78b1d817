"""Importing it ends the interpreter."""

import sys

sys.exit(7)
