"""It takes the name of a built-in."""

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
            name="identity",
            factory="takes_builtin_name:Aligner",
            summary="not the identity",
            family="broken",
            needs=frozenset(),
            acts_on=gapbench.ActsOn.IMAGES,
        )
    ]
