"""What a plan tells of what is not here: sizes, folders, and the pictures to come; and what a log shows of a run."""

import json

from gapbench.builtin.encoders.open_clip_sizes import weight_bytes

CLIP = "open_clip:ViT-B-32-quickgelu/openai"


def planned(gapbench, tmp_path, *arguments):
    words = ("plan", "-p", "photo", "-a", "identity", "--data-root", tmp_path / "pictures", *arguments)
    env = {"HF_HOME": str(tmp_path / "weights")}
    return gapbench(*words, env=env), json.loads(gapbench(*words, "--json", env=env).stdout)


def test_sizes_folders_and_pictures_of_what_is_missing(gapbench, tmp_path):
    text, found = planned(gapbench, tmp_path, "-e", CLIP, "-d", "cifar10", "-d", "digits")
    weights = weight_bytes("ViT-B-32-quickgelu")
    skips = {skip["what"]: skip for skip in found["skips"]}
    assert skips[f"encoder {CLIP}"]["bytes"] == weights
    assert skips[f"encoder {CLIP}"]["folder"] == str(tmp_path / "weights" / "hub")
    assert skips["dataset cifar10"]["folder"] == str(tmp_path / "pictures")
    assert found["fetch_bytes"] == weights + 171_000_000
    jobs = {(job["dataset"], job["split"]): (job["images"], job["awaits"]) for job in found["encode"]}
    assert jobs == {
        ("cifar10", "test"): (10_000, "weights and images"),
        ("cifar10", "train"): (50_000, "weights and images"),
        ("digits", "test"): (500, "weights"),
        ("digits", "train"): (1297, "weights"),
    }
    said = text.stdout
    assert "61,797 more images once all is fetched" in said
    assert "--download would fetch about 776 MB:" in said
    for folder in (tmp_path / "weights" / "hub", tmp_path / "pictures"):
        assert f"  into {folder}: " in said  # whole, however narrow
    assert f"not run: encoder {CLIP} (about 605 MB): weights of" in said


def test_a_plan_imports_neither_torch_nor_a_hub_for_what_is_here(gapbench, tmp_path):
    code = (
        "import sys; from gapbench.cli.main import main; sys.argv = ['gapbench', 'plan', '-d', 'digits', '-d', 'cifar10'];"
        "main(); print([n for n in ('torch', 'torchvision', 'huggingface_hub') if n in sys.modules], file=sys.stderr)"
    )
    import os
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1:] in ([], ["[]"])


def test_a_log_shows_when_encoding_begins_in_plain_lines(gapbench, tmp_path):
    env = {"GAPBENCH_CACHE": str(tmp_path / "store")}
    done = gapbench(
        "run",
        "-d",
        "digits",
        "-p",
        "photo",
        "-a",
        "identity",
        "-m",
        "top1",
        "--protocol",
        "in-sample",
        "--no-figures",
        env=env,
    )
    assert "encoding digits: 500 to do" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
