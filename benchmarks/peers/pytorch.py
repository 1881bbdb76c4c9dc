"""PyTorch, eager and compiled."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import RATE, Job, predictions
from benchmarks.workloads import Workload

IMAGES = 250
"""Images predicted at once: the fastest of 100, 250, 1,000 and 10,000."""


class PyTorch:
    """PyTorch; images in channels-last layout, its fastest on a CPU."""

    def __init__(self, *, compiled: bool = False) -> None:
        self.compiled = compiled

    def train(self, workload: Workload) -> Job:
        """Train with a loop like those in PyTorch's examples, with the fused Adam."""
        import torch

        x, y = map(torch.from_numpy, workload.examples())
        x = _channels_first(x)
        cross_entropy = torch.nn.functional.cross_entropy
        if workload.members > 1:
            network, parameters = self._ensemble(workload)
        else:
            network = self._network(workload)
            parameters = list(network.parameters())
        optimizer = torch.optim.Adam(parameters, RATE, fused=True)

        def job() -> None:
            for start in range(0, len(x), workload.batch):
                optimizer.zero_grad()
                z = network(x[start : start + workload.batch])
                t = y[start : start + workload.batch]
                if workload.members > 1:  # the sum of the means of the members
                    loss = cross_entropy(z.flatten(0, 1), t.repeat(workload.members))
                    loss = loss * workload.members
                else:
                    loss = cross_entropy(z, t)
                loss.backward()
                optimizer.step()

        return job

    def predict(self, workload: Workload, rows: int) -> Job:
        """Predict in inference mode, from and to NumPy arrays."""
        import torch

        network = self._network(workload).eval()
        x, _ = workload.examples(rows)
        chunks = workload.chunks(x, IMAGES)

        def probabilities(chunk: Any) -> Any:
            return network(_channels_first(torch.from_numpy(chunk))).softmax(-1).numpy()

        return torch.inference_mode()(predictions(probabilities, chunks))

    def _ensemble(self, workload: Workload) -> tuple[Any, list[Any]]:
        """Return the function of members with stacked parameters, and these."""
        import torch

        networks = [PyTorch()._network(workload) for _ in range(workload.members)]
        parameters, _ = torch.func.stack_module_state(networks)

        def of_one(parameters: Any, x: Any) -> Any:
            return torch.func.functional_call(networks[0], parameters, (x,))

        of_all = torch.vmap(of_one, (0, None))
        function = torch.compile(of_all) if self.compiled else of_all
        return lambda x: function(parameters, x), list(parameters.values())

    def _network(self, workload: Workload) -> Any:
        import torch

        if self.compiled and any(layer["type"] == "lstm" for layer in workload.layers):
            raise NotImplementedError("torch.compile leaves an LSTM as it is")
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

    functions = {"relu": nn.ReLU(), "gelu": nn.GELU("tanh")}
    made: list[Any] = []
    for layer in layers:
        match layer["type"]:
            case "dense":
                made.append(nn.LazyLinear(layer["units"]))
            case "conv2d":
                options = {
                    "padding": layer.get("padding", "valid"),
                    "bias": layer.get("bias", True),
                }
                made.append(nn.LazyConv2d(layer["filters"], 3, **options))
            case "batch_norm":
                made.append(nn.LazyBatchNorm2d())
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
        if (activation := layer.get("activation")) in functions:
            made.append(functions[activation])
    return made
