"""The data that a run logs, read back with MLflow's client from a SQLite store."""

import contextlib
import http.server
import json
import subprocess
import sys
import threading

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient

import nnreg
from nnreg.cli.app import main
from nnreg.errors import NnregWarning
from nnreg.registry.registry import installed

SPEC = {
    "data": {"source": "csv", "path": "data.csv", "target": "z",
             "split": {"validation": 0.2, "test": 0.2}},
    "model": {"layers": [{"type": "dense", "units": 4, "activation": "tanh"},
                         {"type": "dense", "units": 1}]},
    "loss": "mean_squared_error",
    "optimizer": {"type": "adam", "learning_rate": 0.01},
    "metrics": ["r2"],
    "train": {"epochs": 4},
}  # fmt: skip


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """Create the tables once, which takes a second."""
    directory = tmp_path_factory.mktemp("store")
    with contextlib.chdir(directory):  # the location of artifacts of the default experiment
        MlflowClient("sqlite:///empty.db").search_experiments()
    return (directory / "empty.db").read_bytes()


@pytest.fixture
def spec(tmp_path, monkeypatch, empty_store):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "store.db").write_bytes(empty_store)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/store.db")
    points = np.random.default_rng(0).normal(size=(60, 2))
    rows = [f"{x},{y},{x * y}" for x, y in points]
    (tmp_path / "data.csv").write_text("\n".join(["x,y,z", *rows]) + "\n")
    (tmp_path / "hill.json").write_text(json.dumps(SPEC))
    return "hill.json"


def runs(experiment="hill"):
    client = MlflowClient()
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id]) if found else []


def metric(run, name):
    history = MlflowClient().get_metric_history(run.info.run_id, name)
    return {point.step: point.value for point in history}


def test_every_metric_of_every_epoch_is_logged_by_step(spec):
    model = nnreg.run(spec, out="runs/hill-001", overrides=["train.epochs=50"])
    (run,) = runs()
    assert run.info.run_name == "hill-001"
    assert run.info.status == "FINISHED"
    for name in ("loss", "r2", "val_loss", "val_r2"):
        expected = {record["epoch"]: record[name] for record in model.history}
        assert metric(run, name) == expected


def test_the_metrics_of_the_test_split_are_logged_at_the_best_epoch(spec, tmp_path):
    nnreg.run(spec, out="out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    (run,) = runs()
    assert metric(run, "test_r2") == {summary["best_epoch"]: summary["test"]["r2"]}
    assert run.data.tags["nnreg.best_epoch"] == str(summary["best_epoch"])


def test_the_settings_are_parameters(spec):
    nnreg.run(spec, overrides=["optimizer.learning_rate=0.02"])
    (run,) = runs()
    assert run.data.params["optimizer.learning_rate"] == "0.02"
    assert run.data.params["model.layers.0.activation"] == "tanh"
    assert run.data.params["metrics.0"] == "r2"


def test_settings_of_any_number_length_and_name_are_logged(spec, tmp_path):
    layers = [{"type": "dense", "units": 2}] * 60 + [{"type": "dense", "units": 1}]
    columns = {"x": "number", "größe": "number", "a (b) [c]": "category"}
    (tmp_path / "data.csv").write_text("x,größe,a (b) [c],z\n1,2,u,3\n2,3,v,5\n3,2,u,4\n4,4,v,8\n")
    data = {"source": "csv", "path": "data.csv", "target": "z", "columns": columns}
    tree = {**SPEC, "model": {"layers": layers}, "data": data, "train": {"epochs": 1}}
    nnreg.run(tree)
    (run,) = runs("spec")
    assert len(run.data.params) == len([*layers, *layers]) + 11
    assert run.data.params["data.columns.a _b_ _c_"] == "category"


def test_spec_summary_and_checkpoints_are_artifacts(spec, tmp_path):
    nnreg.run(spec, out="out")
    (run,) = runs()
    client = MlflowClient()
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert names == {"spec.json", "summary.json", "checkpoints"}
    directory = client.download_artifacts(run.info.run_id, "", str(tmp_path))
    assert json.loads((tmp_path / directory / "spec.json").read_text()) == SPEC
    for name in ("best.h5", "last.h5"):
        found = (tmp_path / directory / "checkpoints" / name).read_bytes()
        assert found == (tmp_path / "out" / "checkpoints" / name).read_bytes()


def test_a_run_without_a_directory_is_tracked_with_its_spec(spec):
    nnreg.run(spec)
    (run,) = runs()
    (file,) = MlflowClient().list_artifacts(run.info.run_id)
    assert file.path == "spec.json"
    assert run.info.run_name == "hill"


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt, "KILLED"), (ValueError, "FAILED")]
)
def test_an_interrupted_or_failed_run_has_its_status_and_all_its_epochs(spec, error, status):
    def stop(record):
        if record["epoch"] == 3:
            raise error

    with pytest.raises(error):
        nnreg.run(spec, out="out", on_epoch=stop)
    (run,) = runs()
    assert run.info.status == status
    assert list(metric(run, "loss")) == [1, 2, 3]


def test_a_resumed_run_continues_the_same_mlflow_run(spec):
    nnreg.run(spec, out="it's a run")
    model = nnreg.resume("it's a run", overrides=["train.epochs=6"])
    (run,) = runs()
    assert run.info.status == "FINISHED"
    assert metric(run, "loss") == {record["epoch"]: record["loss"] for record in model.history}
    assert run.data.params["train.epochs"] == "4"
    assert json.loads(run.data.tags["nnreg.changed_after_epoch_4"]) == {"train.epochs": "6"}


def test_a_new_run_in_the_directory_of_a_deleted_run_is_a_new_mlflow_run(spec, tmp_path):
    nnreg.run(spec, out="out")
    (tmp_path / "out").rename(tmp_path / "old")
    nnreg.run(spec, out="out")
    assert len(runs()) == 2


def test_the_environment_names_the_experiment(spec, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "curves")
    nnreg.run(spec)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME")
    id_ = MlflowClient().get_experiment_by_name("curves").experiment_id
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", id_)
    nnreg.run(spec)
    assert len(runs("curves")) == 2
    assert runs() == []


def test_a_run_that_is_open_in_python_is_used_and_stays_open(spec):
    with mlflow.start_run(run_name="mine") as opened:
        nnreg.run(spec)
        assert mlflow.active_run().info.status == "RUNNING"
    found = MlflowClient().get_run(opened.info.run_id)
    assert found.data.params["train.epochs"] == "4"
    assert list(metric(found, "loss")) == [1, 2, 3, 4]


def test_a_run_is_bit_identical_with_and_without_it(spec, tmp_path):
    for name, options in (("with", []), ("without", ["-p", "no:mlflow"])):
        with pytest.raises(SystemExit) as done:
            main([*options, "run", spec, "--quiet", "--out", name])
        assert done.value.code == 0
    (run,) = runs()
    assert run.info.run_name == "with"
    for file in ("metrics.jsonl", "checkpoints/best.h5", "checkpoints/last.h5"):
        assert (tmp_path / "with" / file).read_bytes() == (tmp_path / "without" / file).read_bytes()


def test_it_prints_nothing_even_for_a_new_store(spec, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/new.db")
    command = [sys.executable, "-m", "nnreg", "run", spec, "--quiet", "--no-report"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "mlflow" not in done.stdout.lower()
    assert len(runs()) == 1


def test_an_unavailable_server_is_reported_in_one_line_and_training_continues(spec, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:9")
    with pytest.warns(NnregWarning, match="plugin mlflow .*: nnreg_run_started raised") as warned:
        model = nnreg.run(spec)
    assert len(warned) == 1
    assert len(model.history) == 4


@pytest.fixture
def overloaded():
    """Run a server that refuses each request; yield the requests."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            self.send_error(503)

        do_POST = do_GET  # noqa: N815 - the name that the server calls

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("localhost", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, requests
        server.shutdown()
        thread.join()


def test_an_overloaded_server_is_asked_twice_and_training_continues(spec, overloaded, monkeypatch):
    port, requests = overloaded
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://localhost:{port}")
    with pytest.warns(NnregWarning, match="plugin mlflow .*: nnreg_run_started raised"):
        model = nnreg.run(spec)
    assert len(model.history) == 4
    assert len(requests) == 2


def test_it_is_discovered_with_its_distribution_and_version():
    plugin = installed().plugins["mlflow"]
    assert (plugin.provider, plugin.state) == ("nnreg-mlflow 1.0", "loaded")
    assert plugin.hooks == ("nnreg_epoch_ended", "nnreg_run_ended", "nnreg_run_started")
