"""Importing it raises."""

raise RuntimeError("no luck today")
