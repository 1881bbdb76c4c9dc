"""The results that are kept, and the page that shows them."""

import json
from datetime import date

import pytest

from benchmarks import __main__ as bench
from benchmarks import page
from benchmarks.harness import Row
from benchmarks.tables import quotients, steps
from tests.benchmarks.rows import EFFORT

ABOUT = {
    "processor": "A chip", "cores": 2, "load": 0.5, "python": "3.13.0", "blas": [],
    "versions": {"numpy": "2.4"}, "OPENBLAS_CORETYPE": None, "date": "2026-01-02",
}  # fmt: skip
NETWORK = {"nnreg": [2e-4], "nnreg+numba": [1e-4], "PyTorch": [4e-4], "PyTorch compiled": [3e-4]}
ROWS = {steps.TABLE: [Row("4-16-8-3, 150", "µs", {**NETWORK, "products": [5e-5]})]}


def test_the_page_shows_the_kept_results():
    text = page.PAGE.read_text()
    kept = json.loads(page.KEPT.read_text())
    assert page.written(text, kept) == text
    for mode in kept.values():
        assert mode["machine"]["versions"]["nnreg"]
        for table in mode["tables"].values():
            assert date.fromisoformat(table["date"])


def test_what_missed_a_target_is_bold_and_the_better_mode_of_a_library_is_shown():
    kept = page.keep({}, ABOUT, EFFORT, {steps.TABLE: [*ROWS[steps.TABLE]]})
    slower = {**NETWORK, "nnreg+numba": [3e-4]}
    missed = page.keep({}, ABOUT, EFFORT, {steps.TABLE: [Row("10-24-2, 20", "µs", slower)]})
    (line,) = (one for one in page.markdown(kept).splitlines() if one.startswith("| 4-16-8-3, 150"))
    cells = ["200 (1.50)", "100 (3.00)", "-", "300", "-", "-", "-", "50%", "-"]
    assert line == f"| 4-16-8-3, 150 | {' | '.join(cells)} |"
    text = page.markdown(missed)
    assert "| 200 (1.50) | **300 (1.00)** |" in text
    assert "| **missed in 1 of 1** |" in text
    assert "Measured 2026-01-02: A chip, 2 cores, load 0.50" in text


def test_tables_are_kept_until_the_machine_or_a_version_changes():
    first = page.keep({}, ABOUT, EFFORT, ROWS)
    other = {quotients.TABLE: [Row("a row", "", {"nnreg": [1.0]})]}
    later = page.keep(first, {**ABOUT, "load": 0.1, "date": "2026-01-03"}, EFFORT, other)
    assert set(later["elapsed"]["tables"]) == {"steps", "quotients"}
    assert "Measured 2026-01-02 and 2026-01-03" in page.markdown(later)
    newer = page.keep(later, {**ABOUT, "versions": {"numpy": "2.5"}}, EFFORT, other)
    assert set(newer["elapsed"]["tables"]) == {"quotients"}


def test_parts_of_a_table_are_not_kept(capsys):
    with pytest.raises(SystemExit):
        bench.main(["--write", "page.md", "--quick"])
    assert "without --quick and --only" in capsys.readouterr().err
