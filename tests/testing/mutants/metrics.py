"""Metrics with one fault each."""

import contextlib
import random
import socket
import threading
import time

import numpy as np
from testing.mutants import Plants

import gapbench
from gapbench.components import Measurement
from gapbench.host.registry import Kind
from gapbench.specs import Better, MetricFamily, MetricSpec, Need

FINITE, TESTS, BELONG = (
    "gives a finite number",
    "gives what tests and intervals need",
    "gives outcomes that belong to the items",
)
WIDTH, TWICE, ORDER = (
    "gives an interval as wide as its value varies", "measures the same twice", "does not depend on the order of items",
)  # fmt: skip
INPUTS, READS, NOTICES = "leaves its input unchanged", "leaves what it reads as it was", "notices a destroyed space"
SMALL, GLOBAL, ANEW = "measures small data, or refuses clearly", "leaves global state alone", "measures anew each time"
SEES, CLASSES, PLAIN = (
    "sees what it measures",
    "does not depend on the order of the classes",
    "gives a plain measurement",
)
NETWORK, CLOCK, FILES, PROCESS = (
    "uses no network", "does not depend on the clock", "leaves no files behind", "is the same in another process",
)  # fmt: skip


def made(**fields):
    usual = {"summary": "s", "unit": "share", "better": Better.HIGHER, "family": MetricFamily.TASK}
    return MetricSpec(**{**usual, "needs": frozenset({Need.LABELS}), **fields})


plant = Plants(Kind.METRIC, __name__, made)


@plant()
class Accuracy:
    """Correct: share of images whose best class is theirs."""

    def hits(self, data):
        return data.top_classes(1)[:, 0] == data.labels

    def measure(self, data):
        hits = self.hits(data)
        return Measurement(value=float(hits.mean()), n=len(hits), outcomes=hits)


@plant()
class Likeness:
    """Correct: mean cosine of pairs, a real outcome for each."""

    spec = {"unit": "cosine", "family": MetricFamily.GAP, "needs": frozenset({Need.PAIRS})}

    def measure(self, data):
        found = np.concatenate([np.einsum("nd,nd->n", x, t) for x, t in data.pair_rows()]).astype(np.float64)
        return Measurement(value=float(found.mean()), n=len(found), outcomes=found)


@plant()
class Spread:
    """Correct: length of the mean image, with leave-one-group-out values."""

    spec = {"unit": "distance", "better": Better.LOWER, "family": MetricFamily.GAP, "needs": frozenset()}

    def values(self, data):
        sums = data.gap_sums()
        total, count = sums.image_sum.sum(axis=0), sums.image_count.sum()
        left = (total - sums.image_sum) / (count - sums.image_count)[:, None]
        return float(np.linalg.norm(total / count)), np.linalg.norm(left, axis=1), int(count)

    def measure(self, data):
        value, jackknife, n = self.values(data)
        return Measurement(value=value, n=n, jackknife=jackknife)


# -- what it gives ------------------------------------------------------------------------------------------------------


@plant("gives NaN", FINITE)
class GivesNan(Accuracy):
    def measure(self, data):
        return Measurement(value=float("nan"), n=data.n_images)


@plant("gives per cent", FINITE)
class GivesPerCent(Accuracy):
    def measure(self, data):
        hits = self.hits(data)
        return Measurement(value=100 * float(hits.mean()), n=len(hits), ci95=(0.0, 100.0))


@plant("gives a number alone", FINITE)
class GivesANumber(Accuracy):
    def measure(self, data):
        return float(self.hits(data).mean())


@plant("its value is not the mean of its outcomes", FINITE)
class AnotherMean(Accuracy):
    def measure(self, data):
        hits = self.hits(data)
        return Measurement(value=float(hits.mean()) * 0.9, n=len(hits), outcomes=hits)


@plant("counts each item twice", FINITE)
class CountsTwice(Accuracy):
    def measure(self, data):
        hits = np.repeat(self.hits(data), 3)
        return Measurement(value=float(hits.mean()), n=len(hits), outcomes=hits)


@plant("says that it rests on other items than it has outcomes", FINITE)
class WrongN(Accuracy):
    def measure(self, data):
        hits = self.hits(data)
        return Measurement(value=float(hits.mean()), n=len(hits) // 2, outcomes=hits)


@plant("n is no whole number", FINITE)
class HalfN(Accuracy):
    def measure(self, data):
        hits = self.hits(data)
        return Measurement(value=float(hits.mean()), n=len(hits) / 1.0, outcomes=hits)


@plant("says that it rests on more items than there are", PLAIN)
class ManyN(Spread):
    def measure(self, data):
        value, jackknife, n = self.values(data)
        return Measurement(value=value, n=n**3, jackknife=jackknife)


@plant("outcomes are a list", FINITE)
class ListOutcomes(Accuracy):
    def measure(self, data):
        hits = self.hits(data)
        return Measurement(value=float(hits.mean()), n=len(hits), outcomes=hits.tolist())


@plant("outcomes are a table", FINITE)
class TableOutcomes(Accuracy):
    def measure(self, data):
        hits = self.hits(data)
        return Measurement(value=float(hits.mean()), n=len(hits), outcomes=np.stack([hits, hits], axis=1))


@plant("an outcome is infinite", FINITE)
class InfiniteOutcome(Likeness):
    def measure(self, data):
        found = super().measure(data)
        outcomes = found.outcomes.copy()
        outcomes[0] = np.inf
        return Measurement(value=found.value, n=found.n, outcomes=outcomes)


@plant("nothing can be tested", TESTS)
class NothingToTest(Accuracy):
    def measure(self, data):
        return Measurement(value=float(self.hits(data).mean()), n=data.n_images)


@plant("its interval misses its value", FINITE)
class IntervalElsewhere(Accuracy):
    def measure(self, data):
        value = float(self.hits(data).mean())
        return Measurement(value=value, n=data.n_images, ci95=(value + 0.01, min(1.0, value + 0.1)))


@plant("its interval has no width", WIDTH)
class NoWidth(Spread):
    def measure(self, data):
        value, _, n = self.values(data)
        return Measurement(value=value, n=n, ci95=(value, value))


@plant("leave-one-group-out values are all the same", WIDTH)
class SameLeftOut(Spread):
    def measure(self, data):
        value, jackknife, n = self.values(data)
        return Measurement(value=value, n=n, jackknife=np.full_like(jackknife, value))


@plant("leave-one-group-out values are of the group alone", WIDTH)
class GroupAlone(Spread):
    def measure(self, data):
        value, _, n = self.values(data)
        sums = data.gap_sums()
        alone = np.linalg.norm(sums.image_sum / sums.image_count[:, None], axis=1)
        return Measurement(value=value, n=n, jackknife=5 * alone)


@plant("one leave-one-group-out value", FINITE)
class OneLeftOut(Spread):
    def measure(self, data):
        value, jackknife, n = self.values(data)
        return Measurement(value=value, n=n, jackknife=jackknife[:1])


@plant("both outcomes and leave-one-group-out values", PLAIN)
class Both(Accuracy):
    def measure(self, data):
        hits = self.hits(data)
        return Measurement(value=float(hits.mean()), n=len(hits), outcomes=hits, jackknife=np.array([0.4, 0.6]))


# -- whose outcomes -----------------------------------------------------------------------------------------------------


@plant("sorts its outcomes", BELONG)
class SortsOutcomes(Likeness):
    spec = {**Likeness.spec, "needs": frozenset({Need.LABELS})}

    def measure(self, data):
        found = super().measure(data)
        return Measurement(value=found.value, n=found.n, outcomes=np.sort(found.outcomes))


@plant("shuffles its outcomes", BELONG, TWICE)
class ShufflesOutcomes(Likeness):
    spec = {**Likeness.spec, "needs": frozenset({Need.LABELS})}

    def measure(self, data):
        found = super().measure(data)
        return Measurement(value=found.value, n=found.n, outcomes=data.rng.permutation(found.outcomes))


@plant("gives each item the outcome of its neighbour", BELONG)
class NeighboursOutcomes(Likeness):
    spec = {**Likeness.spec, "needs": frozenset({Need.LABELS})}

    def measure(self, data):
        found = super().measure(data)
        return Measurement(value=found.value, n=found.n, outcomes=np.roll(found.outcomes, 1))


# -- what it depends on -------------------------------------------------------------------------------------------------


@plant("measures the first 50 items", ORDER)
class FirstFifty(Accuracy):
    def hits(self, data):
        return super().hits(data)[:50]


@plant("weighs items by their place", ORDER)
class WeighsByPlace(Likeness):
    def measure(self, data):
        found = super().measure(data)
        outcomes = found.outcomes * np.linspace(0, 2, found.n)
        return Measurement(value=float(outcomes.mean()) / 3, n=found.n, outcomes=outcomes / 3)


@plant("compares each item with the next", ORDER)
class NextItem(Spread):
    def measure(self, data):
        rows = data.image_rows(np.arange(data.n_images)).astype(np.float64)
        found = np.linalg.norm(np.diff(rows, axis=0), axis=1)
        return Measurement(value=float(found.mean()), n=len(found), outcomes=found)


@plant("draws items by itself", TWICE, ORDER)
class DrawsItems(Accuracy):
    def hits(self, data):
        return super().hits(data)[np.random.default_rng().permutation(data.n_images)[:40]]


@plant("draws from NumPy's global generator", TWICE, GLOBAL)
class DrawsGlobally(Accuracy):
    def hits(self, data):
        return super().hits(data) & (np.random.random(data.n_images) > 0.1)


@plant("seeds Python's generator", GLOBAL)
class Seeds(Accuracy):
    def hits(self, data):
        random.seed(3)
        return super().hits(data)


@plant("counts its measurements", TWICE, ANEW)
class Counts(Likeness):
    calls = 0

    def measure(self, data):
        type(self).calls += 1
        found = super().measure(data)
        outcomes = found.outcomes / (1 + 0.001 * self.calls)
        return Measurement(value=float(outcomes.mean()), n=found.n, outcomes=outcomes)


@plant("keeps what it measured by the number of items", ANEW, SEES)
class KeepsByCount(Accuracy):
    kept = {}

    def measure(self, data):
        return self.kept.setdefault((data.n_images, len(data.classes)), super().measure(data))


@plant("an instance keeps its first measurement", ANEW)
class KeepsFirst(Accuracy):
    kept = None

    def measure(self, data):
        self.kept = self.kept or super().measure(data)
        return self.kept


@plant("the same whatever the data are", SEES)
class Constant(Accuracy):
    def hits(self, data):
        return np.ones(data.n_images, dtype=bool)


@plant("looks at labels alone", SEES, NOTICES)
class LabelsAlone(Accuracy):
    def hits(self, data):
        return data.labels == data.labels


@plant("better is worse", NOTICES)
class Reversed(Accuracy):
    def hits(self, data):
        return ~super().hits(data)


@plant("says that lower is better", NOTICES, better=Better.LOWER)
class WrongWay(Accuracy):
    pass


@plant("counts the first class alone", CLASSES)
class FirstClass(Accuracy):
    def hits(self, data):
        return super().hits(data) & (data.labels == 0)


@plant("weighs classes by their number", CLASSES)
class ClassNumbers(Likeness):
    spec = {**Likeness.spec, "needs": frozenset({Need.LABELS})}

    def measure(self, data):
        found = super().measure(data)
        outcomes = found.outcomes * data.labels / len(data.classes)
        return Measurement(value=float(outcomes.mean()), n=found.n, outcomes=outcomes)


@plant("ties go to the class with the larger number", CLASSES)
class NearNumbers(Accuracy):
    def hits(self, data):
        return np.abs(data.top_classes(1)[:, 0] - data.labels) <= 1


# -- what it changes ----------------------------------------------------------------------------------------------------


@plant("normalises texts where they lie", READS, INPUTS)
class ChangesTexts(Accuracy):
    def measure(self, data):
        found = super().measure(data)
        data.texts.flags.writeable = True
        data.texts[:] = data.texts / 2
        return found


@plant("centres images where they lie", READS, INPUTS)
class ChangesImages(Accuracy):
    def measure(self, data):
        found = super().measure(data)
        for _, rows in data.image_blocks():
            rows.flags.writeable = True
            np.subtract(rows, rows.mean(axis=0), out=rows)
        return found


@plant("writes into the labels", READS)
class ChangesLabels(Accuracy):
    def measure(self, data):
        found = super().measure(data)
        data.labels[:] = 0
        return found


@plant("writes into the sample", READS)
class ChangesSample(Spread):
    spec = {**Spread.spec, "needs": frozenset({Need.PAIRS})}

    def measure(self, data):
        found = super().measure(data)
        data.sample.images[:] = 0
        return found


@plant("writes into the similarities", READS)
class ChangesSimilarity(Spread):
    spec = {**Spread.spec, "needs": frozenset({Need.PAIRS})}

    def measure(self, data):
        found = super().measure(data)
        data.sample.similarity("images", "texts")[:] = 0
        return found


@plant("writes into the predicted classes", READS)
class ChangesTop(Accuracy):
    def measure(self, data):
        found = super().measure(data)
        data.top_classes(1)[:] = 0
        return found


@plant("leaves a thread behind", GLOBAL)
class LeavesThread(Accuracy):
    def measure(self, data):
        threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
        return super().measure(data)


@plant("silences NumPy for all", GLOBAL)
class SilencesNumpy(Accuracy):
    def measure(self, data):
        np.seterr(all="ignore" if np.geterr()["over"] != "ignore" else "raise")
        return super().measure(data)


@plant("asks a server", NETWORK)
class AsksNetwork(Accuracy):
    def measure(self, data):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), 0.05)
        return super().measure(data)


@plant("writes a picture into the working folder", FILES)
class WritesHere(Accuracy):
    def measure(self, data):
        np.save("confusion.npy", data.top_classes(1))
        return super().measure(data)


@plant("depends on the time", CLOCK)
class DependsOnTime(Likeness):
    def measure(self, data):
        found = super().measure(data)
        outcomes = found.outcomes / (1 + int(time.time()) % 3)
        return Measurement(value=float(outcomes.mean()), n=found.n, outcomes=outcomes)


@plant("fails on small data without a reason", SMALL, raises=True)
class FailsOnSmall(Accuracy):
    def measure(self, data):
        data.labels[5]
        return super().measure(data)


@plant("NaN on small data", SMALL)
class NanOnSmall(Likeness):
    def measure(self, data):
        found = super().measure(data)
        return found if found.n > 3 else Measurement(value=float("nan"), n=found.n)


@plant("goes over a set", PROCESS)
class GoesOverASet(Likeness):
    def measure(self, data):
        found = super().measure(data)
        first = next(iter({f"name {number}" for number in range(50)}))
        outcomes = found.outcomes * (1 - int(first.split()[1]) / 1000)
        return Measurement(value=float(outcomes.mean()), n=found.n, outcomes=outcomes)


@gapbench.hookimpl
def gapbench_metrics():
    """Register all of them, for a process of their own."""
    return [one.spec for one in plant.all]
