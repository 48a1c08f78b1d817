"""Every block of every how-to page runs, in the order of the page: files are written, commands and programs are run."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs/how-to").glob("*.md"))
FENCE = re.compile(r"^```(?P<language>[^\s`]*) ?(?P<file>[^\n]*)\n(?P<text>.*?)^```$", flags=re.DOTALL | re.MULTILINE)

#: Makes what the encoder's page calls FOLDER: a CLIP of one narrow layer, with a tokenizer of single letters.
TINY_CLIP = """
import json
from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

folder = Path("FOLDER")
folder.mkdir()
letters = [chr(code) for code in range(33, 127)]
words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
(folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
(folder / "merges.txt").write_text("#version: 0.2\\n")
narrow = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
texts = {"vocab_size": len(words), "max_position_embeddings": 40, "bos_token_id": len(words) - 2}
texts |= {"eos_token_id": len(words) - 1, "pad_token_id": len(words) - 1}
torch.manual_seed(0)
pictures = {"image_size": 16, "patch_size": 8}
config = CLIPConfig(text_config=narrow | texts, vision_config=narrow | pictures, projection_dim=8)
CLIPModel(config).eval().save_pretrained(folder)
images = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=40)
CLIPProcessor(images, tokenizer).save_pretrained(folder)
"""

#: Makes what the dataset's page has from a hub: the library takes a folder of that name for it.
TINY_DATASET = """
from pathlib import Path

import numpy as np
from PIL import Image

rng = np.random.default_rng(0)
for split, count in (("train", 12), ("test", 8)):
    for name in ("cat", "dog"):
        folder = Path("ORGANISATION/NAME", split, name)
        folder.mkdir(parents=True)
        for number in range(count):
            Image.fromarray(rng.integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(folder / f"{number}.png")
"""

#: Makes what the page of Hugging Face has besides: two archives of pictures with their classes.
TINY_SHARDS = """
import io
import tarfile

for shard in range(2):
    Path("SHARDS").mkdir(exist_ok=True)
    with tarfile.open(f"SHARDS/{shard}.tar", "w") as archive:
        for number, path in enumerate(sorted(Path("ORGANISATION/NAME").rglob("*.png"))[shard::2]):
            for ending, content in (("png", path.read_bytes()), ("cls", path.parent.name.encode())):
                member = tarfile.TarInfo(f"{number}.{ending}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
"""

#: Pages that need libraries which gapbench does not: the libraries, and a program that makes what the page has.
PREPARED = {
    "encoder": (["transformers"], TINY_CLIP),
    "dataset": (["datasets"], TINY_DATASET),
    "huggingface": (["transformers", "datasets"], TINY_CLIP + TINY_DATASET + TINY_SHARDS),
}


@pytest.fixture
def page_environment(tmp_path, own_plugins):
    """Give an environment without the network, with the plugins that come along, and with data in a folder of its own."""
    return {
        "PYTHONPATH": f"{own_plugins}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "GAPBENCH_PLUGINS": "gapbench-adapters,gapbench-huggingface",
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "GAPBENCH_DATA": str(tmp_path / "data" / "gapbench"),
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_OFFLINE": "1",
    }


def blocks(page):
    return [(found["language"], found["file"], found["text"]) for found in FENCE.finditer(page.read_text())]


def run_program(text, cwd, env):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", [pytest.param(page, id=page.stem) for page in PAGES])
def test_every_block_of_a_page_runs(gapbench, page_environment, tmp_path, page):
    libraries, preparation = PREPARED.get(page.stem, ([], ""))
    for library in libraries:
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed, and the page is about it")
    if preparation:
        run_program(preparation, tmp_path, page_environment)
    for language, file, text in blocks(page):
        if file:
            (tmp_path / file).write_text(text)
        elif language == "python":
            assert run_program(text, tmp_path, page_environment)
        elif language == "sh":
            for line in text.splitlines():
                command, *arguments = shlex.split(line, comments=True)
                assert command == "gapbench", line
                drawn = ["--no-figures"] if arguments[0] == "run" else []  # compiling UMAP takes a minute
                assert gapbench(*arguments, *drawn, env=page_environment).stdout
        else:
            assert language == "{toctree}", f"{page.name} has a block that no test runs: {text}"


def test_a_page_shows_a_plugin_of_its_own_at_work():
    """What is written to a file is used by a command of the same page."""
    for page in PAGES:
        commands = "".join(text for language, file, text in blocks(page) if language == "sh" and not file)
        for _, file, _ in blocks(page):
            if file:
                assert file in commands, f"{page.name}: no command takes {file}"


def test_plugins_that_need_another_library_load_without_it(gapbench, tmp_path):
    for name in PREPARED:
        for _, file, text in blocks(ROOT / f"docs/how-to/{name}.md"):
            if file:
                (tmp_path / file).write_text(text)
                gapbench("plugins", "--plugin", file)
