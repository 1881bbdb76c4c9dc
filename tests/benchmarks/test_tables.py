"""The tables of plugins, streaming, progress, options, saving and loading."""

import csv
import sys
from dataclasses import replace
from random import Random

import numpy as np
import pytest

import nnreg
from benchmarks import graphs, loading, options, saving_share, streaming, threads, watching
from benchmarks.harness import Effort, Row
from benchmarks.peers import OWN
from benchmarks.processes import Workers, limited, python, run
from benchmarks.tables import csv as csv_table
from benchmarks.tables import jobs, plugins, quotients, saving
from benchmarks.workloads import LONG, NAMED, SMALL
from nnreg._utils import atomic_files
from nnreg.builtin.sources.delimited import Csv
from tests.benchmarks.rows import EFFORT


def test_the_thirty_plugins_are_loaded(tmp_path):
    plugins.install(tmp_path)
    command = python("-m", "nnreg", "plugins", "--json")
    found = run(command, limited(1, path=tmp_path)).output
    assert all(module in found for module in plugins.MODULES)
    assert len(plugins.MODULES) == 30
    run(python("-W", "error", "-c", plugins.ALL), limited(1, path=tmp_path))


def test_streaming_is_compared_with_memory(monkeypatch):
    monkeypatch.setattr(streaming, "BYTES", 2**16)
    measured = next(streaming.measure(Effort(1, 0.0, 1, only="64-128")))
    assert set(measured.figures) | set(measured.left_out) == set(streaming.TABLE.columns)
    assert all(seconds > 0 for seconds in measured.figures.values())


def test_training_with_progress_output_is_compared_with_none(monkeypatch, capfd):
    monkeypatch.setattr(watching, "SECONDS", 0.01)
    monkeypatch.setattr(watching, "STEPS", 2)
    for measured in watching.measure(Effort(1, 0.0, 1)):
        assert set(measured.figures) == set(watching.WAYS)
        assert all(seconds > 0 for seconds in measured.figures.values())
    assert capfd.readouterr() == ("", "")


def test_each_option_of_training_is_timed(monkeypatch):
    monkeypatch.setattr(options, "SECONDS", 0.001)
    monkeypatch.setattr(options, "STEPS", 2)
    monkeypatch.setattr(options, "NETWORKS", options.NETWORKS[:1])
    (measured,) = options.measure(Effort(1, 0.0, 1))
    assert set(measured.figures) == set(options.WAYS)
    assert all(seconds > 0 for seconds in measured.figures.values())


def test_the_share_of_saving_is_a_part_of_each_run(monkeypatch):
    monkeypatch.setattr(saving_share, "MEGABYTES", (0.5,))
    monkeypatch.setattr(saving_share, "SECONDS", (0.001,))
    (measured,) = saving_share.measure(Effort(1, 0.0, 1))
    assert measured.name == "0.5 MB of weights for 0.001 s, 3 MB written"
    assert set(measured.figures) == set(saving_share.TABLE.columns)
    assert all(0 < share < 1 for share in measured.figures.values())


def test_every_write_of_a_run_counts_as_saving(tmp_path, monkeypatch):
    spec, data = saving_share._spec(0.1, 2)
    spent, counted = saving_share.Spent(), []
    with spent.counting(), monkeypatch.context() as patch:
        write = atomic_files._write

        def noted(*arguments):
            counted.append(spent._depth > 0)
            write(*arguments)

        patch.setattr(atomic_files, "_write", noted)
        nnreg.run(spec, data=data, out=tmp_path / "run")
    assert len(counted) > 10
    assert all(counted)


def test_both_forms_of_a_residual_network_are_timed(monkeypatch):
    monkeypatch.setattr(graphs, "SECONDS", 0.001)
    rows = graphs.measure(Effort(1, 0.0, 1))
    assert [set(row.figures) for row in rows] == [{"nested", "graph"}] * 2


def test_each_form_of_a_training_is_timed_on_one_thread_and_several(monkeypatch):
    monkeypatch.setattr(threads, "STEPS", 1)
    monkeypatch.setattr(threads, "NETWORKS", {"small": threads.NETWORKS["dense 4-16-8-3"]})
    (row,) = threads.measure(Effort(1, 0.0, 2))
    assert tuple(row.figures) == threads.COLUMNS


def test_both_forms_of_the_residual_network_compute_the_same():
    x = np.random.default_rng(0).normal(size=(6, 4))
    nested, graph = (
        nnreg.build(
            {"model": {"layers": form(4)}, "loss": "mean_squared_error", "optimizer": "sgd"},
            data=(x, x[:, 0]),
        )
        for form in (graphs.nested, graphs.graph)
    )
    graph.network.vector[...] = nested.network.vector
    np.testing.assert_array_equal(graph.predict(x), nested.predict(x))


def test_a_quotient_is_one_step_over_another(monkeypatch):
    class Fake(Workers):
        def ask(self, peer, task, seconds, workload):
            longer = {"train": 1.0, "train_weighted": 1.1}[task]
            return longer * NAMED[workload].steps * (9.0 if workload == LONG.name else 1.0)

    class Late:
        def __init__(self, peer, threads, *, processor):
            self.times = iter([2.0, *[1.0] * 17, 3.0])

        def ask(self, task, seconds, workload):
            return next(self.times)

        def close(self):
            assert next(self.times, None) is None

    monkeypatch.setattr(quotients, "Workers", Fake)
    monkeypatch.setattr(quotients, "Worker", Late)
    late, long, *weighted = quotients.measure(EFFORT)
    assert late.figures == dict.fromkeys(OWN, 1.5)
    assert long.figures == dict.fromkeys(OWN, 9.0 / 8)
    assert [row.figures["nnreg"] for row in weighted] == [pytest.approx(1.1)] * 3


def test_a_job_runs_as_if_nothing_that_compiles_were_installed():
    hidden = jobs.WITHOUT.partition("runpy.run_module")[0]
    kernels = "from nnreg.builtin.kernels import mkl, numba"
    check = "assert mkl.MklKernels.missing() and numba.NumbaKernels.missing()"
    run(python("-c", f"{hidden}\n{kernels}\n{check}"), limited(1))


def test_csv_is_compared_with_pandas_alone(monkeypatch):
    asked = []

    def measure(effort, cpu):
        asked.append((effort.rounds, set(effort.skipped)))
        yield Row("a file", "s", {"nnreg": [2.0], "pandas": [1.0]}, {"loadtxt": "-"}), None

    monkeypatch.setattr(loading, "measure", measure)
    (row,) = csv_table.measure(replace(EFFORT, rounds=5))
    assert asked == [(3, set(loading.READERS) - {"nnreg", "nnreg+numba", "pandas"})]
    assert (row.figures, row.left_out) == ({"nnreg": 2.0, "pandas": 1.0}, {})


@pytest.mark.parametrize("processor", [False, True])
def test_the_fraction_spent_on_saving_is_relative_to_the_whole_run(tmp_path, processor):
    effort = replace(EFFORT, processor=processor)
    arguments = {"epochs": 1, "workload": SMALL.name}
    row = saving._fraction(str(tmp_path), "small", arguments, effort)
    assert not row.left_out
    assert set(row.figures) == ({"nnreg", "plain h5py"} if processor else {"nnreg"})
    assert all(0 < share < 1 for share in row.figures.values())
    assert row.name.startswith("fraction spent on saving")


def test_the_cost_of_plugins_is_compared_with_that_of_their_imports():
    assert plugins._row((0.1, 0.15, 0.02, 0.06)) == pytest.approx((0.1, 0.15, 0.04, 0.14))


@pytest.mark.skipif(sys.platform != "linux", reason="growth is measured on Linux only")
@pytest.mark.parametrize("name", loading.FILES)
def test_csv_files_have_as_many_rows_as_asked_for(tmp_path, name):
    form = loading.FILES[name]
    loading.write(tmp_path / "a.csv", name, 30)
    with (tmp_path / "a.csv").open(newline="") as file:
        widths = {len(row) for row in csv.reader(file, delimiter=form.delimiter)}
        assert widths == {len(form.make(Random(0)))}
    table = Csv(delimiter=form.delimiter, decimal=form.decimal).read(tmp_path / "a.csv")
    assert len(table) == 30


@pytest.mark.parametrize("cpu", [False, True])
def test_csv_files_are_read_in_separate_processes(tmp_path, cpu):
    loading.write(tmp_path / "a.csv", "decimal commas", 30)
    seconds, grown = loading.sample("nnreg", "decimal commas", tmp_path / "a.csv", cpu)
    assert seconds > 0
    assert 0 <= grown < 1e9
