"""It has the same aligner as another distribution."""

import gapbench


class Aligner:
    def fit(self, data):
        return self

    def images(self, x):
        return x


@gapbench.hookimpl
def gapbench_aligners():
    return [
        gapbench.AlignerSpec(
            name="clash",
            factory="clash_one:Aligner",
            summary="two distributions have it",
            family="broken",
            needs=frozenset(),
            acts_on=gapbench.ActsOn.IMAGES,
        )
    ]
