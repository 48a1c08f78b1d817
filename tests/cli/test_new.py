"""``gapbench new``, ``check`` and ``show``: from an idea to a plugin that keeps the contract."""

import json
import os
import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from gapbench import __version__

KINDS = ("aligner", "encoder", "dataset", "prompts", "metric")
LONGEST = "an-idea-whose-name-has-forty-charactersx"


def name_for(kind):
    """Give a name of the greatest length: lines of what is written are longest then."""
    return LONGEST if kind == "aligner" else f"my-{kind}"


@pytest.fixture(scope="module")
def mypy_cache(tmp_path_factory):
    """Keep what mypy has found out about gapbench from one kind to the next."""
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.parametrize("kind", ["aligner", *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[1:])])
def test_a_new_distribution_passes_its_tests_ruff_and_mypy(fresh_environment, tmp_path, mypy_cache, kind):
    name = name_for(kind)
    fresh_environment("gapbench", "new", kind, name, "--licence", "BSD-3-Clause", "--author", "Ada B.", cwd=tmp_path)
    project = tmp_path / f"gapbench-{name}"
    assert "Ada B." in (project / "LICENSE").read_text()
    fresh_environment("pip", "install", "-q", "--no-deps", "--no-build-isolation", ".", cwd=project)
    try:
        tested = fresh_environment("pytest", "-q", "-p", "no:cacheprovider", cwd=project)
        assert re.search(r"\d+ passed", tested), tested
        assert "failed" not in tested
        fresh_environment("ruff", "check", "--no-cache", ".", cwd=project)
        fresh_environment("ruff", "format", "--no-cache", "--check", ".", cwd=project)
        fresh_environment("mypy", "--cache-dir", mypy_cache, cwd=project)
        assert f"gapbench-{name}" in fresh_environment("gapbench", "plugins", "--json", cwd=tmp_path)
        assert "0 failed" not in fresh_environment("gapbench", "check", kind, name, cwd=tmp_path)
        again = fresh_environment("gapbench", "new", kind, name, cwd=tmp_path / f"gapbench-{name}", code=2)
        assert "exists already" in again
    finally:
        fresh_environment("pip", "uninstall", "-q", "-y", f"gapbench-{name}", cwd=tmp_path)


@pytest.fixture
def begun(gapbench, tmp_path):
    def begin(kind="aligner", author='Ada "B." Ünal \\ 🙂', licence="MIT"):
        gapbench("new", kind, "my-idea", "--author", author, "--licence", licence)
        return tmp_path / "gapbench-my-idea"

    return begin


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_distribution_is_complete(begun, kind):
    project = begun(kind)
    found = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    assert found == {
        ".github/workflows/publish.yml",
        ".github/workflows/tests.yml",
        ".gitignore",
        "CITATION.cff",
        "LICENSE",
        "README.md",
        f"gapbench_my_idea/{kind}.py",
        "gapbench_my_idea/__init__.py",
        "gapbench_my_idea/py.typed",
        "pyproject.toml",
        "tests/test_contract.py",
        f"tests/test_{kind}.py",
    }
    for path in found - {"LICENSE"}:
        assert "{{" not in (project / path).read_text().replace("${{", ""), path


def test_its_metadata_tell_versions_places_and_author(begun):
    project = begun()
    meta = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    assert meta["authors"] == [{"name": 'Ada "B." Ünal \\ 🙂'}]
    assert meta["urls"].keys() == {"Repository", "Issues"}
    assert all("OWNER/gapbench-my-idea" in url for url in meta["urls"].values())
    (needed,) = [Requirement(text) for text in meta["dependencies"] if text.startswith("gapbench")]
    assert str(needed.specifier) == f">={__version__}"
    tested = yaml.safe_load((project / ".github/workflows/tests.yml").read_text())["jobs"]["tests"]["strategy"][
        "matrix"
    ]
    assert tested["python"] == ["3.11", "3.12", "3.13"]
    assert [text for text in meta["classifiers"] if "Python ::" in text] == [
        f"Programming Language :: Python :: {version}" for version in tested["python"]
    ]
    assert all(version in SpecifierSet(meta["requires-python"]) for version in tested["python"])


@pytest.mark.parametrize("licence", ["Apache-2.0", "none"])
def test_its_citation_says_what_its_metadata_say(begun, licence):
    project = begun(licence=licence)
    meta = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((project / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert citation["authors"] == meta["authors"]
    assert citation["title"] == meta["name"]
    assert citation["version"] == meta["version"]
    assert citation["repository-code"] == meta["urls"]["Repository"]
    assert citation.get("license", "none") == meta.get("license", "none") == licence


def test_a_release_is_published_by_trusted_publishing(begun):
    text = (begun() / ".github/workflows/publish.yml").read_text()
    workflow = yaml.safe_load(text)
    (job,) = workflow["jobs"].values()
    assert workflow[True] == {"release": {"types": ["published"]}}  # YAML takes the word "on" for a truth value
    assert workflow["permissions"] == {"contents": "read"}
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    assert job["steps"][-1] == {"run": "uv publish --trusted-publishing always"}
    assert not re.search(r"secrets\.|password:|token:(?! write)|pypi|https?:", text, re.IGNORECASE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_file_keeps_the_contract(gapbench, tmp_path, kind):
    done = gapbench("new", kind, "my-idea", "--single-file")
    assert "--plugin my_idea.py" in done.stdout
    checked = gapbench("check", kind, "my-idea", "--plugin", "my_idea.py", "--json")
    (found,) = json.loads(checked.stdout)
    assert found["ok"]
    assert {check["status"] for check in found["checks"]} <= {"passed", "skipped"}
    assert [path.name for path in tmp_path.iterdir() if path.suffix] == ["my_idea.py"]


def test_a_new_aligner_is_ranked(gapbench):
    gapbench("new", "aligner", "halfway", "--single-file")
    done = gapbench(
        *("run", "-d", "digits", "-p", "photo", "-a", "identity", "-a", "halfway[amount=0.25,0.75]"),
        *("--plugin", "halfway.py", "--no-figures"),
    )
    assert "halfway[amount=0.25]" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("algner", "x"), "Did you mean 'aligner'?"),
        (("aligner", "My_Method"), "lower-case letters"),
        (("aligner", "-x"), "No such option"),
        (("aligner", "x" * 41), "longer than 40"),
        (("aligner", "gapbench-foo"), "write 'foo'"),
        (("aligner", "lambda"), "Python's own"),
        (("aligner", "coral"), "exists already, in gapbench"),
        (("metric", "top1"), "exists already"),
        (("aligner", "ok", "--licence", "GPL"), "'GPL' is not one of"),
        (("aligner", "ok", "--to", "/proc/1/there"), "cannot be written"),
    ],
)
def test_bad_names_say_what_to_do(gapbench, tmp_path, arguments, words):
    done = gapbench("new", *arguments, code=2)
    assert words in " ".join(done.stderr.split())
    assert not list(tmp_path.glob("gapbench-*"))


def test_nothing_is_overwritten(gapbench, tmp_path):
    gapbench("new", "metric", "mine")
    before = (tmp_path / "gapbench-mine" / "README.md").read_text()
    assert "is there already" in gapbench("new", "aligner", "mine", code=2).stderr
    assert (tmp_path / "gapbench-mine" / "README.md").read_text() == before
    gapbench("new", "metric", "mine", "--single-file")
    assert "is there already" in gapbench("new", "metric", "mine", "--single-file", code=2).stderr


def test_a_name_that_would_hide_an_installed_distribution_is_refused(gapbench, own_plugins):
    env = {"PYTHONPATH": f"{own_plugins}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = gapbench("new", "metric", "hubness", env=env, code=2)
    assert "gapbench-hubness 1.0 is installed already" in done.stderr


BROKEN = """
import gapbench

class Broken:
    def __init__(self, *, other=1.0):
        pass

    def fit(self, data):
        return self

    def images(self, x):
        return x[:1]

@gapbench.hookimpl
def gapbench_aligners():
    return [gapbench.AlignerSpec(name="broken", factory="broken:Broken", summary="is broken", family="none",
        needs=frozenset(), acts_on=gapbench.ActsOn.IMAGES, params={"amount": gapbench.Param(default=1.0, doc="none")})]
"""


def test_a_parameter_that_the_constructor_does_not_take_is_told(gapbench, tmp_path):
    (tmp_path / "broken.py").write_text(BROKEN)
    done = gapbench("check", "aligner", "broken", "--plugin", "broken.py", code=1)
    assert "unexpected keyword argument 'amount'" in " ".join(done.stdout.split())
    assert "failed" in done.stdout.splitlines()[-1]


def test_check_fails_where_a_check_fails_and_says_what_was_wanted(gapbench, tmp_path):
    (tmp_path / "broken.py").write_text(BROKEN.replace("other=1.0", "amount=1.0"))
    done = gapbench("check", "aligner", "broken", "--plugin", "broken.py", code=1)
    words = " ".join(done.stdout.split())
    assert "images() gave shape (1, 7) for 80 rows" in words
    assert words.count("images() gave shape (1, 7)") == 1  # one cause is told once
    assert "for the same cause fail: gives finite float rows of the right shape," in words
    assert "wanted: " in words


def test_check_of_a_name_that_is_not_there(gapbench):
    assert "Did you mean 'procrustes'?" in gapbench("check", "aligner", "procrustse", code=2).stderr
    assert "needs an argument: folder:PATH" in " ".join(gapbench("check", "dataset", "folder", code=2).stderr.split())


def test_show_tells_everything(gapbench):
    shown = " ".join(gapbench("show", "procrustes").stdout.split())
    for words in ("aligner procrustes", "needs pairs", "tie_break=identity", "Parameters", "gapbench 0"):
        assert words in shown, words
    assert ":math:" not in shown
    (found,) = json.loads(gapbench("show", "top1", "--json").stdout)
    assert found["kind"] == "metric"
    assert found["unit"] == "share"
    both = json.loads(gapbench("show", "captions", "--json").stdout)
    assert {entry["kind"] for entry in both} == {"dataset", "prompts"}
    assert "Did you mean 'procrustes'?" in gapbench("show", "procrustse", code=2).stderr


def test_list_tells_references(gapbench):
    assert "arXiv" in gapbench("list", "aligner").stdout
