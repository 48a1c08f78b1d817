"""Its implementation needs a package that is not installed."""

import gapbench


@gapbench.hookimpl
def gapbench_aligners():
    return [
        gapbench.AlignerSpec(
            name="extra-missing",
            factory="extra_missing_implementation:Aligner",
            summary="needs a package that nobody has",
            family="broken",
            needs=frozenset(),
            acts_on=gapbench.ActsOn.IMAGES,
        )
    ]
