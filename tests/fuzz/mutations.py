"""Damage: what a disk, an editor, a broken transfer or somebody hostile makes of a file."""

import io
import json
import struct
import zipfile

import numpy as np

#: Values in place of others, in JSON.
ODD = (
    None, True, False, 0, -1, 1, 10**12, 2**63, -(2**64), 10**400, 0.5, -0.0, 1e308, 1e400, float("nan"), "", " ", "x", "auto",
    "identity", "../..", "/", "a/b", "\x00", "\x1b[31m", "\u202e", "\ud800", "é" * 300, "x" * 100_000, "2026-01-01",
    "0" * 64, [], {}, [1], [[]], {"a": 1}, {"": None}, [None] * 50,
)  # fmt: skip

#: Pieces that readers look for.
TOKENS = (
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\n", b"\r\n", b"\n\n", b"{", b"}", b"[", b"]", b'"', b"\\", b"\\u0000", b"\\ud800",
    b"null", b"NaN", b"1e999", b"-1", b"9" * 5_000, b"[" * 3_000, b'{"a":' * 3_000, b"a." * 200, b"PK\x05\x06", b"\x93NUMPY",
    b"=", b"[[x]]\n", b"'''", b"#", b"\x1b]0;x\x07", "\u202e".encode(), b"<script>", b"&", b"../../x", b"-----BEGIN",
)  # fmt: skip


def damaged(content, rng):
    """Change bytes in one to three of the ways that need no knowledge of the format."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content = rng.choice(BLIND)(content, rng)
    return content


def _span(content, rng, most=64):
    begin = rng.randrange(len(content) + 1)
    return begin, min(len(content), begin + rng.randint(1, max(1, most)))


def _flip(content, rng):
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _byte(content, rng):
    changed = bytearray(content)
    if changed:
        changed[rng.randrange(len(changed))] = rng.choice((0, 9, 10, 34, 45, 47, 92, 127, 128, 255))
    return bytes(changed)


def _cut(content, rng):
    return content[: rng.randrange(len(content) + 1)]


def _behead(content, rng):
    return content[rng.randrange(len(content) + 1) :]


def _remove(content, rng):
    begin, end = _span(content, rng, 1 + len(content) // 4)
    return content[:begin] + content[end:]


def _double(content, rng):
    begin, end = _span(content, rng, 1 + len(content) // 2)
    return content[:end] + content[begin:end] + content[end:] if rng.random() < 0.7 else content + content


def _splice(content, rng):
    begin, end = _span(content, rng, 1 + len(content) // 4)
    to, _ = _span(content, rng)
    return content[:to] + content[begin:end] + content[to + (end - begin if rng.random() < 0.5 else 0) :]


def _zeros(content, rng):
    begin, end = _span(content, rng, 1 + len(content) // 2)
    return content[:begin] + bytes(end - begin) + content[end:]


def _token(content, rng):
    begin, end = _span(content, rng, 8)
    return content[:begin] + rng.choice(TOKENS) + content[end if rng.random() < 0.5 else begin :]


def _noise(content, rng):
    begin, end = _span(content, rng)
    return content[:begin] + rng.randbytes(end - begin) + content[end:]


def _lines(content, rng):
    lines = content.split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(3):
        case 0:
            lines[one], lines[other] = lines[other], lines[one]
        case 1:
            del lines[one]
        case _:
            lines.insert(other, lines[one])
    return b"\n".join(lines)


def _nothing(content, rng):
    return rng.choice((b"", b"\n", b"\x00" * len(content), b"{}", b"[]", b"null"))


BLIND = (
    _flip, _flip, _byte, _byte, _cut, _cut, _behead, _remove, _double, _splice, _zeros, _token, _token, _noise, _lines, _nothing,
)  # fmt: skip


def places(node, way=()):
    """Yield the way to every value in plain data."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield (*way, key)
        yield from places(value, (*way, key))


def odd_value(data, rng):
    """Change the type or the size of one value of plain data, take it away, or put another beside it."""
    found = list(places(data))
    if not found or rng.random() < 0.02:
        return rng.choice(ODD)
    *way, last = rng.choice(found)
    place = data
    for key in way:
        place = place[key]
    match rng.randrange(12):
        case 0:
            del place[last]
        case 1 if isinstance(place, dict):
            place[rng.choice(("", "a", "../x", "\x00", str(last) + " ", "schema_version"))] = place[last]
        case 2 if isinstance(place[last], int | float) and not isinstance(place[last], bool):
            place[last] = rng.choice(
                (place[last] + 1, -place[last], place[last] * 1e9, str(place[last]), [place[last]])
            )
        case 3 if isinstance(place[last], str):
            text = place[last]
            place[last] = rng.choice(
                (text * 50, text.upper(), text[:-1], text + "\n", text + "\x00", [text], text[::-1])
            )
        case 4 if isinstance(place[last], list):
            place[last] = rng.choice((place[last] * 20, place[last][::-1], place[last][:1], {"0": place[last]}))
        case 5:
            place[last] = place[rng.choice(list(place) if isinstance(place, dict) else range(len(place)))]
        case _:
            place[last] = rng.choice(ODD)
    return data


def as_json(content, rng):
    """Change one value of JSON, or of one line of JSON lines; what is none is damaged blindly."""
    try:
        if content.count(b"\n") > 1 and content.startswith(b"{") and b"}\n{" in content:
            lines = content.splitlines()
            number = rng.randrange(len(lines))
            lines[number] = json.dumps(odd_value(json.loads(lines[number]), rng)).encode()
            return b"\n".join(lines) + b"\n"
        return json.dumps(odd_value(json.loads(content), rng)).encode()
    except (ValueError, RecursionError):
        return damaged(content, rng)


def as_safetensors(content, rng):
    """Change the header, which is JSON behind its length, or the length itself."""
    if len(content) < 8 or rng.random() < 0.2:
        return damaged(content, rng)
    (size,) = struct.unpack("<Q", content[:8])
    header, rest = content[8 : 8 + size], content[8 + size :]
    if rng.random() < 0.5:
        header = _inner(header, rng)
    else:
        header = as_json(header, rng) if rng.random() < 0.8 else damaged(header, rng)
    told = rng.choice((len(header),) * 8 + (0, len(header) + 1, 2**63, 2**40))
    return struct.pack("<Q", told) + header + rest


def _inner(header, rng):
    """Change JSON that stands in the metadata as text."""
    try:
        told = json.loads(header)
        (name, text), *_ = told["__metadata__"].items()
        told["__metadata__"][name] = as_json(text.encode(), rng).decode(errors="replace")
        return json.dumps(told).encode()
    except (ValueError, KeyError, TypeError, AttributeError):
        return as_json(header, rng)


def odd_array(array, rng):
    """Return an array of another type, shape or content."""
    ways = (
        lambda a: a[:0], lambda a: a[:1], lambda a: a.reshape(-1), lambda a: a[None], lambda a: a.astype("f8"),
        lambda a: a.astype(">f4"), lambda a: a.astype("f2"), lambda a: a.astype("i8"), lambda a: a.astype("U3"),
        lambda a: a.astype("S3"), lambda a: a.astype("c16"), lambda a: a.astype("M8[s]"), lambda a: a.astype(bool),
        np.zeros_like, np.asfortranarray, lambda a: np.concatenate([a, a]), lambda a: a[::-1],
        lambda a: np.asarray(7), lambda a: np.zeros(3, [("x", "f4"), ("y", "i2")]), lambda a: np.zeros((2, 0), "f4"),
        lambda a: np.array([None, {}], dtype=object), lambda a: a[:, :2], lambda a: a[..., None], lambda a: a - 3,
        lambda a: _with(a, np.nan), lambda a: _with(a, np.inf), lambda a: _with(a, 3e38), lambda a: a * 0 + 1e-40,
        lambda a: a.astype("u8") - 1, lambda a: np.array(["a\x1b[31m", "\u202e"]), lambda a: a.astype("V8"),
    )  # fmt: skip
    with np.errstate(all="ignore"):
        for _ in range(10):
            try:
                return rng.choice(ways)(array)
            except (TypeError, ValueError, IndexError):
                continue
    return array


def _with(array, value):
    array = array.astype("f4")
    array.flat[0] = value
    return array


def as_npy(content, rng):
    """Change the header of an array, or the array."""
    try:
        if rng.random() < 0.5:
            out = io.BytesIO()
            np.save(out, odd_array(np.load(io.BytesIO(content)), rng))
            return out.getvalue()
        (size,) = struct.unpack("<H", content[8:10])
        header, rest = content[10 : 10 + size], content[10 + size :]
        header = header.replace(*rng.choice(HEADERS)) if rng.random() < 0.7 else damaged(header, rng)[:60_000]
        return content[:8] + struct.pack("<H", len(header)) + header + rest
    except (ValueError, struct.error, IndexError):
        return damaged(content, rng)


HEADERS = (
    (b"False", b"True"), (b"<f4", b">f4"), (b"<f4", b"|O"), (b"<f4", b"<f8"), (b"<f4", b"<U9"), (b"<f4", b"|V0"), (b"(", b"(-1, "),
    (b"(", b"(99999999999, "), (b"(", b"(0, "), (b"(", b"(9223372036854775807, "), (b"(", b"(1, " * 80), (b"'<f4'", b"[('a','<f4')]"),
    (b"'<f4'", b"('<f4', (3,))"), (b"shape", b"shap"), (b"{", b"{{"), (b"}", b" " * 20_000), (b"(", b"(" * 500), (b"(", b"(1.5, "),
    (b"(", b"(True, "), (b"'<f4'", b"'<f4,' * 9"), (b"<f4", b"<c16"), (b"<f4", b"|S0"), (b"<f4", b"<U0"), (b"(", b"'a', ("),
)  # fmt: skip


def as_npz(content, rng):
    """Change an array, a name or the raw bytes of a member, with a checksum that is right."""
    if rng.random() < 0.3:
        return damaged(content, rng)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        name = rng.choice(sorted(members))
        match rng.randrange(8):
            case 0:
                del members[name]
            case 1:
                members[
                    rng.choice(("label.npy", "pair.npy", "x.npy", "names.npy", "../x", name.removesuffix(".npy")))
                ] = members[name]
            case 2:
                members[name] = damaged(members[name], rng)
            case 3:
                members[name] = members[rng.choice(sorted(members))]
            case _:
                members[name] = as_npy(members[name], rng)
        out = io.BytesIO()
        with zipfile.ZipFile(
            out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        ) as archive:
            for key, value in members.items():
                archive.writestr(key, value)
        return out.getvalue()
    except (ValueError, zipfile.BadZipFile, IndexError, NotImplementedError):
        return damaged(content, rng)


def sealed_record(content, rng):
    """Change one value of one record in a way that is still a record, and seal it again."""
    import msgspec

    from gapbench.model.identity import sealed
    from gapbench.model.record import Record

    lines = content.splitlines()
    number = rng.randrange(len(lines))
    for _ in range(20):
        try:
            record = msgspec.convert(odd_value(json.loads(lines[number]), rng), Record)
            lines[number] = msgspec.json.encode(sealed(record), order="deterministic")
            break
        except (msgspec.ValidationError, ValueError, RecursionError, OverflowError):
            continue
    return b"\n".join(lines) + b"\n"
