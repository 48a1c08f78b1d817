"""It raises while it fits."""

import gapbench


class Aligner:
    def fit(self, data):
        raise ZeroDivisionError("one over nothing")

    def images(self, x):
        return x

    def texts(self, t):
        return t


@gapbench.hookimpl
def gapbench_aligners():
    return [
        gapbench.AlignerSpec(
            name="fit-raises",
            factory="fit_raises:Aligner",
            summary="It raises while it fits",
            family="broken",
            needs=frozenset(),
            acts_on=gapbench.ActsOn.IMAGES,
        )
    ]
