"""Nothing is wrong with it."""

import gapbench


class Aligner:
    def fit(self, data):
        return self

    def images(self, x):
        return x

    def texts(self, t):
        return t


@gapbench.hookimpl
def gapbench_aligners():
    return [
        gapbench.AlignerSpec(
            name="healthy",
            factory="healthy:Aligner",
            summary="Nothing is wrong with it",
            family="broken",
            needs=frozenset(),
            acts_on=gapbench.ActsOn.IMAGES,
        )
    ]
