"""Standard output and the end of a run are gapbench's: a plugin that writes past Python, or interrupts, costs itself."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from gapbench.bench.isolation import calling
from gapbench.host.discovery import built_in
from gapbench.host.registry import Kind
from gapbench.host.selection import Selected
from gapbench.testing import two_cones

METRIC = """
import os
import sys

import gapbench


class M:
    def measure(self, data):
        BODY
        return gapbench.Measurement(value=1.0, n=data.n_images)


@gapbench.hookimpl
def gapbench_metrics():
    return [
        gapbench.MetricSpec(
            name="mine", factory="mine:M", summary="s", unit="share", better=gapbench.Better.HIGHER,
            family=gapbench.MetricFamily.TASK,
        )
    ]
"""

WRITING = (
    "print('LEAK'); sys.__stdout__.write('LEAK'); os.write(1, b'LEAK'); "
    "import ctypes; ctypes.CDLL(None).printf(b'LEAK')"
)
C_LIBRARY = pytest.mark.skipif(sys.platform == "win32", reason="C's library has another name")


@pytest.fixture
def chosen(tmp_path):
    """Write embeddings and a metric with a body; the words that run it."""

    def write(body):
        toy = two_cones(40, 6, classes=3)
        np.savez(tmp_path / "e.npz", image=toy.images, text=toy.class_texts, label=toy.labels)
        (tmp_path / "mine.py").write_text(METRIC.replace("BODY", body))
        selected = ["-d", "embeddings:e.npz", "-a", "identity", "-a", "mean-center", "-m", "top1", "-m", "mine"]
        return ["run", *selected, "--plugin", "mine.py", "--no-figures", "--out", "out"]

    return write


@C_LIBRARY
def test_what_a_metric_writes_past_python_is_not_in_the_output(chosen, gapbench):
    done = gapbench(*chosen(WRITING))
    assert "LEAK" not in done.stdout + done.stderr
    assert "mean-center" in done.stdout


@C_LIBRARY
def test_what_a_plugin_writes_past_python_while_it_is_imported_is_not_in_json(chosen, tmp_path, gapbench):
    chosen("")
    with (tmp_path / "mine.py").open("a") as plugin:
        plugin.write(WRITING)
    done = gapbench("list", "metric", "--json", "--plugin", "mine.py")
    json.loads(done.stdout)
    assert done.stderr.count("LEAK") == 4


def test_what_an_encoder_a_dataset_or_a_strategy_writes_past_python_goes_to_standard_error(capfd):
    component = built_in().get(Kind.DATASET, "digits")
    with calling(Selected(component, None, {})):
        os.write(1, b"LEAK")
        subprocess.run(["echo", "LEAK"], check=True)
    os.write(1, b"mine")
    shown = capfd.readouterr()
    assert (shown.out, shown.err.count("LEAK")) == ("mine", 2)


CHANGES = (
    "import gapbench.results.comparisons as c; c.compare = None; import gapbench.leaderboard.assemble as a; "
    "a.build_tables = lambda *a, **k: []; import gapbench.cli.report as r; r.report = lambda *a, **k: True; "
    "import rich.console as o; o.Console.print = lambda *a, **k: None"
)


def test_a_metric_that_changes_what_makes_the_report_is_blamed_and_the_table_shown(chosen, gapbench):
    """The metric is the first one to import it."""
    done = gapbench(*chosen(CHANGES))
    assert "mean-center" in done.stdout
    assert "Metric 'mine' (mine.py) replaced" in done.stderr
    assert "and 1 more" in done.stderr


def test_a_metric_that_interrupts_costs_its_own_values(chosen, gapbench):
    done = gapbench(*chosen("raise KeyboardInterrupt"), code=1)
    assert "metric 'mine': it raised KeyboardInterrupt" in done.stdout
    assert "mean-center" in done.stdout


def test_a_plugin_that_interrupts_while_it_is_imported_is_broken(tmp_path, gapbench):
    (tmp_path / "stops.py").write_text("raise KeyboardInterrupt\n")
    done = gapbench("list", "--plugin", "stops.py", code=3)
    assert "stops.py is broken: importing it raises KeyboardInterrupt" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="there is no such signal")
def test_an_interrupt_of_the_user_ends_the_run_though_a_metric_catches_it(chosen, tmp_path):
    body = """open("mark", "a").close()
        import time
        try:
            time.sleep(60)
        except BaseException:
            pass"""
    running = subprocess.Popen(
        [sys.executable, "-m", "gapbench", *chosen(body)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # What a shell starts in the background, pytest among it, ignores SIGINT, and its children do.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - there are no threads here
    )
    for _ in range(1200):
        if (tmp_path / "mark").exists() or running.poll() is not None:
            break
        time.sleep(0.05)
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert b"Interrupted" in err
