"""The options of delimited text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import Annotated, Literal

from annotated_types import Ge, Len

from nnreg._utils import json_text
from nnreg.tables.cells import MISSING_TEXTS


@dataclass(frozen=True)
class Options:
    """How a file of delimited text is written; see `Csv`."""

    delimiter: Annotated[str, Len(1, 1)] = ","
    missing: tuple[str, ...] = MISSING_TEXTS
    encoding: str = "utf-8"
    decimal: Literal[".", ","] = "."
    comment: Annotated[str, Len(1)] | None = None
    skip_lines: Annotated[int, Ge(0)] = 0
    header: bool = True
    names: Annotated[tuple[str, ...], Len(1)] | None = None
    stream: Literal["auto"] | bool = "auto"

    def __post_init__(self) -> None:
        if self.delimiter in '\r\n"\0':
            raise ValueError("delimiter: must not be a quote or a line break")
        try:
            "".encode(self.encoding)
        except (LookupError, ValueError) as error:
            raise ValueError(f"encoding: {error}; expected one such as utf-8") from error
        if self.comment and self.comment[0] in f'{self.delimiter}\r\n"':
            raise ValueError("comment: must not begin with the delimiter, a quote or a line break")
        if self.names and self.header:
            raise ValueError(
                "names: the header line has the names; set header to false, and skip_lines to 1 "
                "to replace them"
            )
        if twice := [name for name, count in Counter(self.names or ()).items() if count > 1]:
            raise ValueError(f"names: {twice[0]!r} occurs twice")

    def changed(self, **changes: str | int) -> str:
        """Return the source as a spec has it, with an option changed."""
        given = {field.name: getattr(self, field.name) for field in fields(Options)}
        kept = {name: value for name, value in given.items() if value != getattr(Options, name)}
        return json_text.dumps({"type": "csv", **kept, **changes}, ensure_ascii=False)
