"""The form of text files that `nnreg init` detects: delimiter, titles, comments, header."""

from pathlib import Path

import pytest

from nnreg.builtin.sources.delimited import Csv
from nnreg.spec import jsonc
from nnreg.starter.text_form import text_form
from tests.helpers.paths import MODELS
from tests.starter.proposals import tried

ROWS = "".join(f"{i * 0.37:.2f},{i % 7},{'red' if i % 2 else 'blue'}\n" for i in range(12))
NAMED = "size,count,color\n" + ROWS
SEMICOLONS = "size;count;color\n" + ROWS.replace(",", ";").replace(".", ",")


@pytest.fixture
def form(tmp_path):
    """Write a file and return the options and reasons for it; they read three columns."""

    def found(text, name="t.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return text_form(path, "tsv" if name.endswith(".tsv") else "csv")

    return found


CASES = {
    "as expected": (NAMED, {}),
    "no rows": ("size,count\n", {}),
    "empty": ("", {}),
    "semicolons and decimal commas": (SEMICOLONS, {"delimiter": ";"}),
    "commas in more lines than the header": (
        "name;n\n" + "".join(f'"Roe, J{i}";{i},5\n' for i in range(9)), {"delimiter": ";"},
    ),
    "a title before semicolons": ("Sales\n" + SEMICOLONS, {"delimiter": ";", "skip_lines": 1}),
    "bars within lists": (
        "id,tags,n\n" + "".join(f"a{i},x|y|z,{i}\n" for i in range(9)), {},
    ),
    "sep=": ("sep=;\n" + SEMICOLONS, {}),
    "sep= and a title": ("sep=;\nSales\n\n" + SEMICOLONS, {"skip_lines": 3}),
    "titles": ("Sales of 2024\n\nby: me,,\n" + NAMED, {"skip_lines": 3}),
    "titles in a spreadsheet": ("Sales of 2024,,\n,,\n" + NAMED, {"skip_lines": 2}),
    "a title of two lines": ('"Sales\nof 2024"\n' + NAMED, {"skip_lines": 2}),
    "comments": ("# one\n# two, of three\n" + NAMED + "# end\n", {"comment": "#"}),
    "comments with slashes": ("//it's \"\n" + NAMED, {"comment": "//"}),
    "titles and comments": ("Sales\n# 2024\n" + NAMED, {"skip_lines": 2}),
    "titles and later comments": (
        "Sales\n" + NAMED + "# end\n", {"skip_lines": 1, "comment": "#"},
    ),
    "values that begin with #": (
        "color,n,c\n" + "".join(f"#ff{i:04d},{i},{i % 2}\n" for i in range(9)), {},
    ),
    "one column with #": ("color\n" + "#ff\nred\nblue\n" * 9, {}),
    "a header that begins with #": (
        "#size,count,color\n" + ROWS,
        {"comment": "#", "header": False, "names": ["size", "count", "color"]},
    ),
    "names in the last of several comments": (
        "# made by hand\n# size, count, color\n" + ROWS,
        {"comment": "#", "header": False, "names": ["size", "count", "color"]},
    ),
    "no header": (ROWS, {"header": False}),
    "no header, numbers": (
        "".join(f"{i * i % 13},{i * 3 % 7}\n" for i in range(5, 20)), {"header": False},
    ),
    "no header, dates": (
        "".join(f"2024-01-{i + 10},{i * 5 % 9},item {i}\n" for i in range(9)), {"header": False},
    ),
    "no header, text": ("a,b,c\nb,b,c\na,c,d\nb,c,d\na,b,d\na,b,c\n" * 4, {"header": False}),
    "no header, gaps": (
        "?,1.5,a\n" + "".join(f"{i},{i}.5,a\n" for i in range(9)), {"header": False},
    ),
    "years": ("2019,2020,2021\n" + "".join(f"{i},{i}.5,{9 - i}\n" for i in range(9)), {}),
    "wavelengths": (
        "label,400.5,401.5\n" + "".join(f"{'ab'[i % 2]},{i * 7 % 5},{i}.5\n" for i in range(9)), {},
    ),
    "names of people": ("first,last\n" + "".join(f"Ann {i},Roe {i}\n" for i in range(9)), {}),
    "few rows": ("1.5,2.5\n1.7,2.6\n", {}),
    "a single column of decimal commas": ("x\n1,5\n2,5\n3,25\n2,125\n", {}),
    "a single column": ("x\n" + "1\n2\n3.5\n" * 5, {}),
    "a delimiter at the end of lines": (NAMED.replace("\n", ",\n"), {}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_options_of_the_source(form, case):
    text, options = CASES[case]
    found = form(text)
    assert found.options == options
    assert bool(found.reasons) == bool(options)


@pytest.mark.filterwarnings("ignore:.*every line ends")
@pytest.mark.parametrize("case", [case for case in CASES if NAMED[-40:] in CASES[case][0]])
def test_with_these_the_columns_are_the_same(form, tmp_path, case):
    options = form(CASES[case][0]).options
    table = Csv(**options).read(tmp_path / "t.csv")
    named = options.get("header", True) or "names" in options
    names = ["size", "count", "color"] if named else ["column_1", "column_2", "column_3"]
    assert list(table.columns) == names
    assert len(table) == 12


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_titles_in_any_encoding(form, encoding):
    found = form("Größe\n" + NAMED, encoding=encoding).options
    expected = {} if encoding == "utf-8-sig" else {"encoding": encoding}
    assert found == {**expected, "skip_lines": 1}


def test_tabs_are_the_delimiter_of_tsv(form):
    assert form(NAMED.replace(",", "\t"), name="t.tsv").options == {}
    assert form("Sales\n" + NAMED.replace(",", "\t"), name="t.tsv").options == {"skip_lines": 1}


@pytest.mark.parametrize("name", ["iris", "penguins", "diabetes"])
def test_tables_with_a_usual_form_have_no_options(name):
    assert text_form(MODELS / f"{name}.csv", "csv").options == {}


def test_the_spec_has_the_options_and_the_reasons(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("# of 2024\n" + ROWS)
    proposal = tried("t.csv")
    source = {"type": "csv", "comment": "#", "header": False}
    assert proposal.tree["data"]["source"] == source
    assert jsonc.loads(proposal.text()) == proposal.tree
    text = proposal.text()
    assert '// Lines that begin with "#" are comments.' in text
    assert "// The first line is a row: its cells are like those below it." in text
    assert proposal.target == "column_3"
