"""Two sets of results: what changed, by how much, and whether it is more than noise."""

import json
import subprocess

import pytest
from records import hits, record, run

from gapbench.host.discovery import discover
from gapbench.leaderboard.compare import compare, summary, to_markdown
from gapbench.results import journal
from gapbench.results.answers import answers

SPECS = discover().metric_specs()


@pytest.fixture
def both(tmp_path):
    """Give two folders of results, before and after a change."""
    one, two = tmp_path / "one", tmp_path / "two"
    run(
        one,
        [
            record("identity", hits(0.9)),
            record("better", hits(0.6)),
            record("noisy", hits(0.8)),
            record("gone", hits(0.5)),
            record("moved", hits(0.5), gap=0.4),
        ],
    )
    run(
        two,
        [
            record("identity", hits(0.9)),
            record("better", hits(0.7)),
            record("noisy", hits(0.8, wrong=[3])),
            record("new", hits(0.5)),
            record("moved", hits(0.5), gap=0.3),
        ],
    )
    return one, two


def compared(one, two):
    return compare(answers(journal.read_folder(one)), answers(journal.read_folder(two)))


def test_each_change_is_tested_on_the_same_items(both):
    found = compared(*both)
    verdicts = {(change.label, change.metric): change.kind for change in found.changes}
    assert verdicts["identity", "top1"] == "same"
    assert verdicts["better", "top1"] == "changed"
    assert verdicts["noisy", "top1"] == "noise"
    assert verdicts["moved", "centroid-l2"] == "untested"
    better = next(change for change in found.changes if change.label == "better" and change.metric == "top1")
    assert (better.before, better.after) == (0.6, 0.7)
    # 40 items only right after: McNemar gives 2 * 2^-40, and Holm counts the two changes that have a test
    assert better.p == pytest.approx(2 * 2 * 0.5**40)
    assert found.added == ["enc / data / photo, held-out all: new"]
    assert found.removed == ["enc / data / photo, held-out all: gone"]
    told = " ".join(summary(found))
    for words in (
        "after Holm): 1",
        "no more than noise: 1",
        "new rows: 1",
        "rows that are gone: 1",
    ):
        assert words in told


def test_other_items_are_not_tested(both, tmp_path):
    from gapbench.model.record import DatasetRef

    three = tmp_path / "three"
    other = DatasetRef(
        component="data", name="data", fingerprint="other images", split="test", n=400, distribution="gapbench"
    )
    run(three, [record("better", hits(0.7), dataset=other)])
    (top1,) = [change for change in compared(both[0], three).changes if change.metric == "top1"]
    assert (top1.kind, top1.p) == ("untested", None)


def test_results_compared_with_themselves_are_the_same(both):
    found = compared(both[0], both[0])
    assert {change.kind for change in found.changes} == {"same"}
    assert not found.added
    assert not found.removed


def test_markdown_can_be_posted_and_markup_stays_text(both):
    one, two = both
    run(two, [record("<img src=x>|`", hits(0.2))])
    page = to_markdown("one → two", compared(one, two), SPECS)
    assert "| enc / data / photo, held-out all | `better` | top1 | 60.0 | 70.0 | +10.0\\* | 3.6e-12 |" in page
    assert "<img" not in page
    assert "<details><summary>New: 2 rows</summary>" in page


def test_the_command_takes_folders_files_studies_and_commits(gapbench, both, tmp_path):
    one, two = both
    told = gapbench("leaderboard", "compare", one, two).stdout
    assert "changed by more than noise" in " ".join(told.split())
    assert "better" in told
    files = gapbench("leaderboard", "compare", one / "records/run.jsonl", two / "records/run.jsonl", "--json")
    ((_, found),) = json.loads(files.stdout).items()
    assert {change["verdict"] for change in found["changes"]} == {"same", "changed", "noise", "untested"}

    git = ["git", "-c", "user.name=n", "-c", "user.email=e"]
    board = tmp_path / "leaderboards" / "toy"
    board.parent.mkdir()
    subprocess.run([*git, "init", "-q", "."], cwd=tmp_path, check=True)
    for source in both:
        if board.exists():
            board.rename(tmp_path / "old")
        source.rename(board)
        subprocess.run([*git, "add", "leaderboards"], cwd=tmp_path, check=True)
        subprocess.run([*git, "commit", "-q", "-m", "results"], cwd=tmp_path, check=True)
    commits = gapbench("leaderboard", "compare", "HEAD~1", "HEAD", "--markdown").stdout
    assert "`better` | top1 | 60.0 | 70.0 | +10.0\\*" in commits
    study = gapbench("leaderboard", "compare", "HEAD~1:leaderboards/toy", "toy", "--markdown").stdout
    assert "`better` | top1 | 60.0 | 70.0 | +10.0\\*" in study


def test_what_is_not_there_is_told(gapbench, both):
    told = gapbench("leaderboard", "compare", "nothing", both[0], code=2).stderr
    assert "There are no results 'nothing'" in told
    assert "Traceback" not in told
    assert "There are no results '--help'" in gapbench("leaderboard", "compare", "--", "--help", both[0], code=2).stderr
