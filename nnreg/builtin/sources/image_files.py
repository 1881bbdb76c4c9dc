"""Image files as arrays, decoded with Pillow."""

from __future__ import annotations

import io
import os
import struct
import threading
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.extras import needed
from nnreg._utils.memory import require_memory
from nnreg._utils.os_errors import explain_os_error
from nnreg._utils.threads import CallerExecutor, start_threads
from nnreg.errors import DataError
from nnreg.tables.lazy import LazyArray

if TYPE_CHECKING:
    from PIL.Image import Image, Resampling

Color: TypeAlias = Literal["auto", "gray", "rgb", "rgba"]
Fit: TypeAlias = Literal["stretch", "crop", "pad"]
Interpolation: TypeAlias = Literal["bilinear", "bicubic", "lanczos", "nearest"]

FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""The format of a file by its suffix; Pillow tries no other."""

GRAY_16_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")
"""The modes of 16-bit gray images; "I" is that of a PNG before Pillow 10.4."""

CONVERTED = {"1": "L", "PA": "RGBA", "CMYK": "RGB", "YCbCr": "RGB", "RGBX": "RGB"}
"""The mode to which Pillow converts an image of another one."""

MODES = ("L", "LA", "P", "RGB", "RGBA", *GRAY_16_BITS, *CONVERTED)

CHANNELS = {"gray": 1, "rgb": 3, "rgba": 4}

SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""The samples per pixel of each colour type of PNG (ISO/IEC 15948)."""

WHOLE = ((0, 0, 1, 1),)
INTERLACED = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
)  # fmt: skip
"""The first column and row of each pass of a PNG, and the steps between them."""

ROTATIONS = (b"eXIf", b"Raw profile type exif")
"""What a PNG has if its data may say that it is rotated; to find out is to decode it."""

ORIENTATION = 0x0112
"""The EXIF tag that says how an image is turned: 1 if it is upright, above 4 if on its side."""

MAX_PIXELS = 89_478_485
"""The most pixels of an image, by default as in Pillow, which refuses twice as many itself."""

THREADS = 4
GROUP = 32
"""How many images are decoded ahead of use."""

LARGE = 2**24
"""The pixels above which only one image is decoded at a time, for the memory that it takes."""

_one_large = threading.Lock()


@dataclass(frozen=True)
class ImageDecoder:
    """Decodes image files to arrays `(height, width, channels)`; see `Images` for the options."""

    color: Color
    size: tuple[int, int] | None
    fit: Fit
    interpolation: Interpolation
    max_pixels: int

    def decode_all(self, files: Sequence[Path]) -> Generator[Array, None, None]:
        """Yield the array of each file, decoded in threads. Raises `DataError` if they differ.

        The first error is that of the first file that has one.
        """
        first = self.decode(files[0])
        yield first
        others = files[1:]

        def like_first(file: Path) -> Array:
            return self.decode(file, first, files[0])

        if len(others) < 2:  # threads would cost more
            yield from map(like_first, others)
            return
        threads = min(os.cpu_count() or 1, THREADS)
        with start_threads(threads, "nnreg-images") or CallerExecutor() as pool:
            for start in range(0, len(others), GROUP):
                yield from pool.map(like_first, others[start : start + GROUP])

    def declared(self, file: Path) -> Shape:
        """Return the height, width and channels that the header of an image declares.

        Raises `DataError` for one that cannot be read.
        """
        image = self._open(file, self._bytes(file))
        turned = image.format == "JPEG" and image.getexif().get(ORIENTATION, 1) > 4
        sides = (image.width, image.height) if turned else (image.height, image.width)
        mode = CONVERTED.get(image.mode, image.mode)
        return (*sides, {"LA": 2, "P": 3, "RGB": 3, "RGBA": 4}.get(mode, 1))

    def decode(self, file: Path, first: Array | None = None, origin: Path | None = None) -> Array:
        """Return the pixels of an image. Raises `DataError` for one that cannot be read.

        If the `first` one, of the file `origin`, is given, so does one of another size or type; of
        another size, before it is decoded.
        """
        data = self._bytes(file)
        image = self._open(file, data)
        if first is not None and self.size is None:
            sides = image.height, image.width
            if sorted(sides) != sorted(first.shape[:2]):
                self._refuse(file, (*sides, first.shape[2]), first.dtype, first, origin)
        self._require_whole(file, data, image)
        large = image.width * image.height > LARGE
        if large:
            require_memory(8 * image.width * image.height, f"{file}, decoded", "resize it")
        with _one_large if large else nullcontext():
            values = self._resized(_coloured(_values(file, data, image), self.color))
        if first is not None and (values.shape, values.dtype) != (first.shape, first.dtype):
            self._refuse(file, values.shape, values.dtype, first, origin)
        return values

    def _refuse(
        self, file: Path, shape: Shape, dtype: np.dtype[Any], first: Array, origin: Path | None
    ) -> NoReturn:
        """Raise `DataError` for an image of another size or type than the first one."""
        if shape[:2] != first.shape[:2]:
            height, width, _ = first.shape
            advice = f'set the source\'s "size", such as [{height}, {width}], to resize all to it'
        elif dtype != first.dtype:
            advice = "convert all to 8 bits, or all to 16"
        else:
            advice = 'set the source\'s "color" to convert all to the same channels'
        raise DataError(
            f"{file}: {described(shape, dtype)}, but {origin} is "
            f"{described(first.shape, first.dtype)}; {advice}"
        )

    def _bytes(self, file: Path) -> bytes:
        try:
            if not file.is_file():  # a pipe would never end
                raise DataError(f"{file}: not a regular file")
            return file.read_bytes()
        except OSError as error:
            raise DataError(f"{file}: cannot read: {explain_os_error(error, file)}") from error

    def _open(self, file: Path, data: bytes) -> Image:
        """Open an image, and check its header and checksums. Raises `DataError`."""
        with needed(file, "reading images", "Pillow", "images"):
            from PIL import Image, UnidentifiedImageError
        name = FORMATS[file.suffix.lower()]
        try:
            if name == "PNG":  # decoding ignores the checksums of the pixels
                Image.open(io.BytesIO(data), formats=(name,)).verify()
            image = Image.open(io.BytesIO(data), formats=(name,))
        except UnidentifiedImageError as error:  # its message has an object's address
            raise DataError(f"{file}: not a {name} image, or its header is damaged") from error
        except Exception as error:  # Pillow's decoders raise any exception
            raise DataError(f"{file}: cannot read the {name} image: {error}") from error
        if image.width * image.height > self.max_pixels:
            raise DataError(
                f"{file}: {image.width} x {image.height} pixels, which exceeds the limit of "
                f'{self.max_pixels:,} pixels; resize it, or set the source\'s "max_pixels"'
            )
        return image

    def _require_whole(self, file: Path, data: bytes, image: Image) -> None:
        """Raise `DataError` for an image of which Pillow would read a part only."""
        if image.mode not in MODES or (image.mode == "I" and image.format != "PNG"):
            raise DataError(f"{file}: an image of mode {image.mode}; convert it to gray or RGB")
        deep = any(";16" in str(tile) for tile in getattr(image, "tile", ()))
        if deep and image.mode not in GRAY_16_BITS:
            raise DataError(
                f"{file}: it has 16 bits per channel, which Pillow reads for gray images only; "
                "convert it to 8 bits, or put the images in an NPZ or HDF5 file"
            )
        if image.format == "PNG":
            try:
                _require_complete(data)
            except (ValueError, struct.error, zlib.error) as error:
                raise DataError(f"{file}: cannot read the PNG image: {error}") from error

    def _resized(self, values: Array) -> Array:
        """Return an image in the size of the options."""
        if self.size is None or values.shape[:2] == self.size:
            return values
        from PIL.Image import Resampling

        resampling = Resampling[self.interpolation.upper()]
        height, width = self.size
        rows, columns = values.shape[:2]
        box = (0.0, 0.0, float(columns), float(rows))
        if self.fit == "crop":  # the middle of the same shape as the result, as ImageOps.fit
            wide, high = min(columns, rows * width / height), min(rows, columns * height / width)
            left, top = (columns - wide) / 2, (rows - high) / 2
            box = (left, top, left + wide, top + high)
        elif self.fit == "pad":
            scale = min(width / columns, height / rows)
            inner = max(round(columns * scale), 1), max(round(rows * scale), 1)
            padded = np.zeros((height, width, values.shape[2]), values.dtype)
            left, top = round((width - inner[0]) / 2), round((height - inner[1]) / 2)
            place = slice(top, top + inner[1]), slice(left, left + inner[0])
            padded[place] = _resample(values, inner, resampling, box)
            return padded
        return _resample(values, (width, height), resampling, box)


class ImageFiles:
    """The images of files as a `Dataset`: each is decoded when it is read."""

    chunk = 1
    starts = None

    def __init__(self, files: Sequence[Path], decoder: ImageDecoder, first: Array) -> None:
        self.files = files
        self.decoder = decoder
        self.shape: Shape = (len(files), *first.shape)
        self.dtype: np.dtype[Any] = first.dtype

    def lazy(self) -> LazyArray:
        """Return all images as an array that stays in the files."""
        return LazyArray(self, np.arange(len(self.files)), self.shape[1:], self.dtype)

    def read(self, segments: Sequence[tuple[int, int]]) -> Iterator[Array]:
        """Yield the images of each segment `(start, stop)`."""
        files = [file for start, stop in segments for file in self.files[start:stop]]
        with closing(self.decoder.decode_all(files)) as images:
            for start, stop in segments:
                values = np.empty((stop - start, *self.shape[1:]), self.dtype)
                for row in range(stop - start):
                    image = next(images)
                    if (image.shape, image.dtype) != (self.shape[1:], self.dtype):
                        raise DataError(f"{self.files[start + row]}: changed since it was read")
                    values[row] = image
                yield values


def described(shape: Shape, dtype: np.dtype[Any]) -> str:
    """Return the size and type of an image for an error message."""
    height, width, channels = shape
    return f"{width} x {height} pixels of {channels} channels and {8 * dtype.itemsize} bits"


def _require_complete(data: bytes) -> None:
    """Raise ValueError for a PNG that Pillow would read incompletely.

    Pillow leaves missing rows black, and skips critical chunks that it does not support. `data` has
    passed `verify`.
    """
    header, width, height, depth, color, *_, interlaced = struct.unpack_from(">4sIIBBBBB", data, 12)
    if header != b"IHDR":
        raise ValueError("it does not begin with a header")
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
    size = 0
    for left, top, across, down in INTERLACED if interlaced else WHOLE:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:  # each row begins with a filter byte
            size += rows * (1 + -(-columns * SAMPLES[color] * depth // 8))
    if _decompressed_size(b"".join(compressed), size) != size:
        raise ValueError("it does not have as many pixels as it declares")


def _decompressed_size(data: bytes, most: int) -> int:
    """Return how many bytes are compressed in data; if more than `most`, any larger number."""
    decoder, size = zlib.decompressobj(), 0
    while size <= most and (part := decoder.decompress(data, 2**20)):
        size += len(part)
        data = decoder.unconsumed_tail
    return size


def _values(file: Path, data: bytes, image: Image) -> Array:
    """Return the pixels of an opened image, upright. Raises `DataError`."""
    try:
        image.load()
        if image.format != "PNG" or any(mark in data for mark in ROTATIONS):
            image = _upright(image)
        if image.mode in CONVERTED:
            image = image.convert(CONVERTED[image.mode])
        return _pixels(image)
    except Exception as error:  # Pillow's decoders raise any exception
        raise DataError(f"{file}: cannot decode the pixels: {error}") from error


def _upright(image: Image) -> Image:
    """Return an image turned and mirrored as its EXIF data say, unless Pillow has done so."""
    from PIL import ImageOps

    if image.getexif().get(ORIENTATION, 1) == 1:
        return image
    return ImageOps.exif_transpose(image)


def _pixels(image: Image) -> Array:
    """Return the pixels of a decoded image as an array `(height, width, channels)`."""
    values = np.asarray(image)
    if image.mode in GRAY_16_BITS:
        values = values.astype(np.uint16)
    if image.mode == "P":
        colours = np.array(image.getpalette() or (), np.uint8).reshape(-1, 3)
        if values.max() >= len(colours):
            raise ValueError("a pixel has a colour that is not in the palette")
        values = colours[values]
    return values if values.ndim == 3 else values[..., None]


def _resample(
    values: Array,
    size: tuple[int, int],
    resampling: Resampling,
    box: tuple[float, float, float, float],
) -> Array:
    """Return the box of an image in another size, by Pillow: transparent pixels count less."""
    from PIL import Image

    if values.dtype != np.uint8:  # Pillow has no colours of 16 bits, but single numbers
        most = np.iinfo(values.dtype).max
        channels = [
            np.asarray(Image.fromarray(one).resize(size, resampling, box))
            for one in np.moveaxis(values.astype(np.float32), -1, 0)
        ]
        rounded: Array = np.clip(np.rint(np.stack(channels, axis=-1)), 0, most)
        return rounded.astype(values.dtype)
    pixels = values[..., 0] if values.shape[2] == 1 else values
    found = np.asarray(Image.fromarray(pixels).resize(size, resampling, box))
    return found if found.ndim == 3 else found[..., None]


def _coloured(values: Array, color: Color) -> Array:
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
