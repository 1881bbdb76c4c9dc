"""What a request may ask of the server, and the errors of those that ask for more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

MAX_PROBLEMS = 20
"""The most problems of rows in an answer."""


@dataclass(frozen=True)
class Limits:
    """The largest body in bytes, the most rows, and the longest time of a request in seconds.

    `waiting` is the number of connections at a time.
    """

    body: int = 2**23
    rows: int = 10_000
    seconds: float = 30.0
    waiting: int = 200


class RequestError(Exception):
    """A request that gets no prediction: the status of HTTP, what is wrong, and in which rows."""

    def __init__(
        self, status: int, message: str, problems: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.problems = status, message, problems

    @property
    def content(self) -> dict[str, Any]:
        """The JSON of the answer."""
        return {"error": self.message, **({"problems": [*self.problems]} if self.problems else {})}


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body. Raises `RequestError` as soon as it is longer than the limit."""
    too_long = RequestError(413, f"the body has more than {limit:,} bytes; ask for fewer rows")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise too_long
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_long
    return bytes(body)
