"""Prompt strategies: what is written for which class."""

import subprocess
import sys

import pytest

from gapbench.builtin.prompts.files import from_file
from gapbench.builtin.prompts.strategies import OwnCaptions, Templates, openai_80, template
from gapbench.errors import DataError, UsageError
from gapbench.host.build import build
from gapbench.host.discovery import discover
from gapbench.host.registry import Kind
from gapbench.host.selection import select
from gapbench.specs import Pooling

CLASSES = ("cat", "dog")


@pytest.mark.parametrize(
    ("name", "prompts"),
    [
        ("plain", ["cat", "dog"]),
        ("photo", ["a photo of a cat", "a photo of a dog"]),
        ("descriptive", [f"a high-resolution photo of a cute {name} in nature" for name in CLASSES]),
        ("openai-2", ["a photo of a cat.", "a photo of the cat.", "a photo of a dog.", "a photo of the dog."]),
        ("template:{}!", ["cat!", "dog!"]),
    ],
)
def test_built_in_strategies(name, prompts):
    (selected,) = select(discover(), Kind.PROMPTS, [name])
    written = build(selected).prompts(CLASSES)
    assert list(written.prompts) == prompts
    assert list(written.owner) == sorted(written.owner)
    assert written.pooling == Pooling.MEAN


def test_openai_80_is_open_clips_list_and_needs_no_torch():
    from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES

    written = openai_80().prompts(CLASSES)
    assert list(written.prompts) == [write(name) for name in CLASSES for write in OPENAI_IMAGENET_TEMPLATES]
    code = (
        "import sys; from gapbench.builtin.prompts.strategies import openai_80; "
        "openai_80().prompts(['cat']); print('torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


@pytest.mark.parametrize("text", ["a photo", "{} and {}", "a {name}", "{", "{0}"])
def test_a_bad_template_is_refused(text):
    with pytest.raises(UsageError, match="where the class name goes"):
        template(text)


def test_a_file_of_templates(tmp_path):
    path = tmp_path / "templates.txt"
    path.write_text("# a comment\n\na {}\nthe {}\n")
    assert list(from_file(str(path)).prompts(["cat"]).prompts) == ["a cat", "the cat"]
    path.write_text("a {}\nno place\n")
    with pytest.raises(UsageError, match="line 2"):
        from_file(str(path))
    path.write_text("# nothing\n")
    with pytest.raises(DataError, match="has no templates"):
        from_file(str(path))
    with pytest.raises(DataError, match="cannot be read"):
        from_file(str(tmp_path / "absent.txt"))


def test_a_table_of_prompts(tmp_path):
    path = tmp_path / "prompts.toml"
    path.write_text('pooling = "nearest"\ncat = ["a cat", "a kitten"]\ndog = "a dog"\n')
    written = from_file(str(path)).prompts(CLASSES)
    assert list(written.prompts) == ["a cat", "a kitten", "a dog"]
    assert list(written.owner) == [0, 0, 1]
    assert written.pooling == Pooling.NEAREST


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('cat = "a"\n', "no prompts for class 'dog'"),
        ('cat = "a"\ndogg = "b"\n', "Did you mean 'dog'"),
        ('cat = []\ndog = "b"\n', "class 'cat' must have a prompt"),
        ('pooling = "max"\n', "must be 'mean' or 'nearest'"),
        ("cat = \n", "not valid TOML"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, text, message):
    path = tmp_path / "prompts.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        from_file(str(path)).prompts(CLASSES)


def test_captions_are_no_prompts():
    with pytest.raises(UsageError, match="dataset's own texts"):
        OwnCaptions().prompts(CLASSES)
    assert Templates(templates=["{}"]).prompts(()).prompts == []
