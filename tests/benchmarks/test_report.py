"""The output, JSON and plot of the benchmarks."""

import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import __main__ as bench
from benchmarks import report
from benchmarks.environment import describe
from benchmarks.harness import Ratio, Row
from benchmarks.plot import plot
from benchmarks.processes import limited, python
from tests.benchmarks.rows import TINY, row, table


def test_a_line_has_the_values_in_the_unit_of_the_row_and_the_ratios():
    ratios = (Ratio("ratio", ("nnreg",), ("PyTorch",)), Ratio("part", ("nnreg",), ("p",), True))
    found = Row("net, 8", "µs", {"nnreg": [0.002], "PyTorch": [0.0001], "p": [0.0015]})
    assert report.line(table(ratios=ratios), found).split()[2:] == ["2,000", "100", "0.05", "75%"]


def test_the_heading_breaks_long_names_over_lines_of_one_width():
    found = report.heading(table(columns=("nnreg", "nnreg+numba", "scikit-learn"), ratios=()))
    title, *lines = found.strip().splitlines()
    assert title == "a title"
    assert [line.split() for line in lines] == [["nnreg", "scikit-"], ["nnreg", "+numba", "learn"]]
    assert len({len(line) for line in lines}) == 1 or lines[0][-7:] == "scikit-"


def test_a_plot_has_a_panel_per_table_and_names_the_libraries(tmp_path):
    pytest.importorskip("matplotlib", reason="the plot needs matplotlib")
    rows = [Row("net", "s", {"nnreg": [1.0], "PyTorch": [2.0]})]
    path = tmp_path / "plot.svg"
    assert str(path) in plot({table(): rows}, path)
    assert path.read_text().count("<!-- PyTorch -->") == 1
    assert plot({table(): [row(nnreg=1.0)]}, path) == ""


def test_a_missing_matplotlib_is_reported(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert plot({}, tmp_path / "plot.svg") == " (no plot: matplotlib is not installed)"
    assert not list(tmp_path.iterdir())


def test_the_first_lines_describe_the_environment_and_a_forced_kernel():
    about = {
        "processor": "A chip", "cores": 2, "load": 0.5, "python": "3.13.0", "blas": [],
        "versions": {"numpy": "2.4"}, "OPENBLAS_CORETYPE": None,
    }  # fmt: skip
    assert "A chip, 2 cores, load 0.50" in describe(about, 1)
    assert "OPENBLAS_CORETYPE" not in describe(about, 1)
    assert "OPENBLAS_CORETYPE=Haswell is set" in describe(
        about | {"OPENBLAS_CORETYPE": "Haswell"}, 1
    )


@pytest.mark.slow
def test_the_command_prints_tables_and_targets_and_writes_both_as_json(tmp_path):
    arguments = ["steps", "--quick", "--only", TINY.name, "--threads", "1", "--out", str(tmp_path)]
    code = f"""
import benchmarks.tables.steps as steps
from benchmarks import __main__ as bench
steps.COLUMNS = ("nnreg",)
bench.main({arguments!r})
"""
    done = subprocess.run(python("-c", code), env=limited(1), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith(TINY.name))
    document = json.loads((tmp_path / "results.json").read_text())
    (found,) = document["tables"]
    assert found["rows"][0]["name"] == f"{TINY.name}, {TINY.batch}"
    assert report.figure(found["rows"][0]["figures"]["nnreg"] * 1e6) == line.split()[2]
    assert {"nnreg", "products"} <= set(found["rows"][0]["samples"])
    assert {found["table"] for found in document["targets"]} == {"steps"}
    assert "not measured" in done.stdout
    assert document["environment"]["versions"]["numpy"] == np.__version__


def test_an_unknown_table_is_refused(capsys):
    with pytest.raises(SystemExit):
        bench.main(["speed"])
    assert "invalid choice: 'speed'" in capsys.readouterr().err
