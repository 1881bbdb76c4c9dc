"""The benchmarks: what they compute from times, and that a library left out is named."""

import csv
import json
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

import nnreg
from benchmarks import __main__ as bench
from benchmarks import loading, options, report, streaming, targets, watching
from benchmarks.environment import describe
from benchmarks.harness import Effort, Ratio, Row, Table, UnavailableError, interleave
from benchmarks.jobs.data import JOBS
from benchmarks.peers import LIBRARIES, PEERS, peer
from benchmarks.peers.jax_layers import initial
from benchmarks.plot import plot
from benchmarks.processes import ROOT, Worker, Workers, limited, python, run
from benchmarks.tables import TABLES, plugins, saving, steps
from benchmarks.targets import Target, judge
from benchmarks.worker import seconds_a_call
from benchmarks.workloads import NAMED, STEPS, WORKLOADS, dense

TINY = WORKLOADS[0]
EFFORT = Effort(rounds=3, seconds=0.0, threads=1)


def row(**figures):
    return Row("a row", "s", {name.replace("_", " "): [value] for name, value in figures.items()})


AGAINST = Ratio("nnreg", ("nnreg",), ("PyTorch",))


def table(*rows, columns=("nnreg", "PyTorch"), ratios=(AGAINST,)):
    return Table("fake", "a title", columns, ratios, lambda effort: iter(rows))


def test_samples_are_taken_in_turn_and_a_figure_is_their_median():
    asked = []

    def sampler(name, values):
        def sample():
            asked.append(name)
            return values.pop(0)

        return sample

    samplers = {"a": sampler("a", [3.0, 1.0, 2.0]), "b": sampler("b", [5.0, 9.0, 5.5])}
    samples, left_out = interleave(samplers, EFFORT)
    assert asked == ["a", "b"] * 3
    assert left_out == {}
    assert Row("", "s", samples).figures == {"a": 2.0, "b": 5.5}


def test_a_library_that_fails_is_left_out_and_named_and_the_others_go_on():
    def fail():
        raise UnavailableError("ModuleNotFoundError: No module named 'torch'")

    samples, left_out = interleave({"nnreg": lambda: 1.0, "PyTorch": fail}, EFFORT)
    assert samples == {"nnreg": [1.0] * 3}
    found = Row("a row", "s", samples, left_out)
    assert report.line(table(), found).split() == ["a", "row", "1.00", "-", "-"]
    assert report.left_out([found, found]) == (
        "  left out where '-': PyTorch: ModuleNotFoundError: No module named 'torch'"
    )


def test_a_row_that_has_taken_enough_gets_no_further_round():
    samples, _ = interleave({"slow": lambda: 1.0}, replace(EFFORT, enough=-1.0))
    assert samples == {"slow": [1.0]}


def test_a_library_that_the_run_skips_is_not_asked():
    skipping = replace(EFFORT, skipped={"slow": "too slow", "other": "-"})
    samples, left_out = interleave({"slow": lambda: pytest.fail("asked")}, skipping)
    assert (samples, left_out) == ({}, {"slow": "too slow"})


def test_a_ratio_is_the_best_peers_figure_over_our_best():
    found = row(nnreg=2.0, numba=1.0, PyTorch=8.0, JAX_jit=3.0)
    assert found.ratio(["nnreg"], ["PyTorch", "JAX jit"]) == 1.5
    assert found.ratio(["nnreg", "numba"], ["PyTorch", "JAX jit", "absent"]) == 3.0
    assert found.ratio(["nnreg"], ["absent"]) is None
    assert found.ratio(["absent"], ["PyTorch"]) is None
    assert Row("accuracy", "%", found.samples, compared=False).ratio(["nnreg"], ["PyTorch"]) is None


def test_a_line_has_the_figures_in_the_rows_unit_and_the_ratios():
    ratios = (Ratio("ahead", ("nnreg",), ("PyTorch",)), Ratio("share", ("nnreg",), ("p",), True))
    found = Row("net, 8", "µs", {"nnreg": [0.002], "PyTorch": [0.0001], "p": [0.0015]})
    assert report.line(table(ratios=ratios), found).split()[2:] == ["2,000", "100", "0.05", "75%"]


def test_the_heading_breaks_long_names_over_lines_of_one_width():
    found = report.heading(table(columns=("nnreg", "nnreg+numba", "scikit-learn"), ratios=()))
    title, *lines = found.strip().splitlines()
    assert title == "a title"
    assert [line.split() for line in lines] == [["nnreg", "scikit-"], ["nnreg", "+numba", "learn"]]
    assert len({len(line) for line in lines}) == 1 or lines[0][-7:] == "scikit-"


AHEAD = Target("twice as fast", "fake", ("nnreg",), ("PyTorch",), least=2.0, rows=("big", "small"))
QUICK = Target("quick", "fake", ("nnreg",), most=0.005)


def test_a_target_is_met_missed_or_not_measured_and_says_by_what():
    rows = [
        Row("big net", "µs", {"nnreg": [1.0], "PyTorch": [3.0]}),
        Row("small net", "µs", {"nnreg": [1.0], "PyTorch": [2.0]}),
        Row("other net", "µs", {"nnreg": [1.0], "PyTorch": [0.1]}),
    ]
    (met,) = judge({"fake": rows}, [AHEAD])
    assert met.word == "met"
    assert met.line.endswith("twice as fast: 2.00 or more (small net: 2.00)")
    rows.append(Row("big one", "µs", {"nnreg": [1.0], "PyTorch": [0.5]}))
    (missed,) = judge({"fake": rows}, [AHEAD])
    assert missed.word == "missed"
    assert missed.line.endswith("2.00 or more (big one: 0.50)")
    (unknown,) = judge({"fake": rows[2:3]}, [AHEAD])
    assert unknown.line == "  not measured  twice as fast: 2.00 or more"
    assert judge({"another": rows}, [AHEAD]) == []
    assert json.dumps(missed.as_json)


def test_a_target_for_a_figure_itself_is_an_upper_limit_in_the_rows_unit():
    (met,) = judge({"fake": [Row("a save", "ms", {"nnreg": [0.004]})]}, [QUICK])
    assert (met.word, met.line.split(": ", 1)[1]) == ("met", "at most 5.00 ms (a save: 4.00 ms)")
    (missed,) = judge({"fake": [Row("a save", "ms", {"nnreg": [0.0061]})]}, [QUICK])
    assert missed.word == "missed"


def test_every_target_names_a_table_with_its_columns_and_every_workload_has_its_targets():
    tables = {table.name: table for table in TABLES}
    for target in targets.TARGETS:
        table = tables[target.table]
        known = {*table.columns, *(name for ratio in table.ratios for name in ratio.peers)}
        assert known >= {*target.own, *target.peers}
    for workload in WORKLOADS:
        of_it = [
            t for t in targets.TARGETS if t.table == "steps" and workload.name.startswith(t.rows)
        ]
        assert {t.own[0] for t in of_it} == {"nnreg", "nnreg+numba"}


def test_a_plot_has_a_panel_a_table_and_names_the_libraries(tmp_path):
    pytest.importorskip("matplotlib", reason="the plot needs it, and is left out without")
    rows = [Row("net", "s", {"nnreg": [1.0], "PyTorch": [2.0]})]
    path = tmp_path / "plot.svg"
    assert str(path) in plot({table(): rows}, path)
    assert path.read_text().count("<!-- PyTorch -->") == 1
    assert plot({table(): [row(nnreg=1.0)]}, path) == ""


def test_without_matplotlib_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert plot({}, tmp_path / "plot.svg") == " (no plot: matplotlib is not installed)"
    assert not list(tmp_path.iterdir())


def test_the_share_of_the_limit_counts_no_gradient_of_the_input():
    forward = 4 * 16 + 16 * 8 + 8 * 3
    assert TINY.flops == 2 * 150 * (3 * forward - 4 * 16)


def test_the_products_alone_are_those_of_a_step_of_nnreg(monkeypatch):
    def products(job):
        """Return the sizes of the products of matrices: what is summed over, and the result's."""
        made = []

        def counted(real):
            def product(a, b, out=None):
                if a.ndim == b.ndim == 2:
                    made.append((a.shape[1], *sorted((a.shape[0], b.shape[1]))))
                return real(a, b, out=out)

            return product

        with monkeypatch.context() as patch:
            for name in ("matmul", "dot"):
                patch.setattr(np, name, counted(getattr(np, name)))
            job()
        return sorted(made)

    alone = products(peer("own products").train(TINY))
    job = peer("nnreg").train(TINY)
    job()
    assert alone == [sizes for sizes in products(job) if 1 not in sizes]  # sums are products too
    assert len(alone) == 8 * STEPS


def test_every_workload_has_all_its_classes():
    for workload in WORKLOADS[:2]:
        x, y = workload.examples()
        assert len(x) == len(y) == STEPS * workload.batch
        assert set(y.tolist()) == set(range(workload.classes))


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_the_network_in_jax_has_as_many_parameters_as_nnregs(workload):
    layers = [*workload.layers, dense(workload.classes, "softmax")]
    x, y = workload.examples()
    spec = {"model": {"layers": layers}, "loss": "cross_entropy", "optimizer": "sgd"}
    model = nnreg.build(spec, data=(x, y))

    def size(params):
        return sum(map(size, params)) if isinstance(params, tuple | list) else params.size

    params, shape = initial(layers, workload.shape, np.random.default_rng(0))
    assert size(params) == model.network.vector.size
    assert shape == (workload.classes,)


def test_a_training_step_is_a_part_of_the_pass_that_is_timed():
    class Fake:
        def ask(self, peer, task, seconds, workload):
            return 16e-3

    assert STEPS == 16
    assert steps._step(Fake(), "nnreg", TINY, EFFORT) == 1e-3


def test_the_seconds_of_a_call_are_the_mean_of_as_many_as_fit():
    calls = []
    mean = seconds_a_call(lambda: calls.append(time.sleep(0.002)), 0.02)
    assert 2 <= len(calls) <= 10
    assert 0.002 <= mean <= 0.02
    assert seconds_a_call(lambda: calls.clear(), 0.0) < 0.02


def test_a_worker_times_nnreg_and_says_why_it_cannot():
    worker = Worker("nnreg", threads=1)
    try:
        assert 0 < worker.ask("train", 0.01, workload=TINY.name) < 1
        with pytest.raises(UnavailableError, match="KeyError: 'no such network'"):
            worker.ask("train", 0.01, workload="no such network")
        assert 0 < worker.ask("predict", 0.01, workload=TINY.name, rows=1) < 1
    finally:
        peak = worker.close()
    assert 2e7 < peak < 2e9
    with pytest.raises(UnavailableError, match="the process died"):
        worker.ask("train", 0.01, workload=TINY.name)


def test_one_save_is_timed_beside_h5py_with_the_same_arrays(tmp_path):
    with Workers(threads=1) as workers:
        for name in ("nnreg", "plain h5py"):
            assert workers.ask(name, "save", 0.0, workload="64-40-10", folder=str(tmp_path)) < 1
    size = (tmp_path / "model.h5").stat().st_size
    assert 55e3 < size < 70e3
    assert 0.8 * size < (tmp_path / "plain.h5").stat().st_size < 1.2 * size


def test_a_large_checkpoint_takes_a_hundred_megabytes():
    weights = sum(a * b + b for a, b in NAMED["1024-2048-2048-10"].weights)
    assert 4 * 4 * weights == pytest.approx(100e6, rel=0.03)  # with the best and Adam's vectors


def test_a_command_that_fails_leaves_its_last_line_as_the_reason():
    with pytest.raises(
        UnavailableError, match="ModuleNotFoundError: No module named 'nothing_here'"
    ):
        run(python("-c", "import nothing_here"), limited(1))
    finished = run(python("-c", "print('done')"), limited(1))
    assert finished.output == "done\n"
    assert finished.seconds > 0


def test_peak_memory_is_that_of_the_process_and_not_of_the_one_that_starts_it():
    code = """
import sys
from benchmarks import __main__
from benchmarks.processes import limited, python, run
assert "numpy" not in sys.modules
for size in (1, 100):
    print(run(python("-c", f"b = bytearray({size} * 10**6)"), limited(1)).peak / 1e6)
"""
    small, large = map(float, run(python("-c", code), limited(1)).output.split())
    assert 5 < small < 60
    assert large - small == pytest.approx(99, rel=0.2)


def test_the_jobs_are_those_of_the_specs():
    from nnreg.spec.document import read_spec

    for name, job in JOBS.items():
        spec = read_spec(ROOT / "models" / f"{name}.json").spec
        layers = {type(layer).__name__: layer for layer in reversed(spec.model.layers)}
        assert job.validation == spec.data.split.validation
        assert job.test == spec.data.split.test
        assert spec.data.split.stratify
        assert job.hidden == layers["Dense"].units
        assert job.dropout == (layers["Dropout"].rate if "Dropout" in layers else 0)
        assert job.rate == spec.optimizer.learning_rate
        assert (job.epochs, job.batch) == (spec.train.epochs, spec.train.batch_size)
        assert job.patience == spec.train.early_stopping.patience


@pytest.mark.parametrize("name", JOBS)
def test_the_jobs_read_as_many_rows_and_features_as_nnreg(name, monkeypatch):
    from benchmarks.jobs.data import from_command_line
    from nnreg.runs.prepare import assemble
    from nnreg.spec.document import read_spec

    monkeypatch.setattr(sys, "argv", ["job", name])
    _, *parts = from_command_line()
    assembled = assemble(read_spec(ROOT / "models" / f"{name}.json"))
    theirs = [assembled.train, assembled.validation, assembled.test]
    for (x, y), part in zip(parts, theirs, strict=True):
        assert abs(len(x) - len(part)) <= 2
        assert x[0].size == part.x[0].size
        assert x.dtype == np.float32
        assert np.isfinite(x).all()
        assert len(np.unique(y)) == len(np.unique(part.t))
    assert parts[0][0].std() == pytest.approx(assembled.train.x.std(), rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(
    ("script", "needs"),
    [("scikit_learn", "sklearn"), ("pytorch", "torch"), ("keras_on_jax", "keras")],
)
def test_every_job_script_learns_what_it_should(script, needs, job):
    if find_spec(needs) is None or (needs == "keras" and find_spec("jax") is None):
        pytest.skip(f"{needs} is not installed")
    outcome = json.loads(run(python("-m", f"benchmarks.jobs.{script}", job), limited(1)).output)
    assert outcome["accuracy"] >= 0.94
    assert 1 <= outcome["epochs"] <= JOBS[job].epochs


def test_the_thirty_plugins_are_found_and_work(tmp_path):
    plugins.install(tmp_path)
    command = python("-m", "nnreg", "plugins", "--json")
    found = run(command, limited(1, path=tmp_path)).output
    assert all(module in found for module in plugins.MODULES)
    assert len(plugins.MODULES) == 30
    run(python("-W", "error", "-c", plugins.ALL), limited(1, path=tmp_path))


def test_every_library_has_what_its_tables_ask_for():
    for name in LIBRARIES:
        made = peer(name)
        assert callable(made.train)
        assert callable(made.predict)
    assert set(PEERS) - set(LIBRARIES) == {"own products", "large product", "plain h5py"}


def test_the_first_lines_say_what_the_figures_depend_on_and_that_a_kernel_is_forced():
    about = {
        "processor": "A chip", "cores": 2, "load": 0.5, "python": "3.13.0", "blas": [],
        "versions": {"numpy": "2.4"}, "OPENBLAS_CORETYPE": None,
    }  # fmt: skip
    assert "A chip, 2 cores, load 0.50" in describe(about, 1)
    assert "OPENBLAS_CORETYPE" not in describe(about, 1)
    assert "OPENBLAS_CORETYPE=Haswell is set" in describe(
        about | {"OPENBLAS_CORETYPE": "Haswell"}, 1
    )


def test_the_command_prints_tables_and_verdicts_and_writes_all_of_it_as_json(tmp_path):
    arguments = ["steps", "--quick", "--only", TINY.name, "--threads", "1", "--out", str(tmp_path)]
    code = f"""
import benchmarks.tables.steps as steps
from benchmarks import __main__ as bench
steps.LIBRARIES = ("nnreg",)
bench.main({arguments!r})
"""
    done = subprocess.run(python("-c", code), env=limited(1), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith(TINY.name))
    document = json.loads((tmp_path / "results.json").read_text())
    (found,) = document["tables"]
    assert found["rows"][0]["name"] == f"{TINY.name}, {TINY.batch}"
    assert report.figure(found["rows"][0]["figures"]["nnreg"] * 1e6) == line.split()[2]
    assert set(found["rows"][0]["samples"]) == {"nnreg", "own products", "limit"}
    assert {found["table"] for found in document["targets"]} == {"steps"}
    assert "not measured" in done.stdout
    assert document["environment"]["versions"]["numpy"] == np.__version__


def test_an_unknown_table_is_refused(capsys):
    with pytest.raises(SystemExit):
        bench.main(["speed"])
    assert "invalid choice: 'speed'" in capsys.readouterr().err


def test_streaming_is_timed_beside_memory(monkeypatch):
    monkeypatch.setattr(streaming, "BYTES", 2**16)
    measured = next(streaming.measure(Effort(1, 0.0, 1, only="64-128")))
    assert set(measured.figures) | set(measured.left_out) == set(streaming.TABLE.columns)
    assert all(seconds > 0 for seconds in measured.figures.values())


def test_a_watched_training_is_timed_beside_one_unseen(monkeypatch, capfd):
    monkeypatch.setattr(watching, "SECONDS", 0.01)
    for measured in watching.measure(Effort(1, 0.0, 1)):
        assert set(measured.figures) == set(watching.WAYS)
        assert all(seconds > 0 for seconds in measured.figures.values())
    assert capfd.readouterr() == ("", "")


def test_each_option_of_training_is_timed(monkeypatch):
    monkeypatch.setattr(options, "SECONDS", 0.001)
    monkeypatch.setattr(options, "NETWORKS", options.NETWORKS[:1])
    (measured,) = options.measure(Effort(1, 0.0, 1))
    assert set(measured.figures) == set(options.WAYS)
    assert all(seconds > 0 for seconds in measured.figures.values())


def test_the_share_of_saving_is_of_the_whole_of_a_run(monkeypatch):
    class Fake(Workers):
        def ask(self, peer, task, seconds, folder, epochs):
            assert (peer, task) == ("nnreg", "run")
            return 2.0 if folder is None else 2.5

    monkeypatch.setattr(saving, "Workers", Fake)
    share = saving._share("a folder", 80, EFFORT)
    assert share.figures == {"nnreg": pytest.approx(0.2)}
    assert share.name.startswith("saving's share")


def test_what_plugins_add_is_held_to_what_their_imports_take():
    assert plugins._row((0.1, 0.15, 0.02, 0.06)) == pytest.approx((0.1, 0.15, 0.04, 0.14))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much a process grew")
@pytest.mark.parametrize("name", loading.FILES)
def test_files_of_csv_are_read_in_processes_of_their_own(tmp_path, name):
    loading.write(tmp_path / "a.csv", name, 30)
    with (tmp_path / "a.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == 31
    seconds, grown = loading.sample("nnreg", tmp_path / "a.csv")
    assert 0 < seconds < 60
    assert 0 <= grown < 1e9
