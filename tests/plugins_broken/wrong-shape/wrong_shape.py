"""It loses a row."""

import gapbench


class Aligner:
    def fit(self, data):
        return self

    def images(self, x):
        return x[:-1]

    def texts(self, t):
        return t


@gapbench.hookimpl
def gapbench_aligners():
    return [
        gapbench.AlignerSpec(
            name="wrong-shape",
            factory="wrong_shape:Aligner",
            summary="It loses a row",
            family="broken",
            needs=frozenset(),
            acts_on=gapbench.ActsOn.IMAGES,
        )
    ]
