"""How training uses threads: for shards of each batch, or within each matrix product."""

from __future__ import annotations

from nnreg._utils.threads import available_threads
from nnreg.network.network import Network
from nnreg.training.evaluation import Evaluation
from nnreg.training.gradient import MIN_SHARD_ROWS
from nnreg.training.settings import Train

MIN_FLOPS_FOR_THREADS = 8e6
"""The fewest floating-point operations of a matrix product that a second thread speeds up."""

MIN_ACTIVATIONS_FOR_SHARDING = 250_000
"""The fewest activations of a batch for which dividing it among threads is faster. There must also
be at least as many as parameters: each thread has a gradient to add."""


def worker_count(network: Network, evaluation: Evaluation, settings: Train, rows: int) -> int:
    """Return the number of threads that share the rows of a batch; there are `rows` in all."""
    if not evaluation.independent:
        return 1
    batch = min(settings.batch_size, rows)
    least = max(MIN_ACTIVATIONS_FOR_SHARDING, network.vector.size)
    if not network.independent or batch * network.activations_per_example < least:
        return 1
    if network.max_sequence_length > 1 and not network.kernels.few_calls:
        return 1
    return max(1, min(settings.threads or available_threads(), batch // MIN_SHARD_ROWS))


def max_threads(network: Network, settings: Train, workers: int) -> int | None:
    """Return the most threads that training uses with this many workers; None for no limit.

    They share each batch where that is faster, and each matrix product otherwise. Where neither is,
    one thread is used unless the settings give a number: more would only wait for each other on a
    busy machine.
    """
    if workers > 1:
        return workers
    if settings.threads is not None:
        return settings.threads
    small = network.largest_product(settings.batch_size) < MIN_FLOPS_FOR_THREADS
    return 1 if small else None
