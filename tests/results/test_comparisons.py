"""Comparisons: what the outcomes give, computed when somebody looks, and in no record."""

import msgspec
import numpy as np
import pytest
from records import binary, failed, hits, other_code, record, run, stored, value
from scipy import stats as scipy_stats

from gapbench.components import Measurement
from gapbench.embeddings.memo import Memos
from gapbench.results import journal
from gapbench.results.answers import answers
from gapbench.results.comparisons import compare, without_outcomes
from gapbench.results.outcomes import SUFFIX, pack


def compared(folder, drafts):
    """Return the rows of the one table that answers make, by label and seed."""
    (table,) = compare(answers(stored(folder, drafts)))
    return {(one.answer.record.label, one.answer.record.seed): one for one in table}


def test_a_table_is_compared_with_identity_by_mcnemar(tmp_path):
    rng = np.random.default_rng(1)
    base = rng.random(200) < 0.8
    found = {"worse": base & (rng.random(200) < 0.8), "same": base ^ (rng.random(200) < 0.02)}
    rows = [record("identity", base), *(record(name, right) for name, right in found.items())]
    done = {label: one.differences.get("top1") for (label, _), one in compared(tmp_path, rows).items()}
    assert done["identity"] is None
    expected = {}
    for name, right in found.items():
        b, c = int((right & ~base).sum()), int((~right & base).sum())
        expected[name] = scipy_stats.binomtest(min(b, c), b + c).pvalue
        assert done[name].p == pytest.approx(expected[name])
        assert done[name].delta == pytest.approx(right.mean() - base.mean())


def test_seeds_are_compared_with_their_own_identity(tmp_path):
    rows = [
        record("identity", np.array([1, 1, 0, 0], bool), seed=0),
        record("identity", np.array([1, 1, 1, 0], bool), seed=1),
        record("other", np.array([1, 1, 1, 1], bool), seed=1),
    ]
    assert compared(tmp_path, rows)["other", 1].differences["top1"].delta == pytest.approx(0.25)


def test_without_identity_nothing_is_compared(tmp_path):
    assert compared(tmp_path, [record("other", hits(0.5))])["other", 0].differences == {}


def test_an_identity_that_failed_is_no_baseline(tmp_path):
    done = compared(tmp_path, [failed("identity"), record("other", hits(0.5))])
    assert done["other", 0].differences == {}


def test_a_failed_cell_is_compared_with_nothing_and_counts_in_no_correction(tmp_path):
    alone = compared(tmp_path / "one", [record("identity", hits(0.9)), record("other", hits(0.5))])
    beside = compared(
        tmp_path / "two", [record("identity", hits(0.9)), record("other", hits(0.5)), failed("bad", "no luck")]
    )
    assert beside["bad", 0].differences == {}
    assert beside["other", 0].differences == alone["other", 0].differences


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_without_outcomes_there_are_values_and_differences_and_no_test_and_the_reason(tmp_path, damage):
    rows = [record("identity", hits(0.9)), record("other", hits(0.5))]
    path = run(tmp_path, rows)
    kept = path.with_suffix(SUFFIX)
    kept.unlink() if damage == "gone" else kept.write_bytes(b"\0" * kept.stat().st_size)
    (table,) = compare(answers(journal.read(path)))
    other = next(one for one in table if one.answer.record.label == "other")
    assert other.answer.record.metrics["top1"].value == 0.5
    assert other.differences["top1"].delta == pytest.approx(-0.4)
    assert other.differences["top1"].p is None
    assert ("cannot be read" if damage == "gone" else "SHA-256") in other.untested


def test_damaged_outcomes_of_one_row_leave_the_test_of_another(tmp_path):
    rows = [record("identity", hits(0.9)), record("other", hits(0.5)), record("lost", hits(0.4))]
    path = run(tmp_path, rows)
    kept = path.with_suffix(SUFFIX)
    kept.write_bytes(kept.read_bytes()[:-1] + b"!")
    (table,) = compare(answers(journal.read(path)))
    done = {one.answer.record.label: one.differences.get("top1") for one in table}
    assert done["lost"].p is None
    assert done["other"].p < 1e-9


def test_of_one_label_with_other_defaults_the_newest_stands(tmp_path):
    older, newer = (
        msgspec.structs.replace(record("other")[0].aligner, params={"strength": number}) for number in (1, 2)
    )
    rows = [
        record("identity", hits(0.9)),
        record("other", hits(0.5), aligner=older, created="2026-01-01"),
        record("other", hits(0.6), aligner=newer, created="2026-02-01", code=other_code()),
    ]
    (table,) = compare(answers(stored(tmp_path, rows)))
    assert [one.record.metrics["top1"].value for one in table if one.record.label == "other"] == [0.6]


def test_several_seeds_of_the_same_items_have_one_test_on_their_averages(tmp_path):
    """With the spread of the seeds beside that of the items; by hand in float64."""
    rng = np.random.default_rng(2)
    n, seeds = 300, 4
    base = rng.random(n) < 0.7
    other = [base ^ (rng.random(n) < share) for share in (0.05, 0.1, 0.2, 0.08)]
    rows = [record("identity", base, seed=seed) for seed in range(seeds)]
    rows += [record("other", right, seed=seed) for seed, right in enumerate(other)]
    found = {
        seed: one.differences["top1"] for (label, seed), one in compared(tmp_path, rows).items() if label == "other"
    }
    per_seed = np.array([right.mean() - base.mean() for right in other])
    assert [found[seed].delta for seed in range(seeds)] == pytest.approx(per_seed)
    items = (np.mean(other, axis=0) - base).var(ddof=1) / n
    fits = per_seed.var(ddof=1) / seeds + 1 / (seeds * n**2)
    (p,) = {one.p for one in found.values()}
    quantiles = scipy_stats.t.ppf(1 - p / 2, [n - 1, seeds - 1])  # each variance with that of its own
    assert np.sqrt(quantiles**2 @ [items, fits]) == pytest.approx(abs(per_seed.mean()), rel=1e-3)


def test_in_sample_nothing_is_tested(tmp_path):
    drafts = [record("identity", hits(0.9)), record("other", hits(0.5))]
    protocol = msgspec.structs.replace(drafts[0][0].protocol, name="in-sample", fit_split="test")
    drafts = [(msgspec.structs.replace(draft, protocol=protocol), content) for draft, content in drafts]
    found = compared(tmp_path, drafts)["other", 0].differences["top1"]
    assert found.delta == pytest.approx(-0.4)
    assert found.p is None


def test_a_metric_that_identity_does_not_have_has_no_difference(tmp_path):
    measured = {"top1": binary(hits(0.5)), "odd": Measurement(value=0.2, n=400, jackknife=np.linspace(0.1, 0.3, 20))}
    draft, _ = record("other")
    draft = msgspec.structs.replace(draft, metrics={name: value(one) for name, one in measured.items()})
    done = compared(tmp_path, [record("identity", hits(0.9)), (draft, pack(measured, None))])
    assert done["other", 0].differences.keys() == {"top1"}


def test_looking_twice_gives_the_same_and_writes_nothing(tmp_path):
    path = run(tmp_path, [record("identity", hits(0.9)), record("other", hits(0.5))])
    before = {one: one.read_bytes() for one in path.parent.iterdir()}
    first, second = (
        [(one.answer.record, one.differences) for table in compare(answers(journal.read(path))) for one in table]
        for _ in range(2)
    )
    assert first == second
    assert {one: one.read_bytes() for one in path.parent.iterdir()} == before


def test_outcomes_are_let_go_of_and_the_comparison_stays(tmp_path):
    one = compared(tmp_path, [record("identity", hits(0.9)), record("other", hits(0.5))])["other", 0]
    assert one.measured
    light = without_outcomes(one)
    assert not light.measured
    assert light.differences == one.differences


def test_identity_of_another_distribution_is_no_baseline(tmp_path):
    """Whatever the order of their ids: a submission must not define the differences of everybody."""
    for seed in range(6):
        mine = record("identity", hits(0.5), seed=seed)
        draft, content = record("identity", hits(0.9), seed=seed)
        aligner = msgspec.structs.replace(draft.aligner, distribution="toy")
        theirs = (msgspec.structs.replace(draft, aligner=aligner), content)
        (table,) = compare(answers(stored(tmp_path / str(seed), [theirs, mine, record("other", hits(0.7), seed=seed)])))
        found = {(one.record.label, one.record.aligner.distribution): one.differences.get("top1") for one in table}
        assert found["identity", "gapbench"] is None
        assert found["other", "toy"].delta == pytest.approx(0.2)
        assert found["identity", "toy"].delta == pytest.approx(0.4)


def real(name, shift):
    """Return an answer of a metric with one real number an item, whose test is a bootstrap."""
    values = np.random.default_rng(0).random(60) + shift
    measured = Measurement(value=float(values.mean()), n=60, outcomes=values)
    draft, _ = record(name, hits(0.5), metrics={"real": value(measured)})
    return draft, pack({"real": measured}, None)


def test_p_values_are_remembered_and_damaged_outcomes_leave_nothing_that_is(tmp_path):
    memos = Memos(tmp_path / "store")
    found = stored(tmp_path / "out", [real("identity", 0.0), real("other", 0.3)])
    path = journal.run_file(tmp_path / "out").with_suffix(SUFFIX)
    whole = path.read_bytes()

    def p():
        (table,) = compare(answers(journal.read_folder(tmp_path / "out")), memos)
        return [one.differences["real"].p for one in table if one.differences]

    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert p() == [None]
    path.write_bytes(whole)
    (expected,) = p()
    assert expected is not None
    assert p() == [expected]
    assert list((tmp_path / "store" / "memo" / "tests").iterdir())
    (table,) = compare(answers(found))
    assert [one.differences["real"].p for one in table if one.differences] == [expected]
