"""Names of others are text in every writer: no commands, no formulas, no markup, nothing that steers."""

import csv
import io
import json
import re

import numpy as np
import pytest

from gapbench import run
from gapbench.leaderboard.across import index
from gapbench.leaderboard.build import pages
from gapbench.leaderboard.exports import to_csv, to_latex
from gapbench.leaderboard.kept import keep_study
from gapbench.leaderboard.markdown import escape
from gapbench.leaderboard.notebook import html
from gapbench.leaderboard.page.data import page_data
from gapbench.model.request import Request
from gapbench.model.study import Study

EVIL = {
    "terminal": "clip\x1b]0;title\x07\x1b[2J\x9b\x7f",
    "bidi": "a\u202eb\u2066c\u200f",
    "latex": 'clip\n\\input{/etc/hostname}\n% \\write18{x}~^^5c"<>|',
    "formula": '=HYPERLINK("http://example.org","clip")',
    "plus": "+1+cmd|' /C calc'!A0",
    "minus": "-2+3+cmd|' /C calc'!A0",
    "at": "@SUM(A1)",
    "tab": "\t=1+1",
    "return": "\r=1+1",
    "quote": '"=1+1',
    "newline": "a\n=1+1\n,=1+1",
    "semicolon": "a;=1+1;@x",
    "wide": "＝1+1",
    "html": "</script><script>alert(1)</script><img src=x onerror=alert(1)>&amp;",
    "separator": "a\u2028b\u2029c",
    "markdown": "x | [link](javascript:x) `code` **b** <b> ![i](j) # h ~~s~~",
    "list": "- item",
    "number": "1. item",
    "fence": "```\n# heading\n````",
}  # fmt: skip
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    texts = rng.normal(size=(3, 8)).astype("f4")
    np.savez(folder / "t.npz", image=(texts[labels] + rng.normal(size=(60, 8))).astype("f4"), text=texts, label=labels)
    return run(
        datasets=[f"embeddings:{folder / 't.npz'}"],
        aligners=["identity", "mean-center"],
        metrics=["top1", "centroid-l2"],
    )


@pytest.fixture(params=EVIL.values(), ids=EVIL)
def named(request, results):
    """Give tables whose encoder, data set, prompts and aligner have an evil name, and what is known of metrics."""
    (table,) = results.tables
    kept = (table.encoder, table.dataset, table.prompts, table.rows[1].label)
    table.encoder = table.dataset = table.prompts = table.rows[1].label = request.param
    yield [table], results.metrics
    table.encoder, table.dataset, table.prompts, table.rows[1].label = kept


def test_csv_has_no_formula_and_one_line_a_value(named):
    tables, _ = named
    text = to_csv(tables)
    assert not STEERING.search(text)
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == len(text.splitlines()) == 5
    assert len({len(row) for row in rows}) == 1
    names = [cell for row in rows[1:] for cell in (row[0], row[1], row[2], row[6])]
    assert not [cell for cell in names if not cell.startswith("'") and re.match(r"[\s\"]*[=+\-@＝]", cell)]
    assert not [part for cell in names for part in cell.split(";") if re.match(r"[=+\-@]", part)]
    float(rows[1][13])


def test_labels_of_ordinary_aligners_are_as_they_were(results):
    (table,) = results.tables
    kept, table.rows[1].label = table.rows[1].label, "gap-shift[delta=0.2,-0.4]"
    try:
        assert "gap-shift[delta=0.2,-0.4]" in [row["aligner"] for row in csv.DictReader(io.StringIO(to_csv([table])))]
    finally:
        table.rows[1].label = kept


def test_latex_has_no_command_of_others_not_even_in_comments(named):
    tables, specs = named
    text = to_latex(tables, specs)
    assert not STEERING.search(text)
    own = r"\\(begin|end)\{tabular\}|\\(toprule|midrule|bottomrule|\\|[&%$#_{}]|(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|textquotedbl)\{\}|uparrow|downarrow|Delta)"
    assert "\\" not in re.sub(own, "", text)
    for line in text.splitlines():
        assert line.startswith(("% ", "\\", " &", "1 &", "2 &"))
        assert "%" not in re.sub(r"\\%", "", line.removeprefix("% "))


def test_markdown_and_html_show_names_as_text(named, tmp_path):
    tables, specs = named
    study = Study(name="toy", title=tables[0].encoder)
    found = pages(tmp_path, study, specs, tables)
    for name, text in found.items():
        assert not STEERING.search(text), name
    assert not STEERING.search(html(tables, specs))
    assert not STEERING.search(index([(study, tables)], specs))
    readme = found["README.md"]
    assert len(re.findall("^## ", readme, re.MULTILINE)) == 2  # the table, and what it was made with
    outside_code = re.sub(r"(?<![`\\])(`+)(?!`).*?(?<!`)\1(?!`)", "", readme)
    assert not re.search("<[a-z/!?]", outside_code, re.IGNORECASE)
    assert "<img" not in html(tables, specs) + found["page.html"].partition('id="data"')[0]
    head = next(line for line in readme.splitlines() if line.startswith("| #"))
    rows = [line for line in readme.splitlines() if line.startswith("| ")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in rows}) == 1, head


def test_the_data_of_the_page_ends_no_script_and_steers_nothing(named):
    tables, specs = named
    data, _ = page_data(tables, Study(name="toy"), specs, 10**6)
    assert not re.search("[<>&]", data)
    assert not STEERING.search(data)
    assert not STEERING.search(json.loads(data)["tables"][0]["encoder"].replace("\n", "").replace("\t", ""))


@pytest.mark.parametrize(
    ("text", "shown"),
    [("- a", r"\- a"), ("1. a", r"1\. a"), ("2) a", r"2\) a"), ("+x", r"\+x"), ("===", r"\==="), ("ordinary-name 1.5", "ordinary-name 1.5"), ("1.5", "1\\.5")],
)  # fmt: skip
def test_no_text_begins_a_list_or_underlines_a_heading(text, shown):
    assert escape(text) == shown


def test_a_command_with_backticks_stays_in_its_block(results, tmp_path):
    keep_study(tmp_path, Study(name="toy"), Request(datasets=("a\n```\n<script>",)))
    readme = pages(tmp_path, Study(name="toy"), results.metrics, results.tables)["README.md"]
    fence = re.search("^(`{4,})$", readme, re.MULTILINE)[1]
    assert readme.split(f"\n{fence}\n")[1] == "gapbench run -d 'a\n```\n<script>'"
