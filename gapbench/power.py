"""Power: how small a difference a table could find."""

from __future__ import annotations

import math
from statistics import NormalDist, median
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gapbench.joint import Joint


def minimum_detectable_effect(
    errors: Sequence[float], n: int, m: int, binary: bool, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    r"""Return the smallest true difference to the baseline that a table finds with the given power.

    A normal test at the first and strictest step of Holm's correction finds

    .. math:: \delta = \left(z_{1 - \alpha / 2m} + z_{\text{power}}\right) \cdot \operatorname{median}(\text{errors})

    (Bloom 1995, Evaluation Review 19, 547). The exact McNemar test rejects nothing with fewer
    than k discordant pairs, the smallest k with :math:`2 \cdot 2^{-k} < \alpha / m`. A true difference :math:`\delta`
    of 0/1 outcomes is therefore never below :math:`k / n`, nor below the one that gives k discordant pairs with the
    wanted power where all of them go one way: :math:`P(\mathrm{Binomial}(n, \delta) \ge k) = I_\delta(k, n - k + 1)`.

    Parameters
    ----------
    errors
        Standard errors of the paired differences, one an aligner (`paired_error`). Zeros, of aligners that change
        nothing, tell nothing about noise and are left out.
    n
        Number of items.
    m
        Number of aligners that are compared with the baseline.
    binary
        Whether the outcomes are 0/1, so that the exact McNemar test is made.
    alpha, power
        Family-wise error rate, and the probability of finding the difference.

    Returns
    -------
    float or None
        In the unit of the errors; None where nothing can be said, or too few items to ever find anything.
    """
    if n < 1 or m < 1:
        return None
    fewest = math.floor(math.log2(2 * m / alpha)) + 1
    if fewest > n:
        return None
    known = [error for error in errors if 0 < error < math.inf]
    normal = NormalDist()
    effect = (normal.inv_cdf(1 - alpha / (2 * m)) + normal.inv_cdf(power)) * median(known) if known else None
    if not binary:
        return effect
    from scipy.special import betaincinv

    return max(effect or 0.0, fewest / n, float(betaincinv(fewest, n - fewest + 1, power)))


def detectable_over_seeds(parts: Sequence[Joint], level: float, power: float = 0.8) -> float | None:
    r"""Return the smallest true difference to the first row that tests of several seeds find with the given power.

    With few seeds, what a verdict needs, :math:`T_i = \sqrt{t_{n-1}^2 V_\text{items} + t_{S-1}^2 V_\text{fits}}`, itself
    differs much from row to row. The difference :math:`\delta` is therefore the one at which the mean over all rows of
    :math:`\Phi((\delta - T_i) / \sqrt{V_i})` is the power. Rows that never differ from the first tell nothing of noise
    and are left out.

    Parameters
    ----------
    parts
        Rows taken together, the baseline first in each.
    level
        At which a test is made.
    power
        Probability of finding the difference.

    Returns
    -------
    float or None
        In the unit of the values; None where no row is left.
    """
    pairs = [part.against_first(level) for part in parts]
    errors, needed = (np.concatenate([pair[k] for pair in pairs] or [np.zeros(0)]) for k in (0, 1))
    errors, needed = errors[errors > 0], needed[errors > 0]
    if not len(errors):
        return None
    from scipy.optimize import brentq
    from scipy.special import ndtr

    most = float((needed + 9 * errors).max())
    return float(brentq(lambda difference: float(ndtr((difference - needed) / errors).mean()) - power, 0.0, most))
