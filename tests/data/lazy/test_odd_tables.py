"""Tables with all that a file may have: streamed, they are trained on as in memory, bit for bit."""

import json
import warnings

import numpy as np
import pytest

import nnreg.tables.stored
from nnreg import NnregError
from nnreg.builtin.sources import delimited_reader, parquet_file
from nnreg.errors import NnregWarning
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.tables.lazy import LazyArray, materialize
from tests.helpers.specs import classifier

REASON = "pyarrow is not installed; it comes with the extra 'verify'"
PARQUET = {"source": {"type": "parquet"}, "path": "d.parquet", "target": "y"}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch, tmp_path):
    """Read a few rows at once."""
    monkeypatch.setattr(nnreg.tables.stored, "BLOCK", 64)
    monkeypatch.setattr(delimited_reader, "BLOCK", 150)
    monkeypatch.setattr(delimited_reader, "MIN_BLOCK_LINES", 1)
    monkeypatch.setattr(delimited_reader, "FIRST_BLOCK", 40)
    monkeypatch.setattr(parquet_file, "ROWS", 7)
    monkeypatch.setattr(parquet_file, "MIN_ROWS", 1)
    monkeypatch.chdir(tmp_path)


def outcome(data, stream):
    """Return what is learned, encoded, trained and reported of a table; or the text of an error."""
    data = json.loads(json.dumps(data))
    data["source"]["stream"] = stream
    train = {"epochs": 1, "batch_size": 7, "shuffle": False}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            run = prepare_from_spec(read_spec(classifier(data=data, train=train)))
            splits = [run.splits[name].x for name in sorted(run.splits) if run.splits[name]]
            assert all(isinstance(x, LazyArray) == stream for x in splits)
            encoded = [materialize(x).tobytes() for x in splits]
            list(run.model.trainer(run.train, run.validation).epochs())
        except NnregError as error:
            return str(error)
    notes = {str(one.message) for one in caught if issubclass(one.category, NnregWarning)}
    return run.model.preprocessing, encoded, run.model.network.vector.tobytes(), notes


def assert_as_in_memory(data):
    streamed = outcome(data, True)
    assert streamed == outcome(data, False)
    return streamed


def section(rng, source, path):
    return {
        "source": source,
        "path": path,
        "target": "y",
        "missing": str(rng.choice(["impute", "indicate"])),
        "unseen": "ignore",
        "split": {"validation": 0.2} if rng.random() < 0.5 else {},
    }


class TestCsv:
    @staticmethod
    def column(rng, rows):
        decimals = rng.normal(0, 9, rows).round(int(rng.integers(0, 6))).astype(str)
        whole = rng.integers(0, 9, rows).astype(str)
        late = np.where(np.arange(rows) < rows // 2, whole, decimals)
        words = rng.choice(["ulm", "bonn", "a\nb", 'x "y"', "ä,b", " c ", "7", "007"], rows)
        exact = (2**53 + rng.integers(0, 9, rows)).astype(str)
        truth = rng.choice(["True", "False"], rows)
        cells = [decimals, whole, late, words, exact, truth][rng.integers(6)].astype(object)
        gaps = rng.random(rows) < rng.choice([0, 0.2])
        if rng.random() < 0.2:
            gaps |= np.arange(rows) < rows // 3  # in all of the first blocks
        cells[gaps] = rng.choice(["", "NA", "null"])
        return cells.tolist()

    @staticmethod
    def break_one(rng, table, lines):
        """Give a table one defect, or none."""
        rows, kind = len(lines) - 1, rng.integers(15)
        line = int(rng.integers(1, rows + 1))
        texts = ["many", "inf", "1e400", "2024-01-31", "1_000", "1,5"]
        if kind < len(texts):
            table["a"][line - 1] = texts[kind]
        elif kind == len(texts):
            table["a"] = [""] * rows
        return {len(texts) + 1: "1,2", len(texts) + 2: '"'}.get(int(kind), ""), line

    def write(self, rng, path):
        """Write a table; return the options of the source."""
        rows = int(rng.choice([1, 2, 30, 60]))
        table = {name: self.column(rng, rows) for name in ("a", "b", "c")}
        table["y"] = rng.choice(["low", "high"], rows).tolist()
        added, at = self.break_one(rng, table, [""] * (rows + 1))
        delimiter, end = rng.choice([",", ";", "\t"]), rng.choice(["\n", "\r\n", "\r"])
        trailing = delimiter if rng.random() < 0.1 else ""

        def cell(text):
            quoted = {*text} & {*'"\r\n', delimiter} or rng.random() < 0.03
            return '"' + text.replace('"', '""') + '"' if quoted else text

        body = [
            delimiter.join(map(cell, row)) + trailing for row in zip(*table.values(), strict=True)
        ]
        source = {"type": "csv", "delimiter": str(delimiter)}
        if added:
            body[at - 1] = added
        if rng.random() < 0.3:
            source["comment"] = "#"
            for place in rng.integers(0, len(body) + 1, 3):
                body[place:place] = ["# a comment"] * int(rng.integers(1, 9))
        if rng.random() < 0.3:
            body.insert(int(rng.integers(len(body) + 1)), "")
        if rng.random() < 0.2:
            source |= {"header": False, "names": list(table)}
        else:
            body.insert(0, delimiter.join(table))
        encoding = str(rng.choice(ENCODINGS))
        if not encoding.startswith("utf-8"):
            source["encoding"] = encoding
        text = end.join(body) + end * int(rng.integers(2))
        path.write_bytes(text.encode(encoding))
        return source

    @pytest.mark.parametrize("seed", range(30))
    def test_a_random_table(self, seed, tmp_path):
        rng = np.random.default_rng(seed)
        source = self.write(rng, tmp_path / "d.csv")
        assert_as_in_memory(section(rng, source, "d.csv"))

    def test_rows_after_comments_at_the_end_of_a_block_are_read_once(self, tmp_path):
        rows = [f"{n},w{n % 3},{'ab'[n % 2]}" for n in range(30)]
        for comments in range(4, 16, 3):
            lines = ["x,word,y", *rows[:2], *["# none"] * comments, *rows[2:]]
            (tmp_path / "d.csv").write_text("\n".join(lines))
            source = {"type": "csv", "comment": "#"}
            found = assert_as_in_memory({"source": source, "path": "d.csv", "target": "y"})
            assert not isinstance(found, str)

    def test_several_files_of_other_types_are_located_alike(self, tmp_path):
        (tmp_path / "p1.csv").write_text("x,y\n" + "1,a\n2,b\n" * 20)
        (tmp_path / "p2.csv").write_text("x,y\n" + "1.5,a\n\n,b\n" * 9 + "much,b\n")
        data = {"source": {"type": "csv"}, "path": "p?.csv", "target": "y", "missing": "impute"}
        assert "line 29 of p2.csv, column 'x': found 'much'" in assert_as_in_memory(data)
        (tmp_path / "p2.csv").write_text("x,y\n" + "1.5,a\n\n,b\n" * 9)
        del data["missing"]
        assert "line 4 of p2.csv, column 'x': the value is missing" in assert_as_in_memory(data)

    def test_unknown_categories_in_several_files_are_located_alike(self, tmp_path):
        (tmp_path / "p1.csv").write_text("x,y\n" + "ulm,a\nbonn,b\n" * 20)
        (tmp_path / "p2.csv").write_text("x,y\n" + "ulm,a\n" * 8 + "jena,b\n")
        split = {"validation": 0.2, "order": True}
        data = {"source": {"type": "csv"}, "path": "p?.csv", "target": "y", "split": split}
        *_, notes = assert_as_in_memory({**data, "unseen": "ignore"})
        assert any("line 10 of p2.csv, column 'x': unknown category 'jena'" in n for n in notes)
        assert "line 10 of p2.csv, column 'x': unknown category" in assert_as_in_memory(data)

    @pytest.mark.parametrize("encoder", [None, "values"])
    def test_lists_are_refused_if_streaming_is_set(self, tmp_path, encoder):
        (tmp_path / "d.csv").write_text("x,y\n" + '"[1, 2]",a\n"[3, 4]",b\n' * 20)
        columns = {} if encoder is None else {"columns": {"x": encoder}}
        data = {"source": {"type": "csv"}, "path": "d.csv", "target": "y", **columns}
        assert "column 'x' has sequences" in outcome(data, True)


@pytest.mark.verify
class TestParquet:
    @staticmethod
    def column(rng, rows):
        pyarrow = pytest.importorskip("pyarrow", reason=REASON)
        numbers, whole = rng.normal(0, 3, rows).round(2), rng.integers(-5, 5, rows)
        words = rng.choice(["ulm", "bonn", "NA", "7", "007", " x "], rows)
        gaps = rng.random(rows) < rng.choice([0, 0.2])
        days = np.datetime64("2024-01-01") + whole
        makers = [
            lambda: pyarrow.array(numbers.astype(rng.choice(["f4", "f8"])), mask=gaps),
            lambda: pyarrow.array(whole.astype(rng.choice(["i1", "i4", "i8"])), mask=gaps),
            lambda: pyarrow.array(2**53 + np.where(numbers > 5, 1, whole), mask=gaps),
            lambda: pyarrow.array(numbers > 0, mask=gaps),
            lambda: pyarrow.array(words, mask=gaps),
            lambda: pyarrow.array(words).dictionary_encode(),
            lambda: pyarrow.array(whole).dictionary_encode(),
            lambda: pyarrow.array(days),
            lambda: pyarrow.array([*numbers[1:], np.nan]),
            lambda: pyarrow.array([*numbers[1:], np.inf]),
            lambda: pyarrow.nulls(rows),
            lambda: pyarrow.array(numbers).cast(pyarrow.decimal128(12, 3), safe=False),
        ]
        return makers[rng.integers(len(makers))]()

    @staticmethod
    def write(rng, path, table):
        """Write groups of rows, some of which are empty."""
        parquet = pytest.importorskip("pyarrow.parquet", reason=REASON)
        with parquet.ParquetWriter(path, table.schema) as writer:
            start = 0
            while start < max(len(table), 1):
                if rng.random() < 0.2:
                    writer.write_table(table.slice(0, 0))
                size = int(rng.choice([1, 5, 40]))
                writer.write_table(table.slice(start, size))
                start += size

    @pytest.mark.parametrize("seed", range(30))
    def test_a_random_table(self, seed, tmp_path):
        pyarrow = pytest.importorskip("pyarrow", reason=REASON)
        rng = np.random.default_rng(seed)
        rows = int(rng.choice([1, 2, 30, 60]))
        table = {name: self.column(rng, rows) for name in ("a", "a.b")}
        table["y"] = rng.choice(["low", "high"], rows)
        table = pyarrow.table(table)
        cut = int(rng.integers(rows + 1))
        parts = (table,) if rng.random() < 0.5 else (table[:cut], table[cut:])
        for number, part in enumerate(parts):
            self.write(rng, tmp_path / f"d{number}.parquet", part)
        path = "d0.parquet" if len(parts) == 1 else "d*.parquet"
        data = section(rng, {"type": "parquet"}, path)
        if rng.random() < 0.3:
            data["columns"] = {"a": "category"}
        assert_as_in_memory(data)

    @pytest.mark.parametrize("encoder", [None, "category"])
    def test_arrays_are_numbers_whatever_their_encoder(self, tmp_path, encoder):
        self.table(tmp_path, {"x": [[float(n), n + 1.5] for n in range(20)]})
        data = {"columns": {"x": encoder}} if encoder else {}
        found = assert_as_in_memory({**PARQUET, **data})
        assert found[0].input_shape == (2,)

    def test_arrays_of_no_values_are_refused_as_in_memory(self, tmp_path):
        pyarrow = pytest.importorskip("pyarrow", reason=REASON)
        self.table(tmp_path, {"x": pyarrow.array([[]] * 20, pyarrow.list_(pyarrow.float32()))})
        assert "column 'x' has no values that the network could" in assert_as_in_memory(PARQUET)

    def test_lists_of_texts_are_refused_whatever_their_encoder(self, tmp_path):
        self.table(tmp_path, {"x": [["a", "b"]] * 20})
        data = {**PARQUET, "columns": {"x": "category"}}
        assert "column 'x' has sequences" in outcome(data, True)

    def test_the_first_wrong_text_is_located_whatever_the_order_of_categories(self, tmp_path):
        pyarrow = pytest.importorskip("pyarrow", reason=REASON)
        codes = pyarrow.array([1] * 9 + [2, 0] * 5 + [1], pyarrow.int8())
        cells = pyarrow.DictionaryArray.from_arrays(codes, pyarrow.array(["few", "7", "many"]))
        self.table(tmp_path, {"x": cells})
        assert "row 9, column 'x': found 'many' among" in assert_as_in_memory(PARQUET)

    def test_the_name_of_a_directory_may_be_the_only_input_beside_lists(self, tmp_path):
        for name in ("k=a", "k=b"):
            (tmp_path / "d.parquet" / name).mkdir(parents=True)
            self.table(tmp_path / "d.parquet" / name, {"x": [[1.0], [2.0, 3.0]] * 10})
        found = assert_as_in_memory({**PARQUET, "inputs": "k"})
        assert found[0].names == ("k",)

    @staticmethod
    def table(directory, columns):
        parquet = pytest.importorskip("pyarrow.parquet", reason=REASON)
        import pyarrow

        table = pyarrow.table({**columns, "y": ["a", "b"] * 10})
        parquet.write_table(table, directory / "d.parquet")
