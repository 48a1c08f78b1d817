"""Kinds of values that options take, with their limits.

Each kind reads the text of a command line (`parse`), checks what Python or a TOML file gives (`check`), and writes a value
as words of a command line (`words`). All three hold the same limits, and an `Unfit` says them in the same words.
"""

from __future__ import annotations

import operator
import os
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: The largest seed and number of images: what fits into 64 bits with a sign.
LARGEST = 2**63 - 1

#: The largest number of characters of a number.
LONGEST = 100

#: The largest number of bytes of a path, and of one of its parts.
MOST_BYTES, MOST_OF_PART = 1_000, 255

N = TypeVar("N", int, float)

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlist = _SHORT.maxtuple = 4


class Unfit(ValueError):  # noqa: N818 - the first words of a message
    """A value is not what an option takes; the message is what follows the option's name."""


def shown(value: object) -> str:
    """Write a value for a message: short, on one line, without control characters."""
    try:
        return " ".join(_SHORT.repr(value).split())
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "a number of thousands of digits"


def number(value: float) -> str:
    """Write a limit."""
    return "2^63 - 1" if value == LARGEST else f"{value:,}"


class Values:
    """What an option takes."""

    @property
    def limits(self) -> str:
        """The limits, as the help shows them."""
        return ""

    def parse(self, given: Any) -> Any:
        """Read what the command line found, which may be text."""
        return self.check(given)

    def check(self, value: object) -> Any:
        """Check a value.

        Raises
        ------
        Unfit
            Says what is taken instead.
        """
        raise NotImplementedError

    def words(self, flag: str, value: Any) -> list[str]:
        """Write a value as words of a command line."""
        return [flag, str(value)]


class Flag(Values):
    """Yes or no."""

    def check(self, value: object) -> bool:
        """Check a value."""
        if isinstance(value, bool):
            return value
        raise Unfit(f"must be true or false, not {shown(value)}")

    def words(self, flag: str, value: bool) -> list[str]:
        """Write it for a command line."""
        return [flag] if value else []


@dataclass(frozen=True, eq=False, repr=False)
class Text(Values):
    """Some characters, at most ``most``: not blank, and such that a file can hold them."""

    most: int = 4_096

    def check(self, value: object) -> str:
        """Check a value; a path object stands for its text."""
        value = os.fspath(value) if isinstance(value, os.PathLike) else value
        if not isinstance(value, str):
            raise Unfit(f"must be text, not {shown(value)}")
        if not value.strip():
            raise Unfit("is empty; give it a value, or leave it out")
        if len(value) > self.most:
            raise Unfit(f"must have at most {self.most:,} characters, not {len(value):,}")
        if "\0" in value:
            raise Unfit(f"must not hold the character NUL, as {shown(value)} does")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unfit(f"must be UTF-8, which {shown(value)} is not; rename what it stands for") from None
        return value


class File(Values):
    """A path, as text or as a path object, of a length that every file system takes."""

    def check(self, value: object) -> Path:
        """Check a value."""
        if not isinstance(value, str | os.PathLike):
            raise Unfit(f"must be a path, not {shown(value)}")
        path = Path(Text().check(value))
        if len(os.fsencode(path)) > MOST_BYTES or any(len(os.fsencode(part)) > MOST_OF_PART for part in path.parts):
            raise Unfit(f"must have at most {MOST_BYTES:,} bytes, and {MOST_OF_PART} in each of its parts")
        return path


@dataclass(frozen=True, eq=False, repr=False)
class Choice(Values):
    """One of some names."""

    names: tuple[str, ...]

    def check(self, value: object) -> str:
        """Check a value."""
        if isinstance(value, str) and value in self.names:
            return value
        from difflib import get_close_matches  # listing components must not wait for it

        close = get_close_matches(value[:100], self.names, n=1) if isinstance(value, str) else []
        hint = f". Did you mean {close[0]!r}?" if close else ""
        raise Unfit(f"must be one of {', '.join(self.names)}, not {shown(value)}{hint}")


@dataclass(frozen=True, eq=False, repr=False)
class Number(Values):
    """A whole number (``kind`` is int) or any finite one, from ``low`` to ``high``; ``what`` names it in messages."""

    kind: type[int | float]
    what: str
    low: float
    high: float

    @property
    def limits(self) -> str:
        """The range."""
        return f"{number(self.low)} to {number(self.high)}"

    def parse(self, text: str) -> Any:
        """Read the text of a command line."""
        found = _read(text, self.kind)
        return self.check(text if found is None else found)

    def check(self, value: object) -> Any:
        """Check a value; NumPy's numbers are fine, booleans are not."""
        found = whole(value) if self.kind is int else _real(value)
        if found is None or not self.low <= found <= self.high:  # not a number compares with nothing
            raise Unfit(f"must be {self.what} from {self.limits}, not {shown(value)}")
        return found


@dataclass(frozen=True, eq=False, repr=False)
class Many(Values):
    """Any number of texts or paths up to ``most``; on the command line the option is repeated."""

    item: Text | File
    most: int = 1_000

    def check(self, value: object) -> tuple[Any, ...]:
        """Check a value; one alone stands for a list of one."""
        if isinstance(value, str | os.PathLike):
            value = [value]
        return tuple(dict.fromkeys(self.item.check(one) for one in items(value, self.most)))

    def words(self, flag: str, value: Sequence[Any]) -> list[str]:
        """Write it for a command line."""
        return [word for one in value for word in self.item.words(flag, one)]


@dataclass(frozen=True, eq=False, repr=False)
class Numbers(Values):
    """Whole numbers from ``low`` to `LARGEST`, at most ``most`` of them, each once; or ``word``.

    Parameters
    ----------
    what, noun
        What the numbers are, in the plural, and in one word.
    example
        What to write on a command line.
    ranges
        Whether ``0:5`` stands for 0 to 4.
    alone
        Whether one number may stand for a list of one in Python and in a study file.
    """

    what: str
    noun: str
    example: str
    low: int
    most: int
    word: str = ""
    ranges: bool = False
    alone: bool = True

    @property
    def limits(self) -> str:
        """The largest number of them."""
        return f"up to {self.most:,} {self.noun}"

    def parse(self, text: str) -> tuple[Any, ...]:
        """Read the text of a command line; a range is counted before it is written out."""
        found: list[int | str] = []
        for part in text.split(","):
            found += self._part(part.strip(), text)
            if len(found) > self.most:
                raise Unfit(f"must be {self._wanted}")
        return self.check(found)

    def check(self, value: object) -> tuple[Any, ...]:
        """Check a value; NumPy's whole numbers are fine, booleans are not."""
        if whole(value) is not None or (self.word and isinstance(value, str) and value == self.word):
            if not self.alone:
                one = shown(value)
                raise Unfit(f"must be a list: [{one}] for the one number {one}, range({one}) for as many numbers")
            value = [value]
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            raise Unfit(f"must be a list of {self._wanted}, such as [1, 3], not {shown(value)}")
        found = [self._one(one) for one in items(value, self.most)]
        if not found:
            raise Unfit(f"is empty; it must be {self._wanted}")
        return tuple(dict.fromkeys(found))

    def words(self, flag: str, value: Sequence[int | str]) -> list[str]:
        """Write it for a command line; numbers in a row as a range."""
        if self.ranges and len(value) > 1:
            first = int(value[0])
            if all(one == first + step for step, one in enumerate(value)):
                return [flag, f"{first}:{first + len(value)}"]
        return [flag, ",".join(map(str, value))]

    @property
    def _wanted(self) -> str:
        word = f", or {self.word!r}" if self.word else ""
        return f"{self.what} from {number(self.low)} to {number(LARGEST)}{word}, {self.limits}"

    def _part(self, part: str, text: str) -> Sequence[int | str]:
        if self.word and part == self.word:
            return [part]
        begin, colon, end = part.partition(":")
        first, last = _read(begin, int), _read(end, int)
        if first is None or (colon and (last is None or not self.ranges)):
            raise Unfit(f"must be {self._wanted}, not {shown(text)}; write {self.example}")
        if last is None:
            return [first]
        if last <= first:
            raise Unfit(f"has the empty range {part}; write {self.example}")
        if last - first > self.most:
            raise Unfit(f"must be {self._wanted}")
        return range(first, last)

    def _one(self, value: object) -> int | str:
        if self.word and isinstance(value, str) and value == self.word:
            return self.word
        if (found := whole(value)) is None or not self.low <= found <= LARGEST:
            raise Unfit(f"must be {self._wanted}, not {shown(value)}")
        return found


def _read(text: str, kind: Callable[[str], N]) -> N | None:
    """Read a number; Python would also read digits of other scripts, underscores between digits, and thousands of digits."""
    if len(text) > LONGEST or not text.isascii() or "_" in text:
        return None
    try:
        return kind(text)
    except ValueError:
        return None


def whole(value: object) -> int | None:
    """Return a whole number of Python or NumPy; None for anything else, booleans too."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]  # it says itself whether it is one
    except TypeError:
        return None


def _real(value: object) -> float | None:
    """Return a number of Python or NumPy; None for anything else, booleans and texts too."""
    if isinstance(value, bool | str | bytes):
        return None
    try:
        return float(value)  # type: ignore[arg-type]  # it says itself whether it is one
    except (TypeError, ValueError, OverflowError):
        return None


def items(value: object, most: int) -> Iterator[object]:
    """Walk over a list, or whatever can be walked over, up to its limit."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise Unfit(f"must be a list, not {shown(value)}")
    for count, one in enumerate(value):
        if count == most:
            raise Unfit(f"must be a list of at most {most:,}")
        yield one
