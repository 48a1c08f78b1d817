"""Figures are the same whatever matplotlib is set to, and show any name as text."""

import os
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

from gapbench.figures.pair import PairData, draw_pair
from gapbench.figures.style import LONGEST_WORDS, Output, words, written_as

NAMES = [
    "$5 to $9", "$_$", "cost $x", "a_b^c{", "_hidden", "", "two\nlines", "日本語", "عربي", "👩\u200d🔬", "\u202eevil", "\x00\x1b[2J", "x" * 500,
    r"\frac{1}{", "-->", "]]>", "%s {0}", "\ud800",
]  # fmt: skip

DRAW = """
import sys
import numpy as np
from pathlib import Path
from gapbench.figures.pair import PairData, draw_pair
rows = np.random.default_rng(0).normal(size=(30, 4)).astype("f4")
made = PairData(images_before=rows, texts_before=rows[:3], images_after=rows + 1, texts_after=rows[:3], owner=np.arange(3),
                labels=np.arange(30) % 3, classes=("a", "b", "c"), title="t", after="x")
draw_pair(made, Path(sys.argv[1]) / "pair", method="pca")
"""


def data():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(3 * len(NAMES), 8)).astype(np.float32)
    texts = rng.normal(size=(len(NAMES), 8)).astype(np.float32)
    return PairData(
        images_before=images, texts_before=texts, images_after=images + 1, texts_after=texts, owner=np.arange(len(NAMES)),
        labels=np.arange(len(images)) % len(NAMES), classes=NAMES, title="$ _ {", after="$^$",
    )  # fmt: skip


@pytest.mark.parametrize("paper", [False, True])
def test_any_class_name_is_drawn_as_text_and_warnings_are_no_errors(tmp_path, paper):
    with warnings.catch_warnings(), written_as(Output(formats=("png", "svg", "pdf"), paper=paper)):
        warnings.simplefilter("error")
        files = draw_pair(data(), tmp_path / "pair", method="pca")
    assert all(file.stat().st_size > 1000 for file in files)
    svg = files[1].read_text()
    assert "\x1b" not in svg
    assert "<!-- $5 to $9 -->" in svg  # matplotlib notes each text; a formula would be noted without its signs
    for name in ("_hidden", "\\frac{1}{"):
        assert svg.count(f"{name} -->") >= 3, "both panels and the legend name it"


def test_words_are_one_line_that_no_legend_leaves_out():
    assert words("a\nb\x1b") == "a b\\x1b"
    assert all(words(name) and not words(name).startswith("_") for name in NAMES)
    assert len(words("x" * 500)) == LONGEST_WORDS


def test_titles_with_formulas_are_text_in_all_parts(tmp_path):
    draw_pair(
        replace(data(), title=r"$\undefined$", after=r"$\bad{$", scores=("$", "$")), tmp_path / "pair", method="pca"
    )


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "TkAgg", "nonsense", ""])
def test_neither_a_backend_nor_a_style_changes_a_byte(tmp_path, backend):
    (tmp_path / "matplotlibrc").write_text(
        "font.size: 30\naxes.facecolor: red\nsavefig.dpi: 20\nsvg.fonttype: none\nlines.linewidth: 9\n"
    )
    plain, styled = tmp_path / "plain", tmp_path / "styled"
    for folder, env in ((plain, {}), (styled, {"MPLBACKEND": backend, "MATPLOTLIBRC": str(tmp_path)})):
        done = subprocess.run(
            [sys.executable, "-c", DRAW, folder], env={**{k: v for k, v in os.environ.items() if k != "MPLBACKEND"}, **env},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    for path in plain.glob("pair.*"):
        assert path.read_bytes() == (styled / path.name).read_bytes(), path.name
