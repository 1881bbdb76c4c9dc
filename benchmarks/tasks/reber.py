"""Words of the Reber grammar with PyTorch: packed sequences in a bidirectional GRU."""

from __future__ import annotations

from typing import Any

from benchmarks.tasks import Data, Split


def train(torch: Any, data: Data, *, epochs: int, seed: int) -> dict[str, float]:
    """Train the network of `models/reber.json` and return its metrics on the test split."""
    torch.manual_seed(seed)
    network = _network(torch)
    optimizer = torch.optim.Adam(network.parameters(), data.spec["optimizer"]["learning_rate"])
    letters, lengths, classes = _tensors(torch, data.train)
    for _ in range(epochs):
        for rows in torch.randperm(len(letters)).split(data.batch_size):
            loss = torch.nn.functional.cross_entropy(
                network(letters[rows], lengths[rows]), classes[rows]
            )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), data.spec["train"]["clip_norm"])
            optimizer.step()
    network.eval()
    with torch.inference_mode():
        letters, lengths, _ = _tensors(torch, data.test)
        return data.metrics(network(letters, lengths).softmax(-1).numpy())


def _tensors(torch: Any, split: Split) -> tuple[Any, Any, Any]:
    """Return the letters, the lengths of the words, and the classes of a split."""
    return tuple(map(torch.from_numpy, (split.inputs, split.lengths, split.targets)))


def _network(torch: Any) -> Any:
    """Return the untrained network."""

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(8, 8)
            self.gru = torch.nn.GRU(8, 24, batch_first=True, bidirectional=True)
            self.dense = torch.nn.Linear(48, 2)

        def forward(self, letters: Any, lengths: Any) -> Any:
            packed = torch.nn.utils.rnn.pack_padded_sequence(
                self.embedding(letters), lengths, batch_first=True, enforce_sorted=False
            )
            _, last = self.gru(packed)
            return self.dense(torch.cat(tuple(last), -1))

    return Network()
