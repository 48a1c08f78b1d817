"""It keeps gapbench's contract."""

import gapbench_adapters

from gapbench.testing import parametrize_with_checks


@parametrize_with_checks(gapbench_adapters)
def test_it_keeps_the_contract(check):
    check()
