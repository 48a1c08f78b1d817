"""Speaks a contract that is not written yet."""

import gapbench

GAPBENCH_CONTRACT = 99


@gapbench.hookimpl
def gapbench_aligners():
    return []
