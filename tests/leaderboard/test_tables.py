"""Tables, their ranks, and the Markdown that is made of them."""

import csv
import io
import re

import msgspec
import numpy as np
import pytest
from records import N, failed, hits, other_code, record, stored
from rich.console import Console

from gapbench.components import Measurement
from gapbench.host.discovery import discover
from gapbench.host.registry import Kind
from gapbench.leaderboard.assemble import build_tables, only
from gapbench.leaderboard.exports import to_csv
from gapbench.leaderboard.markdown import code, escape, markdown
from gapbench.leaderboard.table import largest_fits
from gapbench.leaderboard.terminal import print_table
from gapbench.leaderboard.text import number
from gapbench.model.record import EncoderRef, MetricValue, Unmeasured
from gapbench.model.study import Reference, Study
from gapbench.results import journal
from gapbench.results.answers import answers
from gapbench.results.comparisons import compare
from gapbench.results.outcomes import SUFFIX, pack

SPECS = {name: c.spec for name, c in discover().components(Kind.METRIC).items()}


def tables_of(found, study=None):
    return build_tables(compare(answers(found)), SPECS, study)


def dataset(fingerprint):
    return msgspec.structs.replace(record()[0].dataset, fingerprint=fingerprint)


def damage(folder, one):
    """Change one byte of the outcomes of a record."""
    path = journal.run_file(folder).with_suffix(SUFFIX)
    content = bytearray(path.read_bytes())
    content[one.record.outcomes.offset + one.record.outcomes.length - 1] ^= 1
    path.write_bytes(content)
    return journal.read_folder(folder)


@pytest.fixture
def records(tmp_path):
    rows = [
        record("identity", hits(0.90), gap=0.8),
        record("close", hits(0.905), gap=0.1),
        record("better", hits(0.97), gap=0.9),
        record("worse", hits(0.5), gap=0.05),
        record("random-rotation", hits(0.99), gap=1.0, control=True),
        failed("bro|ken", reason="<script>alert(1)</script> | x"),
    ]
    return stored(tmp_path, rows)


def test_rows_are_ranked_by_the_task_and_share_ranks_where_they_cannot_be_told_apart(records):
    (table,) = tables_of(records)
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
        record("identity", hits(0.9), created="2026-01-01", dataset=dataset("old")),
        record("identity", hits(0.8), created="2026-02-01", dataset=dataset("new")),
    ]
    older, newer = tables_of(stored(tmp_path, rows))
    if newer.stale:
        older, newer = newer, older
    assert (older.stale, newer.stale) == (True, False)
    assert newer.rows[0].values["top1"].value == 0.8
    assert (newer.rows[0].rank, older.rows[0].rank) == (1, None)
    page = markdown([older, newer], tmp_path, Study(name="toy"), SPECS, command="gapbench run")
    assert "older weights, images or texts" in page
    assert "90.0" not in page


def test_the_terminal_table_fits_and_tells_all(records):
    (table,) = tables_of(records)
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
        tables = tables_of(records, study)
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
        record(
            "identity",
            hits(0.5),
            encoder=EncoderRef(component=name, name=name, fingerprint=name, dtype="float32", distribution="gapbench"),
        )
        for name in ("clip", "mini-clip")
    ]
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "umap-mini-clip_data_photo.png").touch()
    (tmp_path / "figures" / "learning-mini-clip_data_photo_held-out_top1.png").touch()
    tables = tables_of(stored(tmp_path, rows))
    page = markdown(tables, tmp_path, Study(name="toy"), SPECS, command="gapbench run")
    first, second = page.split("## mini-clip / data / photo")
    assert "umap-" not in first
    assert "umap-mini-clip_data_photo.png" in second
    assert (
        "learning-mini-clip_data_photo_held-out_top1.png" in first.partition("## clip")[0]
    )  # of all tables, so before them


def test_markup_in_the_name_of_a_metric_stays_text(tmp_path):
    value = MetricValue(value=0.5, ci95=None, n=N, distribution="gapbench")
    tables = tables_of(stored(tmp_path, [record("identity", metrics={"a|<b>": value})]))
    page = markdown(tables, tmp_path, Study(name="toy"), SPECS, command="gapbench run")
    assert "<b>" not in page
    assert "a\\|&lt;b&gt;" in page


def test_any_name_and_every_digit_come_back_from_the_csv(tmp_path):
    values = {
        'a,"b"': MetricValue(value=0.1 + 0.2, ci95=(1e-300, 1.0), n=N, distribution="gapbench"),
        "plain": MetricValue(value=2.0, ci95=None, n=N, distribution="gapbench"),
    }
    odd = stored(tmp_path, [record('x[y="1,2"]', metrics=values)])
    first, second = csv.DictReader(io.StringIO(to_csv(tables_of(odd))))
    assert first["aligner"] == second["aligner"] == 'x[y="1,2"]'
    assert (first["metric"], first["value"], first["low"], first["high"]) == ('a,"b"', repr(0.1 + 0.2), "1e-300", "1.0")
    assert (second["metric"], second["value"]) == ("plain", "2.0")
    assert {second[name] for name in ("fit_size", "rank", "low", "high", "delta", "p_holm")} == {""}


@pytest.mark.parametrize(
    ("others", "rank"),
    [((0.6, 0.9, 0.9), 1), ((0.9, 0.9, 0.6), 1), ((0.6, 0.6, 0.7), 2)],
    ids=["first", "last", "all"],
)
def test_one_seed_that_differs_does_not_decide_a_rank(tmp_path, others, rank):
    rows = [record("identity", hits(0.9), seed=seed) for seed in range(3)]
    rows += [record("other", hits(top1), seed=seed) for seed, top1 in enumerate(others)]
    (table,) = tables_of(stored(tmp_path, rows))
    assert {row.label: row.rank for row in table.rows} == {"identity": 1, "other": rank}


def test_gap_metrics_alone_rank_nothing_and_make_nothing_better(tmp_path):
    rng, rows = np.random.default_rng(0), []
    for name, gap in (("identity", 0.8), ("closer", 0.1), ("farther", 1.2)):
        measured = Measurement(value=gap, n=N, jackknife=gap + rng.normal(size=20) * 1e-3)
        value = MetricValue(value=gap, ci95=None, n=N, distribution="gapbench")
        rows.append((record(name, metrics={"centroid-l2": value})[0], pack({"centroid-l2": measured}, None)))
    (table,) = tables_of(stored(tmp_path, rows))
    assert [(row.label, row.rank) for row in table.rows] == [("identity", None), ("closer", None), ("farther", None)]
    assert table.row("farther").values["centroid-l2"].significant
    page = markdown([table], tmp_path, Study(name="toy"), SPECS, command="gapbench run")
    assert "better than" not in page


def test_a_row_that_cannot_be_tested_has_no_rank_and_says_why(tmp_path):
    found = stored(tmp_path, [record("identity", hits(0.95)), record("awful", hits(0.1))])
    (table,) = tables_of(damage(tmp_path, found[1]))
    assert {row.label: row.rank for row in table.rows} == {"identity": 1, "awful": None}
    page = markdown([table], tmp_path, Study(name="toy"), SPECS, command="gapbench run")
    assert "`awful`: no rank: its per-item outcomes are missing" in page
    assert str(tmp_path) not in page
    console = Console(width=120, record=True, file=io.StringIO())
    print_table(console, table, SPECS)
    assert "awful: no rank" in console.export_text()


def test_a_row_whose_outcomes_are_damaged_changes_no_other_row(tmp_path):
    made = []
    for fingerprint in ("a", "b", "c"):
        shares = {"identity": 0.9, "close": 0.905, "better": 0.97, "worse": 0.5, "lost": 0.6}
        made += [record(name, hits(share), dataset=dataset(fingerprint)) for name, share in shares.items()]
    whole = stored(tmp_path, made)
    before = tables_of(whole)
    after = tables_of(damage(tmp_path, whole[-1]))
    for one, other in zip(before[:2], after[:2], strict=True):
        assert [(r.label, r.rank, r.rank_high, r.values) for r in one.rows] == [
            (r.label, r.rank, r.rank_high, r.values) for r in other.rows
        ]
    assert [(r.label, r.rank, bool(r.untested)) for r in after[2].rows] == [
        ("better", 1, False), ("close", 2, False), ("identity", 2, False), ("lost", None, True), ("worse", 4, False),
    ]  # fmt: skip
    assert after[0].detectable is not None


def test_a_metric_that_failed_is_named_under_the_table_and_changes_no_rank_and_no_test(tmp_path):
    whole = {"identity": 0.9, "other": 0.6, "better": 0.99}
    plain = tables_of(stored(tmp_path / "whole", [record(name, hits(share)) for name, share in whole.items()]))
    why = Unmeasured(status="error", reason="it raised ValueError: no", distribution="toy")
    rows = [record(name, hits(share), unmeasured={"odd": why}) for name, share in whole.items()]
    (table,) = tables_of(stored(tmp_path / "odd", rows))
    assert [(row.label, row.rank, row.values) for row in table.rows] == [
        (row.label, row.rank, row.values) for row in plain[0].rows
    ]
    page = markdown([table], tmp_path, Study(name="toy"), SPECS, command="gapbench run")
    assert "odd failed for better, identity, other: it raised ValueError: no" in page


def test_rows_that_were_not_asked_for_are_hidden_and_still_count(tmp_path):
    found = stored(tmp_path, [record("identity", hits(0.9)), record("better", hits(0.99)), record("mine", hits(0.5))])
    (table,) = only(tables_of(found), lambda record: record.label == "mine")
    assert [(row.label, row.rank) for row in table.rows] == [("mine", 3)]
    assert only(tables_of(found), lambda record: False) == []


def test_one_content_under_two_names_is_said(tmp_path):
    twice = EncoderRef(component="enc", name="again", fingerprint="e" * 64, dtype="float32", distribution="gapbench")
    found = stored(tmp_path, [record("identity", hits(0.9)), record("identity", hits(0.9), encoder=twice)])
    again, enc = tables_of(found)
    assert "again has the same weights as enc." in again.remarks
    assert "enc has the same weights as again." in enc.remarks


def test_what_other_code_gave_before_is_told_under_the_table(tmp_path):
    rows = [record("identity", hits(0.9)), record("other", hits(0.5), created="2026-01-01")]
    rows.append(record("other", hits(0.7), created="2026-02-01", code=other_code()))
    (table,) = tables_of(stored(tmp_path, rows))
    assert table.row("other").values["top1"].value == pytest.approx(0.7)
    page = markdown([table], tmp_path, Study(name="toy"), SPECS, command="gapbench run")
    assert "other: by other code before: top1 0.7" in page


def test_numbers_below_zero_have_a_minus_sign_and_nothing_is_less_than_no_difference():
    assert [number(x, share=False) for x in (-0.0151, -0.0001, 0.25)] == ["−0.015", "0.000", "0.250"]
    assert [number(x, share=True) for x in (-0.0151, -0.0001, 0.25)] == ["−1.5", "0.0", "25.0"]


def test_tables_of_another_index_or_type_are_told_apart_everywhere(tmp_path):
    encoder = record()[0].encoder
    rows = [
        record("identity", hits(0.5)),
        record("identity", hits(0.6), index="hnsw"),
        record("identity", hits(0.7), encoder=msgspec.structs.replace(encoder, dtype="bfloat16", fingerprint="b" * 64)),
    ]
    tables = tables_of(stored(tmp_path, rows))
    assert [table.stale for table in tables] == [False] * 3
    assert len({table.how for table in tables}) == 3
    assert {line.split(",")[1] for line in to_csv(tables).splitlines()[1:]} == {"float32", "bfloat16"}
    assert len({line.partition(",0.")[0] for line in to_csv(tables).splitlines()}) > 3
    assert len(largest_fits(tables)) == 3


def test_an_identity_of_another_distribution_is_named_with_it(tmp_path):
    draft, content = record("identity", hits(0.9))
    theirs = msgspec.structs.replace(draft, aligner=msgspec.structs.replace(draft.aligner, distribution="toy"))
    (table,) = tables_of(stored(tmp_path, [(theirs, content), record("other", hits(0.5))]))
    assert sorted(row.label for row in table.rows) == ["identity (toy)", "other"]
    assert table.row("identity") is None
