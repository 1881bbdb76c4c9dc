"""What the results of a training depend on, besides its spec and its data."""

from __future__ import annotations

from typing import Any

from nnreg._utils.threads import available_threads
from nnreg.model.model import Model
from nnreg.provenance.environment import library_versions
from nnreg.registry.kernels import name_of
from nnreg.training.trainer import Trainer


def numeric_environment(model: Model, trainer: Trainer) -> dict[str, Any]:
    """Return everything but spec and data on which the exact results of a training depend."""
    return {
        **library_versions(threads=not trainer.reproducible),
        **({} if trainer.reproducible else threads_of(trainer)),
        "reproducible": trainer.reproducible,
        "shards": trainer.shards,
        "blocks": trainer.division.blocks,
        "streamed": trainer.streaming,
        "kernels": name_of(trainer.network.kernels, model.document.registry),
    }


def threads_of(trainer: Trainer) -> dict[str, int]:
    """Return the number of threads of a training by its key in the records."""
    return {"threads": trainer.threads or available_threads()}
