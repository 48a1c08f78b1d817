"""It keeps gapbench's contract."""

import gapbench_hubness

from gapbench.testing import parametrize_with_checks


@parametrize_with_checks(gapbench_hubness)
def test_it_keeps_the_contract(check):
    check()
