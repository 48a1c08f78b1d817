"""The findings page says what its records say, and nothing else."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "findings"


def test_the_page_is_what_its_records_give(tmp_path):
    subprocess.run([sys.executable, FOLDER / "make.py", "--out", tmp_path], check=True)
    assert (tmp_path / "index.md").read_text() == (FOLDER / "index.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == [
        "gap-and-task.png", "gap-and-task.svg", "gapbench.sha256", "index.md", "procrustes.png", "procrustes.svg"
    ]  # fmt: skip


@pytest.mark.parametrize("template", ["page.md.jinja", "verdict.md.jinja"])
def test_the_template_holds_no_result(template):
    """Numbers in the template are file names, headings and settings; a measured one would carry a decimal point."""
    words = (FOLDER / template).read_text()
    outside = "".join(part.split("}}")[-1].split("%}")[-1] for part in words.replace("{%", "{{").split("{{"))
    assert not [word for word in outside.split() if any(c.isdigit() for c in word) and "." in word.strip(".,:;)")]


@pytest.fixture(scope="module")
def make():
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module("make")
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def found(make):
    return make.facts.everything({study: make.reading.load(FOLDER, study) for study in make.STUDIES})


@pytest.fixture
def part(make):
    """Return a split of made-up records: what is better and worse on one data set at one task."""
    splits = importlib.import_module("splits")

    def build(dataset="shapes", task="search", *, better=(), worse=(), **others):
        deltas = dict.fromkeys(better, 0.125) | dict.fromkeys(worse, -0.25)
        fields = {"where": f"{dataset}, captions", "metric": "ndcg", "trained": True, "identity": 0.5, "same": []}
        fields |= {"best": ("identity", 0.5, False), "least_gap": ("identity", 0.5, False), "tau": 0.0}
        fields |= {"floor": 0.0, "ceiling": 1.0, "detectable": 0.1, "deltas": deltas} | others
        return splits.Split(dataset=dataset, task=task, better=[*better], worse=[*worse], **fields)

    return build


@pytest.fixture
def told(make):
    splits = importlib.import_module("splits")
    return lambda *parts: " ".join(make.render("verdict.md.jinja", {"verdict": splits.verdict(parts)}).split())


def test_opposite_verdicts_on_two_data_sets_at_one_task_depend_on_the_data(part, told):
    said = told(part(better=["a"]), part("birds", worse=["a"]))
    assert said.startswith("**It depends on the data.**")
    assert "search with `a`, 0.625 instead of 0.500 on shapes, captions, and 0.250 instead of 0.500 on birds" in said


def test_opposite_verdicts_at_two_tasks_depend_on_the_task_alone(part, told):
    said = told(part(better=["a"]), part(task="sorting", worse=["a"]))
    assert said.startswith("**It depends on the task.**")
    assert "better at search (`ndcg`), 0.625 instead of 0.500" in said
    assert "worse at sorting (`ndcg`), 0.250 instead of 0.500" in said


def test_both_kinds_of_opposite_verdicts_depend_on_both(part, told):
    said = told(part(better=["a"]), part("birds", worse=["a"]), part(task="sorting", worse=["a"]))
    assert said.startswith("**It depends on the task and on the data.**")
    assert "worse at sorting" in said


def test_the_clearest_example_is_told(part, told):
    said = told(part(better=["a"], deltas={"a": 0.11}), part(better=["a"]), part("birds", worse=["a"]))
    assert "0.625 instead of 0.500" in said
    assert "0.610" not in said


def test_two_prompt_strategies_are_not_two_data_sets(part, told):
    said = told(part(better=["a"]), part(worse=["a"], where="shapes, photo"))
    assert "depends" not in said


def test_different_aligners_with_different_verdicts_do_not_depend_on_task_or_data(part, told):
    said = told(part(better=["a"]), part("birds", worse=["b"]))
    assert (
        said
        == "**On these data, some aligners that close the gap are better than doing nothing, and others are worse.**"
    )


def test_one_sided_verdicts_are_told_as_such(part, told):
    assert "made nothing worse" in told(part(better=["a"]), part("birds", better=["a"]))
    assert "made nothing better" in told(part(worse=["a"]), part("birds", worse=["a"]))
    assert "changed nothing" in told(part(), part("birds"))


def test_untrained_encoders_and_tables_without_room_do_not_count(part, told):
    assert "changed nothing" in told(part(better=["a"], trained=False), part("birds", worse=["a"], trained=False))
    assert "changed nothing" in told(part(better=["a"], identity=0.95), part("birds", worse=["a"], identity=0.05))
    assert "changed nothing" in told(part(better=["a"], detectable=None), part("birds", worse=["a"], detectable=None))


def test_a_row_near_chance_can_rise_and_not_fall(part):
    assert (part(identity=0.19, floor=0.1).can_rise, part(identity=0.19, floor=0.1).can_fall) == (True, False)
    assert (part(identity=0.95).can_rise, part(identity=0.95).can_fall) == (False, True)
    flips = part(identity=0.05, floor=1.0, ceiling=0.0)  # less is better
    assert (flips.can_rise, flips.can_fall) == (False, True)


def test_counts_leave_out_untrained_encoders(make, found):
    assert found["untrained"]
    for task, parts in found["by_task"].items():
        assert make.facts.summary([part for part in parts if part.trained]) == {
            **found["summaries"][task],
            "tables": sum(part.trained for part in parts),
        }
    assert not any(row["counts"] for row in found["taus"] if row["where"] in found["untrained"])
    tables = [table for study in ("classes", "captions") for table in found["tables"][study]]
    assert found["blind"] == make.facts.blind([table for table in tables if make.reading.trained(table)])
    assert found["blind"] != make.facts.blind([*tables, *tables])


def findings_of_the_readme():
    text = (FOLDER.parents[1] / "README.md").read_text().partition("## What we found")[2].partition("\n## ")[0]
    lines = [line for line in text.partition("gap-and-task.png)")[2].splitlines() if line]
    bullets = [line for line in lines if line.startswith("- ")]
    return bullets, [line for line in lines if line not in bullets]


def numbers(text):
    return re.findall(r"(?<![\w@/.-])\d+(?:\.\d+)?(?![\w/-])", text)


def test_every_sentence_of_findings_in_the_readme_stands_on_the_page():
    bullets, rest = findings_of_the_readme()
    page = (FOLDER / "index.md").read_text().splitlines()
    assert bullets
    assert rest
    assert not [line for line in [*bullets, *rest] if line not in page]


def test_every_number_of_findings_in_the_readme_is_a_fact(make, found):
    bullets, rest = findings_of_the_readme()
    tasks = {task[:1].upper() + task[1:]: summary for task, summary in found["summaries"].items()}
    for line in bullets:
        task, _, claim = line.removeprefix("- ").partition(": ")
        facts = tasks[task]
        gain = [facts["better"], facts["of_rise"]] if facts["rise"] else []
        loss = [facts["worse"], facts["of_fall"]] if facts["fall"] else []
        counts = [str(count) for count in (*gain, *loss) if count]
        ends = list(dict.fromkeys(make.facts.percent(end) for end in facts["detectable"] or ()))
        assert numbers(claim) == counts + ends, task
    expected = {str(count) for count in found["ranking"].values()} | {str(found["strong"]), "0"}  # "below 0"
    for key in ("data", "task"):
        name, *parts = found["verdict"][key] or ("",)
        for part in parts:
            expected |= {f"{part.identity:.3f}", f"{part.identity + part.deltas[name]:.3f}"}
    assert set(numbers(" ".join(rest))) <= expected
    assert numbers(" ".join(rest))
