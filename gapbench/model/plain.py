"""Text that comes from plugins, records and files, made safe to show: it stays text wherever it is written."""

from __future__ import annotations

import re

#: Characters that steer instead of showing something: controls (C0 without tab and newline, DEL, C1), marks and overrides
#: of the writing direction, line and paragraph separators, invisible characters, tags, and halves of surrogate pairs.
#: The joiners U+200C and U+200D stay: several scripts and many emoji need them.
STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)


def plain_text(text: str) -> str:
    r"""Replace each character that steers a terminal, an editor or a browser by a visible escape, such as ``\x1b``.

    Tabs and newlines stay; see `one_line`.
    """
    return STEERING.sub(_escaped, text)


def one_line(text: str) -> str:
    """Write text in one line: white space of any kind is one space, what steers is escaped (`plain_text`)."""
    return plain_text(" ".join(text.split()))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004
