"""``gapbench run`` from end to end, on the embedded data and on published embeddings."""

import json
import os
import signal
import subprocess
import sys
import time

import jsonschema
import pytest

from gapbench.model.schema import FILE
from gapbench.results import journal
from gapbench.results.answers import answers
from gapbench.results.comparisons import compare


def records_of(folder):
    return [json.loads(line) for line in (folder / "records/run.jsonl").read_text().splitlines()]


def without_time(records):
    """What must be equal between two runs: everything but clocks, and where the outcomes lie."""
    told = ("timing", "created_utc", "checksum", "outcomes")
    found = [{key: value for key, value in r.items() if key not in told} for r in records]
    found = [{**one, "outcomes": r["outcomes"]["sha256"]} for one, r in zip(found, records, strict=True)]
    return sorted(found, key=lambda record: record["cell_id"])


FIVE = ("identity", "random-rotation", "mean-center", "gap-shift", "procrustes")
DIGITS = ("run", "-d", "digits", "-p", "photo", "-p", "plain", "--no-figures", *(f"-a{name}" for name in FIVE))


def test_published_anchors_are_met(gapbench, shared_file, tmp_path):
    gapbench(
        "run",
        "-d",
        f"embeddings:{shared_file('mind_the_gap_clip.npz')}",
        *("-a", "identity", "-a", "mean-center", "--protocol", "in-sample", "--fit-size", "all"),
        *("--no-figures", "--out", tmp_path),
    )
    by_name = {r["aligner"]["name"]: {k: v["value"] for k, v in r["metrics"].items()} for r in records_of(tmp_path)}
    identity, centred = by_name["identity"], by_name["mean-center"]
    assert identity["centroid-l2"] == pytest.approx(0.8514, abs=0.002)
    assert identity["paired-cos"] == pytest.approx(0.310, abs=0.002)
    assert identity["i2t-recall@1"] == pytest.approx(0.552, abs=0.002)
    assert identity["t2i-recall@1"] == pytest.approx(0.506, abs=0.002)
    assert centred["i2t-recall@1"] == pytest.approx(0.542, abs=0.002)
    assert centred["t2i-recall@1"] == pytest.approx(0.500, abs=0.002)
    assert centred["centroid-l2"] == pytest.approx(0.028, abs=0.002)


def test_the_untrained_model_is_at_chance(gapbench, shared_file, tmp_path):
    file = shared_file("mind_the_gap_clip_random.npz")
    gapbench(
        "run",
        "-d",
        f"embeddings:{file}",
        "-a",
        "identity",
        "--protocol",
        "in-sample",
        "--no-figures",
        "--out",
        tmp_path,
    )
    metrics = records_of(tmp_path)[0]["metrics"]
    assert metrics["centroid-l2"]["value"] == pytest.approx(1.136, abs=0.002)
    assert metrics["i2t-recall@1"]["value"] < 0.01


def test_records_follow_the_published_schema_and_outcomes_give_the_values(gapbench, tmp_path):
    gapbench(*DIGITS, "--out", tmp_path)
    schema = json.loads(FILE.read_text())
    records = records_of(tmp_path)
    assert len(records) == 10
    for record in records:
        jsonschema.validate(record, schema)
        assert record["status"] == "ok"
        for name in ("mean-per-class-recall", "centroid-l2", "rmg"):
            low, high = record["metrics"][name]["ci95"]
            assert 0 <= low <= record["metrics"][name]["value"] <= high
            assert high <= (2 if name == "centroid-l2" else 1)
        assert 0 <= record["metrics"]["top1"]["ci95"][0] <= record["metrics"]["top1"]["value"] <= 1
        assert {value["distribution"] for value in record["metrics"].values()} == {"gapbench"}
        assert record["code"]["gapbench"]["sha256"]
    for stored in journal.read_folder(tmp_path):
        measured = stored.container.measurements(stored.record.outcomes, stored.record.metrics)
        assert measured["top1"].outcomes.mean() == pytest.approx(stored.record.metrics["top1"].value)
        assert len(measured["top1"].outcomes) == len(stored.container.opened(stored.record.outcomes).predicted) == 500
    identity = next(r for r in records if r["aligner"]["name"] == "identity")
    rotated = next(r for r in records if r["aligner"]["name"] == "random-rotation")
    assert identity["metrics"]["top1"]["value"] >= 0.95
    assert identity["metrics"]["centroid-l2"]["value"] >= 0.3
    for name in ("p", "p_holm", "delta"):  # what compares cells is no part of a record
        assert name not in rotated["metrics"]["top1"]
    tables = [
        {one.answer.record.label: one for one in table} for table in compare(answers(journal.read_folder(tmp_path)))
    ]
    assert len(tables) == 2
    for table in tables:
        assert table["random-rotation"].differences["top1"].p < 1e-50
        assert not table["identity"].differences
        assert table["random-rotation"].differences["top1"].delta == pytest.approx(
            table["random-rotation"].answer.record.metrics["top1"].value
            - table["identity"].answer.record.metrics["top1"].value
        )


def test_the_same_run_again_runs_nothing_and_changes_nothing(gapbench, tmp_path):
    gapbench(*DIGITS, "--out", tmp_path)
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    done = gapbench(*DIGITS, "--out", tmp_path)
    assert "10 from an earlier run" in done.stdout
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before


def test_worker_processes_give_the_same_records(gapbench, tmp_path):
    gapbench(*DIGITS, "--out", tmp_path / "one")
    gapbench(*DIGITS, "--out", tmp_path / "two", "--jobs", "2")
    assert without_time(records_of(tmp_path / "one")) == without_time(records_of(tmp_path / "two"))


def test_killed_in_the_middle_and_run_again_gives_the_records_of_an_undisturbed_run(gapbench, tmp_path):
    gapbench(*DIGITS, "--out", tmp_path / "whole")
    store = tmp_path / "cold"  # a store of its own, so that encoding is interrupted as well
    command = [sys.executable, "-m", "gapbench", *DIGITS, "--out", str(tmp_path / "cut")]
    env = {**os.environ, "GAPBENCH_CACHE": str(store)}
    path = tmp_path / "cut" / "records/run.jsonl"
    for lines in (0, 1, 4):  # while encoding, after the first cell, and in the middle of the cells
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            written = path.read_text().count("\n") if path.is_file() else 0
            if written >= lines and (lines or any(store.rglob("*.tmp"))):
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with path.open("a") as file:
        file.write('{"schema_version": 2, "cell_id": "torn')
    gapbench(*DIGITS, "--out", tmp_path / "cut", env={"GAPBENCH_CACHE": str(store)})
    found = [json.loads(line) for line in path.read_text().splitlines() if "torn" not in line]
    assert without_time(found) == without_time(records_of(tmp_path / "whole"))


@pytest.fixture
def interruptible():
    """Children get SIGINT as at a terminal: a shell's background jobs, pytest among them, start with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interrupting_says_how_to_go_on(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "gapbench", *DIGITS, "--fit-size", "50", "--seeds", "0:2000", "--out", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    path = tmp_path / "records/run.jsonl"
    while process.poll() is None and not (path.is_file() and path.read_text().count("\n") >= 2):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "goes on from there" in error
    assert "Traceback" not in error


def test_seeds_are_an_axis_only_where_they_matter(gapbench, tmp_path):
    same = ("run", "-d", "digits", "-p", "photo", "-m", "top1", "--seeds", "0:3", "--no-figures")
    gapbench(*same, "-a", "identity", "-a", "mean-center", "--out", tmp_path / "fixed")
    assert {r["seed"] for r in records_of(tmp_path / "fixed")} == {0}
    gapbench(*same, "-a", "identity", "-a", "mean-center", "--fit-size", "50", "--out", tmp_path / "drawn")
    drawn = [r for r in records_of(tmp_path / "drawn") if r["aligner"]["name"] == "mean-center"]
    assert [r["seed"] for r in drawn] == [0, 1, 2]
    for record in drawn:
        protocol = record["protocol"]
        assert (protocol["name"], protocol["fit_size"], protocol["shots"]) == ("held-out", 50, None)
        assert (protocol["fit_split"], record["items"]["fitted"]) == ("train", 50)
        assert protocol["fit_fingerprint"]


def test_in_sample_is_marked_and_fits_on_a_hundred_by_default(gapbench, tmp_path):
    done = gapbench(
        "run",
        "-d",
        "digits",
        "-p",
        "photo",
        "-a",
        "procrustes",
        "--protocol",
        "in-sample",
        "--no-figures",
        "--out",
        tmp_path,
    )
    record = records_of(tmp_path)[0]
    assert record["protocol"] == {
        "name": "in-sample", "fit_size": 100, "shots": None, "fit_split": "test", "fit_fingerprint": "",
    }  # fmt: skip
    assert record["items"] == {
        "fitted": 100,
        "scored": 500,
        "seen": 100,
        "repeated": 0,
        "left_out": 0,
        "empty_classes": 0,
        "alike_classes": 0,
        "cut_texts": 0,
        "scored_copies": 0,
        "skipped": {},
    }
    assert record["notes"]["rank"] == 10
    assert record["pairs"] == "class prompts"
    assert "in-sample: fitted on 100 items of test" in done.stdout


def test_pairs_are_captions_where_the_dataset_has_them(gapbench, tmp_path):
    gapbench(
        "run", "-d", "color-digits", "-p", "photo", "-a", "procrustes", "-m", "top1", "--no-figures", "--out", tmp_path
    )
    assert records_of(tmp_path)[0]["pairs"] == "captions"


def test_approximate_indexes_tell_their_recall(gapbench, tmp_path):
    for kind in ("hnsw", "ivf"):
        out = tmp_path / kind
        gapbench(
            "run", "-d", "digits", "-p", "openai-80", "-a", "identity", "--index", kind, "--no-figures", "--out", out
        )
        assert records_of(out)[0]["index_recall"] >= 0.9


def test_a_sweep_has_one_row_a_value(gapbench, tmp_path):
    sweep = "gap-shift[delta=0.25,0.75,side=both,images]"
    done = gapbench(
        "run",
        "-d",
        "digits",
        "-p",
        "photo",
        "-a",
        "identity",
        "-a",
        sweep,
        "-m",
        "top1",
        "--no-figures",
        "--out",
        tmp_path,
    )
    assert len(records_of(tmp_path)) == 5
    assert "gap-shift[delta=0.75,side=images]" in done.stdout.replace("\n", "").replace(" ", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-a", "procrustse"), "Did you mean 'procrustes'?"),
        (("-d", "digts"), "Did you mean 'digits'?"),
        (("-a", "procrustes[centre=true]"), "Did you mean 'center'?"),
        (("-a", "gap-shift[delta=lots]"), "'delta' must be a number"),
        (("--study", "digit"), "Did you mean 'digits'?"),
        (("--seeds", "a:b"), "write 0:5"),
        (("--fit-size", "0"), "numbers of images from 1 to"),
        (("--download", "--offline"), "contradict"),
        (("--plugin", "nowhere.py"), "There is no plugin file 'nowhere.py'"),
        (("-p", "template:a photo"), "write {} once"),
    ],
)
def test_a_mistake_gets_one_clear_line_and_exit_code_2(gapbench, arguments, message):
    done = gapbench("run", "-e", "mini-clip", *arguments, "--no-figures", code=None)
    assert "Traceback" not in done.stderr
    assert message in " ".join((done.stderr + done.stdout).split())
    assert done.returncode in (1, 2)


def test_an_unwritable_folder_is_found_out_before_the_work(gapbench, tmp_path):
    (tmp_path / "file").write_text("")
    done = gapbench("run", "-d", "digits", "--out", tmp_path / "file" / "out", code=2)
    assert "cannot be written" in done.stderr


def test_tables_fit_eighty_columns_and_carry_no_colour_codes_when_piped(gapbench, tmp_path):
    done = gapbench("run", "-d", "color-digits", "-p", "captions", "-p", "photo", "--no-figures", "--out", tmp_path)
    lines = [line for line in done.stdout.splitlines() if not line.startswith(("not run: ", "leaderboard: "))]
    assert max(map(len, lines)) <= 80  # sentences with paths stay whole
    assert "\x1b" not in done.stdout


def test_changing_a_study_makes_it_local(gapbench, tmp_path):
    done = gapbench(
        "run", "--study", "digits", "-d", "digits", "-p", "photo", "-a", "identity", "--no-figures", cwd=tmp_path
    )
    assert "its results are local" in done.stderr
    assert (tmp_path / "leaderboards" / "local" / "README.md").is_file()


def test_fit_sizes_and_shots_are_axes_and_end_in_learning_curves(gapbench, tmp_path):
    same = (
        "run",
        "-d",
        "digits",
        "-p",
        "photo",
        "-m",
        "top1",
        "-m",
        "centroid-l2",
        "-a",
        "identity",
        "-a",
        "mean-center",
    )
    done = gapbench(*same, "--fit-size", "20,200,all", "--seeds", "0:2", "--out", tmp_path)
    records = [r for r in records_of(tmp_path) if r["aligner"]["name"] == "mean-center"]
    assert sorted({r["items"]["fitted"] for r in records}) == [20, 200, 1297]
    assert len(records) == 2 + 2 + 1  # with all items nothing is drawn, so one seed is enough
    assert "2 tables with fewer fitted items are in the leaderboard" in done.stdout
    assert (tmp_path / "figures" / "learning-mini-clip_digits_photo_held-out_top1.png").is_file()
    gapbench(*same, "--shots", "1,3", "--out", tmp_path / "shots", "--no-figures")
    assert {r["items"]["fitted"] for r in records_of(tmp_path / "shots")} == {10, 30}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--shots", "1", "--fit-size", "10"), "give one"),
        (("--shots", "0"), "numbers of images of a class"),
        (("--fit-size", "10,many"), "write 10,100 or all"),
        (("-a", "identity[x=auto]"), "no parameter 'x'"),
        (("-a", "gap-shift[side=auto]"), "must be one of"),
        (("-a", "gap-projection[common=auto]"), "no grid to choose from"),
    ],
)
def test_axes_that_make_no_sense_are_refused(gapbench, arguments, message):
    done = gapbench("run", "-d", "digits", *arguments, code=2)
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_automatic_parameters_are_chosen_on_a_slice_and_said(gapbench, tmp_path, shared_file):
    file = shared_file("mind_the_gap_clip.npz")
    aligner = "procrustes[center=true,pull=auto]"
    done = gapbench(
        "run", "-d", f"embeddings:{file}", "-a", "identity", "-a", aligner, "--no-figures", "--out", tmp_path
    )
    (record,) = (r for r in records_of(tmp_path) if r["aligner"]["name"] == "procrustes")
    chosen = record["chosen"]
    assert record["aligner"]["params"]["pull"] == "auto"
    assert len(record["aligner"]["grids"]["pull"]) == len(chosen["scores"])
    assert "few pairs: 250 for 512 dimensions" in record["warnings"][0]
    assert chosen["items"] == 50  # a fifth of the fitted half
    best = max(score for _, score in chosen["scores"])
    assert [chosen["params"], best] in chosen["scores"]
    assert chosen["params"]["pull"] > 0  # 250 pairs do not decide 512 dimensions
    assert "chose pull" in done.stdout
    assert "few pairs: 250 for 512 dimensions" in " ".join(done.stdout.split())


def test_every_study_has_the_baseline_and_the_controls():
    from gapbench.builtin.aligners import SPECS
    from gapbench.model.study import load_study, study_names

    controls = {spec.name for spec in SPECS if spec.control}
    assert len(controls) == 3
    for name in study_names():
        assert {"identity", *controls} <= set(load_study(name).aligners), name
