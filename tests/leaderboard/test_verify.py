"""A leaderboard is what its records give, and its records are what their outcomes give; every forgery is found."""

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import gapbench
from gapbench.results.verify import verify_records, well

BOARDS = Path(__file__).parents[2] / "leaderboards"
BOARD_NAMES = sorted(path.parent.name for path in BOARDS.glob("*/README.md") if path.parent.name != "local")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Give a folder with the results of a small run."""
    folder = tmp_path_factory.mktemp("whole")
    gapbench.run(
        datasets=["color-digits"],
        prompts=["photo", "captions"],
        aligners=["identity", "mean-center", "random-rotation"],
        metrics=["top1", "i2t-recall@1", "t2i-recall@1", "ece", "centroid-l2"],
        out=folder,
    )
    return folder


@pytest.fixture
def forged(whole, tmp_path):
    """Change the records as a forger would, and verify what comes of it."""

    def forge(change, line=1):
        folder = tmp_path / "forged"
        shutil.copytree(whole, folder)
        path = folder / "records/run.jsonl"
        lines = path.read_text().splitlines()
        record = json.loads(lines[line])
        changed = change(record, folder)
        lines[line] = json.dumps(record if changed is None else changed) if not isinstance(changed, str) else changed
        path.write_text("\n".join(lines) + "\n")
        return [verdict for verdict in verify_records(path) if verdict.reasons]

    return forge


def test_a_run_verifies(whole):
    verdicts = verify_records(whole / "records/run.jsonl")
    assert well(verdicts)
    assert len(verdicts) == 6
    assert all(verdict.checked >= 1 for verdict in verdicts)
    assert {name for verdict in verdicts for name in verdict.resting} == {"centroid-l2", "ece"}


def metric_of(record):
    return "top1" if "top1" in record["metrics"] else "i2t-recall@1"


def test_a_better_value_is_found(forged):
    def change(record, _):
        record["metrics"][metric_of(record)]["value"] += 0.01

    (verdict,) = [v for v in forged(change) if any("its outcomes give" in reason for reason in v.reasons)]
    assert verdict.line == 2
    assert verdict.state == "failed"


def test_a_narrower_interval_is_found(forged):
    def change(record, _):
        low, high = record["metrics"][metric_of(record)]["ci95"]
        record["metrics"][metric_of(record)]["ci95"] = [(low + high) / 2, high]

    (verdict,) = forged(change)
    assert "has the interval" in verdict.reasons[0]


def test_a_narrower_interval_of_a_gap_is_found(forged):
    def change(record, _):
        low, high = record["metrics"]["centroid-l2"]["ci95"]
        record["metrics"]["centroid-l2"]["ci95"] = [low + (high - low) / 4, high]

    (verdict,) = forged(change)
    assert "centroid-l2 has the interval" in verdict.reasons[0]


@pytest.mark.parametrize("field", ["delta", "p", "p_holm"])
def test_another_comparison_is_found(forged, field):
    def change(record, _):
        record["metrics"][metric_of(record)][field] = 0.5

    (verdict,) = forged(change)
    assert f"has {field} 0.5, but its table gives" in verdict.reasons[0]


def test_another_fingerprint_is_found(forged):
    def change(record, _):
        record["encoder"]["fingerprint"] = "0" * 64

    found = forged(change)
    assert any("its id is not that of its encoder" in reason for verdict in found for reason in verdict.reasons)


@pytest.mark.parametrize("part", ["params", "seed", "protocol"])
def test_another_aligner_protocol_or_seed_is_found(forged, part):
    def change(record, _):
        if part == "seed":
            record["seed"] = 7
        elif part == "params":
            record["aligner"]["params"]["strength"] = 0.123
        else:
            record["protocol"]["fit_size"] = 5

    assert any("one of them was changed" in reason for verdict in forged(change) for reason in verdict.reasons)


def test_other_outcomes_are_found(forged):
    def change(record, folder):
        path = folder / "records" / record["outcomes"]["file"]
        arrays = load_file(path)
        name = next(key for key in arrays if key.startswith("bits/"))
        arrays[name] = np.full_like(arrays[name], 255)
        save_file(arrays, path)

    assert any("SHA-256 differs" in reason for verdict in forged(change) for reason in verdict.reasons)


def test_outcomes_that_were_changed_with_their_hash_are_found(forged):
    def change(record, folder):
        import hashlib

        path = folder / "records" / record["outcomes"]["file"]
        arrays = load_file(path)
        name = next(key for key in arrays if key.startswith("bits/"))
        arrays[name] = np.full_like(arrays[name], 255)
        save_file(arrays, path)
        record["outcomes"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()

    assert any("its outcomes give" in reason for verdict in forged(change, 2) for reason in verdict.reasons)


def test_missing_outcomes_are_found(forged):
    def change(record, folder):
        (folder / "records" / record["outcomes"]["file"]).unlink()

    assert any("is missing" in reason for verdict in forged(change) for reason in verdict.reasons)


def test_outcomes_outside_the_folder_are_refused(forged):
    def change(record, _):
        record["outcomes"]["file"] = "../../somewhere.npz"

    assert any("outside the folder" in reason for verdict in forged(change) for reason in verdict.reasons)


def test_another_order_is_found(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "forged")
    path = tmp_path / "forged" / "records/run.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[1], lines[0], *lines[2:]]) + "\n")
    failed = [verdict for verdict in verify_records(path) if verdict.reasons]
    assert [verdict.line for verdict in failed] == [1, 2]
    assert "order" in failed[0].reasons[0]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("no JSON}", "line 2, is damaged"),
        ('{"schema_version": 99}', "schema version 99"),
        ('{"schema_version": 1}', "no record"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_checked(forged, line, words):
    found = forged(lambda *_: line)
    assert any(words in reason for verdict in found for reason in verdict.reasons)
    assert found[0].line == 2


def test_the_command_verifies_builds_and_finds_stale_tables(gapbench, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "board")
    stale = gapbench("leaderboard", "verify", "toy", "--out", "board", code=1)
    assert "README.md is not what the records give" in " ".join(stale.stdout.split())
    built = gapbench("leaderboard", "build", "toy", "--out", "board")
    assert {"README.md", "table.csv", "table.tex"} <= {line.split("/")[-1] for line in built.stdout.split()}
    assert "6 of 6 records verified" in gapbench("leaderboard", "verify", "toy", "--out", "board").stdout
    before = {path.name: path.read_bytes() for path in (tmp_path / "board").iterdir() if path.is_file()}
    gapbench("leaderboard", "build", "toy", "--out", "board")
    assert {path.name: path.read_bytes() for path in (tmp_path / "board").iterdir() if path.is_file()} == before
    readme = tmp_path / "board" / "README.md"
    readme.write_text(readme.read_text().replace("99.", "100."))
    found = json.loads(gapbench("leaderboard", "verify", "toy", "--out", "board", "--json", code=1).stdout)
    assert found["stale"] == ["README.md"]
    assert {row["state"] for row in found["rows"]} == {"verified"}


def test_there_must_be_records(gapbench):
    for what in ("build", "verify"):
        assert "gapbench run --out" in gapbench("leaderboard", what, "nothing", code=2).stderr


def test_a_study_that_is_not_there_is_named_with_the_one_that_was_meant(gapbench, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "leaderboards" / "my-study")
    for what in ("build", "verify"):
        told = gapbench("leaderboard", what, "mystudy", code=2).stderr
        assert "There is no leaderboard" in told
        assert "Did you mean 'my-study'?" in told
        told = gapbench("leaderboard", what, "digits", code=2).stderr
        assert "`gapbench run --study digits` makes it" in told
        told = gapbench("leaderboard", what, "digits", "--out", "elsewhere", code=2).stderr
        assert "`gapbench run --study digits --out elsewhere` makes it" in told
    assert [path.name for path in (tmp_path / "leaderboards").iterdir()] == ["my-study"]


def test_the_committed_leaderboards_are_what_their_records_give(gapbench):
    for name in BOARD_NAMES:
        done = gapbench("leaderboard", "verify", name, "--out", BOARDS / name)
        assert ("records verified" if (BOARDS / name / "records").is_dir() else "not run here yet") in done.stdout


def test_the_committed_page_across_studies_is_what_they_give(gapbench, tmp_path):
    assert {"clip-stl10", "color-digits", "digits", "mind-the-gap-coco"} <= set(BOARD_NAMES)
    for name in BOARD_NAMES:
        shutil.copytree(BOARDS / name, tmp_path / "leaderboards" / name)
    gapbench("leaderboard", "build")
    assert (tmp_path / "leaderboards" / "README.md").read_text() == (BOARDS / "README.md").read_text()


def test_latex_shows_text_as_it_is():
    from gapbench.leaderboard.exports import escape

    assert escape("a_b & 5 % {x} \\y $z #1 ~^") == (
        r"a\_b \& 5 \% \{x\} \textbackslash{}y \$z \#1 \textasciitilde{}\textasciicircum{}"
    )


def test_gap_metrics_are_computed_again_from_embeddings(gapbench, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "board")
    gapbench("leaderboard", "build", "toy", "--out", "board")
    told = gapbench("leaderboard", "verify", "toy", "--out", "board", "--recompute").stdout
    assert "all values of 6 records computed again from the embeddings, gap metrics too" in " ".join(told.split())
    # A forger changes a gap of every record by the same amount, with its interval: only the embeddings can tell.
    path = tmp_path / "board" / "records" / "run.jsonl"
    lines = []
    for line in path.read_text().splitlines():
        record = json.loads(line)
        gap = record["metrics"]["ece" if "ece" in record["metrics"] else "centroid-l2"]
        gap["value"] += 0.05
        gap["ci95"] = None
        lines.append(json.dumps(record))
    path.write_text("\n".join(lines) + "\n")
    gapbench("leaderboard", "build", "toy", "--out", "board")
    assert "6 of 6 records verified" in gapbench("leaderboard", "verify", "toy", "--out", "board").stdout
    found = json.loads(
        gapbench("leaderboard", "verify", "toy", "--out", "board", "--recompute", "--json", code=1).stdout
    )
    assert {row["state"] for row in found["rows"]} == {"failed"}
    assert all("computed again from the embeddings" in row["reasons"][0] for row in found["rows"])


def test_a_cell_that_is_not_at_hand_is_left_as_it_is(whole, tmp_path):
    from gapbench.bench.again import recompute
    from gapbench.bench.materials import Materials
    from gapbench.embeddings.store import Store
    from gapbench.host.discovery import discover
    from gapbench.results import journal
    from gapbench.specs import Context

    records = journal.read(whole / "records" / "run.jsonl")
    elsewhere = [
        msgspec.structs.replace(r, encoder=msgspec.structs.replace(r.encoder, name="open_clip:ViT-B-32/openai"))
        for r in records
    ]
    unknown = [msgspec.structs.replace(r, aligner=msgspec.structs.replace(r.aligner, name="theirs")) for r in records]
    context = Context(data_root=tmp_path, device="cpu", dtype="float32", offline=True, download=False)
    materials = Materials(Store(tmp_path / "store"), context)
    assert recompute([*elsewhere, *unknown], whole / "records", discover(), materials) == {}
