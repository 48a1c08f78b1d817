"""Whatever is in a records file or a container: verify names it, and never raises."""

import io
import json
import os
import random
import shutil
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console

from gapbench.cli.verified import as_json, show
from gapbench.host.discovery import discover
from gapbench.host.installed import Installed
from gapbench.model.record import Record
from gapbench.verification.board import verify

sys.path.insert(0, str(Path(__file__).parent))
from forging import STUDY, Forgery, Row, make_board

ODD = (None, 0, -1, 10**12, 1e308, "", "../..", "\x1b[31m", "\u202e", True, [], {}, [1], {"a": 1}, "auto", "captions")


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    root = tmp_path_factory.mktemp("mutations")
    before = Path.cwd()
    os.chdir(root)
    installed = Installed(discover())
    yield installed, make_board(root, installed.registry.metric_specs())
    os.chdir(before)


def leaves(node, path=()):
    """Yield the path of every value in plain data."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield (*path, key)
        yield from leaves(value, (*path, key))


def mutate(row, rng):
    """Change one value of a record, or one array of its outcomes, in a way that is still a record."""
    if rng.random() < 0.3:
        name = rng.choice(sorted(row.arrays))
        array = row.arrays[name]
        odd = [
            array[:0],
            array[:1],
            array.reshape(1, -1),
            array.astype("f4"),
            np.full(3, np.nan),
            array.astype("f4") * np.inf,
        ]
        row.arrays[name] = rng.choice(odd)
        return
    for _ in range(50):
        data = json.loads(json.dumps(row.data))
        *way, last = rng.choice(list(leaves(data)))
        place = data
        for key in way:
            place = place[key]
        place[last] = rng.choice(ODD)
        try:
            msgspec.convert(data, Record)
        except msgspec.ValidationError:
            continue
        row.data = data
        return


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_odd_values_that_are_sealed_again_never_raise(board, tmp_path):
    installed, folder = board
    rng = random.Random(0)
    shutil.copytree(folder, tmp_path / "board")
    honest = Forgery.of(folder, tmp_path / "honest")
    failed = 0
    for _ in range(200):
        forgery = Forgery(tmp_path / "board")
        forgery.rows = [Row(row.data, dict(row.arrays), row.file) for row in honest.rows]
        mutate(rng.choice(forgery.rows), rng)
        forgery.write()
        result = verify(forgery.folder, STUDY, installed)
        json.dumps(as_json(result))
        show(result, Console(file=io.StringIO()))
        failed += not result.ok
    assert failed > 100


def test_a_flipped_byte_anywhere_in_the_records_fails_or_is_told(board, tmp_path):
    installed, folder = board
    rng = random.Random(1)
    shutil.copytree(folder, tmp_path / "board")
    files = [
        path for path in sorted((tmp_path / "board" / "records").iterdir()) if path.suffix in (".jsonl", ".outcomes")
    ]
    for number in range(150):
        path = files[number % len(files)]
        content = path.read_bytes()
        changed = bytearray(content)
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        result = verify(tmp_path / "board", STUDY, installed)
        assert not result.ok or any(verdict.remarks for verdict in result.done.verdicts)
        path.write_bytes(content)
    assert verify(tmp_path / "board", STUDY, installed).ok
