"""A resumable checkpoint in which almost every key of the format has a value."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import nnreg
from nnreg.checkpoint.file_format import read_checkpoint
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from tests.helpers.specs import CSV, csv_data
from tests.security.harness import image, signed

LAYERS: list[Any] = [
    {"type": "dense", "units": 4, "activation": "tanh"},
    "batch_norm",
    {"type": "dropout", "rate": 0.1},
]
CLASSES = {
    "data": csv_data(split={"validation": 0.25, "stratify": True}),
    "model": {"layers": [*LAYERS, {"type": "dense", "units": "classes", "activation": "softmax"}]},
    "loss": "cross_entropy",
    "optimizer": {"type": "adam", "learning_rate": 0.02},
    "metrics": ["accuracy"],
    "train": {"epochs": 3, "batch_size": 2, "ema": 0.9},
}
NUMBERS = {
    **CLASSES,
    "data": csv_data(target=["length"], exclude=["depth"], target_scaling="standard"),
    "model": {"layers": [*LAYERS, {"type": "dense", "units": 1}]},
    "loss": "mean_squared_error",
    "metrics": ["r2"],
}
SPECS = {"classes": CLASSES, "numbers": NUMBERS}


class Original:
    """A valid checkpoint, saved within the second epoch of a run in a new directory."""

    def __init__(self, directory: Path, spec: dict[str, Any]) -> None:
        (directory / "data.csv").write_text(CSV)
        (directory / "spec.json").write_text(json.dumps(spec))
        prepared = prepare_from_spec(read_spec(str(directory / "spec.json")))
        model = prepared.model
        trainer = model.trainer(prepared.train, prepared.validation)
        for record in trainer.iterate(lambda: True):
            if record is None and model.training_state.epoch == 1:
                break
        self.file = directory / "run/checkpoints/last.h5"
        self.file.parent.mkdir(parents=True)
        nnreg.save(model, self.file)
        content = read_checkpoint(self.file)
        self._document, self._arrays = content.document, content.arrays

    def content(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return copies of the document and the arrays."""
        arrays = {name: array.copy() for name, array in self._arrays.items()}
        return copy.deepcopy(dict(self._document)), arrays

    def write(self, document: Any, arrays: dict[str, Any]) -> Path:
        """Write the file with this content and a matching digest."""
        self.file.write_bytes(signed(image(document, arrays)))
        return self.file
