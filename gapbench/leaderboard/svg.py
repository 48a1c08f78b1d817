"""Whether a drawing is nothing but a drawing: no scripts, no handlers, nothing from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.parsers import expat

if TYPE_CHECKING:
    from pathlib import Path

#: Elements that run, load or animate something.
ACTIVE = frozenset(
    {
        "script", "handler", "listener", "foreignobject", "iframe", "object", "embed", "audio", "video", "a", "animate",
        "animatemotion", "animatetransform", "set", "discard", "feimage",
    }
)  # fmt: skip

#: Attributes that name something to load; a name within the drawing, or a picture in the file itself, is none.
LINKS = frozenset({"href", "src", "action", "formaction", "data"})
OWN = ("#", "data:image/png;base64,", "data:image/jpeg;base64,")


def active_parts(path: Path) -> list[str]:
    """Name what a drawing has besides lines, text and pictures; of what is no SVG at all, say so."""
    found: dict[str, None] = {}

    def start(name: str, attributes: dict[str, str]) -> None:
        element = name.rpartition(":")[2].lower()
        if element in ACTIVE:
            found[f"<{element}>"] = None
        for key, value in attributes.items():
            attribute = key.rpartition(":")[2].lower()
            if attribute.startswith("on"):
                found[f"the handler {attribute}"] = None
            elif (attribute in LINKS and not value.strip().lower().startswith(OWN)) or _loads(value):
                found[f"a reference to elsewhere in {attribute}"] = None

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.CharacterDataHandler = lambda text: found.setdefault("a style from elsewhere") if _loads(text) else None
    parser.ProcessingInstructionHandler = lambda target, _: found.setdefault(f"the instruction {target}")
    parser.EntityDeclHandler = lambda name, *_: found.setdefault(f"the entity {name}")
    try:
        parser.Parse(path.read_bytes(), True)
    except (expat.ExpatError, OSError, ValueError, LookupError) as error:
        found[f"no readable SVG ({error})"] = None
    return list(found)


def _loads(text: str) -> bool:
    """Whether a style, or a script's address, reaches beyond the file."""
    plain = "".join(text.split()).lower()
    if "@import" in plain or "javascript:" in plain or "expression(" in plain:
        return True
    return any(not part.lstrip("'\"").startswith("#") for part in plain.split("url(")[1:])
