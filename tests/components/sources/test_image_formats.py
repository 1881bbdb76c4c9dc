"""Images of every format beside what Pillow gives directly: modes, EXIF data, sizes, limits."""

import io
import warnings
import zlib

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from PIL import ImageSequence
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from nnreg import DataError
from nnreg.builtin.sources import image_files
from nnreg.builtin.sources.images import Images
from nnreg.tables.lazy import LazyArray, iter_chunks, materialize
from tests.components.sources.test_images import SIGNATURE, chunk

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (21, 34, 3), np.uint8)
SMOOTH = PIL.Image.fromarray(COLOURS[::5, ::5]).resize((34, 21))
FORMATS = {"png": "PNG", "jpg": "JPEG", "jfif": "JPEG", "webp": "WEBP", "gif": "GIF",
           "bmp": "BMP", "tif": "TIFF", "TIFF": "TIFF"}  # fmt: skip


@pytest.fixture
def read(tmp_path):
    """Return the function that reads one image, given as bytes or as an image of Pillow."""

    def read(image, suffix="png", options=None, **saved):
        path = tmp_path / f"a.{suffix}"
        if isinstance(image, bytes):
            path.write_bytes(image)
        else:
            image.save(path, FORMATS[suffix], **saved)
        return Images(**(options or {})).read(path).columns["image"][0]

    return read


def saved(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("suffix", FORMATS)
def test_colours_are_those_of_pillow(read, suffix):
    expected = PIL.Image.open(io.BytesIO(saved(SMOOTH, FORMATS[suffix]))).convert("RGB")
    np.testing.assert_array_equal(read(SMOOTH, suffix), np.asarray(expected))


@pytest.mark.parametrize(
    ("suffix", "mode", "like"),
    [
        ("jpg", "CMYK", "RGB"),
        ("tif", "CMYK", "RGB"),
        ("tif", "YCbCr", "RGB"),
        ("tif", "PA", "RGBA"),
        ("tif", "P", "RGB"),
        ("bmp", "P", "RGB"),
        ("gif", "P", "RGB"),
        ("bmp", "1", "L"),
        ("tif", "1", "L"),
        ("png", "LA", "LA"),
        ("webp", "RGBA", "RGBA"),
        ("tif", "RGBA", "RGBA"),
    ],
)
def test_other_modes_become_gray_or_colours_as_pillow_converts_them(read, suffix, mode, like):
    source = SMOOTH.convert("P").convert("PA") if mode == "PA" else SMOOTH.convert(mode)
    if mode.endswith("A"):
        source.putalpha(PIL.Image.fromarray(COLOURS[..., 0]))
    lossless = {"lossless": True} if suffix == "webp" else {}
    expected = PIL.Image.open(io.BytesIO(saved(source, FORMATS[suffix], **lossless)))
    assert expected.mode == mode
    found = read(source, suffix, **lossless)
    np.testing.assert_array_equal(found.squeeze(), np.asarray(expected.convert(like)))


@pytest.mark.parametrize(("suffix", "order"), [("png", "<"), ("tif", "<"), ("tif", ">")])
def test_gray_of_16_bits_keeps_them(read, suffix, order):
    values = RNG.integers(0, 2**16, (5, 6), np.uint16)
    image = PIL.Image.frombytes(
        "I;16" if order == "<" else "I;16B", (6, 5), values.astype(f"{order}u2").tobytes()
    )
    found = read(image, suffix)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found[..., 0], values)


def test_colours_of_16_bits_are_refused_instead_of_halved(read):
    raw = RNG.integers(0, 2**16, (2, 2, 3), np.uint16).tobytes()
    tags = {256: 2, 257: 2, 258: (16, 16, 16), 259: 1, 262: 2, 277: 3, 278: 2, 279: len(raw)}
    ifd = ImageFileDirectory_v2(b"II\x2a\0\0\0\0\0")
    for tag, value in tags.items():
        ifd[tag] = value
    ifd[273] = 0
    size = len(ifd.tobytes(8))
    ifd[273] = 8 + size
    data = b"II\x2a\0\x08\0\0\0" + ifd.tobytes(8) + raw
    assert PIL.Image.open(io.BytesIO(data)).mode == "RGB"
    with pytest.raises(DataError, match=r"a\.tif: it has 16 bits per channel"):
        read(data, "tif")


def test_an_interlaced_png_is_read(read):
    # 3 x 2 gray pixels by Adam7, written by hand: passes 1, 4, 5 (none), 6 and 7
    pixels = np.array([[10, 20, 30], [40, 50, 60]], np.uint8)
    passes = [pixels[:1, :1], pixels[:1, 2:3], pixels[:1, 1::2], pixels[1:, :]]
    lines = b"".join(b"\0" + line.tobytes() for part in passes for line in part)
    header = np.array([3, 2], ">u4").tobytes() + bytes([8, 0, 0, 0, 1])
    data = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines))]
    whole = b"".join([SIGNATURE, *data, chunk(b"IEND", b"")])
    np.testing.assert_array_equal(read(whole)[..., 0], pixels)
    data[1] = chunk(b"IDAT", zlib.compress(lines[:-1]))
    with pytest.raises(DataError, match="not have as many pixels as it declares"):
        read(b"".join([SIGNATURE, *data, chunk(b"IEND", b"")]))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_the_orientation_of_exif_data_is_applied(read, suffix, orientation):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    found = read(SMOOTH, suffix, exif=exif)
    file = io.BytesIO(saved(SMOOTH, FORMATS[suffix], exif=exif))
    image = PIL.Image.open(file)
    image.load()
    np.testing.assert_array_equal(found, np.asarray(PIL.ImageOps.exif_transpose(image)))
    assert found.shape[:2] == ((34, 21) if orientation > 4 else (21, 34))
    if orientation == 6 and suffix in ("png", "tif"):
        np.testing.assert_array_equal(found, np.rot90(np.asarray(SMOOTH), -1))


@pytest.mark.parametrize("suffix", ["gif", "webp", "tif", "png"])
def test_of_an_animation_or_of_pages_the_first_image_is_read(read, suffix):
    frames = [PIL.Image.fromarray(np.full((4, 4), level, np.uint8)) for level in (10, 200)]
    lossless = {"lossless": True} if suffix == "webp" else {}
    data = saved(frames[0], FORMATS[suffix], save_all=True, append_images=frames[1:], **lossless)
    assert len(list(ImageSequence.Iterator(PIL.Image.open(io.BytesIO(data))))) == 2
    assert (read(data, suffix) == 10).all()


@pytest.mark.parametrize("suffix", ["webp", "gif", "bmp", "tif"])
def test_a_file_that_ends_early_is_refused_or_is_whole(read, suffix):
    data = saved(SMOOTH.resize((7, 5)), FORMATS[suffix])
    refused = 0
    for length in range(0, len(data), 7):
        try:
            found = read(data[:length], suffix)
        except DataError:
            refused += 1
        else:
            np.testing.assert_array_equal(found, read(data, suffix))
    assert refused >= len(data) // 7 - 2


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos", "nearest"])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(8, 8), (40, 10), (7, 50)])
def test_resized_images_are_those_of_pillow(read, mode, size, interpolation):
    image = SMOOTH.convert(mode)
    if mode.endswith("A"):
        image.putalpha(PIL.Image.fromarray(COLOURS[..., 0]))
    method, target = PIL.Image.Resampling[interpolation.upper()], size[::-1]
    for fit, expected in {
        "stretch": image.resize(target, method),
        "crop": PIL.ImageOps.fit(image, target, method),
        "pad": PIL.ImageOps.pad(image, target, method, color=(0,) * len(mode)),
    }.items():
        options = {"size": size, "fit": fit, "interpolation": interpolation}
        found = read(image, options=options)
        assert found.shape == (*size, len(mode))
        np.testing.assert_array_equal(found.squeeze(), np.asarray(expected))


def test_16_bits_are_resized_to_within_one_of_exact_weights(read):
    values = (RNG.integers(0, 2**16, (3, 4)).repeat(4, 0).repeat(4, 1)).astype(np.uint16)
    found = read(PIL.Image.fromarray(values), options={"size": (3, 4), "interpolation": "nearest"})
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found[..., 0], values[::4, ::4])
    most = np.full((9, 9), 65535, np.uint16)
    for color, channels in (("gray", 1), ("rgb", 3)):
        options = {"size": (4, 5), "interpolation": "lanczos", "color": color}
        found = read(PIL.Image.fromarray(most), options=options)
        assert found.shape == (4, 5, channels)
        assert (found == 65535).all()


def test_a_long_image_is_padded_to_one_pixel_at_least(read):
    image = PIL.Image.fromarray(np.full((1, 300), 9, np.uint8))
    found = read(image, options={"size": (5, 5), "fit": "pad"})[..., 0]
    np.testing.assert_array_equal(found, [[0] * 5, [0] * 5, [9] * 5, [0] * 5, [0] * 5])


def test_the_limit_of_pixels_is_an_option(read):
    with pytest.raises(DataError, match=r"34 x 21 pixels, which exceeds the limit of 713 pixels"):
        read(SMOOTH, options={"max_pixels": 713})
    assert read(SMOOTH, options={"max_pixels": 714}).shape == (21, 34, 3)


def test_a_higher_limit_than_that_of_pillow_gives_no_warning(read, monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 500)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(SMOOTH).shape == (21, 34, 3)
    with pytest.raises(DataError, match=r"a\.png: cannot read the PNG image: .*exceeds limit"):
        read(SMOOTH.resize((50, 50)))


class TestManyImages:
    @pytest.fixture
    def directory(self, tmp_path):
        for number in range(70):
            image = PIL.Image.fromarray(np.roll(COLOURS, number, 0))
            image.resize((10 + number % 3, 9)).save(tmp_path / f"{number:02}.png")
        return tmp_path

    def test_different_sizes_are_refused_with_the_option_that_resizes_them(self, directory):
        with pytest.raises(DataError, match=r'01\.png: 11 x 9 .* set .*"size", such as \[9, 10\]'):
            Images().read(directory)

    @pytest.mark.parametrize("stream", [True, False])
    def test_one_of_another_size_is_refused_before_it_is_decoded(
        self, tmp_path, monkeypatch, stream
    ):
        for number, size in enumerate([(5, 4), (5, 4), (9000, 9000)]):
            PIL.Image.new("1", size).save(tmp_path / f"{number}.png")
        decoded, values = [], image_files._values

        def decode(file, *rest):
            decoded.append(file.name)
            return values(file, *rest)

        monkeypatch.setattr(image_files, "_values", decode)
        with pytest.raises(DataError, match=r"2\.png: 9000 x 9000 pixels .* but .*0\.png is 5 x 4"):
            Images(stream=stream).read(tmp_path)
        assert "2.png" not in decoded

    def test_a_changed_file_is_refused_when_it_is_read_again(self, directory):
        lazy = Images(size=(6, 6), stream=True).read(directory).columns["image"]
        PIL.Image.new("L", (5, 5)).save(directory / "40.png")
        with pytest.raises(DataError, match=r"4\d\.png: "):
            materialize(lazy)
        with pytest.raises(DataError, match=r"40\.png: changed since it was read"):
            lazy.take(np.array([40]))

    def test_images_that_stay_in_their_files_are_those_in_memory(self, directory):
        read = {
            stream: Images(size=(6, 6), stream=stream).read(directory).columns["image"]
            for stream in (True, False, "auto")
        }
        lazy = read[True]
        assert isinstance(lazy, LazyArray)
        assert isinstance(read["auto"], np.ndarray)
        np.testing.assert_array_equal(materialize(lazy), read[False])
        some = np.array([3, 4, 40, 69])
        np.testing.assert_array_equal(
            lazy.select(some).take(np.array([1, 3])), read[False][[4, 69]]
        )
        chunks = list(iter_chunks(lazy, 16))
        np.testing.assert_array_equal(np.concatenate(chunks), read[False])

    def test_large_ones_stay_in_their_files(self, directory, monkeypatch):
        monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: 70 * 6 * 6 * 3 * 8 * 4)
        images = Images(size=(6, 6)).read(directory).columns["image"]
        assert isinstance(images, LazyArray)

    def test_a_damaged_image_is_found_before_the_training(self, directory):
        (directory / "69.png").write_bytes(b"")
        with pytest.raises(DataError, match=r"69\.png: not a PNG image"):
            Images(size=(6, 6), stream=True).read(directory)
