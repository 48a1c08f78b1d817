"""Of pictures that change, what is new is encoded; an interrupted run goes on where it was."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

from gapbench.builtin.datasets.digits import Digits

PLUGIN = """
import json
import numpy as np
import gapbench
from gapbench.testing.toys import ToyEncoder

class Counting(ToyEncoder):
    def encode_images(self, batch):
        with open("encoded.txt", "a") as file:
            file.write("x" * len(batch))
        return super().encode_images(batch)

class Slow(Counting):
    def encode_images(self, batch):
        import time
        from gapbench.embeddings import encode
        encode.SEGMENT_S = 0.2
        time.sleep(0.1)
        return super().encode_images(batch)

@gapbench.hookimpl
def gapbench_encoders():
    return [gapbench.EncoderSpec(name=name, factory=f"counting:{name.title()}", summary="") for name in ("counting", "slow")]
"""


@pytest.fixture
def run(gapbench, tmp_path, monkeypatch):
    monkeypatch.setenv("GAPBENCH_CACHE", str(tmp_path / "store"))
    (tmp_path / "counting.py").write_text(PLUGIN)
    split = Digits(None).split("test")
    for row in range(120):
        path = tmp_path / "photos" / split.classes[split.labels[row]] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        split.images[row].resize((16, 16)).save(path)

    def command(root="photos", encoder="counting", code=0, **more):
        counted = tmp_path / "encoded.txt"
        counted.write_text("")
        words = (
            "--plugin",
            "counting.py",
            "-d",
            f"folder:{root}",
            "-e",
            encoder,
            "-p",
            "plain",
            "-a",
            "identity",
            "-m",
            "top1",
        )
        done = gapbench("run", *words, "--no-figures", "--out", "out", code=code, **more)
        return len(counted.read_text()), done

    return command


def test_one_added_repaired_renamed_or_copied(run, tmp_path):
    first = min((tmp_path / "photos" / "zero").iterdir())
    whole = first.read_bytes()
    first.write_bytes(b"no picture")
    encoded, done = run(code=1)
    assert "cannot be read" in done.stderr + done.stdout
    first.write_bytes(whole)
    assert run()[0] == 120 - encoded  # what was encoded before the bad one is kept
    Image.new("RGB", (16, 16), (1, 2, 3)).save(tmp_path / "photos" / "zero" / "new.png")
    assert run()[0] == 1
    first.rename(first.with_name("renamed.png"))
    assert run()[0] == 0
    shutil.copytree(tmp_path / "photos", tmp_path / "others" / "val")
    shutil.rmtree(tmp_path / "others" / "val" / "nine")
    assert run("others")[0] == 0


def test_the_plan_says_how_many(run, gapbench, tmp_path):
    words = ("--plugin", "counting.py", "-d", "folder:photos", "-e", "counting", "-p", "plain", "-a", "identity")
    assert "to encode: 120 images" in gapbench("plan", *words).stdout
    run()
    Image.new("RGB", (16, 16), (1, 2, 3)).save(tmp_path / "photos" / "zero" / "new.png")
    assert "to encode: 1 images" in gapbench("plan", *words).stdout


def test_ctrl_c_keeps_what_was_encoded(run, tmp_path):
    (tmp_path / "encoded.txt").write_text("")
    words = [
        "run",
        "--plugin",
        "counting.py",
        "-d",
        "folder:photos",
        "-e",
        "slow",
        "-p",
        "plain",
        "-a",
        "identity",
        "-m",
        "top1",
    ]
    # Some shells start what runs in the background with SIGINT ignored, and children inherit that.
    restore = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
    with subprocess.Popen(
        [sys.executable, "-m", "gapbench", *words, "--no-figures", "--out", "out"],
        cwd=tmp_path,
        preexec_fn=restore,  # noqa: PLW1509 - there are no threads here
        env=os.environ,
    ) as process:
        while len((tmp_path / "encoded.txt").read_text()) < 64:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    assert run(encoder="slow")[0] <= 120 - 64
