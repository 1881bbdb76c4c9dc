"""PyTorch, eager and compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers import RATE, Job
from benchmarks.workloads import Workload

IMAGES = 250
"""Images predicted at once: the fastest of 100, 250, 1,000 and 10,000."""


class PyTorch:
    """PyTorch; images in channels-last layout, its fastest on a CPU."""

    def __init__(self, *, compiled: bool = False) -> None:
        self.compiled = compiled

    def train(self, workload: Workload) -> Job:
        """Train with a loop like those in PyTorch's examples."""
        import torch

        network = self._network(workload)
        x, y = map(torch.from_numpy, workload.examples())
        x = _channels_first(x)
        optimizer = torch.optim.Adam(network.parameters(), RATE)

        def job() -> None:
            for start in range(0, len(x), workload.batch):
                optimizer.zero_grad()
                z = network(x[start : start + workload.batch])
                loss = torch.nn.functional.cross_entropy(z, y[start : start + workload.batch])
                loss.backward()
                optimizer.step()

        return job

    def predict(self, workload: Workload, rows: int) -> Job:
        """Predict in inference mode, from and to NumPy arrays."""
        import torch

        network = self._network(workload).eval()
        x, _ = workload.examples(rows)
        chunks = workload.chunks(x, IMAGES)

        def probabilities(chunk: np.ndarray) -> np.ndarray:
            return network(_channels_first(torch.from_numpy(chunk))).softmax(-1).numpy()

        @torch.inference_mode()
        def job() -> np.ndarray:
            return np.concatenate([probabilities(chunk) for chunk in chunks])

        return job

    def _network(self, workload: Workload) -> Any:
        import torch

        network = torch.nn.Sequential(
            *_layers(workload.layers, workload.shape), torch.nn.LazyLinear(workload.classes)
        )
        network(
            _channels_first(torch.from_numpy(workload.examples(2)[0]))
        )  # infers the lazy shapes
        if len(workload.shape) == 3:
            network = network.to(memory_format=torch.channels_last)
        if not self.compiled:
            return network
        torch.compiler.reset()  # otherwise, networks after the eighth would not be compiled
        return torch.compile(network)


def _channels_first(x: Any) -> Any:
    """Return images in the shape of PyTorch, still channels-last in memory."""
    return x.permute(0, 3, 1, 2) if x.ndim == 4 else x


def _layers(layers: Any, shape: tuple[int, ...]) -> list[Any]:
    import torch
    from torch import nn

    class Residual(nn.Module):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = nn.Sequential(*_layers(inner, shape))

        def forward(self, x: Any) -> Any:
            return x + self.inner(x)

    class Attention(nn.MultiheadAttention):
        def forward(self, x: Any) -> Any:
            return super().forward(x, x, x, need_weights=False)[0]

    class Last(nn.LSTM):
        def forward(self, x: Any) -> Any:
            return super().forward(x)[0][:, -1]

    class Mean(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.mean(1)

    made: list[Any] = []
    for layer in layers:
        match layer["type"]:
            case "dense":
                made.append(nn.LazyLinear(layer["units"]))
            case "conv2d":
                made.append(nn.LazyConv2d(layer["filters"], 3))
            case "max_pool2d":
                made.append(nn.MaxPool2d(2))
            case "flatten":
                made.append(nn.Flatten())
            case "lstm":
                made.append(Last(shape[-1], layer["units"], batch_first=True))
            case "layer_norm":
                made.append(nn.LayerNorm(shape[-1]))
            case "multi_head_attention":
                made.append(Attention(shape[-1], layer["heads"], batch_first=True))
            case "residual":
                made.append(Residual(layer["layers"]))
            case "embedding":
                made.append(nn.Embedding(layer["vocabulary"], layer["units"]))
            case "global_average_pool":
                made.append(Mean())
        if layer.get("activation") == "relu":
            made.append(torch.nn.ReLU())
    return made
