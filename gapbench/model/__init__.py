"""What gapbench works with, typed: options and requests, studies, records and their identity, names and text."""
