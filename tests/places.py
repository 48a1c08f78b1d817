"""Where data lie that tests may find beside this checkout, and skip without."""

from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared" / "data"

#: 500 pairs of COCO val2017 by CLIP ViT-B/16, published with "Mind the Gap" (Liang et al., 2022).
CLIP = SHARED / "mind_the_gap_clip.npz"
