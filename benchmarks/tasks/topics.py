"""The topic of short titles with PyTorch: the mean of the vectors of the words."""

from __future__ import annotations

from typing import Any

from benchmarks.tasks import Data, Split


def train(torch: Any, data: Data, *, epochs: int, seed: int) -> dict[str, float]:
    """Train the network of `models/topics.json` and return its metrics on the test split."""
    torch.manual_seed(seed)
    vectors, dense = torch.nn.EmbeddingBag(83, 16, mode="mean"), torch.nn.Linear(16, 6)
    torch.nn.init.uniform_(vectors.weight, -0.05, 0.05)
    optimizer = torch.optim.Adam([*vectors.parameters(), *dense.parameters()], lr=0.01)
    titles, topics = _titles(torch, data.train), torch.from_numpy(data.train.targets)
    for _ in range(epochs):
        for rows in torch.randperm(len(titles)).split(data.batch_size):
            words, starts = _joined(torch, [titles[row] for row in rows])
            logits = dense(vectors(words, starts))
            loss = torch.nn.functional.cross_entropy(logits, topics[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.inference_mode():
        logits = dense(vectors(*_joined(torch, _titles(torch, data.test))))
        return data.metrics(logits.softmax(-1).numpy())


def _titles(torch: Any, split: Split) -> list[Any]:
    """Return the words of each title."""
    words = torch.from_numpy(split.inputs).long()
    return [row[:length] for row, length in zip(words, split.lengths, strict=True)]


def _joined(torch: Any, titles: list[Any]) -> tuple[Any, Any]:
    """Return the words of all titles, and where those of each begin."""
    lengths = torch.tensor([0, *map(len, titles[:-1])])
    return torch.cat(titles), lengths.cumsum(0)
