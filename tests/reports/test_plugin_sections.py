"""Sections of plugins: text, tables and charts, never HTML; one that fails breaks nothing."""

import re

import numpy as np
import pytest

import nnreg
from nnreg import ReportChart, ReportTable, Section, builtin, hookimpl
from nnreg.errors import NnregWarning
from nnreg.registry.registry import Registry
from nnreg.reports.report import report
from tests.reports.page import NASTY, Page

pytestmark = pytest.mark.usefixtures("spec")


class Reporting:
    """Adds what a function of the report returns."""

    def __init__(self, make):
        self._make = make

    @hookimpl
    def nnreg_report_sections(self, report):
        return self._make(report)


def write(*makes, **options):
    """Write the report of a run with these plugins, and return its HTML."""
    registry = Registry()
    registry.add_plugin("nnreg", builtin, "nnreg", "0.1.0")
    for index, make in enumerate(makes):
        registry.add_plugin(f"p{index}", Reporting(make), f"nnreg-p{index}", "1.0")
    nnreg.run("spec.json", out="out", overrides=["train.epochs=2"], **options)
    return report("out", registry=registry).read_text()


def test_a_section_has_text_tables_and_charts_in_order():
    chart = ReportChart("Sine", "x", "y", {"sine": ([0, 1, 2], [0, 1, 0]), "line": ([0], [0])})
    table = ReportTable(["name", "value"], [["a", 1], ["b", 2.5]])
    points = ReportChart("Points", "x", "y", points=([0, 1], [1, 0]))
    html = write(lambda report: [Section("Extra", ["before", table, chart, points, "after"])])
    section = re.search(r"<section>\n<h2>Extra</h2>\n(.*?)</section>", html, re.S)[1]
    parts = ("before", "<table>", "Sine</figcaption>", "Points</figcaption>", "after")
    places = [section.index(part) for part in parts]
    assert places == sorted(places)
    assert html.index("<h2>Network</h2>") < html.index("<h2>Extra</h2>") < html.index("<h2>Spec<")


def test_a_plugin_sees_the_run_its_model_and_its_predictions():
    seen = []

    def make(report):
        seen.append(report)
        return []

    write(make)
    (view,) = seen
    assert (view.name, view.directory.name) == ("out", "out")
    assert view.spec["train"]["epochs"] == len(view.history) == view.summary["epochs"] == 2
    assert view.history[0].keys() == {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"}
    held_out = view.held_out
    assert held_out.split == "test"
    right = np.mean(held_out.true_values == held_out.predictions)
    assert right == pytest.approx(view.summary["test"]["accuracy"])
    assert np.all(held_out.confidence > 0)
    assert view.model.classes == held_out.classes
    with pytest.raises(ValueError, match="read-only"):
        held_out.predictions[0] = 0


def test_what_a_plugin_changes_does_not_change_the_page():
    def change(report):
        report.spec.clear()
        report.summary.clear()
        report.history.clear()

    assert write(change) == report("out").read_text()


def test_all_text_of_a_plugin_is_escaped_and_adds_no_script():
    text = "".join(map(str, NASTY))
    lines = {text: ([0, 1], [0, 1]), "b": ([0, 1], [1, 0])}
    chart = ReportChart(text, text, text, lines)
    table = ReportTable([text, "b"], [[text, 1]])
    html = write(lambda report: [Section(text, [text, table, chart])])
    page, plain = Page(html), Page(report("out").read_text())
    assert [tag for tag, _ in page.tags].count("script") == 1  # that of the live model
    assert html.count("<script") == 1
    assert {name for _, a in page.tags for name in a} <= {
        *(name for _, a in plain.tags for name in a), "role", "tabindex", "aria-label",
    }  # fmt: skip
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html


def error(report):
    raise ValueError("no <b>data</b>")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (error, "ValueError: no &lt;b&gt;data&lt;/b&gt;"),
        (lambda report: ["<p>"], "TypeError: returned str; expected nnreg.Section"),
        (lambda report: [Section("a", [b"<p>"])], "TypeError: has bytes in a section; expected "),
        (
            lambda report: [Section("a", [ReportTable(["a"], [[1, 2]])])],
            "ValueError: has a row of 2 values under 1 names",
        ),
        (
            lambda report: [Section("a", [ReportChart("", "", "", {"a": ([1], [1, 2])})])],
            "ValueError: has a curve of x (1,) and y (2,); expected equal vectors",
        ),
        (
            lambda report: [
                Section("a", [ReportChart("", "", "", {str(i): ([1], [1]) for i in range(99)})])
            ],
            "ValueError: has 99 curves in a chart; at most ",
        ),
    ],
)
def test_a_plugin_that_fails_is_noted_in_place_of_its_sections(make, why):
    fine = lambda report: [Section("Fine", ["still here"])]  # noqa: E731
    with pytest.warns(NnregWarning) as warned:
        html = write(make, fine)
    (warning,) = warned
    start = "plugin p0 (nnreg-p0 1.0): nnreg_report_sections raised "
    assert str(warning.message).startswith(start)
    assert f'<p class="note">{start}{why}' in html
    assert "<h2>Fine</h2>" in html
    assert "<h2>Spec</h2>" in html


def test_without_the_data_a_plugin_gets_neither_model_nor_predictions(tmp_path):
    nnreg.run("spec.json", out="out", overrides=["train.epochs=2"])
    (tmp_path / "data.csv").unlink()
    registry = Registry()
    registry.add_plugin("nnreg", builtin, "nnreg", "0.1.0")
    plugin = Reporting(lambda report: [Section("Seen", [str((report.model, report.held_out))])])
    registry.add_plugin("p", plugin, "nnreg-p", "1.0")
    assert "<p>(None, None)</p>" in report("out", registry=registry).read_text()


def test_long_text_and_tables_are_shortened():
    table = ReportTable(["a"], [[str(row)] for row in range(1000)])
    html = write(lambda report: [Section("Long", ["x" * 10**6, table])])
    assert "The first 200 of 1,000 rows." in html
    assert len(html) < len(report("out").read_text()) + 60_000


def test_values_that_are_not_finite_or_too_large_are_drawn_as_gaps():
    values = [float("nan"), float("inf"), 1e308, 1.0]
    chart = ReportChart("Odd", "x", "y", {"odd": (values, values)}, points=(values, values))
    assert "Odd</figcaption>" in write(lambda report: [Section("Odd", [chart])])
