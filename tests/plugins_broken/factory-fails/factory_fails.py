"""Its constructor raises."""

import gapbench


class Aligner:
    def __init__(self):
        raise ValueError("cannot be built")

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
            name="factory-fails",
            factory="factory_fails:Aligner",
            summary="Its constructor raises",
            family="broken",
            needs=frozenset(),
            acts_on=gapbench.ActsOn.IMAGES,
        )
    ]
