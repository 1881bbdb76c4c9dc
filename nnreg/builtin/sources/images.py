"""Folders of PNG images, a folder a class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg._utils.memory import memory_limit
from nnreg.builtin.sources.png import Png, PngError, parse, pixels
from nnreg.errors import DataError
from nnreg.interfaces.source import Source
from nnreg.tables.categorical import Categorical
from nnreg.tables.table import Table

BATCH = 2**22
"""The bytes of images that are decoded at once, about."""

OTHERS = (".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")
"""Images that are refused, because to pass over them would be to train on a part of the data."""

CHANNELS = {"gray": 1, "rgb": 3, "rgba": 4}


Loaded: TypeAlias = tuple[Path, Png, Array]
"""A file, what it says of its image, and the lines of that."""


@dataclass(frozen=True)
class Images(Source):
    """A folder of PNG images, with a folder in it for each class.

    The images become the column `image` of shape `(height, width, channels)`, the names of their
    folders `label`; images that are in no folder of their own have no `label`. All must be of one
    size. `color` turns them into `gray` (1 channel), `rgb` (3) or `rgba` (4); without it, they
    must be of one kind: gray (1), gray and alpha (2), colours or a palette (3), or these and alpha
    (4). Values go up to 255, or 65535 where a file has 16 bits.
    """

    suffixes = ("/",)

    color: Literal["auto", "gray", "rgb", "rgba"] = "auto"

    def read(self, path: Path) -> Table:
        files = self.files(path)
        if not files:
            raise DataError(f"{path}: no PNG images, in it or in folders in it")
        images = self._read(files)
        names = sorted({file.parent.name for file in files})
        columns: dict[str, Array | Categorical] = {"image": images}
        if path not in (files[0], files[0].parent):
            codes = np.array([names.index(file.parent.name) for file in files])
            columns["label"] = Categorical(tuple(names), codes)
        folder = path if path.is_dir() else path.parent
        called = [file.relative_to(folder).as_posix() for file in files]
        return Table(columns, str(path), names=called)

    def files(self, path: Path) -> Sequence[Path]:
        """Return the images in the folders of classes, or in the folder itself, in order.

        A path that is an image is that one.
        """
        try:
            entries = sorted(path.iterdir())
        except NotADirectoryError as error:
            if image := _images([path]):
                return image
            raise DataError(f"{path}: not a folder; expected one of PNG images") from error
        own = _images(entries)
        folders = [entry for entry in entries if entry.is_dir() and not _hidden(entry)]
        nested = [image for folder in folders for image in _images(sorted(folder.iterdir()))]
        if own and nested:
            raise DataError(f"{own[0]}: an image beside folders of classes; move it into one")
        return own or nested

    def _read(self, files: Sequence[Path]) -> Array:
        """Decode images, many of the same kind at a time."""
        first, decoded = files[0], None
        for place, batch in _batches(files):
            file, png, _ = batch[0]
            try:
                values = pixels(png, np.stack([lines for _, _, lines in batch]))
            except PngError as error:
                raise DataError(f"{file}: {error}") from error
            values = _coloured(values, self.color)
            if decoded is None:
                _require_memory(file, len(files), values)
                decoded = np.empty((len(files), *values.shape[1:]), values.dtype)
            if values.shape[1:] != decoded.shape[1:] or values.dtype != decoded.dtype:
                raise DataError(
                    f"{file}: {_kind(values)}, but {first} is {_kind(decoded)}; make all of one "
                    "size, and set the source's 'color' where they differ in channels"
                )
            decoded[place : place + len(batch)] = values
        assert decoded is not None  # there is a file
        return decoded


def _images(entries: Iterable[Path]) -> list[Path]:
    """Return the PNG files of a folder. Raises `DataError` for an image of another format."""
    images = []
    for entry in entries:
        if entry.suffix.lower() in OTHERS:
            raise DataError(f"{entry}: not a PNG; convert the images, or take it out of the folder")
        if entry.suffix.lower() == ".png" and not _hidden(entry):
            images.append(entry)
    return images


def _hidden(entry: Path) -> bool:
    return entry.name.startswith(".")


def _batches(files: Sequence[Path]) -> Iterator[tuple[int, list[Loaded]]]:
    """Yield images of the same kind that follow each other, with the place of the first.

    Those with a palette come one by one.
    """
    batch: list[Loaded] = []
    for place, file in enumerate(files):
        try:
            png = parse(file.read_bytes())
            lines = png.inflate()
        except PngError as error:
            raise DataError(f"{file}: {error}") from error
        if batch:
            before = batch[0][1]
            alike = (png.shape, png.depth, png.kind) == (before.shape, before.depth, before.kind)
            if not alike or png.palette is not None or len(batch) * png.inflated > BATCH:
                yield place - len(batch), batch
                batch = []
        batch.append((file, png, lines))
    yield len(files) - len(batch), batch


def _require_memory(file: Path, count: int, values: Array) -> None:
    """Refuse what half of the memory cannot hold."""
    size, limit = count * values[0].nbytes, memory_limit()
    if limit is not None and size > limit / 2:
        raise DataError(
            f"{file}: {count:,} images of this size take {size / 1e9:.1f} GB; make them smaller, "
            "or put them in an HDF5 file, which may be larger than memory"
        )


def _coloured(values: Array, color: str) -> Array:
    """Turn images `(..., channels)` into gray or colours.

    Gray is 0.299 R + 0.587 G + 0.114 B, the luma of ITU-R BT.601, in whole 65536ths.
    """
    if color == "auto" or values.shape[-1] == CHANNELS[color]:
        return values
    many = values.shape[-1] > 2
    most = np.iinfo(values.dtype).max
    if color == "gray":
        if not many:
            return values[..., :1]
        weighted = values[..., :3] @ np.array([19595, 38470, 7471], np.uint32)
        gray: Array = ((weighted + 2**15) >> 16).astype(values.dtype)
        return gray[..., None]
    rgb = values[..., :3] if many else np.repeat(values[..., :1], 3, axis=-1)
    if color == "rgb":
        return rgb
    alpha = np.full_like(rgb[..., :1], most) if values.shape[-1] != 2 else values[..., 1:]
    return np.concatenate([rgb, alpha], axis=-1)


def _kind(values: Array) -> str:
    _, height, width, channels = values.shape
    return f"{width} x {height} pixels of {channels} channels and {8 * values.itemsize} bits"
