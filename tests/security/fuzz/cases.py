"""What a case is, and a process that runs cases.

`python -m tests.security.fuzz.cases KIND SEED FIRST LAST` prints a line of JSON per case:
what came of it, and a text about it.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import h5py
import numpy as np

import nnreg
from nnreg.checkpoint.file_format import HEADER_BYTES, Checkpoint, decode
from nnreg.model.build import plan_network
from nnreg.network.parameters import declared, total_size
from nnreg.spec.document import read_spec
from tests.security.fuzz import mutations
from tests.security.harness import image, signed, victim

LARGEST = 100_000
"""The most parameters, and values of an example, that a case trains."""

Outcome: TypeAlias = tuple[str, str]


class Checkpoints:
    """Checkpoints with bytes changed, with and without a new digest, and with other content."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "case.h5"
        self.document, self.arrays = victim()
        self.sound = signed(image(self.document, self.arrays))
        self.content = decode(self.sound, "sound")
        self.x = np.random.default_rng(1).normal(size=(5, 3))
        self.file.write_bytes(self.sound)
        self.answers = self._predict().tobytes()

    def run(self, rng: Random) -> Outcome:
        """Load and predict."""
        data, resigned = self._mutated(rng)
        self.file.write_bytes(data)
        try:
            answers = self._predict()
        except nnreg.NnregError as error:
            return type(error).__name__, str(error)
        if not resigned and data != self.sound:
            return "silent change", "its digest does not match, and it was loaded"
        content = decode(data, "case")
        if _same(content, self.content):
            same = answers.tobytes() == self.answers
            return ("same", "") if same else ("silent change", "the same content, other answers")
        if not _seen_by_h5py(data, content):
            return "silent change", "h5py reads something else"
        return "another model", ""

    def _mutated(self, rng: Random) -> tuple[bytes, bool]:
        """Return a file, and whether its digest was made for it."""
        match rng.randrange(4):
            case 0 | 1:
                return mutations.bytes_of(rng, self.sound), False
            case 2:
                return signed(mutations.bytes_of(rng, self.sound[HEADER_BYTES:])), True
            case _:
                text = mutations.dumps(mutations.tree(rng, self.document), rng)
                return signed(image(text.encode("utf-8", "surrogatepass"), self.arrays)), True

    def _predict(self) -> np.ndarray:
        return nnreg.load(self.file).predict(self.x)


def _same(one: Checkpoint, other: Checkpoint) -> bool:
    return one.document == other.document and _equal(one.arrays, other.arrays)


def _equal(one: Any, other: Any) -> bool:
    return one.keys() == other.keys() and all(
        one[name].shape == other[name].shape and one[name].tobytes() == other[name].tobytes()
        for name in one
    )


def _seen_by_h5py(data: bytes, content: Checkpoint) -> bool:
    """Tell whether a reader of HDF5 that knows nothing of nnreg finds the same arrays."""
    with h5py.File.in_memory(data) as file:
        return _equal(content.arrays, {name: file[name][()] for name in content.arrays})


class Specs:
    """Specs with places of their tree and pieces of their text changed."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "spec.json"
        rng = np.random.default_rng(0)
        words = np.array(["ash", "birch"] * 6)
        table, images = rng.normal(size=(12, 4)), rng.normal(size=(12, 8, 8, 1))
        tokens = rng.integers(0, 9, (12, 5))
        self.examples = [
            (_spec(["batch_norm", _dense(4), {"type": "dropout", "rate": 0.1}]), (table, words)),
            (_spec([{"type": "conv2d", "filters": 3, "kernel": 3},
                    {"type": "max_pool2d", "size": 2}, "flatten"]), (images, words)),
            (_spec([{"type": "embedding", "vocabulary": 9, "units": 4}, "add_position",
                    {"type": "residual", "layers": [{"type": "multi_head_attention", "heads": 2}]},
                    "layer_norm", {"type": "lstm", "units": 3}]), (tokens, words)),
            ({"model": {"layers": [_dense(3), _dense(1, "identity")], "dtype": "float64"},
              "loss": {"type": "huber", "delta": 0.5}, "metrics": ["r2"],
              "optimizer": {"type": "sgd", "learning_rate": 0.01, "momentum": 0.9},
              "schedule": {"type": "warmup", "epochs": 0.5, "start": 0.1,
                           "after": {"type": "cosine", "restarts": 2, "growth": 3, "floor": 0.1}},
              "train": {"epochs": 2, "l2": 0.1, "clip_norm": 1.0, "weight_decay": 0.1,
                        "accumulate": 2, "ema": 0.9, "freeze": ["layers/0"]}},
             (table, table[:, 0])),
            ({**_spec([_dense(4)]), "loss": {"type": "cross_entropy", "label_smoothing": 0.2},
              "schedule": {"type": "reduce_on_plateau", "monitor": "accuracy", "patience": 1,
                           "decay": 0.5, "min_delta": 0.1, "cooldown": 1, "floor": 0.01},
              "train": {"batch_size": 4, "start_from": {"checkpoint": "x.h5", "layers": ["a"]}}},
             (table, words)),
        ]  # fmt: skip

    def run(self, rng: Random) -> Outcome:
        """Read, plan, and train what is small."""
        spec, data = rng.choice(self.examples)
        if rng.random() < 1 / 3:
            self._write(self.file.with_name("base.json"), rng, spec)
            spec = {"extends": "base.json", **OVERLAY}
        self._write(self.file, rng, spec)
        try:
            return self._use(data)
        except nnreg.SpecError as error:
            placed = all(_placed(problem) for problem in error.problems)
            return "SpecError" if placed and error.problems else "no path", str(error)
        except nnreg.NnregError as error:
            return type(error).__name__, str(error)

    def _write(self, file: Path, rng: Random, spec: Any) -> None:
        text = mutations.dumps(mutations.tree(rng, spec), rng)
        file.write_bytes(text.encode("utf-8", "surrogatepass"))

    def _use(self, data: tuple[Any, Any]) -> Outcome:
        document = read_spec(str(self.file))
        plan = plan_network(document.spec, data[0].shape[1:], 2).plan
        if sum(map(total_size, declared(plan))) > LARGEST:
            return "too large to train here", ""
        model = nnreg.build(document, data=data)
        if model.network.activations_per_example > LARGEST:
            return "too large to train here", ""
        model.fit(*data, epochs=1)
        model.predict(data[0])
        return "trained", ""


OVERLAY = {
    "seed": "${env:NNREG_NOTHING:-5}",
    "optimizer": {"type": "adam", "learning_rate": 0.02},
    "train": {"epochs": 1, "batch_size": "${env:NNREG_NOTHING:-4}", "early_stopping": None},
}
"""What a spec says beside the one that it extends."""


def _dense(units: int, activation: str = "tanh") -> dict[str, Any]:
    return {"type": "dense", "units": units, "activation": activation}


def _spec(layers: list[Any]) -> dict[str, Any]:
    return {
        "model": {"layers": [*layers, _dense("classes", "softmax")]},
        "loss": "cross_entropy",
        "optimizer": {"type": "adam", "learning_rate": 0.01},
        "metrics": ["accuracy", "f1"],
        "train": {"epochs": 2, "batch_size": 4, "early_stopping": {"monitor": "loss"}},
        "seed": 3,
    }


def _placed(problem: Any) -> bool:
    """Tell whether a problem has its path: the root only where the whole text is the problem."""
    whole = (
        "not JSON",
        "nested too deep",
        "must be a JSON object",
        "NaN or an infinite",
        "half of a",
    )
    return problem.path.startswith("$") and (
        problem.path != "$" or problem.message.startswith(whole)
    )


class Broken:
    """Cases of which the second of each process does what must not be, to see it noticed."""

    def __init__(self, how: Callable[[], object], directory: Path) -> None:
        self.how = how
        self.count = 0

    def run(self, rng: Random) -> Outcome:
        """Be well the first time only."""
        self.count += 1
        if self.count == 2:
            self.how()
        return "well", ""


KINDS: dict[str, Callable[[Path], Checkpoints | Specs | Broken]] = {
    "checkpoints": Checkpoints,
    "specs": Specs,
    "crashing": functools.partial(Broken, os.abort),
    "hanging": functools.partial(Broken, functools.partial(time.sleep, 1000)),
    "raising": functools.partial(Broken, lambda: 1 / 0),
}


def main(kind: str, seed: int, first: int, last: int) -> None:
    """Run the cases from the first up to the last."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    with tempfile.TemporaryDirectory() as directory:
        cases = KINDS[kind](Path(directory))
        for number in range(first, last):
            try:
                outcome = cases.run(Random(f"{kind} {seed} {number}"))
            except Exception:
                outcome = "traceback", "".join(traceback.format_exc()[-1500:])
            print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
