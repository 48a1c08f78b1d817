"""Files that were damaged, each given to what reads it: an error of gapbench's own, a value, and nothing else.

Case ``n`` of a seed is the same whatever else is run: ``python tests/fuzz/files.py --seed 0 --only 17`` repeats it, in the
process itself and with its traceback, and ``--keep`` leaves its files.
"""

import argparse
import faulthandler
import io
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz import material, mutations
from fuzz.forked import ended, forked, shared

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that one file may take, memory beyond what the process has, and files that one forked child is given.
DEADLINE, MEMORY, BATCH = 20, 2 << 30, 50


@dataclass
class Kind:
    """A kind of file: which files of the material, how often, what knows its format, and what reads it."""

    files: tuple[str, ...]
    share: int
    damage: tuple["Callable", ...]
    read: "Callable[[Path, Path, random.Random], object]"
    copied: str = ""


# -- what reads them: each is given the folder of the copy, and the damaged file --------------------------------------


def _board(folder, path, rng):
    from gapbench.leaderboard.build import pages, tables_of
    from gapbench.leaderboard.kept import study_of_folder

    whole = _errors_aside(lambda: pages(folder / "board", study_of_folder(folder / "board"), SPECS))
    if whole is None or rng.random() < 0.3:
        _errors_aside(lambda: tables_of(folder / "board", SPECS, memos=_memos(folder)))
    _verified(folder, path, rng)


def _verified(folder, path, rng):
    from rich.console import Console

    from gapbench.cli.verified import as_json, show
    from gapbench.leaderboard.kept import study_of_folder
    from gapbench.verification.board import verify

    result = verify(folder / "board", study_of_folder(folder / "board"), INSTALLED)
    json.dumps(as_json(result))
    show(result, Console(file=io.StringIO()))


def _added(folder, path, rng):
    from gapbench.results.add import add

    add(path, folder / "new", installed=INSTALLED)


def _pages(folder, path, rng):
    from gapbench.leaderboard.build import build, stale
    from gapbench.leaderboard.kept import study_of_folder
    from gapbench.results.folder import check_folder

    board = folder / "board"
    study = study_of_folder(board)
    stale(board, study, SPECS)
    _errors_aside(lambda: check_folder(board))
    build(board, study, SPECS)


def _embeddings(folder, path, rng):
    from gapbench.embeddings.files import EmbeddingFile

    file = EmbeddingFile(folder / "clip" if path.suffix == ".npy" else path)
    file.files()
    file.missing()
    file.splits()
    file.offers()
    split = file.embedded("test")
    assert len(split.fingerprint) == 64


def _stored(folder, path, rng):
    from gapbench.embeddings import housekeeping
    from gapbench.embeddings.items import item_digests
    from gapbench.embeddings.store import Store

    if rng.random() < 0.4:
        _seal(folder / "kept")
    store = Store(folder / "kept")
    for entry in housekeeping.entries(store):
        housekeeping.problem(store, entry)
    housekeeping.verify(store)
    store.missing_texts("e" * 64, "c" * 64, ["a", "x"])
    _errors_aside(lambda: store.texts("e" * 64, "c" * 64, list("abcd")).sum())
    digests = item_digests(f"{row:064x}" for row in range(material.N))
    store.missing_images("k" * 64, "c" * 64, digests)
    _errors_aside(lambda: store.images("k" * 64, "c" * 64, digests)[:].sum())  # noqa: PLW0108 - the first call fails, too
    housekeeping.prune(store)


def _seal(store):
    """Make the checksums right again, as somebody does who means to deceive."""
    from gapbench.embeddings.fingerprint import hash_file

    for sums in store.glob("*/*/*/checksums.json"):
        files = [path for path in sorted(sums.parent.rglob("*")) if path.is_file() and path != sums]
        sums.write_text(json.dumps({path.relative_to(sums.parent).as_posix(): hash_file(path) for path in files}))


def _remembered(folder, path, rng):
    from gapbench.embeddings import housekeeping, memo
    from gapbench.embeddings.store import Store

    if rng.random() < 0.5:
        inner = path.read_bytes()[memo.START : -1]
        path.write_bytes(memo.sealed(mutations.as_json(inner, rng)))
    found = _memos(folder).recall("dataset", "a name", ())
    assert found is None or isinstance(found, dict)
    housekeeping.verify(Store(folder / "kept"))


def _memos(folder):
    from gapbench.embeddings.memo import Memos

    return Memos(folder / "kept")


def _study(folder, path, rng):
    from gapbench.model.study import load_study

    load_study(str(path))


def _kept(folder, path, rng):
    from gapbench.leaderboard.kept import study_of_folder

    study_of_folder(folder / "board")
    if rng.random() < 0.3:
        _pages(folder, path, rng)


def _aligner(folder, path, rng):
    from gapbench.state import load_aligner

    load_aligner(material.new_aligner(), path)


def _prompts(folder, path, rng):
    from gapbench.builtin.prompts.files import cupl, from_file
    from gapbench.specs import PromptContext

    read = rng.choice([from_file, cupl]) if path.suffix == ".json" else from_file
    found = read(str(path)).prompts(list("abcd"), PromptContext(dataset="digits"))
    assert len(found.prompts) == len(found.owner)


def _captions(folder, path, rng):
    from gapbench.builtin.datasets.captions import CaptionFile

    dataset = CaptionFile(None, str(path))
    dataset.splits()
    dataset.split("test").images[0]


def _picture(folder, path, rng):
    from gapbench.builtin.datasets.pictures import PictureFiles

    PictureFiles([path])[0]


def _pair(folder, path, rng):
    from gapbench.figures.draw import kept_pair
    from gapbench.figures.pair import draw_pair

    data = kept_pair(path)
    draw_pair(data, folder / "drawn" / "pca", method="pca")


def _drawing(folder, path, rng):
    from gapbench.verification.svg import active_parts

    active_parts(path)


def _signature(folder, path, rng):
    from gapbench.results.signatures import signer

    name, problem = signer(b"records", folder / "signed.sig", folder / "signers")
    assert bool(name) != bool(problem)


def _errors_aside(read):
    """Read, where an error of gapbench's own is as good as a value."""
    from gapbench.errors import GapbenchError

    try:
        return read()
    except GapbenchError:
        return None


BLIND, JSON = (mutations.damaged,), (mutations.damaged, mutations.as_json)
RECORDS = ("board/records/run.jsonl", "board/records/*.jsonl")
KINDS = {
    "records": Kind(RECORDS, 3, (mutations.damaged, mutations.as_json, mutations.sealed_record), _board, "board"),
    "outcomes": Kind(("board/records/*.outcomes",), 2, (mutations.damaged, mutations.as_safetensors), _board, "board"),
    "submission": Kind(("more/records/run.*",), 2, (mutations.damaged, mutations.as_json), _added, "more"),
    "pages": Kind(("board/*.md", "board/*.html", "board/*.csv", "board/*.sha256"), 2, BLIND, _pages, "board"),
    "kept study": Kind(("board/study.json",), 8, JSON, _kept, "board"),
    "study": Kind(("small.toml",), 15, BLIND, _study),
    "embeddings": Kind(("t.npz", "pairs.npz"), 14, (mutations.as_npz,), _embeddings),
    "tensors": Kind(("t.safetensors",), 8, (mutations.damaged, mutations.as_safetensors), _embeddings),
    "shards": Kind(("clip/*/*.npy",), 14, (mutations.damaged, mutations.as_npy), _embeddings, "clip"),
    "store": Kind(("kept/images/**/*.*", "kept/texts/**/*.*"), 7, (*JSON, mutations.as_npy), _stored, "kept"),
    "memos": Kind(("kept/memo/*/*",), 9, JSON, _remembered, "kept"),
    "aligners": Kind(("aligner.safetensors",), 11, (mutations.damaged, mutations.as_safetensors), _aligner),
    "prompts": Kind(("templates.txt", "table.toml"), 11, BLIND, _prompts),
    "prompts in JSON": Kind(("prompts-*.json",), 11, JSON, _prompts),
    "captions": Kind(("pictures/captions.*",), 9, JSON, _captions, "pictures"),
    "pictures": Kind(("pictures/*/*.png",), 8, BLIND, _picture),
    "pairs": Kind(("figures/pair-*.npz",), 2, (mutations.as_npz,), _pair),
    "drawings": Kind(("figures/*.svg",), 6, BLIND, _drawing),
    "signatures": Kind(("signed.sig", "signers"), 1, BLIND, _signature, "sign*"),
}

#: What is installed and its metrics, once for all readers.
INSTALLED = SPECS = None


def prepare():
    """Import what readers need, so that forked children have it."""
    global INSTALLED, SPECS  # noqa: PLW0603 - forked children inherit them
    import helpers  # noqa: F401

    from gapbench.host.discovery import discover
    from gapbench.host.installed import Installed

    INSTALLED = Installed(discover())
    SPECS = INSTALLED.registry.metric_specs()


def damage(seed, number, root, folder):
    """Put a copy of the material into ``folder``, damage one file of it, and return how to read that and what it is."""
    rng = random.Random(f"file {seed} {number}")
    names = [name for name in KINDS if any(list(root.glob(pattern)) for pattern in KINDS[name].files)]
    name = rng.choices(names, [KINDS[one].share for one in names])[0]
    kind = KINDS[name]
    path = rng.choice(sorted(path for pattern in kind.files for path in root.glob(pattern) if path.is_file()))
    target = folder / path.relative_to(root)
    for part in root.glob(kind.copied) if kind.copied else ():
        shutil.copytree(part, folder / part.name) if part.is_dir() else shutil.copy(part, folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    content = rng.choice(kind.damage)(path.read_bytes(), rng)
    target.unlink(missing_ok=True)
    target.write_bytes(content)
    return lambda: kind.read(folder, target, rng), f"{name}: {path.relative_to(root)}"


def one(seed, number, root, folder):
    """Read one damaged file; return its kind, and what was wrong with how it was read."""
    from gapbench.errors import GapbenchError

    read, what = damage(seed, number, root, folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read()
    except GapbenchError as error:
        return what, "" if str(error).strip() else f"{type(error).__name__} without a word"
    except BaseException:
        return what, traceback.format_exc()
    return what, ""


def batch(seed, numbers, root, scratch, journal):
    """Read some damaged files, telling each before it is read and after."""
    with open("/proc/self/statm") as told:
        limit = int(told.read().split()[0]) * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number in numbers:
        folder = scratch / str(number)
        folder.mkdir()
        faulthandler.dump_traceback_later(DEADLINE, exit=True, file=sys.stderr)
        journal.write(json.dumps([number]) + "\n")
        what, wrong = one(seed, number, root, folder)
        journal.write(json.dumps([number, what, wrong]) + "\n")
        shutil.rmtree(folder)
    faulthandler.cancel_dump_traceback_later()
    return 0


def run(seed, count, root, scratch, at_once):
    """Read so many damaged files in forked children; return how many of each kind, and what was found, by number."""

    def share(batches):
        for first in batches:
            numbers = range(first * BATCH, min(count, (first + 1) * BATCH))
            while numbers:
                path = scratch / f"{numbers[0]}.jsonl"
                with open(path, "w", buffering=1) as journal, open(path.with_suffix(".err"), "wb") as stderr:

                    def work(numbers=numbers, journal=journal, stderr=stderr):
                        os.dup2(stderr.fileno(), 2)
                        return batch(seed, numbers, root, scratch, journal)

                    with forked(work) as child:
                        code = ended(child, DEADLINE * len(numbers))
                    last = json.loads(path.read_text().splitlines()[-1])
                    if code == 0:
                        break
                    words = path.with_suffix(".err").read_text(errors="replace")[-3_000:]
                    journal.write(
                        json.dumps([last[0], "?", f"the interpreter ended with {code} (or hung)\n{words}"]) + "\n"
                    )
                numbers = range(last[0] + 1, numbers[-1] + 1)

    shared(-(-count // BATCH), share, at_once)
    kinds, found = Counter(), {}
    for path in scratch.glob("*.jsonl"):
        for line in map(json.loads, path.read_text().splitlines()):
            if len(line) > 1:
                number, what, wrong = line
                kinds[what.partition(":")[0]] += 1
                if wrong:
                    found[number] = f"{what}\n{wrong}"
    return kinds, found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", default="0")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--only", type=int)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1))
    given = parser.parse_args()
    top = Path(tempfile.mkdtemp(prefix="gapbench-fuzz-"))
    os.environ.update(GAPBENCH_CACHE=str(top / "store"), GAPBENCH_PLUGINS="", TMPDIR=str(top), OMP_NUM_THREADS="1")
    tempfile.tempdir = None
    with forked(lambda: material.make(top / "material") or 0) as child:
        assert ended(child, 120) == 0, "the material could not be made"
    prepare()
    (top / "scratch").mkdir()
    if given.only is not None:
        what, wrong = one(given.seed, given.only, top / "material", top / "scratch")
        print(what, wrong or "well", sep="\n")
        found = wrong
    else:
        kinds, found = run(given.seed, given.count, top / "material", top / "scratch", given.jobs)
        print(json.dumps({"kinds": kinds, "found": found}))
    if given.keep:
        print(f"files: {top}", file=sys.stderr)
    else:
        shutil.rmtree(top)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
