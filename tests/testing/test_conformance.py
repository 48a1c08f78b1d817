"""The conformance suite passes what keeps the contract, and catches what does not."""

import sys
import types

import numpy as np
import pytest
from PIL import Image

import gapbench
from gapbench import builtin
from gapbench.errors import GapbenchError, UsageError
from gapbench.host.registry import Kind, Origin
from gapbench.host.validate import components_of, hooks_of
from gapbench.testing import check_component, checks_of, no_global_changes, parametrize_with_checks, two_cones
from gapbench.testing.checks import Check, run_check, subject_of
from gapbench.testing.toys import ToyEncoder

COMPONENTS = [
    component
    for component in components_of(hooks_of(builtin), Origin("gapbench", "", "", "gapbench.builtin"))
    if not component.spec.argument
]


def bad(outcomes):
    return {outcome.check.name: outcome.reason for outcome in outcomes if outcome.status == "failed"}


def assert_passes(component, checks):
    subject = subject_of(component)
    outcomes = [run_check(one, subject) for one in checks]
    assert not bad(outcomes)
    if component.spec.name != "captions":  # it stands for a dataset's own, and writes none
        assert any(outcome.status == "passed" for outcome in outcomes)


def in_processes(one):
    return one.run.__module__ == "gapbench.testing.process_checks"


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: f"{component.kind}-{component.spec.name}")
def test_every_built_in_passes(component):
    checks = checks_of(component.kind)
    assert component.spec.expected_failures.keys() <= {one.name for one in checks}
    assert_passes(component, [one for one in checks if not in_processes(one)])


@pytest.mark.parametrize(
    "component",
    [
        pytest.param(
            component,
            id=f"{component.kind}-{component.spec.name}",
            marks=[]
            if component.spec.name in ("mini-clip", "digits", "photo", "identity", "top1")
            else pytest.mark.slow,
        )
        for component in COMPONENTS
    ],
)
def test_every_built_in_passes_in_processes_of_its_own(component):
    """One of each kind, and all others with the slow tests: two interpreters are started for each."""
    checks = [one for one in checks_of(component.kind) if in_processes(one)]
    assert len(checks) == 2
    assert_passes(component, checks)


@pytest.fixture
def files(tmp_path):
    """Give what families need: pictures in folders, captions, prompts, embeddings."""
    rng = np.random.default_rng(0)
    lines = ["image,caption"]
    for name in ("cats", "dogs"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(4):
            path = tmp_path / "pictures" / name / f"{number}.png"
            Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(path)
            lines.append(f"pictures/{name}/{number}.png,one of the {name} number {number}")
    (tmp_path / "captions.csv").write_text("\n".join(lines))
    (tmp_path / "prompts.txt").write_text("a {}\na drawing of a {}\n")
    cones = two_cones()
    np.savez(tmp_path / "file.npz", image=cones.images, text=cones.texts, pair=np.arange(80))
    return {
        "folder": tmp_path / "pictures",
        "captions": tmp_path / "captions.csv",
        "file": tmp_path / "prompts.txt",
        "embeddings": tmp_path / "file.npz",
        "template": "a sketch of a {}",
    }


@pytest.mark.parametrize(
    "kind_name", ["dataset folder", "dataset captions", "dataset embeddings", "prompts file", "prompts template"]
)
def test_every_family_passes(files, kind_name):
    kind, name = kind_name.split()
    components = components_of(hooks_of(builtin), Origin("gapbench", "", "", "gapbench.builtin"))
    (component,) = [c for c in components if c.kind == kind and c.spec.name == name]
    outcomes = list(check_component(subject_of(component, str(files[name]))))
    assert not bad(outcomes)
    assert sum(outcome.status == "passed" for outcome in outcomes) >= 2


class Right:
    """A correct aligner: centres both sides and turns the images by a rotation learnt on pairs."""

    def __init__(self, *, pull=0.0, renormalise=True):
        self.pull = pull
        self.renormalise = renormalise

    def fit(self, data):
        pairs = data.moments.pairs
        cross = pairs.cross / pairs.n - np.outer(pairs.images.mean, pairs.texts.mean)
        left, _, right = np.linalg.svd(cross)
        self.turn = (1 - self.pull) * left @ right + self.pull * np.eye(data.dim)
        self.means = pairs.images.mean, pairs.texts.mean
        return self

    def images(self, x):
        return self.finished((x - self.means[0]) @ self.turn)

    def texts(self, t):
        return self.finished(t - self.means[1])

    def finished(self, rows):
        length = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) if self.renormalise else 1
        return (rows / length).astype(np.float32)

    def notes(self):
        return {"pull": self.pull}


def spec(factory="Right", **changes):
    fields = {
        "name": "right",
        "factory": f"planted:{factory}",
        "summary": "a rotation of centred rows",
        "family": "paired linear",
        "needs": frozenset({gapbench.Need.PAIRS}),
        "acts_on": gapbench.ActsOn.BOTH,
        "params": {
            "pull": gapbench.Param(default=0.0, low=0.0, high=1.0, doc="share of the identity"),
            "renormalise": gapbench.Param(default=True, doc="normalise the result"),
        },
    }
    return gapbench.AlignerSpec(**{**fields, **changes})


@pytest.fixture
def planted(monkeypatch):
    """Check an aligner whose class is given; the two checks in other processes cannot see it and are left out."""
    module = types.ModuleType("planted")
    monkeypatch.setitem(sys.modules, "planted", module)

    def run(cls, **changes):
        module.Right = cls
        (component,) = components_of({Kind.ALIGNER: lambda: [spec(**changes)]}, Origin("planted", "", "", "planted"))
        subject = subject_of(component)
        return [
            run_check(one, subject)
            for one in checks_of(Kind.ALIGNER)
            if one.run.__module__.endswith(("aligner_checks", "parameter_checks"))
        ]

    return run


def test_a_correct_aligner_passes(planted):
    outcomes = planted(Right)
    assert not bad(outcomes)
    assert sum(outcome.status == "passed" for outcome in outcomes) >= 20


class ChangesItsInput(Right):
    def images(self, x):
        x.flags.writeable = True
        x -= self.means[0]
        return super().images(x)


class GivesNaN(Right):
    def images(self, x):
        rows = super().images(x)
        rows[0] = np.nan
        return rows


class LooksAtNeighbours(Right):
    def images(self, x):
        return super().images(x - x.mean(axis=0))


class DrawsGlobally(Right):
    def fit(self, data):
        super().fit(data)
        self.turn = self.turn + 0.1 * np.random.standard_normal(self.turn.shape)
        return self


class ReadsInSecret(Right):
    def fit(self, data):
        super().fit(data)
        self.turn = self.turn * (1 + data.images.std())
        return self


class IgnoresPairs(Right):
    def fit(self, data):
        super().fit(data)
        self.turn = np.eye(data.dim)
        return self


class KeepsAFunction(Right):
    def fit(self, data):
        super().fit(data)
        self.hook = lambda rows: rows
        return self


class SetsThreads(Right):
    def fit(self, data):
        import os

        os.environ["OMP_NUM_THREADS"] = "3"
        np.seterr(all="ignore")
        return super().fit(data)


class LacksAParameter(Right):
    def __init__(self, *, pull=0.0):
        super().__init__(pull=pull)


class DependsOnTheGenerator(Right):
    def fit(self, data):
        super().fit(data)
        self.turn = self.turn + 0.1 * data.rng.standard_normal(self.turn.shape)
        return self


class FailsOnLowRank(Right):
    def fit(self, data):
        np.linalg.inv(data.moments.pairs.images.covariance)
        return super().fit(data)


class NotesAnArray(Right):
    def notes(self):
        return {"turn": self.turn}


class WidensOneSide(Right):
    def images(self, x):
        return np.hstack([super().images(x)] * 2)


class DependsOnTheOrder(Right):
    def fit(self, data):
        super().fit(data)
        self.means = data.pairs[0][0], self.means[1]
        return self


FAULTS = {
    ChangesItsInput: "gives finite float rows of the right shape",
    GivesNaN: "gives finite float rows of the right shape",
    WidensOneSide: "gives finite float rows of the right shape",
    LooksAtNeighbours: "maps row by row",
    DrawsGlobally: "does not draw from global generators",
    DependsOnTheGenerator: "is the same for another generator unless stochastic",
    ReadsInSecret: "reads only what it declares",
    IgnoresPairs: "learns from pairs what shuffled pairs do not tell",
    KeepsAFunction: "can be kept in a file",
    SetsThreads: "leaves global state alone",
    LacksAParameter: "takes its parameters by the command line's syntax",
    FailsOnLowRank: "works on rank-deficient rows",
    NotesAnArray: "notes what JSON can hold",
    DependsOnTheOrder: "does not depend on the order of the fit split",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_caught(planted, fault, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with np.errstate():
        found = bad(planted(fault))
    assert FAULTS[fault] in found, found


class CutsInSecret(ToyEncoder):
    """Reads four words, and does not say so."""

    def __init__(self, context=None):
        super().__init__()

    def encode_texts(self, texts):
        return super().encode_texts([" ".join(text.split()[:4]) for text in texts])


class SaysWhatItCuts(CutsInSecret):
    words = 9

    def encode_texts(self, texts):
        return ToyEncoder.encode_texts(self, [" ".join(text.split()[: self.words]) for text in texts])

    def cut_texts(self, texts):
        return [" ".join(text.split()[: self.words]) if len(text.split()) > self.words else "" for text in texts]


class SaysThatItCutsAll(SaysWhatItCuts):
    def cut_texts(self, texts):
        return ["the same"] * len(texts)


class SaysTooLittle(SaysWhatItCuts):
    def cut_texts(self, texts):
        return [""]


@pytest.mark.parametrize(
    ("encoder", "reason"),
    [
        (SaysWhatItCuts, None),
        (CutsInSecret, "does not say so"),
        (SaysThatItCutsAll, "short texts"),
        (SaysTooLittle, "1 strings for"),
    ],
)
def test_an_encoder_that_cuts_texts_must_say_so(encoder, reason, monkeypatch):
    monkeypatch.setitem(sys.modules, "cutters", types.SimpleNamespace(make=encoder))
    made = gapbench.EncoderSpec(name="cutter", factory="cutters:make", summary="s")
    (component,) = components_of({Kind.ENCODER: lambda: [made]}, Origin("planted", "", "", "planted"))
    (rule,) = [one for one in checks_of(Kind.ENCODER) if one.name == "tells which texts it cuts"]
    found = run_check(rule, subject_of(component))
    assert (found.status == "passed") if reason is None else reason in found.reason


def test_a_side_that_is_not_declared_must_not_change(planted):
    found = bad(planted(Right, acts_on=gapbench.ActsOn.IMAGES))
    assert "acts on images" in found["changes only what it says"]


def test_an_expected_failure_needs_to_fail_and_its_check_to_exist(planted):
    named = {"learns from pairs what shuffled pairs do not tell": "it only centres"}
    outcomes = {outcome.check.name: outcome for outcome in planted(IgnoresPairs, expected_failures=named)}
    assert outcomes[next(iter(named))].status == "expected failure"
    assert outcomes[next(iter(named))].reason == "it only centres"
    assert "take that out" in bad(planted(Right, expected_failures=named))[next(iter(named))]
    (component,) = components_of(
        {Kind.ALIGNER: lambda: [spec(expected_failures={"flies": "no wings"})]}, Origin("planted", "", "", "planted")
    )
    with pytest.raises(GapbenchError, match="flies"):
        list(check_component(subject_of(component)))


def test_nothing_to_check_is_an_error():
    family = types.SimpleNamespace(
        __name__="family",
        gapbench_prompts=gapbench.hookimpl(
            lambda: [gapbench.PromptSpec(name="p", factory="m:p", summary="s", argument="TEXT")]
        ),
    )
    with pytest.raises(UsageError, match="no test would run"):
        parametrize_with_checks(family)
    with pytest.raises(UsageError, match="no component q"):
        parametrize_with_checks(family, arguments={"q": "x"})


def test_a_check_that_raises_anything_has_failed():
    def breaks(_):
        raise ZeroDivisionError("one over nothing")

    outcome = run_check(Check("breaks", breaks), subject_of(COMPONENTS[0]))
    assert outcome.status == "failed"
    assert "ZeroDivisionError" in outcome.reason


def test_the_guard_names_what_has_changed(monkeypatch):
    monkeypatch.setenv("GAPBENCH_TOY", "1")
    with pytest.raises(AssertionError, match="GAPBENCH_TOY"), no_global_changes():
        monkeypatch.delenv("GAPBENCH_TOY")
    state = np.random.get_state()
    with pytest.raises(AssertionError, match="NumPy's global random state"), no_global_changes():
        np.random.random()
    np.random.set_state(state)


def test_two_cones_are_what_they_say():
    cones = two_cones(noise=0.0)
    np.testing.assert_allclose(cones.texts, cones.images @ cones.rotation + cones.translation, atol=1e-5)
    np.testing.assert_allclose(cones.rotation @ cones.rotation.T, np.eye(7), atol=1e-12)
    assert {c.kind for c in COMPONENTS} == set(Kind)


def test_fixtures_are_there(
    gapbench_store, toy_encoder, toy_dataset, toy_cones, no_global_changes, check_gapbench_component
):
    split = toy_dataset.split("test")
    rows = toy_encoder.encode_images(split.images)
    texts = toy_encoder.encode_texts([captions[0] for captions in split.captions])
    assert (rows @ texts.T).shape == (16, 16)
    assert len(toy_cones(n=12).images) == 12
    assert not gapbench_store.exists()
