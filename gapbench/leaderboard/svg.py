"""Whether a drawing is nothing but a drawing: what matplotlib writes for figures of gapbench, and nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.parsers import expat

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_RDF, _CC = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://creativecommons.org/ns#"
_DC = "http://purl.org/dc/elements/1.1/"

#: Elements with their attributes, each named as expat does it: namespace, space, name.
ELEMENTS: Mapping[str, frozenset[str]] = {
    f"{_SVG} svg": frozenset({"height", "version", "viewBox", "width"}),
    f"{_SVG} metadata": frozenset(),
    f"{_SVG} defs": frozenset(),
    f"{_SVG} style": frozenset({"type"}),
    f"{_SVG} clipPath": frozenset({"id"}),
    f"{_SVG} g": frozenset({"clip-path", "id", "transform"}),
    f"{_SVG} path": frozenset({"clip-path", "d", "id", "style", "transform"}),
    f"{_SVG} rect": frozenset({"height", "width", "x", "y"}),
    f"{_SVG} use": frozenset({f"{_XLINK} href", "style", "transform", "x", "y"}),
    f"{_RDF} RDF": frozenset(),
    f"{_CC} Work": frozenset(),
    f"{_CC} Agent": frozenset(),
    f"{_DC} creator": frozenset(),
    f"{_DC} format": frozenset(),
    f"{_DC} source": frozenset(),
    f"{_DC} title": frozenset(),
    f"{_DC} type": frozenset({f"{_RDF} resource"}),
}

#: Properties of styles.
PROPERTIES = frozenset(
    {
        "fill", "fill-opacity", "opacity", "stroke", "stroke-dasharray", "stroke-dashoffset", "stroke-linecap",
        "stroke-linejoin", "stroke-miterlimit", "stroke-opacity", "stroke-width",
    }
)  # fmt: skip

_DOCTYPE = "svg", "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd", "-//W3C//DTD SVG 1.1//EN", 0
_OWN = r"#[\w.-]+"
_FUNCTION = re.compile(rf"url\({_OWN}\)|(rotate|translate|scale|matrix)\([0-9eE., +-]*\)")
_SHEET = re.compile(r"\s*\*\s*\{([^{}]*)\}\s*")


def active_parts(path: Path) -> list[str]:
    """Name what a drawing has besides lines and letters; of what is no SVG at all, say so."""
    found: dict[str, None] = {}
    sheets: list[str] = []  # expat tells a text in pieces
    inside: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        inside.append(name)
        if name == f"{_SVG} style":
            sheets.append("")
        if name not in ELEMENTS:
            found[f"<{_short(name)}>"] = None
            return
        for key, value in attributes.items():
            if key not in ELEMENTS[name]:
                found[f"the attribute {_short(key)}"] = None
            elif not _draws(_short(key), value):
                found[f"more than a drawing in {_short(key)}"] = None

    def text(part: str) -> None:
        if inside and inside[-1] == f"{_SVG} style":
            sheets[-1] += part

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: inside.pop()
    parser.CharacterDataHandler = text
    parser.XmlDeclHandler = lambda _, encoding, __: (
        None if (encoding or "utf-8").lower() == "utf-8" else found.setdefault(f"the encoding {encoding}")
    )
    parser.StartDoctypeDeclHandler = lambda *told: None if told == _DOCTYPE else found.setdefault("another DOCTYPE")
    parser.ProcessingInstructionHandler = lambda target, _: found.setdefault(f"the instruction {target}")
    parser.EntityDeclHandler = lambda name, *_: found.setdefault(f"the entity {name}")
    try:
        parser.Parse(path.read_bytes(), True)
    except (expat.ExpatError, OSError, ValueError, LookupError) as error:
        found[f"no readable SVG ({error})"] = None
    for sheet in sheets:
        match = _SHEET.fullmatch(sheet)
        if match is None or not _draws("style", match[1]):
            found["more than a drawing in <style>"] = None
    return list(found)


def _short(name: str) -> str:
    return name.rpartition(" ")[2]


def _draws(attribute: str, value: str) -> bool:
    """Whether the value of an attribute does nothing but draw: it names nothing that lies elsewhere."""
    if attribute == "href":
        return re.fullmatch(_OWN, value) is not None
    if attribute == "style":
        names = (part.partition(":")[0].strip() for part in value.split(";") if part.strip())
        if not PROPERTIES.issuperset(names):
            return False
    rest = _FUNCTION.sub("", value)
    return not any(sign in rest for sign in "\\@()")
