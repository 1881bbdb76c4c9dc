"""Images in files: directories of classes, and tables with a column of file names."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Interval

from nnreg._types import Array
from nnreg._utils.memory import exceeds_memory, require_memory
from nnreg.builtin.sources.delimited import Csv
from nnreg.builtin.sources.image_files import (
    FORMATS,
    MAX_PIXELS,
    Color,
    Fit,
    ImageDecoder,
    ImageFiles,
    Interpolation,
    described,
)
from nnreg.builtin.sources.image_names import NamedImages, require_inner
from nnreg.errors import DataError
from nnreg.interfaces.component import Count
from nnreg.interfaces.source import Source
from nnreg.tables.categorical import Categorical
from nnreg.tables.lazy import AnyColumn, LazyArray
from nnreg.tables.table import Table

OTHERS = (".heic", ".heif", ".avif", ".jp2", ".jxl")
"""Images that are refused: skipping them would silently drop data."""

IMAGE = "image"
"""The name of the column of images."""

SPLITS = ("train", "training", "val", "valid", "validation", "dev", "test", "testing")
"""Names of directories that hold a split of the data, each with directories of classes."""

HINT = 'set the source\'s "size" to a smaller one'


@dataclass(frozen=True)
class Images(Source):
    """A directory of images, one directory per class, or a table of file names; needs `images`.

    Install that extra with `pip install 'nnreg[images]'`. PNG, JPEG, WebP, GIF, BMP and TIFF are
    read, of the latter and of animations the first image. They are turned as their EXIF data say.
    The column `image` has the shape `(height, width, channels)` and values of 0 to 255, or 0 to
    65535 for 16-bit gray.

    Of a directory, the column `label` has the names of the class directories, and is absent if the
    images are not in class directories. Of a table, the column of file names becomes `image`, and
    the others stay; the files must be in the table's directory or below.

    All images must have the same size, or `size` resizes them: "stretch" changes their proportions,
    "crop" keeps the middle of them, "pad" adds black. All must have the same channels: gray (1),
    gray and alpha (2), colour, palette or CMYK (3), or colour and alpha (4); or `color` converts
    them to `gray` (1), `rgb` (3) or `rgba` (4).

    Images that would take more than a fifth of the memory in float64 stay in their files, and are
    decoded when they are needed.

    Options:
        color: "gray", "rgb" or "rgba" to convert the images, "auto" to keep them as they are.
        size: [height, width] to resize the images to, or null to keep their size.
        fit: What happens to other proportions: "stretch", "crop" or "pad".
        interpolation: How pixels are averaged: "bilinear", "bicubic" or "lanczos", antialiased, or
            "nearest" for none.
        max_pixels: The most pixels of an image; a larger one is refused before it is decoded.
        stream: Whether images stay in their files; "auto" decides by their size.
        table: How a table of file names is read.
        file_column: The column of file names; null for the first one whose texts end as those of
            images do.
        directory: A directory beside the table that the names are relative to; null for the
            table's own.
    """

    suffixes = ("/",)

    color: Color = "auto"
    size: tuple[Count, Count] | None = None
    fit: Fit = "stretch"
    interpolation: Interpolation = "bilinear"
    max_pixels: Annotated[int, Interval(ge=1, le=2 * MAX_PIXELS)] = MAX_PIXELS
    stream: Literal["auto"] | bool = "auto"
    table: Source = Csv()
    file_column: str | None = None
    directory: str | None = None

    def __post_init__(self) -> None:
        if self.directory is not None:
            require_inner(self.directory, "directory")

    def read(self, path: Path) -> Table:
        return next(self.iter_chunks(path))

    def iter_chunks(self, path: Path, text: Collection[str] = ()) -> Iterator[Table]:
        if self._is_table(path):
            names = self._names(path, text)
            table = self._table_of_names(names)
            names.warn_of_others(path)
            yield table
        else:
            yield self._table_of_directory(path)

    def files(self, path: Path) -> Sequence[Path]:
        """Return the images in the class directories, or in the directory itself, sorted.

        Those of a table are its own file and the images that it names. A path to an image is that
        image alone.
        """
        if self._is_table(path):
            return (path, *sorted(set(self._names(path).files)))
        return _found(path)

    @property
    def decoder(self) -> ImageDecoder:
        """What decodes each image."""
        return ImageDecoder(self.color, self.size, self.fit, self.interpolation, self.max_pixels)

    def _is_table(self, path: Path) -> bool:
        name = path.name.lower().removesuffix(".gz")
        return name.endswith(type(self.table).suffixes) and path.is_file()

    def _names(self, path: Path, text: Collection[str] = ()) -> NamedImages:
        return NamedImages.read(self.table, path, text, self.file_column, self.directory)

    def _table_of_names(self, names: NamedImages) -> Table:
        columns: dict[str, AnyColumn] = {}
        for name, column in names.table.columns.items():
            if name == names.column:
                columns[IMAGE] = self._read(names.files, names.table.origin)
            elif name == IMAGE:
                raise DataError(
                    f"{names.table.origin}: column {IMAGE!r} is not that of the file names, "
                    f"{names.column!r}, which gets this name; rename it"
                )
            else:
                columns[name] = column
        return replace(names.table, columns=columns, row_names=names.names)

    def _table_of_directory(self, path: Path) -> Table:
        files = _found(path)
        if not files:
            raise DataError(f"{path}: no images, in it or in its directories")
        columns: dict[str, AnyColumn] = {IMAGE: self._read(files, str(files[0].parent))}
        if path not in (files[0], files[0].parent):
            labels = [file.relative_to(path).parts[0] for file in files]
            names = sorted(set(labels))
            columns["label"] = Categorical(tuple(names), np.array([*map(names.index, labels)]))
        directory = path if path.is_dir() else path.parent
        row_names = [file.relative_to(directory).as_posix() for file in files]
        return Table(columns, str(path), row_names=row_names, missing_texts=())

    def _read(self, files: Sequence[Path], origin: str) -> Array | LazyArray:
        """Return the images, decoded now or when they are needed, but checked now."""
        size = self.size
        decoder = self.decoder
        if size is not None:  # before the first one is resized
            require_memory(4 * math.prod(size), f"{origin}, one image", HINT)
        with warnings.catch_warnings(), closing(decoder.decode_all(files)) as images:
            warnings.filterwarnings("ignore", "Image size .* exceeds limit")  # `max_pixels` is one
            first = next(images)
            lazy = ImageFiles(files, decoder, first).lazy()
            stays = self.stream
            if stays == "auto":
                stays = exceeds_memory(8 * len(files) * first.size, 1 / 5)
            rows = min(2 * lazy.chunk_rows(), len(files)) if stays else len(files)
            where = f"{origin}, {rows:,} images of {described(first.shape, first.dtype)}"
            require_memory(rows * first.nbytes, where, HINT)
            decoded = np.empty((0 if stays else len(files), *first.shape), first.dtype)
            for index, image in enumerate(itertools.chain([first], images)):
                if not stays:  # else it is only checked
                    decoded[index] = image
        return lazy if stays else decoded


def _found(path: Path) -> Sequence[Path]:
    """Return the images of a directory, or that at the path; see `Images.files`."""
    try:
        entries = sorted(path.iterdir())
    except NotADirectoryError as error:
        if image := _images([path]):
            return image
        raise DataError(
            f"{path}: not a directory; expected a directory of images, or a table of their names"
        ) from error
    own = _images(entries)
    directories = [entry for entry in entries if entry.is_dir() and not _hidden(entry)]
    found = {directory: _images_below(directory) for directory in directories}
    nested = [image for images in found.values() for image in images]
    if own and nested:
        raise DataError(f"{own[0]}: an image beside class directories; move it into one")
    if nested:
        _require_images(found)
        _require_classes(found)
    return own or nested


def _images_below(directory: Path) -> list[Path]:
    """Return the images in a directory and in those below it, in order."""
    entries = sorted(directory.iterdir())
    images = _images(entries)
    for entry in entries:
        if entry.is_dir() and not _hidden(entry):
            if entry.is_symlink():  # which may lead to a directory above
                raise DataError(f"{entry}: a link to a directory; move the directory here")
            images += _images_below(entry)
    return sorted(images)


def _require_images(images: Mapping[Path, Sequence[Path]]) -> None:
    """Raise `DataError` for a class directory that has files, but no images."""
    for directory, found in images.items():
        if not found and any(not _hidden(entry) for entry in directory.iterdir()):
            raise DataError(
                f"{directory}: no images in this class directory; convert its images, or remove "
                "the directory"
            )


def _require_classes(images: Mapping[Path, Sequence[Path]]) -> None:
    """Raise `DataError` for directories of splits, in which those of the classes are."""
    filled = {directory: found for directory, found in images.items() if found}
    if all(directory.name.lower() in SPLITS for directory in filled) and any(
        file.parent not in filled for found in filled.values() for file in found
    ):
        first, *others = filled
        more = f", and {others[0]} to data.split" if others else ""
        raise DataError(
            f"{first}: its name is that of a split, and its directories look like classes; set "
            f"data.path to it{more}"
        )


def _images(entries: Iterable[Path]) -> list[Path]:
    """Return the images among entries. Raises `DataError` for one of another format."""
    images = []
    for entry in entries:
        suffix = entry.suffix.lower()
        if suffix in OTHERS:
            raise DataError(
                f"{entry}: not a format that is read, such as PNG or JPEG; convert the image, or "
                "remove it from the directory"
            )
        if suffix in FORMATS and not _hidden(entry) and not entry.is_dir():
            images.append(entry)
    return images


def _hidden(entry: Path) -> bool:
    return entry.name.startswith(".")
