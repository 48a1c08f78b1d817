"""An example plugin for gapbench: move the images half of the way to the texts."""

import gapbench

GAPBENCH_CONTRACT = 2


class Halfway:
    """Add half of the gap to every image row: ``x' = x + (mean of texts - mean of images) / 2``.

    Texts stay as they are. Nothing is renormalised.
    """

    def fit(self, data):
        """Take both means; they are sums that all aligners share."""
        self.step = (data.moments.texts.mean - data.moments.images.mean) / 2
        return self

    def images(self, x):
        """Move image rows ``(N, d)``."""
        return (x + self.step).astype("float32")


@gapbench.hookimpl
def gapbench_aligners():
    """Register the aligner."""
    return [
        gapbench.AlignerSpec(
            name="halfway",
            factory="gapbench_example:Halfway",
            summary="moves the images half of the way to the texts",
            family="mean",
            needs=frozenset({gapbench.Need.UNPAIRED_IMAGES, gapbench.Need.UNPAIRED_TEXTS}),
            acts_on=gapbench.ActsOn.IMAGES,
        )
    ]
