"""Figures: drawn from data alone, the same each time, and drawn again from what a run kept."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from gapbench.errors import UsageError
from gapbench.figures.pair import PairData, draw_pair, project
from gapbench.figures.style import failures_told


def data(captions=False):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(40, 8)).astype(np.float32) + 2
    texts = rng.normal(size=(40 if captions else 4, 8)).astype(np.float32)
    return PairData(
        images_before=images,
        texts_before=texts,
        images_after=images - 2,
        texts_after=texts,
        owner=np.arange(len(texts)),
        labels=np.zeros(0, np.int64) if captions else np.arange(40) % 4,
        classes=() if captions else ("ant", "bee", "cat", "dog"),
        title="toy",
        after="shift",
    )


@pytest.mark.parametrize("captions", [False, True])
def test_a_pair_is_drawn_twice_the_same(tmp_path, captions):
    files = [draw_pair(data(captions), tmp_path / name, method="pca") for name in ("a", "b")]
    for one, two in zip(*files, strict=True):
        assert one.read_bytes() == two.read_bytes()
    with Image.open(files[0][0]) as picture:
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(10**6)) > 50
    svg = files[0][1].read_text()
    assert svg.count('<g id="axes_') == 2


def test_a_figure_is_drawn_again_only_when_its_data_changed(tmp_path):
    files = draw_pair(data(), tmp_path / "pair", method="pca")
    stamps = [file.stat().st_mtime_ns for file in files]
    assert draw_pair(data(), tmp_path / "pair", method="pca") == files
    assert [file.stat().st_mtime_ns for file in files] == stamps
    draw_pair(replace(data(), after="another name"), tmp_path / "pair", method="pca")
    assert all(file.stat().st_mtime_ns > stamp for file, stamp in zip(files, stamps, strict=True))
    files[1].unlink()
    draw_pair(replace(data(), after="another name"), tmp_path / "pair", method="pca")
    assert "<svg" in files[1].read_text()


def test_a_figure_that_was_edited_or_is_somebody_elses_stays(tmp_path):
    files = draw_pair(data(), tmp_path / "pair", method="pca")
    edited = files[1].read_text().replace("</svg>", "<!-- mine --></svg>")
    files[1].write_text(edited)
    with pytest.raises(UsageError, match=r"pair\.svg"):
        draw_pair(data(), tmp_path / "pair", method="pca")
    (tmp_path / "other.png").write_bytes(b"mine")
    with failures_told() as failed:
        assert draw_pair(data(), tmp_path / "other", method="pca") == []
        assert len(draw_pair(data(), tmp_path / "third", method="pca")) == 2
    assert [name for name, _ in failed] == ["other"]
    assert files[1].read_text() == edited
    assert (tmp_path / "other.png").read_bytes() == b"mine"
    assert not (tmp_path / "other.svg").exists()


def test_pca_places_are_those_of_the_largest_spread():
    rows = data().images_before
    places = project(rows, "pca")
    spread = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)
    np.testing.assert_allclose(np.linalg.norm(places, axis=0), spread[:2], rtol=1e-5)


def test_umap_is_the_same_for_the_same_rows():
    rows = data().images_before
    np.testing.assert_array_equal(project(rows, "umap"), project(rows, "umap"))


def test_figures_are_drawn_again_from_what_the_run_kept(gapbench, tmp_path):
    gapbench("run", "-d", "digits", "-p", "photo", "-m", "top1", "-m", "centroid-l2", "--out", tmp_path)
    drawn = sorted((tmp_path / "figures").glob("*.png"))
    assert [path.name for path in drawn] == [
        "gap-accuracy.png",
        "pca-mini-clip_digits_photo.png",
        "umap-mini-clip_digits_photo.png",
    ]
    before = {path: path.read_bytes() for path in drawn}
    for path in drawn:
        path.unlink()
    gapbench("figures", "--out", tmp_path)
    assert {path: path.read_bytes() for path in drawn} == before


def test_figures_without_a_run_say_what_to_do(gapbench, tmp_path):
    assert "gapbench run --out" in gapbench("figures", "--out", tmp_path, code=2).stderr


@pytest.mark.parametrize("side", [0, 1])
def test_names_of_stars_do_not_overlap_where_one_side_is_much_wider(monkeypatch, tmp_path, side):
    rng = np.random.default_rng(1)
    texts = rng.normal(size=(10, 8)).astype(np.float32) * 0.05 + 1
    near, far = (rng.normal(size=(30, 8)).astype(np.float32) * 0.1 + shift for shift in (1, -3))
    kept = []
    monkeypatch.setattr("gapbench.figures.pair.drawn", lambda _path, _source, draw: kept.append(draw()) or [])
    crowded = PairData(
        images_before=(near, far)[side],
        texts_before=texts,
        images_after=(far, near)[side],
        texts_after=texts,
        owner=np.arange(10),
        labels=np.arange(30) % 10,
        classes=("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
        title="toy",
        after="shift",
    )
    draw_pair(crowded, tmp_path / "pair", method="pca")
    (figure,) = kept
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [Text.get_window_extent(text) for text in axes.texts]
        assert len(boxes) == 10
        for i, one in enumerate(boxes):
            assert not [j for j, two in enumerate(boxes[:i]) if one.overlaps(two)]
