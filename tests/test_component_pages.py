"""Every aligner and every metric has a page, made from its spec and its docstring."""

import html
import importlib
import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gapbench import ActsOn, AlignerSpec, Need, Param
from gapbench.builtin import aligners, metrics
from gapbench.host.registry import Component, Kind, Origin
from gapbench.host.selection import BRACKETS, parse_value
from gapbench.leaderboard.markdown import escape

DOCS = Path(__file__).parent.parent / "docs"
NASTY = "1. <b>x</b> | $a$ `b` *c* {d}`e` [f](g) # & :::"


@pytest.fixture(scope="module")
def generator():
    sys.path.insert(0, str(DOCS))
    import component_pages

    return component_pages


@pytest.fixture(scope="module")
def components(generator):
    return generator.components()


@pytest.fixture(scope="module")
def pages(generator, tmp_path_factory):
    """Write the pages as the docs do."""
    docs = tmp_path_factory.mktemp("docs")
    generator.write_pages(docs)
    return docs


@pytest.fixture(scope="module")
def built(generator, tmp_path_factory):
    """Build the pages, and one of a component whose every text is full of marks, as the docs are built."""
    for module in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(module, reason="the docs are built with the extra 'docs'")
    docs, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("html")
    param = Param(default=NASTY, choices=(NASTY,), doc=NASTY)
    spec = AlignerSpec(
        name="nasty",
        factory="gapbench.builtin.aligners.controls:Identity",
        summary=NASTY,
        family="control",
        needs=frozenset({Need.PAIRS}),
        acts_on=ActsOn.NOTHING,
        params={"p": param},
        reference=NASTY,
    )
    nasty = Component(Kind.ALIGNER, spec, Origin("gapbench-nasty", "1.0", "", ""))
    (docs / "nasty.md").write_text(generator.page(nasty))
    (docs / "index.md").write_text("# x\n\n```{toctree}\naligners/index\nmetrics/index\nnasty\n```\n")
    command = (sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", "-c", str(DOCS), str(docs), str(out))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def docstring(component):
    module, _, attribute = component.spec.factory.partition(":")
    return inspect.getdoc(getattr(importlib.import_module(module), attribute)) or ""


def commands(page):
    (command,) = re.findall(r"```sh\n(.*)\n```", page)
    return shlex.split(command)


def test_every_registered_aligner_and_metric_has_a_page(components, pages):
    names = {(component.kind, component.spec.name) for component in components}
    registered = {(Kind.ALIGNER, spec.name) for spec in aligners.SPECS} | {
        (Kind.METRIC, spec.name) for spec in metrics.SPECS
    }
    assert registered < names
    for distribution in ("gapbench-adapters", "gapbench-hubness", "gapbench-transport"):
        assert any(component.origin.distribution == distribution for component in components)
    for kind, name in names:
        index = (pages / f"{kind}s/index.md").read_text()
        assert f"({name}.md)" in index
        assert f"\n{name}\n" in index.partition("{toctree}")[2]
        assert (pages / f"{kind}s/{name}.md").is_file()


def test_a_page_tells_the_parameters_and_the_source(components, pages):
    for component in components:
        spec = component.spec
        page = (pages / f"{component.kind}s/{spec.name}.md").read_text()
        assert escape(spec.reference or "none") in page
        assert f":: {spec.factory.replace(':', '.')}\n" in page
        for name, param in getattr(spec, "params", {}).items():
            assert f"| `{name}` |" in page
            assert escape(param.doc) in page
        for name, value in spec.options.items():
            assert escape(f"{name} = {value}") in page
        if component.origin.distribution != "gapbench":
            assert f"`pip install plugins/{component.origin.distribution}`" in page


def test_the_command_of_a_page_is_understood(components, pages):
    for component in components:
        spec = component.spec
        words = commands((pages / f"{component.kind}s/{spec.name}.md").read_text())
        assert words[:2] == ["gapbench", "run"]
        asked = words[words.index("-m" if component.kind is Kind.METRIC else "identity") + 1 :]
        if component.kind is Kind.METRIC:
            assert len(asked) == 1
            assert asked[0].partition("[")[0] == spec.name
            assert ("[" in asked[0]) is bool(spec.params)
            continue
        transductive = bool(spec.needs & {Need.TEST_IMAGES, Need.TEST_TEXTS})
        assert asked[2:] == ["--protocol", "transductive"] * transductive
        brackets = BRACKETS.match(asked[1])
        assert (brackets["name"] if brackets else asked[1]) == spec.name
        assert bool(brackets) is bool(spec.params)
        if brackets:
            key, _, values = brackets["params"].partition("=")
            for value in values.split(","):
                parse_value(spec.name, key, spec.params[key], value)


def test_the_docstring_behind_every_page_tells_a_formula_a_cost_or_a_source(components):
    """A page without either says nothing that its name does not say."""
    for component in components:
        told = docstring(component)
        assert len(told) > 35, component.spec.name
        told += component.spec.reference
        assert any(sign in told for sign in (":math:", "arXiv", "``", "O(", " 19", " 20")), component.spec.name


def test_a_built_page_shows_the_first_formula_or_sentence_of_the_docstring(components, built):
    for component in components:
        page = (built / f"{component.kind}s/{component.spec.name}.html").read_text()
        page = " ".join(html.unescape(page).split())
        told = docstring(component)
        if formula := re.search(r":math:`([^`]*)`", told):
            shown = f'<span class="math notranslate nohighlight">\\({formula[1]}\\)</span>'
        else:
            shown = re.split(r"[.:(`*]", told)[0].replace("'", "’")  # as Sphinx writes it
        assert " ".join(shown.split()) in page, component.spec.name


def test_what_a_docstring_refers_to_is_shown_or_linked(built):
    assert "drawn by what they are" in (built / "metrics/mixed-recall@10.html").read_text()
    assert 'href="procrustes.html"' in (built / "aligners/shuffled-pairs.html").read_text().partition("<article")[2]


def test_text_of_a_spec_stays_text(built):
    page = (built / "nasty.html").read_text().partition("<article")[2].partition("</article")[0]
    shown = html.unescape(re.sub(r"<[^>]*>", "", page))
    assert shown.count(NASTY) == 6  # summary, reference, command, default, choice, meaning
    assert not re.search(r"<b>|<ol|<em>c|class=\"math[^>]*>\\\(a", page)


def test_a_page_that_has_not_changed_is_not_written_again(generator, pages):
    (pages / "aligners/gone.md").write_text("of an aligner that is no more")
    before = {path: path.stat().st_mtime_ns for path in pages.rglob("*.md")}
    generator.write_pages(pages)
    assert {path: path.stat().st_mtime_ns for path in pages.rglob("*.md")} == {
        path: time for path, time in before.items() if path.name != "gone.md"
    }
