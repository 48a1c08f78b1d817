"""Aligners with one fault each."""

import contextlib
import functools
import os
import random
import socket
import threading
import time
import warnings

import numpy as np
from testing.mutants import Plants

import gapbench
from gapbench.host.registry import Kind
from gapbench.specs import ActsOn, AlignerSpec, Need, Param

SAME = "is the same for the same generator"
ROWS = "maps row by row"
MANY = "maps many rows as it maps few"
SHAPES = "gives finite float rows of the right shape"
ANEW = "fits anew each time"
LEARNS = "learns from what it declares"
ORDER = "does not depend on the order of the fit split"
ORDER_MANY = "does not depend on the order of many rows"
CLOCK = "does not depend on the clock"
GLOBAL = "leaves global state alone"
OWN = "does not draw from global generators"
VALUES = "works at every value that it allows"
DIFFERENCE = "makes a difference by each parameter"
GIVEN = "changes nothing that it was given"
INPUTS = "leaves its input unchanged"
ACTS = "changes only what it says"
NOTES = "notes what JSON can hold"
CLASSES = "does not depend on the order of the classes"
LOW = "works on rank-deficient rows"
FEW = "works with fewer rows than dimensions"
ONE = "works on one row, or refuses clearly"
ONE_CLASS = "works on one class, or refuses clearly"
TWO = "works in two dimensions"
DUPLICATES = "works on duplicate rows"
STATE = "can be kept in a file"
SECRET = "reads only what it declares"
PARAMS = "takes its parameters by the command line's syntax"
PROCESS = "is the same in another process"
NETWORK, FILES = "uses no network", "leaves no files behind"
PAIRS = "learns from pairs what shuffled pairs do not tell"


def made(**fields):
    usual = {"summary": "s", "family": "mean", "needs": frozenset({Need.UNPAIRED_IMAGES, Need.UNPAIRED_TEXTS})}
    return AlignerSpec(**{**usual, "acts_on": ActsOn.IMAGES, **fields})


plant = Plants(Kind.ALIGNER, __name__, made)
AMOUNT = {"amount": Param(default=0.5, low=0.0, high=1.0, grid=(0.25, 0.5, 1.0), doc="share")}


@plant()
class Shift:
    """Correct: moves the images towards the texts."""

    spec = {"params": AMOUNT}

    def __init__(self, *, amount=0.5):
        self.amount = amount

    def fit(self, data):
        self.step = (self.amount * (data.moments.texts.mean - data.moments.images.mean)).astype(np.float32)
        return self

    def images(self, x):
        return x + self.step


@plant()
class Turn:
    """Correct: the rotation from images to texts, learnt on pairs."""

    spec = {"needs": frozenset({Need.PAIRS}), "family": "paired linear", "acts_on": ActsOn.BOTH}

    def fit(self, data):
        pairs = data.moments.pairs
        self.means = pairs.images.mean, pairs.texts.mean
        left, _, right = np.linalg.svd(pairs.cross / pairs.n - np.outer(*self.means))
        self.turn = left @ right
        return self

    def images(self, x):
        return ((x - self.means[0]) @ self.turn).astype(np.float32)

    def texts(self, t):
        return (t - self.means[1]).astype(np.float32)


@plant()
class Bias:
    """Correct: texts that are near to all images are held back."""

    spec = {"acts_on": ActsOn.SCORES, "needs": frozenset({Need.UNPAIRED_IMAGES})}

    def fit(self, data):
        self.mean = data.moments.images.mean.astype(np.float32)
        return self

    def text_bias(self, t):
        return -t @ self.mean


@plant()
class Scores:
    """Correct: scores of no vector form."""

    spec = {"acts_on": ActsOn.SCORES, "needs": frozenset({Need.UNPAIRED_TEXTS})}

    def fit(self, data):
        self.mean = data.moments.texts.mean.astype(np.float32)
        return self

    def scores(self, x, t):
        return x @ t.T - np.abs(x @ self.mean)[:, None]


@plant()
class Prototypes:
    """Correct: adds the likeness to the mean image of each class."""

    spec = {"acts_on": ActsOn.SCORES, "needs": frozenset({Need.LABELS, Need.CLASS_TEXTS}), "family": "supervised"}

    def fit(self, data):
        classes = data.moments.classes
        self.means = (classes.sums / np.maximum(classes.counts, 1)[:, None]).astype(np.float32)
        self.texts_of = data.class_texts
        return self

    def scores(self, x, t):
        owner = (t @ self.texts_of.T).argmax(axis=1)
        return x @ t.T + 0.1 * x @ self.means[owner].T


@plant()
class Drawn:
    """Correct: a step of random direction, and said to be so."""

    spec = {"stochastic": True}

    def fit(self, data):
        self.step = data.rng.standard_normal(data.dim).astype(np.float32) * np.float32(data.moments.texts.mean[0])
        return self

    def images(self, x):
        return x + self.step


@plant()
class Trained:
    """Correct: a linear map that is trained with torch.optim."""

    spec = {"needs": frozenset({Need.PAIRS}), "family": "paired linear"}

    def fit(self, data):
        import torch

        pairs = data.moments.pairs
        cross, second = (torch.tensor(each / pairs.n) for each in (pairs.cross.T, pairs.images.second))
        weight = torch.eye(data.dim, dtype=torch.float64, requires_grad=True)
        steps = torch.optim.Adam([weight], lr=0.02)
        for _ in range(40):
            steps.zero_grad()
            loss = (weight @ second @ weight.T).diagonal().sum() - 2 * (weight * cross).sum()
            loss.backward()
            steps.step()
        self.weight = weight.detach().numpy().astype(np.float32)
        return self

    def images(self, x):
        return x @ self.weight.T


# -- maps -----------------------------------------------------------------------------------------------------------


@plant("maps rows otherwise where a call has more than 1000", MANY)
class WrongAbove1000(Shift):
    def images(self, x):
        return super().images(x) + np.float32(0.01 if len(x) > 1000 else 0)


@plant("loses the step from row 1024 on", MANY)
class OneBatchOnly(Shift):
    def images(self, x):
        return np.concatenate([super().images(x[:1024]), x[1024:]])


@plant("leaves out the last batch that is not whole", MANY)
class LastBatchForgotten(Shift):
    def images(self, x):
        found, whole = np.array(x), len(x) // 64 * 64
        found[: whole or len(x)] += self.step
        return found


@plant("takes rows to lie in memory one after another", MANY)
class MemoryLayout(Shift):
    def images(self, x):
        return np.frombuffer(x.tobytes("A"), dtype=np.float32).reshape(x.shape) + self.step


@plant("subtracts the mean of the batch", ROWS)
class LooksAtNeighbours(Shift):
    def images(self, x):
        return super().images(x - x.mean(axis=0))


@plant("keeps a running mean of what it has mapped", ROWS)
class RunningMean(Shift):
    seen = 0.0

    def images(self, x):
        self.seen = 0.9 * self.seen + 0.1 * float(x.mean())
        return super().images(x) + np.float32(self.seen)


@plant("adds the number of the row", ROWS)
class NumbersRows(Shift):
    def images(self, x):
        return super().images(x) + np.arange(len(x), dtype=np.float32)[:, None] / 100


@plant("scales by the longest row of the batch", ROWS)
class LongestRow(Shift):
    def images(self, x):
        moved = super().images(x)
        return moved / np.linalg.norm(moved, axis=1).max()


@plant("draws noise while it maps", ROWS, SAME)
class NoiseInMaps(Shift):
    def images(self, x):
        return super().images(x) + np.random.default_rng().standard_normal(x.shape).astype(np.float32) / 50


@plant("gives NaN in one row", SHAPES)
class NanRow(Shift):
    def images(self, x):
        found = super().images(x)
        found[0] = np.nan
        return found


@plant("gives more dimensions on one side", SHAPES)
class WidensOneSide(Shift):
    def images(self, x):
        return np.hstack([super().images(x)] * 2)


@plant("drops a row", SHAPES)
class DropsARow(Shift):
    def images(self, x):
        return super().images(x)[:-1] if len(x) > 1 else super().images(x)


@plant("gives whole numbers", SHAPES)
class WholeNumbers(Shift):
    def images(self, x):
        return np.round(100 * super().images(x)).astype(np.int64)


@plant("gives a list", SHAPES)
class GivesAList(Shift):
    def images(self, x):
        return super().images(x).tolist()


@plant("gives one dimension", SHAPES)
class Flat(Shift):
    def images(self, x):
        return super().images(x).ravel()


@plant("writes into the rows that it maps", INPUTS, SHAPES)
class WritesItsInput(Shift):
    def images(self, x):
        x = x.base if x.base is not None else x
        x.flags.writeable = True
        x += self.step
        return np.array(x)


@plant("says that it acts on images, and changes texts", ACTS)
class ChangesTheOtherSide(Shift):
    def texts(self, t):
        return t - self.step


@plant("says that it acts on both sides, and changes nothing", ACTS, acts_on=ActsOn.BOTH)
class ChangesNothing(Shift):
    def images(self, x):
        return x


@plant("says that it acts on texts alone, and changes images", ACTS, acts_on=ActsOn.TEXTS)
class WrongSide(Shift):
    pass


# -- scores ---------------------------------------------------------------------------------------------------------


@plant("subtracts the mean over the queries", ROWS, SHAPES)
class ScoresOverQueries(Scores):
    def scores(self, x, t):
        found = super().scores(x, t)
        return found - found.mean(axis=0)


@plant("a bias that depends on the other texts", ROWS, SHAPES)
class BiasOverTexts(Bias):
    def text_bias(self, t):
        return super().text_bias(t) / np.abs(super().text_bias(t)).sum()


@plant("a bias that is NaN", SHAPES)
class BiasNan(Bias):
    def text_bias(self, t):
        return super().text_bias(t) * np.float32(np.nan)


@plant("one bias too few", SHAPES)
class BiasTooShort(Bias):
    def text_bias(self, t):
        return super().text_bias(t)[1:]


@plant("scores that are transposed", SHAPES)
class ScoresTransposed(Scores):
    def scores(self, x, t):
        return super().scores(x, t).T


@plant("infinite scores", SHAPES)
class ScoresInfinite(Scores):
    def scores(self, x, t):
        found = super().scores(x, t)
        found[found > found.mean()] = np.inf
        return found


@plant("a bias of zero", ACTS)
class BiasZero(Bias):
    def text_bias(self, t):
        return np.zeros(len(t), np.float32)


@plant("a bias by the place of a text", ROWS, SHAPES)
class BiasByPlace(Bias):
    def text_bias(self, t):
        return np.linspace(0, 1, len(t), dtype=np.float32)


# -- fits: what they read and keep --------------------------------------------------------------------------------------


@plant("keeps what it fitted first in a variable of its class", LEARNS, ANEW)
class ClassCache(Shift):
    kept = {}

    def fit(self, data):
        if data.dim not in self.kept:
            self.kept[data.dim] = super().fit(data).step
        self.step = self.kept[data.dim]
        return self


@plant("an instance keeps its first fit", ANEW)
class InstanceCache(Shift):
    step = None

    def fit(self, data):
        return self if self.step is not None else super().fit(data)


@plant("keeps fits by the number of rows", LEARNS, ANEW)
class CacheByCount(Shift):
    kept = {}

    def fit(self, data):
        self.step = self.kept.setdefault((data.dim, len(data.images)), super().fit(data).step)
        return self


@plant("adds up over fits of one instance", ANEW)
class AddsUp(Shift):
    total = 0.0

    def fit(self, data):
        super().fit(data)
        self.total = self.step = self.total + self.step
        return self


@plant("counts fits of its class", SAME, ANEW)
class CountsFits(Shift):
    fits = 0

    def fit(self, data):
        type(self).fits += 1
        super().fit(data)
        self.step = self.step * (1 + 0.01 * self.fits)
        return self


@plant("learns nothing of what it declares", LEARNS)
class LearnsNothing(Shift):
    def fit(self, data):
        self.step = np.full(data.dim, 0.1, np.float32) * self.amount
        return self


@plant("fits on the first 1000 rows", ORDER_MANY)
class FirstThousand(Shift):
    def fit(self, data):
        self.step = self.amount * (data.texts[:1000].mean(axis=0) - data.images[:1000].mean(axis=0))
        return self


@plant("fits on every second row above 2000", ORDER_MANY)
class EverySecond(Shift):
    def fit(self, data):
        images = data.images[::2] if len(data.images) > 2000 else data.images
        self.step = self.amount * (data.moments.texts.mean - images.mean(axis=0)).astype(np.float32)
        return self


@plant("takes the first image for the mean", ORDER)
class FirstRow(Shift):
    def fit(self, data):
        super().fit(data)
        self.step = self.step + 0.1 * data.images[0]
        return self


@plant("weighs rows by their place", ORDER)
class WeighsByPlace(Shift):
    def fit(self, data):
        weights = np.linspace(0, 2, len(data.images), dtype=np.float32)[:, None]
        self.step = self.amount * (data.moments.texts.mean - (weights * data.images).mean(axis=0)).astype(np.float32)
        return self


@plant("pairs images and texts by their place", ORDER, SECRET)
class PairsByPlace(Turn):
    spec = {**Turn.spec, "needs": frozenset({Need.UNPAIRED_IMAGES, Need.UNPAIRED_TEXTS}), "family": "mean"}

    def fit(self, data):
        n = min(len(data.images), len(data.texts))
        x, t = data.images[:n].astype(np.float64), data.texts[:n].astype(np.float64)
        self.means = x.mean(axis=0), t.mean(axis=0)
        left, _, right = np.linalg.svd((x - self.means[0]).T @ (t - self.means[1]) / n)
        self.turn = left @ right
        return self


@plant("reads images that it does not declare", SECRET, needs=frozenset({Need.PAIRS}))
class ReadsImages(Shift):
    pass


@plant(
    "reads labels that it does not declare",
    SECRET,
    ACTS,
    SHAPES,
    needs=frozenset({Need.CLASS_TEXTS}),
    acts_on=ActsOn.SCORES,
)
class ReadsLabels(Prototypes):
    pass


@plant("claims to need pairs, and uses the means alone", PAIRS)
class IgnoresPairs(Turn):
    def fit(self, data):
        super().fit(data)
        self.turn = np.eye(data.dim)
        return self


@plant("writes over the rows that it was given", GIVEN)
class ChangesRows(Shift):
    def fit(self, data):
        super().fit(data)
        rows = data.images
        rows = rows.base if rows.base is not None else rows
        rows.flags.writeable = True
        rows *= 2
        return self


@plant("writes over a mean that it was given", GIVEN)
class ChangesMean(Shift):
    def fit(self, data):
        super().fit(data)
        mean = data.moments.images.mean
        mean.flags.writeable = True
        mean -= mean
        return self


@plant("writes over the moments of pairs", GIVEN)
class ChangesCross(Turn):
    def fit(self, data):
        super().fit(data)
        cross = data.moments.pairs.cross
        cross = cross.base if cross.base is not None else cross
        cross.flags.writeable = True
        cross[:] = 0
        return self


@plant("writes over labels", GIVEN)
class ChangesLabels(Prototypes):
    def fit(self, data):
        super().fit(data)
        labels = data.labels
        labels = labels.base if labels.base is not None else labels
        labels.flags.writeable = True
        labels[:] = 0
        return self


@plant("weighs classes by their number", CLASSES)
class ClassNumbers(Prototypes):
    def fit(self, data):
        super().fit(data)
        self.means = self.means * (1 + np.arange(len(self.means), dtype=np.float32))[:, None]
        return self


@plant("leaves the first class out", CLASSES)
class FirstClass(Prototypes):
    def fit(self, data):
        super().fit(data)
        self.means[0] = 0
        return self


# -- chance, time, place ------------------------------------------------------------------------------------------------


@plant("depends on the second", CLOCK)
class ClockSeconds(Shift):
    def fit(self, data):
        super().fit(data)
        self.step = self.step * (1 + int(time.time()) % 7)
        return self


@plant("stops after so much time", CLOCK)
class ClockMonotonic(Shift):
    def fit(self, data):
        super().fit(data)
        self.step = self.step * np.float32(1 if int(time.monotonic()) % 2 else 1.5)
        return self


@plant("depends on the month", CLOCK)
class ClockMonth(Shift):
    def fit(self, data):
        super().fit(data)
        self.step = self.step * np.float32(1 + int(time.time() // 2_592_000) % 5)
        return self


@plant("draws from NumPy's global generator", OWN, SAME)
class DrawsGlobally(Shift):
    def fit(self, data):
        super().fit(data)
        self.step = self.step + 0.01 * np.random.standard_normal(data.dim).astype(np.float32)
        return self


@plant("draws from Python's global generator", OWN, SAME)
class DrawsFromPython(Shift):
    def fit(self, data):
        super().fit(data)
        self.step = self.step * np.float32(1 + random.random() / 10)
        return self


@plant("draws from a generator without a seed", SAME)
class DrawsUnseeded(Shift):
    def fit(self, data):
        super().fit(data)
        self.step = self.step + 0.01 * np.random.default_rng().standard_normal(data.dim).astype(np.float32)
        return self


@plant("seeds NumPy's global generator", GLOBAL)
class SeedsGlobally(Shift):
    def fit(self, data):
        np.random.seed(0)
        return super().fit(data)


@plant("seeds torch's global generator", GLOBAL)
class SeedsTorch(Shift):
    def fit(self, data):
        import torch

        torch.manual_seed(int(self.amount * 1000) + 17)
        return super().fit(data)


@plant("depends on the generator, and does not say so", "is the same for another generator unless stochastic")
class DrawsUndeclared(Shift):
    def fit(self, data):
        super().fit(data)
        self.step = self.step + 0.01 * data.rng.standard_normal(data.dim).astype(np.float32)
        return self


@plant("goes over a set", PROCESS)
class GoesOverASet(Shift):
    def fit(self, data):
        super().fit(data)
        names = {f"name {number}" for number in range(50)}
        self.step = self.step * np.float32(1 + len(next(iter(names))) / 10 + int(next(iter(names)).split()[1]) / 100)
        return self


@plant("depends on the hash of a string", PROCESS)
class HashesStrings(Shift):
    def fit(self, data):
        super().fit(data)
        self.step = self.step * np.float32(1 + hash("a salt") % 97 / 100)
        return self


@plant("sets an environment variable", GLOBAL)
class SetsEnvironment(Shift):
    def fit(self, data):
        os.environ["A_SWITCH_OF_MINE"] = str(self.amount)
        return super().fit(data)


@plant("silences NumPy for all", GLOBAL)
class SilencesNumpy(Shift):
    def fit(self, data):
        np.seterr(all="ignore" if np.geterr()["over"] != "ignore" else "raise")
        return super().fit(data)


@plant("goes into another folder", GLOBAL)
class ChangesFolder(Shift):
    def fit(self, data):
        os.chdir("/" if os.getcwd() != "/" else "/tmp")
        return super().fit(data)


@plant("leaves a thread behind", GLOBAL)
class LeavesThread(Shift):
    def fit(self, data):
        threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
        return super().fit(data)


@plant("asks a server", NETWORK)
class AsksNetwork(Shift):
    def fit(self, data):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), 0.05)
        return super().fit(data)


@plant("looks up a name", NETWORK)
class LooksUp(Shift):
    def fit(self, data):
        with contextlib.suppress(OSError):
            socket.getaddrinfo("example.org", 80)
        return super().fit(data)


@plant("writes a log into the working folder", FILES)
class WritesALog(Shift):
    def fit(self, data):
        with open("my.log", "a") as file:
            file.write("fitted\n")
        return super().fit(data)


# -- odd data -------------------------------------------------------------------------------------------------------


@plant("divides by the spread of each dimension", LOW)
class DividesBySpread(Shift):
    def fit(self, data):
        super().fit(data)
        with np.errstate(all="ignore"):
            self.step = self.step / data.images.std(axis=0)
        return self


@plant("inverts a covariance", LOW, FEW, raises=True)
class InvertsCovariance(Shift):
    def fit(self, data):
        super().fit(data)
        self.step = (np.linalg.inv(data.moments.images.covariance) @ self.step / 100).astype(np.float32)
        return self


@plant("wants more rows than dimensions", FEW, raises=True)
class WantsRows(Shift):
    def fit(self, data):
        np.linalg.cholesky(data.moments.images.covariance + 1e-12 * np.eye(data.dim))
        assert len(data.images) > data.dim
        return super().fit(data)


@plant("wants two rows, and does not say so", ONE, raises=True)
class WantsTwoRows(Shift):
    def fit(self, data):
        data.images[1]
        return super().fit(data)


@plant("wants two rows, and says too little", ONE)
class SaysTooLittle(Shift):
    def fit(self, data):
        if len(data.images) < 2:
            raise gapbench.GapbenchError("bad data")
        return super().fit(data)


@plant("wants two classes, and does not say so", ONE_CLASS, raises=True)
class WantsTwoClasses(Prototypes):
    def fit(self, data):
        data.class_texts[1]
        return super().fit(data)


@plant("wants three dimensions", TWO, raises=True)
class WantsDimensions(Shift):
    def fit(self, data):
        data.images[:, 2]
        return super().fit(data)


@plant("wants rows that differ", DUPLICATES, raises=True)
class WantsDifferentRows(Shift):
    def fit(self, data):
        if len(np.unique(data.images, axis=0)) < len(data.images):
            raise ValueError("duplicates")
        return super().fit(data)


@plant("warns where a column is constant", LOW, raises=True)
class Warns(Shift):
    def fit(self, data):
        if (data.images.std(axis=0) < 1e-6).any():
            warnings.warn("a constant column", stacklevel=1)
        return super().fit(data)


# -- parameters, notes, state -------------------------------------------------------------------------------------------


@plant("gives NaN at a value of its own grid", VALUES)
class NanOnItsGrid(Shift):
    def images(self, x):
        with np.errstate(all="ignore"):
            return (np.asarray(x + self.step) / np.float32(1 - self.amount)).astype(np.float32)


@plant("fails at the low end of its range", VALUES, raises=True)
class FailsAtItsLowEnd(Shift):
    def fit(self, data):
        1 / self.amount
        return super().fit(data)


@plant("a parameter changes nothing", DIFFERENCE)
class ParameterIgnored(Shift):
    def fit(self, data):
        self.amount = 0.5
        return super().fit(data)


@plant(
    "one of two parameters changes nothing",
    DIFFERENCE,
    params={**AMOUNT, "center": Param(default=False, doc="nothing comes of it")},
)
class SecondParameterIgnored(Shift):
    def __init__(self, *, amount=0.5, center=False):
        super().__init__(amount=amount)
        self.center = center


@plant("lacks a parameter that its spec has", PARAMS, params={**AMOUNT, "more": Param(default=1, doc="missing")})
class LacksAParameter(Shift):
    pass


@plant(
    "fails on one of its choices",
    VALUES,
    params={"mode": Param(default="a", choices=("a", "b"), doc="which")},
    raises=True,
)
class FailsOnAChoice(Shift):
    def __init__(self, *, mode="a"):
        super().__init__(amount={"a": 0.5}.get(mode, 0.7))
        self.mode = mode

    def fit(self, data):
        {"a": 1}[self.mode]
        return super().fit(data)


@plant("notes an array", NOTES)
class NotesAnArray(Shift):
    def notes(self):
        return {"step": self.step}


@plant("notes NaN", NOTES)
class NotesNan(Shift):
    def notes(self):
        return {"step": float("nan")}


@plant("notes a list", NOTES)
class NotesAList(Shift):
    def notes(self):
        return [1, 2]


@plant("notes what only a fit on many rows has", NOTES, ONE, SHAPES, raises=True)
class NotesFail(Shift):
    def notes(self):
        return {"missing": self.missing}


@plant("keeps a function", STATE)
class KeepsAFunction(Shift):
    def fit(self, data):
        super().fit(data)
        step = self.step
        self.move = lambda rows: rows + step
        return self

    def images(self, x):
        return self.move(x)


@plant("keeps a partial", STATE)
class KeepsAPartial(Shift):
    def fit(self, data):
        super().fit(data)
        self.move = functools.partial(np.add, self.step)
        return self

    def images(self, x):
        return self.move(x)


@plant("keeps its fit in its module", STATE, ANEW, "fits anew each time")
class KeepsElsewhere(Shift):
    def fit(self, data):
        global _STEP  # noqa: PLW0603 - the fault
        super().fit(data)
        _STEP = self.step
        del self.step
        return self

    def images(self, x):
        return x + _STEP


_STEP = np.float32(0)


@gapbench.hookimpl
def gapbench_aligners():
    """Register all of them, for a process of their own."""
    return [one.spec for one in plant.all]
