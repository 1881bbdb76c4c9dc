"""The cases of fuzzing, and a process that runs them.

`python -m tests.security.fuzz.cases KIND SEED FIRST LAST SECONDS` prints a line of JSON per case:
its outcome and a text. A case that takes more seconds on the processor ends the process by SIGPROF.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import resource
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import numpy as np

import nnreg
from nnreg.checkpoint.file_format import HEADER_BYTES, decode
from nnreg.model.build import plan_network
from nnreg.network.parameters import declared, total_size
from nnreg.spec.document import read_spec
from tests.helpers.work import end_after_cpu_seconds
from tests.security.fuzz import mutations
from tests.security.fuzz.structures import Structures, agrees_with_h5py, same
from tests.security.harness import image, signed, victim

LARGEST = 100_000
"""The maximum number of parameters, and of activations per example, that a case trains."""

Outcome: TypeAlias = tuple[str, str]


class Checkpoints:
    """Checkpoints with mutated bytes, with and without a matching digest, and mutated documents."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "case.h5"
        self.document, self.arrays = victim()
        self.original = signed(image(self.document, self.arrays))
        self.content = decode(self.original, "original")
        self.x = np.random.default_rng(1).normal(size=(5, 3))
        self.file.write_bytes(self.original)
        self.predictions = self._predict().tobytes()

    def run(self, rng: Random) -> Outcome:
        """Load and predict."""
        data, resigned = self._mutated(rng)
        self.file.write_bytes(data)
        try:
            predictions = self._predict()
        except nnreg.NnregError as error:
            return type(error).__name__, str(error)
        if not resigned and data != self.original:
            return "silent change", "loaded although the digest does not match"
        content = decode(data, "case")
        if same(content, self.content):
            unchanged = predictions.tobytes() == self.predictions
            return (
                ("same", "") if unchanged else ("silent change", "same content, other predictions")
            )
        if agrees_with_h5py(data) is False:
            return "silent change", "h5py reads other arrays"
        return "another model", ""

    def _mutated(self, rng: Random) -> tuple[bytes, bool]:
        """Return a file, and whether its digest matches."""
        match rng.randrange(4):
            case 0 | 1:
                return mutations.bytes_of(rng, self.original), False
            case 2:
                return signed(mutations.bytes_of(rng, self.original[HEADER_BYTES:])), True
            case _:
                text = mutations.dumps(mutations.tree(rng, self.document), rng)
                return signed(image(text.encode("utf-8", "surrogatepass"), self.arrays)), True

    def _predict(self) -> np.ndarray:
        return nnreg.load(self.file).predict(self.x)


class Specs:
    """Specs with a mutated tree and text."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "spec.json"
        rng = np.random.default_rng(0)
        labels = np.array(["ash", "birch"] * 6)
        table, images = rng.normal(size=(12, 4)), rng.normal(size=(12, 8, 8, 1))
        tokens = rng.integers(0, 9, (12, 5))
        self.examples = [
            (_spec(["batch_norm", _dense(4), {"type": "dropout", "rate": 0.1}]), (table, labels)),
            (_spec([{"type": "conv2d", "filters": 3, "kernel": 3},
                    {"type": "max_pool2d", "size": 2}, "flatten"]), (images, labels)),
            (_spec([{"type": "embedding", "vocabulary": 9, "units": 4}, "add_position",
                    {"type": "residual", "layers": [{"type": "multi_head_attention", "heads": 2}]},
                    "layer_norm", {"type": "lstm", "units": 3}]), (tokens, labels)),
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
             (table, labels)),
        ]  # fmt: skip

    def run(self, rng: Random) -> Outcome:
        """Read and plan, and train if it is small."""
        spec, data = rng.choice(self.examples)
        if rng.random() < 1 / 3:
            self._write(self.file.with_name("base.json"), rng, spec)
            spec = {"extends": "base.json", **OVERLAY}
        self._write(self.file, rng, spec)
        try:
            return self._use(data)
        except nnreg.SpecError as error:
            located = all(_has_path(problem) for problem in error.problems)
            return "SpecError" if located and error.problems else "no path", str(error)
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
"""The content of a spec that extends another."""


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


def _has_path(problem: Any) -> bool:
    """Return True if a problem has its path, which is the root only for the text as a whole."""
    of_text = (
        "not JSON",
        "nested too deep",
        "must be a JSON object",
        "NaN or an infinite",
        "unpaired surrogate",
    )
    return problem.path.startswith("$") and (
        problem.path != "$" or problem.message.startswith(of_text)
    )


class Broken:
    """Cases of which the second of each process fails, to test that failures are detected."""

    def __init__(self, fail: Callable[[], object], directory: Path) -> None:
        self.fail = fail
        self.count = 0

    def run(self, rng: Random) -> Outcome:
        """Pass, except for the second call."""
        self.count += 1
        if self.count == 2:
            self.fail()
        return "passed", ""


KINDS: dict[str, Callable[[Path], Checkpoints | Structures | Specs | Broken]] = {
    "checkpoints": Checkpoints,
    "structures": Structures,
    "specs": Specs,
    "crashing": functools.partial(Broken, os.abort),
    "hanging": functools.partial(Broken, lambda: sum(itertools.repeat(0))),
    "raising": functools.partial(Broken, lambda: 1 / 0),
}


def random_of(kind: str, seed: int, number: int) -> Random:
    """Return the generator that determines a case."""
    return Random(f"{kind} {seed} {number}")


def main(kind: str, seed: int, first: int, last: int, seconds: float) -> None:
    """Run the cases from `first` to before `last`."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    with tempfile.TemporaryDirectory() as directory:
        cases = KINDS[kind](Path(directory))
        if limit := getattr(cases, "memory", None):
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + limit,) * 2)
        for number in range(first, last):
            end_after_cpu_seconds(seconds)
            try:
                outcome = cases.run(random_of(kind, seed, number))
            except Exception:
                outcome = "traceback", traceback.format_exc()[-1500:]
            print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), float(sys.argv[5]))
