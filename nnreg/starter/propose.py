"""A starter spec for a data file: its source, target and inputs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnreg._utils.formatting import counted
from nnreg._utils.remote import is_remote, local_path
from nnreg._utils.suggestions import suggest
from nnreg.builtin.sources.delimited import Csv
from nnreg.data.files import matching_paths
from nnreg.data.loading import read_table, source_entry, split_table
from nnreg.data.target_fitting import TargetColumns
from nnreg.errors import DataError, UsageError
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.source import Source
from nnreg.model.model import Model
from nnreg.registry.registry import Registry, installed
from nnreg.runs.prepare import attach_data
from nnreg.spec import jsonc
from nnreg.spec.compose import literal, replace_texts
from nnreg.spec.document import read_spec
from nnreg.spec.validation import Reader, read
from nnreg.starter.column_summary import ColumnFacts, markers, summarize_columns
from nnreg.starter.draft import SpecDraft
from nnreg.starter.images import image_options, names_images, table_of_images
from nnreg.starter.text_form import text_form
from nnreg.tables.dates import times
from nnreg.tables.table import Table

TEXT_SOURCES = ("csv", "tsv")
"""The sources that read text."""

MAX_REASONS = 5
"""The maximum number of columns for which an error says why they cannot be a target."""

TARGET_NAMES = (
    "target", "label", "labels", "class", "classes", "y", "species", "category", "digit", "outcome",
    "diagnosis", "survived", "churn", "result", "response", "quality", "price",
)  # fmt: skip
"""Common names of target columns, the most specific first."""


@dataclass(frozen=True)
class SpecProposal:
    """A spec with its reasons: comments by JSON path.

    `why` is the reason for the choice of the `target`. `columns` are all columns of the table,
    `inputs` those that are used, and `excluded` the reasons why others are not.
    """

    tree: dict[str, Any]
    comments: dict[str, str]
    target: str
    why: str
    columns: Mapping[str, ColumnFacts]
    inputs: tuple[str, ...]
    excluded: Mapping[str, str]

    def text(self) -> str:
        """Return the spec as a file with comments."""
        tree = replace_texts(self.tree, lambda _, text: literal(text))
        return jsonc.dumps(tree, self.comments)


def propose(
    data: str | os.PathLike[str],
    target: str | None = None,
    *,
    directory: str | os.PathLike[str] = ".",
    registry: Registry | None = None,
) -> SpecProposal:
    """Return a spec for a data file that runs without changes, to be saved in `directory`.

    Without a `target` the column is guessed, by its name or because it is the last one. Raises
    `DataError` for a file that cannot be read or has no usable columns, `UsageError` for a
    target that is not a column.
    """
    named, registry = os.fspath(data), registry or installed()
    remote = is_remote(named)
    path = local_path(named, Path()) if remote else table_of_images(Path(named))
    source, table, why_source = _read(path, registry)
    columns = summarize_columns(table)
    found, why = _target(columns, target, table.origin)
    if found.missing:
        raise DataError(
            f"{path}: the target {found.name!r} is missing in {found.missing:,} of {found.rows:,} "
            "rows; remove these, or choose another column with --target"
        )
    excluded = _excluded(columns, found)
    inputs = tuple(name for name in columns if name != found.name and name not in excluded)
    if not inputs:
        reasons = "; ".join(f"{name!r} {reason}" for name, reason in excluded.items())
        raise DataError(f"{path}: no column is left to predict {found.name!r} from: {reasons}")
    relative_path = named if is_remote(named) else os.path.relpath(path, directory)
    chosen = [columns[name] for name in inputs]
    draft = SpecDraft(found, chosen, excluded, _time_column(table, columns))
    for split in draft.splits():
        tree = draft.tree(source, relative_path, split)
        if _split_works(tree, table, registry):
            break
    size = f"{counted(found.rows, 'row')} and {counted(len(columns), 'column')}"
    comments = {
        "$": f"{path.name} has {size}. `nnreg show NAME` describes the components named here."
    }
    comments |= draft.comments(tree, why)
    if why_source:
        comments["$.data.source"] = "\n".join(why_source)
    return SpecProposal(tree, comments, found.name, why, columns, inputs, excluded)


def _read(path: Path, registry: Registry) -> tuple[Any, Table, Sequence[str]]:
    """Return the source of a file for a spec, its table, and the reasons for the source's options.

    Markers of missing values are such in the table.
    """
    name = _source(path, registry)
    options: dict[str, Any] = {"type": name}

    def table_with(**more: Any) -> Table:
        return read_table(read(Source, {**options, **more}, Reader(registry)), path)

    reasons: Sequence[str] = ()
    if name == "images":
        options, reasons = image_options(path, options, registry)
    if name in TEXT_SOURCES:
        form = text_form(matching_paths(path)[0], name)
        options, reasons = options | form.options, form.reasons
    table = table_with()
    if name in TEXT_SOURCES and names_images(table, path):
        options, reasons = image_options(path, {"type": "images", "table": options}, registry)
        return options, table_with(), reasons
    if name in TEXT_SOURCES:
        columns = summarize_columns(table)
        if any(one.comma == "decimal" for one in columns.values()):
            other = summarize_columns(again := table_with(decimal=","))
            if _count_numeric(other) > _count_numeric(columns):
                options["decimal"], table, columns = ",", again, other
        if found := markers(columns):
            options["missing"] = [*Csv.missing, *found]
            table = table_with()
    return options if len(options) > 1 else name, table, reasons


def _count_numeric(columns: Mapping[str, ColumnFacts]) -> int:
    """Return the number of numeric columns, ignoring markers of missing values."""
    return sum(
        one.kind == "numbers" or (one.kind == "mixed" and not one.comma) for one in columns.values()
    )


def _source(path: Path, registry: Registry) -> str:
    """Return the name of the source that reads files with this suffix."""
    if entry := source_entry(path, registry):
        return registry.reference(entry)
    sources = [one.cls for one in registry.loaded("source") if issubclass(one.cls, Source)]
    suffixes = sorted({suffix for cls in sources for suffix in cls.suffixes if suffix[0] != "/"})
    raise UsageError(
        f"{path}: no source reads files of this name; expected a directory of images, or "
        f"{', '.join(suffixes)}"
    )


def _target(
    columns: Mapping[str, ColumnFacts], requested: str | None, origin: str
) -> tuple[ColumnFacts, str]:
    """Return the column to predict, and the reason for it."""
    if requested is not None:
        if requested not in columns:
            raise UsageError(f"{origin}: no column {requested!r}{suggest(requested, columns)}")
        if problem := columns[requested].why_not_target:
            raise DataError(f"{origin}: {requested!r} cannot be predicted: it {problem}")
        return columns[requested], "it was requested"
    candidates = [one for one in columns.values() if not one.why_not_target and not one.missing]
    if not candidates:
        reasons = [
            f"{one.name!r} {one.why_not_target or 'has missing values'}" for one in columns.values()
        ]
        raise UsageError(
            f"{origin}: no column looks like a target; choose one with --target "
            f"({'; '.join(reasons[:MAX_REASONS])})"
        )
    for name in TARGET_NAMES:
        for one in candidates:
            if one.name.lower() == name:
                return one, "its name is typical of a target"
    return candidates[-1], "it is the last column that can be predicted"


def _time_column(table: Table, columns: Mapping[str, ColumnFacts]) -> str:
    """Return the first column of dates or times that a split can order by, or an empty string."""
    for one in columns.values():
        with suppress(DataError):
            if one.dates and len(times(table, one.name)):
                return one.name
    return ""


def _excluded(columns: Mapping[str, ColumnFacts], target: ColumnFacts) -> dict[str, str]:
    """Return the columns that are not inputs, each with the reason."""
    others = [one for one in columns.values() if one.name != target.name]
    arrays = [one for one in others if one.kind == "arrays"]
    if arrays:
        image = max(arrays, key=lambda one: len(one.shape))
        reason = f"needs an input of its own beside the arrays of {image.name!r}"
        return {one.name: reason for one in others if one is not image}
    return {one.name: one.why_not_input for one in others if one.why_not_input}


def _split_works(tree: Mapping[str, Any], table: Table, registry: Registry) -> bool:
    """Return True if the split works: a rare class may be missing from one of the splits."""
    document = read_spec(tree, registry=registry)
    data, spec = document.spec.data, document.spec
    assert data is not None  # a proposal has it
    loss = spec.loss
    classification = isinstance(loss, Loss) and (loss.classification or loss.takes_labels)
    target = TargetColumns(data.targets, "all" if classification else "none")
    try:
        preprocessing, splits = split_table(
            table, [target], data, data.split, spec.seed, integer_inputs=(),
        )  # fmt: skip
        attach_data(Model(document, preprocessing), splits)
    except DataError:
        return False
    return True
