"""Directories of images: the arrays of PNG and JPEG, and refused files."""

import contextlib
import io
import json
import os
import struct
import sys
import zlib
from random import Random

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnreg import DataError
from nnreg.builtin.sources.images import Images
from nnreg.data.loading import regular_files
from nnreg.tables.columns import categorical

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
RNG = np.random.default_rng(0)


def chunk(name, content):
    data = name + content
    return struct.pack(">I", len(content)) + data + struct.pack(">I", zlib.crc32(data))


def png(rows, size, depth=8, kind=GRAY, filters=None, palette=None, interlaced=0, compressed=None):
    """Return a PNG of bytes `(height, stride)`, each line with the given filter."""
    filters = filters or [0] * len(rows)
    width, height = size
    unit = max(SAMPLES[kind] * depth // 8, 1)
    lines = [bytes([kind_of]) + filtered(rows, index, kind_of, unit)
             for index, kind_of in enumerate(filters)]  # fmt: skip
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    chunks = [SIGNATURE, chunk(b"IHDR", header), chunk(b"tEXt", b"of no interest")]
    if palette is not None:
        chunks.append(chunk(b"PLTE", bytes(palette)))
    compressed = zlib.compress(b"".join(lines)) if compressed is None else compressed
    middle = len(compressed) // 2
    chunks += [
        chunk(b"IDAT", compressed[:middle]),
        chunk(b"IDAT", compressed[middle:]),
        chunk(b"IEND", b""),
    ]
    return b"".join(chunks)


def filtered(rows, index, kind, unit):
    """Return a line filtered byte by byte, as the standard defines it."""
    line, above = rows[index].tolist(), rows[index - 1].tolist() if index else [0] * len(rows[0])
    out = []
    for column, value in enumerate(line):
        a = line[column - unit] if column >= unit else 0
        b = above[column]
        c = above[column - unit] if column >= unit else 0
        guess = a + b - c
        nearest = min((a, b, c), key=lambda v: (abs(guess - v), (a, b, c).index(v)))
        out.append((value - [0, a, b, (a + b) // 2, nearest][kind]) % 256)
    return bytes(out)


@pytest.fixture(scope="module")
def decoded(tmp_path_factory):
    """Return the function that reads the bytes of an image."""
    file = tmp_path_factory.mktemp("images") / "a.png"

    def read(data, name="a.png"):
        path = file.with_name(name)
        path.write_bytes(data)
        return Images().read(path).columns["image"][0]

    return read


@settings(max_examples=150)
@given(st.data())
def test_images_with_any_filters_are_read(decoded, data):
    kind, depths = data.draw(st.sampled_from([(0, (8, 16)), (2, (8,)), (4, (8,)), (6, (8,))]))
    depth = data.draw(st.sampled_from(depths))
    width, height = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    filters = data.draw(st.lists(st.integers(0, 4), min_size=height, max_size=height))
    values = np.random.default_rng(data.draw(st.integers(0, 99))).integers(
        0, 2**depth, (height, width, SAMPLES[kind])
    )
    rows = values.astype(f">u{depth // 8}").reshape(height, -1).view(np.uint8)
    found = decoded(png(rows, (width, height), depth, kind, filters))
    assert found.dtype == (np.uint16 if depth == 16 else np.uint8)
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("width", [1, 7, 8, 13])
def test_low_bit_depths_are_scaled_to_the_whole_range(decoded, depth, width):
    values = RNG.integers(0, 2**depth, (3, width))
    bits = (values[..., None] >> np.arange(depth)[::-1]) & 1
    rows = np.packbits(bits.reshape(3, -1).astype(np.uint8), axis=-1)
    found = decoded(png(rows, (width, 3), depth, filters=[4, 1, 3]))
    np.testing.assert_array_equal(found[..., 0], values * (255 // (2**depth - 1)))


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_palette_gives_colours(decoded, depth):
    colours = min(2**depth, 5)
    palette = RNG.integers(0, 256, (colours, 3), np.uint8)
    values = RNG.integers(0, colours, (4, 8)).astype(np.uint8)
    bits = (values[..., None] >> np.arange(depth)[::-1]) & 1
    rows = np.packbits(bits.reshape(4, -1), axis=-1)
    data = png(rows, (8, 4), depth, PALETTE, palette=palette.tobytes())
    np.testing.assert_array_equal(decoded(data), palette[values])


@pytest.mark.parametrize("palette", [bytes(15), bytes(17), None])
def test_a_colour_that_is_not_in_the_palette_is_refused(decoded, palette):
    rows = np.full((4, 6), 5, np.uint8)
    with pytest.raises(DataError, match="a colour that is not in the palette"):
        decoded(png(rows, (6, 4), 8, PALETTE, palette=palette))


@pytest.mark.parametrize(
    ("kind", "palette", "transparent"),
    [(GRAY, None, b"\0\7"), (RGB, None, bytes(6)), (PALETTE, range(15), b"\0\x80\xff")],
)
def test_a_transparent_colour_is_read_as_that_colour(decoded, kind, palette, transparent):
    rows = RNG.integers(0, 5, (4, 6)).astype(np.uint8)
    data = png(rows, (6 // SAMPLES[kind], 4), kind=kind, palette=palette)
    pixels = chunk(b"IDAT", b"")[4:8]
    offset = data.index(pixels) - 4
    found = decoded(data[:offset] + chunk(b"tRNS", transparent) + data[offset:])
    np.testing.assert_array_equal(found, decoded(data))


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("suffix", [".jpg", ".JPEG"])
def test_a_jpeg_is_read_as_pillow_reads_it(decoded, mode, suffix):
    ramp = np.add.outer(np.arange(40), np.arange(31))[..., None] * [3, 5, 7] % 256
    file = io.BytesIO()
    PIL.Image.fromarray(ramp.astype(np.uint8)).convert(mode).save(file, "jpeg")
    found = decoded(file.getvalue(), f"a{suffix}")
    assert found.shape == (40, 31, len(mode))
    np.testing.assert_array_equal(found.squeeze(), np.asarray(PIL.Image.open(file)))


def other(form, mode="RGB"):
    file = io.BytesIO()
    PIL.Image.new(mode, (4, 3)).save(file, form)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.png", other("gif"), "not a PNG image"),
        ("a.png", other("jpeg"), "not a PNG image"),
        ("a.jpg", other("png"), "not a JPEG image"),
        ("a.tif", other("tiff", "LAB"), "mode LAB; convert it to gray or RGB"),
        ("a.tif", other("tiff", "F"), "mode F; convert it to gray or RGB"),
        ("a.tif", other("tiff", "I"), "mode I; convert it to gray or RGB"),
    ],
)
def test_only_the_format_of_the_suffix_is_opened(decoded, name, data, message):
    with pytest.raises(DataError, match=rf"{name}: .*{message}"):
        decoded(data, name)


def test_without_pillow_the_error_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    (tmp_path / "a.png").write_bytes(SOUND)
    with pytest.raises(DataError, match=r"a\.png: .* pip install 'nnreg\[images\]'"):
        Images().read(tmp_path)


LINE = np.zeros((1, 4), np.uint8)
SOUND = png(LINE, (4, 1))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a PNG image"),
        (b"\xff\xd8\xff\xe0 JFIF", "not a PNG image"),
        (SOUND.replace(b"of no interest", b"of no Interest"), "not a PNG image"),
        (png(LINE, (4, 1), interlaced=1), "not have as many pixels as it declares"),
        (png(LINE, (4, 1), depth=3), "not a PNG image"),
        (png(np.zeros((1, 24), np.uint8), (4, 1), 16, RGB), "16 bits per channel"),
        (png(LINE, (0, 1)), "not a PNG image"),
        (png(LINE, (4, 2)), "not have as many pixels as it declares"),
        (png(LINE, (3, 1)), "not have as many pixels as it declares"),
        (png(LINE, (4, 1), compressed=zlib.compress(b"\x07\0\0\0\0")), "cannot decode the pixels"),
        (png(LINE, (4, 1), compressed=b"no such thing"), "while decompressing"),
        (png(LINE, (2**31 - 1, 2**31 - 1), kind=RGBA), "exceeds limit of .* pixels"),
        (png(LINE, (12_000, 12_000)), "exceeds the limit of 89,478,485 pixels"),
        (SIGNATURE + chunk(b"IHDR", b"short"), "Truncated IHDR"),
        (SOUND[:33] + chunk(b"QQQQ", b"") + SOUND[33:], "critical chunk b'QQQQ'"),
        (SIGNATURE + chunk(b"tEXt", b"") + SOUND[8:], "does not begin with a header"),
    ],
)
def test_a_damaged_image_is_refused_with_its_file(tmp_path, data, message):
    (tmp_path / "b.png").write_bytes(data)
    with pytest.raises(DataError, match=rf"b\.png: .*{message}"):
        Images().read(tmp_path)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_file_that_ends_early_is_refused(decoded, name):
    file = io.BytesIO()
    pixels = RNG.integers(0, 256, (12, 12, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(file, {"a.png": "png", "a.jpg": "jpeg"}[name])
    data = file.getvalue()
    for length in range(len(data)):
        with pytest.raises(DataError, match=name):
            decoded(data[:length], name)


def test_changed_bytes_are_refused_or_change_nothing(decoded):
    rows = RNG.integers(0, 256, (6, 24)).astype(np.uint8)
    sound = png(rows, (8, 6), kind=RGB, filters=[0, 1, 2, 3, 4, 4])
    expected, rng = decoded(sound), Random(0)
    for _ in range(2000):
        data = bytearray(sound)
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with contextlib.suppress(DataError):
            np.testing.assert_array_equal(decoded(data), expected)


class TestDirectories:
    @pytest.fixture
    def directory(self, tmp_path):
        for name, level in (("cat", 10), ("dog", 200)):
            (tmp_path / "pets" / name).mkdir(parents=True)
            for number in range(12):
                rows = RNG.integers(level, level + 20, (5, 7)).astype(np.uint8)
                path = tmp_path / "pets" / name / f"{number:02}.png"
                path.write_bytes(png(rows, (7, 5), filters=[number % 5] * 5))
        (tmp_path / "pets" / ".DS_Store").write_text("")
        (tmp_path / "pets" / "notes.md").write_text("")
        return tmp_path

    def test_each_directory_is_a_class(self, directory):
        table = Images().read(directory / "pets")
        assert table.columns["image"].shape == (24, 5, 7, 1)
        assert table.columns["image"].dtype == np.uint8
        assert categorical(table, "label").text().tolist() == ["cat"] * 12 + ["dog"] * 12
        assert (table.columns["image"][:12] < 40).all()

    def test_images_without_class_directories_have_no_label(self, directory):
        assert list(Images().read(directory / "pets" / "cat").columns) == ["image"]

    def test_images_can_be_converted_to_the_same_channels(self, directory):
        rows = np.tile(np.array([255, 0, 0, 128], np.uint8), (5, 7))
        (directory / "pets/cat/12.png").write_bytes(png(rows, (7, 5), kind=RGBA))
        with pytest.raises(DataError, match=r"12\.png: 7 x 5 pixels of 4 channels and 8 bits, but"):
            Images().read(directory / "pets")
        for color, pixel in (
            ("gray", [76]), ("rgb", [255, 0, 0]), ("rgba", [255, 0, 0, 128])
        ):  # fmt: skip
            images = Images(color=color).read(directory / "pets").columns["image"]
            assert images.shape == (25, 5, 7, len(pixel))
            assert images[12, 0, 0].tolist() == pixel
            if color == "rgba":
                assert (images[:12, ..., 3] == 255).all()

    @pytest.mark.parametrize(
        ("name", "size", "message"),
        [
            ("cat/99.png", (5, 7), r"99\.png: 5 x 7 pixels .* but .*00\.png is 7 x 5 pixels"),
            (
                "cat/99.jxl",
                (7, 5),
                r"99\.jxl: not a format that is read, such as PNG or JPEG; convert",
            ),
            ("99.png", (7, 5), r"99\.png: an image beside class directories"),
        ],
    )
    def test_images_that_do_not_fit_are_refused(self, directory, name, size, message):
        rows = np.zeros(size[::-1], np.uint8)
        (directory / "pets" / name).write_bytes(png(rows, size))
        with pytest.raises(DataError, match=message):
            Images().read(directory / "pets")

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("owl/1.heic", r"1\.heic: not a format that is read"),
            ("owl/1.raw", r"owl: no images in this class directory; convert"),
        ],
    )
    def test_images_that_would_be_passed_over_are_refused(self, directory, name, message):
        file = directory / "pets" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
        with pytest.raises(DataError, match=message):
            Images().read(directory / "pets")

    def test_a_directory_without_images_is_refused(self, tmp_path):
        with pytest.raises(DataError, match="no images, in it or in its directories"):
            Images().read(tmp_path)

    def test_images_larger_than_memory_are_refused_before_allocation(self, directory, monkeypatch):
        monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: 1000)
        with pytest.raises(DataError, match=r'24 images of .* in memory, more than half .*"size"'):
            Images().read(directory / "pets")

    def test_a_run_trains_predicts_and_resumes_only_with_the_same_images(
        self, directory, nnreg, monkeypatch
    ):
        monkeypatch.chdir(directory)
        spec = {
            "data": {"source": "images", "path": "pets", "target": "label",
                     "split": {"test": 0.25, "stratify": True}},
            "model": {"layers": [
                {"type": "conv2d", "filters": 2, "kernel": 3},
                {"type": "flatten"},
                {"type": "dense", "units": "classes", "activation": "softmax"},
            ]},
            "loss": "cross_entropy",
            "optimizer": "adam",
            "metrics": ["accuracy"],
            "train": {"epochs": 30},
        }  # fmt: skip
        (directory / "spec.json").write_text(json.dumps(spec))
        code, _, err = nnreg("run", "spec.json", "--out", "out", "--quiet")
        assert code == 0, err
        predictions = nnreg("predict", "out", "pets/dog")[1].splitlines()
        assert len(predictions) == 13
        assert predictions[0].startswith("name,prediction,")
        assert all(line.startswith(f"{n:02}.png,dog,") for n, line in enumerate(predictions[1:]))
        (alone,) = nnreg("predict", "out", "pets/dog/00.png")[1].splitlines()[1:]
        assert alone.split(",")[:2] == ["00.png", "dog"]
        assert float(alone.split(",")[-1]) == pytest.approx(float(predictions[1].split(",")[-1]))
        both = nnreg("predict", "out", "pets")[1].splitlines()
        assert [line.partition(",")[0] for line in both[1:3]] == ["cat/00.png", "cat/01.png"]
        assert nnreg("resume", "out", "--set", "train.epochs=31")[0] == 0
        (directory / "pets/cat/00.png").write_bytes((directory / "pets/cat/01.png").read_bytes())
        code, _, err = nnreg("resume", "out", "--set", "train.epochs=32")
        assert code == 1
        assert "pets: not the data that it was trained on" in err

    def test_a_file_instead_of_a_directory_and_a_pipe_among_the_images_are_refused(self, directory):
        with pytest.raises(DataError, match=r"notes\.md: not a directory; expected a"):
            regular_files(Images(), directory / "pets/notes.md")
        os.mkfifo(directory / "pets/cat/13.png")
        with pytest.raises(DataError, match=r"13\.png: cannot read the data: not a regular file"):
            regular_files(Images(), directory / "pets")
