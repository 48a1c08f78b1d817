"""The documentation says what the code does."""

import importlib.util
import inspect
import json
import re
from pathlib import Path

import pytest

from gapbench import hookspecs
from gapbench.cli.group import COMMANDS
from gapbench.cli.run import command as run_command
from gapbench.host.registry import HOOKS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def test_every_hook_is_documented_with_its_signature():
    page = (DOCS / "plugins.md").read_text()
    for name in HOOKS.values():
        function = getattr(hookspecs, name)
        assert f"`{name}() -> {inspect.signature(function).return_annotation}`" in page


def test_every_hook_has_a_test():
    tests = (ROOT / "tests/host/test_hooks.py").read_text()
    for name in HOOKS.values():
        assert f"def {name}" in tests, name


def test_every_fixture_for_plugin_authors_is_documented():
    from gapbench.testing import fixtures

    page = (DOCS / "plugins.md").read_text()
    names = [name for name, value in vars(fixtures).items() if type(value).__name__ == "FixtureFunctionDefinition"]
    assert len(names) >= 6
    for name in names:
        assert f"`{name}`" in page, name


def test_every_command_and_every_option_of_run_is_documented():
    page = (DOCS / "cli.md").read_text()
    for name in COMMANDS:
        assert f"gapbench {name}" in page
    for param in run_command.params:
        for option in param.opts:
            assert f"`{option}" in page, option


def test_every_field_of_a_record_is_documented():
    from gapbench.model.record import Record

    page = (DOCS / "records.md").read_text()
    for name in Record.__struct_fields__:
        assert f"`{name}`" in page, name


def test_mini_clip_figures_are_those_of_its_training():
    page = (DOCS / "mini-clip.md").read_text()
    training = json.loads((ROOT / "gapbench/builtin/encoders/mini_clip/training.json").read_text())
    for name, value in training["figures"].items():
        assert f"| {name} | {value} |" in page
    assert f"{training['minutes']} minutes" in page


def python_blocks(path):
    return re.findall(r"```python[^\n]*\n(.*?)```", path.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize(
    ("page", "stem", "name"),
    [(DOCS / "plugins.md", "partway", "partway"), (ROOT / "README.md", "my_aligner", "midway")],
)
def test_the_aligner_in_the_docs_runs_and_is_ranked(gapbench, tmp_path, page, stem, name):
    (block,) = python_blocks(page)
    (tmp_path / f"{stem}.py").write_text(block)
    done = gapbench(
        *(
            "run",
            "-d",
            "digits",
            "-p",
            "photo",
            "-a",
            "identity",
            "-a",
            name,
            "--plugin",
            f"{stem}.py",
            "--no-figures",
        )
    )
    assert re.search(rf"^1 +{name} +99\.\d", done.stdout, flags=re.MULTILINE), done.stdout


def test_the_embedding_files_in_the_docs_run(gapbench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in python_blocks(DOCS / "embedding-files.md"):
        exec(block, {})
    made = {"file.npz": "captions", "file.safetensors": "given", "prompts": "given", "retrieved": "captions"}
    assert {path.name for path in tmp_path.iterdir()} == set(made)
    sources = [word for name in made for word in ("-d", f"embeddings:{name}")]
    done = gapbench("run", *sources, "-a", "identity", "-m", "centroid-l2", "--no-figures")
    for name, texts in made.items():
        assert f"precomputed / embeddings:{name} / {texts}" in done.stdout
    told = " ".join(done.stderr.split())
    assert "it was encoded by mine" in told
    assert "6 prompts of 3 classes count with the mean" in told
    assert "80 rows of 'image' are 40 different images" in told


def test_every_array_of_an_embedding_file_is_documented():
    from gapbench.embeddings import schema

    page = (DOCS / "embedding-files.md").read_text()
    for name in {*schema._BOTH_MODES, *schema._BY_CLASS, *schema._CAPTIONED}:
        assert f"`{name}`" in page, name


def test_the_readme_has_exactly_two_commands_and_its_table_is_the_committed_one():
    text = (ROOT / "README.md").read_text()
    (block,) = re.findall(r"```sh readme\n(.*?)```", text, flags=re.DOTALL)
    assert block == "pip install . && gapbench run\npip install '.[test]' && pytest\n"
    for picture in re.findall(r"\]\((leaderboards/[^)]*)\)", text):
        assert (ROOT / picture).is_file(), picture


def test_what_pytest_leaves_out_has_a_command_that_the_readme_names_and_ci_runs(pytestconfig):
    named = {mark.partition(":")[0] for mark in pytestconfig.getini("markers")} & {"slow", "benchmark"}
    assert pytestconfig.getini("addopts")[-2:] == ["-m", "not slow and not benchmark"]
    commands = ("pytest -m slow", "pytest -m benchmark -n 0")
    assert named == {command.split()[2] for command in commands}
    for command in commands:
        assert f"`{command}`" in (ROOT / "README.md").read_text()
        assert f'"{command}"' in (ROOT / ".ci/run").read_text()


def test_numbers_in_the_readme_are_those_of_the_records():
    """The table in README and quickstart is typed: it must say what the committed records say."""
    named = {"gap-shift", "identity", "mean-center", "procrustes", "random-rotation"}
    shown = {}
    for line in (ROOT / "leaderboards/digits/records/run.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["dataset"]["name"] == "color-digits" and record["prompts"]["name"] == "descriptive":
            values = record["metrics"]
            if record["label"] in named:
                shown[record["label"]] = (
                    f"{100 * values['top1']['value']:.1f}",
                    f"{values['centroid-l2']['value']:.3f}",
                    f"{values['rmg']['value']:.3f}",
                )
    assert shown.keys() == named
    for page in (ROOT / "README.md", DOCS / "quickstart.md"):
        table = page.read_text().partition("mini-clip / color-digits / descriptive")[2].partition("```")[0]
        for name, numbers in shown.items():
            line = next(line for line in table.splitlines() if f" {name} " in line)
            for number in numbers:
                assert number in line.split(), (page.name, name, number)


def test_the_caption_of_the_first_picture_is_what_the_records_say():
    values, outcomes = {}, {}
    for line in (ROOT / "leaderboards/digits/records/run.jsonl").read_text().splitlines():
        record = json.loads(line)
        if (record["dataset"]["name"], record["prompts"]["name"], record["seed"]) == ("digits", "photo", 0):
            values[record["label"]] = record["metrics"]["centroid-l2"]["value"]
            outcomes[record["label"]] = record["metrics"]["top1"]["value"]
    caption = (ROOT / "README.md").read_text().partition("(stars)")[2].partition("*")[0]
    assert f"from {values['identity']:.2f} to {values['procrustes']:.2f} over the test split" in " ".join(
        caption.split()
    )
    assert "reads no digit better" in " ".join(caption.split())
    assert outcomes["procrustes"] <= outcomes["identity"]


def test_the_half_split_page_has_the_rows_of_its_test():
    file = ROOT / "tests/builtin/test_half_split.py"
    spec = importlib.util.spec_from_file_location("half_split", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (DOCS / "half-split.md").read_text()
    for name, _, i2t, t2i, *_ in module.TABLE:
        assert re.search(rf"\| `{name}` \|.*\| {i2t} \| {t2i} \|", page), name
