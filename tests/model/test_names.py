"""One rule for names that become files and folders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapbench.errors import UsageError
from gapbench.model.names import LONGEST, folder_below, path_name, slug


@pytest.mark.parametrize(
    "name", ["digits", "clip-stl10", "My study 2", "résumé", "研究", "étude_1.0", "a" * LONGEST, "v1+x", "console"]
)
def test_ordinary_names_of_any_script_are_names(name, tmp_path):
    assert path_name(name) == name
    folder_below(tmp_path, name).mkdir()


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "...", "a/b", "/absolute", "../x", "a\\b", "C:", "C:\\x", "a:b", "nul\x00", "a\nb", "a\x1bb", "\u202eab", "-rf",
     ".hidden", " a", "a ", "a.", "CON", "nul.txt", "Com1", "LPT9.tar.gz", "CONIN$", "COM¹", "a" * (LONGEST + 1), "é" * 128, "a;b", "$(x)", "`x`",
     "a|b", "a*", "what?", "<b>", 'q"q', "it's", "\ud800", "\u2028", "a\ufeff", "~/x", "\u0301a"],
)  # fmt: skip
def test_a_name_that_is_a_path_or_no_name_everywhere_is_refused_in_one_printable_line(name, tmp_path):
    with pytest.raises(UsageError, match="cannot be the name of a folder") as told:
        folder_below(tmp_path, name, "The study name")
    assert str(told.value).isprintable()
    assert str(told.value).startswith("The study name")
    assert len(str(told.value)) < 300


@given(st.text(max_size=300))
def test_a_name_that_passes_stays_in_its_folder(tmp_path_factory, name):
    root = tmp_path_factory.getbasetemp()
    try:
        path = folder_below(root, name)
    except UsageError:
        return
    assert path.parent == root
    assert path.resolve().parent == root.resolve()


@pytest.mark.parametrize(("there", "name"), [("Digits", "digits"), ("é", "e\u0301"), ("straße", "STRASSE")])
def test_names_that_are_one_folder_on_some_systems_are_refused(tmp_path, there, name):
    (tmp_path / there).mkdir()
    assert folder_below(tmp_path, there) == tmp_path / there
    with pytest.raises(UsageError, match="one folder on some systems"):
        folder_below(tmp_path, name)


def test_the_slug_of_plain_names_is_read_at_a_glance():
    assert slug("mini-clip", "color-digits", "photo") == "mini-clip_color-digits_photo"


COLLIDING = [
    ("a", "b-c", "d"), ("a-b", "c", "d"), ("a b", "c", "d"), ("A", "b-c", "d"), ("a", "b_c", "d"), ("a_b", "c", "d"), ("a", "b-c", " d"),
    ("a / b-c", "d"), ("a", "b-c / d"), ("ä", "b-c", "d"), ("日本", "x"), ("中国", "x"), ("🙂",), ("🙃",), ("",), ("", ""), (" ",), ("x" * 500,),
    ("x" * 501,), ("a/b-c/d",), ("../../x",), ("a\nb",), ("a\x00b",), ("\u202ea",), ("\ud800",), ("\ud801",), (),
]  # fmt: skip


def test_no_two_tables_share_a_file():
    stems = [slug(*names) for names in COLLIDING]
    assert len({stem.casefold() for stem in stems}) == len(COLLIDING)
    for names, stem in zip(COLLIDING, stems, strict=True):
        assert stem.isascii(), names
        assert path_name(f"umap-{stem}.png") == f"umap-{stem}.png"


@given(
    st.lists(
        st.lists(st.text() | st.from_regex("[a-b_/ -]{0,4}", fullmatch=True), max_size=3),
        min_size=2,
        max_size=2,
        unique_by=tuple,
    )
)
def test_any_two_lists_of_names_have_two_files(two):
    one, other = (slug(*names) for names in two)
    assert one.casefold() != other.casefold()
    path_name(f"pca-{one}.svg")
