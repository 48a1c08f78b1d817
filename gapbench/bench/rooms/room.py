"""The host's side of a room: asking it, and telling what became of it."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from gapbench.bench.isolation import CellTimeout
from gapbench.bench.rooms.inside import KNOWN, METHODS, Hello, Job
from gapbench.bench.rooms.packing import parts_of, pickled, unfiled
from gapbench.bench.rooms.processes import start
from gapbench.bench.rooms.wire import Channel, Garbled, RoomEnded, TooLate
from gapbench.errors import AlignerError, DataError, GapbenchError, UndeclaredData
from gapbench.host.blame import Fault
from gapbench.host.provenance import as_imported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from gapbench.bench.fitdata import FitParts
    from gapbench.bench.rooms.processes import Forked, Interpreter
    from gapbench.components import Float32
    from gapbench.host.registry import Origin
    from gapbench.host.selection import Selected
    from gapbench.model.record import ParamValue


class Room:
    """A process for one aligner; a context that ends it.

    Parameters
    ----------
    selected, origins, sha256
        The aligner, all plugins of its distribution, and the hash of their code as the host has it.
    until
        When it must be done, on the monotonic clock; None: no limit.
    memory
        Largest number of bytes of its own that the process may hold; None: no limit.
    """

    def __init__(
        self,
        selected: Selected,
        origins: Sequence[Origin],
        sha256: str,
        *,
        until: float | None = None,
        memory: int | None = None,
    ) -> None:
        self.name = selected.name
        self.notes: dict[str, ParamValue] = {}
        self.printed = 0
        self.hashed = True
        self.methods: frozenset[str] = frozenset()
        self._selected = selected
        self._factory = unfiled(selected)
        self._hello = Hello(
            path=list(sys.path),
            environ=dict(os.environ),
            folder=_folder(),
            origins=tuple(origins),
            reference=selected.component.spec.factory,
            sha256="" if self._factory is not None else sha256,
            known=as_imported(),
            memory=memory,
        )
        self._until = until
        self._channel: Channel | None = None
        self._process: Forked | Interpreter | None = None
        self._apart = False

    def __enter__(self) -> Self:
        """Return it; the process starts with `fit`."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the process, whatever it does."""
        if self._channel is not None:
            if error[0] is None:
                with contextlib.suppress(RoomEnded, TooLate, Garbled, TypeError, KeyError, GapbenchError):
                    told = self._asked({"do": "end"})[0]
                    self.printed, self.hashed = int(told["printed"]), not told["unknown"]
            self._leave()

    def fit(self, parts: FitParts, rng: np.random.Generator) -> Room:
        """Build and fit the aligner on parts that its spec declares.

        Raises
        ------
        AlignerError, UndeclaredData, DataError, CellTimeout
            It could not be fitted.
        """
        job = Job(selected=self._selected, rng=rng, about=parts.about, factory=self._factory)
        self._process, connection = start(replace(self._hello, content=pickled(job, self.name)))
        self._channel = Channel(connection)
        answer, _ = self._asked({"do": "fit"}, parts=parts)
        try:
            self.methods = frozenset(answer["methods"]) & frozenset(METHODS)
            self.notes = {str(key): value for key, value in answer["notes"].items()}
        except (TypeError, KeyError, AttributeError) as error:
            raise self._garbled(error) from error
        return self

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Let a copy answer that has mapped nothing before, if the aligner is a plugin's and its process can be forked."""
        self._apart = True
        try:
            yield
        finally:
            self._apart = False

    def __getattr__(self, name: str) -> Callable[..., NDArray[Any]]:
        """Return a method of the fitted aligner, which runs in its room."""
        if name.startswith("_") or name not in self.methods:
            raise AttributeError(name)

        def call(*arguments: Any) -> NDArray[Any]:
            arrays = [argument for argument in arguments if isinstance(argument, np.ndarray)]
            more = [float(argument) for argument in arguments if not isinstance(argument, np.ndarray)]
            answer, out = self._asked({"do": name, "more": more, "apart": self._apart}, arrays)
            if "odd" in answer or len(out) != 1:
                what = answer.get("odd", "nothing")
                raise AlignerError(f"Aligner {self.name!r}: {name}() gave {what}; it must give floating-point numbers.")
            return out[0]

        return call

    def _asked(
        self, message: dict[str, Any], arrays: Sequence[Float32] = (), parts: FitParts | None = None
    ) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """Ask, hand over the parts that are asked for in return, and wait for the answer."""
        assert self._channel is not None
        try:
            self._channel.send(message, arrays)
            while True:
                answer, out = self._channel.receive(self._until)
                if not isinstance(answer, dict):
                    raise Garbled("no answer")
                if "part" not in answer or parts is None:
                    break
                self._hand_over(parts, str(answer["part"]))
        except RoomEnded as error:
            raise AlignerError(
                f"Aligner {self.name!r} ended its process in {message['do']}(): {self._end(hung_up=True)}."
            ) from error
        except TooLate as error:
            self._end(hung_up=False)
            raise CellTimeout(
                f"it was still in {message['do']}() when its time was up; its process was ended"
            ) from error
        except Garbled as error:
            raise self._garbled(error) from error
        if "error" in answer:
            raise self._error(answer["error"])
        return answer, out

    def _hand_over(self, parts: FitParts, name: str) -> None:
        assert self._channel is not None
        try:
            home, inner = parts.of(name)
            arrays = parts_of(home, inner)
        except (UndeclaredData, DataError) as error:
            self._channel.send({"error": [type(error).__name__, str(error)]})
        else:
            self._channel.send({}, arrays)

    def _error(self, told: Any) -> Exception:
        try:
            kind, text, place, traceback = (str(part) for part in told)
        except (TypeError, ValueError) as error:
            return self._garbled(error)
        raised: GapbenchError = AlignerError(f"Aligner {self.name!r} raised {Fault(text=text, place=place)}")
        if kind in KNOWN:
            raised = KNOWN[kind](text.partition(": ")[2])
        elif text.startswith("PluginError: "):
            raised = AlignerError(text.partition(": ")[2])
        raised.add_note(f"In the aligner's process:\n{traceback}")
        return raised

    def _garbled(self, error: Exception) -> AlignerError:
        return AlignerError(f"Aligner {self.name!r} sent what is no answer ({error}).")

    def _leave(self) -> None:
        """End the process without waiting for it."""
        if self._process is not None:
            assert self._channel is not None
            self._channel.close()
            self._process.leave()
            self._process, self._channel = None, None

    def _end(self, *, hung_up: bool) -> str:
        """End the process and say how it ended."""
        if self._process is None:
            return "it never began"
        if self._channel is not None:
            self._channel.close()
        process, self._process, self._channel = self._process, None, None
        return process.end(wait=hung_up)


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - as a string, whatever it is
    except FileNotFoundError:
        return "/"
