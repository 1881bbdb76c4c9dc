"""A fold of the training rows for each member of an ensemble, which holds it out."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

import nnreg
from nnreg.cli.app import main
from nnreg.reports.predictions import predict_held_out
from nnreg.runs.baseline import evaluate_with_baseline
from nnreg.runs.estimate import estimate
from nnreg.runs.prepare import prepare_from_spec
from nnreg.runs.rerun import rerun
from nnreg.spec.document import read_spec
from nnreg.training.ensemble import predict_examples
from tests.helpers.trained import require_resumed_in_mid_epoch

RNG = np.random.default_rng(0)
X = RNG.normal(size=(41, 3))
NUMBERS = 5 + 3 * X[:, 0] - X[:, 1]
CLASSES = np.array(["low", "mid", "high"])[np.digitize(X[:, 0], (-0.5, 0.5))]
GROUPS = np.arange(41) // 4
HIDDEN = {"type": "dense", "units": 5, "activation": "tanh"}
NUMBER = {"type": "dense", "units": 1}
CLASS = {"type": "dense", "units": "classes", "activation": "softmax"}
TASKS = {
    "numbers": ([HIDDEN, NUMBER], "mean_squared_error", ["r2"], NUMBERS),
    "classes": ([HIDDEN, CLASS], "cross_entropy", ["accuracy"], CLASSES),
    "dropout and layer norm": (
        [HIDDEN, {"type": "dropout"}, {"type": "layer_norm"}, NUMBER],
        "mean_squared_error",
        [],
        NUMBERS,
    ),
    "two outputs": (
        [
            {**HIDDEN, "name": "trunk"},
            {**NUMBER, "name": "price"},
            {**CLASS, "inputs": "trunk", "name": "style"},
        ],
        {"price": {"type": "huber", "weight": 0.5}, "style": "cross_entropy"},
        {"style": ["accuracy"]},
        {"price": NUMBERS, "style": CLASSES},
    ),
    "a distribution": ([HIDDEN, {**NUMBER, "units": 2}], "gaussian_nll", [], NUMBERS),
}


def document_of(task, members=3, split=None, *, data=None, optimizer="adam", **changes):
    layers, loss, metrics, _ = TASKS[task]
    target = {"target": {"price": "price", "style": "style"}} if task == "two outputs" else {}
    return {
        "model": {"layers": layers, "members": members, "dtype": "float64"},
        "loss": loss,
        "metrics": metrics,
        "optimizer": optimizer,
        "data": {
            "source": "csv",
            "path": "data.csv",
            "target": "target",
            "split": {"member_folds": True} | (split or {}),
            **target,
            **(data or {}),
        },
        "train": {"epochs": 3, "batch_size": 16, **changes},
    }


def prepare(task, *arguments, x=X, y=None, **changes):
    document = read_spec(document_of(task, *arguments, **changes))
    return prepare_from_spec(document, (x, TASKS[task][3] if y is None else y))


def trained(task, *arguments, **changes):
    prepared = prepare(task, *arguments, **changes)
    trainer = prepared.model.trainer(prepared.train, prepared.validation)
    return prepared, list(trainer.epochs())


def test_each_member_holds_out_a_fold_of_its_own_and_every_row_is_held_out_once():
    prepared = prepare("numbers", 4)
    holders, weights = prepared.validation.holders, prepared.train.weights
    assert sorted(np.bincount(holders)) == [10, 10, 10, 11]
    assert np.array_equal(weights == 0, holders[:, None] == np.arange(4))
    np.testing.assert_allclose(weights.mean(axis=0), 1)
    assert len(np.unique(weights, axis=0)) == 4
    assert prepared.validation.x is prepared.train.x
    assert prepared.reported[0] == "validation"
    assert prepared.tables["validation"].row_numbers.tolist() == list(range(len(X)))


def test_folds_keep_the_proportions_of_classes_or_whole_groups():
    labels = np.repeat(["a", "b"], [30, 11])
    prepared = prepare("classes", split={"stratify": True}, y=labels)
    for member in range(3):
        own = prepared.train.raw_targets[prepared.validation.holders == member]
        assert 3 <= np.count_nonzero(own == 1) <= 4
    x = {"a": X[:, 0], "b": X[:, 1], "patient": GROUPS}
    grouped = prepare("numbers", split={"group": "patient"}, x=x)
    for group in range(11):
        assert len(set(grouped.validation.holders[group == GROUPS])) == 1
    np.testing.assert_allclose(grouped.train.weights.mean(axis=0), 1)


@pytest.mark.parametrize(
    "changes",
    [{}, {"ema": 0.9, "weight_decay": 0.1}, {"accumulate": 2}, {"shards": 2}, {"batch_size": 3}],
    ids=str,
)
@pytest.mark.parametrize("task", ["numbers", "classes"])
def test_members_train_as_networks_alone_on_the_rows_they_do_not_hold_out(task, changes):
    prepared, history = trained(task, **changes)
    ensemble, holders, y = prepared.model, prepared.validation.holders, TASKS[task][3]
    start = prepare(task, **changes).model.network
    predictions, losses = [], []
    for member in range(3):
        document = document_of(task, 1, {"member_folds": False}, **changes)
        alone = nnreg.build(document, data=(X, y))
        alone.network.vector[...] = start.member(member).vector
        losses.append(alone.fit(X, y, weights=1.0 * (holders != member))[-1]["loss"])
        found = ensemble.network.member(member).vector
        np.testing.assert_allclose(found, alone.network.vector, rtol=1e-11, atol=1e-13)
        predictions.append(alone.predict(X))
    assert history[-1]["loss"] == pytest.approx(np.mean(losses), rel=1e-11)
    out_of_fold = np.stack(predictions)[holders, np.arange(len(X))]
    y_found = predict_examples(ensemble.inference_network, prepared.validation)
    np.testing.assert_allclose(y_found.reshape(out_of_fold.shape), out_of_fold, rtol=1e-9)
    if task == "numbers":
        expected = np.mean((out_of_fold - NUMBERS) ** 2)
    else:
        expected = -np.mean(np.log(out_of_fold[np.arange(41), prepared.train.raw_targets]))
    assert history[-1]["val_loss"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("task", TASKS)
def test_no_member_depends_on_the_targets_of_its_fold(task):
    y = TASKS[task][3]
    first, _ = trained(task)
    holders = first.validation.holders
    changed = {}
    for name, values in (y if isinstance(y, dict) else {"": y}).items():
        other = np.roll(values, 1) if values.dtype.kind == "U" else 3 - 2 * values
        changed[name] = np.where(holders == 1, other, values)
    second, _ = trained(task, y=changed if isinstance(y, dict) else changed[""])
    same = [
        np.array_equal(
            first.model.network.member(member).vector, second.model.network.member(member).vector
        )
        for member in range(3)
    ]
    assert same == [False, True, False]


def test_out_of_fold_metrics_of_noise_are_honest():
    x, noise = RNG.normal(size=(60, 8)), RNG.normal(size=60)
    document = document_of("numbers", 4, optimizer={"type": "adam", "learning_rate": 0.05})
    document["model"]["layers"] = [{**HIDDEN, "units": 30}, NUMBER]
    document["train"]["epochs"] = 40
    model = nnreg.run(document, data=(x, noise))
    last = model.history[-1]
    assert last["r2"] > 0.5
    assert last["val_r2"] < 0


@pytest.mark.parametrize("task", TASKS)
def test_the_results_of_a_run_are_out_of_fold(task):
    prepared, history = trained(task)
    found = evaluate_with_baseline(prepared)
    expected = {name.removeprefix("val_"): value for name, value in history[-1].items()}
    assert found["validation"] == {name: expected[name] for name in found["validation"]}
    assert found["train"] != found["validation"]
    held_out = predict_held_out(prepared)
    assert {one.split for one in held_out.values()} <= {"validation"}
    if task == "classes":
        (one,) = held_out.values()
        accuracy = np.mean(one.predictions == one.true_values)
        assert accuracy == found["validation"]["accuracy"] == found["verdict"]["value"]


def test_the_loss_decides_on_the_best_epoch_and_the_test_split_stays_apart():
    changes = {"epochs": 30, "early_stopping": {"patience": 2}}
    document = document_of("numbers", 3, {"test": 0.2}, **changes)
    document["model"]["layers"][0]["units"], document["optimizer"] = 5, "rmsprop"
    run = nnreg.run(document, data=(X, RNG.normal(size=41)))
    losses = [record["val_loss"] for record in run.history]
    assert run.training_state.best_epoch == 1 + int(np.argmin(losses))
    prepared = prepare("numbers", 3, {"test": 0.2})
    assert (len(prepared.train), len(prepared.validation), len(prepared.test)) == (33, 33, 8)
    assert prepared.reported[0] == "test"
    assert prepared.test.holders is None


def test_a_row_that_weighs_nothing_and_weights_of_classes_count_in_every_fold():
    x = {"a": X[:, 0], "b": X[:, 1], "own": np.where(np.arange(41) % 5, 1.0, 0.0)}
    data = {"sample_weights": "own", "class_weights": "balanced"}
    prepared = prepare("classes", data=data, x=x)
    weights = prepared.train.weights
    np.testing.assert_allclose(weights.mean(axis=0), 1)
    assert not weights[::5].any()
    prepared, history = trained("two outputs", data={"sample_weights": "own"}, x=x)
    last = history[-1]
    assert np.isfinite(list(last.values())).all()
    x["own"] = 1.0 * (prepared.validation.holders == 2)
    with pytest.raises(nnreg.DataError, match=r"member 2 .* trains on has weight 0; give more"):
        prepare("two outputs", data={"sample_weights": "own"}, x=x)


@pytest.mark.parametrize("division", [{"shards": 2}, {"reproducible": True}])
def test_threads_do_not_change_a_bit(division):
    found = []
    for threads in (1, 2):
        prepared, history = trained("classes", threads=threads, **division)
        found.append((prepared.model.network.vector.tobytes(), history))
    assert found[0] == found[1]


def write_table(directory, **columns):
    table = {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "target": NUMBERS, **columns}
    rows = [",".join(map(str, row)) for row in zip(*table.values(), strict=True)]
    (directory / "data.csv").write_text("\n".join([",".join(table), *rows]))


def test_an_unfinished_epoch_resumes_with_the_same_folds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path)
    require_resumed_in_mid_epoch(document_of("dropout and layer norm", ema=0.9), batches=5)


def test_a_run_is_evaluated_resumed_and_trained_again_with_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path)
    document = document_of("numbers", epochs=4)
    whole = nnreg.run(document, out="whole")
    assert rerun("whole/checkpoints/last.h5").results_same
    nnreg.run(document, out="half", overrides=["train.epochs=2"])
    half = nnreg.resume("half", overrides=["train.epochs=4"])
    assert half.network.vector.tobytes() == whole.network.vector.tobytes()
    assert list(half.history) == list(whole.history)
    summary = json.loads((tmp_path / "whole/summary.json").read_text())
    assert summary["verdict"]["part"] == "validation"
    with pytest.raises(nnreg.SpecError, match=r"member_folds.* rows that were trained on would"):
        nnreg.resume("half", overrides=["train.epochs=5", "data.split.member_folds=false"])


def test_rows_of_each_fold_of_a_cross_validation_are_divided_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path)
    prepared = prepare_from_spec(read_spec(document_of("numbers", folds=4)))
    assert (len(prepared.train), len(prepared.validation), len(prepared.test)) == (30, 30, 11)
    found = nnreg.run(document_of("numbers", folds=4, epochs=1))
    assert found.summary["part"] == "test"


def test_rows_may_stay_in_their_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with h5py.File("data.h5", "w") as file:
        file["x"], file["target"] = X, NUMBERS
    found = []
    for stream in (False, True):
        data = {"source": {"type": "hdf5", "stream": stream}, "path": "data.h5"}
        model = nnreg.run(document_of("numbers", data=data, shuffle=False))
        found.append((list(model.history), model.network.vector.tolist()))
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-9)
    assert found[0][0][-1] == pytest.approx(found[1][0][-1], rel=1e-9)


def test_an_estimate_evaluates_the_rows_of_every_fold():
    folds, no_folds = (
        estimate(prepare("numbers", split={"member_folds": one}), 0.01) for one in (True, False)
    )
    assert folds.memory["data"] == no_folds.memory["data"] > 0


def test_the_recorded_loss_of_an_output_weights_rows_as_training_does():
    own = np.where(NUMBERS > 5, 1.0, 0.0)
    x = {"a": X[:, 0], "b": X[:, 1], "own": own}
    prepared = prepare("two outputs", data={"sample_weights": "own"}, x=x)
    model, train = prepared.model, prepared.train
    z = model.network.logits(train.x)
    weights = (train.weights, own / own.mean(), None)
    found, expected, equal = (
        model.evaluation.record(model.network, z, replace(train, weights=one))["price_loss"]
        for one in weights
    )
    assert found == pytest.approx(expected, rel=0.1)
    assert abs(found - equal) > 0.2 * equal


@pytest.mark.parametrize(
    ("members", "split", "message"),
    [
        (1, {}, r"data\.split\.member_folds: .* set model\.members to 2 or more"),
        (3, {"validation": 0.2}, "already validates .*; remove 'validation'"),
        (3, {"validation": "other.csv"}, "already validates .*; remove 'validation'"),
        (3, {"order": "a"}, "remove it, or 'order'"),
        (3, {"order": True}, "remove it, or 'order'"),
    ],
)
def test_what_member_folds_do_not_go_with_is_refused(members, split, message):
    with pytest.raises(nnreg.SpecError, match=message):
        read_spec(document_of("numbers", members, split))


def test_rows_of_members_cannot_be_mixed():
    with pytest.raises(nnreg.SpecError, match=r"weights for each member .*member_folds.*; remove"):
        trained("classes", augment="mixup")


def test_windows_of_a_series_have_no_folds_for_members():
    with pytest.raises(nnreg.SpecError, match=r"splits by time, .* cannot have 'member_folds'"):
        read_spec(document_of("numbers", data={"window": {"length": 3}}))


def test_too_few_rows_or_groups_and_targets_per_step_are_refused():
    with pytest.raises(nnreg.DataError, match="41 rows are too few for 42 folds"):
        prepare("numbers", 42)
    with pytest.raises(nnreg.DataError, match="groups are too few"):
        prepare("numbers", 12, {"group": "own"}, x={"a": X[:, 0], "own": GROUPS})
    steps = nnreg.Padded.of([np.ones((1 + row % 3, 2)) for row in range(8)])
    targets = nnreg.Padded.of([np.ones((1 + row % 3, 1)) for row in range(8)])
    document = document_of("numbers") | {"metrics": []}
    with pytest.raises(nnreg.SpecError, match="a value per step, but needs one per row"):
        prepare_from_spec(read_spec(document), (steps, targets))


def test_a_check_of_the_spec_and_the_report_say_that_rows_are_out_of_fold(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path)
    (tmp_path / "spec.json").write_text(json.dumps(document_of("numbers", epochs=1)))
    with pytest.raises(SystemExit):
        main(["validate", "spec.json"])
    printed = capsys.readouterr().out
    assert "41 training rows, 41 validation rows (out of fold)" in printed
    nnreg.run("spec.json", out="run")
    with pytest.raises(SystemExit):
        main(["report", "run"])
    page = (tmp_path / "run/report.html").read_text()
    assert "on 41 validation rows, out of fold" in page
