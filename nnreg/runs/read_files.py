"""Reading the files of a run directory, which may have been made by someone else.

No link is followed, and nothing blocks (`regular_files`). A file that is missing is empty, because
a run writes them one after another; one that is not what nnreg writes is an error.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from nnreg._utils.json_text import with_numbers
from nnreg._utils.os_errors import os_errors_as
from nnreg._utils.regular_files import MAX_RECORDS_BYTES, read_regular
from nnreg.errors import UsageError

MAX_OBJECT_BYTES = 2**24
"""The most bytes of a file with one JSON object; a spec in a checkpoint has at most 2^22."""


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of a run; empty if there is no file.

    Raises `UsageError` for anything else.
    """
    text = read_text(path)
    try:
        value = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON: {error}; restore or remove the file") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}: not a JSON object; restore or remove the file")
    return value


def read_metrics(path: Path) -> dict[str, Any]:
    """Return the JSON object of a summary.json, with the metrics in it as numbers."""
    return {
        key: with_numbers(value) if isinstance(value, dict) and key != "verdict" else value
        for key, value in read_object(path).items()
    }


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON objects in the lines of a file of a run, without incomplete ones."""
    found = []
    for line in read_text(path, MAX_RECORDS_BYTES).split("\n"):
        with suppress(ValueError, RecursionError):
            found.append(json.loads(line))
    return [value for value in found if isinstance(value, dict)]


def read_text(path: Path, max_bytes: int = MAX_OBJECT_BYTES) -> str:
    """Return the text of a file of a run; empty if there is no file. Raises `UsageError`."""
    with os_errors_as(UsageError, path, "cannot read"):
        try:
            return read_regular(path, max_bytes).decode()
        except FileNotFoundError:
            return ""
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}: not text; restore or remove the file") from error
