"""Small data files that declare, or become, far more than the memory of their reader.

`python -m tests.security.data_bombs FILE` reads one, with the source of its suffix, as on a machine
of 200 MB, and prints the error, and by how many bytes its process has grown.
"""

from __future__ import annotations

import gzip
import io
import json
import resource
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

MEMORY = 200 * 10**6

BOMBS: dict[str, tuple[Callable[[Path], None], str]] = {}


def bomb(suffix: str, message: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    """Register a function that writes a file of this format, with the expected error, if any."""

    def register(write: Callable[[Path], None]) -> Callable[[Path], None]:
        BOMBS[f"{write.__name__}{suffix}"] = write, message
        return write

    return register


def header(shape: tuple[int, ...], descr: str, version: int = 1) -> bytes:
    """Return the header of an array in NumPy's format."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}\n".encode()
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text


def npz(path: Path, members: dict[str, bytes], zeros: int = 0) -> None:
    """Write an archive; `zeros` bytes follow each member."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(data)
                for _ in range(zeros // 2**20):
                    member.write(bytes(2**20))


LARGER = r"in memory, more than half of the 200 MB .* or raise the limit of the container"


@bomb(".npz", rf"'x' and the arrays before it: 400 MB {LARGER}")
def one_array_of_zeros(path: Path) -> None:
    npz(path, {"x": header((50_000_000,), "<f8")}, 400 * 2**20)


@bomb(".npz", rf"'x\d' and the arrays before it: 120 MB {LARGER}")
def many_arrays_of_zeros(path: Path) -> None:
    npz(path, {f"x{n}": header((5_000_000,), "<f8") for n in range(5)}, 40 * 2**20)


@bomb(".npz", LARGER)
def an_array_that_is_only_declared(path: Path) -> None:
    npz(path, {"x": header((2**40, 2**40), "<f8")})


@bomb(".npz", LARGER)
def texts_that_become_objects(path: Path) -> None:
    npz(path, {"x": header((4_000_000,), "<U1")}, 16 * 2**20)


@bomb(".npz", r"'x': its shape \(-5,\) is negative")
def a_negative_shape(path: Path) -> None:
    npz(path, {"x": header((-5,), "<f8")})


@bomb(".npz", "'x': Python objects, which can run code when they are read; save numbers")
def pickled_objects(path: Path) -> None:
    npz(path, {"x": header((1,), "|O") + b"\x80\x04N."})


@bomb(".npz", "'x': not an array of numbers or text: invalid header")
def a_header_that_numpy_would_trust(path: Path) -> None:
    npz(path, {"x": header((1,) * 5_000, "<f8", version=2)})


@bomb(".npz", "'x': not an array of numbers or text: invalid header")
def a_header_of_brackets(path: Path) -> None:
    text = b"(" * 9_000
    npz(path, {"x": b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text})


@bomb(".npz", "'x': encrypted or compressed in a way that NumPy does not use")
def an_archive_of_another_compression(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.npy", header((1,), "<f8") + bytes(8))


@bomb(".h5", rf"'x' and the datasets before it: 400 MB {LARGER}")
def a_dataset_without_storage(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (50_000_000,), "f8")


@bomb(".h5", LARGER)
def a_compressed_dataset(path: Path) -> None:
    with h5py.File(path, "w") as file:
        stored = file.create_dataset("x", (40_000_000,), "f8", chunks=(2**20,), compression="gzip")
        for start in range(0, len(stored), 2**20):
            stored[start : start + 2**20] = 0


@bomb(".h5", rf"'x' and the datasets before it: .* {LARGER}")
def a_row_in_a_large_chunk(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (1,), "f8", maxshape=(None,), chunks=(2**25,), compression="gzip")


@bomb(".h5", r"'x', .* rows at a time: .* store it in smaller chunks")
def rows_of_a_lazy_dataset(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (10, 50_000_000), "f8")


@bomb(".h5", r"'x', .* rows at a time")
def a_lazy_dataset_of_very_many_rows(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (2**50, 2), "u1", chunks=(2**10, 2))


@bomb(".h5", rf"'x', its first values: .* {LARGER}")
def one_text_referred_to_many_times(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=["a" * 500_000, *["b"] * 999], dtype=h5py.string_dtype())
    data = path.read_bytes()  # each reference: length, address of the heap, index
    with h5py.File(path) as file:
        start = file["x"].id.get_offset()
    path.write_bytes(data[:start] + data[start : start + 16] * 1000 + data[start + 16_000 :])


@bomb(".csv", r"a line of more than 3.1 MB: .* in memory, more than half")
def a_line_without_end(path: Path) -> None:
    with gzip.open(path, "w", 1) as file:
        file.write(b"a\n")
        for _ in range(300):
            file.write(b"1" * 2**20)


@bomb(".csv", "a line of more than 3.1 MB")
def a_header_without_end(path: Path) -> None:
    path.write_bytes(gzip.compress(b"a," * 150 * 2**20, 1))


@bomb(".csv", "a line of more than 3.1 MB")
def a_row_of_cells_of_many_lines(path: Path) -> None:
    path.write_bytes(gzip.compress(b"a\n" + b'"\n",' * 50 * 2**20, 1))


@bomb(".csv", rf"its rows so far: .* {LARGER}")
def rows_of_long_texts(path: Path) -> None:
    with gzip.open(path, "w", 1) as file:
        file.write(b"a\n")
        for number in range(3_000):
            file.write(b"%d" % number + b"x" * 100_000 + b"\n")


@bomb(".jsonl", "a line of more than 3.1 MB")
def a_line_of_json_without_end(path: Path) -> None:
    path.write_bytes(gzip.compress(b'{"a": [' + b"[]," * 100 * 2**20, 1))


@bomb(".json", "a list of objects of more than 3.1 MB")
def a_list_of_objects_without_end(path: Path) -> None:
    path.write_bytes(gzip.compress(b"[\n" + b"{},\n" * 100 * 2**20, 1))


@bomb("-ubyte", rf"an array of the shape \(300000000,\): 600 MB {LARGER}")
def an_array_of_idx(path: Path) -> None:
    zeros = io.BytesIO()
    with gzip.GzipFile(fileobj=zeros, mode="w", compresslevel=1) as file:
        file.write(b"\0\0\x08\x01" + struct.pack(">I", 300_000_000))
        for _ in range(300):
            file.write(bytes(10**6))
    path.write_bytes(zeros.getvalue())


@bomb(".parquet", rf"{LARGER}")
def a_row_group(path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"x": pyarrow.array(np.zeros(50_000_000))})
    pyarrow.parquet.write_table(
        table, path, row_group_size=len(table), use_dictionary=False, compression="zstd"
    )


@bomb(".parquet", "")  # it stays small
def one_text_in_every_row(path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    column = pyarrow.DictionaryArray.from_arrays(np.zeros(20_000, np.int32), ["a" * 100_000])
    table = pyarrow.table({"x": column})
    pyarrow.parquet.write_table(table, path, store_schema=False)


@bomb(".parquet", rf"lists of 50,000,000 values: 400 MB {LARGER}")
def a_row_of_many_values(path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    values = pyarrow.array(np.zeros(50_000_000))
    lists = pyarrow.ListArray.from_arrays(np.array([0, len(values)], np.int32), values)
    pyarrow.parquet.write_table(pyarrow.table({"x": lists}), path)


def main(path: str) -> None:
    """Read a file and print the outcome."""
    import nnreg._utils.memory
    from nnreg.data.loading import read_table, source_entry
    from nnreg.errors import DataError
    from nnreg.registry.registry import installed

    entry = source_entry(Path(path), installed())
    assert entry is not None
    if path.endswith(".parquet"):
        import pyarrow.parquet  # noqa: F401 - its own memory is not that of the data
    import nnreg._utils.hdf5

    nnreg._utils.memory.memory_limit = lambda: MEMORY
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message = ""
    try:
        read_table(entry.cls(), Path(path))
    except DataError as error:
        message = str(error)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"message": message, "grown": 1024 * grown}))


if __name__ == "__main__":
    main(sys.argv[1])
