"""What gapbench works with, typed and without any work of its own: names and text so far."""
