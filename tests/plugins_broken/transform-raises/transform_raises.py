"""It raises while it maps."""

import gapbench


class Aligner:
    def fit(self, data):
        return self

    def images(self, x):
        raise IndexError("lost the way")

    def texts(self, t):
        return t


@gapbench.hookimpl
def gapbench_aligners():
    return [
        gapbench.AlignerSpec(
            name="transform-raises",
            factory="transform_raises:Aligner",
            summary="It raises while it maps",
            family="broken",
            needs=frozenset(),
            acts_on=gapbench.ActsOn.IMAGES,
        )
    ]
