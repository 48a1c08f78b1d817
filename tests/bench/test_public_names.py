"""Names of what is given by a path: short, unique within a request, and the same for one thing in several spellings."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapbench.bench.public_names import public_names
from gapbench.host.discovery import discover
from gapbench.host.registry import Kind
from gapbench.host.selection import Selected

FILES = discover().components(Kind.DATASET)["embeddings"]
MODELS = discover().components(Kind.ENCODER)["open_clip"]


def names(*arguments, of=FILES):
    """Name what is selected, without the name of its family."""
    return [name.partition(":")[2] for name in public_names([Selected(of, str(argument)) for argument in arguments])]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Stand in ``tmp_path/work``, with files around."""
    for place in ("work/a", "work/b", "x/s1", "y/s2", "y/s1", "x/a"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "e.npz").write_text(place)
    (tmp_path / "work" / "e.npz").write_text("here")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def test_a_path_below_the_working_folder_is_shown_as_it_was_given(here):
    assert names("a/e.npz") == ["a/e.npz"]
    assert names("./a//e.npz") == ["a/e.npz"]
    assert names("b/../a/e.npz", "b/e.npz") == ["a/e.npz", "b/e.npz"]
    assert names("a") == ["a"]
    del here


def test_of_any_other_path_the_last_part_is_shown(here, monkeypatch):
    assert names(here / "x/s1/e.npz") == ["e.npz"]
    assert names(here / "work/a/e.npz") == ["e.npz"]
    assert names("../x/s1/e.npz") == ["e.npz"]
    assert names(".") == ["work"]
    assert names("..") == [here.name]
    monkeypatch.setenv("HOME", str(here / "y"))
    assert names("~/s2/e.npz") == ["e.npz"]


def test_names_are_told_apart_by_as_many_parts_as_needed(here):
    assert names(here / "x/s1/e.npz", here / "y/s2/e.npz") == ["s1/e.npz", "s2/e.npz"]
    assert names(here / "x/s1/e.npz", here / "y/s1/e.npz") == ["x/s1/e.npz", "y/s1/e.npz"]
    assert names("e.npz", here / "y/s1/e.npz") == ["e.npz", "s1/e.npz"]
    assert names("a/e.npz", here / "x/a/e.npz", here / "y/s2/e.npz") == ["a/e.npz", "x/a/e.npz", "s2/e.npz"]


def test_one_file_in_several_spellings_is_one_thing(here):
    (here / "work" / "link.npz").symlink_to("a/e.npz")
    for spellings in (
        ("a/e.npz", "./a/e.npz", here / "work/a/e.npz", "../work/a/e.npz", "link.npz"),
        (here / "x/s1/e.npz", here / "x/../x/s1/e.npz"),
    ):
        assert len(names(*spellings)) == 1
    assert names("a/e.npz", here / "work/a/e.npz") == ["a/e.npz"]
    assert names(here / "work/a/e.npz", "a/e.npz", here / "x/s1/e.npz") == ["a/e.npz", "s1/e.npz"]


def test_checkpoints_of_a_model_are_named_like_files(here):
    one, two = here / "x/s1/e.npz", here / "y/s2/e.npz"
    assert names(f"ViT/{one}", of=MODELS) == ["ViT/e.npz"]
    assert names(f"ViT/{one}", f"ViT/{two}", of=MODELS) == ["ViT/s1/e.npz", "ViT/s2/e.npz"]
    assert names(f"ViT/{one}", f"RN50/{two}", of=MODELS) == ["ViT/e.npz", "RN50/e.npz"]
    assert names("ViT/a/e.npz", "ViT/openai", of=MODELS) == ["ViT/a/e.npz", "ViT/openai"]
    assert names(f"local-dir:{here / 'x'}", of=MODELS) == ["local-dir:x"]


def test_what_is_not_there_keeps_its_name(here):
    assert names("/nowhere/e.npz", "~nobody-of-this-name/e.npz", "") == [
        "/nowhere/e.npz",
        "~nobody-of-this-name/e.npz",
        "",
    ]
    del here


@given(st.lists(st.sampled_from(["work/a", "work/b", "x/s1", "y/s2", "y/s1", "x/a", "work"]), min_size=1), st.randoms())
def test_as_many_names_as_things(tmp_path_factory, places, random):
    root = tmp_path_factory.getbasetemp() / "many"
    before = os.getcwd()
    for place in ("work/a", "work/b", "x/s1", "y/s2", "y/s1", "x/a"):
        (root / place).mkdir(parents=True, exist_ok=True)
        (root / place / "e.npz").touch()
    (root / "work/e.npz").touch()
    os.chdir(root / "work")
    try:
        given_as = [
            os.path.relpath(root / place / "e.npz") if random.random() < 0.5 else root / place / "e.npz"
            for place in places
        ]
        found = names(*given_as)
    finally:
        os.chdir(before)
    assert len(found) == len(set(found)) == len(set(places))
