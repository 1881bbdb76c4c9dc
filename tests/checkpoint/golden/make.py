"""Write the golden files of the current format.

Run it as `python tests/checkpoint/golden/make.py`. Files of a released format are never written
again: the tests check that files written by older code still load.

`format-N/` has the specs and their data, the directories of three runs (a complete one, one stopped
mid-epoch, and folds of which one is complete), a checkpoint of each network that was trained on
arrays, `expected.json` with the computed values, and `SHA256SUMS`. `optimizers/`, not in
`format-1/`, has a checkpoint of each optimizer in mid-training, and what further steps change.
`format-1.h5` is older and stays unchanged.
"""

import hashlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np

import nnreg
from nnreg.checkpoint.migrations import FORMAT

HERE = Path(__file__).resolve().parent
NEUTRAL = Path("/tmp/nnreg-golden")
"""The directory of the runs, since checkpoints record it."""

ROWS = {
    "island": ["north", "south", "north", None, "elsewhere"],
    "code": ["1", "2", "3", "1", "7"],
    "length": [1.0, 3.5, None, 2.0, 4.2],
    "depth": [5.5, 2.1, 4.0, 3.3, None],
}
"""Rows to predict, with missing values and unknown categories."""

STEPS = {
    "seed": 29,
    "model": {"layers": [{"type": "dense", "units": 4, "activation": "tanh"},
                         {"type": "dense", "units": 1}]},
    "loss": "mean_squared_error",
    "train": {"epochs": 3, "batch_size": 8},
}  # fmt: skip

OPTIMIZERS = (
    ("sgd", {"type": "sgd", "momentum": 0.9}, []),
    ("adam", "adam", []),
    ("adam-options", {"type": "adam", "learning_rate": 0.05, "beta1": 0.6, "beta2": 0.8}, []),
    ("adam-overridden", {"type": "adam", "beta1": 0.5}, ["optimizer.beta2=0.7"]),
    ("adamw", {"type": "adamw", "learning_rate": 0.05, "weight_decay": 0.1}, []),
    ("rmsprop", {"type": "rmsprop", "learning_rate": 0.02, "rho": 0.7}, []),
)
"""The optimizers of `STEPS`, each with the overrides of its spec."""


def main() -> None:
    """Write all files."""
    shutil.rmtree(NEUTRAL, ignore_errors=True)
    shutil.copytree(HERE / "specs", NEUTRAL)
    os.chdir(NEUTRAL)
    sys.argv = ["make.py"]
    write_rows("rows.csv", 40, seed=0)
    write_rows("held.csv", 12, seed=1)
    nnreg.register("swish.py")
    expected = {
        "words": words(),
        "averaged": averaged(),
        "folds": folds(),
        **{name: in_memory(name, *arrays) for name, arrays in examples().items()},
    }
    Path("expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    write_optimizers()
    for unneeded in [*NEUTRAL.rglob("lock"), *NEUTRAL.rglob("*.tmp")]:
        unneeded.unlink()
    write_digests()
    shutil.rmtree(HERE / f"format-{FORMAT}", ignore_errors=True)
    shutil.copytree(NEUTRAL, HERE / f"format-{FORMAT}")
    shutil.rmtree(NEUTRAL)


def write_rows(name: str, count: int, seed: int) -> None:
    """Write a table with numbers, categories, numbers that are categories, and missing values."""
    rng = np.random.default_rng(seed)
    lines = ["species;island;code;length;depth;nest;weight;day"]
    for row in range(count):
        kind = row % 3
        length, depth = rng.normal([1 + kind, 5 - kind], 0.5)
        cells = [
            ("red", "blue", "green")[kind],
            ("north", "south")[int(rng.random() < 0.3 + 0.2 * kind)],
            str(1 + (kind + int(rng.random() < 0.2)) % 3),
            f"{length:.2f}".replace(".", ","),
            "?" if row % 9 == 4 else f"{depth:.2f}".replace(".", ","),
            f"nest {row // 2 % 13}",
            str(1 + row % 2),
            f"2024-01-{1 + row % 28:02}",
        ]
        lines.append(";".join(cells))
    Path(name).write_text("\n".join(lines) + "\n")


def write_digests() -> None:
    """Write the SHA-256 of every file, as `sha256sum` does."""
    files = [path for path in sorted(Path().rglob("*")) if path.is_file()]
    digests = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}\n" for path in files]
    Path("SHA256SUMS").write_text("".join(digests))


def words() -> dict:
    """Train to the end, resumed once, with a plugin's activation."""
    fresh = nnreg.run("words.json", overrides=["train.epochs=2"])
    nnreg.run("words.json", out="words", overrides=["train.epochs=5"])
    nnreg.resume("words", overrides=["train.epochs=8"])
    return {**answers("words", ROWS), "two_epochs": records(fresh)}


def averaged() -> dict:
    """Stop mid-epoch, and record the results of the resumed run."""
    interrupted(2, lambda stop: nnreg.run("averaged.json", out="whole", on_epoch=stop))
    shutil.copytree("whole", "averaged")
    model = nnreg.resume("whole")
    (middle,) = Path("whole/checkpoints").glob("epoch-0002-step-00000016.h5")
    shutil.copy(middle, "averaged/checkpoints/last.h5")
    for kept in Path("averaged/checkpoints").glob("epoch-*.h5"):
        kept.unlink()
    shutil.rmtree("whole")
    end = {"predictions": model.predict(ROWS).tolist(), "history": records(model)}
    return {**answers("averaged", ROWS), "end": end}


def folds() -> dict:
    """Stop in the second of three folds, and record the results of all three."""
    interrupted(6, lambda stop: nnreg.run("folds.json", out="folds", on_epoch=stop))
    shutil.copytree("folds", "whole")
    summary = nnreg.resume("whole").summary
    shutil.rmtree("whole")
    rows = {name: ROWS[name][:2] for name in ("length", "island")}
    return {**answers("folds/fold-1", rows), "mean": summary["mean"], "runs": summary["runs"]}


def write_optimizers() -> None:
    """Save after three epochs with each optimizer, and record the results of two more."""
    directory = Path("optimizers")
    directory.mkdir()
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(24, 3)).round(3), rng.normal(size=24).round(3)
    continued = {}
    for name, optimizer, overrides in OPTIMIZERS:
        spec = {**STEPS, "optimizer": optimizer}
        model = nnreg.run(spec, data=(x, y), overrides=overrides)
        nnreg.save(model, directory / f"{name}.h5")
        model.fit(x, y, epochs=2)
        continued[name] = {"history": records(model), "predictions": model.predict(x).tolist()}
    content = {"x": x.tolist(), "y": y.tolist(), "continued": continued}
    (directory / "expected.json").write_text(json.dumps(content, indent=1) + "\n")


def interrupted(epochs: int, train) -> None:
    """Interrupt a training after a number of epochs, as Ctrl-C does."""
    left = epochs

    def stop(_) -> None:
        nonlocal left
        left -= 1
        if not left:
            signal.raise_signal(signal.SIGINT)

    try:
        train(stop)
    except KeyboardInterrupt:
        return
    raise AssertionError("it was not interrupted")


def examples() -> dict:
    """Return inputs and targets for the specs whose networks are trained on arrays."""
    rng = np.random.default_rng(3)
    table = {"a": rng.normal(size=16).round(3).tolist(), "b": rng.normal(size=16).round(3).tolist()}
    a, b = np.array(table["a"]), np.array(table["b"])
    targets = {"north": (2 * a - b).round(3).tolist(), "south": (a * b + 30).round(3).tolist()}
    tokens = rng.integers(0, 7, (12, 5))
    images = rng.random((12, 6, 7, 1)).round(2)
    digits = rng.integers(0, 9, (12, 2, 3))
    names = np.array(["cat", "dog", "owl"])[np.arange(12) % 3]
    return {
        "regression": (table, targets),
        "tokens": (tokens.tolist(), (tokens[:, 0] > 3).astype(int).tolist()),
        "images": (images.tolist(), names.tolist()),
        "line": (table, (3 * a).round(3).tolist()),
        "digits": (digits.tolist(), digits.sum(axis=(1, 2)).tolist()),
    }


def in_memory(name: str, x, y) -> dict:
    """Train on arrays and save."""
    model = nnreg.build(f"{name}.json", data=(as_data(x), as_data(y)))
    model.fit(as_data(x), as_data(y))
    nnreg.save(model, f"{name}.h5")
    return {**answers(f"{name}.h5", x), "y": y}


def as_data(x):
    """Return data from JSON: a table unchanged, anything else as an array."""
    return x if isinstance(x, dict) else np.array(x)


def answers(path: str, x) -> dict:
    """Return the content of a file and the predictions of its model."""
    model = nnreg.load(path)
    return {
        "file": path,
        "x": x,
        "predictions": model.predict(as_data(x)).tolist(),
        "history": records(model),
        "weights": {name: weight.ravel()[:3].tolist() for name, weight in model.parameters.items()},
    }


def records(model) -> list:
    """Return the history as plain data."""
    return [dict(record) for record in model.history]


if __name__ == "__main__":
    main()
