"""The plugins that pages show can all be tried on one machine, beside each other and beside what is installed."""

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "plugins").glob("*/README.md"))]
FENCE = re.compile(r"^```(?P<language>\w*) ?(?P<file>[^\n]*)\n(?P<text>.*?)^```", flags=re.DOTALL | re.MULTILINE)
PLUGIN = re.compile(r"\bgapbench\.\w+Spec\(")

#: The tutorial builds this plugin, which is below plugins/.
EXAMPLE = "gapbench_example.py"


def shown():
    """Give page, file and text of each plugin that a page shows."""
    return [
        (page, found["file"], found["text"])
        for page in PAGES
        for found in FENCE.finditer(page.read_text())
        if PLUGIN.search(found["text"]) and "@gapbench.hookimpl" in found["text"]
    ]


def test_pages_show_plugins_of_several_kinds():
    assert len(shown()) >= 6
    assert {"tutorial.md", "plugins.md", "README.md", "encoder.md"} <= {page.name for page, *_ in shown()}


@pytest.mark.parametrize(
    ("page", "file", "text"), [pytest.param(*one, id=f"{one[0].name}-{one[1]}") for one in shown()]
)
def test_a_plugin_of_a_page_says_its_file_and_loads_from_there(gapbench, tmp_path, page, file, text):
    assert file.endswith(".py"), f"{page.name} shows a plugin without the name of its file"
    (tmp_path / file).write_text(text)
    gapbench("plugins", "--plugin", file)


def test_no_two_have_the_same_file_module_or_component():
    files = [file for _, file, _ in shown()]
    assert len(set(files)) == len(files)
    modules = {Path(file).stem for file in files} - {Path(EXAMPLE).stem}
    installed = {path.stem for path in (ROOT / "plugins").glob("*/*.py")} | {
        path.parent.name for path in (ROOT / "plugins").glob("*/*/__init__.py")
    }
    assert not modules & installed


def test_all_of_them_load_beside_all_that_is_installed(gapbench, own_plugins, tmp_path):
    words = []
    for _, file, text in shown():
        if file != EXAMPLE:
            (tmp_path / file).write_text(text)
            words += ["--plugin", file]
    path = f"{own_plugins}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    limit = ",".join(sorted(project.parent.name for project in (ROOT / "plugins").glob("*/pyproject.toml")))
    done = gapbench("list", *words, env={"PYTHONPATH": path, "GAPBENCH_PLUGINS": limit})
    assert done.stderr == ""
    assert "halfway" in done.stdout
    assert "partway" in done.stdout
