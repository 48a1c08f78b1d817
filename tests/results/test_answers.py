"""Answers: what several records of one question say together."""

import msgspec
import numpy as np
import pytest
from records import CODE, HERE, THERE, binary, failed, hits, other_code, record, run, stored, value

from gapbench.model.record import AlignerRef, Code, DatasetRef, EncoderRef, MetricValue, Unmeasured
from gapbench.results import journal
from gapbench.results.answers import answers, table_key
from gapbench.results.comparisons import by_table, compare
from gapbench.results.outcomes import SUFFIX, pack

FIRST, THEN, LAST = "2026-01-01T00:00:00.000+00:00", "2026-02-01T00:00:00.000+00:00", "2026-03-01T00:00:00.000+00:00"
NO = Unmeasured(status="error", reason="it raised ValueError: no", distribution="toy")


def one(folder, *drafts):
    """Store records of one question, and return what they say together."""
    (answer,) = answers(stored(folder, drafts))
    return answer


def top1(answer):
    return answer.record.metrics["top1"].value


def measured(name, shares, *, distributions=None, **changes):
    """Return an answer with several metrics that are each a share of hits."""
    distributions = distributions or {}
    found = {metric: binary(hits(share)) for metric, share in shares.items()}
    metrics = {metric: value(one, distributions.get(metric, "gapbench")) for metric, one in found.items()}
    draft, _ = record(name, **changes)
    return msgspec.structs.replace(draft, metrics=metrics), pack(found, None)


def test_one_record_answers_for_itself(tmp_path):
    answer = one(tmp_path, record("other", hits(0.5)))
    assert (answer.reproduced, answer.conflicts, answer.superseded, len(answer.runs)) == (1, (), (), 1)
    assert answer.measurements()["top1"].outcomes.mean() == 0.5


@pytest.mark.parametrize("code", [CODE, other_code(), other_code("gapbench")])
def test_a_value_that_comes_out_again_is_reproduced_whatever_the_code(tmp_path, code):
    answer = one(
        tmp_path,
        record("other", hits(0.5), made=HERE, created=FIRST),
        record("other", hits(0.5), made=THERE, created=THEN, code=code),
    )
    assert (answer.reproduced, answer.conflicts, answer.superseded) == (2, (), ())
    assert answer.record.created_utc == THEN


def test_rounding_and_a_single_item_are_agreement(tmp_path):
    answer = one(
        tmp_path,
        record("other", hits(0.5), created=FIRST, gap=0.5),
        record("other", hits(0.5, wrong=[0]), created=THEN, gap=0.5 + 1e-7),
    )
    assert (answer.reproduced, answer.conflicts) == (2, ())


def test_another_number_of_items_is_no_agreement(tmp_path):
    answer = one(tmp_path, record("other", hits(0.5), created=FIRST), record("other", hits(0.5, n=200), created=THEN))
    assert answer.reproduced == 1
    assert any(line.startswith("top1 0.5 ") for line in answer.conflicts)


def test_another_value_by_the_same_code_is_a_conflict(tmp_path):
    answer = one(
        tmp_path,
        record("other", hits(0.5), created=FIRST, made=HERE),
        record("other", hits(0.6), created=THEN, made=THERE),
    )
    (line,) = answer.conflicts
    assert line.startswith("top1 0.6 (gapbench 0.1.0 aaaaaaaa, Darwin arm64, Python 3.13.0, 2026-02-01) against 0.5 (")
    assert (answer.superseded, answer.reproduced) == ((), 1)


@pytest.mark.parametrize("distribution", ["toy", "gapbench"])
def test_another_value_by_other_code_is_superseded_by_the_newer_one(tmp_path, distribution):
    answer = one(
        tmp_path,
        record("other", hits(0.6), created=THEN, code=other_code(distribution)),
        record("other", hits(0.5), created=FIRST),  # written later, and older
    )
    assert top1(answer) == 0.6
    assert answer.superseded[0].startswith("top1 0.6 (")
    assert (answer.conflicts, answer.reproduced) == ((), 1)


def test_code_that_is_not_known_is_not_the_same(tmp_path):
    unknown = {**CODE, "toy": Code(version="1", sha256="")}
    answer = one(
        tmp_path,
        record("other", hits(0.5), created=FIRST, code=unknown),
        record("other", hits(0.6), created=THEN, code=unknown),
    )
    assert answer.conflicts == ()
    assert len(answer.superseded) == 1


def test_the_code_of_another_metric_does_not_matter(tmp_path):
    """Code of the metric's own distribution decides, besides that of encoder, data, texts and aligner."""
    same = {"distributions": {"top1": "measures"}}
    code = {**CODE, "measures": Code(version="1", sha256="d" * 64)}
    answer = one(
        tmp_path,
        measured("other", {"top1": 0.5, "recall": 0.5}, code=code, created=FIRST, **same),
        measured("other", {"top1": 0.6, "recall": 0.7}, code=other_code("measures"), created=THEN, **same),
    )
    assert len(answer.superseded) == len(answer.conflicts) == 1
    assert answer.superseded[0].startswith("top1 ")
    assert answer.conflicts[0].startswith("recall ")


def test_a_copy_of_a_record_is_no_other_run(tmp_path):
    path = run(tmp_path, [record("other", hits(0.5))])
    for name in ("copy", "copy-two"):
        for suffix in (".jsonl", SUFFIX):
            path.with_name(name + suffix).write_bytes(path.with_suffix(suffix).read_bytes())
    (answer,) = answers(journal.read_folder(tmp_path))
    assert (len(answer.runs), answer.reproduced) == (1, 1)


def test_a_copy_at_another_place_of_a_container_is_no_other_run(tmp_path):
    draft, content = record("other", hits(0.5))
    run(tmp_path, [record("identity", hits(0.9))], "second.jsonl")
    run(tmp_path, [(draft, content)], "second.jsonl")
    run(tmp_path, [(draft, content)])
    found = [answer for answer in answers(journal.read_folder(tmp_path)) if answer.record.label == "other"]
    assert [(len(answer.runs), answer.reproduced) for answer in found] == [(1, 1)]


def test_a_renamed_copy_reproduces_nothing(tmp_path):
    again = DatasetRef(component="data", name="again", fingerprint="d", split="test", n=400, distribution="gapbench")
    found = answers(stored(tmp_path, [record("other", hits(0.5)), record("other", hits(0.5), dataset=again)]))
    assert [(answer.record.dataset.name, answer.reproduced) for answer in found] == [("again", 1), ("data", 1)]


def test_one_question_under_two_names_is_two_answers_with_all_that_is_known(tmp_path):
    twice = EncoderRef(component="enc", name="again", fingerprint="e" * 64, dtype="float32", distribution="gapbench")
    found = answers(
        stored(
            tmp_path,
            [
                record("other", hits(0.5), created=FIRST, made=HERE),
                record("other", hits(0.5), created=THEN, made=THERE, encoder=twice),
            ],
        )
    )
    assert [answer.record.encoder.name for answer in found] == ["again", "enc"]
    assert [answer.reproduced for answer in found] == [2, 2]
    assert len({answer.record.cell_id for answer in found}) == 1
    assert len({table_key(answer.record) for answer in found}) == 2


def test_a_later_record_with_other_metrics_adds_to_what_is_known(tmp_path):
    answer = one(
        tmp_path,
        measured("other", {"top1": 0.5, "recall": 0.7}, created=FIRST),
        measured("other", {"top1": 0.5}, created=THEN),
        measured("other", {"ece": 0.1}, created=LAST),
    )
    assert {name: found.value for name, found in answer.record.metrics.items()} == {
        "top1": 0.5, "recall": 0.7, "ece": 0.1,
    }  # fmt: skip
    created = {name: found.record.created_utc for name, found in answer.stored.items()}
    assert created == {"top1": THEN, "recall": FIRST, "ece": LAST}
    means = {name: found.outcomes.mean() for name, found in answer.measurements().items()}
    assert means == pytest.approx({"top1": 0.5, "recall": 0.7, "ece": 0.1})
    assert answer.conflicts == answer.superseded == ()


def test_a_newer_code_that_cannot_measure_takes_the_value_away(tmp_path):
    answer = one(
        tmp_path,
        measured("other", {"top1": 0.5, "odd": 0.3}, distributions={"odd": "toy"}, created=FIRST),
        measured("other", {"top1": 0.5}, created=THEN, code=other_code(), unmeasured={"odd": NO}),
    )
    assert set(answer.record.metrics) == {"top1"}
    assert answer.record.unmeasured == {"odd": NO}
    (line,) = answer.superseded
    assert line.startswith("odd 0.3 (gapbench 0.1.0 aaaaaaaa, ")
    assert line.endswith("), which newer code cannot measure")
    assert answer.measurements().keys() == {"top1"}


def test_the_same_code_that_once_fails_leaves_the_value(tmp_path):
    answer = one(
        tmp_path,
        measured("other", {"top1": 0.5, "odd": 0.3}, distributions={"odd": "toy"}, created=FIRST),
        measured("other", {"top1": 0.5}, created=THEN, unmeasured={"odd": NO}),
    )
    assert answer.record.metrics["odd"].value == pytest.approx(0.3)
    assert answer.record.unmeasured == {}


def test_a_metric_that_works_again_is_measured(tmp_path):
    answer = one(
        tmp_path,
        measured("other", {"top1": 0.5}, created=FIRST, unmeasured={"odd": NO}),
        measured("other", {"odd": 0.3}, distributions={"odd": "toy"}, created=THEN, code=other_code()),
    )
    assert set(answer.record.metrics) == {"top1", "odd"}
    assert answer.record.unmeasured == {}


@pytest.mark.parametrize("status", ["error", "timeout"])
def test_newer_code_that_fails_is_the_answer(tmp_path, status):
    answer = one(
        tmp_path,
        record("other", hits(0.5), created=FIRST),
        failed("other", "no luck", status, created=THEN, code=other_code()),
    )
    assert (answer.record.status, answer.record.reason, answer.record.metrics) == (status, "no luck", {})


@pytest.mark.parametrize("status", ["error", "timeout"])
def test_the_same_code_that_once_fails_leaves_the_answer(tmp_path, status):
    answer = one(
        tmp_path, record("other", hits(0.5), created=FIRST), failed("other", "no memory", status, created=THEN)
    )
    assert (answer.record.status, top1(answer)) == ("ok", 0.5)


def test_what_failed_and_then_works_is_ok(tmp_path):
    answer = one(tmp_path, failed("other", created=FIRST), record("other", hits(0.5), created=THEN))
    assert (answer.record.status, top1(answer), answer.reproduced) == ("ok", 0.5, 1)


def test_two_distributions_with_one_aligner_are_two_questions(tmp_path):
    mine = AlignerRef(name="other", params={}, distribution="toy-two", family="toy")
    found = answers(stored(tmp_path, [record("other", hits(0.5)), record("other", hits(0.6), aligner=mine)]))
    assert {answer.record.aligner.distribution: top1(answer) for answer in found} == {"toy": 0.5, "toy-two": 0.6}
    (rows,) = by_table(found).values()
    assert len(rows) == 2


def test_of_one_label_with_other_defaults_the_newest_stands_and_says_so(tmp_path):
    def with_default(number, share, created):
        params = AlignerRef(name="other", params={"strength": number}, distribution="toy", family="toy")
        return record("other", hits(share), aligner=params, created=created, code=other_code(sha256=f"{number}" * 64))

    rows = [record("identity", hits(0.9)), with_default(2, 0.6, THEN), with_default(1, 0.5, FIRST)]
    found = answers(stored(tmp_path, rows))
    assert len(found) == 3
    (table,) = compare(found)
    assert [row.answer.record.label for row in table] == ["identity", "other"]
    assert table[1].answer.record.aligner.params == {"strength": 2}
    assert "other with other parameters or fit items" in table[1].answer.superseded[0]


def test_outcomes_that_are_gone_make_a_conflict_out_of_a_difference(tmp_path):
    """Few items that differ are rounding, as far as outcomes can show it."""
    rows = [record("other", hits(0.5), created=FIRST), record("other", hits(0.5, wrong=[0]), created=THEN)]
    path = run(tmp_path, rows)
    path.with_suffix(SUFFIX).unlink()
    (answer,) = answers(journal.read(path))
    assert len(answer.conflicts) == 1


def test_the_order_of_files_and_lines_does_not_matter(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        record(name, hits(share), created=created, made=made, code=code)
        for name, share, created, made, code in (
            ("identity", 0.9, FIRST, HERE, CODE),
            ("other", 0.5, FIRST, HERE, CODE),
            ("other", 0.6, THEN, THERE, other_code()),
            ("other", 0.6, LAST, HERE, other_code()),
            ("third", 0.7, FIRST, HERE, CODE),
            ("third", 0.8, THEN, THERE, CODE),
        )
    ]

    def said(folder, order):
        for i in order:
            run(folder, [rows[i]], f"f{i % 2}.jsonl")
        return [
            (found.record.label, found.record.metrics, found.reproduced, found.conflicts, found.superseded)
            for found in answers(journal.read_folder(folder))
        ]

    expected = said(tmp_path / "first", range(6))
    assert [(label, reproduced) for label, _, reproduced, _, _ in expected] == [
        ("identity", 1), ("other", 2), ("third", 1),
    ]  # fmt: skip
    for number in range(5):
        assert said(tmp_path / str(number), rng.permutation(6)) == expected


def test_a_metric_that_exists_no_longer_stays_in_the_answer(tmp_path):
    """Records are facts: a metric that was removed, or another set of metrics, takes no value away."""
    gone = MetricValue(value=0.5, ci95=None, n=400, distribution="removed")
    draft, content = record("other", hits(0.5), created=FIRST)
    first = msgspec.structs.replace(draft, metrics={**draft.metrics, "gone": gone})
    answer = one(tmp_path, (first, content), record("other", hits(0.5), created=THEN))
    assert answer.record.metrics["gone"] == gone
    assert answer.reproduced == 2
