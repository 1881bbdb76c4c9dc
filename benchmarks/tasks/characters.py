"""Text, character by character, with PyTorch: a causal transformer with rotary positions."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.tasks import Data


def train(torch: Any, data: Data, *, epochs: int, seed: int) -> dict[str, float]:
    """Train the network of `models/characters.json`; return loss and metrics of the test split."""
    torch.manual_seed(seed)
    characters = network(torch)
    parameters = list(characters.parameters())
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    x, following = (torch.from_numpy(one).long() for one in (data.train.inputs, data.train.targets))
    steps = epochs * math.ceil(len(x) / data.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.02, total_steps=steps, cycle_momentum=False
    )
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(data.batch_size):
            loss = cross_entropy(torch, characters(x[rows]), following[rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
    with torch.inference_mode():
        logits = characters(torch.from_numpy(data.test.inputs).long())
        loss = cross_entropy(torch, logits, torch.from_numpy(data.test.targets).long())
        return {"loss": loss.item(), **data.metrics(logits.softmax(-1).numpy())}


def cross_entropy(torch: Any, logits: Any, characters: Any) -> Any:
    """Return the mean over all characters."""
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), characters.flatten())


def network(torch: Any) -> Any:
    """Return the network, with first weights like nnreg's."""
    linear, functional = torch.nn.Linear, torch.nn.functional

    def turned(x: Any) -> Any:
        """Turn the features of each step by angles that grow with the step, as in RoFormer."""
        time, half = x.shape[-2], x.shape[-1] // 2
        step, feature = (torch.arange(n, dtype=torch.float64) for n in (time, half))
        angles = step[:, None] / 10_000 ** (feature / half)
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.joined = linear(32, 96), linear(32, 32)
            self.attention_norm = torch.nn.LayerNorm(32)
            self.hidden, self.output = linear(32, 128), linear(128, 32)
            self.output_norm = torch.nn.LayerNorm(32)
            for one in (self.attention, self.joined, self.hidden, self.output):
                torch.nn.init.xavier_uniform_(one.weight)
                torch.nn.init.zeros_(one.bias)

        def forward(self, x: Any) -> Any:
            heads = self.attention(x).unflatten(-1, (3, 4, 8)).permute(2, 0, 3, 1, 4)
            found = functional.scaled_dot_product_attention(
                turned(heads[0]), turned(heads[1]), heads[2], is_causal=True
            )
            h = self.attention_norm(x + self.joined(found.transpose(1, 2).flatten(2)))
            return self.output_norm(h + self.output(self.hidden(h).relu()))

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(24, 32)
            torch.nn.init.uniform_(self.embedding.weight, -0.05, 0.05)
            self.blocks = torch.nn.Sequential(Block(), Block())

        def forward(self, x: Any) -> Any:
            return self.blocks(self.embedding(x)) @ self.embedding.weight.T

    return Network()
