"""``gapbench dev``: at each save a check, a run and a verdict."""

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time

import pytest

ALIGNER = """
import gapbench


class Part:
    def fit(self, data):
        self.step = SHARE * (data.moments.texts.mean - data.moments.images.mean)
        return self

    def images(self, x):
        return (x + self.step).astype("float32")


@gapbench.hookimpl
def gapbench_aligners():
    return [gapbench.AlignerSpec(name="part", factory="part_plugin:Part", summary="part of the way", family="mean",
        needs=frozenset({gapbench.Need.UNPAIRED_IMAGES, gapbench.Need.UNPAIRED_TEXTS}), acts_on=gapbench.ActsOn.IMAGES)]
"""
HALF = ALIGNER.replace("SHARE", "0.5")
NOTHING = ALIGNER.replace("SHARE", "0.001")


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Give the path of a plugin, and see to it that nothing but it is left anywhere."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    path = tmp_path / "part_plugin.py"
    path.write_text(HALF)
    yield path
    assert not list(temporary.glob("gapbench*"))
    assert not [left.name for left in tmp_path.iterdir() if left.suffix != ".py" and left != temporary]


def test_one_round_checks_runs_and_says_what_differs(gapbench, plugin):
    shown = gapbench("dev", plugin, "--once").stdout
    assert re.search(r"aligner part: (\d+) of \1 checks passed", shown)
    assert "✗" not in shown
    for table in ("mini-clip / color-digits / captions", "mini-clip / color-digits / photo"):
        assert table in shown
    assert "part: differs from identity by no more than noise (top1)" in shown
    assert re.search(r"\d\.\d s of checks, \d+\.\d s of running", shown)


def test_a_verdict_is_that_of_the_table(gapbench, plugin):
    plugin.write_text(HALF.replace("return (x + self.step)", "return (x - 40 * self.step)"))
    shown = gapbench("dev", plugin, "--once").stdout
    assert re.search(r"part .* −\d+\.\d\*", shown)
    assert "part: worse than identity by more than noise (top1)" in shown


def test_one_mistake_that_fails_many_checks_is_told_once(gapbench, plugin):
    plugin.write_text(HALF.replace("return (x + self.step)", "raise ValueError('no luck')\n        return (x)"))
    shown = " ".join(gapbench("dev", plugin, "--once", code=1).stdout.split())
    assert re.search(r"✗ leaves global state alone \(and \d+ more checks\) it raises ValueError: no luck", shown)
    assert shown.count("it raises ValueError: no luck") == 1
    assert re.search(r"part_plugin.py, line \d+", shown)


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("def broken(:\n", 3, "SyntaxError"),
        (HALF.replace("def gapbench_aligners", "def gapbench_aligner"), 3, "Did you mean 'gapbench_aligners'?"),
        (HALF.replace("def images", "def imagse"), 1, "checks passed"),
        ("import gapbench\n@gapbench.hookimpl\ndef gapbench_metrics():\n    return []\n", 1, "registers nothing"),
    ],
    ids=["syntax", "hook", "method", "nothing"],
)
def test_one_round_ends_with_the_code_of_check_and_run(gapbench, plugin, text, code, told):
    plugin.write_text(text)
    done = gapbench("dev", plugin, "--once", code=code)
    assert told in done.stdout + done.stderr


def test_a_file_that_is_not_there(gapbench):
    assert "There is no plugin file 'nowhere.py'" in gapbench("dev", "nowhere.py", code=2).stderr


def test_a_metric_is_tried_on_what_helps_and_what_destroys(gapbench, plugin):
    gapbench("new", "metric", "share-of-hits", "--single-file")
    shown = " ".join(gapbench("dev", "share_of_hits.py", "--once").stdout.split())
    assert re.search(r"share-of-hits % ↑: identity \d+\.\d, procrustes .*random-rotation \d+\.\d \(−\d+\.\d\*\)", shown)
    assert "procrustes:" not in shown


@pytest.mark.parametrize("kind", ["prompts", "dataset", "encoder"])
def test_other_kinds_are_checked_and_the_command_that_runs_them_is_told(gapbench, plugin, kind):
    gapbench("new", kind, "my-own", "--single-file")
    shown = " ".join(gapbench("dev", "my_own.py", "--once").stdout.split())
    assert "checks passed" in shown
    assert "to run it: gapbench run " in shown


def test_a_method_that_reads_test_items_is_run_as_such(gapbench, plugin):
    plugin.write_text(
        HALF.replace("data.moments.images.mean", "data.test_images.mean(axis=0)").replace(
            "UNPAIRED_IMAGES", "TEST_IMAGES"
        )
    )
    shown = gapbench("dev", plugin, "--once").stdout
    assert "transductive: fitted on" in shown


class Watched:
    """A ``gapbench dev`` that runs, with what it has printed so far."""

    def __init__(self, process):
        self.process = process
        self.seen = ""

    def until(self, words, seconds=120):
        """Wait for words, and return what was printed up to them."""
        end = time.monotonic() + seconds
        while words not in self.seen and time.monotonic() < end:
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                self.seen += os.read(self.process.stdout.fileno(), 65536).decode()
        assert words in self.seen, self.seen
        before, _, self.seen = self.seen.partition(words)
        return before


@pytest.fixture
def watching(plugin):
    """Watch the plugin, off a terminal.

    It gets SIGINT as at a terminal: a shell's background jobs, pytest among them, start with it ignored.
    """
    command = [sys.executable, "-m", "gapbench", "dev", plugin.name]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with subprocess.Popen(
            command, cwd=plugin.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        ) as process:
            yield Watched(process)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    finally:
        signal.signal(signal.SIGINT, before)


def end(watched):
    """Press Ctrl-C."""
    watched.process.send_signal(signal.SIGINT)
    return watched.process.wait(20)


def test_each_save_is_another_round_with_the_new_code(watching, plugin):
    first = watching.until("watching 1 file; Ctrl-C ends it")
    assert "part_plugin.py" in first
    assert re.search(r"part .* 0\.287", first), first
    plugin.write_text("def broken(:\n")
    assert "SyntaxError" in watching.until("watching 1 file;")
    plugin.write_text(NOTHING)
    again = watching.until("watching 1 file;")
    assert re.search(r"part .* 0\.53\d", again), again
    assert end(watching) == 0


def test_what_it_imports_from_beside_it_is_watched_too(watching, plugin):
    watching.until("watching 1 file;")
    (plugin.parent / "part_helper.py").write_text("SHARE = 0.5\n")
    plugin.write_text("from part_helper import SHARE\n" + ALIGNER)
    assert re.search(r"part .* 0\.287", watching.until("watching 2 files;"))
    (plugin.parent / "part_helper.py").write_text("SHARE = 0.001\n")
    assert re.search(r"part .* 0\.53\d", watching.until("watching 2 files;"))
    assert end(watching) == 0


def test_a_save_while_a_round_runs_begins_another(watching, plugin):
    watching.until("watching 1 file;")
    plugin.write_text("import time\ntime.sleep(600)\n" + HALF)
    watching.until("part_plugin.py")
    plugin.write_text(HALF)
    watching.until("saved again: this round is left off")
    assert "checks passed" in watching.until("watching 1 file;")
    assert end(watching) == 0


def test_ctrl_c_ends_it_in_the_middle_of_a_round_and_leaves_no_process(watching, plugin):
    watching.until("watching 1 file;")
    plugin.write_text("import os, time\nprint(f'round {os.getpid()}.')\ntime.sleep(600)\n" + HALF)
    watching.until("round ")
    number = int(watching.until("."))
    assert end(watching) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_a_file_that_an_editor_takes_away_while_it_saves_is_waited_for(watching, plugin):
    watching.until("watching 1 file;")
    plugin.unlink()
    time.sleep(0.6)
    plugin.write_text(NOTHING)
    assert re.search(r"part .* 0\.53\d", watching.until("watching 1 file;"))
    assert end(watching) == 0
