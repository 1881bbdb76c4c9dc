"""The evaluation of a network on examples that come in parts."""

from __future__ import annotations

from collections.abc import Iterable

from nnreg.model.sequences import padded_as
from nnreg.network.network import Network
from nnreg.tables.named import concatenate
from nnreg.tables.padded import Padded
from nnreg.training.evaluation import Evaluation, Examples, reported


def evaluate_parts(
    network: Network, evaluation: Evaluation, examples: Iterable[Examples]
) -> dict[str, float]:
    """Return the results for all parts, with the inputs of one of them in memory at a time.

    Of the others, only the outputs and the targets are in memory.
    """
    parts = []
    for part in examples:
        with network.blas_threads():
            scores = padded_as(network.logits(part.x), part.targets)
        parts.append((scores, part.targets, part.raw_targets))
    scores, t, raw = (concatenate(arrays) for arrays in zip(*parts, strict=True))
    z = scores.values if isinstance(scores, Padded) else scores
    return reported(evaluation.evaluate_logits(network, z, Examples(z, t, raw)))
