"""It keeps gapbench's contract."""

import gapbench_transport

from gapbench.testing import parametrize_with_checks


@parametrize_with_checks(gapbench_transport)
def test_it_keeps_the_contract(check):
    check()
