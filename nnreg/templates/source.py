"""The data source my_component for nnreg."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Gt
from nnreg import DataError, Source, Table, hookimpl


@dataclass(frozen=True)
class MyComponent(Source):
    """JSON Lines: one JSON object per line, with a number, text or null for each column.

    Options:
        limit: number of lines to read, > 0; null for all
    """

    suffixes = (".jsonl",)

    limit: Annotated[int, Gt(0)] | None = None

    @classmethod
    def examples(cls) -> list[tuple["MyComponent", bytes]]:
        """Return instances for the checks, each with the content of a file that it reads."""
        return [(cls(), b'{"length": 1.5, "colour": "red"}\n{"length": null, "colour": "blue"}\n')]

    def read(self, path: Path) -> Table:
        """Return the columns: text, or None for missing values. nnreg detects numeric columns."""
        rows = list(self._rows(path))
        if not rows:
            raise DataError(f"{path}: no lines; expected one JSON object per line")
        columns = {}
        for name in rows[0]:
            columns[name] = np.array([_text(row[name]) for row in rows], dtype=object)
        return Table(columns, str(path))

    def _rows(self, path: Path) -> Iterator[dict[str, Any]]:
        names = None
        for number, line in enumerate(path.read_bytes().splitlines()[: self.limit], 1):
            where = f"{path}, line {number}"
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f"{where}: not JSON: {error}") from error
            if not isinstance(row, dict) or not row:
                raise DataError(f"{where}: not a JSON object with columns")
            names = row.keys() if names is None else names
            if row.keys() != names:
                raise DataError(f"{where}: columns {list(row)}; the first line has {list(names)}")
            yield row


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


@hookimpl
def nnreg_sources() -> dict[str, type[Source]]:
    """Return what this plugin provides, by the name a spec uses."""
    return {"my_component": MyComponent}
