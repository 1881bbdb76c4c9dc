"""CSV as people have it: comments, titles, `sep=`, no header, delimiters at the end of lines."""

import json
import warnings

import numpy as np
import pytest

from nnreg import DataError
from nnreg.builtin.sources import delimited_reader
from nnreg.builtin.sources.delimited import Csv, Tsv
from nnreg.errors import NnregWarning, SpecError
from nnreg.spec.document import read_spec
from nnreg.tables.columns import categorical, numbers
from tests.helpers.specs import csv_data, regressor


@pytest.fixture(params=[1, 2**14])
def read(tmp_path, monkeypatch, request):
    """Write a file and read it, a line at a time and at once."""
    monkeypatch.setattr(delimited_reader, "BLOCK", request.param)
    monkeypatch.setattr(delimited_reader, "FIRST_BLOCK", request.param)

    def written(content, **options):
        path = tmp_path / "t.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return Csv(**options).read(path)

    return written


def columns(table):
    return {name: categorical(table, name).text().tolist() for name in table.columns}


def lines(table):
    return [int(line) for line in table.line_numbers]


class TestComments:
    def test_lines_that_begin_with_the_comment_are_left_out(self, read):
        body = "# of 2024\na,b\n1,x\n# none, at all\n2,#y\n3,z # no comment\n#\n"
        table = read(body, comment="#")
        assert columns(table) == {"a": ["1", "2", "3"], "b": ["x", "#y", "z # no comment"]}
        assert lines(table) == [3, 5, 6]

    def test_a_comment_may_have_any_length(self, read):
        assert columns(read("// it's\na\n//1\n/2\n", comment="//")) == {"a": ["/2"]}

    def test_a_line_within_a_quoted_cell_is_no_comment(self, read):
        body = '# "\na,b\n1,"x\n# y"\n#, 5" wide\n"#2",z\n3,"\n# q\n"\n# end'
        table = read(body, comment="#")
        assert columns(table) == {"a": ["1", "#2", "3"], "b": ["x\n# y", "z", "# q"]}
        assert lines(table) == [4, 6, 9]

    def test_comments_do_not_change_what_is_read_at_any_length_of_blocks(self, read):
        rows = [f"{i},{i / 4},{'ab'[i % 2]}" for i in range(60)]
        plain = read("n,x,c\n" + "\n".join(rows))
        for step in (1, 2, 7):
            inserted = [f"{row}\n# note" if i % step == 0 else row for i, row in enumerate(rows)]
            table = read("n,x,c\n" + "\n".join(inserted), comment="#")
            assert columns(table) == columns(plain)
            expected = [2 + i + -(-i // step) for i in range(60)]
            assert lines(table) == expected

    def test_an_error_after_comments_has_the_right_line(self, read):
        with pytest.raises(DataError, match=r"line 5: 1 cell, but the header has 2"):
            read("# one\na,b\n# two\n1,2\n3\n", comment="#")
        with pytest.raises(DataError, match=r"line 5: not .* row that begins in line 4"):
            read('# one\na,b\n# two\n1,"2\n3\n', comment="#")

    def test_without_the_option_the_error_says_how_to_set_it(self, read):
        with pytest.raises(DataError, match=r"line 3: 1 cell, .* is a comment, set") as caught:
            read("a,b\n1,2\n# end\n")
        fix = json.loads(str(caught.value).partition("set the source to ")[2])
        assert fix == {"type": "csv", "comment": "#"}
        assert columns(read("a,b\n1,2\n# end\n", comment="#")) == {"a": ["1"], "b": ["2"]}


class TestLinesBeforeTheHeader:
    def test_title_lines_are_left_out(self, read):
        table = read('Sales, "2024\n\na,b\n1,2\n', skip_lines=2)
        assert columns(table) == {"a": ["1"], "b": ["2"]}
        assert lines(table) == [4]

    def test_a_title_that_is_read_as_the_header_is_reported(self, read):
        with pytest.raises(DataError, match=r"line 3: 2 cells, .*if line 1 is a title") as caught:
            read("Sales\n\na,b\n1,2\n")
        fix = json.loads(str(caught.value).partition("set the source to ")[2])
        assert fix == {"type": "csv", "skip_lines": 1}
        assert columns(read("Sales\n\na,b\n1,2\n", skip_lines=1)) == {"a": ["1"], "b": ["2"]}

    def test_more_lines_than_the_file_has(self, read):
        with pytest.raises(DataError, match="the file is empty after 9 lines; expected a header"):
            read("a\n1\n", skip_lines=9)

    @pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;"])
    def test_the_first_line_may_name_the_delimiter(self, read, first):
        table = read(f"{first}\r\na;b\r\n1;x,y\r\n")
        assert columns(table) == {"a": ["1"], "b": ["x,y"]}
        assert lines(table) == [3]

    def test_it_may_be_a_tab_and_counts_as_a_line_before_the_header(self, read):
        assert columns(read("sep=\t\na\tb\n1\t2\n")) == {"a": ["1"], "b": ["2"]}
        assert columns(read("sep=;\na;b\n1;2\n", skip_lines=1)) == {"a": ["1"], "b": ["2"]}
        assert columns(read("sep=;\nSales\na;b\n1;2\n", skip_lines=2)) == {"a": ["1"], "b": ["2"]}

    def test_it_may_not_contradict_the_source(self, read, tmp_path):
        assert columns(read("sep=;\na;b\n1;2\n", delimiter=";")) == {"a": ["1"], "b": ["2"]}
        with pytest.raises(DataError, match=r"line 1: sep=; names another .* has '\|'; remove"):
            read("sep=;\na;b\n1;2\n", delimiter="|")
        (tmp_path / "t.tsv").write_text("sep=;\na;b\n1;2\n")
        assert columns(Tsv().read(tmp_path / "t.tsv")) == {"a": ["1"], "b": ["2"]}


class TestNoHeader:
    def test_columns_are_numbered(self, read):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            table = read("5.1,a\n\n4.9,b\n4,\n", header=False)
        assert columns(table) == {"column_1": ["5.1", "4.9", "4"], "column_2": ["a", "b", None]}
        assert lines(table) == [1, 3, 4]
        np.testing.assert_array_equal(numbers(table, "column_1"), [5.1, 4.9, 4])

    def test_columns_may_be_named(self, read):
        table = read('x\n"1\n2",a', header=False, names=["n", "c"], skip_lines=1)
        assert columns(table) == {"n": ["1\n2"], "c": ["a"]}
        assert lines(table) == [3]

    def test_names_replace_those_of_a_header(self, read):
        table = read("a,a\n1,2\n", header=False, names=("a", "b"), skip_lines=1)
        assert columns(table) == {"a": ["1"], "b": ["2"]}

    def test_as_many_names_as_cells(self, read):
        with pytest.raises(DataError, match="line 1: 2 cells, but 'names' has 3; fix the row"):
            read("1,2\n", header=False, names=("a", "b", "c"))
        with pytest.raises(DataError, match="line 2: 3 cells, but the first row has 2"):
            read("1,2\n1,2,3\n", header=False)

    def test_one_row_is_a_table(self, read):
        assert columns(read("1,2", header=False)) == {"column_1": ["1"], "column_2": ["2"]}
        with pytest.raises(DataError, match="the file is empty; expected rows"):
            read("\n\n", header=False)

    def test_a_first_line_of_values_is_reported_with_the_option(self, read):
        with pytest.warns(NnregWarning, match='set the source to .*"header": false') as notes:
            read("5.1,3.5\n4,2\n")
        assert len(notes) == 1


class TestDelimitersAtTheEndOfLines:
    @pytest.mark.parametrize("head", ["a,b,", "a,b"])
    def test_the_empty_column_is_left_out_with_one_warning(self, read, head):
        body = "".join(f"{i},{'xy'[i % 2]},\n" for i in range(9))
        with pytest.warns(NnregWarning, match="every line ends with a delimiter") as notes:
            table = read(f"{head}\n{body}")
        assert len(notes) == 1
        assert columns(table)["b"] == ["x", "y"] * 4 + ["x"]
        assert numbers(table, "a").tolist() == list(range(9))
        assert list(table.columns) == ["a", "b"]

    def test_only_the_header_may_end_with_one(self, read):
        with pytest.warns(NnregWarning, match="the header ends with a delimiter") as notes:
            table = read("a,b,\n1,x\n2,y\n3,\n")
        assert len(notes) == 1
        assert columns(table) == {"a": ["1", "2", "3"], "b": ["x", "y", None]}

    @pytest.mark.filterwarnings("ignore:.*every line ends")
    @pytest.mark.parametrize("value", ["7", "z"])
    def test_a_value_there_is_refused_with_its_line(self, tmp_path, monkeypatch, value):
        monkeypatch.setattr(delimited_reader, "FIRST_BLOCK", 1)
        (tmp_path / "t.csv").write_text(f"a,b,\n1,2,\n1,2,\n3,4,{value}\n")
        with pytest.raises(DataError, match=rf"line 4: found {value}.* in column 3, .*; name it"):
            Csv().read(tmp_path / "t.csv")

    def test_a_column_with_values_needs_no_name(self, read):
        assert columns(read("a,\n1,2\n3,4\n")) == {"a": ["1", "3"], "": ["2", "4"]}

    def test_a_header_without_the_name_of_the_first_column_is_reported(self, read):
        with pytest.raises(DataError, match=r"line 2: 3 cells, .* if the first column has no name"):
            read("a,b\nr1,1,2\nr2,3,4\n")

    def test_two_columns_without_names_are_counted(self, read):
        with pytest.raises(DataError, match="line 1: columns 2 and 4 have no name; name them"):
            read("a,,b,\n1,2,3,4\n")


def test_blank_lines_at_the_end_may_have_spaces(read):
    assert columns(read("a,b\n1,2\n  \n\t\n\n")) == {"a": ["1"], "b": ["2"]}


def test_a_quote_that_is_not_closed_says_where_its_row_begins(read):
    with pytest.raises(
        DataError, match=r"line 4: not well-formed CSV in the row .* line 3: .*twice"
    ):
        read('a,b\n1,2\n3,"4\n5,6\n')


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"comment": ""}, "comment"),
        ({"comment": ","}, "comment: must not begin with the delimiter"),
        ({"comment": '"'}, "comment: must not begin with"),
        ({"skip_lines": -1}, "skip_lines"),
        ({"names": ["a"]}, "names: the header line has the names; set header to false"),
        ({"names": ["a", "a"], "header": False}, "names: 'a' occurs twice"),
        ({"names": [], "header": False}, "names"),
    ],
)
def test_wrong_options_are_refused_with_the_spec(options, message):
    with pytest.raises(SpecError, match=message):
        read_spec(regressor(data=csv_data(source={"type": "csv", **options})))
