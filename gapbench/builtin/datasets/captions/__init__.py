"""Pictures with captions, from the files in which people keep them: the family ``captions:PATH`` and the usual test sets."""

from gapbench.builtin.datasets.captions.dataset import CaptionFile

__all__ = ["CaptionFile"]
