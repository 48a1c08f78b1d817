"""Tables, their ranks, and the Markdown that is made of them."""

import csv
import io
import re

import msgspec
import numpy as np
import pytest
from gapbench.results.finalise import finalise
from gapbench.results.record import (
    AlignerRef,
    DatasetRef,
    EncoderRef,
    MetricValue,
    PluginRef,
    PromptsRef,
    ProtocolRef,
    Record,
)
from rich.console import Console

from gapbench.components import Measurement
from gapbench.host.discovery import discover
from gapbench.host.registry import Kind
from gapbench.leaderboard.assemble import build_tables
from gapbench.leaderboard.exports import to_csv
from gapbench.leaderboard.markdown import code, escape, markdown
from gapbench.leaderboard.terminal import print_table
from gapbench.leaderboard.text import number
from gapbench.model.study import Reference, Study
from gapbench.results import outcomes
from gapbench.stats import interval

SPECS = {name: c.spec for name, c in discover().components(Kind.METRIC).items()}
N = 400


def row(folder, name, top1, gap, status="ok", reason="", created="2026-01-01T00:00:00Z", fingerprint="d"):
    cell = (name + fingerprint + created).encode().hex()[:64].ljust(64, "0")
    metrics, kept = {}, None
    if status == "ok":
        hits = np.arange(N) < round(top1 * N)
        measured = Measurement(value=float(hits.mean()), n=N, outcomes=hits)
        kept = outcomes.save(folder, cell, {"top1": measured}, None)
        metrics = {
            "top1": MetricValue(value=measured.value, ci95=interval(measured), n=N),
            "centroid-l2": MetricValue(value=gap, ci95=(gap - 0.01, gap + 0.01), n=N),
        }
    return Record(
        schema_version=1,
        cell_id=cell,
        study="toy",
        encoder=EncoderRef(name="enc", fingerprint="e"),
        dataset=DatasetRef(name="data", fingerprint=fingerprint, split="test", n=N),
        prompts=PromptsRef(name="photo", n_texts=2),
        aligner=AlignerRef(name=name, params={}, plugin=PluginRef(distribution="toy", version="0")),
        protocol=ProtocolRef(name="held-out", fit_size=None, fit_split="train"),
        seed=0,
        status=status,
        reason=reason,
        metrics=metrics,
        created_utc=created,
        outcomes=kept,
        notes={"label": name},
        environment={"gapbench": "0", "python": "3", "platform": "x", "libraries": {"numpy": "2"}},
    )


@pytest.fixture
def records(tmp_path):
    rows = [
        row(tmp_path, "identity", 0.90, 0.8),
        row(tmp_path, "close", 0.905, 0.1),
        row(tmp_path, "better", 0.97, 0.9),
        row(tmp_path, "worse", 0.5, 0.05),
        row(tmp_path, "random-rotation", 0.99, 1.0),
        row(tmp_path, "bro|ken", 0, 0, status="error", reason="<script>alert(1)</script> | x"),
    ]
    return finalise(rows, tmp_path)


def test_rows_are_ranked_by_the_task_and_share_ranks_where_they_cannot_be_told_apart(records, tmp_path):
    (table,) = build_tables(records, tmp_path, SPECS)
    assert table.primary == "top1"
    assert {row.label: row.rank for row in table.rows} == {
        "better": 1,
        "identity": 2,
        "close": 2,
        "worse": 4,
        "random-rotation": None,
        "bro|ken": None,
    }


def test_older_data_of_the_same_name_do_not_share_a_table(tmp_path):
    rows = [
        row(tmp_path, "identity", 0.9, 0.8, created="2026-01-01T00:00:00Z", fingerprint="old"),
        row(tmp_path, "identity", 0.8, 0.8, created="2026-02-01T00:00:00Z", fingerprint="new"),
    ]
    older, newer = build_tables(finalise(rows, tmp_path), tmp_path, SPECS)
    if newer.stale:
        older, newer = newer, older
    assert (older.stale, newer.stale) == (True, False)
    assert newer.rows[0].values["top1"].value == 0.8
    assert (newer.rows[0].rank, older.rows[0].rank) == (1, None)
    page = markdown([older, newer], tmp_path, Study(name="toy"), SPECS, command="gapbench run")
    assert "older weights, images or texts" in page
    assert "90.0" not in page


def test_the_terminal_table_fits_and_tells_all(records, tmp_path):
    (table,) = build_tables(records, tmp_path, SPECS)
    for width in (80, 120):
        console = Console(width=width, record=True, file=open("/dev/null", "w"), color_system=None)
        print_table(console, table, SPECS)
        text = console.export_text()
        console.file.close()
        assert max(map(len, text.splitlines())) <= width
        for word in ("better", "97.0", "+7.0*", "−40.0*", "error:", "0.050"):
            assert word in text, text


def test_markdown_is_the_same_for_the_same_records_and_escapes_everything(records, tmp_path):
    study = Study(
        name="toy",
        title="A <b>toy</b>",
        reference=(Reference(metric="top1", value=0.9, source="paper", prompts="photo"),),
    )
    pages = []
    for _ in range(2):
        tables = build_tables(records, tmp_path, SPECS, study.reference)
        pages.append(markdown(tables, tmp_path, study, SPECS, command="gapbench run --study toy"))
    assert pages[0] == pages[1]
    page = pages[0]
    assert "<script>" not in page
    assert "<b>" not in page
    assert "| 1 | `better` | **97.0** [94.8, 98.3] | +7.0\\* | 0.900" in page
    assert "reported 90.00 % (360 of 400), paper; here 90.00 % (+0 images)" in page
    assert "`random-rotation` (control)" in page
    assert "better than identity: `better`" in page
    widths = {line.replace("\\|", "").count("|") for line in page.splitlines() if line.startswith("|")}
    assert len(widths) == 1


def test_escaping_leaves_no_markup():
    assert escape("a|b *c* <i> [x](y) `z`\n# no") == r"a\|b \*c\* &lt;i&gt; \[x\](y) \`z\` \# no"


@pytest.mark.parametrize("text", ["a``<img src=x>``b", "`x", "x`", "a|b", "```", "plain"])
def test_code_ends_where_its_text_ends(text):
    written = code(text)
    fence = re.match("`+", written).group()
    inner = written[len(fence) : -len(fence)]
    assert written.endswith(fence)
    assert not inner.startswith("`")
    assert not inner.endswith("`")
    assert fence not in re.findall("`+", inner)
    assert inner.strip().replace("\\|", "|") == text


def test_a_figure_is_shown_with_its_own_encoder(tmp_path):
    rows = [
        msgspec.structs.replace(row(tmp_path, "identity", 0.5, 0.8), encoder=EncoderRef(name=name, fingerprint=name))
        for name in ("clip", "mini-clip")
    ]
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "umap-mini-clip_data_photo.png").touch()
    (tmp_path / "figures" / "learning-mini-clip_data_photo_held-out_top1.png").touch()
    tables = build_tables(rows, tmp_path, SPECS)
    page = markdown(tables, tmp_path, Study(name="toy"), SPECS, command="gapbench run")
    first, second = page.split("## mini-clip / data / photo")
    assert "umap-" not in first
    assert "umap-mini-clip_data_photo.png" in second
    assert (
        "learning-mini-clip_data_photo_held-out_top1.png" in first.partition("## clip")[0]
    )  # of all tables, so before them


def test_markup_in_the_name_of_a_metric_stays_text(tmp_path):
    value = MetricValue(value=0.5, ci95=None, n=N)
    odd = msgspec.structs.replace(row(tmp_path, "identity", 0.9, 0.8), metrics={"a|<b>": value}, outcomes=None)
    tables = build_tables([odd], tmp_path, SPECS)
    page = markdown(tables, tmp_path, Study(name="toy"), SPECS, command="gapbench run")
    assert "<b>" not in page
    assert "a\\|&lt;b&gt;" in page


def test_any_name_and_every_digit_come_back_from_the_csv(tmp_path):
    values = {
        'a,"b"': MetricValue(value=0.1 + 0.2, ci95=(1e-300, 1.0), n=N),
        "plain": MetricValue(value=2.0, ci95=None, n=N),
    }
    odd = msgspec.structs.replace(row(tmp_path, 'x[y="1,2"]', 0.9, 0.8), metrics=values, outcomes=None)
    first, second = csv.DictReader(io.StringIO(to_csv(build_tables([odd], tmp_path, SPECS))))
    assert first["aligner"] == second["aligner"] == 'x[y="1,2"]'
    assert (first["metric"], first["value"], first["low"], first["high"]) == ('a,"b"', repr(0.1 + 0.2), "1e-300", "1.0")
    assert (second["metric"], second["value"]) == ("plain", "2.0")
    assert {second[name] for name in ("fit_size", "rank", "low", "high", "delta", "p_holm")} == {""}


def seeded(folder, name, seed, top1):
    cell = f"{name}{seed}".encode().hex().ljust(64, "0")
    hits = np.arange(N) < round(top1 * N)
    measured = Measurement(value=float(hits.mean()), n=N, outcomes=hits)
    kept = outcomes.save(folder, cell, {"top1": measured}, None)
    made = row(folder, name, top1, 0.5)
    return msgspec.structs.replace(made, cell_id=cell, seed=seed, outcomes=kept)


@pytest.mark.parametrize(
    ("others", "rank"),
    [((0.6, 0.9, 0.9), 1), ((0.9, 0.9, 0.6), 1), ((0.6, 0.6, 0.7), 2)],
    ids=["first", "last", "all"],
)
def test_one_seed_that_differs_does_not_decide_a_rank(tmp_path, others, rank):
    rows = [seeded(tmp_path, "identity", seed, 0.9) for seed in range(3)]
    rows += [seeded(tmp_path, "other", seed, top1) for seed, top1 in enumerate(others)]
    (table,) = build_tables(finalise(rows, tmp_path), tmp_path, SPECS)
    assert {row.label: row.rank for row in table.rows} == {"identity": 1, "other": rank}


def test_gap_metrics_alone_rank_nothing_and_make_nothing_better(tmp_path):
    rng, rows = np.random.default_rng(0), []
    for name, gap in (("identity", 0.8), ("closer", 0.1), ("farther", 1.2)):
        made = row(tmp_path, name, 0.9, gap)
        value = made.metrics["centroid-l2"]
        measured = Measurement(value=gap, n=N, jackknife=gap + rng.normal(size=20) * 1e-3)
        kept = outcomes.save(tmp_path, made.cell_id, {"centroid-l2": measured}, None)
        rows.append(msgspec.structs.replace(made, metrics={"centroid-l2": value}, outcomes=kept))
    (table,) = build_tables(finalise(rows, tmp_path), tmp_path, SPECS)
    assert [(row.label, row.rank) for row in table.rows] == [("identity", None), ("closer", None), ("farther", None)]
    assert table.row("farther").values["centroid-l2"].significant
    page = markdown([table], tmp_path, Study(name="toy"), SPECS, command="gapbench run")
    assert "better than" not in page


def test_a_row_that_cannot_be_tested_has_no_rank_and_says_why(tmp_path):
    rows = [row(tmp_path, "identity", 0.95, 0.5), row(tmp_path, "awful", 0.1, 0.5)]
    (tmp_path / rows[1].outcomes.file).unlink()
    (table,) = build_tables(finalise(rows, tmp_path), tmp_path, SPECS)
    assert {row.label: row.rank for row in table.rows} == {"identity": 1, "awful": None}
    page = markdown([table], tmp_path, Study(name="toy"), SPECS, command="gapbench run")
    assert "`awful`: no rank: its per-item outcomes are missing" in page
    assert str(tmp_path) not in page
    console = Console(width=120, record=True, file=io.StringIO())
    print_table(console, table, SPECS)
    assert "awful: no rank" in console.export_text()


def test_other_processes_rank_as_this_one_does(tmp_path, monkeypatch):
    made = []
    for fingerprint in ("a", "b", "c"):
        shares = {"identity": 0.9, "close": 0.905, "better": 0.97, "worse": 0.5, "lost": 0.6}
        made += [row(tmp_path, name, share, 0.5, fingerprint=fingerprint) for name, share in shares.items()]
    (tmp_path / made[-1].outcomes.file).unlink()
    here = build_tables(finalise(made, tmp_path), tmp_path, SPECS)
    monkeypatch.setattr("gapbench.leaderboard.ranking.MANY_FILES", 1)
    elsewhere = build_tables(finalise(made, tmp_path), tmp_path, SPECS)
    assert elsewhere == here
    assert [(r.label, r.rank, bool(r.untested)) for r in elsewhere[2].rows] == [
        ("better", 1, False), ("close", 2, False), ("identity", 2, False), ("lost", None, True), ("worse", 4, False),
    ]  # fmt: skip
    assert elsewhere[0].detectable is not None


def test_numbers_below_zero_have_a_minus_sign_and_nothing_is_less_than_no_difference():
    assert [number(x, share=False) for x in (-0.0151, -0.0001, 0.25)] == ["−0.015", "0.000", "0.250"]
    assert [number(x, share=True) for x in (-0.0151, -0.0001, 0.25)] == ["−1.5", "0.0", "25.0"]
