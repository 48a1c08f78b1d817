"""It changes its input."""

import gapbench


class Aligner:
    def fit(self, data):
        return self

    def images(self, x):
        x -= x.mean(axis=0)
        return x

    def texts(self, t):
        return t


@gapbench.hookimpl
def gapbench_aligners():
    return [
        gapbench.AlignerSpec(
            name="mutates-input",
            factory="mutates_input:Aligner",
            summary="It changes its input",
            family="broken",
            needs=frozenset(),
            acts_on=gapbench.ActsOn.IMAGES,
        )
    ]
