"""How a training step is divided, and how many threads execute it.

The division follows from the spec and the shapes of the data alone, so that the result has the same
bits on any number of threads. It has three forms: shards of a batch's rows, where a batch has many
activations and the network few parameters; otherwise blocks of large matrix products, or parts of
the layers if the kernels make all steps of a chain of them. Only products of a medium size are left
to the threads of the BLAS, whose results depend on their number: two threads of Python are slower
for them. `train.reproducible` does without these, or without blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnreg._utils.threads import available_threads, can_start_threads
from nnreg.errors import Problem, SpecError
from nnreg.interfaces.optimizer import Optimizer
from nnreg.network.block_products import MIN_FLOPS
from nnreg.network.network import Network
from nnreg.network.parameters import nested
from nnreg.network.time_steps import calls_in_time_steps, has_time_steps
from nnreg.ranks.gradient_sum import shards_of
from nnreg.ranks.group import ALONE, Ranks
from nnreg.training.evaluation import Evaluation
from nnreg.training.gradient import MIN_SHARD_ROWS, microbatch_size
from nnreg.training.settings import Train
from nnreg.training.update import update_threads

MIN_FLOPS_FOR_THREADS = 8e6
"""The fewest floating-point operations of a matrix product that a second thread speeds up."""

MIN_ACTIVATIONS_FOR_SHARDING = 250_000
"""The fewest activations of a batch for which dividing it among threads is faster. There must also
be at least as many as parameters: each shard has a gradient to add."""

MIN_SHARD_SEQUENCES = 32
"""The fewest examples of a shard if there are time steps. Each step reads all weights once more
for every shard: a training step of an LSTM of 128 units, 64 sequences, took 1.06 times as long with
two shards on one thread, 1.3 times with four, and twice with eight."""

MAX_SHARDS = 8
"""The most shards unless the spec gives a number: as many threads can share a batch."""

MAX_WAITING_SHARDS = 4
"""The most if layers combine values of all shards. On one thread, a batch norm of four was as fast
as one of the whole batch, and one of eight a fifth slower."""

MIN_FLOPS_FOR_SHARDS = 5e7
"""The fewest operations of the largest product for which a batch of few activations is divided, in
two, if results are to be reproducible. A step of 784-512-256-10 took 1.07 times as long then on one
thread, and on two 1.1 times as long as with two threads of the BLAS, but 0.7 times as on one."""

MIN_SHARE_IN_BLOCKS = 0.9
"""The least part in blocks, of the operations that threads speed up, for which blocks are used by
default: one thread then computes the others, in up to twice the time on two threads."""


@dataclass(frozen=True, slots=True)
class Division:
    """How each batch is divided: into `shards`, and large matrix products into `blocks`.

    The kernels divide the steps of a `chain` of dense layers. At most `threads`, None for no limit,
    execute the shards or share large products. If it is `reproducible`, results have the same bits
    on any number of them.
    """

    shards: int
    blocks: bool
    chain: bool
    threads: int | None
    reproducible: bool

    @property
    def record(self) -> dict[str, Any]:
        """What a run's summary has of it."""
        threads = self.threads or "all"
        return {"threads": threads, "shards": self.shards, "reproducible": self.reproducible}


def shard_count(network: Network, evaluation: Evaluation, settings: Train, rows: int) -> int:
    """Return into how many shards each batch is divided; there are `rows` in all.

    Raises `SpecError` if the settings give a number and the batch cannot be divided.
    """
    batch = min(settings.batch_size, rows)
    obstacle = _undivided(network, evaluation)
    if settings.shards is not None:
        if obstacle and settings.shards > 1:
            problem = f"the rows of a batch cannot be divided: {obstacle}; remove 'shards'"
            raise SpecError([Problem("$.train.shards", problem)])
        return max(1, min(settings.shards, batch))
    if obstacle or calls_in_time_steps(network.plan, network.kernels, network.dtype):
        return 1
    most = MAX_SHARDS if network.independent else MAX_WAITING_SHARDS
    least = max(MIN_ACTIVATIONS_FOR_SHARDING, network.vector.size)
    if batch * network.activations_per_example < least:
        flops = network.largest_product(batch)
        most = 2 if settings.reproducible and MIN_FLOPS_FOR_SHARDS <= flops < MIN_FLOPS else 1
    fewest = MIN_SHARD_SEQUENCES if has_time_steps(network.plan) else MIN_SHARD_ROWS
    return max(1, min(most, batch // fewest))


def _undivided(network: Network, evaluation: Evaluation) -> str:
    """Return why the rows of a batch cannot be divided; empty if they can."""
    if not evaluation.independent:
        return "the loss compares the examples of a batch"
    for layer, plan in nested(network.plan):
        if not (layer.independent or layer.combines_shards):
            return f"{plan.path}, {type(layer).__name__}, computes with the whole batch"
    return ""


def divide(
    network: Network,
    evaluation: Evaluation,
    settings: Train,
    rows: int,
    ranks: Ranks = ALONE,
    *,
    has_threaded_steps: bool = False,
) -> Division:
    """Return how a training on this number of rows is divided.

    `has_threaded_steps` says whether its kernels have steps of a chain that threads share.

    Raises `SpecError` as `shard_count` does, if shards need threads that cannot be started, and if
    there are fewer shards than ranks.
    """
    shards = shard_count(network, evaluation, settings, rows)
    batch = min(settings.batch_size, rows)
    if shards < ranks.size:
        obstacle = _undivided(network, evaluation)
        raise SpecError([Problem("$.train.shards", _too_few(shards, ranks, obstacle, batch))])
    if shards > 1 and not network.independent and not can_start_threads():
        problem = (
            "no thread can be started here, and layers that combine values of the whole batch need "
            f"one for each of its {shards} shards; set it to 1"
        )
        raise SpecError([Problem("$.train.shards", problem)])
    # the products of members are computed one after the other, each too short for two threads
    least = MIN_FLOPS_FOR_THREADS if network.members == 1 else MIN_FLOPS
    small = network.largest_product(batch) < least
    chain = has_threaded_steps and shards == 1 and not small
    blocks = shards == 1 and not chain and _in_blocks(network, evaluation, settings, batch)
    if shards > 1:
        here = len(shards_of(shards, ranks.size)[ranks.rank])
        threads: int | None = min(settings.threads or ranks.threads(available_threads()), here)
    else:
        threads = 1 if small else settings.threads
    reproducible = bool(settings.reproducible) or shards > 1 or small or blocks or chain
    return Division(shards, blocks, chain, threads, reproducible)


def _too_few(shards: int, ranks: Ranks, obstacle: str, batch: int) -> str:
    """Return what is wrong with a number of shards per batch that is less than that of ranks."""
    found = f"{ranks.size} processes were started to train together, each on some shards of a batch"
    if obstacle:
        return f"{found}, but its rows cannot be divided: {obstacle}; start one process"
    if batch < ranks.size:
        return f"{found}, but it has {batch} rows; start fewer processes"
    number = "1 shard" if shards == 1 else f"{shards} shards"
    return f"{found}, but it has {number}; set it to {ranks.size}, on one process too"


def _in_blocks(network: Network, evaluation: Evaluation, settings: Train, batch: int) -> bool:
    """Return whether there are matrix products that threads share in blocks.

    It is decided once, as the question at each product would slow down small networks.
    """
    if settings.reproducible is not None:
        return settings.reproducible and network.largest_product(batch) >= MIN_FLOPS
    rows = microbatch_size(network) if evaluation.independent else None
    return mostly_large(network, min(batch, rows or batch))


def mostly_large(network: Network, rows: int) -> bool:
    """Return whether blocks cost little in passes of this number of rows."""
    products = list(network.products(rows))
    in_blocks = sum(flops for flops, divisible in products if divisible and flops >= MIN_FLOPS)
    shared = sum(flops for flops, _ in products if flops >= MIN_FLOPS_FOR_THREADS)
    return in_blocks > 0 and in_blocks >= MIN_SHARE_IN_BLOCKS * shared


def pool_size(
    network: Network,
    optimizer: Optimizer,
    settings: Train,
    division: Division,
    ranks: Ranks = ALONE,
) -> int:
    """Return the number of threads that share each batch, and the update of a long vector.

    Shards whose layers combine values of all of them wait for each other, each in its own thread.
    """
    limit = settings.threads or division.threads or available_threads()
    updating = update_threads(optimizer, network.vector.size, limit)
    if division.shards > 1:
        shards = len(shards_of(division.shards, ranks.size)[ranks.rank])
        sharing = min(limit, shards) if network.independent else shards
    else:
        sharing = limit if division.blocks or division.chain else 1
    return max(sharing, updating)
