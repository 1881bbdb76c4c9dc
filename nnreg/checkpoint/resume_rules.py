"""What may change in a spec when a training is resumed, and what each change does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from nnreg.errors import Problem, SpecError
from nnreg.spec.document import Document
from nnreg.spec.validation import to_json

When: TypeAlias = Literal["always", "between epochs", "moved", "never"]
"""When a value may change; `moved` is for the path of a file that has been moved."""


@dataclass(frozen=True)
class Rule:
    """When a value may change, and what the change does, or why it is refused."""

    when: When
    effect: str


MOVED = Rule("moved", "the file has been moved; its content must be the same")
WEIGHTS = Rule("never", "the weights were trained in this network, with this loss")
NEXT_STEP = Rule("always", "applies from the next step on")
NEXT_EPOCH = Rule("between epochs", "applies from the next epoch on")
SPLIT = Rule("never", "rows that were trained on would be held out")

RULES: Mapping[str, Rule] = {
    "seed": Rule("never", "the split, the order of the rows and dropout are drawn from it"),
    "data": Rule("never", "the weights were trained on data that were prepared in this way"),
    "data.path": MOVED,
    "data.source.stream": NEXT_EPOCH,
    "data.split": SPLIT,
    "data.split.validation": MOVED,
    "data.split.test": MOVED,
    "model": WEIGHTS,
    "loss": WEIGHTS,
    "metrics": Rule("between epochs", "are measured from the next epoch on"),
    "optimizer": Rule("never", "its state was accumulated with these options"),
    "optimizer.learning_rate": NEXT_STEP,
    "optimizer.weight_decay": NEXT_STEP,
    "schedule": Rule("always", "applies from the next step on, as if it had been planned before"),
    "train.epochs": Rule("always", "is the new last epoch; the schedule is planned for it"),
    "train.batch_size": NEXT_EPOCH,
    "train.accumulate": NEXT_EPOCH,
    "train.shuffle": NEXT_EPOCH,
    "train.early_stopping": Rule("always", "applies to the history too"),
    "train.l1": NEXT_STEP,
    "train.l2": NEXT_STEP,
    "train.weight_decay": NEXT_STEP,
    "train.augment": NEXT_STEP,
    "train.regularize": NEXT_STEP,
    "train.constrain": NEXT_STEP,
    "train.learning_rates": NEXT_STEP,
    "train.clip_norm": NEXT_STEP,
    "train.clip_value": NEXT_STEP,
    "train.ema": Rule("always", "begins, changes or drops the average from the next step on"),
    "train.freeze": Rule("always", "unfrozen layers begin with a new optimizer state"),
    "train.start_from": MOVED,
    "train.threads": Rule("always", "may change the last bits unless the run is reproducible"),
    "train.shards": NEXT_EPOCH,
    "train.reproducible": Rule("always", "may change the last bits of the results"),
    "train.kernels": Rule("always", "may change the last bits of the results"),
    "train.folds": SPLIT,
    "train.fold": SPLIT,
    "checkpoint": Rule("always", "changes when checkpoints are saved"),
    "requires": Rule("always", "has no effect on the training"),
}
"""The rule of each key of a spec; a key without one has that of the nearest key above it."""


def rule_of(path: str) -> Rule:
    """Return the rule of a key, such as `train.epochs`."""
    while path not in RULES:
        path = path.rpartition(".")[0]
    return RULES[path]


def check_resume(before: Document, after: Document, where: str, *, mid_epoch: bool) -> None:
    """Raise `SpecError` for all changes of a spec that resuming refuses, with the reasons.

    `mid_epoch` is True if an epoch of the checkpoint `where` is unfinished.
    """
    trees = (to_json(one.spec, after.registry) for one in (before, after))
    problems = [
        Problem(f"$.{path}", why)
        for path, old, new in _changes(*trees)
        if (why := _refusal(rule_of(path), path, old, new, mid_epoch=mid_epoch))
    ]
    if problems:
        with after.origins.locating_errors(where):
            raise SpecError(problems)


def _refusal(rule: Rule, path: str, old: Any, new: Any, *, mid_epoch: bool) -> str:
    """Return why a change is refused; empty if it is not."""
    if rule.when == "always" or (rule.when == "between epochs" and not mid_epoch):
        return ""
    key = path.rpartition(".")[2]
    if rule.when == "between epochs":
        return (
            f"{key!r} cannot change within an epoch, and the last one is unfinished; resume "
            "without this change to the end of the epoch, or start a new run"
        )
    if rule.when == "moved":
        if isinstance(old, str) and isinstance(new, str):
            return ""
        rule = rule_of(path.rpartition(".")[0]) if path.startswith("data.") else WEIGHTS
    return f"{key!r} cannot change on resuming, as {rule.effect}; start a new run"


def _changes(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the path of each value that differs, with both values.

    Of components of different types, only the type differs.
    """
    if old == new:
        return
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from _changes(*pair, f"{path}[{index}]")
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        same = old.get("type") == new.get("type")
        for key in [*old, *(key for key in new if key not in old)] if same else ["type"]:
            yield from _changes(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    else:
        yield path, old, new
