"""Its spec names no implementation."""

import gapbench


@gapbench.hookimpl
def gapbench_aligners():
    return [
        gapbench.AlignerSpec(
            name="bad-spec",
            factory="not a reference",
            summary="a factory that cannot be read",
            family="broken",
            needs=frozenset(),
            acts_on=gapbench.ActsOn.IMAGES,
        )
    ]
