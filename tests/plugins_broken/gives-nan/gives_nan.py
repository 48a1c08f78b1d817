"""It returns NaN."""

import numpy as np

import gapbench


class Aligner:
    def fit(self, data):
        return self

    def images(self, x):
        return x * np.float32("nan")

    def texts(self, t):
        return t


@gapbench.hookimpl
def gapbench_aligners():
    return [
        gapbench.AlignerSpec(
            name="gives-nan",
            factory="gives_nan:Aligner",
            summary="It returns NaN",
            family="broken",
            needs=frozenset(),
            acts_on=gapbench.ActsOn.IMAGES,
        )
    ]
