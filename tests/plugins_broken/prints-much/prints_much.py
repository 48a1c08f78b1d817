"""It prints a megabyte; its numbers are good."""

import gapbench


class Aligner:
    def fit(self, data):
        print("x" * 2**20)
        return self

    def images(self, x):
        return x

    def texts(self, t):
        return t


@gapbench.hookimpl
def gapbench_aligners():
    return [
        gapbench.AlignerSpec(
            name="prints-much",
            factory="prints_much:Aligner",
            summary="It prints a megabyte; its numbers are good",
            family="broken",
            needs=frozenset(),
            acts_on=gapbench.ActsOn.IMAGES,
        )
    ]
