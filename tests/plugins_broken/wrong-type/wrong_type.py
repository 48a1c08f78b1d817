"""Its hook returns something else than specs."""

import gapbench


@gapbench.hookimpl
def gapbench_aligners():
    return [{"name": "wrong-type"}]
