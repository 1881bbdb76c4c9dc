"""The reasons for the values of a starter spec, as its comments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nnreg._types import Shape
from nnreg._utils import json_text
from nnreg._utils.formatting import counted
from nnreg.starter.column_facts import ColumnFacts
from nnreg.starter.draft import EMBEDDING_UNITS, SpecDraft
from nnreg.starter.network_plan import is_wide

NAMELESS = "the column without a name"

MAX_NAMED = 6
"""The maximum number of columns named in a comment."""


def comments_of(
    draft: SpecDraft, tree: Mapping[str, Any], why: str, input_shape: Shape
) -> dict[str, str]:
    """Return the reasons for the spec's values, by JSON path; `why` is that for the target."""
    data = tree["data"]
    found = {
        "target": f"{_kind_of_target(draft.target)}. Chosen because {why}.",
        "missing_target": f"Leaves out {counted(draft.target.missing, 'row')} without a target.",
        "inputs": _listed(draft.excluded),
        "exclude": _listed(draft.excluded),
        "numbers": "A number is standardized, and is divided into bins of as many rows each, so "
        "that a network of few layers can follow curves and steps.",
        "columns": _of_columns(draft.inputs, draft.target),
        "missing": _of_missing(draft.inputs),
        "unseen": "An unknown category, one not seen in training, is not an error.",
        "target_scaling": _of_scaling(draft.target),
        "split": _of_split(draft, data.get("split", {})),
    }
    comments = {f"$.data.{key}": text for key, text in found.items() if key in data}
    if draft.series is not None:
        comments |= draft.series.comments
        comments["$.model"] += f"\n{_of_members(tree['model'])}"
    else:
        comments["$.model"] = _of_model(draft, tree["model"], input_shape, bins="numbers" in data)
    if "f1" in tree["metrics"]:
        comments["$.metrics"] = _of_metrics(tree["metrics"])
    comments["$.train"] = _of_train(tree["train"])
    return {path: text for path, text in comments.items() if text}


def _kind_of_target(target: ColumnFacts) -> str:
    if target.classification:
        return f"{target.distinct:,} classes, the rarest in {counted(target.smallest, 'row')}"
    return f"Numeric, {target.distinct:,} distinct values"


def _of_missing(inputs: Iterable[ColumnFacts]) -> str:
    missing = sum(one.missing for one in inputs)
    return (
        f"{counted(missing, 'missing value')}: a category of its own; a number is imputed with the "
        "mean, and a second input says that it was missing."
    )


def _of_scaling(target: ColumnFacts) -> str:
    text = "The target is standardized for training; predictions are in its own units."
    if target.skewed:
        text += (
            "\nIt is skewed: a few values are far above the others, and count most. If an error of "
            '10 % is as bad for small values as for large ones: "target_scaling": "log".'
        )
    return text


def _of_split(draft: SpecDraft, split: Mapping[str, Any]) -> str:
    text = "Validation decides when to stop"
    if "member_folds" in split:
        text = (
            "Each network trains on all rows but a part of its own; together, these parts are the "
            "validation split, which decides when to stop"
        )
    if "test" in split:
        lines = [f"{text}; the test split is evaluated once, at the end."]
    else:
        both = json_text.dumps({**split, "test": 0.2})
        lines = [
            f"{text}. For a score on rows that decided nothing, hold out a test split too:",
            both,
        ]
    if "stratify" in split:
        lines.append("Each split has the classes in proportion.")
    if draft.series is not None:
        lines.append("Each split follows the one before it in time.")
    if draft.time_column:
        order = json_text.dumps({"validation": 0.2, "order": draft.time_column}, ensure_ascii=False)
        lines.append(f"To hold out the latest rows instead: {order}")
    return "\n".join(lines)


def _of_model(draft: SpecDraft, model: Mapping[str, Any], input_shape: Shape, *, bins: bool) -> str:
    if draft.arrays:
        return f"An example is {' x '.join(map(str, input_shape))} numbers."
    lines = [f"An example is {counted(input_shape[0], 'number')}: {_parts(draft, bins=bins)}."]
    if is_wide(draft.rows, draft.shape[0]):
        lines.append(
            "These are many for so few rows: the network is small, with dropout and weight decay, "
            "so that it does not learn single rows."
        )
    if any(one.many_categories for one in draft.inputs):
        lines.append(
            f"column_embedding makes {EMBEDDING_UNITS} trained numbers of each category of "
            "a column with many."
        )
    if "members" in model:
        lines.append(_of_members(model))
    return "\n".join(lines)


def _of_members(model: Mapping[str, Any]) -> str:
    return (
        f"{model['members']} networks are trained; the mean of their predictions is better than "
        "one of them."
    )


def _parts(draft: SpecDraft, *, bins: bool) -> str:
    """Return what the numbers of an example are."""
    kinds = {one.kind for one in draft.inputs}
    many = {one.many_categories for one in draft.inputs if one.kind == "categories"}
    found = {
        f"numbers{' with their bins' if bins else ''}": "numbers" in kinds,
        "categories one-hot encoded": False in many,
        "positions of categories": True in many,
        "steps of ordered categories": "ordered" in kinds,
        "labels": "labels" in kinds,
        "parts of dates": "dates" in kinds,
        "frequencies of words": "texts" in kinds,
        "which values were missing": any(one.missing for one in draft.inputs),
    }
    *first, last = [text for text, present in found.items() if present]
    return f"{', '.join(first)} and {last}" if first else last


def _of_metrics(metrics: Sequence[str]) -> str:
    text = "Some classes are rare: f1 weights each class equally, accuracy each row."
    if "auc" in metrics:
        text += (
            " auc is the chance that a row of one class gets a higher probability for it than a "
            "row of the other."
        )
    return (
        f'{text}\nTo find more of the rare ones, at the cost of accuracy: "class_weights": '
        '"balanced" in data.'
    )


def _of_train(train: Mapping[str, Any]) -> str:
    text = ""
    if "early_stopping" in train:
        text = "Stops when the validation loss has not fallen for `patience` epochs."
    if "ema" in train:
        text += " ema: the weights are a running mean of those of the last steps."
    return text.strip()


def _of_columns(inputs: Sequence[ColumnFacts], target: ColumnFacts) -> str:
    """Return why columns have the encoders that they have."""
    lines = []
    if any(one.kind == "texts" for one in inputs):
        lines.append(
            "Texts become the frequencies of their most frequent words, rare words weighted more."
        )
    if any(one.format for one in (*inputs, target)):
        lines.append("Numbers in text, with a currency or a unit, or separated thousands.")
    for kind, text in (
        ("dates", "Dates and times become their parts, such as the time elapsed and the weekday."),
        ("labels", "Several labels in a cell: each label is an input, 1 if the cell has it."),
        ("ordered", "Categories from low to high: each step up is an input."),
    ):
        if named := [one.name for one in inputs if one.kind == kind]:
            lines.append(f"{_names(named)}: {text[0].lower()}{text[1:]}")
    many = [one.name or NAMELESS for one in inputs if one.many_categories]
    if many:
        lines.append(
            f"{_names(many)}: many categories, each a trained vector; rare ones share one."
        )
    return "\n".join(lines)


def _listed(reasons: Mapping[str, str]) -> str:
    """Return the excluded columns, grouped by reason."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name or NAMELESS)
    lines = []
    for reason, group in names.items():
        are, it = ("is", "it") if len(group) == 1 else ("are", "each")
        lines.append(f"{_names(group)} {are} excluded: {it} {reason}.")
    return "\n".join(lines)


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
    return f"{', '.join(names[:MAX_NAMED])}{more}"
