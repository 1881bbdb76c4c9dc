"""Tables of groups: rounded by their uncertainty, aligned, and escaped for each format."""

import csv
import io

import pytest

import nnreg
from nnreg.comparison.table_formats import csv_text, latex, markdown
from nnreg.comparison.tables import group_table, p_text, rounding_of
from tests.comparison.run_files import write_groups

VALUES = {"relu": (0.912, 0.924, 0.918, 0.941, 0.933), "tanh": (0.8, 0.81, 0.82, 0.83, 0.8)}


@pytest.fixture
def table(tmp_path):
    return group_table(nnreg.compare(write_groups(tmp_path / "runs", VALUES)), "test r2")


@pytest.mark.parametrize(
    ("deviations", "value", "text"),
    [
        ([0.0123, None, 0.04, 0.0], 0.91234, "0.912"),
        ([1234.0], 45678.0, "45,700"),
        ([0.99], 1.5, "1.50"),
        ([3.2e-10], 1.23456e-8, "1.2e-08"),
        ([None], 0.123456, "0.1235"),
        ([0.1], float("nan"), "nan"),
        ([0.1], -0.0001, "0.00"),
    ],
)
def test_numbers_are_rounded_to_two_digits_of_the_typical_deviation(deviations, value, text):
    assert rounding_of(deviations).text(value) == text


@pytest.mark.parametrize(
    ("p", "text"), [(0.00001, "<0.001"), (0.0123, "0.012"), (0.4567, "0.46"), (1, "1.00")]
)
def test_p_values_have_the_digits_that_matter(p, text):
    assert p_text(p) == text


def test_the_best_group_is_first_and_columns_have_the_same_decimals(table):
    assert [[cell.text for cell in row[:5]] for row in table.rows] == [
        ["relu", "5", "0.926 ± 0.012", "0.917 to 0.936", ""],
        ["tanh", "5", "0.812 ± 0.013", "0.804 to 0.824", "-0.114"],
    ]
    assert (
        table.title == "test r2, higher is better, 5 runs each; differences are to activation relu"
    )


def test_markdown_has_aligned_columns_and_notes_below(table):
    lines = markdown(table, ["a note", "another * note"]).splitlines()
    assert lines[0].startswith("**test r2, higher")
    assert len({len(line) for line in lines[2:6]}) == 1
    assert lines[2].startswith("| activation | runs |")
    assert lines[3].startswith("| ---------- | ---: |")
    assert lines[-2:] == ["* a note", "* another \\* note"]


def test_latex_has_the_rules_of_booktabs_and_minus_signs(table):
    text = latex(table, ["100 % sure"])
    assert text.count("\n\\toprule\n") == text.count("\n\\bottomrule\n") == 1
    assert "\\begin{tabular}{lrrrrrr}" in text
    assert "0.926 $\\pm$ 0.012" in text
    assert "$-$0.114" in text
    assert text.startswith("% test r2")


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("a_b & 50% {x} #1 $y$ ~ ^", "a\\_b \\& 50\\% \\{x\\} \\#1 \\$y\\$ \\textasciitilde{} "
                                     "\\textasciicircum{}"),
        ("back\\slash", "back\\textbackslash{}slash"),
        ("-5 to +3", "$-$5 to $+$3"),
    ],
)  # fmt: skip
def test_names_are_escaped_for_latex(tmp_path, name, escaped):
    runs = write_groups(tmp_path / "runs", {name: (0.9, 0.8), "tanh": (0.8, 0.7)})
    text = latex(group_table(nnreg.compare(runs), "test r2"), [])
    assert f"{escaped} " in text


def test_names_are_escaped_for_markdown(tmp_path):
    runs = write_groups(tmp_path / "runs", {"a|b*c": (0.9, 0.8), "tanh": (0.8, 0.7)})
    text = markdown(group_table(nnreg.compare(runs), "test r2"), [])
    assert "a\\|b\\*c" in text


def test_csv_has_all_digits_for_each_metric(tmp_path):
    found = nnreg.compare(write_groups(tmp_path / "runs", VALUES))
    text = csv_text((metric, group_table(found, metric)) for metric in ("test r2", "test loss"))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["metric"], row["model.layers.0.activation"]) for row in rows] == [
        ("test r2", "relu"), ("test r2", "tanh"), ("test loss", "relu"), ("test loss", "tanh"),
    ]  # fmt: skip
    assert float(rows[0]["mean"]) == found.groups[0].metrics["test r2"].mean
    assert float(rows[1]["adjusted_p"]) == found.groups[1].differences["test r2"].adjusted_p
    assert rows[0]["difference"] == ""
