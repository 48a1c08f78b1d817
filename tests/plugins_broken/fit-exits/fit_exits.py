"""It ends the interpreter while it fits."""

import sys

import gapbench


class Aligner:
    def fit(self, data):
        sys.exit(9)

    def images(self, x):
        return x

    def texts(self, t):
        return t


@gapbench.hookimpl
def gapbench_aligners():
    return [
        gapbench.AlignerSpec(
            name="fit-exits",
            factory="fit_exits:Aligner",
            summary="It ends the interpreter while it fits",
            family="broken",
            needs=frozenset(),
            acts_on=gapbench.ActsOn.IMAGES,
        )
    ]
