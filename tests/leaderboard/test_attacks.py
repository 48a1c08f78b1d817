"""Every attack of the docs is tried, and each way of verifying says of it what the docs say."""

import os
import sys
from pathlib import Path

import pytest

from gapbench.bench.again import recompute
from gapbench.bench.materials import Materials
from gapbench.embeddings.store import Store
from gapbench.figures.draw import draw_tables
from gapbench.host.discovery import discover
from gapbench.host.installed import Installed
from gapbench.leaderboard.build import build, tables_of
from gapbench.results.signatures import check_signatures
from gapbench.results.verify import verify_folder, with_recomputed
from gapbench.specs import Context
from gapbench.verification.board import verify

sys.path.insert(0, str(Path(__file__).parent))
from attacks import ATTACKS, CAUGHT, MISSED, TOLD
from forging import STUDY, Forgery, make_board

DOCS = Path(__file__).parents[2] / "docs" / "leaderboards.md"
HEAD = ("| attack | `verify` | `verify --recompute` | signatures |", "|---|---|---|---|")


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Give the installed code, embeddings, and a leaderboard, in the folder of its data."""
    root = tmp_path_factory.mktemp("attacks")
    before = Path.cwd()
    os.chdir(root)
    installed = Installed(discover())
    board = make_board(root, installed.registry.metric_specs())
    context = Context(data_root=root, device="cpu", dtype="float32", offline=True, download=False)
    yield installed, Materials(Store(root / "store"), context), board
    os.chdir(before)


def seen(result):
    """What there is to see besides failures."""
    verdicts = result.done.verdicts
    remarks = {*result.done.remarks, *(remark for verdict in verdicts for remark in verdict.remarks)}
    return remarks, {state for verdict in verdicts for state in verdict.code.values()}


def said(result, honest):
    return CAUGHT if not result.ok else TOLD if seen(result) != honest else MISSED


def again(result, installed, materials):
    result.recompute = True
    with_recomputed(result.done, recompute(result.done.found, installed.registry, materials))


def by_signature(folder, signers):
    done = verify_folder(folder)
    reasons, remarks = sum(len(v.reasons) for v in done.verdicts), len(done.remarks)
    check_signatures(folder, signers, done)
    if sum(len(v.reasons) for v in done.verdicts) > reasons:
        return CAUGHT
    return TOLD if len(done.remarks) > remarks else MISSED


def drawn(folder, specs):
    draw_tables(tables_of(folder, specs, STUDY), specs, folder / "figures")
    build(folder, STUDY, specs)


def test_the_leaderboard_is_verified_before_it_is_forged(here, tmp_path):
    installed, materials, board = here
    result = verify(board, STUDY, installed, signers=board.parent / "signers")
    assert result.ok
    assert seen(result) == (set(), {"as recorded"})
    assert {verdict.signer for verdict in result.done.verdicts} == {"keeper"}
    again(result, installed, materials)
    assert result.ok
    assert {verdict.again for verdict in result.done.verdicts} == {"recorded"}
    forgery = Forgery.of(board, tmp_path / "same")
    specs = installed.registry.metric_specs()
    forgery.save(specs)
    drawn(forgery.folder, specs)
    result = verify(forgery.folder, STUDY, installed, signers=board.parent / "signers")
    assert result.ok
    assert seen(result) == (set(), {"as recorded"})


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_an_attack(here, tmp_path, attack):
    installed, materials, board = here
    specs = installed.registry.metric_specs()
    forgery = Forgery.of(board, tmp_path / "forged")
    if attack.rows is not None:
        attack.rows(forgery)
        forgery.save(specs)
    if attack.figures:
        drawn(forgery.folder, specs)
    if attack.files is not None:
        attack.files(forgery)
    result = verify(forgery.folder, forgery.study, installed)
    honest = set(), {"as recorded"}
    plain = said(result, honest)
    again(result, installed, materials)
    found = plain, said(result, honest), by_signature(forgery.folder, board.parent / "signers")
    told = [verdict.reasons or verdict.remarks for verdict in result.done.verdicts]
    assert found == (attack.plain, attack.recompute, attack.signature), (told, result.done.failures, result.stale)


def test_attacks_have_names_of_their_own():
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 40


def test_the_docs_list_the_attacks_and_what_is_said_of_them():
    rows = [f"| {attack.name} | {attack.plain} | {attack.recompute} | {attack.signature} |" for attack in ATTACKS]
    assert "\n".join([*HEAD, *rows]) in DOCS.read_text(encoding="utf-8")
