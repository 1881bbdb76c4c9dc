"""Directories of PNG and JPEG images, one per class, read with Pillow."""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.memory import require_memory
from nnreg.errors import DataError
from nnreg.interfaces.source import Source
from nnreg.tables.categorical import Categorical
from nnreg.tables.table import Table

if TYPE_CHECKING:
    from PIL.Image import Image


FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
"""The format of a file by its suffix; Pillow tries no other."""

OTHERS = (".gif", ".bmp", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2", ".jfif")
"""Images that are refused: skipping them would silently drop data."""

MODES = {"1": 1, "L": 1, "I": 1, "I;16": 1, "LA": 2, "P": 3, "RGB": 3, "RGBA": 4}
"""The channels by Pillow's image mode."""

GRAY_16_BITS = ("I", "I;16")
"""The modes of 16-bit gray images: before Pillow 10.4, and since."""

CHANNELS = {"gray": 1, "rgb": 3, "rgba": 4}

HINT = "resize them, or put them in an HDF5 file, which may be larger than memory"

SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""The samples per pixel of each colour type of PNG (ISO/IEC 15948)."""


@dataclass(frozen=True)
class Images(Source):
    """A directory of PNG or JPEG images, one directory per class; needs the extra `images`.

    Install it with `pip install 'nnreg[images]'`. The column `image` has the shape `(height, width,
    channels)`; the column `label` has the names of the class directories, and is absent if the
    images are not in class directories. All images must have the same size. `color` converts them
    to `gray` (1 channel), `rgb` (3) or `rgba` (4). With `auto`, all must have the same channels:
    gray (1), gray and alpha (2), colour or palette (3), or colour and alpha (4). Values are 0 to
    255, or 0 to 65535 for 16-bit gray.

    Options:
        color: "gray", "rgb" or "rgba" to convert the images, "auto" to keep them as they are
    """

    suffixes = ("/",)

    color: Literal["auto", "gray", "rgb", "rgba"] = "auto"

    def read(self, path: Path) -> Table:
        files = self.files(path)
        if not files:
            raise DataError(f"{path}: no PNG or JPEG images, in it or in its directories")
        images = self._read(files)
        names = sorted({file.parent.name for file in files})
        columns: dict[str, Array | Categorical] = {"image": images}
        if path not in (files[0], files[0].parent):
            codes = np.array([names.index(file.parent.name) for file in files])
            columns["label"] = Categorical(tuple(names), codes)
        directory = path if path.is_dir() else path.parent
        row_names = [file.relative_to(directory).as_posix() for file in files]
        return Table(columns, str(path), row_names=row_names, missing_texts=())

    def files(self, path: Path) -> Sequence[Path]:
        """Return the images in the class directories, or in the directory itself, sorted.

        A path to an image is that image alone.
        """
        try:
            entries = sorted(path.iterdir())
        except NotADirectoryError as error:
            if image := _images([path]):
                return image
            raise DataError(
                f"{path}: not a directory; expected a directory of PNG or JPEG images"
            ) from error
        own = _images(entries)
        directories = [entry for entry in entries if entry.is_dir() and not _hidden(entry)]
        found = {directory: _images(sorted(directory.iterdir())) for directory in directories}
        nested = [image for images in found.values() for image in images]
        if own and nested:
            raise DataError(f"{own[0]}: an image beside class directories; move it into one")
        if nested:
            _require_images(found)
        _refuse_deeper(directories)
        return own or nested

    def _read(self, files: Sequence[Path]) -> Array:
        """Decode images; compare each header with the first before decoding."""
        shape, dtype = self._kind(_open(files[0]))
        size = len(files) * math.prod(shape) * dtype.itemsize
        where = f"{files[0].parent}, {len(files):,} images of {_described(shape, dtype)}"
        require_memory(size, where, HINT)
        decoded = np.empty((len(files), *shape), dtype)
        for index, file in enumerate(files):
            image = _open(file)
            kind = self._kind(image)
            if kind != (shape, dtype):
                raise DataError(
                    f"{file}: {_described(*kind)}, but {files[0]} is {_described(shape, dtype)}; "
                    "resize all to one size, or set the source's 'color' if they differ in channels"
                )
            decoded[index] = _coloured(_decode(file, image), self.color)
        return decoded

    def _kind(self, image: Image) -> tuple[Shape, np.dtype[Any]]:
        """Return the shape and type of an image's array, from its header."""
        channels = CHANNELS.get(self.color, MODES[image.mode])
        dtype = np.dtype(np.uint16 if image.mode in GRAY_16_BITS else np.uint8)
        return (image.height, image.width, channels), dtype


def _require_images(images: Mapping[Path, Sequence[Path]]) -> None:
    """Raise `DataError` for a class directory that has files, but no images."""
    for directory, found in images.items():
        if not found and any(not _hidden(entry) for entry in directory.iterdir()):
            raise DataError(
                f"{directory}: no PNG or JPEG images in this class directory; convert its images, "
                "or remove the directory"
            )


def _refuse_deeper(directories: Iterable[Path]) -> None:
    """Raise `DataError` for images in the directories of these, which are not read."""
    for directory in directories:
        for inner in sorted(directory.iterdir()):
            if (
                inner.is_dir()
                and not _hidden(inner)
                and (deeper := _images(sorted(inner.iterdir())))
            ):
                raise DataError(
                    f"{deeper[0]}: an image in a directory within a class directory; move it up, "
                    "or make its directory a class"
                )


def _images(entries: Iterable[Path]) -> list[Path]:
    """Return the images among entries. Raises `DataError` for one of another format."""
    images = []
    for entry in entries:
        suffix = entry.suffix.lower()
        if suffix in OTHERS:
            raise DataError(
                f"{entry}: not PNG or JPEG; convert the image, or remove it from the directory"
            )
        if suffix in FORMATS and not _hidden(entry):
            images.append(entry)
    return images


def _hidden(entry: Path) -> bool:
    return entry.name.startswith(".")


def _open(file: Path) -> Image:
    """Open an image and check its header and checksums. Raises `DataError`."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise DataError(
            f"{file}: reading images needs Pillow: pip install 'nnreg[images]'"
        ) from error
    data, name = file.read_bytes(), FORMATS[file.suffix.lower()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if name == "PNG":  # decoding ignores the checksums of the pixels
                Image.open(io.BytesIO(data), formats=(name,)).verify()
            image = Image.open(io.BytesIO(data), formats=(name,))
    except UnidentifiedImageError as error:  # its message has an object's address
        raise DataError(f"{file}: not a {name} image, or its header is damaged") from error
    except Exception as error:  # Pillow's decoders raise any exception
        raise DataError(f"{file}: cannot read the {name} image: {error}") from error
    if image.mode not in MODES:
        raise DataError(f"{file}: an image of mode {image.mode}; convert it to gray or RGB")
    if name == "PNG":
        try:
            _require_complete(data)
        except (ValueError, struct.error, zlib.error) as error:
            raise DataError(f"{file}: cannot read the PNG image: {error}") from error
    return image


def _require_complete(data: bytes) -> None:
    """Raise ValueError for a PNG that Pillow would read incompletely.

    Pillow leaves missing rows black, ignores the low bytes of 16-bit colours, and skips critical
    chunks that it does not support. `data` has passed `verify`.
    """
    header, width, height, depth, color, *_, interlaced = struct.unpack_from(">4sIIBBBBB", data, 12)
    if header != b"IHDR":
        raise ValueError("it does not begin with a header")
    if interlaced:
        raise ValueError("it is interlaced; save it without interlacing")
    if depth == 16 and color != 0:
        raise ValueError(
            "it has 16 bits per channel, which Pillow reads for gray images only; convert it to 8 "
            "bits, or put the images in an NPZ or HDF5 file"
        )
    position, name, compressed = 8, b"", []
    while name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, position)
        if name == b"IDAT":
            compressed.append(data[position + 8 : position + 8 + length])
        elif name[:1].isupper() and name not in (b"IHDR", b"PLTE", b"IEND"):
            raise ValueError(f"it has a critical chunk {name!r}, which is not supported")
        position += length + 12
    if position > len(data):
        raise ValueError("the file ends too early")
    size = height * (
        1 + -(-width * SAMPLES[color] * depth // 8)
    )  # each row begins with a filter byte
    if len(zlib.decompressobj().decompress(b"".join(compressed), size + 1)) != size:
        raise ValueError("it does not have as many pixels as it declares")


def _decode(file: Path, image: Image) -> Array:
    """Return the pixels `(height, width, channels)`. Raises `DataError`."""
    palette = image.palette.getdata()[1] if image.palette else b""
    try:
        image.load()
        values = np.asarray(image.convert("L") if image.mode == "1" else image)
    except Exception as error:  # Pillow's decoders raise any exception
        raise DataError(f"{file}: cannot decode the pixels: {error}") from error
    if image.mode == "P":
        colours: Array = np.frombuffer(palette[: len(palette) // 3 * 3], np.uint8).reshape(-1, 3)
        if values.max() >= len(colours):
            raise DataError(f"{file}: a pixel has a colour that is not in the palette")
        values = colours[values]
    return values if values.ndim == 3 else values[..., None]


def _coloured(values: Array, color: str) -> Array:
    """Convert images `(..., channels)` to a colour mode.

    Gray is 0.299 R + 0.587 G + 0.114 B, the luma of ITU-R BT.601, in integer 65536ths.
    """
    if color == "auto" or values.shape[-1] == CHANNELS[color]:
        return values
    has_color = values.shape[-1] > 2
    most = np.iinfo(values.dtype).max
    if color == "gray":
        if not has_color:
            return values[..., :1]
        weighted = values[..., :3] @ np.array([19595, 38470, 7471], np.uint32)
        gray: Array = ((weighted + 2**15) >> 16).astype(values.dtype)
        return gray[..., None]
    rgb = values[..., :3] if has_color else np.repeat(values[..., :1], 3, axis=-1)
    if color == "rgb":
        return rgb
    alpha = np.full_like(rgb[..., :1], most) if values.shape[-1] != 2 else values[..., 1:]
    return np.concatenate([rgb, alpha], axis=-1)


def _described(shape: Shape, dtype: np.dtype[Any]) -> str:
    height, width, channels = shape
    return f"{width} x {height} pixels of {channels} channels and {8 * dtype.itemsize} bits"
