"""Figures as PNG, SVG and PDF, for the screen and for paper."""

import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from gapbench.figures.draw import draw_again
from gapbench.figures.style import Output, written_as
from gapbench.host.discovery import discover

LEADERBOARD = Path(__file__).parents[2] / "leaderboards" / "digits"
PAPER_WIDTH = 6.9
STEMS = ["gap-accuracy", "pca-mini-clip_digits_photo", "umap-mini-clip_digits_photo"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Records and the data of one picture, without a drawn figure."""
    folder = tmp_path_factory.mktemp("results")
    (folder / "figures").mkdir()
    shutil.copytree(LEADERBOARD / "records", folder / "records")
    shutil.copy(LEADERBOARD / "figures" / "pair-mini-clip_digits_photo.npz", folder / "figures")
    return folder


@pytest.fixture(scope="module")
def paper(results, tmp_path_factory):
    """Figures for paper, drawn twice into two folders."""
    folders = [tmp_path_factory.mktemp("paper") for _ in range(2)]
    for folder in folders:
        with written_as(Output(formats=("pdf", "png"), paper=True)):
            draw_again(results, discover().metric_specs(), to=folder)
    return folders


def figures(folder):
    """Give the figures of a folder, without the list of their hashes and its lock."""
    return [path for path in folder.iterdir() if path.suffix in (".png", ".svg", ".pdf")]


def test_names_are_stable_and_bytes_the_same(paper):
    one, two = paper
    assert sorted(path.name for path in figures(one)) == [f"{stem}.{kind}" for stem in STEMS for kind in ("pdf", "png")]
    for path in figures(one):
        assert path.read_bytes() == (two / path.name).read_bytes(), path.name


def test_a_figure_for_paper_is_as_wide_as_two_columns_and_loses_nothing_at_its_edges(paper):
    for path in paper[0].glob("*.pdf"):
        box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) [\d.]+ ?\]", path.read_bytes())
        assert float(box[1]) == pytest.approx(72 * PAPER_WIDTH, abs=0.5), path.name
    for path in paper[0].glob("*.png"):
        with Image.open(path) as picture:
            assert picture.width == 300 * PAPER_WIDTH
            grey = picture.convert("L")
            edges = [grey.crop((0, 0, 1, grey.height)), grey.crop((grey.width - 1, 0, grey.width, grey.height))]
            assert all(edge.getextrema() == (255, 255) for edge in edges), path.name


def test_letters_in_a_pdf_can_be_searched(paper):
    for path in paper[0].glob("*.pdf"):
        assert b"/Type3" not in path.read_bytes().replace(b" ", b"")  # Type 42 is embedded as /CIDFontType2
        assert b"/CIDFontType2" in path.read_bytes()


def test_the_command_draws_for_the_screen_unless_told_otherwise(gapbench, paper, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(LEADERBOARD / "records", results / "records")
    gapbench("figures", "--out", results, "--to", tmp_path / "screen")
    assert {path.suffix for path in figures(tmp_path / "screen")} == {".png", ".svg"}
    with Image.open(tmp_path / "screen" / "gap-accuracy.png") as picture:
        assert picture.width != 300 * PAPER_WIDTH
    gapbench("figures", "--out", results, "--format", "pdf", "--paper", "--to", tmp_path / "paper")
    assert {path.suffix for path in figures(tmp_path / "paper")} == {".pdf"}
    for path in figures(tmp_path / "paper"):
        assert path.read_bytes() == (paper[0] / path.name).read_bytes()


def test_an_unknown_format_and_a_folder_that_cannot_be_are_said(gapbench, results, tmp_path):
    done = gapbench("figures", "--out", results, "--format", "png,jpg", code=2)
    assert "'jpg'" in done.stderr
    assert "png, svg, pdf" in done.stderr
    (tmp_path / "file").write_text("no folder")
    done = gapbench("figures", "--out", results, "--to", tmp_path / "file" / "figures", code=2)
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
