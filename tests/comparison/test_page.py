"""The page of a comparison: complete and sortable in a browser, and honest about its limits."""

import os
import re

import pytest

import nnreg
from nnreg.comparison.importance import importance
from nnreg.comparison.parallel import parallel_coordinates
from tests.comparison.run_files import write_groups, write_run
from tests.helpers.browser import Browser, chromium
from tests.reports.test_browser import CUT, EMPTY, FAINT, OVERFLOW

RELU, TANH = (0.90, 0.92, 0.91, 0.94, 0.93), (0.80, 0.81, 0.82, 0.83, 0.80)

needs_browser = [
    pytest.mark.slow,
    pytest.mark.skipif(
        chromium() is None and "NNREG_VERIFY" not in os.environ,  # with it, a skip is an error
        reason="needs Chromium, which .ci/run installs",
    ),
]


def write_grid(directory):
    """Write runs of three numbers of units, two activations with a long name, and two seeds."""
    number = 0
    for units in (4, 16, 64):
        for activation in ("relu", "<b>a_long_name_of_an_activation</b>" * 3):
            for seed in (0, 1):
                number += 1
                value = 0.5 + 0.1 * (units == 16) + 0.01 * seed
                write_run(directory / f"run-{number}", {"loss": 1 - value, "r2": value}, seed=seed,
                          split_seed=0, units=units, activation=activation)  # fmt: skip
    write_run(directory / "run-99", {}, seed=7, stopped="diverged", epochs=1, planned=9)
    (directory / "run-3" / "report.html").write_text("<p>a report</p>")
    return directory


def test_report_writes_the_page_of_a_directory_of_runs(tmp_path, nnreg):
    runs = write_grid(tmp_path / "runs")
    assert nnreg("report", runs) == (0, f"{runs}/report.html\n", "")
    page = (runs / "report.html").read_text()
    assert "<h1>runs</h1>" in page
    assert "<b>" not in page
    assert '<a href="run-3/report.html">run-3</a>' in page
    assert "Not compared: 1 run" in page
    assert "run-99: diverged after epoch 1 of 9" in page


def test_compare_writes_the_page_to_a_file_or_prints_it(tmp_path, nnreg):
    runs = write_grid(tmp_path / "runs")
    file = tmp_path / "deep" / "page.html"
    file.parent.mkdir()
    assert nnreg("compare", runs, "--format", "html", "--out", file) == (0, f"{file}\n", "")
    assert '<a href="../runs/run-3/report.html">run-3</a>' in file.read_text()
    code, out, _ = nnreg("compare", runs, "--format", "html", "--metric", "loss")
    assert code == 0
    assert "<h2>Groups by test loss</h2>" in out


def test_without_a_run_that_ended_there_is_no_page(tmp_path, nnreg):
    write_run(tmp_path / "runs" / "a", {}, stopped=None)
    code, _, err = nnreg("report", tmp_path / "runs")
    assert (code, "no run has ended" in err) == (2, True)
    assert not (tmp_path / "runs" / "report.html").exists()


def test_the_page_runs_only_its_own_script(tmp_path, nnreg):
    runs = write_grid(tmp_path / "runs")
    nnreg("report", runs)
    page = (runs / "report.html").read_text()
    assert re.search("default-src 'none'[^\"]*; script-src 'sha256-[A-Za-z0-9+/]{43}='\"", page)
    assert page.count("<script") == 1


def test_the_setting_that_matters_explains_the_variance(tmp_path):
    found = importance(nnreg.compare(write_grid(tmp_path / "runs")), "test r2")
    units, activation = found.effects
    assert (units.setting, units.levels) == ("model.layers.0.units", 3)
    assert units.corrected > 0.95
    assert activation.explained == activation.corrected == 0
    assert found.noise == pytest.approx(1 - units.corrected, abs=0.05)
    assert found.runs == 12
    assert "12 runs are few" in found.warnings[0]
    assert "not included" in found.warnings[-1]
    assert not any("grid" in text for text in found.warnings)


def test_runs_that_are_no_grid_have_a_warning_and_many_numbers_are_divided(tmp_path):
    for i in range(40):
        rate = 0.001 * (i + 1)
        write_run(tmp_path / f"run-{i}", {"r2": rate}, units=4 + i % 3,
                  optimizer={"type": "sgd", "learning_rate": rate})  # fmt: skip
    found = importance(nnreg.compare(tmp_path), "test r2")
    rate, units = found.effects
    assert (rate.setting, rate.levels, units.levels) == ("optimizer.learning_rate", 4, 3)
    assert rate.corrected > 0.9 > 0.1 > units.corrected
    assert found.noise is None
    assert any("not a full grid" in text for text in found.warnings)


def test_parallel_coordinates_have_a_line_for_each_group_and_the_best_on_top(tmp_path):
    found = nnreg.compare(write_grid(tmp_path / "runs"))
    text = parallel_coordinates(found, "test r2", list(found.groups[0].settings)).file()
    titles = re.findall(r"<title>(units [^<]*)</title>", text)
    assert len(titles) == 6
    assert titles[-1].startswith("units 16, activation relu: 0.6")
    assert [text.count(f">{value}</text>") for value in (4, 16, 64)] == [1, 1, 1]
    one = nnreg.compare(write_groups(tmp_path / "one", {"relu": RELU}))
    assert parallel_coordinates(one, "test r2", []) is None


@pytest.fixture(scope="module")
def browser():
    with Browser() as opened:
        yield opened


class TestBrowser:
    pytestmark = needs_browser

    @pytest.fixture
    def page(self, tmp_path, nnreg):
        nnreg("report", write_grid(tmp_path / "runs"))
        return tmp_path / "runs" / "report.html"

    @pytest.mark.parametrize("width", [1280, 375, 320])
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_the_page_is_complete_and_no_wider_than_the_screen(self, browser, page, width, scheme):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.call("Emulation.setEmulatedMedia", features=[feature])
        browser.show(page, width)
        requested = [url for url in browser.requests if not url.startswith("data:")]
        assert requested == [page.resolve().as_uri()]
        assert browser.complaints == []
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for problems in (OVERFLOW, EMPTY, CUT, FAINT):
            assert browser.evaluate(problems) == []
        browser.call("Emulation.setEmulatedMedia", features=[])

    def test_a_click_on_the_head_of_a_column_sorts_the_rows(self, browser, page):
        browser.show(page, 1280)
        column = "[...document.querySelectorAll('table.sortable')[0].tBodies[0].rows]" \
                 ".map(row => row.cells[0].textContent)"  # fmt: skip
        button = "document.querySelectorAll('table.sortable th button')[0]"
        assert browser.evaluate(column) == ["16", "16", "4", "4", "64", "64"]
        browser.evaluate(f"{button}.click()")
        assert browser.evaluate(column) == ["4", "4", "16", "16", "64", "64"]
        browser.evaluate(f"{button}.click()")
        assert browser.evaluate(column) == ["64", "64", "16", "16", "4", "4"]
        state = browser.evaluate(f"{button}.parentElement.getAttribute('aria-sort')")
        assert state == "descending"
