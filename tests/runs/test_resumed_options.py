"""With every training option, a run that was stopped in mid-epoch resumes bit-identically."""

import os
import signal

import h5py
import numpy as np
import pytest

import nnreg
from nnreg.runs.run import prepare_resume, prepare_run
from tests.helpers.specs import blobs, classifier
from tests.training.test_gradient import CONVOLUTION, OUTPUT, images

LAYERS = [
    {"type": "dense", "units": 6, "activation": "tanh"},
    {"type": "batch_norm"},
    {"type": "dropout", "rate": 0.2},
    {"type": "dense", "units": "classes", "activation": "softmax"},
]
OPTIONS = {
    "weight decay": {"weight_decay": 0.1},
    "average": {"ema": 0.9},
    "accumulation": {"accumulate": 2, "batch_size": 4},
    "augmentation": {"augment": "mixup", "accumulate": 2, "batch_size": 4},
    "frozen layers": {"freeze": ["layers/0", "layers/1"]},
    "early stopping": {"ema": 0.9, "early_stopping": {"patience": 2, "monitor": "val_accuracy"}},
    "all options": {
        "weight_decay": 0.1, "ema": 0.9, "accumulate": 2, "batch_size": 4, "l2": 0.01,
        "clip_norm": 0.5, "freeze": ["layers/0"],
    },
}  # fmt: skip
SCHEDULE = {"type": "warmup", "epochs": 1.5, "after": {"type": "cosine", "restarts": 1}}
LOSS = {"type": "cross_entropy", "label_smoothing": 0.1}


def train_and_resume(spec, data, held_out, step, path):
    """Train without a stop, and with one after `step`; return both models."""
    whole, resumed = (nnreg.build(spec, data=data) for _ in range(2))
    whole.fit(*data, validation=held_out)
    trainer = resumed.trainer(resumed.examples(*data), resumed.examples(*held_out))
    segments = trainer.iterate(lambda: True)
    while resumed.training_state.step < step:
        next(segments)
    assert resumed.training_state.epoch_state is not None
    nnreg.save(resumed, path)
    again = nnreg.load(path)
    again.fit(*data, validation=held_out)
    return whole, again


def require_identical(whole, again):
    assert list(again.history) == list(whole.history)
    assert again.training_state.best_vector.tobytes() == whole.training_state.best_vector.tobytes()
    for one, other in (
        (whole.network, again.network),
        (whole.inference_network, again.inference_network),
    ):
        assert one.vector.tobytes() == other.vector.tobytes()
        assert one.state_vector.tobytes() == other.state_vector.tobytes()
    for name, vector in whole.training_state.optimizer_state.items():
        assert vector.tobytes() == again.training_state.optimizer_state[name].tobytes()


@pytest.mark.parametrize("name", OPTIONS)
def test_a_run_resumes_in_mid_epoch(name, tmp_path):
    x, y = blobs()
    train = {"epochs": 6, "batch_size": 8, **OPTIONS[name]}
    spec = classifier(model={"layers": LAYERS}, schedule=SCHEDULE, loss=LOSS, train=train)
    data, held_out = (x[:40], y[:40]), (x[40:], y[40:])
    require_identical(*train_and_resume(spec, data, held_out, 12, tmp_path / "a.h5"))


def test_a_data_parallel_run_resumes(tmp_path):
    x, y = images(300)
    train = {"epochs": 2, "batch_size": 50, "accumulate": 2, "threads": 2, "kernels": "numpy",
             "ema": 0.9, "weight_decay": 0.1, "freeze": ["layers/0"]}  # fmt: skip
    layers = [CONVOLUTION[0], *CONVOLUTION, {"type": "dropout"}, OUTPUT]
    spec = classifier(model={"layers": layers}, schedule=SCHEDULE, loss=LOSS, train=train)
    data, held_out = (x[:250], y[:250]), (x[250:], y[250:])
    whole, again = train_and_resume(spec, data, held_out, 4, tmp_path / "a.h5")
    assert whole.trainer(whole.examples(*data)).shards == 6
    require_identical(whole, again)


def test_a_run_with_streamed_data_resumes(tmp_path, monkeypatch):
    monkeypatch.setattr("nnreg.tables.lazy.BLOCK", 64)
    monkeypatch.setattr("nnreg.tables.lazy.WINDOW", 512)
    monkeypatch.chdir(tmp_path)
    x, y = blobs(300)
    with h5py.File("d.h5", "w") as file:
        file["x"], file["y"] = x, y == "ash"
    source = {"type": "hdf5", "stream": True}
    split = {"validation": 0.2}
    spec = classifier(
        data={"source": source, "path": "d.h5", "target": "y", "split": split},
        model={"layers": LAYERS}, schedule=SCHEDULE, loss=LOSS,
        train={"epochs": 2, **OPTIONS["all options"]},
    )  # fmt: skip
    nnreg.run(spec, out="whole")
    stopped = prepare_run(spec, out="resumed")
    train_step = stopped._trainer._step

    def stop(epoch, step):
        train_step(epoch, step)
        if stopped.model.training_state.step == 17:
            os.kill(os.getpid(), signal.SIGINT)

    stopped._trainer._step = stop
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    assert nnreg.load("resumed/checkpoints/last.h5").training_state.epoch_state is not None
    prepare_resume("resumed").train()
    whole, resumed = (nnreg.load(f"{name}/checkpoints/last.h5") for name in ("whole", "resumed"))
    require_identical(whole, resumed)
    assert np.isfinite(whole.history["val_loss"]).all()
