"""Its hook raises."""

import gapbench


@gapbench.hookimpl
def gapbench_aligners():
    raise KeyError("nothing here")
