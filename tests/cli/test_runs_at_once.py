"""Runs that write into one folder at the same time, and runs that find other code than was there before."""

import collections
import os
import subprocess
import sys

from gapbench.results import journal
from gapbench.results.answers import answers
from gapbench.results.comparisons import compare
from gapbench.results.verify import verify_folder, well

OWN = ("mean-center", "gap-shift", "procrustes", "random-rotation")
RUN = ("run", "-d", "digits", "-p", "photo", "-p", "plain", "-m", "top1", "-m", "centroid-l2", "--no-figures", "--out")


def test_four_runs_into_one_folder_lose_nothing_and_mix_nothing(gapbench, tmp_path):
    gapbench(*RUN, tmp_path / "warm", "-a", "identity")  # so that all four start with cells at once
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "gapbench", *RUN, str(tmp_path / "out"), "-a", "identity", "-a", own],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=dict(os.environ),
        )
        for own in OWN
    ]  # fmt: skip
    for process in running:
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
    assert well(verify_folder(tmp_path / "out"))  # each line is whole, and each block intact
    found = journal.read_folder(tmp_path / "out")
    rows = collections.Counter((answer.record.prompts.name, answer.record.label) for answer in answers(found))
    assert rows == dict.fromkeys(((p, label) for p in ("photo", "plain") for label in ("identity", *OWN)), 1)
    for table in compare(answers(found)):
        for one in table:
            label = one.answer.record.label
            assert one.answer.conflicts == one.answer.superseded == ()
            assert set(one.differences) == (set() if label == "identity" else {"top1", "centroid-l2"})
    gapbench(*RUN, tmp_path / "alone", "-a", "identity", *(word for own in OWN for word in ("-a", own)))
    alone = [one for table in compare(answers(journal.read_folder(tmp_path / "alone"))) for one in table]
    both = [one for table in compare(answers(found)) for one in table]
    assert [(one.answer.record.metrics, one.differences) for one in both] == [
        (one.answer.record.metrics, one.differences) for one in alone
    ]


ALIGNER = """
import gapbench


class Half:
    def fit(self, data):
        self.step = 0.5 * data.moments.images.mean
        return self

    def images(self, x):
        return (x - self.step).astype("float32")


@gapbench.hookimpl
def gapbench_aligners():
    return [gapbench.AlignerSpec(name="half", factory="half:Half", summary="", family="toy", acts_on=gapbench.ActsOn.IMAGES,
                                 needs=frozenset({gapbench.Need.UNPAIRED_IMAGES}))]
"""


def test_a_run_says_what_is_measured_again_and_why(gapbench, tmp_path):
    (tmp_path / "half.py").write_text(ALIGNER)
    same = ("-d", "digits", "-p", "photo", "-m", "top1", "-m", "centroid-l2", "-a", "identity", "-a", "half",
            "--plugin", "half.py", "--out", tmp_path / "out")  # fmt: skip
    gapbench("run", *same, "--no-figures")
    (tmp_path / "half.py").write_text(ALIGNER.replace("0.5 *", "1.0 *"))
    done = gapbench("run", *same, "--no-figures", "--jobs", "2")
    assert "aligner half changed: 2 values are measured again" in " ".join((done.stdout + done.stderr).split())
    (answer,) = [one for one in answers(journal.read_folder(tmp_path / "out")) if one.record.label == "half"]
    assert answer.record.metrics["centroid-l2"].value != answer.runs[0].record.metrics["centroid-l2"].value
    assert answer.superseded


def test_a_session_with_workers_runs_a_plugin_as_it_is_now(tmp_path):
    import gapbench

    path = tmp_path / "half.py"
    found = []
    for step in ("0.5 *", "1.0 *", "0.5 *"):
        path.write_text(ALIGNER.replace("0.5 *", step))
        results = gapbench.run(
            datasets=["digits"], prompts=["photo", "plain"], aligners=["identity", "half"], metrics=["centroid-l2"],
            plugins=[path], jobs=2,
        )  # fmt: skip
        assert not results.failed
        found.append([record.metrics["centroid-l2"].value for record in results.records if record.label == "half"])
    assert found[0] == found[2]
    assert all(one != other for one, other in zip(found[0], found[1], strict=True))
