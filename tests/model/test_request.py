"""The request: every option is declared once, and the command line, Python and the command of a row hold to it."""

import inspect
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gapbench
from gapbench.cli.plan import command as plan
from gapbench.cli.run import command as run
from gapbench.errors import UsageError
from gapbench.model.request import OPTIONS, Request
from gapbench.model.study import Study, chosen_study
from gapbench.model.values import Choice, Flag, Many, Number, Numbers


def read(words, command=run):
    """Read words as the command line does."""
    return Request.from_command_line(command.make_context("gapbench", list(words)).params)


def keywords():
    return {name: one for name, one in OPTIONS.items() if one.python}


def test_the_command_line_has_every_declared_option():
    for command, name in ((run, "run"), (plan, "plan")):
        declared = {flag for one in OPTIONS.values() if name in one.commands for flag in one.flags}
        own = {"--json", "--check"} if name == "plan" else set()
        assert {flag for parameter in command.params for flag in parameter.opts} == declared | own


def test_run_has_every_declared_keyword_with_its_default():
    parameters = inspect.signature(gapbench.run).parameters
    assert list(parameters) == list(keywords())
    assert {name: parameter.default for name, parameter in parameters.items()} == {
        name: None if one.selects else one.unset for name, one in keywords().items()
    }
    assert all(one.kind is one.KEYWORD_ONLY for name, one in parameters.items() if name != "study")


def test_the_docstring_of_run_says_what_is_declared():
    section = inspect.getdoc(gapbench.run).split("Parameters\n----------\n")[1].split("\n\nReturns")[0]
    entries = dict(re.findall(r"^(\w+)\n((?:    .*\n?)+)", section, flags=re.MULTILINE))
    assert list(entries) == list(keywords())
    for name, text in entries.items():
        said = " ".join(text.split())
        assert said.startswith(OPTIONS[name].help), name
        assert OPTIONS[name].values.limits in said, name


def test_study_files_take_their_options_from_the_declaration():
    selecting = {name for name, one in OPTIONS.items() if one.selects}
    assert selecting <= set(Study.__struct_fields__)
    fresh = Study(name="x")
    for name in ("protocol", "seeds", "index"):
        assert getattr(fresh, name) == OPTIONS[name].default
    assert fresh.fit_size is None


@pytest.mark.parametrize("command", [run, plan], ids=["run", "plan"])
def test_the_help_says_defaults_limits_and_choices(command):
    text = " ".join(command.get_help(command.make_context("gapbench", [])).split())
    for parameter in command.params:
        if parameter.name not in OPTIONS:
            continue
        one = OPTIONS[parameter.name]
        assert one.help in text
        assert one.note in text
        if isinstance(one.values, Choice):
            assert "|".join(one.values.names) in text or all(name in one.help for name in one.values.names)


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    str.strip
)
PATHS = TEXTS.map(Path)


def of(values):
    """Make values that an option takes."""
    if isinstance(values, Flag):
        return st.booleans()
    if isinstance(values, Choice):
        return st.sampled_from(values.names)
    if isinstance(values, Number):
        kind = st.integers if values.kind is int else st.floats
        return kind(values.low, values.high)
    if isinstance(values, Numbers):
        one = st.integers(values.low, 2**63 - 1)
        listed = st.lists(one | st.just(values.word) if values.word else one, min_size=1, max_size=5, unique=True)
        ranges = st.tuples(st.integers(values.low, 50), st.integers(1, 20)).map(
            lambda ends: list(range(ends[0], sum(ends)))
        )
        return (listed | ranges).map(tuple)
    if isinstance(values, Many):
        return st.lists(of(values.item), max_size=3, unique=True).map(tuple)
    return PATHS if type(values).__name__ == "File" else TEXTS


def requests():
    drawn = {name: st.just(one.unset) | of(one.values) for name, one in OPTIONS.items()}
    made = st.fixed_dictionaries(drawn)
    apart = [("download", "offline"), ("fit_size", "shots"), ("in_process", "timeout"), ("in_process", "memory")]
    return made.filter(lambda d: not any(d[one] and d[other] for one, other in apart)).map(
        lambda found: Request(**found)
    )


@pytest.mark.filterwarnings("ignore:.*there is no folder:gapbench.errors.GapbenchWarning")
@settings(max_examples=300)
@given(requests())
def test_a_request_that_is_written_as_a_command_is_read_as_the_same(request):
    line = shlex.join(request.words())
    assert read(shlex.split(line)) == request


@pytest.mark.filterwarnings("ignore:.*there is no folder:gapbench.errors.GapbenchWarning")
@settings(max_examples=50)
@given(requests())
def test_python_and_the_command_line_read_the_same_request(request):
    given_values = {name: getattr(request, name) for name in OPTIONS}
    said = {name: None if OPTIONS[name].selects and value == () else value for name, value in given_values.items()}
    assert Request.from_python(said, "run()") == request == read(request.words())


def test_seeds_far_apart_are_written_without_counting_to_them():
    request = Request(seeds=(0, 2**63 - 1))
    assert read(request.words()) == request


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "0:1000000000"], "up to 10,000 seeds"),
        (["--seeds", "0:" + "9" * 90], "up to 10,000 seeds"),
        (["--seeds", ",".join(["0:9999"] * 9)], "up to 10,000 seeds"),
        (["--seeds", "5:1"], "the empty range 5:1"),
        (["--seeds", "0:0"], "the empty range 0:0"),
        (["--seeds", "-1"], "not -1"),
        (["--seeds", "-5:3"], "not -5"),
        (["--seeds", "1e3"], "write 0:5 for 0 to 4"),
        (["--seeds", "1,,2"], "write 0:5 for 0 to 4"),
        (["--seeds", "1_0"], "not '1_0'"),
        (["--seeds", "\u0663"], "not '\u0663'"),
        (["--seeds", "9" * 100_000], "up to 10,000 seeds"),
        (["--seeds", "9223372036854775808"], "from 0 to 2^63 - 1"),
        (["--seeds", ""], "write 0:5"),
        (["--jobs", "100000"], "from 1 to 1,024, not 100000"),
        (["--jobs", "0"], "from 1 to 1,024"),
        (["--jobs", "2.5"], "a whole number"),
        (["--timeout", "inf"], "from 0.1 to 10,000,000, not inf"),
        (["--timeout", "nan"], "not nan"),
        (["--timeout", "1e400"], "not inf"),
        (["--timeout", "0"], "from 0.1"),
        (["--fit-size", "9" * 20], "2^63 - 1, or 'all'"),
        (["--fit-size", "0"], "from 1 to"),
        (["--fit-size", "1:5"], "write 10,100 or all"),
        (["--shots", "0"], "numbers of images of a class from 1"),
        (["--shots", "all"], "write 1,5"),
        (["--protocol", "held-ot"], "Did you mean 'held-out'?"),
        (["--dtype", "float64x"], "one of float32, bfloat16, float16"),
        (["--out", ""], "--out is empty"),
        (["--data-root", " "], "--data-root is empty"),
        (["--plugin", "a\0.py"], "the character NUL"),
        (["--plugin", "x" * 256], "at most 1,000 bytes, and 255 in each"),
        (["--out", "x/" * 501], "at most 1,000 bytes"),
        (["-e", ""], "--encoder is empty"),
        (["-d", "\t"], "--dataset is empty"),
        (["-a", "x" * 10_001], "at most 10,000 characters, not 10,001"),
        (["-p", "x"] * 1_001, "at most 1,000"),
        (["-m", "\udcff"], "must be UTF-8"),
        (["--study", ""], "--study is empty"),
        (["--download", "--offline"], "--download and --offline contradict"),
        (["--shots", "1", "--fit-size", "all"], "--fit-size and --shots are two ways"),
        (["--in-process", "--timeout", "5"], "--timeout limits the process of an aligner, and with --in-process"),
    ],
)
def test_what_is_out_of_the_limits_is_told(words, message):
    with pytest.raises(UsageError) as told:
        read(words)
    assert message in str(told.value)
    assert len(str(told.value)) < 300
    assert str(told.value).startswith(("--", "run"))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"seeds": "0:5"}, "seeds must be a list of numbers"),
        ({"seeds": 5}, "[5] for the one number 5"),
        ({"seeds": 10**5000}, "thousands of digits"),
        ({"seeds": [True]}, "not True"),
        ({"seeds": [1.0]}, "not 1.0"),
        ({"seeds": range(10**9)}, "at most 10,000"),
        ({"seeds": [[1]]}, "not [1]"),
        ({"seeds": {1: 2}}, "not {1: 2}"),
        ({"seeds": np.zeros(2)}, "not np.float64(0.0)"),
        ({"jobs": True}, "from 1 to 1,024, not True"),
        ({"jobs": "2"}, "not '2'"),
        ({"jobs": 2.0}, "not 2.0"),
        ({"timeout": "3"}, "not '3'"),
        ({"timeout": 10**400}, "a number of seconds"),
        ({"timeout": float("nan")}, "not nan"),
        ({"out": 3}, "must be a path, not 3"),
        ({"out": b"x"}, "must be a path"),
        ({"download": "yes"}, "true or false"),
        ({"strict": 1}, "true or false"),
        ({"device": 1}, "must be text"),
        ({"encoders": [1]}, "must be text, not 1"),
        ({"encoders": 5}, "must be a list, not 5"),
        ({"aligners": [["x"]]}, "must be text, not ['x']"),
        ({"protocol": ["held-out"]}, "must be one of"),
        ({"no_plugin": b"x"}, "must be a list"),
        ({"download": True, "offline": True}, "run(): download and offline contradict"),
        ({"fit_size": 3, "shots": 1}, "run(): fit_size and shots are two ways"),
    ],
)
def test_wrong_types_from_python_are_told_with_the_keyword(said, message):
    with pytest.raises(UsageError) as told:
        Request.from_python(said, "run()")
    assert message in str(told.value)
    assert str(told.value).startswith(f"run(): {next(iter(said))}")


def test_one_alone_and_numpy_and_paths_are_understood(tmp_path):
    request = Request.from_python(
        {
            "encoders": "mini-clip", "study": tmp_path / "s.toml", "fit_size": np.int64(3), "seeds": np.arange(2),
            "timeout": np.float32(2), "jobs": np.int8(2), "out": str(tmp_path), "metrics": None, "plugins": (),
        },
        "run()",
    )  # fmt: skip
    assert request == Request(
        encoders=("mini-clip",), study=str(tmp_path / "s.toml"), fit_size=(3,), seeds=(0, 1), timeout=2.0, jobs=2, out=tmp_path
    )  # fmt: skip


def test_the_folder_of_datasets_comes_from_the_environment_where_it_is_not_said(monkeypatch, tmp_path):
    monkeypatch.setenv("GAPBENCH_DATA", str(tmp_path))
    assert Request().context().data_root == tmp_path
    assert Request(data_root=Path("here")).context().data_root == Path("here")
    monkeypatch.setenv("GAPBENCH_DATA", " ")
    with pytest.raises(UsageError, match="GAPBENCH_DATA"):
        Request().context()
    monkeypatch.delenv("GAPBENCH_DATA")
    assert Request().context().data_root.name == "gapbench"


def test_what_a_request_says_otherwise_makes_a_study_local():
    assert chosen_study(Request(study="digits"))[1] == ()
    study, changed = chosen_study(Request(study="digits", encoders=("mini-clip",), seeds=(1,)))
    assert (study.name, changed) == ("local", ("seeds",))
    study, changed = chosen_study(Request(study="clip-stl10", shots=(2,)))
    assert (study.fit_size, study.shots, changed) == (None, (2,), ("fit_size", "shots"))
    assert chosen_study(Request(study="clip-stl10", fit_size=(100,)))[1] == ()


@pytest.mark.parametrize("arguments", [("--seeds", "0:1000000000"), ("--jobs", "100000"), ("--timeout", "nan")])
def test_the_command_line_ends_at_once_with_exit_code_2(gapbench, arguments):
    done = gapbench("run", *arguments, code=2, timeout=30)
    assert done.stderr.startswith(f"error: {arguments[0]} must be ")
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_completion_offers_the_choices():
    option = next(one for one in run.params if one.name == "index")
    found = option.shell_complete(run.make_context("gapbench", []), "h")
    assert [item.value for item in found] == ["hnsw"]
