"""A small leaderboard of signed submissions with its data at hand, and what a careful forger does to a copy of it.

A forger who has read gapbench computes everything again that follows from a change: intervals, ids, checksums, hashes and
places of outcomes, pages. Only the key of the signer is out of reach.
"""

import hashlib
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import safetensors.numpy

import gapbench
from gapbench.components import Measurement
from gapbench.leaderboard.build import build
from gapbench.model.identity import sealed
from gapbench.model.record import Outcomes, Record
from gapbench.model.study import Study
from gapbench.model.units import within_unit
from gapbench.results import journal
from gapbench.results.add import add
from gapbench.results.outcomes import SUFFIX
from gapbench.stats import interval

ALIGNERS = ("identity", "mean-center", "procrustes", "random-rotation", "gap-shift[delta=auto]")
METRICS = ("top1", "top5", "centroid-l2", "paired-cos")
STUDY = Study(name="forged", title="To be forged", datasets=("embeddings:t.npz",), aligners=ALIGNERS, metrics=METRICS)
N, CLASSES = 160, 8


def write_data(path):
    """Write two cones, in which classes are told apart four times in five."""
    rng = np.random.default_rng(0)
    texts = rng.normal(size=(CLASSES, 8))
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    labels = np.arange(N) % CLASSES
    images = texts[labels] + 0.35 * rng.normal(size=(N, 8)) + 0.4
    np.savez(path, image=images.astype("f4"), text=texts.astype("f4"), label=labels)


def make_key(path):
    """Make a key without passphrase, and return its public part."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path.with_name(path.name + ".pub").read_text().strip()


def make_board(root, specs):
    """Make a leaderboard below ``root`` of two signed submissions: the study, and two more aligners."""
    write_data(root / "t.npz")
    signer = make_key(root / "key")
    (root / "signers").write_text(f'keeper namespaces="gapbench" {signer}\n')
    board = root / "board"
    for name, aligners in (("study", ALIGNERS), ("more", ("gap-projection", "dn"))):
        gapbench.run(datasets=["embeddings:t.npz"], aligners=list(aligners), metrics=list(METRICS), out=root / name)
        added = add(root / name / "records" / "run.jsonl", board, key=root / "key")
        assert not added.refused
    build(board, STUDY, specs)
    return board


@dataclass
class Row:
    """A record as plain values, and the arrays of its outcomes; ``file`` is where it goes."""

    data: dict
    arrays: dict
    file: str

    def hit(self, hits, predicted=None):
        """Give the row other outcomes of top1, with all that follows."""
        if predicted is not None:
            self.arrays["predicted"] = predicted.astype(self.arrays["predicted"].dtype)
        self.recount("top1", hits)
        if len(hits) == self.data["metrics"]["top5"]["n"]:
            self.recount("top5", hits | np.unpackbits(self.arrays["bits/top5"], count=len(hits)).astype(bool))

    def recount(self, metric, outcomes):
        """Give a metric other outcomes, with value, interval and number of items."""
        if outcomes.dtype == bool:
            self.arrays[f"bits/{metric}"] = np.packbits(outcomes)
        else:
            self.arrays[f"values/{metric}"] = outcomes.astype(np.float32)
        measured = Measurement(value=float(outcomes.mean()), n=len(outcomes), outcomes=outcomes)
        self.data["metrics"][metric].update(value=measured.value, ci95=list(interval(measured)), n=measured.n)

    @property
    def hits(self):
        return np.unpackbits(self.arrays["bits/top1"], count=self.data["metrics"]["top1"]["n"]).astype(bool)

    def move(self, metric, by):
        """Move the value of a metric that is no mean over items, with its interval."""
        value = self.data["metrics"][metric]
        value["value"] += by
        measured = Measurement(value=value["value"], n=value["n"], jackknife=self.arrays[f"jackknife/{metric}"])
        value["ci95"] = list(within_unit(interval(measured), "distance"))


@dataclass
class Forgery:
    """A copy of a leaderboard, its rows taken apart."""

    folder: Path
    study: Study = STUDY
    rows: list = field(default_factory=list)
    untouched: bool = False

    @classmethod
    def of(cls, board, folder):
        shutil.copytree(board, folder)
        found = cls(folder)
        for stored in journal.read_folder(folder):
            block = stored.container.block(stored.record.outcomes)
            found.rows.append(Row(msgspec.to_builtins(stored.record), safetensors.numpy.load(block), stored.file))
        return found

    def row(self, label):
        return next(row for row in self.rows if row.data["label"] == label)

    def labels(self):
        """The labels of the items, as far as some row is right on them; -1 elsewhere."""
        known = np.full(N - N // 2, -1)
        for row in self.rows:
            known = np.where(row.hits, row.arrays["predicted"], known)
        return known

    def copy(self, row, file=None):
        copied = Row(msgspec.convert(row.data, dict), dict(row.arrays), file or row.file)
        copied.data = msgspec.json.decode(msgspec.json.encode(row.data))
        self.rows.append(copied)
        return copied

    def save(self, specs):
        """Write the rows, and build the pages."""
        self.write()
        build(self.folder, self.study, specs)

    def write(self):
        """Write records and outcomes as if a run had made them."""
        files = {path.name: [] for path in journal.files(self.folder)}
        for row in self.rows:
            files.setdefault(row.file, []).append(row)
        for name, rows in files.items():
            path = self.folder / "records" / name
            lines, blocks, offset = [], [], 0
            for row in rows:
                where = None
                if row.arrays:
                    block = safetensors.numpy.save(row.arrays)
                    where = Outcomes(offset=offset, length=len(block), sha256=hashlib.sha256(block).hexdigest())
                    blocks.append(block)
                    offset += len(block)
                record = msgspec.structs.replace(msgspec.convert(row.data, Record), outcomes=where)
                lines.append(journal.line_of(sealed(record)))
            path.write_bytes(b"".join(lines))
            path.with_suffix(SUFFIX).write_bytes(b"".join(blocks))
            if not lines:
                for one in (path, path.with_suffix(SUFFIX), path.with_name(f"{name}.sig")):
                    one.unlink(missing_ok=True)
