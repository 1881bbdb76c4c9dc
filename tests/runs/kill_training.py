"""Kill training processes at random times, repeatedly, and check that nothing is lost.

    python -m tests.runs.kill_training 1000

A run is killed and resumed until it is finished, and must then be bit-identical to one that was
never stopped. After each kill its checkpoint must load, have exactly the state of its step, and be
at most one save interval old. The same is done with cross-validations, of which every third kill
comes while the directories and the first files are written. Then a process that only saves is
killed as often.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import multiprocessing
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import nnreg
from nnreg._utils.atomic_files import remove_stale_temp_files
from nnreg.checkpoint.file_format import Checkpoint, read_checkpoint, write_checkpoint
from nnreg.runs.api import prepare, prepare_resumed
from nnreg.runs.directory import RunDirectory
from nnreg.runs.run import prepare_resume, prepare_run
from nnreg.runs.writer import RunWriter

STEPS = 6
"""The number of steps per epoch."""

SETTINGS: list[tuple[dict[str, Any], int | None]] = [
    ({"every_steps": 4}, 4),
    ({"every_epochs": 1}, STEPS),
    ({"every_steps": 1, "keep": 2}, 1),
    ({"every_seconds": 0.01}, None),
    ({}, None),
]
"""The checkpoint settings of the runs, and the most steps that a kill may lose if limited."""

FILES = (
    "spec.json", "resolved.json", "metrics.jsonl", "gradients.jsonl", "checkpoints/last.h5",
    "checkpoints/best.h5",
)  # fmt: skip

FOLDS = 3

PROCESSES = multiprocessing.get_context("forkserver")  # the server imports nnreg once
PROCESSES.set_forkserver_preload(["nnreg.runs.run", "nnreg._utils.hdf5", "threadpoolctl"])


def spec_of(directory: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return a spec with every kind of state, and write its data."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 48)
    x = rng.normal(size=(48, 4)) + np.eye(4)[label]
    rows = [",".join(map(str, [f"class{c}", *row])) for c, row in zip(label, x, strict=True)]
    (directory / "data.csv").write_text("\n".join(["label,a,b,c,d", *rows, ""]))
    return {
        "data": {
            "source": "csv", "path": str(directory / "data.csv"), "target": "label",
            "split": {"validation": 0.25},
        },
        "model": {"layers": [
            {"type": "batch_norm"},
            {"type": "dense", "units": 16, "activation": "tanh"},
            {"type": "dropout", "rate": 0.2},
            {"type": "dense", "units": "classes", "activation": "softmax"},
        ]},
        "loss": "cross_entropy",
        "optimizer": "adam",
        "schedule": {"type": "warmup", "epochs": 2, "after": "reduce_on_plateau"},
        "metrics": ["accuracy"],
        "train": {
            "epochs": 30, "batch_size": 18 // STEPS, "accumulate": 2, "ema": 0.9,
            "weight_decay": 0.01, "early_stopping": {"patience": 10},
        },
        "checkpoint": settings,
    }  # fmt: skip


def digest(file: Path) -> str:
    """Return a hash of the training state in a checkpoint."""
    content = read_checkpoint(file)
    result = hashlib.sha256(json.dumps(content.document["progress"], sort_keys=True).encode())
    for name, array in sorted(content.arrays.items()):
        result.update(name.encode() + array.tobytes())
    return result.hexdigest()


def train(directory: Path, spec: dict[str, Any], done: Any) -> None:
    """Start or resume a run; `done` is the number of the last step."""
    run = (
        prepare_resume(directory)
        if (directory / "checkpoints/last.h5").exists()
        else prepare_run(spec, out=directory)
    )
    step = run._trainer._step

    def counted(*args: Any) -> None:
        step(*args)
        done.value = run.model.training_state.step

    run._trainer._step = counted  # type: ignore[method-assign]
    run.train()


def train_folds(directory: Path, spec: dict[str, Any], began: Any) -> None:
    """Start or resume a cross-validation; `began` is set when its first file is written."""
    began.value = 0
    create = RunDirectory.create

    def created(self: RunDirectory) -> None:
        began.value = 1
        create(self)

    RunDirectory.create = created  # type: ignore[method-assign]
    if (directory / "fold-1/checkpoints/last.h5").exists():
        prepared = prepare_resumed(directory)
    else:
        prepared = prepare(spec, out=directory)
    prepared.train()


def record(directory: Path, spec: dict[str, Any], done: Any) -> None:
    """Train without a stop, and write the digest of the state after each step to `states.json`."""
    states, save = {}, RunWriter.save

    def recorded(self: RunWriter) -> None:
        save(self)
        states[self._model.training_state.step] = digest(self.directory.last)

    RunWriter.save = recorded  # type: ignore[method-assign]
    prepare_run({**spec, "checkpoint": {"every_steps": 1}}, out=directory).train()
    (directory / "states.json").write_text(json.dumps(states))


def in_process(
    work: Any, *args: Any, seconds: float | None = None, after: Any | None = None
) -> bool:
    """Run a function in a process, kill it after `seconds`, and return True if it ended before.

    The seconds count from the moment when `after` is set.
    """
    process = PROCESSES.Process(target=work, args=args)
    process.start()
    while after is not None and not after.value and process.exitcode is None:
        time.sleep(0.0002)
    process.join(seconds)
    ended = process.exitcode is not None
    process.kill()
    process.join()
    assert not ended or process.exitcode == 0, f"the process failed with {process.exitcode}"
    return ended


def kill_training(kills: int, directory: Path, seed: int = 0) -> Counter[str]:
    """Kill and resume runs until there were `kills` kills; raise AssertionError for any loss."""
    moments, counts, made = random.Random(seed), Counter[str](), PROCESSES.RawValue("q", 0)
    in_process(record, directory / "states", spec_of(directory, {}), made)
    states = json.loads((directory / "states/states.json").read_text())
    while counts["kills"] < kills:
        settings, interval = SETTINGS[counts["runs"] % len(SETTINGS)]
        spec = spec_of(directory, settings)
        whole, run = (directory / f"{name}-{counts['runs']}" for name in ("whole", "killed"))
        began = time.perf_counter()
        in_process(train, whole, spec, made)
        duration, made.value = time.perf_counter() - began, 0
        while not in_process(
            train, run, spec, made,
            seconds=moments.uniform(0, duration) if counts["kills"] < kills else None,
        ):  # fmt: skip
            counts["kills"] += 1
            counts["temporary files left"] += len(list(run.rglob("*.tmp")))
            last = run / "checkpoints/last.h5"
            if not last.exists():
                assert made.value == 0, "steps were done before the first save"
                counts["before the first save"] += 1
                continue
            step = nnreg.load(last).training_state.step
            assert step == 0 or digest(last) == states[str(step)], f"step {step} differs"
            assert interval is None or step >= made.value - interval, "older than an interval"
            if (run / "checkpoints/best.h5").exists():
                nnreg.load(run / "checkpoints/best.h5")
            made.value = step
        for name in FILES:
            assert (run / name).read_bytes() == (whole / name).read_bytes(), f"{name} differs"
        assert not list(run.rglob("*.tmp")), "stale files were not removed"
        counts["runs"] += 1
    return counts


def kill_folds(kills: int, directory: Path, seed: int = 0) -> Counter[str]:
    """Kill and resume cross-validations; raise AssertionError for any loss."""
    moments, counts, began = random.Random(seed), Counter[str](), PROCESSES.RawValue("q", 0)
    while counts["kills"] < kills:
        settings, _ = SETTINGS[counts["runs"] % len(SETTINGS)]
        spec = spec_of(directory, settings)
        spec["train"] |= {"folds": FOLDS, "epochs": 4}
        whole, run = (directory / f"{name}-{counts['runs']}" for name in ("whole", "killed"))
        started = time.perf_counter()
        in_process(train_folds, whole, spec, began)
        duration = time.perf_counter() - started
        while True:
            early, seconds = counts["kills"] % 3 == 0, None
            if counts["kills"] < kills:
                seconds = moments.uniform(0, 0.02 if early else duration)
            began.value = 0
            if in_process(train_folds, run, spec, began, seconds=seconds, after=began):
                break
            counts["kills"] += 1
            counts["temporary files left"] += len(list(run.rglob("*.tmp")))
            first = (run / "fold-1/checkpoints/last.h5").exists()
            counts["before the first save"] += not first
        for name in ("spec.json", "resolved.json"):
            assert (run / name).read_bytes() == (whole / name).read_bytes(), f"{name} differs"
        # A fold that begins after resuming has the text of the spec as a checkpoint has it.
        for fold, name in itertools.product(range(1, FOLDS + 1), FILES[1:]):
            same = [(one / f"fold-{fold}" / name).read_bytes() for one in (run, whole)]
            assert same[0] == same[1], f"fold-{fold}/{name} differs"
        results = [json.loads((one / "summary.json").read_text()) for one in (run, whole)]
        assert results[0] | {"seconds": 0} == results[1] | {"seconds": 0}, "the summaries differ"
        assert not list(run.rglob("*.tmp")), "stale files were not removed"
        counts["runs"] += 1
    return counts


def save_forever(file: Path, values: int, saved: Any) -> None:
    """Save arrays of one number each, larger from file to file."""
    number = saved.value
    while True:
        number += 1
        arrays = {name: np.full(values, float(number)) for name in "abc"}
        write_checkpoint(file, Checkpoint({"number": number}, arrays))
        saved.value = number


def kill_saving(kills: int, directory: Path, seed: int = 0) -> Counter[str]:
    """Kill a process in the middle of saves; raise AssertionError for any loss."""
    moments, counts, saved = random.Random(seed), Counter[str](), PROCESSES.RawValue("q", 0)
    while counts["kills"] < kills:
        values = moments.choice([100, 10_000, 300_000])
        file = directory / f"{values}.h5"
        saved.value = read_checkpoint(file).document["number"] if file.exists() else 0
        in_process(save_forever, file, values, saved, seconds=moments.uniform(0.01, 0.1))
        counts["kills"] += 1
        counts["temporary files left"] += len(list(directory.glob(".*.tmp")))
        remove_stale_temp_files(directory)
        assert not list(directory.glob(".*.tmp")), "stale files were not removed"
        if not file.exists():
            assert saved.value == 0, "a saved file is gone"
            continue
        content = read_checkpoint(file)
        number = content.document["number"]
        assert number in (saved.value, saved.value + 1), "an older file is back"
        assert all((array == number).all() for array in content.arrays.values()), "a mixed file"
    return counts


def main() -> None:
    """Kill as often as the command line says, and print the counts."""
    parser = argparse.ArgumentParser(prog="python -m tests.runs.kill_training", description=__doc__)
    parser.add_argument("kills", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for kill in (kill_training, kill_folds, kill_saving):
        with tempfile.TemporaryDirectory() as directory:
            counts = kill(options.kills, Path(directory), options.seed)
        found = ", ".join(f"{name}: {count}" for name, count in counts.items())
        print(f"{kill.__name__}: {found}, lost: 0")


if __name__ == "__main__":
    main()
