"""Simulate how well intervals and verdicts hold, for every kind of metric, and write the table of `how-it-works.md`.

    python docs/simulated_coverage.py             # a few minutes on one core; the same numbers each time
    python docs/simulated_coverage.py --tables 20 # a look, nothing is written

Each line draws tables in which no row truly differs: their true value is known, and every verdict is a false one.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gapbench.components import Measurement
from gapbench.joint import joint, p_of_all, quantile_of
from gapbench.stats import interval, median_interval, share_interval
from gapbench.verdicts import SIGNIFICANT, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = Path(__file__).parent / "how-it-works.md"
BEGIN, END = "<!-- coverage: made by docs/simulated_coverage.py -->", "<!-- end of coverage -->"

#: Tables of a line, and aligners of a table.
TABLES, ROWS = 400, (8, 45)

#: One table: for each row its measurements, one a seed.
Table = list[list[Measurement]]


@dataclass(frozen=True)
class Family:
    """One kind of metric in one setting: how a table is drawn, and the value that all of its rows truly have."""

    name: str
    setting: str
    draw: Callable[[np.random.Generator, int], Table]
    truth: float
    unit: str = ""
    shared: bool = True
    tested: bool = True


def measured(outcomes: np.ndarray) -> Measurement:
    """Return a mean over items."""
    return Measurement(value=float(outcomes.mean()), n=len(outcomes), outcomes=outcomes)


def latent(rng: np.random.Generator, rows: int, n: int, correlation: float = 0.8) -> np.ndarray:
    """``(rows, n)`` normal values of the same items, correlated between rows."""
    return math.sqrt(correlation) * rng.standard_normal(n) + math.sqrt(1 - correlation) * rng.standard_normal((rows, n))


def hits(n: int, share: float) -> Family:
    """Return 0/1 outcomes."""
    from scipy.stats import norm

    cut = norm.ppf(share)
    return Family(
        "count", f"{n} items, {share:.1%}", lambda rng, rows: [[measured(r < cut)] for r in latent(rng, rows, n)], share,
        "share",
    )  # fmt: skip


def captions(images: int, share: float, alike: float = 0.3, each: int = 5) -> Family:
    """Shares of several captions an image, which are right together: their chance belongs to the image."""
    from scipy.stats import beta, norm

    a, b = share * (1 - alike) / alike, (1 - share) * (1 - alike) / alike

    def draw(rng: np.random.Generator, rows: int) -> Table:
        chances = beta.ppf(norm.cdf(latent(rng, rows, images, 0.9)), a, b)
        return [[measured((rng.random((images, each)) < row[:, None]).mean(axis=1))] for row in chances]

    return Family("share of captions", f"{images} images of {each}, {share:.1%}", draw, share, "share")


def by_class(sizes: tuple[int, ...], share: float) -> Family:
    """Mean over classes of several sizes of the share that is right, as `mean-per-class-recall` measures it."""
    from types import SimpleNamespace

    from scipy.stats import norm

    from gapbench.builtin.metrics.tasks import MeanPerClassRecall

    labels, cut = np.repeat(np.arange(len(sizes)), sizes), norm.ppf(share)

    def one(right: np.ndarray) -> Measurement:
        answers = np.where(right, labels, -1)[:, None]
        return MeanPerClassRecall().measure(SimpleNamespace(labels=labels, top_classes=lambda _k: answers))

    def draw(rng: np.random.Generator, rows: int) -> Table:
        return [[one(row < cut)] for row in latent(rng, rows, len(labels))]

    setting = f"{len(sizes)} classes of {min(sizes)} to {max(sizes)}, {share:.1%}"
    return Family("mean over classes", setting, draw, share, "share")


def seeds_of_captions(images: int, number: int, fits: float, each: int = 5) -> Family:
    """Several seeds of shares of captions, of the same images; fits vary by so many errors of one seed's images."""
    from scipy.stats import norm

    spread, share = fits / math.sqrt(images), 0.8
    cut = norm.ppf(share) * math.sqrt(1 + spread**2)

    def draw(rng: np.random.Generator, rows: int) -> Table:
        items = rng.standard_normal((images, 1))
        table = []
        for _ in range(rows):
            row = []
            for _ in range(number):
                own = math.sqrt(0.8) * items + math.sqrt(0.2) * rng.standard_normal((images, each))
                found = (own + spread * rng.standard_normal() < cut).mean(axis=1)
                row.append(Measurement(value=float(found.mean()), n=images * each, outcomes=found))
            table.append(row)
        return table

    how = "little" if fits < 1 else "much"
    return Family(f"{number} seeds, captions", f"{images} images of {each}, fits vary {how}", draw, share, "share")


def edge(n: int, share: float) -> Family:
    """Means of outcomes between 0 and 1 of which nearly all are 1, such as reciprocal ranks."""
    from scipy.stats import norm

    cut = norm.ppf(share)

    def draw(rng: np.random.Generator, rows: int) -> Table:
        return [[measured(np.where(row < cut, 1.0, 0.5))] for row in latent(rng, rows, n)]

    return Family("mean of gains", f"{n} items, {share:.1%} of them 1", draw, 0.5 + share / 2, "ratio")


def real(n: int, kind: str) -> Family:
    """Return means of real outcomes."""
    shape = {"normal": lambda x: x, "lognormal": np.exp}[kind]
    truth = {"normal": 0.0, "lognormal": math.exp(0.5)}[kind]
    return Family(
        "mean", f"{n} items, {kind}", lambda rng, rows: [[measured(shape(r))] for r in latent(rng, rows, n)], truth
    )


def left_out(n: int, groups: int, kind: str) -> Family:
    """Return numbers that are no means: a ratio, and a standard deviation, by groups of items left out."""

    def draw(rng: np.random.Generator, rows: int) -> Table:
        group = rng.permutation(n) % groups
        inside = (group[:, None] == np.arange(groups)).astype(float)
        left = n - inside.sum(axis=0)
        table = []
        for one, other in zip(latent(rng, rows, n), latent(rng, rows, n), strict=True):
            if kind == "ratio":
                x, y = np.exp(0.5 * one), np.exp(0.5 * other)
                value, jackknife = x.sum() / y.sum(), (x.sum() - x @ inside) / (y.sum() - y @ inside)
            else:
                first, second = (one.sum() - one @ inside) / left, (one @ one - one**2 @ inside) / left
                value, jackknife = one.std(), np.sqrt(second - first**2)
            table.append([Measurement(value=float(value), n=n, jackknife=jackknife)])
        return table

    return Family("left out, " + kind, f"{n} items in {groups} groups", draw, 1.0)


def seeds(n: int, number: int, fits: float, *, shared: bool, kind: str = "hits") -> Family:
    """Return several seeds: of the same items, or each of a half; fits vary by so many errors of one seed's items."""
    from scipy.stats import norm

    spread = fits / math.sqrt(n)
    share = 0.8
    cut = norm.ppf(share) * math.sqrt(1 + spread**2)

    def draw(rng: np.random.Generator, rows: int) -> Table:
        size = n if shared else 2 * n
        items = rng.standard_normal(size)
        table = []
        for _ in range(rows):
            row = []
            for seed in range(number):
                own = (
                    math.sqrt(0.8) * items + math.sqrt(0.2) * rng.standard_normal(size) + spread * rng.standard_normal()
                )
                half = slice(None) if shared else np.random.default_rng([seed, size]).permutation(size)[:n]
                row.append(measured(own[half] < cut if kind == "hits" else own[half]))
            table.append(row)
        return table

    how = "the same items" if shared else "halves"
    return Family(
        f"{number} seeds", f"{n} {how}, fits {'vary little' if fits < 1 else 'vary much'}", draw,
        share if kind == "hits" else 0.0, "share" if kind == "hits" else "", shared=shared,
    )  # fmt: skip


def median(n: int) -> Family:
    """Return medians."""

    def draw(rng: np.random.Generator, rows: int) -> Table:
        found = []
        for _ in range(rows):
            values = rng.lognormal(sigma=2, size=n)
            found.append([Measurement(value=float(np.median(values)), n=n, ci95=median_interval(values))])
        return found

    return Family("median", f"{n} items", draw, 1.0, tested=False)


FAMILIES = (
    hits(50, 0.5), hits(200, 0.9), hits(200, 0.99), hits(1000, 0.97),
    captions(50, 0.98), captions(100, 0.995), captions(200, 0.6), captions(1000, 0.9),
    real(100, "normal"), real(1000, "normal"), real(300, "lognormal"), real(3000, "lognormal"),
    left_out(500, 25, "ratio"), left_out(500, 100, "ratio"), left_out(500, 25, "deviation"), left_out(200, 100, "deviation"),
    seeds(200, 4, 0.2, shared=True), seeds(200, 4, 3.0, shared=True), seeds(200, 2, 3.0, shared=True),
    seeds(200, 4, 0.2, shared=False), seeds(200, 4, 3.0, shared=False), seeds(500, 5, 1.5, shared=True, kind="real"),
    median(40),
    by_class((1, 2, 3) * 30, 0.8), by_class((5, 10, 15) * 7, 0.8), by_class((20, 50, 80) * 4, 0.9),
    seeds_of_captions(200, 2, 3.0), seeds_of_captions(200, 3, 3.0), edge(100, 0.99), edge(1000, 0.997),
)  # fmt: skip


def ends_of(family: Family, table: Table) -> Iterator[tuple[float, float]]:
    """Yield the intervals of a table's rows, as a leaderboard shows them."""
    if len(table[0]) == 1:
        for (one,) in table:
            ends = interval(one, family.unit)
            assert ends is not None
            yield ends
        return
    together = joint(table, shared=family.shared)
    assert together is not None
    for value, variance, width in zip(*(one.tolist() for one in (together.values, *together.reaches())), strict=True):
        n = len(together.outcomes[0][0])
        yield (
            share_interval(value, variance, n, quantile_of(width, variance, n))
            if family.unit in ("share", "ratio")
            else (value - width, value + width)
        )


def told_apart(family: Family, table: Table) -> bool:
    """Whether any pair of a table's rows is told apart; the first row is ``identity``."""
    values = np.array([np.mean([one.value for one in row]) for row in table])
    p = p_of_all(table, shared=family.shared)
    return bool((judge(values, p, np.ones(len(table), dtype=bool), 0).better < SIGNIFICANT).any())


def simulated(family: Family, tables: int) -> tuple[float, list[float]]:
    """Return the coverage of the intervals, and for each number of rows the share of tables with a false verdict."""
    rng = np.random.default_rng(FAMILIES.index(family))
    covered = [
        low - 1e-12 <= family.truth <= high + 1e-12
        for _ in range(10 * tables)
        for low, high in ends_of(family, family.draw(rng, 1))
    ]
    false = [
        float(np.mean([told_apart(family, family.draw(rng, rows + 1)) for _ in range(tables)]))
        if family.tested
        else math.nan
        for rows in ROWS
    ]
    return float(np.mean(covered)), false


def lines(tables: int) -> Iterator[str]:
    """Yield the table, line by line."""
    yield (
        "| metric | setting | intervals that hold | "
        + " | ".join(f"false verdict, {rows} aligners" for rows in ROWS)
        + " |"
    )
    yield "|---|---|--:|" + "--:|" * len(ROWS)
    for family in FAMILIES:
        covered, false = simulated(family, tables)
        cells = ["not tested" if math.isnan(one) else f"{one:.1%}" for one in false]
        line = f"| {family.name} | {family.setting} | {covered:.1%} | {' | '.join(cells)} |".replace("%", " %")
        sys.stderr.write(f"{line}\n")
        yield line


def main() -> None:
    """Simulate, and write the table into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=TABLES, metavar="N", help=f"tables of a line [{TABLES}]")
    tables = parser.parse_args().tables
    found = "\n".join(lines(tables))
    if tables == TABLES:
        text = PAGE.read_text(encoding="utf-8")
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n\n{found}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
