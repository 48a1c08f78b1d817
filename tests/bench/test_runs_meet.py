"""Runs that ask the same at the same time, and what a process may not carry from one run into the next."""

import multiprocessing
from pathlib import Path

import msgspec
import numpy as np
import pytest
from processes import run_when_told
from records import hits, other_code, record, run

import gapbench
from gapbench.host.discovery import discover
from gapbench.leaderboard.build import tables_of
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


def test_the_same_run_three_times_at_once_leaves_each_cell_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    data = embeddings(tmp_path / "e.npz")
    running = [context.Process(target=run_when_told, args=(start, data, str(tmp_path / "out"))) for _ in range(3)]
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
        found = gapbench.run(**chosen).records
        assert [one.reason for one in found] == [""] * 3
        return [one.metrics["centroid-l2"].value for one in found]

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


def test_one_content_under_two_names_is_measured_once_and_reproduces_nothing(tmp_path):
    one = embeddings(tmp_path / "one.npz")
    (tmp_path / "two.npz").write_bytes((tmp_path / "one.npz").read_bytes())
    chosen = {"datasets": [one, f"embeddings:{tmp_path / 'two.npz'}"], "aligners": "identity", "metrics": "top1"}
    results = gapbench.run(**chosen, out=tmp_path / "out")
    assert [record.dataset.name for record in results.records] == ["embeddings:one.npz", "embeddings:two.npz"]
    assert len({record.cell_id for record in results.records}) == 1
    assert len({record.timing for record in results.records}) == 1
    assert {one.answer.reproduced for one in results.compared} == {1}


def test_two_files_of_one_name_in_two_runs_are_two_tables(tmp_path):
    found = []
    for place in "ab":
        (tmp_path / place).mkdir()
        data = embeddings(tmp_path / place / "e.npz")
        if place == "b":
            arrays = dict(np.load(tmp_path / "b" / "e.npz"))
            np.savez(tmp_path / "b" / "e.npz", **arrays | {"image": arrays["image"][::-1].copy()})
        gapbench.run(datasets=data, aligners="identity", metrics="top1", out=tmp_path / "out")
        found.append(data)
    tables = tables_of(tmp_path / "out", discover().metric_specs())
    assert len({table.title for table in tables}) == 2
    assert not any(table.stale for table in tables)


def test_an_edited_dataset_decodes_its_pictures_again(tmp_path, monkeypatch):
    """Also where the hashes of its items stay: they are of the files, and the dataset's code reads these."""
    monkeypatch.setenv("GAPBENCH_CACHE", str(tmp_path / "store"))
    text = DATASET
    plugin = tmp_path / "decoding_dataset.py"

    def values(step, cache):
        monkeypatch.setenv("GAPBENCH_CACHE", str(tmp_path / cache))
        plugin.write_text(text.replace("STEP", str(step)))
        chosen = {"encoders": "mini-clip", "datasets": "decoded", "prompts": "plain", "aligners": "identity"}
        results = gapbench.run(**chosen, metrics="centroid-l2", protocol="in-sample", plugins=plugin)
        return [record.metrics["centroid-l2"].value for record in results.records]

    before = values(1, "one")
    with pytest.warns(gapbench.errors.GapbenchWarning, match="that of the dataset changed"):
        after = values(3, "one")
    assert after != before
    assert after == values(3, "two")


DATASET = """
import gapbench


class Pictures:
    def __len__(self):
        return 40

    def __getitem__(self, item):
        import numpy as np
        from PIL import Image

        drawn = np.random.default_rng(item * STEP).integers(0, 255, (32, 32, 3)).astype(np.uint8)
        return Image.fromarray(drawn)


class Data:
    def __init__(self, context):
        pass

    def split(self, name):
        hashes = [f"{item:064d}" for item in range(40)]
        labels = [item % 2 for item in range(40)]
        return gapbench.Split(images=Pictures(), item_hashes=hashes, classes=("zero", "one"), labels=labels)


@gapbench.hookimpl
def gapbench_datasets():
    offers = frozenset({gapbench.Offer.LABELS})
    spec = {"summary": "s", "licence": "MIT", "offers": offers, "splits": {"test": 40}}
    return [gapbench.DatasetSpec(name="decoded", factory="decoding_dataset:Data", **spec)]
"""
