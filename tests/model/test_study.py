"""Study files: read whatever they hold, and told in a sentence where they are no study."""

import contextlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gapbench.errors import UsageError
from gapbench.model.study import BUILTIN_STUDIES, LARGEST_FILE, Study, load_study, study_names

REFERENCE = "[[reference]]\nmetric = 'top1'\nsource = ''\nprompts = 'photo'\nvalue = "


def written(folder, text):
    path = folder / "s.toml"
    path.write_bytes(text if isinstance(text, bytes) else f'name = "s"\n{text}'.encode())
    return str(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds = [1.5]", "seeds must be numbers from 0 to 2^63 - 1, up to 10,000 seeds, not 1.5"),
        ("seeds = [9223372036854775808]", "not 9223372036854775808"),
        (f"seeds = [{'9' * 5000}]", "a number of thousands of digits"),
        ("seeds = [[1]]", "not [1]"),
        ("seeds = [true]", "not True"),
        ("seeds = [-1]", "not -1"),
        ("seeds = [inf]", "not inf"),
        ("seeds = []", "seeds is empty"),
        ("seeds = 5", "[5] for the one number 5"),
        ("seeds = '0:5'", "must be a list of numbers"),
        ("seeds = 2020-01-01", "must be a list of numbers"),
        (f"seeds = [{','.join(map(str, range(20_000)))}]", "at most 10,000"),
        (f"seeds = [{','.join(map(str, range(10**6)))}]", "more than 262,144 bytes"),
        ("fit_size = 0", "numbers of images from 1"),
        ("fit_size = [1, 'some']", "or 'all', up to 100 sizes, not 'some'"),
        ("fit_size = 3\nshots = [1]", "fit_size and shots are two ways"),
        ("shots = [0]", "numbers of images of a class from 1"),
        ("protocol = 'held out'", "Did you mean 'held-out'?"),
        ("index = 'hnws'", "Did you mean 'hnsw'?"),
        ("download = 1", "download must be true or false"),
        ("encoders = ['']", "encoders is empty"),
        ("encoders = ['a\\u0000b']".replace("'", '"'), "the character NUL"),
        ("sedes = [1]", "the unknown field 'sedes'. Did you mean 'seeds'?"),
        ("jobs = 2", "the unknown field 'jobs'"),
        ("title = 3", "Expected `str`, got `int`"),
        (REFERENCE + "nan", "it must be a finite number"),
        (REFERENCE + "1" + "0" * 400, "is not a study"),
        ("seeds = " + "[" * 100_000, "nested too deeply"),
        ("a = " + "{a=" * 5_000 + "1" + "}" * 5_000, "nested too deeply"),
        ("a." * 100_000 + "a = 1", "line 2 has more than 100 dots"),
        (b"name = '\xff'", "it is not UTF-8 (byte 8)"),
        (b"", "missing required field `name`"),
        (b"\0" * 1000, "is not a study"),
    ],
)
def test_a_file_that_is_no_study_is_told(tmp_path, text, message):
    with pytest.raises(UsageError) as told:
        load_study(written(tmp_path, text))
    assert message in str(told.value)
    assert str(told.value).startswith(str(tmp_path / "s.toml"))
    assert len(str(told.value)) < 500


def test_what_is_no_ordinary_file_is_never_opened(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "device.toml").symlink_to("/dev/zero")
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    for name, message in (
        ("folder", "is a folder"), ("pipe", "no ordinary file"), ("device", "no ordinary file"), ("loop", "There is no file"),
        ("absent", "There is no file"), ("x" * 5000, "cannot be read"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=message):
            load_study(str(tmp_path / f"{name}.toml"))


@pytest.mark.parametrize("name", ["digts", "../studies/digits", "", ".", "x" * 5000])
def test_a_name_is_looked_up_among_the_studies_alone(name):
    with pytest.raises(UsageError, match="There is no study"):
        load_study(name)


def test_a_study_as_windows_writes_it_is_read(tmp_path):
    read = load_study(
        written(tmp_path, b"\xef\xbb\xbfname = 's'\r\nencoders = 'mini-clip'\r\nfit_size = 20\r\nshots = 3\r\n"[:-13])
    )
    assert read == Study(name="s", encoders=("mini-clip",), fit_size=20)
    assert load_study(written(tmp_path, "shots = 3")).shots == (3,)


@settings(max_examples=300)
@given(st.data())
def test_a_study_with_changed_bytes_is_read_or_told(tmp_path_factory, data):
    content = bytearray((BUILTIN_STUDIES / f"{data.draw(st.sampled_from(study_names()))}.toml").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "changed.toml"
    path.write_bytes(content)
    with contextlib.suppress(UsageError):  # any other exception fails
        load_study(str(path))


def test_the_limit_of_the_size_leaves_room(tmp_path):
    assert max(path.stat().st_size for path in BUILTIN_STUDIES.glob("*.toml")) < LARGEST_FILE / 50
    assert load_study(written(tmp_path, f"title = '{'x' * 200_000}'")).title.startswith("xx")
