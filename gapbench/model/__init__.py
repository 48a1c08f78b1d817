"""What gapbench works with, typed: the record, the identity of the question that it answers, names and text."""
