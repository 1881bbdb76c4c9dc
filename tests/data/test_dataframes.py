"""Data frames and Parquet: categories, missing values, booleans, dates, lists."""

import datetime
import sys

import numpy as np
import pandas as pd
import pytest

import nnreg
from nnreg import DataError
from nnreg.builtin.sources.parquet import Parquet
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.tables.categorical import Categorical
from nnreg.tables.columns import categorical, is_numeric, numbers
from nnreg.tables.concat import concat_chunks
from nnreg.tables.convert import table_of
from nnreg.tables.lazy import materialize
from nnreg.tables.ragged import Ragged
from tests.helpers.specs import classifier

DAYS = [datetime.datetime(2024, 1, 31, 8, 30), None, datetime.datetime(2024, 2, 1)]


def column(series):
    return table_of(pd.DataFrame({"a": series}))


@pytest.mark.parametrize("dtype", ["Int64", "Float32", "float64", "UInt8", "boolean"])
def test_a_nullable_numeric_column_is_numeric(dtype):
    values = [True, None, False] if dtype == "boolean" else [3, None, 5]
    expected = [1, np.nan, 0] if dtype == "boolean" else values
    table = column(pd.Series(values, dtype=dtype))
    np.testing.assert_array_equal(numbers(table, "a"), np.array(expected, float))


@pytest.mark.parametrize("dtype", ["object", "string", "str"])
def test_a_nullable_text_column_is_text(dtype):
    assert categorical(column(pd.Series(["x", None, "007"], dtype=dtype)), "a").text().tolist() == [
        "x", None, "007"
    ]  # fmt: skip


def test_truth_values_are_categories_as_in_a_csv_file_with_and_without_a_missing_one():
    for values in ([True, False, True], [True, None, False]):
        table = column(pd.Series(values))
        assert not is_numeric(table, "a")
        expected = [None if value is None else str(value) for value in values]
        assert categorical(table, "a").text().tolist() == expected
        assert numbers(table, "a")[0] == 1  # for a checkpoint that was trained on numbers


def test_categories_stay_categories_and_numeric_ones_become_numbers():
    table = column(pd.Series(["x", "y", None, "x"], dtype="category"))
    assert isinstance(table.columns["a"], Categorical)
    assert categorical(table, "a").text().tolist() == ["x", "y", None, "x"]
    table = column(pd.Series([10, 2, None, 10], dtype="category"))
    np.testing.assert_array_equal(numbers(table, "a"), [10, 2, np.nan, 10])


def test_lists_of_equal_length_are_arrays_and_others_are_sequences():
    assert column(pd.Series([[1, 2], [3, 4]])).columns["a"].shape == (2, 2)
    ragged = column(pd.Series([[1, 2], [3]])).columns["a"]
    assert isinstance(ragged, Ragged)
    assert ragged.lengths.tolist() == [2, 1]
    assert ragged.steps.tolist() == [1, 2, 3]
    with pytest.raises(DataError, match="a: a cell holds a dict"):
        column(pd.Series([{"x": 1}, {}]))


@pytest.mark.parametrize(
    "dates",
    [pd.Series(DAYS), pd.Series(DAYS, dtype="datetime64[ns, UTC]"), pd.Series(DAYS, dtype=object)],
)
def test_dates_are_refused_with_advice(dates):
    frame = pd.DataFrame({"when": dates.iloc[[0, 2] * 10].reset_index(drop=True), "x": range(20)})
    target = np.array(["a", "b"] * 10)
    with pytest.raises(DataError, match="'when' holds dates or times, such as '2024-01-31"):
        nnreg.build(classifier(), data=(frame, target))


def test_a_missing_date_is_missing_and_not_a_category():
    for series in (pd.Series(DAYS), pd.Series(DAYS, dtype=object)):
        assert categorical(column(series), "a").text().tolist()[1] is None


def test_time_differences_and_complex_numbers_are_refused():
    for values in (pd.Series([datetime.timedelta(1)]), np.array([1j])):
        with pytest.raises(DataError, match=r"values of type .*; expected numbers or text"):
            table_of({"a": values})


def test_two_columns_of_the_same_name_are_refused():
    with pytest.raises(DataError, match="two columns 'a'"):
        table_of(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_without_pyarrow_the_error_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "d.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"d\.parquet: .* pip install 'nnreg\[parquet\]'"):
        Parquet().read(tmp_path / "d.parquet")


@pytest.mark.verify
class TestPolars:
    def test_its_columns_are_read_as_those_of_pandas(self, peer):
        pl = peer("polars")
        table = table_of(pl.DataFrame({
            "number": [1, None, 3], "truth": [True, None, False], "text": ["x", None, "y"],
            "category": pl.Series(["u", "v", None], dtype=pl.Categorical),
            "choice": pl.Series(["u", "v", None], dtype=pl.Enum(["v", "u"])),
            "pair": pl.Series([[1, 2], [3, 4], [5, 6]], dtype=pl.Array(pl.Int8, 2)),
        }))  # fmt: skip
        np.testing.assert_array_equal(numbers(table, "number"), [1, np.nan, 3])
        np.testing.assert_array_equal(numbers(table, "truth"), [1, np.nan, 0])
        assert categorical(table, "text").text().tolist() == ["x", None, "y"]
        for name in ("category", "choice"):
            assert categorical(table, name).text().tolist() == ["u", "v", None]
        assert table.columns["pair"].shape == (3, 2)

    def test_large_integers_beside_a_missing_one_are_exact(self, peer):
        table = table_of(peer("polars").DataFrame({"id": [2**53 + 1, None]}))
        assert categorical(table, "id").text().tolist() == ["9007199254740993", None]

    def test_dates_are_refused_with_advice(self, peer):
        frame = peer("polars").DataFrame({"when": [DAYS[0], DAYS[2]] * 5, "x": range(10)})
        with pytest.raises(DataError, match="'when' holds dates or times, such as '2024-01-31"):
            nnreg.build(classifier(), data=(frame, ["a", "b"] * 5))


@pytest.mark.verify
class TestParquet:
    @pytest.fixture
    def written(self, peer, tmp_path):
        pa, parquet = peer("pyarrow"), peer("pyarrow.parquet")

        def write(columns, **options):
            table = columns if isinstance(columns, pa.Table) else pa.table(columns)
            parquet.write_table(table, tmp_path / "d.parquet", **options)
            return tmp_path / "d.parquet"

        return write

    def test_every_kind_of_column_is_read(self, written, peer):
        pa = peer("pyarrow")
        table = Parquet().read(written({
            "number": pa.array([1.5, None, 3]), "small": pa.array([1, 2, 3], pa.int8()),
            "gap": pa.array([1, None, 3]), "truth": pa.array([True, None, False]),
            "text": ["007", None, "x"], "category": pa.array(["u", "v", None]).dictionary_encode(),
            "pair": pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.float32(), 2)),
            "cost": pa.array([1, 2, None], pa.decimal128(5, 2)), "when": pa.array(DAYS),
            "nothing": pa.nulls(3),
        }))  # fmt: skip
        for name, expected in {
            "number": [1.5, np.nan, 3], "small": [1, 2, 3], "gap": [1, np.nan, 3],
            "truth": [1, np.nan, 0], "cost": [1, 2, np.nan],
        }.items():  # fmt: skip
            np.testing.assert_array_equal(numbers(table, name), expected)
        assert table.columns["small"].dtype == np.int8
        assert categorical(table, "text").text().tolist() == ["007", None, "x"]
        assert categorical(table, "category").text().tolist() == ["u", "v", None]
        assert table.columns["pair"].shape == (3, 2)
        assert categorical(table, "when").text()[0].startswith("2024-01-31 08:30:00")
        assert categorical(table, "nothing").text().tolist() == [None] * 3

    def test_the_axes_of_nested_lists_are_kept(self, written, peer):
        pa = peer("pyarrow")
        images = np.arange(12.0).reshape(2, 3, 2)
        for kind in (pa.list_(pa.list_(pa.float64())), pa.list_(pa.list_(pa.float64(), 2), 3)):
            table = Parquet().read(written({"image": pa.array(images.tolist(), kind)}))
            np.testing.assert_array_equal(table.columns["image"], images)

    @pytest.mark.parametrize("rows", [1, 2, 5])
    def test_large_integers_and_truth_values_beside_missing_ones_are_exact(
        self, written, peer, monkeypatch, rows
    ):
        monkeypatch.setattr("nnreg.builtin.sources.parquet_file.ROWS", rows)
        pa, big = peer("pyarrow"), 2**53 + 1
        for numbers_read in ([3, None, 4, None, big], [big, None, 4], [None, 4, big], [4, big]):
            truth = [n if n is None else n > 4 for n in numbers_read]
            path = written({"id": pa.array(numbers_read, pa.int64()), "truth": truth})
            for names in ((), ("id", "truth")):
                table = concat_chunks(Parquet(), path, names)
                for name, values in (("id", numbers_read), ("truth", truth)):
                    expected = [None if value is None else str(value) for value in values]
                    assert categorical(table, name).text().tolist() == expected

    def test_many_chunks_are_one_table(self, written, monkeypatch):
        monkeypatch.setattr("nnreg.builtin.sources.parquet_file.ROWS", 7)
        path = written({"a": list(range(100)), "w": ["x", "y"] * 50}, row_group_size=30)
        chunks = list(Parquet().iter_chunks(path))
        assert len(chunks) > 13
        assert chunks[-1].fraction_read == 1
        table = Parquet().read(path)
        assert table.columns["a"].tolist() == list(range(100))
        assert categorical(table, "w").text().tolist() == ["x", "y"] * 50

    def test_a_run_trains_and_predicts(self, written, nnreg, monkeypatch, tmp_path):
        rng = np.random.default_rng(0)
        x = rng.normal(size=60)
        path = written({"x": x, "y": np.where(x > 0, "a", "b").tolist()})
        monkeypatch.chdir(tmp_path)
        data = {"source": "parquet", "path": str(path), "target": "y"}
        prepare_from_spec(read_spec(classifier(data=data)))

    def test_a_file_that_is_not_parquet_is_refused(self, written, tmp_path):
        whole = written({"a": [1, 2, 3]}).read_bytes()
        for data in (b"", b"PAR1", whole[:-9], whole[:20], b"PAR1" + b"\xff" * 50 + b"PAR1"):
            (tmp_path / "d.parquet").write_bytes(data)
            with pytest.raises(DataError, match=r"d\.parquet: not a readable Parquet file"):
                Parquet().read(tmp_path / "d.parquet")

    def test_empty_tables_and_structures_are_refused(self, written, peer):
        pa = peer("pyarrow")
        with pytest.raises(DataError, match="there are no rows"):
            Parquet().read(written({"a": pa.array([], pa.int8())}))
        with pytest.raises(
            DataError, match=r"column 'a': values of type struct<.*expected numbers"
        ):
            Parquet().read(written({"a": [{"x": 1}]}))


def test_text_that_stays_dictionary_encoded_is_the_same_table(tmp_path, monkeypatch, peer):
    pyarrow, parquet = peer("pyarrow"), peer("pyarrow.parquet")
    table = pyarrow.table({"x": ["a ", None, "1.0", "1", "a"] * 9, "y": [1, 2, 3, 4, 5] * 9})
    parquet.write_table(table, tmp_path / "d.parquet")
    usual = concat_chunks(Parquet(), tmp_path / "d.parquet").columns
    monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: 1_000_000)
    found = concat_chunks(Parquet(), tmp_path / "d.parquet").columns
    assert isinstance(found["x"], Categorical)
    assert materialize(found["x"]).tolist() == materialize(usual["x"]).tolist()
    assert found["y"].tolist() == usual["y"].tolist()
