"""Ludwig: a configuration, `LudwigModel.train`, `model_resume_path`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from ludwig.api import LudwigModel
from ludwig.callbacks import Callback

from benchmarks.peers import RATE
from benchmarks.workloads import Workload


class Epochs(Callback):
    """A callback that calls a function after each epoch."""

    def __init__(self, on_epoch: Callable[[], None]) -> None:
        super().__init__()
        self.on_epoch = on_epoch

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        """Call it."""
        self.on_epoch()


def train(
    workload: Workload,
    x: np.ndarray,
    y: np.ndarray,
    epochs: int,
    checkpoint: Path | None,
    on_epoch: Callable[[], None],
) -> list[np.ndarray]:
    """Train without evaluation; the checkpoint is Ludwig's directory of results."""
    model = LudwigModel(
        config(workload, epochs), logging.ERROR, backend="local", callbacks=[Epochs(on_epoch)]
    )
    results = sorted(checkpoint.glob("*_run*")) if checkpoint else []
    with TemporaryDirectory() as directory:
        model.train(
            training_set=table(x, y),
            model_resume_path=str(results[0]) if results else None,
            output_directory=str(checkpoint or directory),
            skip_save_training_description=checkpoint is None,
            skip_save_training_statistics=checkpoint is None,
            skip_save_model=checkpoint is None,
            skip_save_progress=checkpoint is None,
            skip_save_log=True,
            skip_save_processed_input=True,
            random_seed=0,
        )
    return [weight.detach().numpy() for weight in model.model.parameters()]


def table(x: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    """Return rows as Ludwig takes them: vectors as text, and the names of classes."""
    vectors = [" ".join(map(str, row)) for row in x.tolist()]
    return pd.DataFrame({"x": vectors, "y": [f"class {label}" for label in y]})


def config(workload: Workload, epochs: int) -> dict[str, Any]:
    """Return the configuration of a workload.

    Its encoder of images, `stacked_cnn`, made 113,386 weights of the network that has 225,034.
    """
    if len(workload.shape) == 3:
        raise NotImplementedError("its encoder of images makes another network")
    return {
        "input_features": [vector(workload)],
        "combiner": {"type": "concat", "num_fc_layers": 0},
        "output_features": [{"name": "y", "type": "category"}],
        "trainer": {
            "epochs": epochs,
            "batch_size": workload.batch,
            "learning_rate": RATE,
            "learning_rate_scheduler": {"decay": None},
            "optimizer": {"type": "adam"},
            "gradient_clipping": {"clipglobalnorm": None},
            "regularization_lambda": 0.0,
            "skip_all_evaluation": True,
        },
    }


def vector(workload: Workload) -> dict[str, Any]:
    """Return the input of a dense network, with its hidden layers and their dropout."""
    sizes: list[dict[str, Any]] = []
    for layer in workload.layers:
        if layer["type"] == "dropout":
            sizes[-1]["dropout"] = layer["rate"]
        else:
            sizes.append({"output_size": layer["units"]})
    return {
        "name": "x",
        "type": "vector",
        "encoder": {"type": "dense", "fc_layers": sizes, "num_layers": len(sizes)},
        "preprocessing": {"vector_size": workload.shape[0]},
    }
