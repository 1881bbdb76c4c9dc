"""IDX, MNIST's format: types, pairs of files, and damaged files."""

import gzip
import struct

import numpy as np
import pytest

import nnreg
from nnreg import DataError
from nnreg.builtin.sources.idx import Idx
from nnreg.runs.prepare import digests
from nnreg.spec.document import read_spec

CODES = {"u1": 8, "i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}


def idx(array, kind="u1"):
    start = struct.pack(f">BBBB{array.ndim}I", 0, 0, CODES[kind], array.ndim, *array.shape)
    return start + array.astype(kind).tobytes()


def packed(data):
    """Return compressed data without the time of compression, which would be in a test's name."""
    return gzip.compress(data, mtime=0)


@pytest.fixture
def mnist(tmp_path):
    """Write a training split, compressed, and a test split."""
    rng = np.random.default_rng(0)
    for split, count, pack in (("train", 30, gzip.compress), ("t10k", 10, bytes)):
        labels = rng.integers(0, 3, count)
        images = rng.integers(0, 99, (count, 4, 5)) + 60 * labels[:, None, None]
        suffix = ".gz" if split == "train" else ""
        (tmp_path / f"{split}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(images % 256)))
        (tmp_path / f"{split}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(labels)))
    return tmp_path


def spec_of(directory):
    return {
        "data": {"source": "idx", "path": str(directory / "train-images-idx3-ubyte.gz"),
                 "target": "label", "split": {"test": str(directory / "t10k-images-idx3-ubyte")}},
        "model": {"layers": [
            {"type": "flatten"}, {"type": "dense", "units": "classes", "activation": "softmax"},
        ]},
        "loss": "cross_entropy", "optimizer": "adam", "metrics": ["accuracy"],
        "train": {"epochs": 2},
    }  # fmt: skip


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_type_is_read_in_native_byte_order(tmp_path, kind, pack):
    array = np.random.default_rng(0).integers(-99 if "i" in kind else 0, 99, (4, 3, 2))
    (tmp_path / "d").write_bytes(pack(idx(array, kind)))
    found = Idx().read(tmp_path / "d").columns["image"]
    np.testing.assert_array_equal(found, array)
    assert found.dtype.isnative


def test_labels_are_found_beside_the_images(mnist):
    table = Idx().read(mnist / "train-images-idx3-ubyte.gz")
    assert table.columns["image"].shape == (30, 4, 5)
    assert table.columns["label"].shape == (30,)
    (mnist / "train-labels-idx1-ubyte.gz").rename(mnist / "other-labels")
    assert list(Idx().read(mnist / "train-images-idx3-ubyte.gz").columns) == ["image"]
    named = Idx(labels="other-labels").read(mnist / "train-images-idx3-ubyte.gz")
    np.testing.assert_array_equal(named.columns["label"], table.columns["label"])


def test_a_run_reads_both_splits_and_all_four_files(mnist, tmp_path):
    run = nnreg.run(spec_of(mnist), out=tmp_path / "out")
    assert run.classes == ("0", "1", "2")
    document = read_spec(spec_of(mnist))
    before = digests(document)
    (mnist / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(10)))
    changed = [path for path, now in digests(document).items() if now != before[path]]
    assert changed == [str(mnist / "t10k-images-idx3-ubyte")]


def test_a_target_without_its_file_is_reported(mnist):
    (mnist / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"\(without a file of labels\): no column 'label'"):
        nnreg.run(spec_of(mnist))


ARRAY = idx(np.arange(6).reshape(2, 3))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an IDX file"),
        (b"\x89PNG\r\n", "not an IDX file: it begins with b'\\\\x89PNG'"),
        (b"\0\0\x0a\1\0\0\0\1x", "not an IDX file"),
        (b"\0\0\x08\0x", "not an IDX file"),
        (ARRAY[:7], "ends within its sizes"),
        (ARRAY[:-1], "declares 6 bytes, but has 5|more than it can hold"),
        (ARRAY + b"x", "declares 6 bytes, but has more"),
        (struct.pack(">BBBBIII", 0, 0, 14, 3, 2**32 - 1, 2**32 - 1, 99) + b"x", "more than it can"),
        (packed(struct.pack(">BBBBI", 0, 0, 8, 1, 2**32 - 1)), "more than it can hold"),
        (packed(ARRAY)[:-9], "not a complete gzip file"),
        (packed(ARRAY[:-1]), "declares 6 bytes, but has 5"),
    ],
)
def test_a_damaged_file_is_refused_without_allocating_memory(tmp_path, data, message):
    (tmp_path / "d").write_bytes(data)
    with pytest.raises(DataError, match=rf"/d: .*({message})"):
        Idx().read(tmp_path / "d")


def test_the_numbers_of_images_and_labels_must_be_equal(mnist):
    (mnist / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(9)))
    with pytest.raises(DataError, match="10 images, but 9 labels"):
        Idx().read(mnist / "t10k-images-idx3-ubyte")
