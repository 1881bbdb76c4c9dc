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
from PIL import Image

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
            training_set=table(x, y, Path(directory)),
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


def table(x: np.ndarray, y: np.ndarray, directory: Path) -> pd.DataFrame:
    """Return rows as Ludwig takes them: vectors as text or images as files, and class names."""
    if x.ndim == 2:
        inputs = [" ".join(map(str, row)) for row in x.tolist()]
    else:
        inputs = [str(directory / f"{number}.png") for number in range(len(x))]
        for path, image in zip(inputs, (100 + 30 * x[..., 0]).clip(0, 255), strict=True):
            Image.fromarray(image.astype(np.uint8)).save(path)
    return pd.DataFrame({"x": inputs, "y": [f"class {label}" for label in y]})


def config(workload: Workload, epochs: int) -> dict[str, Any]:
    """Return the configuration of a workload."""
    return {
        "input_features": [images(workload) if len(workload.shape) == 3 else vector(workload)],
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


def images(workload: Workload) -> dict[str, Any]:
    """Return the input of a network of convolutions, each with its pooling, and dense layers."""
    height, width, channels = workload.shape
    filters = [layer["filters"] for layer in workload.layers if layer["type"] == "conv2d"]
    units = [layer["units"] for layer in workload.layers if layer["type"] == "dense"]
    shape = {"filter_size": 3, "padding": "valid", "pool_size": 2, "pool_stride": 2}
    return {
        "name": "x",
        "type": "image",
        "encoder": {
            "type": "stacked_cnn",
            "conv_layers": [{"num_filters": count, **shape} for count in filters],
            "fc_layers": [{"output_size": count} for count in units],
        },
        "preprocessing": {"height": height, "width": width, "num_channels": channels},
    }
