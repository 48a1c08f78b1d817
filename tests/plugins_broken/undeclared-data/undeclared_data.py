"""It reads labels without declaring them."""

import gapbench


class Aligner:
    def fit(self, data):
        self.labels = data.labels
        return self

    def images(self, x):
        return x

    def texts(self, t):
        return t


@gapbench.hookimpl
def gapbench_aligners():
    return [
        gapbench.AlignerSpec(
            name="undeclared-data",
            factory="undeclared_data:Aligner",
            summary="It reads labels without declaring them",
            family="broken",
            needs=frozenset(),
            acts_on=gapbench.ActsOn.IMAGES,
        )
    ]
