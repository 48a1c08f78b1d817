"""Command lines, good, odd and hostile, each in a forked child of one process that has imported what is cheap.

Line ``n`` of a seed is the same whatever else is run: ``python tests/fuzz/lines.py --seed 0 --only 17`` repeats it and
shows what it printed, and ``--keep`` leaves its folder.
"""

import argparse
import atexit
import io
import json
import os
import random
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz import material, mutations
from fuzz.forked import ended, forked, shared

#: Seconds after which a line counts as hanging.
DEADLINE = 60

CODES = (0, 1, 2, 3, 130)
TRACEBACK = "Traceback (most recent call last)"
LOST = re.compile(r"^Exception ignored in.*\nTraceback .*\n(?: .*\n)*KeyboardInterrupt: *$", re.MULTILINE)

# -- values -----------------------------------------------------------------------------------------------------------

TEXTS = (
    "", " ", "\t", "\n", "x", "-", "--", "-x", "--help", "*", "?", "[", "[]", "]", "[a-z]*", "**", "..", ".", "/", "//", "a/b", "../x",
    "x" * 300, "x" * 20_000, "%00", "\\x00", "\\0", "$HOME", "`id`", "é", "日本語", "\u202egpj.exe", "\u2066x", "\x1b[31mred", "\x07", "\udcff",
    "\ufeff", "👩‍👩‍👧", "None", "null", "true", "0", "-1", "NaN", "1e999", "identity", "IDENTITY", "identity ", "identity[", "identity[]",
    "[bold]x[/]", "[/]", "{}", "{0}", "%s", "a=b", "a,b", ",", ";", "'", '"', "con", "nul", "local", "records", "~", "~nobody/x",
)  # fmt: skip
NUMBERS = (
    "", " ", "0", "-0", "-1", "+1", "1", "2", "1.5", "1e3", "1_0", "٣", "0x10", "007", "inf", "-inf", "nan", "9" * 30, "9" * 5_000, "1,2", "1,1",
    "1,,2", ",", "0:2", "2:0", "0:", ":3", ":", "0:1:2", "0:99999999999", "all", "ALL", "10,all", "all,all", "x", "1 2", " 1", "²",
)  # fmt: skip
PATHS = (
    "", " ", ".", "..", "nothing", "nothing/at/all", "folder", "empty", "pipe", "pipe.toml", "pipe.npz", "pipe.jsonl", "link", "loop", "dangling",
    "/dev/null", "/dev/full", "/dev/zero", "/dev/null/x", "/proc/self/mem", "/proc/nothing/x", "locked", "locked/x", "t.npz", "t.npz/x", "small.toml",
    "half.py", "templates.txt", "board", "board/records", "board/records/run.jsonl", "more", "more/records/run.jsonl", "clip", "pictures",
    "spaces and 'quotes'", "é", "\u202etxt", "\udcff", "-", "--", "~", "~nobody/x", "x" * 300, "a" * 200 + "/" + "b" * 200, "new", "leaderboards",
    "link/x", "broken.npz", "broken.jsonl", "broken.toml", "broken.py", "socket",
)  # fmt: skip
STUDIES = (
    "small.toml", "small.toml", "digits", "color-digits", "clip-stl10", "broken.toml", "odd.toml", "nul.toml", "deep.toml", "empty.toml", "folder.toml",
    "pipe.toml", "nothing.toml", "/dev/zero.toml", "digit", "local", "board", "small", "SMALL.TOML",
)  # fmt: skip
DATASETS = (
    "embeddings:t.npz", "embeddings:t.npz", "embeddings:t.npz", "embeddings:pairs.npz", "embeddings:clip", "embeddings:", "embeddings", "embeddings:*",
    "embeddings:nothing.npz", "embeddings:broken.npz", "embeddings:pipe", "embeddings:pipe.npz", "embeddings:/dev/zero", "embeddings:folder",
    "embeddings:~nobody/x.npz", "embeddings:half.py", "folder:pictures", "folder:nothing", "folder:pipe", "folder:empty", "folder:loop",
    "captions:pictures/captions.csv", "captions:pictures/captions.json", "captions:pipe", "captions:t.npz", "captions:/dev/null", "captions:~nobody/x",
    "cifar10", "mnist*", "no-such", "digits[x=1]",
)  # fmt: skip
ENCODERS = (
    "mini-clip", "given", "open_clip:", "open_clip:ViT-B-32", "open_clip:ViT-B-32/nothing", "open_clip:ViT-B-32/pipe", "open_clip:ViT-B-32/broken.npz",
    "open_clip:local-dir:folder", "open_clip:local-dir:~nobody/x", "no-such", "mini-clip[dim=0]", "mini-clip:x", "mini*",
)  # fmt: skip
PROMPTS = (
    "photo", "given", "captions", "bare", "template:a {}", "template:", "template:{} {}", "template:{0}", "template:{x}", "template:%s", "file:templates.txt",
    "file:table.toml", "file:pipe", "file:/dev/zero", "file:folder", "file:nothing", "file:broken.toml", "file:deep.toml", "file:~nobody/x", "file:",
    "openai-80", "*", "no-such", "openai", "photo[names=openai]", "photo[names=]", "file:prompts-sets.json", "cupl:prompts-table.json", "cupl:table.toml",
)  # fmt: skip
ALIGNERS = (
    "identity", "identity", "mean-center", "procrustes", "mean-*", "gap-shift[delta=0.2]", "gap-shift[delta=0.1,0.2,0.3]", "gap-shift[delta=auto]",
    "gap-shift[delta=nan]", "gap-shift[delta=]", "gap-shift[delta]", "gap-shift[delta=1e400]", "gap-shift[delta=0.1,delta=0.2]", "gap-shift[x=1]",
    "gap-shift[", "gap-shift]", "gap-shift[[delta=1]]", "mean-center[x=*]", "half", "half[x=1]", "no-such", "procrustse", "random-rotation", "dn",
    "gap-shift[delta=" + ",".join(f"0.{n:03}" for n in range(300)) + "]", "[delta=1]", "identity,mean-center",
)  # fmt: skip
METRICS = (
    "top1", "top1", "top5", "centroid-l2", "i2t-recall@1", "paired-cos", "top*", "no-such", "top1[k=3]", "recall[k=0]", "top1 ", "TOP1", "top1,top5",
)  # fmt: skip
BOARDS = (
    "small",
    "local",
    "digits",
    "board",
    "more",
    "empty",
    "folder",
    "leaderboards",
    "leaderboards/small",
    *STUDIES[:6],
    *PATHS[:24],
)
COMMITS = ("HEAD", "HEAD:board", "HEAD:", ":", "HEAD~9", "-x", "--output=x", "HEAD:../..", "main@{now}", "HEAD:folder")

#: Values that are well-formed, by option.
GOOD = {
    "--study": ("small.toml", "small.toml", "odd.toml"),
    "-d": ("embeddings:t.npz", "embeddings:t.npz", "embeddings:pairs.npz", "embeddings:clip", "embeddings:broken.npz"),
    "-a": ("identity", "mean-center", "procrustes", "mean-*", "gap-shift[delta=0.2]", "gap-shift[delta=0.1,0.3]", "gap-shift[delta=auto]", "dn"),
    "-m": ("top1", "top1", "centroid-l2", "i2t-recall@1", "paired-cos", "top*"),
    "-e": ("given",),
    "-p": ("given", "captions"),
    "--protocol": ("held-out", "in-sample", "transductive"),
    "--fit-size": ("10", "5,10", "all"),
    "--shots": ("1", "2,3"),
    "--seeds": ("0", "0,1", "0:2"),
    "--split": ("test",),
    "--limit": ("5",),
    "--index": ("flat", "hnsw"),
    "--device": ("cpu", "auto"),
    "--dtype": ("float32",),
    "--data-root": ("folder", "nothing"),
    "--out": ("new", "new/deep", "board", "leaderboards/local", "more", "leaderboards/small"),
    "--plugin": ("half.py",),
    "--no-plugin": ("half",),
    "--jobs": ("1",),
    "--engine": ("loky",),
    "--timeout": ("60",),
    "--memory": ("4",),
    "--to": ("small", "new"),
    "--sign": ("key",),
    "--signers": ("signers",),
    "--format": ("png", "svg", "png,pdf"),
    "--licence": ("MIT", "none", "Apache-2.0"),
    "--author": ("Somebody", "é\u202e"),
    "BOARD": ("small", "board", "leaderboards/small", "more", "leaderboards/local", "local"),
    "RESULTS": ("small", "board", "more", "leaderboards", "leaderboards/local", "more/records/run.jsonl", "board/records/run.jsonl"),
    "FILE": ("more/records/run.jsonl", "board/records/run.jsonl", "broken.jsonl"),
    "KIND": ("encoder", "dataset", "prompts", "aligner", "metric"),
}  # fmt: skip


def _one(rng, what, values):
    """Return an argument."""
    return rng.choice(GOOD[what] if rng.random() >= rng.odd else values if rng.random() < 0.85 else TEXTS)


#: Options that may be wrong for a command, and are given to it all the same.
STRAY = (
    "--jsn",
    "--json",
    "--out",
    "--help",
    "-h",
    "--version",
    "--",
    "--strict",
    "-",
    "-zzz",
    "--study=",
    "--out=",
    "--seeds",
    "-a",
    "--download",
)


@dataclass
class Line:
    """A command line and what surrounds it."""

    words: list
    environment: dict
    stdout: str = "file"
    encoding: str = "utf-8"
    interrupt: float | None = None

    def __str__(self):
        extra = {
            key: value
            for key, value in vars(self).items()
            if key != "words" and value not in ("file", "utf-8", None, {})
        }
        return f"gapbench {shlex.join(self.words)[:1_500]}{f'   {extra}' if extra else ''}"


def draw(seed, number):
    """Draw a line."""
    rng = random.Random(f"line {seed} {number}")
    rng.odd = rng.choice((0.0, 0.0, 0.1, 0.3, 0.9))  # how often a value is an odd one: what is wrong is told first
    command = rng.choices(list(DRAWN), [share for _, share in DRAWN.values()])[0]
    words = [*command.split(), *DRAWN[command][0](rng)]
    if rng.random() < rng.odd / 5:
        words.insert(rng.randint(0, len(words)), rng.choice((*STRAY, *TEXTS)))
    if rng.random() < rng.odd / 8:
        words.remove(rng.choice(words))
    if rng.random() < rng.odd / 8:
        words.append(rng.choice(words))
    words = [word for word in words if "\0" not in word]
    line = Line(words, {name: rng.choice(values) for name, values in ENVIRONMENT.items() if rng.random() < 0.05})
    if rng.random() < 0.1:
        line.stdout = rng.choice(("closed", "full", "pipe", "both closed", "stderr closed"))
    if rng.random() < 0.12:
        line.encoding = rng.choice(("ascii", "latin-1", "cp437", "cp1252", "utf-16", "shift_jis"))
    if rng.random() < 0.1:
        line.interrupt = rng.choice((0.0, rng.random() * 0.1, rng.random(), rng.random() * 2))
    return line


ENVIRONMENT = {
    "GAPBENCH_CACHE": (
        "",
        "t.npz",
        "pipe",
        "/dev/null",
        "/dev/full/x",
        "new store",
        "empty",
        "link",
        "kept",
        "locked",
        "\udcff",
    ),
    "GAPBENCH_DATA": ("", " ", "nothing", "t.npz", "/dev/null", "~", "\x1b[31m"),
    "GAPBENCH_PLUGINS": ("", "x", "*", "gapbench", "\udcff", ",,,"),
    "COLUMNS": ("0", "1", "-5", "x", "99999999", "20"),
    "TERM": ("dumb", "", "xterm-256color"),
    "NO_COLOR": ("1",),
    "FORCE_COLOR": ("1",),
    "LC_ALL": ("C", "POSIX", "xx"),
    "MPLBACKEND": ("nothing", "TkAgg"),
    "TMPDIR": ("empty",),
    "HOME": ("", "nothing", "t.npz"),
    "CUDA_VISIBLE_DEVICES": ("", "9", "x"),
}


def _some(rng, flag, values, chance, most=1):
    """Return an option, perhaps, perhaps several times, now and then with a value of another kind."""
    if rng.random() >= chance:
        return []
    found = []
    for _ in range(rng.randint(1, most)):
        if rng.random() >= rng.odd:
            values = GOOD.get(flag, values)
        elif rng.random() < 0.1:
            values = rng.choice((TEXTS, NUMBERS, PATHS))
        value = rng.choice(values)
        found += [f"{flag}={value}"] if flag.startswith("--") and rng.random() < 0.3 else [flag, value]
    return found


def _flag(rng, flag, chance):
    return [flag] if rng.random() < chance else []


def _plugins(rng):
    words = _some(rng, "--plugin", ("half.py", "half.py", "broken.py", "exits.py", *PATHS), 0.15, 2)
    words += _some(rng, "--no-plugin", ("gapbench", "half", *TEXTS), 0.06)
    return words + _flag(rng, "--strict", 0.05)


def _request(rng):
    known = rng.random() < 0.2
    words = _some(rng, "--study", STUDIES if rng.random() < 0.8 else TEXTS, 1.0 if known else 0.0)
    # Something small is always named: what is asked here is how it ends, not how long everything takes.
    words += ["-d", _one(rng, "-d", DATASETS)]
    words += _some(rng, "-d", DATASETS, 0.15)
    words += ["-a", _one(rng, "-a", ALIGNERS)]
    words += _some(rng, "-a", ALIGNERS, 0.5, 2)
    words += _some(rng, "-m", METRICS, 0.6, 2)
    words += _some(rng, "-e", ENCODERS, 0.12) + _some(rng, "-p", PROMPTS, 0.15, 2)
    words += _some(rng, "--protocol", ("held-out", "in-sample", "transductive", "held", ""), 0.15)
    words += _some(rng, "--fit-size", NUMBERS, 0.12) + _some(rng, "--shots", NUMBERS, 0.12)
    words += _some(rng, "--seeds", ("0", "0,1", *NUMBERS), 0.12)
    words += _some(rng, "--index", ("flat", "hnsw", "ivf", "FLAT", ""), 0.08)
    words += _some(rng, "--device", ("cpu", "auto", "cuda", "cuda:99", "mps", "tpu", *TEXTS), 0.08)
    words += _some(rng, "--dtype", ("float32", "float16", "bfloat16", "int8"), 0.08)
    words += _flag(rng, "--offline", 0.9) + _flag(rng, "--download", 0.01)
    words += _some(rng, "--split", ("test", "val", "train", *TEXTS), 0.05) + _some(rng, "--limit", NUMBERS, 0.05)
    words += _flag(rng, "--skip-unreadable", 0.05)
    words += _some(rng, "--data-root", PATHS, 0.08)
    words += _some(rng, "--out", ("new", "new/deep", "board", *PATHS), 0.6)
    words += _plugins(rng)
    return words


def _run(rng):
    words = [*_request(rng), "--no-figures"]
    words += _some(rng, "--jobs", ("1", "1", "0", "-1", "x", "99999", ""), 0.1)
    words += _some(rng, "--engine", ("loky", "dask", "ray", "x"), 0.05)
    words += _some(rng, "--memory", ("0.5", "4", "0", "-1", "nan", "inf", "1e9", "x"), 0.05)
    words += _flag(rng, "--in-process", 0.05)
    return words + _some(rng, "--timeout", ("0.1", "5", "0", "-1", "nan", "inf", "1e9", "x"), 0.08)


def _named(*pools):
    def draw_named(rng):
        words = [_one(rng, "KIND", pool) if pool is KIND_NAMES else rng.choice(pool) for pool in pools]
        return words + _flag(rng, "--json", 0.25) + _plugins(rng)

    return draw_named


KIND_NAMES = ("encoder", "dataset", "prompts", "aligner", "metric", "aligners", "Metrics", "s", "")
NAMES = (
    "identity",
    "procrustes",
    "mini-clip",
    "digits",
    "photo",
    "top1",
    "embeddings",
    "file",
    "half",
    "no-such",
    "top",
)
CHECKED = (
    "identity",
    "mean-center",
    "top1",
    "photo",
    "no-such",
    "half",
    "template:a {}",
    "template:",
    "embeddings:t.npz",
    "embeddings:broken.npz",
)


def _new(rng):
    names = (
        "mine",
        "my-method",
        "identity",
        "x" * 41,
        "gapbench-x",
        "class",
        "a..b",
        "os",
        "numpy",
        "1",
        "é",
        "A",
        "a_b",
        "-x",
        "half",
    )
    words = [_one(rng, "KIND", KIND_NAMES), rng.choice(names if rng.random() < 0.8 else TEXTS)]
    words += _flag(rng, "--single-file", 0.4) + _some(rng, "--licence", ("MIT", "none", "GPL", "mit", ""), 0.2)
    return words + _some(rng, "--author", TEXTS, 0.3) + _some(rng, "--to", PATHS, 0.6) + _plugins(rng)


def _board(*flags):
    def draw_board(rng):
        words = [_one(rng, "BOARD", BOARDS)] if rng.random() < 0.95 else []
        words += _some(rng, "--out", ("board", "leaderboards/small", *PATHS), 0.4)
        for flag, values, chance in flags:
            words += _some(rng, flag, values, chance) if values else _flag(rng, flag, chance)
        return words + _plugins(rng)

    return draw_board


def _add(rng):
    words = [_one(rng, "FILE", PATHS)]
    words += _some(rng, "--to", BOARDS, 0.6) + _some(rng, "--out", ("new", "board", *PATHS), 0.4)
    return words + _some(rng, "--sign", ("key", "key.pub", "half.py", *PATHS), 0.15) + _plugins(rng)


def _compare(rng):
    words = [_one(rng, "RESULTS", (*BOARDS, *COMMITS, "broken.jsonl")) for _ in range(2)]
    return words + _flag(rng, "--markdown", 0.3) + _flag(rng, "--json", 0.3) + _plugins(rng)


def _figures(rng):
    words = _some(rng, "--study", BOARDS, 0.5) + _some(rng, "--out", ("board", "leaderboards/local", *PATHS), 0.6)
    words += _some(rng, "--format", ("png", "svg", "pdf", "png,pdf", "gif", "", ",", "PNG, svg"), 0.5)
    return words + _flag(rng, "--paper", 0.2) + _some(rng, "--to", ("new", *PATHS), 0.4) + _plugins(rng)


def _embed(rng):
    words = ["-d", _one(rng, "-d", DATASETS), *_some(rng, "-e", ENCODERS, 0.12), *_some(rng, "-p", PROMPTS, 0.15)]
    words += _some(rng, "--split", ("test", "val", *TEXTS), 0.05) + _some(rng, "--limit", NUMBERS, 0.05)
    words += _some(rng, "--device", ("cpu", "cuda:99", *TEXTS), 0.05) + _some(rng, "--dtype", ("float32", "int8"), 0.05)
    words += _flag(rng, "--skip-unreadable", 0.05) + _flag(rng, "--offline", 0.9) + _flag(rng, "--download", 0.01)
    words += _some(rng, "--data-root", PATHS, 0.08) + _flag(rng, "--force", 0.2)
    words += _some(rng, "--out", ("new.npz", "new.safetensors", "new", *PATHS), 0.9)
    return words + _plugins(rng)


#: For each command what draws its words, and how often it is drawn.
DRAWN = {
    "run": (_run, 26),
    "plan": (lambda rng: _request(rng) + _flag(rng, "--json", 0.3) + _flag(rng, "--check", 0.2), 14),
    "embed": (_embed, 4),
    "list": (_named(KIND_NAMES), 4),
    "show": (_named(NAMES), 5),
    "plugins": (_named(), 4),
    "new": (_new, 8),
    "check": (_named(KIND_NAMES, CHECKED), 4),
    # With a file that works it would encode pictures, and without --once never end.
    "dev": (lambda rng: ["--once", rng.choice(("broken.py", "exits.py", *PATHS[:20])), *_plugins(rng)], 3),
    "leaderboard build": (_board(), 6),
    "leaderboard verify": (
        _board(("--json", (), 0.3), ("--recompute", (), 0.1), ("--figures", (), 0.1), ("--signers", ("signers", *PATHS), 0.2)), 8),
    "leaderboard add": (_add, 7),
    "leaderboard compare": (_compare, 8),
    "leaderboard": (lambda rng: [rng.choice(TEXTS)], 1),
    "cache ls": (lambda rng: _flag(rng, "--json", 0.4), 3),
    "cache verify": (lambda _: [], 2),
    "cache prune": (lambda rng: _flag(rng, "--all", 0.4), 3),
    "figures": (_figures, 5),
    "": (lambda rng: [rng.choice((*TEXTS, "rnu", "leaderbord"))], 2),
}  # fmt: skip


# -- where a line runs ------------------------------------------------------------------------------------------------


def scene(seed, number, root, folder):
    """Make the folder that a line runs in: a copy of the material, damaged files, and what is no file."""
    rng = random.Random(f"scene {seed} {number}")
    work = folder / "work"
    shutil.copytree(root, work, copy_function=shutil.copyfile)
    (work / "key").chmod(0o600) if (work / "key").exists() else None
    shutil.copytree(root / "kept", folder / "store")
    for name in ("empty", "folder/inner", "folder.toml", "spaces and 'quotes'", "locked"):
        (work / name).mkdir(parents=True)
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    (work / "folder" / "notes.txt").write_text("somebody's own")
    for name in ("pipe", "pipe.toml", "pipe.npz", "pipe.jsonl"):
        os.mkfifo(work / name)
    (work / "link").symlink_to("folder")
    (work / "loop").symlink_to("loop")
    (work / "dangling").symlink_to("nowhere/at/all")
    (work / "locked").chmod(0o500)
    damage = mutations.damaged
    (work / "broken.npz").write_bytes(mutations.as_npz((root / "t.npz").read_bytes(), rng))
    (work / "broken.toml").write_bytes(damage((root / "small.toml").read_bytes(), rng))
    (work / "broken.py").write_bytes(
        rng.choice((b"raise SystemExit(7)", b"import nothing_there", damage((root / "half.py").read_bytes(), rng)))
    )
    (work / "exits.py").write_text("import sys\nsys.exit(5)\n")
    (work / "broken.jsonl").write_bytes(mutations.as_json((root / "more/records/run.jsonl").read_bytes(), rng))
    shutil.copyfile(root / "more/records/run.outcomes", work / "broken.outcomes")
    odd = mutations.odd_value(
        {"name": "odd", "datasets": ["embeddings:t.npz"], "aligners": ["identity"], "seeds": [0, 1]}, rng
    )
    (work / "odd.toml").write_text(_toml(odd), errors="replace")
    (work / "nul.toml").write_text('name = "nul"\ndatasets = ["embeddings:a\\u0000b", "embeddings:\\u202e"]\n')
    (work / "deep.toml").write_text("a = " + "[" * 5_000)
    (work / "empty.toml").touch()
    if rng.random() < 0.35:  # something in the results or the store is damaged as well
        places = [p for pattern in ("board/**/*", "leaderboards/**/*", "kept/**/*") for p in sorted(work.glob(pattern))]
        places += sorted((folder / "store").rglob("*"))
        path = rng.choice([place for place in places if place.is_file()])
        match rng.randrange(6):
            case 0:
                path.unlink()
                path.mkdir()
            case 1:
                path.unlink()
                os.mkfifo(path)
            case 2:
                path.unlink()
                path.symlink_to("/dev/zero")
            case _:
                path.write_bytes(rng.choice((damage, mutations.as_json))(path.read_bytes(), rng))
    return work


def _toml(data):
    """Write plain data as TOML, as far as that can be."""

    def written(value):
        if isinstance(value, str):
            return json.dumps(value)
        if isinstance(value, list):
            return f"[{', '.join(map(written, value))}]"
        return str(value).lower()

    return (
        "".join(f"{json.dumps(key)} = {written(value)}\n" for key, value in data.items())
        if isinstance(data, dict)
        else str(data)
    )


#: What opens a file for writing, or changes what lies in a folder; the first arguments that are paths.
CHANGES = {
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.link": 2,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.chmod": 1,
}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
SYSTEM = ("/dev", "/proc", "/sys")


def _watch(folder, told):
    """Note every attempt of this process to write outside of its folder; what is no place to write to does not count."""
    allowed = (str(folder.resolve()), *SYSTEM)

    def hook(event, arguments):
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES:
            paths = arguments[:1]
        elif event in CHANGES:
            paths = arguments[-2:] if event == "os.symlink" else arguments[: CHANGES[event]]
            paths = paths[1:2] if event == "os.symlink" else paths
        else:
            return
        for path in paths:
            if isinstance(path, str | bytes | os.PathLike):
                place = os.path.realpath(os.path.dirname(os.path.abspath(os.fsdecode(path))))
                if not any(place == one or place.startswith(f"{one}/") for one in allowed):
                    os.write(told, f"{event} {os.fsdecode(path)}\n".encode(errors="replace"))

    sys.addaudithook(hook)


# -- running it -------------------------------------------------------------------------------------------------------


def prepare():
    """Import what commands need and what starts no threads, so that forked children have it."""
    import gapbench.bench.execute
    import gapbench.bench.materials
    import gapbench.bench.workers
    import gapbench.cli.cache
    import gapbench.cli.check
    import gapbench.cli.dev_round
    import gapbench.cli.figures
    import gapbench.cli.group
    import gapbench.cli.leaderboard
    import gapbench.cli.list
    import gapbench.cli.new
    import gapbench.cli.plan
    import gapbench.cli.plugins
    import gapbench.cli.report
    import gapbench.cli.run
    import gapbench.cli.show
    import gapbench.figures.draw
    import gapbench.verification.board  # noqa: F401


def _child(line, folder, ready, told):
    """Be the process that a line runs in, from here to its exit code."""
    out, err = (os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for name in ("stdout", "stderr"))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if line.stdout == "full":
        out = os.open("/dev/full", os.O_WRONLY)
    elif line.stdout == "pipe":
        read, out = os.pipe()
        os.close(read)
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.stdin = open(0, closefd=False)
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(
            io.BufferedWriter(io.FileIO(number, "w", closefd=False)), encoding=line.encoding, errors=errors
        )
        for number, errors in ((1, "strict"), (2, "backslashreplace"))
    )
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # as the interpreter, which keeps both open
    if line.stdout in ("closed", "both closed"):
        os.close(1)
        sys.stdout = None
    if line.stdout in ("stderr closed", "both closed"):
        os.close(2)
        sys.stderr = None
    home = folder / "home"
    os.environ.update(
        HOME=str(home), XDG_CACHE_HOME=str(home / "cache"), XDG_DATA_HOME=str(home / "data"), XDG_CONFIG_HOME=str(home / "config"),
        GAPBENCH_CACHE=str(folder / "store"), GAPBENCH_PLUGINS="", TMPDIR=str(folder / "tmp"), GIT_CEILING_DIRECTORIES=str(folder),
        MPLCONFIGDIR=str(home / "mpl"), NUMBA_CACHE_DIR=str(home / "numba"), HF_HOME=str(home / "hf"), TORCH_HOME=str(home / "torch"),
        COLUMNS="80", PYTHONDONTWRITEBYTECODE="1", JOBLIB_TEMP_FOLDER=str(folder / "tmp"),
    )  # fmt: skip
    os.environ.pop("GAPBENCH_DATA", None)
    os.environ.update(line.environment)
    tempfile.tempdir = None
    sys.argv = ["gapbench", *line.words]
    sys.dont_write_bytecode = True
    os.chdir(folder / "work")
    _watch(folder, told)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from gapbench.cli.main import main

    try:
        try:
            os.write(ready, b".")
            main()
            code = 0
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
        except KeyboardInterrupt:
            # Between two lines here; the interpreter has such moments as well before the command line is there.
            code = 130 if line.interrupt is not None and line.interrupt < 0.01 else 98
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        atexit._run_exitfuncs()
    except BaseException:
        os.write(told, f"it ended with {traceback.format_exc()}".encode())
        code = 97
    return code


def one(seed, number, root, folder):
    """Run a line; return it, its exit code, and what was wrong with how it ended."""
    line = draw(seed, number)
    folder.mkdir()
    scene(seed, number, root, folder)
    told = os.open(folder / "told", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    here, there = os.pipe()
    with forked(lambda: _child(line, folder, there, told)) as child:
        os.close(there)
        os.read(here, 1)
        os.close(here)
        code, waited = None, 0.0
        if line.interrupt is not None:
            code, waited = ended(child, line.interrupt), line.interrupt
            if code is None:
                os.killpg(child, signal.SIGINT)
        if code is None:
            code = ended(child, DEADLINE - waited)
    os.close(told)
    printed = "".join((folder / name).read_text(errors="replace") for name in ("stdout", "stderr"))
    return line, code, [*_wrong(line, code, printed), *_outside(folder)]


def _wrong(line, code, printed):
    """Say what is wrong with how a line ended."""
    if line.interrupt is not None:  # in a callback of the interpreter's own an interrupt is lost, and told so
        printed = LOST.sub("", printed)
    if code is None:
        yield f"it did not end within {DEADLINE} seconds"
    elif code not in CODES:
        yield f"its exit code is {code}"
    elif code == 130 and line.interrupt is None:
        yield "it says that it was interrupted, and was not"
    if "gapbench-report" in printed or "ended where it should not" in printed:
        yield "the last guard caught something that nobody foresaw"
    if TRACEBACK in printed:
        last = re.findall(r"^([\w.]+)(?::|$)", printed[printed.rindex(TRACEBACK) :], re.MULTILINE)
        if "--strict" not in line.words or not any(name.startswith("gapbench.errors.") for name in last):
            yield "it shows a traceback"
    if code == 2 and not printed.strip() and "closed" not in line.stdout:
        yield "it says nothing"


def _outside(folder):
    told = (folder / "told").read_text(errors="replace")
    return [f"outside of its folder: {told[:2_000]}"] if told else []


def run(seed, count, root, scratch, at_once):
    """Run so many lines in forked children; return how often each code came, and what was found, by number."""

    def share(numbers):
        with open(scratch / f"{numbers.start}.jsonl", "w") as journal:
            for number in numbers:
                folder = scratch / str(number)
                began = time.monotonic()
                line, code, wrong = one(seed, number, root, folder)
                text = ""
                if wrong:
                    printed = "".join(
                        (folder / name).read_text(errors="replace")[-3_000:] for name in ("stdout", "stderr")
                    )
                    reports = "".join(
                        path.read_text(errors="replace") for path in (folder / "tmp").glob("gapbench-report*")
                    )
                    text = "\n".join([str(line), *wrong, printed, reports])
                journal.write(json.dumps([number, code, line.words[:1], time.monotonic() - began, text]) + "\n")
                shutil.rmtree(folder, ignore_errors=True)

    shared(count, share, at_once)
    lines = [json.loads(line) for path in scratch.glob("*.jsonl") for line in path.read_text().splitlines()]
    codes = {}
    for _, code, _, _, _ in lines:
        codes[str(code)] = codes.get(str(code), 0) + 1
    slowest = sorted(((round(took, 1), number) for number, _, _, took, _ in lines), reverse=True)[:5]
    return codes, {number: text for number, _, _, _, text in lines if text}, slowest


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", default="0")
    parser.add_argument("--count", type=int, default=320)
    parser.add_argument("--only", type=int)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1))
    given = parser.parse_args()
    top = Path(tempfile.mkdtemp(prefix="gapbench-fuzz-"))
    os.environ.update(
        GAPBENCH_CACHE=str(top / "store"), GAPBENCH_PLUGINS="", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"
    )
    sys.dont_write_bytecode = True
    with forked(lambda: material.make(top / "material") or 0) as child:
        assert ended(child, 120) == 0, "the material could not be made"
    prepare()
    (top / "scratch").mkdir()
    if given.only is not None:
        folder = top / "scratch" / str(given.only)
        line, code, wrong = one(given.seed, given.only, top / "material", folder)
        print(line, f"exit code {code}", *(wrong or ["well"]), sep="\n")
        for path in (folder / "stdout", folder / "stderr", *(folder / "tmp").glob("gapbench-report*")):
            print(f"--- {path.name}", path.read_text(errors="replace"), sep="\n")
        found = wrong
    else:
        codes, found, slowest = run(given.seed, given.count, top / "material", top / "scratch", given.jobs)
        print(json.dumps({"codes": codes, "slowest": slowest, "found": found}))
    if given.keep:
        print(f"files: {top}", file=sys.stderr)
    else:
        shutil.rmtree(top, ignore_errors=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
