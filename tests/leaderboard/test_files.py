"""Figures are what the records give, and what else lies in a leaderboard's folder is told."""

import numpy as np
import pytest

from gapbench.figures import pair
from gapbench.figures.draw import draw_both
from gapbench.figures.pair import PairData
from gapbench.verification.files import check_files


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Give a folder with the two pictures of a pair, whose places are those of the first two columns."""
    monkeypatch.setattr(pair, "project", lambda rows, method, seed=0: rows[:, :2].astype(np.float64))
    rows = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    data = PairData(
        images_before=rows,
        texts_before=rows[:2],
        images_after=rows,
        texts_after=rows[:2],
        owner=np.arange(2),
        labels=np.arange(6) % 2,
        classes=("cat", "dog"),
        title="enc, data, photo",
        after="procrustes",
    )
    place = tmp_path / "figures"
    place.mkdir()
    arrays = ("images_before", "texts_before", "images_after", "texts_after", "owner", "labels")
    words = np.array([data.title, data.after, "", "", *data.classes])
    np.savez_compressed(place / "pair-x.npz", **{name: getattr(data, name) for name in arrays}, words=words)
    draw_both(data, place, "x")
    return tmp_path


def test_pictures_of_pairs_are_drawn_again_where_that_is_asked_for(folder):
    no_table = "figures/pair-x.npz is of no table of these records"
    assert check_files(folder, {}, [], pairs=True) == ([], [no_table])
    assert check_files(folder, {}, []) == ([], [no_table, "2 pictures of pairs were not drawn again; --figures does"])
    picture = folder / "figures" / "umap-x.png"
    picture.write_bytes(picture.read_bytes()[:-1] + b"x")
    (folder / "figures" / "pca-x.svg").unlink()
    assert check_files(folder, {}, [])[0] == []
    assert check_files(folder, {}, [], pairs=True)[0] == [
        "figures/umap-x.png is not what the records give; `gapbench leaderboard build` draws it",
        "figures/pca-x.svg is missing",
    ]


def test_damaged_data_of_a_picture_is_told(folder):
    (folder / "figures" / "pair-x.npz").write_bytes(b"PK")
    failures, _ = check_files(folder, {}, [])
    assert len(failures) == 1
    assert "pair-x.npz" in failures[0]


def test_links_folders_and_files_of_others_are_told(folder):
    (folder / "figures" / "more").mkdir()
    (folder / "figures" / "umap-x.svg").unlink()
    (folder / "figures" / "umap-x.svg").symlink_to("/etc/passwd")
    (folder / "notes.txt").write_text("mine")
    (folder / "figures" / "mine.pdf").write_text("mine")
    failures, remarks = check_files(folder, {}, [])
    assert failures == ["figures/more is no plain file", "figures/umap-x.svg is no plain file"]
    assert {"notes.txt is no part of a leaderboard", "figures/mine.pdf is no figure of these records"} <= set(remarks)


def test_a_leaderboard_without_figures_has_none_to_check(tmp_path):
    assert check_files(tmp_path, {}, []) == ([], [])
    assert check_files(tmp_path / "nothing", {}, []) == ([], [])
