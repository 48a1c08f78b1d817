"""Runs that ask the same at the same time, and what a process may not carry from one run into the next."""

import multiprocessing
from pathlib import Path

import msgspec
import numpy as np
import pytest
from records import hits, other_code, record, run

import gapbench
from gapbench.model.identity import sealed
from gapbench.results import journal
from gapbench.results.runlog import RunLog

ENCODER = """
import numpy as np
import gapbench
from gapbench.testing import ToyEncoder


class Encoder(ToyEncoder):
    def encode_images(self, batch):
        rows = super().encode_images(batch)
        return rows  # EDIT


@gapbench.hookimpl
def gapbench_encoders():
    return [gapbench.EncoderSpec(name="edited-encoder", factory="edited_encoder:Encoder", summary="toy")]
"""


def embeddings(path):
    rng = np.random.default_rng(0)
    arrays = {"image": rng.normal(size=(80, 6)), "text": rng.normal(size=(3, 6))}
    np.savez(path, **{name: a.astype(np.float32) for name, a in arrays.items()}, label=np.arange(80) % 3)
    return f"embeddings:{path}"


def test_another_runs_answer_by_the_same_code_is_not_written_again(tmp_path):
    path = journal.run_file(tmp_path)
    mine = RunLog(path)
    draft, content = record("a", hits(0.5))
    draft = sealed(draft)
    run(tmp_path, [(draft, content)])
    assert mine.answered(draft, ["top1"])
    assert not mine.answered(draft, ["top1", "another"])
    mine.append(msgspec.structs.replace(draft, created_utc=""), content)
    assert len(journal.read(path)) == 1
    assert [stored.record.label for stored in mine.records] == ["a"]


@pytest.mark.parametrize("changes", [{"code": other_code()}, {"seed": 1}, {"status": "error", "reason": "x"}])
def test_what_is_another_answer_is_kept(tmp_path, changes):
    path = journal.run_file(tmp_path)
    mine = RunLog(path)
    run(tmp_path, [record("a", hits(0.5))])
    draft, content = record("a", hits(0.5), **changes)
    mine.append(sealed(draft), content)
    assert len(journal.read(path)) == 2


def test_own_records_are_not_taken_for_those_of_others(tmp_path):
    mine = RunLog(journal.run_file(tmp_path))
    draft, content = record("a", hits(0.5))
    draft = sealed(draft)
    mine.append(draft, content)
    assert not mine.answered(draft, ["top1"])
    mine.append(draft, content)
    assert len(mine.records) == len(journal.read(mine.path)) == 2


def _go(start, data, out):
    start.wait()
    aligners = ["identity", "mean-center", "procrustes", "gap-shift", "z-score"]
    gapbench.run(datasets=data, aligners=aligners, metrics=["top1", "centroid-l2"], out=out)


def test_the_same_run_three_times_at_once_leaves_each_cell_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    data = embeddings(tmp_path / "e.npz")
    running = [context.Process(target=_go, args=(start, data, str(tmp_path / "out"))) for _ in range(3)]
    for process in running:
        process.start()
    start.set()
    for process in running:
        process.join(120)
        assert process.exitcode == 0
    found = [stored.record.label for stored in journal.read_folder(tmp_path / "out")]
    assert sorted(found) == ["gap-shift", "identity", "mean-center", "procrustes", "z-score"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_rows_of_an_encoder_that_was_edited_are_not_carried_into_the_next_run(tmp_path, monkeypatch, jobs):
    plugin = tmp_path / f"edited_encoder_{jobs}.py"
    chosen = {"encoders": "edited-encoder", "datasets": "color-digits", "prompts": "plain", "metrics": ["centroid-l2"]}
    chosen |= {"aligners": ["identity", "mean-center", "z-score"], "protocol": "in-sample", "fit_size": 100}
    chosen |= {"plugins": plugin, "jobs": jobs}
    text = ENCODER.replace("edited_encoder:", f"edited_encoder_{jobs}:")

    def values(text, cache):
        monkeypatch.setenv("GAPBENCH_CACHE", str(tmp_path / cache))
        Path(plugin).write_text(text)
        return [one.metrics["centroid-l2"].value for one in gapbench.run(**chosen).records]

    before = values(text, "one")
    with pytest.warns(gapbench.errors.GapbenchWarning, match="code .*changed"):
        after = values(text.replace("return rows  # EDIT", "return rows[:, ::-1] + np.float32(1)"), "one")
    assert after != before
    assert after == values(plugin.read_text(), "two")


def test_what_an_object_returns_is_in_no_file_and_is_never_reused(tmp_path):
    class Plugin:
        def __init__(self, factor):
            self.factor = factor

        @gapbench.hookimpl
        def gapbench_aligners(self):
            acts_on, needs = gapbench.ActsOn.IMAGES, frozenset()
            options = {"factor": self.factor}
            return [
                gapbench.AlignerSpec(
                    name="scaled", factory=f"{__name__}:Scaled", summary="s", family="f", needs=needs, acts_on=acts_on,
                    options=options,
                )
            ]  # fmt: skip

    chosen = {"datasets": embeddings(tmp_path / "e.npz"), "aligners": "scaled", "metrics": "centroid-l2"}
    one, other = (gapbench.run(**chosen, plugins=Plugin(f), out=tmp_path / "out").records[0] for f in (0.5, -1.0))
    assert one.metrics["centroid-l2"].value != other.metrics["centroid-l2"].value


class Scaled:
    def __init__(self, factor):
        self.factor = factor

    def fit(self, data):
        return self

    def images(self, x):
        return np.float32(self.factor) * x


def test_rows_of_another_type_are_another_question(tmp_path, monkeypatch):
    """Also where an encoder's identity does not say in what it computes."""
    monkeypatch.setenv("GAPBENCH_CACHE", str(tmp_path / "store"))
    plugin = tmp_path / "edited_encoder_of_a_type.py"
    plugin.write_text(ENCODER.replace("edited_encoder:", "edited_encoder_of_a_type:"))
    chosen = {"encoders": "edited-encoder", "datasets": "color-digits", "prompts": "plain", "metrics": "centroid-l2"}
    chosen |= {"aligners": "identity", "protocol": "in-sample", "fit_size": 100, "plugins": plugin}
    one, other = (gapbench.run(**chosen, dtype=dtype).records[0] for dtype in ("float32", "bfloat16"))
    assert (one.encoder.dtype, other.encoder.dtype) == ("float32", "bfloat16")
    assert one.encoder.fingerprint != other.encoder.fingerprint
    assert one.cell_id != other.cell_id
