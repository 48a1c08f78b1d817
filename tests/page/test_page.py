"""page.html: one file, the same bytes, and text that stays text."""

import base64
import hashlib
import json
import re
import shlex
from pathlib import Path

import msgspec
import numpy as np
import pytest
from records import forge, hits, record, run

import gapbench.leaderboard.page as page_module
from gapbench.host.discovery import discover
from gapbench.leaderboard.build import tables_of
from gapbench.leaderboard.command import row_command
from gapbench.leaderboard.page import MOST, page
from gapbench.leaderboard.pareto import pareto_front
from gapbench.leaderboard.table import Row, Table, Value
from gapbench.model.record import AlignerRef, Code, EncoderRef, MetricValue, Unmeasured
from gapbench.model.study import Study
from gapbench.results import journal

VENDOR = Path(page_module.__file__).parent / "vendor"
MARKUP = '</script><script>window.planted=1</script><img src=x onerror="planted=1">&amp;'


def records_of(folder):
    return [stored.record for stored in journal.read_folder(folder)]


def data_of(text):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


def made(tmp_path, count=4):
    names = ["identity", *(f"method-{i}" for i in range(1, count))]
    run(tmp_path, [record(name, hits(0.9 - 0.1 * i / count), gap=0.1 + i / count) for i, name in enumerate(names)])
    return tables_of(tmp_path, discover().metric_specs())


def test_the_same_records_give_the_same_page_with_every_row(tmp_path):
    specs, study = discover().metric_specs(), Study(name="toy")
    tables = made(tmp_path)
    text = page(tables, tmp_path, study, specs, command="gapbench run")
    assert text == page(tables_of(tmp_path, specs), tmp_path, study, specs, command="gapbench run")
    data = data_of(text)
    assert [row["aligner"] for row in data["rows"]] == [row.label for table in tables for row in table.rows]
    first = data["rows"][0]
    assert first["records"][0]["cell_id"] == tables[0].rows[0].records[0].cell_id
    assert first["values"][data["tables"][0]["metrics"].index("top1")][0] == pytest.approx(0.9)
    assert "://" not in re.sub(r"<(script|style|pre)[^>]*>.*?</\1>", "", text, flags=re.DOTALL)  # nothing is fetched


def test_only_the_pages_own_scripts_may_run(tmp_path):
    text = page(made(tmp_path), tmp_path, Study(name="toy"), discover().metric_specs(), command="x")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts]
    assert len(hashes) == 5
    assert f"script-src {' '.join(hashes)};" in policy
    assert policy.startswith("default-src 'none'")


def test_markup_in_any_field_stays_text(tmp_path):
    made(tmp_path)

    def spoiled(record):
        return msgspec.structs.replace(
            record,
            encoder=EncoderRef(component=MARKUP, name=MARKUP, fingerprint=MARKUP, dtype="float32", distribution=MARKUP),
            dataset=msgspec.structs.replace(record.dataset, name=MARKUP, fingerprint=MARKUP, distribution=MARKUP),
            prompts=msgspec.structs.replace(record.prompts, name=MARKUP, fingerprint=MARKUP),
            aligner=AlignerRef(name=MARKUP, params={MARKUP: MARKUP}, distribution=MARKUP, family=MARKUP),
            metrics={**record.metrics, MARKUP: MetricValue(value=0.5, ci95=None, n=1, distribution=MARKUP)},
            unmeasured={MARKUP: Unmeasured(status="error", reason=MARKUP, distribution=MARKUP)},
            label=MARKUP + record.label,
            reason=MARKUP,
            pairs=MARKUP,
            warnings=(MARKUP,),
            created_utc=MARKUP,
            environment={"gapbench": MARKUP, "platform": MARKUP, "libraries": {MARKUP: MARKUP}},
            code={MARKUP: Code(version=MARKUP, sha256=MARKUP)},
            notes={MARKUP: MARKUP},
        )

    forge(journal.run_file(tmp_path), spoiled)
    specs = discover().metric_specs()
    tables = tables_of(tmp_path, specs)
    study = Study(name=MARKUP, title=MARKUP, about=MARKUP)
    text = page(tables, tmp_path, study, specs, command=MARKUP)
    markup = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)  # without the page's own
    assert markup.count("<script") == 1  # the data
    assert "<img" not in markup
    assert "planted=1" in markup
    assert data_of(text)["rows"][0]["aligner"].startswith(MARKUP)


def test_a_page_with_too_many_rows_stays_small_and_says_what_is_missing(tmp_path):
    value = Value(value=0.123456789, ci95=(0.1, 0.2), delta=0.01, p_holm=0.5)
    compared = made(tmp_path)[0].rows[0].compared
    rows = [
        Row(
            label=f"method[value={i}]",
            compared=compared,
            values={"top1": value, "rmg": value, "centroid-l2": value},
            rank=1,
        )
        for i in range(12_000)
    ]
    table = Table(
        encoder="e", dataset="d", prompts="p", protocol="held-out", fit_size=None, fit_split="train", n=100, n_texts=2,
        primary="top1", metrics=["top1", "centroid-l2", "rmg"], rows=rows,
    )  # fmt: skip
    specs = discover().metric_specs()
    text = page([table], tmp_path, Study(name="toy"), specs, command="x")
    assert MOST - 20_000 < len(text.encode()) <= MOST
    kept = len(data_of(text)["rows"])
    assert f"{kept:,} of 12,000 rows are here; table.csv has all" in text
    assert kept >= 5_000
    table.rows = rows[:5_000]
    assert len(data_of(page([table], tmp_path, Study(name="toy"), specs, command="x"))["rows"]) == 5_000


def test_vendored_files_are_what_their_list_says():
    listed = re.findall(r"^\| `([^`]+)` \|.*\| ([0-9a-f]{64}) \|$", (VENDOR / "VENDORED.md").read_text(), re.MULTILINE)
    assert {name for name, _ in listed} == {path.name for path in VENDOR.iterdir() if path.suffix in (".js", ".css")}
    for name, digest in listed:
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest


def test_the_front_has_the_rows_that_no_other_beats_in_both():
    rng = np.random.default_rng(0)
    rows = [
        Row(label=f"m{i}", rank=1, values={
            "top1": Value(value=float(task), ci95=None, delta=None, p_holm=None),
            "centroid-l2": Value(value=float(gap), ci95=None, delta=None, p_holm=None),
        })
        for i, (task, gap) in enumerate(rng.integers(0, 12, (60, 2)))
    ]  # fmt: skip
    table = Table(
        encoder="e", dataset="d", prompts="p", protocol="held-out", fit_size=None, fit_split="train", n=9, n_texts=2,
        primary="top1", metrics=["top1", "centroid-l2"], rows=rows,
    )  # fmt: skip
    points = {row.label: (row.values["top1"].value, -row.values["centroid-l2"].value) for row in rows}
    expected = {
        name for name, (task, gap) in points.items()
        if not any(t >= task and g >= gap and (t, g) != (task, gap) for t, g in points.values())
    }  # fmt: skip
    assert {row.label for row in pareto_front(table, discover().metric_specs())} == expected


def test_the_command_of_a_row_makes_the_same_cells_again(gapbench, tmp_path):
    gapbench("run", "-d", "digits", "-p", "photo", "-a", "identity", "-a", "gap-shift[delta=0.25]", "-m", "top1", "-m", "centroid-l2",
             "--fit-size", "50", "--seeds", "0:2", "--no-figures", "--out", tmp_path / "one")  # fmt: skip
    (table,) = tables_of(tmp_path / "one", discover().metric_specs())
    row = next(row for row in table.rows if row.label.startswith("gap-shift"))
    words = shlex.split(row_command(table, row, Study(name="toy")))
    assert words[0] == "gapbench"
    gapbench(*words[1:], "--no-figures", "--out", tmp_path / "two")
    assert {r.cell_id for r in row.records} <= {r.cell_id for r in records_of(tmp_path / "two")}
