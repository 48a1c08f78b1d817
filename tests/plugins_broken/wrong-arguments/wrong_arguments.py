"""Its hook takes an argument."""

import gapbench


@gapbench.hookimpl
def gapbench_aligners(config):
    return []
