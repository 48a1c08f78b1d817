"""It reads moments without declaring them."""

import gapbench


class Aligner:
    def fit(self, data):
        self.mean = data.moments.images.mean
        return self

    def images(self, x):
        return x

    def texts(self, t):
        return t


@gapbench.hookimpl
def gapbench_aligners():
    return [
        gapbench.AlignerSpec(
            name="undeclared-moments",
            factory="undeclared_moments:Aligner",
            summary="It reads moments without declaring them",
            family="broken",
            needs=frozenset(),
            acts_on=gapbench.ActsOn.IMAGES,
        )
    ]
