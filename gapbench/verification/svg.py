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
_STYLE = f"{_SVG} style"

#: Elements with their attributes, each named as expat does it: namespace, space, name.
ELEMENTS: Mapping[str, frozenset[str]] = {
    f"{_SVG} svg": frozenset({"height", "version", "viewBox", "width"}),
    f"{_SVG} metadata": frozenset(),
    f"{_SVG} defs": frozenset(),
    _STYLE: frozenset({"type"}),
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
    reader = _Reader()
    try:
        reader.parser.Parse(path.read_bytes(), True)
    except (expat.ExpatError, OSError, ValueError, LookupError) as error:
        reader.tell(f"no readable SVG ({error})")
    for sheet in reader.sheets:
        match = _SHEET.fullmatch(sheet)
        if match is None or not _draws("style", match[1]):
            reader.tell("more than a drawing in <style>")
    return list(reader.found)


class _Reader:
    """Notes what is on none of the lists, and the texts of style sheets."""

    def __init__(self) -> None:
        self.found: dict[str, None] = {}
        self.sheets: list[str] = []
        self._open: list[str] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = lambda _: self._open.pop()
        self.parser.CharacterDataHandler = self.text
        self.parser.XmlDeclHandler = self.declaration
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.ProcessingInstructionHandler = lambda target, _: self.tell(f"the instruction {target}")
        self.parser.EntityDeclHandler = lambda name, *_: self.tell(f"the entity {name}")

    def tell(self, what: str) -> None:
        self.found[what] = None

    def declaration(self, _: str, encoding: str | None, __: int) -> None:
        if (encoding or "utf-8").lower() != "utf-8":
            self.tell(f"the encoding {encoding}")

    def doctype(self, *told: object) -> None:
        if told != _DOCTYPE:
            self.tell("another DOCTYPE")

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._open.append(name)
        if name == _STYLE:
            self.sheets.append("")
        if name not in ELEMENTS:
            self.tell(f"<{_short(name)}>")
            return
        for key, value in attributes.items():
            if key not in ELEMENTS[name]:
                self.tell(f"the attribute {_short(key)}")
            elif not _draws(_short(key), value):
                self.tell(f"more than a drawing in {_short(key)}")

    def text(self, part: str) -> None:
        if self._open[-1] == _STYLE:
            self.sheets[-1] += part  # a text comes in pieces


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
