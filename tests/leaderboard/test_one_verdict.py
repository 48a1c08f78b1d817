"""Of every committed table: star, rank, file and headline say the same of a row."""

import csv
import io
from pathlib import Path

import pytest

from gapbench.host.discovery import discover
from gapbench.leaderboard.build import tables_of
from gapbench.leaderboard.exports import to_csv
from gapbench.leaderboard.headline import headlines
from gapbench.leaderboard.text import difference
from gapbench.results import journal

LEADERBOARDS = Path(__file__).parents[2] / "leaderboards"
STUDIES = sorted(path.parent.name for path in LEADERBOARDS.glob("*/records") if any(path.glob("*.jsonl")))


@pytest.mark.parametrize("study", STUDIES)
def test_no_row_shares_the_rank_of_identity_and_is_marked(study):
    specs = discover().metric_specs()
    tables = tables_of(LEADERBOARDS / study, specs)
    assert any(row.rank is not None for table in tables for row in table.rows)
    lines = {
        (line["encoder"], line["dataset"], line["prompts"], line["protocol"], line["fit_size"], line["aligner"]): line
        for line in csv.DictReader(io.StringIO(to_csv(tables)))
        if line["metric"] in ("top1", "i2t-recall@1")
    }
    for table in tables:
        base = table.row("identity")
        for row in table.rows if base is not None and base.rank is not None else ():
            if row.rank is None or row is base:
                continue
            value = row.values[table.primary]
            if value.significant:
                better = value.delta > 0
                assert (row.rank < base.rank) if better else (row.rank > base.rank)
                assert (row.rank_high < base.rank_high) if better else (row.rank_high > base.rank_high)
            assert difference(value, share=True).endswith("*") == value.significant
            size = "" if table.fit_size is None else str(table.fit_size)
            line = lines[table.encoder, table.dataset, table.prompts, table.protocol, size, row.label]
            assert (float(line["p_holm"]) < 0.05) == value.significant
            assert (int(line["rank"]), int(line["rank_high"])) == (row.rank, row.rank_high)
    for told in headlines(tables, specs):
        assert set(told.better) == {
            row.label
            for row in told.table.rows
            if row.rank is not None
            and row.values[told.table.primary].significant
            and row.values[told.table.primary].delta > 0
        }


def test_there_are_committed_tables():
    assert {"digits", "color-digits"} <= set(STUDIES)
    assert journal.read_folder(LEADERBOARDS / "digits")
