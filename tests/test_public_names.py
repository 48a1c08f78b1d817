"""``gapbench`` shows its public names and nothing else."""

import subprocess
import sys

import gapbench


def test_dir_lists_exactly_the_public_names():
    assert dir(gapbench) == sorted(gapbench.__all__)
    assert len(set(gapbench.__all__)) == len(gapbench.__all__)
    assert not [name for name in dir(gapbench) if name.startswith("_")]


def test_every_public_name_is_there_and_is_called_so():
    for name in gapbench.__all__:
        value = getattr(gapbench, name)
        assert getattr(value, "__name__", name) == name


def test_dir_says_the_same_before_and_after_names_are_used():
    code = "import gapbench; first = dir(gapbench); gapbench.run; from gapbench import *; print(first == dir(gapbench))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "True"


def test_type_checkers_see_the_same_names():
    import ast
    from pathlib import Path

    tree = ast.parse(Path(gapbench.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {alias.name for node in block.body for alias in node.names}
    assert imported == set(gapbench.__all__)


def test_what_is_not_public_is_no_attribute():
    assert not hasattr(gapbench, "nothing_of_that_name")
