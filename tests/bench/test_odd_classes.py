"""Classes that share a text, and classes without an image: they run, are counted, and every number is as counted by hand."""

import numpy as np
import pytest

import gapbench
from gapbench.leaderboard.notices import notices
from gapbench.testing import two_cones


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Six classes: of 1 and 4 the text is one, 5 has no image."""
    toy = two_cones(150, 8, classes=5, noise=0.4)
    texts = np.vstack([toy.class_texts, -toy.class_texts[:1]])
    texts[4] = texts[1]
    path = tmp_path_factory.mktemp("odd") / "e.npz"
    np.savez(path, image=toy.images, text=texts, label=toy.labels)
    aligners = ["identity", "mean-center", "procrustes", "gda-clip", "oracle-leace"]
    found = gapbench.run(
        datasets=f"embeddings:{path}",
        aligners=aligners,
        metrics=["top1", "top5", "mean-per-class-recall", "ece", "v-measure"],
        protocol="in-sample",
        fit_size=100,
        out=path.parent / "out",
    )
    unit = [
        rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (toy.images.astype(float), texts.astype(float))
    ]
    return found, unit[0] @ unit[1].T, toy.labels


def test_they_run_and_are_counted(odd):
    found, _, _ = odd
    assert not found.failed
    assert len(found.records) == 5
    for record in found.records:
        assert (record.items.alike_classes, record.items.empty_classes) == (2, 1)
    (table,) = found.tables
    lines = " ".join(notices(table, found.metrics))
    assert "2 classes share their texts with another" in lines
    assert "1 class has no scored image" in lines


def test_ties_go_to_the_lower_class_and_empty_ones_have_no_recall(odd):
    found, scores, labels = odd
    (identity,) = [record for record in found.records if record.label == "identity"]
    best = scores.argmax(axis=1)  # of equal scores the first
    assert not (best == 4).any()
    assert identity.metrics["top1"].value == pytest.approx(np.mean(best == labels))
    recalls = [np.mean(best[labels == c] == c) for c in range(5)]
    assert identity.metrics["mean-per-class-recall"].value == pytest.approx(np.mean(recalls))


def test_the_items_that_were_not_fitted_on_are_scored_beside(odd):
    found, scores, labels = odd
    (table,) = found.tables
    row = table.row("identity")
    assert table.seen == 100
    assert "(100 of them fitted on)" in table.how
    assert row.unseen.n == 50
    assert row.rank is None
    assert all(value.p_holm is None for each in table.rows for value in each.values.values())
    stored = row.compared[0].answer.stored["top1"]
    seen = stored.container.opened(stored.record.outcomes).seen(150)
    assert seen.sum() == 100
    hits = scores.argmax(axis=1) == labels
    assert row.unseen.value == pytest.approx(hits[~seen].mean())
    (line,) = [
        one for one in notices(table, found.metrics) if "top1 on the 50 scored items that were not fitted on" in one
    ]
    assert f"identity {100 * hits[~seen].mean():.1f}" in line


def test_texts_that_are_all_one_are_refused(tmp_path):
    toy = two_cones(40, 8, classes=3)
    np.savez(tmp_path / "e.npz", image=toy.images, text=np.ones((3, 8), dtype="f4"), label=toy.labels)
    found = gapbench.run(datasets=f"embeddings:{tmp_path / 'e.npz'}", aligners="identity")
    assert not found.records
    (told,) = [reason for _, reason in (*found.skipped, *found.failures)]
    assert "all 3 rows are equal" in told


def test_all_scored_items_fitted_on_is_said(tmp_path):
    toy = two_cones(60, 8, classes=3)
    np.savez(tmp_path / "e.npz", image=toy.images, text=toy.class_texts, label=toy.labels)
    found = gapbench.run(
        datasets=f"embeddings:{tmp_path / 'e.npz'}", aligners="identity", protocol="in-sample", fit_size="all"
    )
    (table,) = found.tables
    assert "All scored items were fitted on" in " ".join(notices(table, found.metrics))
    assert table.rows[0].unseen is None
