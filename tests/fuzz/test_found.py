"""What fuzzing has found, each in the smallest form."""

import io
import os
import zipfile

import numpy as np
import pytest
from fuzz import material

from gapbench.builtin.datasets.captions import CaptionFile
from gapbench.builtin.prompts.files import from_file
from gapbench.embeddings.memo import Memos, sealed
from gapbench.embeddings.npz import open_npz
from gapbench.errors import DataError, GapbenchWarning, UsageError
from gapbench.figures.draw import kept_pair
from gapbench.host.discovery import discover
from gapbench.state import load_aligner

PICTURE = '{"images":[{"id":%s,"file_name":%s}],"annotations":[{"image_id":%s,"caption":"x"}]}'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.csv", b"image,caption\n\xff,x\n"),
        ("c.csv", b"image,caption\n" + b"x" * 200_000 + b",x\n"),
        ("c.json", b"[" * 100_000),
        ("c.json", (PICTURE % (1, '{"a": 1}', 1)).encode()),
        ("c.json", (PICTURE % (1, '"a"', "[1]")).encode()),
        ("c.json", (PICTURE % (1, f'"{"x" * 5_000}"', 1)).encode()),
    ],
)
def test_a_damaged_file_of_captions_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        CaptionFile(None, str(tmp_path / name)).splits()


@pytest.mark.parametrize("content", ["a = " + "[" * 5_000, "a = " + "9" * 5_000])
def test_a_table_of_prompts_that_python_cannot_read_is_named(tmp_path, content):
    (tmp_path / "p.toml").write_text(content)
    with pytest.raises(DataError, match=r"p\.toml"):
        from_file(str(tmp_path / "p.toml"))


def test_a_pipe_of_prompts_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="no ordinary file"):
        from_file(str(tmp_path / "pipe"))


def test_strings_that_are_no_characters_are_named(tmp_path):
    np.savez(tmp_path / "t.npz", names=np.full(2, 0x7FFFFFFF, "u4").view("U1"))
    with pytest.raises(DataError, match="no character"):
        open_npz(tmp_path / "t.npz")


def test_a_shape_of_truth_values_is_read_as_numbers(tmp_path):
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (True, 3)})
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("image.npy", member.getvalue() + bytes(12))
    assert open_npz(tmp_path / "t.npz")["image"].shape == (1, 3)


@pytest.mark.parametrize("value", [b"3", b"[]", b"null"])
def test_a_memo_without_fields_is_found_out_anew(tmp_path, value):
    memos = Memos(tmp_path)
    memos.remember("dataset", "a name", (), {"n": 1})
    path = memos.path("dataset", "a name")
    for content in (b'{"files":[],"name":"a name","value":%s}' % value, b'{"name":"a name","value":{}}'):
        path.write_bytes(sealed(content))
        with pytest.warns(GapbenchWarning, match="found out anew"):
            assert memos.recall("dataset", "a name", ()) is None


def test_links_that_go_round_are_no_plugin(tmp_path):
    (tmp_path / "loop.py").symlink_to("loop.py")
    with pytest.raises(UsageError, match="no plugin file"):
        discover(plugin_files=[tmp_path / "loop.py"])


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("images_after", np.ones((3, 6), "f4")),
        ("texts_before", np.full((4, 6), np.nan, "f4")),
        ("owner", np.array([0, 1, 2, 9])),
        ("owner", np.array(list("abcd"))),
        ("labels", np.asarray(7)),
    ],
)
def test_data_of_a_figure_that_does_not_fit_together_is_named(tmp_path, name, array):
    images, texts, labels = material.two_cones()
    arrays = {"images_before": images, "images_after": images, "texts_before": texts, "texts_after": texts}
    arrays |= {"owner": np.arange(4), "labels": labels, "words": np.array(["t", "mean-center", "", "", *"abcd"])}
    np.savez(tmp_path / "pair-x.npz", **arrays)
    assert kept_pair(tmp_path / "pair-x.npz").classes == tuple("abcd")
    np.savez(tmp_path / "pair-y.npz", **{**arrays, name: array})
    with pytest.raises(DataError, match=r"pair-y\.npz"):
        kept_pair(tmp_path / "pair-y.npz")


@pytest.mark.parametrize(
    "told", ["3", "[]", "[" * 5_000, '{"x": {"array": "y", "scalar": false}}', '{"x": {"dataclass": 1}}']
)
def test_a_damaged_fitted_aligner_is_named_and_nothing_of_it_is_taken(tmp_path, told):
    from safetensors.numpy import save_file

    save_file({"a": np.ones(2)}, tmp_path / "a.safetensors", metadata={"gapbench-aligner": told})
    aligner = material.new_aligner()
    before = dict(vars(aligner))
    with pytest.raises(DataError, match="does not hold a fitted aligner"):
        load_aligner(aligner, tmp_path / "a.safetensors")
    assert vars(aligner) == before
