"""Checks of one record against itself, and against the specs of the code that it names."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from gapbench.host.selection import AUTO
from gapbench.model.identity import cell_id
from gapbench.model.record import CAPTIONS, GIVEN, HALF, IN_SAMPLE, PRECOMPUTED
from gapbench.results.answers import BASELINE, distributions, is_baseline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gapbench.host.installed import Installed
    from gapbench.model.record import ItemCounts, Record

#: Clocks of two machines differ by less than this.
CLOCK = timedelta(days=1)

OWN = "gapbench"

_HEX = re.compile("[0-9a-f]{64}").fullmatch


def scored(record: Record) -> int:
    """Return the number of images that a record was scored on."""
    return record.items.scored


def check_fields(record: Record, installed: Installed | None) -> Iterator[str]:
    """Say what is wrong with a record before its outcomes are looked at."""
    if cell_id(record) != record.cell_id:
        yield "its id is not that of its encoder, data, aligner and protocol: one of them was changed"
    yield from _when_and_where(record)
    yield from _code(record)
    yield from _names(record)
    yield from _protocol(record)
    yield from _numbers(record)
    if record.status == "ok":
        if not record.metrics and not record.unmeasured:
            yield "it is ok and has no metric"
        if record.outcomes is None:
            yield "it has no per-item outcomes, so nothing can be checked"
    elif record.metrics:
        yield f"its status is {record.status!r}, and it has metrics"
    if installed is not None:
        yield from _against_specs(record, installed)


def _when_and_where(record: Record) -> Iterator[str]:
    if record.aligner.name == BASELINE and not is_baseline(record):
        yield f"it is of another distribution's {BASELINE}, a name that gapbench keeps"
    try:
        made = datetime.fromisoformat(record.created_utc)
    except ValueError:
        yield f"created_utc {record.created_utc!r} is no time"
    else:
        if made.utcoffset() != timedelta(0) or made.isoformat(timespec="milliseconds") != record.created_utc:
            yield f"created_utc {record.created_utc!r} is not in UTC, or not to the millisecond as records have it"
        elif made > datetime.now(UTC) + CLOCK:
            yield f"created_utc {record.created_utc!r} is in the future"
    missing = [name for name in ("gapbench", "python", "platform", "libraries") if not record.environment.get(name)]
    if missing:
        yield f"its environment does not tell {', '.join(missing)}"
    elif not isinstance(record.environment["libraries"], dict):
        yield "its environment does not tell libraries with their versions"
    mine = record.code.get(OWN)
    if mine is not None and not missing and record.environment["gapbench"] != mine.version:
        yield f"its environment says gapbench {record.environment['gapbench']}, its code {mine.version}"


def _code(record: Record) -> Iterator[str]:
    named = dict.fromkeys(distributions(record))
    named |= dict.fromkeys(value.distribution for value in record.metrics.values())
    named |= dict.fromkeys(why.distribution for why in record.unmeasured.values())
    if missing := [name or "a metric without a distribution" for name in named if name not in record.code]:
        yield f"its code does not tell {', '.join(missing)}"
    for name, code in record.code.items():
        if code.sha256 and not _HEX(code.sha256):
            yield f"the code of {name} is no SHA-256: {code.sha256[:70]!r}"


def _names(record: Record) -> Iterator[str]:
    encoder, data, prompts = record.encoder, record.dataset, record.prompts
    for what, name, component in (("encoder", encoder.name, encoder.component), ("dataset", data.name, data.component)):
        if not (name == component or name.startswith((f"{component}:", f"{component}["))):
            yield f"its {what} is called {name!r} and is {component!r}"
    for what, fingerprint in (("encoder", encoder.fingerprint), ("dataset", data.fingerprint)):
        if not _HEX(fingerprint):
            yield f"the fingerprint of its {what} is no SHA-256: {fingerprint[:70]!r}"
    given = encoder.component == PRECOMPUTED
    if given and encoder.fingerprint != data.fingerprint:
        yield "its embeddings are given with the dataset, and have another fingerprint"
    if given != (not encoder.distribution):
        yield f"its encoder {encoder.component!r} comes from {encoder.distribution or 'no distribution'}"
    if (prompts.name in (CAPTIONS, GIVEN)) != (not prompts.distribution):
        yield f"its texts {prompts.name!r} come from {prompts.distribution or 'no distribution'}"
    if prompts.name in (CAPTIONS, GIVEN) and prompts.fingerprint != prompts.name:
        yield f"its texts are {prompts.name}, and have a fingerprint of their own"
    if not _is_label(record):
        yield f"its label {record.label!r} is not that of {record.aligner.name!r} with its parameters"


def _is_label(record: Record) -> bool:
    """Whether a label is the aligner's name, with some of its parameters as they are."""
    name, label = record.aligner.name, record.label
    if label == name:
        return True
    if not (label.startswith(f"{name}[") and label.endswith("]")):
        return False
    rest = label[len(name) + 1 : -1]
    for key, value in sorted(record.aligner.params.items()):
        part = f"{key}={_written(value)}"
        if rest == part:
            return True
        if rest.startswith(f"{part},"):
            rest = rest[len(part) + 1 :]
    return False


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _protocol(record: Record) -> Iterator[str]:
    protocol = record.protocol
    splits = {"held-out": ("train", HALF), "transductive": ("train", HALF), IN_SAMPLE: ("test",)}
    if protocol.name not in splits:
        yield f"there is no protocol {protocol.name!r}"
        return
    if protocol.fit_split not in splits[protocol.name]:
        yield f"its protocol is {protocol.name}, and it was fitted on {protocol.fit_split!r}"
        return
    if (protocol.fit_split == "train") != bool(protocol.fit_fingerprint):
        yield f"it was fitted on {protocol.fit_split}, and {'no' if not protocol.fit_fingerprint else 'a'} other split"
    if protocol.fit_size is not None and protocol.shots is not None:
        yield "its protocol has a fit size and shots as well"
    if record.status == "ok":
        yield from _items(record)


def _negative(items: ItemCounts) -> bool:
    counts: dict[str, int] = {name: count for name, count in msgspec.structs.asdict(items).items() if name != "skipped"}
    return min(*counts.values(), *items.skipped.values()) < 0


def _items(record: Record) -> Iterator[str]:
    """Hold the numbers of items against each other: of halves, those that are repeated may stand on either side."""
    protocol, items, n = record.protocol, record.items, record.dataset.n
    halved = protocol.fit_split == HALF
    scored_at_least, scored_at_most = n, n
    if halved:
        scored_at_least, scored_at_most = n - n // 2 - items.repeated, n - n // 2 + items.repeated
    if not scored_at_least <= items.scored <= scored_at_most or _negative(items):
        yield f"{items.scored} of its {n} items were scored"
        return
    most = n - items.scored if halved else n if protocol.name == IN_SAMPLE else None
    size = protocol.fit_size
    exact = None if most is None or protocol.shots is not None else most if size is None else min(most, size)
    bounds = [bound for bound in (most, size) if bound is not None]
    if (items.fitted != exact) if exact is not None else items.fitted < 1 or any(items.fitted > b for b in bounds):
        asked = f"{protocol.shots} shots" if protocol.shots is not None else "all" if size is None else str(size)
        yield f"it was fitted on {items.fitted} items, where {asked} of {most or 'the'} were asked for"
    seen = items.fitted <= items.seen <= n if protocol.name == IN_SAMPLE else items.seen == 0
    if not seen:
        yield f"{items.seen} of its scored items were fitted on, it says, and {items.fitted} were fitted on in all"
    if (items.repeated and not halved) or (items.left_out and protocol.fit_split != "train") or items.repeated > n:
        yield f"{items.repeated} items are repeated and {items.left_out} left out, it says: not under its protocol"


def _numbers(record: Record) -> Iterator[str]:
    timing = record.timing
    if not all(math.isfinite(s) and s >= 0 for s in (timing.encode_s, timing.fit_s, timing.score_s)):
        yield "its seconds are no lengths of time"
    if record.dataset.n < 1 or record.prompts.n_texts < 1 or record.seed < 0 or record.printed < 0:
        yield f"it has {record.dataset.n} items, {record.prompts.n_texts} texts and the seed {record.seed}"
    if record.index_recall is not None and not 0 <= record.index_recall <= 1:
        yield f"the recall of its index is {record.index_recall}"
    yield from _choice(record)


def _choice(record: Record) -> Iterator[str]:
    chosen, grids = record.chosen, record.aligner.grids
    automatic = {name for name, value in record.aligner.params.items() if value == AUTO}
    if not set(grids) <= automatic:
        yield "it has values to choose from for parameters that are not automatic"
    if record.status != "ok" or (chosen is None and not grids):
        return
    if chosen is None or set(chosen.params) != set(grids) or any(chosen.params[k] not in grids[k] for k in grids):
        yield "what it chose is not among the values to choose from"
        return
    best = max((score for _, score in chosen.scores), default=math.nan)
    if not any(params == chosen.params and score == best for params, score in chosen.scores):
        yield "what it chose is not the best that it tried"


def _against_specs(record: Record, installed: Installed) -> Iterator[str]:
    yield from (f"it names the {what} of the recorded code" for what in installed.unknown(record))
    spec = installed.aligner(record)
    if spec is None:
        return
    aligner = record.aligner
    if (aligner.family, aligner.control) != (spec.family, spec.control):
        kind = "a control" if spec.control else "no control"
        yield f"its aligner is of the family {spec.family!r} and {kind}, and the record says otherwise"
    if set(aligner.params) != set(spec.params):
        yield f"its parameters are {', '.join(aligner.params) or 'none'}; the aligner has {', '.join(spec.params) or 'none'}"
        return
    changed = [f"{k}={_written(v)}" for k, v in sorted(aligner.params.items()) if v != spec.params[k].default]
    label = f"{aligner.name}[{','.join(changed)}]" if changed else aligner.name
    if record.label != label:
        yield f"its label is {record.label!r}, and its parameters make it {label!r}"
    grids = {k: list(spec.params[k].grid) for k, v in aligner.params.items() if v == AUTO and spec.params[k].grid}
    if aligner.grids != grids:
        yield "the values that it chose among are not those of its aligner"
