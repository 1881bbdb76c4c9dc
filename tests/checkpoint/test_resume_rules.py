"""What may change on resuming; all else is refused before anything is written."""

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg import CheckpointError, SpecError
from nnreg.checkpoint.file_format import read_checkpoint, write_checkpoint
from nnreg.checkpoint.resume_rules import RULES, rule_of
from nnreg.spec.document import read_spec
from nnreg.spec.validation import to_json
from tests.helpers.copies import enter_copy, new_directory
from tests.helpers.paths import ROOT
from tests.helpers.specs import blobs, classifier

COMPLETE = classifier(
    data={"source": "csv", "path": "data.csv", "target": "t", "split": {"validation": 0.25}},
    train={"epochs": 3, "batch_size": 8, "early_stopping": {"patience": 3}},
)

REFUSED = {
    "seed=5": "the split, the order of the rows and dropout are drawn from it",
    "data.split.validation=0.2": "rows that were trained on would be held out",
    "data.split.test=0.2": "rows that were trained on would be held out",
    "data.split.seed=5": "rows that were trained on would be held out",
    "data.split.stratify=true": "rows that were trained on would be held out",
    "data.split.validation=null": "rows that were trained on would be held out",
    "train.folds=3": "rows that were trained on would be held out",
    "data.scaling=none": "data that were prepared in this way",
    "data.missing=impute": "data that were prepared in this way",
    "data.unseen=ignore": "data that were prepared in this way",
    'data.exclude=["a"]': "data that were prepared in this way",
    "data.class_weights=balanced": "data that were prepared in this way",
    "data.source.delimiter=;": "data that were prepared in this way",
    "model.layers.0.activation=relu": "trained in this network, with this loss",
    "model.layers.1.rate=0.3": "trained in this network, with this loss",
    "model.dtype=float64": "trained in this network, with this loss",
    "loss.label_smoothing=0.1": "trained in this network, with this loss",
    "optimizer=sgd": "its state was accumulated with these options",
    "optimizer.beta1=0.5": "its state was accumulated with these options",
    "data.class_weights.ash=2": "data that were prepared in this way",
    "train.start_from=other.h5": "trained in this network, with this loss",
}

ALLOWED = [
    "train.epochs=5", "optimizer.learning_rate=0.5", "schedule=cosine", "metrics=[]",
    "train.batch_size=4", "train.accumulate=2", "train.shuffle=false", "train.l1=0.1",
    "train.early_stopping.patience=9", "train.early_stopping=null", "train.ema=0.9",
    'train.freeze=["layers/0"]', "train.threads=1", "train.kernels=numpy", "checkpoint.keep=3",
    "train.clip_norm=1", 'train.regularize={"*": "l2"}', 'train.constrain={"*": "max_norm"}',
    'train.learning_rates={"layers/0/*": 2}',
]  # fmt: skip

WITHIN_AN_EPOCH = ["metrics=[]", "train.batch_size=4", "train.accumulate=2", "train.shuffle=false"]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    x, y = blobs()
    rows = [",".join([*map(str, one.round(3)), name]) for one, name in zip(x, y, strict=True)]
    with new_directory(tmp_path_factory) as directory:
        Path("data.csv").write_text("\n".join(["a,b,c,d,t", *rows]) + "\n")
        nnreg.run(COMPLETE, out="run")
    return directory


@pytest.fixture
def directory(original, monkeypatch):
    enter_copy(original, monkeypatch)
    return original


def content(directory):
    return {file: file.read_bytes() for file in directory.rglob("*") if file.is_file()}


@pytest.mark.parametrize("change", REFUSED)
def test_a_change_that_would_falsify_the_results_is_refused(directory, change):
    before = content(directory)
    with pytest.raises(SpecError) as caught:
        nnreg.resume("run", overrides=[change])
    assert REFUSED[change] in str(caught.value)
    assert f"--set {change}: " in str(caught.value)
    assert content(directory) == before


@pytest.mark.parametrize("change", ALLOWED)
def test_any_other_change_is_applied(directory, change):
    model = nnreg.resume("run", overrides=[change, "train.epochs=5"])
    assert model.training_state.epoch == 5


def test_all_refused_changes_are_reported_together(directory):
    with pytest.raises(SpecError, match="3 problems"):
        nnreg.resume("run", overrides=["seed=1", "data.scaling=none", "model.dtype=float64"])


def test_a_file_may_have_been_moved(directory):
    Path("data.csv").rename("moved.csv")
    model = nnreg.resume("run", overrides=["data.path=moved.csv", "train.epochs=4"])
    assert model.training_state.epoch == 4


def in_mid_epoch():
    x, y = blobs()
    model = nnreg.build(classifier(train={"epochs": 3, "batch_size": 8}), data=(x, y))
    training = model.trainer(model.examples(x, y)).iterate(lambda: model.training_state.step == 11)
    while next(training) is not None:
        pass
    training.close()
    nnreg.save(model, "mid.h5")


@pytest.mark.parametrize("change", WITHIN_AN_EPOCH)
def test_what_would_change_an_unfinished_epoch_is_refused(tmp_path, monkeypatch, change):
    monkeypatch.chdir(tmp_path)
    in_mid_epoch()
    with pytest.raises(SpecError, match=r"cannot change within an epoch, and the last one is unf"):
        nnreg.load("mid.h5", [change])


def test_other_changes_apply_within_an_epoch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    in_mid_epoch()
    model = nnreg.load("mid.h5", ["optimizer.learning_rate=0.001", "train.epochs=4"])
    assert len(model.fit(*blobs())) == 4
    assert model.training_state.step == 4 * 8


def test_coin_flips_are_not_predicted_by_a_run_that_was_resumed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = random.Random(0)
    rows = [f"{rng.gauss(0, 1):.4f},{rng.choice('pq')}" for _ in range(60)]
    Path("noise.csv").write_text("\n".join(["a,t", *rows]) + "\n")
    data = {"source": "csv", "path": "noise.csv", "target": "t", "split": {"validation": 0.3}}
    nnreg.run(classifier(data=data), out="run")
    held_out = json.loads(Path("run/summary.json").read_text())["validation"]
    with pytest.raises(SpecError, match="held out"):
        nnreg.resume("run", overrides=["data.split.validation=0.2", "train.epochs=8"])
    assert json.loads(Path("run/summary.json").read_text())["validation"] == held_out


def test_a_checkpoint_for_inference_takes_any_change(directory):
    best = nnreg.load("run/checkpoints/best.h5", ["seed=7"])
    rows = np.zeros((2, 4))
    assert best.predict(rows).tobytes() == nnreg.load("run").predict(rows).tobytes()


def keys(tree, path=""):
    for key, value in tree.items():
        full = f"{path}.{key}" if path else key
        is_section = isinstance(value, dict) and "type" not in value
        yield from keys(value, full) if is_section and value else [full]


def test_every_key_of_a_spec_has_a_rule():
    document = read_spec(COMPLETE)
    for key in keys(to_json(document.spec, document.registry)):
        assert rule_of(key)


def test_the_page_on_resuming_states_the_rules():
    text = (ROOT / "docs/howto/train-and-resume.md").read_text()
    for key, rule in RULES.items():
        assert re.search(rf"\| `{re.escape(key)}`[^|]*\|.*{re.escape(rule.effect)}", text), key


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"best_epoch": 9}, "the best epoch is 9 of 3"),
        ({"unfrozen": {"layers/0/weight": 10**6}}, "unfrozen after more than"),
    ],
)
def test_a_position_that_was_never_reached_is_refused(directory, change, message):
    last = Path("run/checkpoints/last.h5")
    checkpoint = read_checkpoint(last)
    checkpoint.document["progress"] |= change
    write_checkpoint(last, checkpoint)
    with pytest.raises(CheckpointError, match=message):
        nnreg.resume("run")
