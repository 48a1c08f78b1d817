"""Figures: images and texts before and after alignment, and gap against accuracy."""
