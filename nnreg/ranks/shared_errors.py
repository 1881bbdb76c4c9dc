"""Errors of one rank that all ranks raise."""

from __future__ import annotations

import pickle
import socket
import traceback
from dataclasses import dataclass

from nnreg.errors import DivergedError, NnregError


@dataclass(frozen=True)
class SharedError:
    """The error of a rank as it is sent to others: pickled, and as text."""

    rank: int
    pickled: bytes
    lines: tuple[str, ...]
    trace: str
    host: str


def packed(error: BaseException | None, rank: int) -> SharedError | None:
    """Return an error in the form in which it is sent."""
    if error is None:
        return None
    lines = error.lines if isinstance(error, NnregError) else (f"{type(error).__name__}: {error}",)
    try:
        pickled = pickle.dumps(error)
        pickle.loads(pickled)
    except Exception:  # whatever the methods of its class raise: the text is left
        pickled = b""
    trace = "".join(traceback.format_exception(error))
    return SharedError(rank, pickled, lines, trace, socket.gethostname())


def unpacked(shared: SharedError) -> BaseException:
    """Return the error of another rank, which its first line names unless all would have it."""
    rank = shared.rank
    error: BaseException = NnregError(*shared.lines)
    if shared.pickled:
        error = pickle.loads(shared.pickled)
    if (
        rank
        and type(error).__init__ is NnregError.__init__
        and not isinstance(error, DivergedError)
    ):
        first, *others = shared.lines
        error.args = (f"rank {rank} on {shared.host}: {first}", *others)
    error.add_note(f"raised by rank {rank} on {shared.host}:\n{shared.trace}")
    return error
