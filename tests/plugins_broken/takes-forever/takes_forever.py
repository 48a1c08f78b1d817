"""It never ends its fit."""

import time

import gapbench


class Aligner:
    def fit(self, data):
        while True:
            time.sleep(0.01)

    def images(self, x):
        return x

    def texts(self, t):
        return t


@gapbench.hookimpl
def gapbench_aligners():
    return [
        gapbench.AlignerSpec(
            name="takes-forever",
            factory="takes_forever:Aligner",
            summary="It never ends its fit",
            family="broken",
            needs=frozenset(),
            acts_on=gapbench.ActsOn.IMAGES,
        )
    ]
