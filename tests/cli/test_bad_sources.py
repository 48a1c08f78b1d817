"""Encoders, datasets and prompt strategies that raise cost their own cells, and are named."""

import pytest

PLUGIN = """
import numpy as np
import gapbench


class Encoder:
    def __init__(self, context, where=""):
        self.where = where

    def __getattribute__(self, name):
        if name == object.__getattribute__(self, "where"):
            raise RuntimeError(f"no {name} today")
        return object.__getattribute__(self, name)

    def files(self):
        return ()

    def missing(self):
        return None

    def identity(self):
        return {"bad": self.where}

    def encode_images(self, batch):
        return np.ones((len(batch), 4), dtype="float32")

    def prepare(self, image):
        return image

    def encode_texts(self, texts):
        return np.ones((len(texts), 4), dtype="float32")


class Dataset:
    def __init__(self, context, where):
        self.where = where

    def missing(self):
        if self.where == "missing":
            raise SystemExit(5)

    def split(self, name):
        raise OSError("disk on fire")


class Prompts:
    def prompts(self, classes):
        raise LookupError("lost for words")


@gapbench.hookimpl
def gapbench_encoders():
    return [gapbench.EncoderSpec(name=f"bad-{w}", factory="bad_sources:Encoder", summary="", options={"where": w})
            for w in ("identity", "encode_texts", "prepare")]


@gapbench.hookimpl
def gapbench_datasets():
    return [gapbench.DatasetSpec(name=f"bad-{w}", factory="bad_sources:Dataset", summary="", options={"where": w},
                                 offers=frozenset({gapbench.Offer.LABELS}), splits={"test": 3}, licence="")
            for w in ("missing", "split")]


@gapbench.hookimpl
def gapbench_prompts():
    return [gapbench.PromptSpec(name="bad-prompts", factory="bad_sources:Prompts", summary="")]
"""


@pytest.mark.parametrize(
    ("arguments", "message", "survives"),
    [
        (("-e", "bad-identity", "-e", "mini-clip"), "RuntimeError: no identity today", True),
        (("-e", "bad-encode_texts", "-e", "mini-clip"), "RuntimeError: no encode_texts today", True),
        (("-e", "bad-prepare", "-e", "mini-clip"), "RuntimeError: no prepare today", True),
        (("-d", "bad-missing", "-d", "digits", "-e", "mini-clip"), "SystemExit: 5", True),
        (("-d", "bad-split", "-d", "digits", "-e", "mini-clip"), "OSError: disk on fire", True),
        (("-p", "bad-prompts", "-p", "photo", "-e", "mini-clip"), "LookupError: lost for words", True),
        (("-p", "bad-prompts", "-e", "mini-clip"), "LookupError: lost for words", False),
    ],
)
def test_whatever_raises_is_named_and_the_others_run(gapbench, tmp_path, arguments, message, survives):
    (tmp_path / "bad_sources.py").write_text(PLUGIN)
    rest = ("-d", "digits") if "-d" not in arguments else ()
    rest += ("-p", "photo") if "-p" not in arguments else ()
    done = gapbench(
        "run", *arguments, *rest, "-a", "identity", "-m", "top1", "--plugin", "bad_sources.py", "--no-figures", code=1
    )
    words = " ".join((done.stdout + done.stderr).split())
    assert message in words
    assert "Traceback" not in words
    assert ("mini-clip / digits / photo" in done.stdout) == survives
