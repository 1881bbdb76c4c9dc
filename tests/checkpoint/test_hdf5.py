"""The HDF5 structures of a checkpoint: written with the library, read without it."""

import hashlib
import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from random import Random

import h5py
import numpy as np
import pytest

import nnreg
from nnreg import CheckpointError
from nnreg.checkpoint.file_format import HEADER_BYTES, Checkpoint, read_checkpoint, write_checkpoint
from nnreg.checkpoint.hdf5 import reading, writing
from nnreg.checkpoint.hdf5.reading import MAX_PATH, read_arrays
from nnreg.errors import FormatError
from tests.helpers.paths import ROOT
from tests.helpers.specs import CSV, classifier, csv_data
from tests.helpers.work import HANG_SECONDS

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.rglob("*.h5"))


def image_of(arrays):
    chunks = writing.write_image(arrays, HEADER_BYTES)
    return bytes(HEADER_BYTES) + b"".join(map(bytes, chunks))


def by_h5py(data):
    found = {}
    with h5py.File.in_memory(data) as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]} if hasattr(item, "shape") else {})
        )
    return found


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert np.asarray(other[name]).dtype == array.dtype, name
        assert np.asarray(other[name]).shape == array.shape, name
        assert np.asarray(other[name]).tobytes() == array.tobytes(), name


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(GOLDEN)))
def test_every_golden_file_is_read_as_the_library_reads_it(file):
    data = file.read_bytes()
    assert_same(read_arrays(data, HEADER_BYTES), by_h5py(data))


def random_arrays(rng):
    """Return arrays of random paths, shapes and types."""
    arrays = {}
    for _ in range(rng.choice((1, 3, 8, 9, 17, 33, 300))):
        parts = [rng.choice("abcdeé") * rng.choice((1, 7, 8, 40)) for _ in range(rng.randint(1, 4))]
        path = "/".join(parts)
        if not any(f"{one}/".startswith(f"{path}/") or f"{path}/".startswith(f"{one}/")
                   for one in arrays):  # fmt: skip
            shape = [rng.choice((0, 1, 2, 5)) for _ in range(rng.choice((0, 1, 2, 3, 32)))]
            if len(shape) == 32:
                shape = [1] * 32
            values = np.random.default_rng(rng.randrange(99)).normal(size=shape)
            arrays[path] = values.astype(rng.choice(["<f4", "<f8", "<i8", "u1"]))
    return arrays


@pytest.mark.parametrize("seed", range(30))
def test_what_is_written_is_read_as_the_library_reads_it(seed):
    arrays = random_arrays(Random(seed))
    data = image_of(arrays)
    assert_same(arrays, read_arrays(data, HEADER_BYTES))
    assert_same(arrays, by_h5py(data))


@pytest.mark.parametrize("order", ["ascending", "descending", "random"])
def test_the_most_arrays_in_one_group_are_read(order):
    names = [f"a{i:04}" for i in range(9_999)]
    if order != "ascending":
        names.reverse()
    if order == "random":
        Random(0).shuffle(names)
    arrays = {name: np.full(1, float(i)) for i, name in enumerate(names)}
    assert_same(arrays, read_arrays(image_of(arrays), HEADER_BYTES))


EXAMPLE = {
    "document": np.frombuffer(b"{}", np.uint8),
    "parameters/layers/0/weight": np.arange(6, dtype="<f4").reshape(2, 3),
    "history": np.zeros((0, 3)),
    "scalar": np.array(7, "<i8"),
    "deep": np.ones((1,) * 32),
}


def test_the_library_writes_the_same_bytes_in_every_version():
    digest = hashlib.sha256(image_of(EXAMPLE)).hexdigest()
    assert digest == "243db68791ffcadb2c31741de3dbbf284c1f36476b5dc1c5d84943802967cb28"


def test_the_structures_do_not_depend_on_the_defaults_of_the_library():
    assert writing.LIBVER == ("earliest", "v110")


@pytest.mark.parametrize("libver", ["latest", ("v108", "v110"), ("v110", "latest")])
def test_structures_that_the_reader_refuses_are_not_written(tmp_path, monkeypatch, libver):
    path = tmp_path / "a.h5"
    write_checkpoint(path, Checkpoint({}, EXAMPLE))
    before = path.read_bytes()
    monkeypatch.setattr(writing, "LIBVER", libver)
    with pytest.raises(CheckpointError, match="cannot save: the superblock, byte 520"):
        write_checkpoint(path, Checkpoint({}, EXAMPLE))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "array", "problem"),
    [
        ("a" * (MAX_PATH + 1), np.zeros(1), "a path is longer than 4,096 characters: 'aaaa"),
        ("a/" + "b" * MAX_PATH, np.zeros(1), "a path is longer than 4,096 characters: 'a/bb"),
        ("a", np.zeros((1,) * 33), "'a' has 33 dimensions; the maximum is 32"),
    ],
)
def test_what_is_too_long_or_too_deep_is_not_written(tmp_path, name, array, problem):
    with pytest.raises(CheckpointError, match=re.escape(problem)):
        write_checkpoint(tmp_path / "a.h5", Checkpoint({}, {name: array}))
    assert not list(tmp_path.iterdir())


def test_the_longest_path_is_written_and_read(tmp_path):
    name = "a/" + "é" * (MAX_PATH - 2)
    write_checkpoint(tmp_path / "a.h5", Checkpoint({}, {name: np.ones(2)}))
    assert read_checkpoint(tmp_path / "a.h5").arrays.keys() == {name}


@pytest.fixture
def long_paths(monkeypatch):
    """Write files with paths of any length."""

    def written(arrays):
        with monkeypatch.context() as patch:
            patch.setattr(reading, "MAX_PATH", 1 << 30)
            return image_of(arrays)

    return written


def test_a_longer_path_is_refused(long_paths):
    data = long_paths({"a" * (MAX_PATH + 1): np.zeros(1)})
    with pytest.raises(FormatError, match="a path is longer than"):
        read_arrays(data, HEADER_BYTES)


def test_an_array_is_a_copy_that_can_be_changed_and_is_aligned():
    data = image_of({"a": np.zeros(3, np.uint8), "b": np.ones(3)})
    for array in read_arrays(data, HEADER_BYTES).values():
        assert array.flags.writeable
        assert array.flags.aligned
        assert array.flags.owndata


@pytest.mark.parametrize("stop", range(0, 3000, 97))
def test_a_file_that_ends_anywhere_is_refused(stop):
    data = image_of(EXAMPLE)
    assert stop < len(data) - HEADER_BYTES
    with pytest.raises(FormatError, match="byte "):
        read_arrays(data[: HEADER_BYTES + stop], HEADER_BYTES)


def test_names_that_share_bytes_of_a_heap_are_refused(long_paths):
    """Otherwise a heap of a megabyte could be read once for each link."""
    data = bytearray(long_paths({"a" * 1000: np.zeros(1), "b": np.zeros(1), "c": np.zeros(1)}))
    entries = [data.index(b"SNOD") + 8 + 40 * index for index in range(3)]
    (name,) = struct.unpack_from("<Q", data, entries[0])
    heap = data.index(b"a" * 1000)
    for index in (1, 2):
        data[heap + 8 * index] = ord("a") + index  # in ascending order
        struct.pack_into("<Q", data, entries[index], name + 8 * index)
    with pytest.raises(FormatError, match=r"the root, byte .*: it has no name at \d+ of its heap"):
        read_arrays(bytes(data), HEADER_BYTES)


WITHOUT_H5PY = """
import sys
sys.modules["h5py"] = None
from nnreg.cli import main
main(sys.argv[1:])
"""


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """Save a model beside a table."""
    monkeypatch.chdir(tmp_path)
    Path("data.csv").write_text(CSV)
    nnreg.save(nnreg.run(classifier(data=csv_data())), "model.h5")


@pytest.mark.usefixtures("checkpoint")
@pytest.mark.parametrize(
    "arguments",
    ["predict model.h5 data.csv", "evaluate model.h5 data.csv", "inspect model.h5",
     "inspect --verify model.h5", "diff model.h5 model.h5"],
)  # fmt: skip
def test_a_checkpoint_is_read_where_h5py_cannot_be_imported(arguments):
    command = [sys.executable, "-c", WITHOUT_H5PY, *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_no_command_opens_a_checkpoint_with_the_library(tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    Path("data.csv").write_text(CSV)
    Path("spec.json").write_text(json.dumps(classifier(data=csv_data(split={"validation": 0.25}))))
    opened, run = [], request.getfixturevalue("nnreg")
    monkeypatch.setattr(h5py.h5f, "open", lambda *args: opened.append(args))
    for command in (
        "run spec.json --out one --set train.epochs=2",
        "resume one --set train.epochs=3",
        "run spec.json --out two --set train.start_from=one/checkpoints/best.h5",
        "predict one data.csv",
        "evaluate one data.csv",
        "inspect one",
        "inspect --verify one/checkpoints/last.h5",
        "diff one two",
        "runs .",
        "plot one two --text",
        "compare one two",
        "report one",
        "rerun one",
        "doctor",
    ):
        code, _, err = run(*command.split())
        assert (code, command) in [(0, command), (1, "diff one two")], err
    assert not opened


COMMANDS = """
import sys
from nnreg.cli import main
for command in sys.argv[1:]:
    try:
        main(command.split())
    except SystemExit as ended:
        print(command, "->", ended.code, file=sys.stderr)
"""


@pytest.mark.usefixtures("checkpoint")
@pytest.mark.parametrize("name", ["crash_1.h5", "crash_2.h5", "crash_3.h5"])
def test_a_file_that_crashes_the_library_is_refused_by_every_command(name):
    file = ROOT / "tests" / "security" / "fuzz" / "corpus" / name
    nnreg.run(classifier(data=csv_data()), out="run")
    for path in ("bad.h5", "run/checkpoints/best.h5", "run/checkpoints/last.h5"):
        Path(path).write_bytes(file.read_bytes())
    refused = ["inspect bad.h5", "inspect --verify bad.h5", "diff bad.h5 model.h5", "resume run",
               "predict bad.h5 data.csv", "evaluate run data.csv", "rerun bad.h5"]  # fmt: skip
    without = ["runs .", "plot run --text", "report run"]  # read what is beside the checkpoints
    arguments = [sys.executable, "-c", COMMANDS, *refused, *without]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=HANG_SECONDS)
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert "a bug in nnreg" not in done.stderr
    assert "Traceback" not in done.stderr
    ended = dict(re.findall("^(.*) -> (.*)$", done.stderr, re.MULTILINE))
    assert ended == {**dict.fromkeys(refused, "1"), **dict.fromkeys(without, "0")}, done.stderr
