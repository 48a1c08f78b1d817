"""Its hook has a name that does not exist."""

import gapbench


@gapbench.hookimpl
def gapbench_aligner():
    return []
