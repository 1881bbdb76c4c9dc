"""Arrow files and streams, and data sets of Parquet files; they need pyarrow."""

from contextlib import suppress

import numpy as np
import pytest

from nnreg.builtin.sources.arrow import Arrow
from nnreg.builtin.sources.images import Images
from nnreg.builtin.sources.parquet import Parquet
from nnreg.data.files import digest_of, regular_files
from nnreg.data.loading import read_chunks, read_table, source_entry
from nnreg.errors import DataError
from nnreg.registry.registry import installed
from nnreg.tables.columns import categorical, is_numeric, numbers

REASON = "pyarrow is not installed; it comes with the extra 'verify'"
pa = pytest.importorskip("pyarrow", reason=REASON)
feather = pytest.importorskip("pyarrow.feather", reason=REASON)
parquet = pytest.importorskip("pyarrow.parquet", reason=REASON)

pytestmark = pytest.mark.verify


def table(rows=10, start=0):
    text = pa.array(["u", "v"] * (rows // 2)).dictionary_encode()
    return pa.table({"x": np.arange(start, start + rows) / 2, "word": text})


def as_stream(path):
    with pa.ipc.new_stream(path, table().schema) as stream:
        stream.write_table(table(), max_chunksize=4)


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd", "stream"])
def test_files_and_streams_are_read(tmp_path, compression):
    path = tmp_path / "d.feather"
    if compression == "stream":
        as_stream(path)
    else:
        feather.write_feather(table(), path, compression=compression, chunksize=4)
    chunks = list(read_chunks(Arrow(), path))
    assert [len(one) for one in chunks] == [4, 4, 2]
    assert chunks[1].row_label(1) == "row 5"
    found = read_table(Arrow(), path)
    assert found.columns["x"].tolist() == table()["x"].to_pylist()
    assert categorical(found, "word").text().tolist() == ["u", "v"] * 5


def test_a_large_batch_is_converted_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("nnreg.builtin.sources.arrow.ROWS", 3)
    feather.write_feather(table(), tmp_path / "d.arrow")
    chunks = list(read_chunks(Arrow(), tmp_path / "d.arrow"))
    assert [one.row_label(0) for one in chunks] == ["row 0", "row 3", "row 6", "row 9"]


@pytest.mark.parametrize("what", ["batch", "dictionary"])
def test_sizes_are_checked_before_values_are_decompressed(tmp_path, monkeypatch, what):
    zeros = pa.array(np.zeros(100_000))
    words = pa.array(["a" * 800_000]).dictionary_encode()
    path = tmp_path / "d.arrow"
    column = zeros if what == "batch" else words
    feather.write_feather(pa.table({"x": column}), path, compression="zstd", chunksize=100_000)
    assert path.stat().st_size < 20_000
    monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: 10**6)
    with pytest.raises(DataError, match=r"d\.arrow, a batch of rows: 800 kB in memory.*batches"):
        read_table(Arrow(), path)


def test_a_file_that_is_not_arrow_is_refused(tmp_path):
    path = tmp_path / "d.arrow"
    feather.write_feather(table(), path)
    whole = path.read_bytes()
    for data in (b"", b"ARROW1\0\0", b"FEA1", b"\xff" * 99, whole[:20], whole[:400]):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"d\.arrow: "):
            read_table(Arrow(), path)


def test_no_mutation_ends_in_another_exception(tmp_path):
    path = tmp_path / "d.arrow"
    feather.write_feather(pa.table({"x": ["a", "bc"] * 5, "y": range(10)}), path)
    whole = path.read_bytes()
    for seed in range(300):
        rng, data = np.random.default_rng(seed), bytearray(whole)
        for position in rng.integers(8, len(data), 3):
            data[position] = rng.integers(256)
        path.write_bytes(data)
        with suppress(DataError):
            read_table(Arrow(), path)


@pytest.fixture
def data_set(tmp_path):
    for year in (2023, 2024):
        for part in range(2):
            folder = tmp_path / f"set/year={year}/town=a%20b"
            folder.mkdir(parents=True, exist_ok=True)
            parquet.write_table(table(4, year), folder / f"part-{part}.parquet")
    (tmp_path / "set/_metadata").write_bytes(b"")
    return tmp_path / "set"


def test_a_directory_is_one_table_with_the_columns_of_its_names(data_set):
    found = read_table(Parquet(), data_set)
    assert list(found.columns) == ["x", "word", "year", "town"]
    np.testing.assert_array_equal(numbers(found, "year"), [2023] * 8 + [2024] * 8)
    assert is_numeric(found, "year")
    assert set(categorical(found, "town").text()) == {"a b"}
    assert found.row_label(9) == "row 1 of year=2024/town=a%20b/part-0.parquet"
    entry = source_entry(data_set, installed())
    assert entry is not None
    assert entry.cls is Parquet


def test_missing_values_and_empty_files_of_a_data_set(data_set):
    unknown = data_set / "year=__HIVE_DEFAULT_PARTITION__/town=c"
    unknown.mkdir(parents=True)
    parquet.write_table(table(2), unknown / "a.parquet")
    parquet.write_table(table(0), unknown / "b.parquet")
    years = numbers(read_table(Parquet(), data_set), "year")
    assert np.isnan(years).sum() == 2


def test_every_file_of_a_data_set_is_part_of_its_digest(data_set):
    before = digest_of(data_set, regular_files(Parquet(), data_set))
    parquet.write_table(table(2), data_set / "year=2024/town=a%20b/part-9.parquet")
    files = regular_files(Parquet(), data_set)
    assert len(files) == 5
    assert digest_of(data_set, files) != before


def test_a_data_set_of_other_columns_is_refused(data_set):
    parquet.write_table(table(2), data_set / "year=2024/late.parquet")
    with pytest.raises(DataError, match=r"late\.parquet: no column 'town', which part-0\.parquet"):
        read_table(Parquet(), data_set)
    parquet.write_table(
        table(2).append_column("year", [[1, 2]]), data_set / "year=2024/late.parquet"
    )
    with pytest.raises(DataError, match="'year' is in the file and in the name of its directory"):
        read_table(Parquet(), data_set)


def test_a_directory_without_parquet_files_is_for_images(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat/a.png").write_bytes(b"")
    entry = source_entry(tmp_path, installed())
    assert entry is not None
    assert entry.cls is Images
    with pytest.raises(DataError, match="no Parquet files in this directory"):
        regular_files(Parquet(), tmp_path)
