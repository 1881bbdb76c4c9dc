"""The data that a run logs, read back with TensorBoard's own reader."""

import json
import threading

import nnreg_tensorboard
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

import nnreg
from nnreg.cli.app import main
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


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    points = np.random.default_rng(0).normal(size=(60, 2))
    rows = [f"{x},{y},{x * y}" for x, y in points]
    (tmp_path / "data.csv").write_text("\n".join(["x,y,z", *rows]) + "\n")
    (tmp_path / "spec.json").write_text(json.dumps(SPEC))
    return "spec.json"


def read(directory):
    events = EventAccumulator(str(directory), size_guidance={"scalars": 0, "histograms": 0})
    return events.Reload()


def scalars(directory, tag):
    return {event.step: event.value for event in read(directory).Scalars(tag)}


def test_every_metric_of_every_epoch_is_logged(spec, tmp_path):
    model = nnreg.run(spec, out="run")
    directory = tmp_path / "run" / "tensorboard"
    for split, prefix in (("train", ""), ("validation", "val_")):
        assert sorted(read(directory / split).Tags()["scalars"]) == ["loss", "r2"]
        for tag in ("loss", "r2"):
            expected = {record["epoch"]: record[f"{prefix}{tag}"] for record in model.history}
            assert scalars(directory / split, tag) == pytest.approx(expected)


def test_the_metrics_of_the_test_split_are_logged_at_the_best_epoch(spec, tmp_path):
    nnreg.run(spec, out="run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    found = scalars(tmp_path / "run" / "tensorboard" / "test", "loss")
    assert found == pytest.approx({summary["best_epoch"]: summary["test"]["loss"]})


def test_histograms_of_the_weights_are_logged_from_the_first_to_the_last_epoch(spec, tmp_path):
    overrides = ["train.epochs=50", "data.split.validation=null"]  # the last weights are the best
    model = nnreg.run(spec, out="run", overrides=overrides)
    events = read(tmp_path / "run" / "tensorboard" / "train")
    assert sorted(events.Tags()["histograms"]) == sorted(model.parameters)
    found = events.Histograms("layers/0/weight")
    assert found[0].step == 1
    assert found[-1].step == 50
    last = found[-1].histogram_value
    weight = model.parameters["layers/0/weight"].astype(float)
    assert (last.num, sum(last.bucket)) == (8, 8)
    assert last.bucket_limit[-1] == last.max
    assert (last.min, last.max, last.sum) == pytest.approx(
        (weight.min(), weight.max(), weight.sum()), rel=1e-6
    )


def test_the_best_weights_are_not_logged_as_those_of_the_last_epoch(spec, tmp_path, monkeypatch):
    monkeypatch.setattr("nnreg_tensorboard.MAX_OVERHEAD", 1e-9)  # only the first histograms
    overrides = ["train.epochs=500", 'train.early_stopping={"patience":1}']
    model = nnreg.run(spec, out="run", overrides=overrides)
    assert model.training_state.best_epoch < len(model.history) < 500
    events = read(tmp_path / "run" / "tensorboard" / "train").Histograms("layers/0/weight")
    assert [event.step for event in events] == [1]


def test_the_settings_are_hyperparameters_and_the_outcome_is_logged(spec, tmp_path):
    nnreg.run(spec, out="run", overrides=["optimizer.learning_rate=0.02"])
    plugin = read(tmp_path / "run" / "tensorboard").PluginTagToContent(metadata.PLUGIN_NAME)
    start = metadata.parse_session_start_info_plugin_data(plugin[metadata.SESSION_START_INFO_TAG])
    assert start.hparams["optimizer.learning_rate"].number_value == 0.02
    assert start.hparams["optimizer.type"].string_value == "adam"
    assert start.hparams["model.layers.0.units"].number_value == 4
    end = metadata.parse_session_end_info_plugin_data(plugin[metadata.SESSION_END_INFO_TAG])
    assert end.status == 1


def test_an_interrupted_run_is_a_failure_with_all_its_epochs(spec, tmp_path):
    def stop(record):
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nnreg.run(spec, out="run", on_epoch=stop)
    directory = tmp_path / "run" / "tensorboard"
    assert list(scalars(directory / "train", "loss")) == [1, 2]
    plugin = read(directory).PluginTagToContent(metadata.PLUGIN_NAME)
    end = metadata.parse_session_end_info_plugin_data(plugin[metadata.SESSION_END_INFO_TAG])
    assert end.status == 2


def test_the_spec_and_the_layers_are_logged_as_text(spec, tmp_path):
    model = nnreg.run(spec, out="run")
    events = read(tmp_path / "run" / "tensorboard")
    texts = {
        tag: events.Tensors(tag)[0].tensor_proto.string_val[0].decode()
        for tag in events.PluginTagToContent("text")
    }
    assert json.loads(texts["spec"].strip("`")) == SPEC
    assert model.summary() in texts["layers"]


def test_a_resumed_run_continues_the_same_charts(spec, tmp_path):
    nnreg.run(spec, out="run")
    model = nnreg.resume("run", overrides=["train.epochs=6"])
    found = scalars(tmp_path / "run" / "tensorboard" / "train", "loss")
    assert found == pytest.approx({record["epoch"]: record["loss"] for record in model.history})


def test_epochs_that_are_trained_again_replace_the_earlier_ones(spec, tmp_path):
    nnreg.run(spec, out="run", overrides=["train.epochs=3"])
    early = (tmp_path / "run" / "checkpoints" / "last.h5").read_bytes()
    nnreg.resume("run", overrides=["train.epochs=6"])
    (tmp_path / "run" / "checkpoints" / "last.h5").write_bytes(early)
    model = nnreg.resume("run", overrides=["train.epochs=5", "optimizer.learning_rate=0.1"])
    found = scalars(tmp_path / "run" / "tensorboard" / "train", "loss")
    assert found == pytest.approx({record["epoch"]: record["loss"] for record in model.history})


def test_a_run_is_bit_identical_with_and_without_it(spec, tmp_path):
    for name, options in (("with", []), ("without", ["-p", "no:tensorboard"])):
        with pytest.raises(SystemExit) as done:
            main([*options, "run", spec, "--quiet", "--out", name])
        assert done.value.code == 0
    assert (tmp_path / "with" / "tensorboard").exists()
    assert not (tmp_path / "without" / "tensorboard").exists()
    for file in ("metrics.jsonl", "checkpoints/best.h5", "checkpoints/last.h5"):
        assert (tmp_path / "with" / file).read_bytes() == (tmp_path / "without" / file).read_bytes()


def test_the_loss_of_every_batch_is_logged_on_request(spec, tmp_path):
    assert not hasattr(nnreg_tensorboard.plugin, "nnreg_batch_ended")
    plugin = nnreg_tensorboard.WithBatches()
    registry = installed()
    registry.remove("tensorboard")
    nnreg.register(plugin)
    try:
        model = nnreg.run(spec, out="run", overrides=["train.batch_size=16", "train.epochs=2"])
    finally:
        registry.remove("nnreg.register WithBatches")
        registry.add_plugin("tensorboard", nnreg_tensorboard.plugin, "nnreg-tensorboard", "1.0")
    found = scalars(tmp_path / "run" / "tensorboard" / "batches", "batch/loss")
    assert list(found) == list(range(1, model.training_state.step + 1))
    first = list(found.values())[: len(found) // 2]
    rows = [16, 16, 4]
    assert np.average(first, weights=rows) == pytest.approx(model.history[0]["loss"], rel=1e-5)


def test_no_thread_is_left_running(spec):
    before = threading.active_count()
    nnreg.run(spec, out="run")
    assert threading.active_count() == before


def test_it_prints_nothing_and_writes_nothing_without_a_directory(spec, tmp_path, capfd):
    before = sorted(tmp_path.rglob("*"))
    nnreg.run(spec)
    assert sorted(tmp_path.rglob("*")) == before
    nnreg.run(spec, out="run")
    assert capfd.readouterr() == ("", "")


def test_it_is_discovered_with_its_distribution_and_version():
    plugin = installed().plugins["tensorboard"]
    assert (plugin.provider, plugin.state) == ("nnreg-tensorboard 1.0", "loaded")
    assert plugin.hooks == ("nnreg_epoch_ended", "nnreg_run_ended", "nnreg_run_started")
