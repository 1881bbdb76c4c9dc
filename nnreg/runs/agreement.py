"""What the ranks of a run agree on: that they are alike, and when to stop."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from nnreg._utils import json_text
from nnreg._utils.signals import Stop
from nnreg.errors import UsageError
from nnreg.model.model import Model
from nnreg.ranks.group import Ranks


def agree_to_stop(ranks: Ranks, stop: Stop) -> None:
    """Let all ranks stop at a signal that one of them received."""
    if ranks.size > 1:
        stop.signal = max(ranks.gather_objects(stop.signal))
        stop.requested = stop.signal > 0


def require_equal_ranks(ranks: Ranks, model: Model, environment: Mapping[str, Any]) -> None:
    """Raise `UsageError` if the results of the ranks would differ, naming what differs where."""
    if ranks.size == 1:
        return
    state = hashlib.sha256()
    for vector in (model.network.vector, model.network.state_vector):
        state.update(vector.data)
    for name, vector in sorted(model.training_state.optimizer_state.items()):
        state.update(name.encode())
        state.update(vector.data)
    facts = {
        **environment,
        "spec": hashlib.sha256(json_text.dumps(model.document.tree).encode()).hexdigest()[:16],
        "data": dict(model.data_digests),
        "weights": state.hexdigest()[:16],
        "steps": model.training_state.step,
        "plugins": {one.name: one.version for one in model.document.registry.plugins.values()},
    }
    found = ranks.gather_objects((socket.gethostname(), facts))
    problems = [
        f"{name}: {_by_rank(name, found)}"
        for name in facts
        if any(one.get(name) != facts[name] for _, one in found)
    ]
    if any(ranks.gather_objects(bool(problems))):
        raise UsageError(
            "the processes of this training differ, so that their weights would not have the same "
            "bits; let all of them have the same:",
            *(f"  {problem}" for problem in problems),
        )


def _by_rank(name: str, found: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return each value, and the ranks that have it."""
    values: dict[str, list[str]] = {}
    for rank, (host, facts) in enumerate(found):
        values.setdefault(str(facts.get(name)), []).append(f"{rank} ({host})")
    return "; ".join(f"{value} on rank {', '.join(ranks)}" for value, ranks in values.items())
