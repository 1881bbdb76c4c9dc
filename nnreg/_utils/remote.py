"""Files of other machines, by their address: `https://…`, `s3://…`; each is downloaded once."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nnreg._utils.extras import needed
from nnreg._utils.formatting import byte_size
from nnreg._utils.secret_text import START, reveal, reveal_path
from nnreg.errors import DataError

PROTOCOLS = ("https", "http", "s3", "gs", "gcs", "az", "abfs", "abfss", "memory")
"""Those that are read. Others of fsspec lead to local files, or run programs."""

BLOCK = 2**20

_ADDRESS = re.compile(r"([A-Za-z][\w+.-]*)://", re.ASCII)
_NOT_IN_NAMES = re.compile(r"[^\w.${}=%-]+")


class _Downloads:
    """The files that this process has downloaded, which are removed when it ends."""

    def __init__(self) -> None:
        self.directory: Path | None = None
        self.files: dict[str, Path] = {}

    def file(self, text: str) -> Path:
        if text not in self.files:
            if self.directory is None:
                self.directory = Path(tempfile.mkdtemp(prefix="nnreg-"))
                atexit.register(self.remove)
            self.files[text] = _download(text, self.directory / str(len(self.files)))
        return self.files[text]

    def remove(self) -> None:
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
        self.directory, self.files = None, {}


_DOWNLOADS = _Downloads()


def is_remote(text: str) -> bool:
    """Return True for an address, such as `https://example.org/data.csv`."""
    return _ADDRESS.match(text) is not None


def is_local(text: str) -> bool:
    """Return True for the name of a file here that does not begin with a secret."""
    return bool(text) and not text.startswith(START) and not is_remote(text)


def local_path(text: str, directory: Path) -> Path:
    """Return the path of a file: from `directory`, or of a copy of a file at an address.

    Secrets are replaced. Raises `DataError` if a file cannot be downloaded.
    """
    return _DOWNLOADS.file(text) if is_remote(text) else directory / reveal_path(text)


def _download(text: str, directory: Path) -> Path:
    """Copy a file to a directory. Its name there is that of the address, without its secrets."""
    protocol = text.split("://")[0].lower()
    if protocol not in PROTOCOLS or "::" in text:
        raise DataError(
            f"{text}: not an address that is read; expected one that begins with "
            f"{', '.join(f'{one}://' for one in PROTOCOLS[:-1])}"
        )
    address, part = reveal(text), urlsplit(text)
    names = [_NOT_IN_NAMES.sub("_", one) for one in (part.netloc, *part.path.split("/")) if one]
    target = directory.joinpath(*(one if one.strip(".") else "_" for one in names))
    with needed(text, "reading an address", "fsspec", "remote"):
        import fsspec
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with fsspec.open(address, "rb", compression=None) as source:
            _copy(source, target, text)
    except DataError:
        raise
    except Exception as error:  # each protocol has its own
        known = isinstance(error, ImportError) or address == text
        why = f"{type(error).__name__}: {error}" if known else type(error).__name__  # no secret
        why = why.splitlines()[0]
        raise DataError(f"{text}: cannot download the data: {why}") from None
    return target


def _copy(source: Any, target: Path, text: str) -> None:
    limit = shutil.disk_usage(target.parent).free // 2
    size = 0
    with target.open("wb") as file:
        while block := source.read(BLOCK):
            size += len(block)
            if size > limit:
                raise DataError(
                    f"{text}: more than {byte_size(limit)}, half of the free space in "
                    f"{tempfile.gettempdir()}; download it to another disk and name the file there"
                )
            file.write(block)
