"""A starter spec for a data file: its source, target and inputs."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from nnreg._types import Shape
from nnreg._utils.formatting import counted
from nnreg._utils.remote import is_remote, local_path
from nnreg._utils.suggestions import suggest
from nnreg.builtin.sources.delimited import Csv
from nnreg.data.files import matching_paths
from nnreg.data.loading import read_table, source_entry, split_table
from nnreg.data.target_fitting import TargetColumns
from nnreg.errors import DataError, NnregWarning, UsageError
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.source import Source
from nnreg.model.model import Model
from nnreg.registry.registry import Registry, installed
from nnreg.runs.prepare import attach_data
from nnreg.spec import jsonc
from nnreg.spec.compose import literal, replace_texts
from nnreg.spec.document import read_spec
from nnreg.spec.validation import Reader, read
from nnreg.starter.column_facts import ColumnFacts, facts_of_columns, markers
from nnreg.starter.comments import comments_of
from nnreg.starter.draft import SpecDraft
from nnreg.starter.images import image_options, names_images, table_of_images
from nnreg.starter.network_plan import NetworkPlan
from nnreg.starter.redundant import redundant_columns
from nnreg.starter.series import propose_series
from nnreg.starter.text_form import text_form
from nnreg.tables.date_forms import Form
from nnreg.tables.dates import times
from nnreg.tables.table import Table

TEXT_SOURCES = ("csv", "tsv")
"""The sources that read text."""

MAX_SERIES_COLUMNS = 4
"""The maximum number of columns of a time series besides the target: with more, its rows are taken
as examples, whose target follows from these."""

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


@dataclass(frozen=True)
class Examined:
    """A data file with the draft of a spec for it, from which specs with other networks follow.

    `path` is where it was read, `address` that of a remote file.
    """

    path: Path
    address: str
    source: Any
    why_source: Sequence[str]
    table: Table
    columns: Mapping[str, ColumnFacts]
    draft: SpecDraft
    why: str
    registry: Registry

    def proposal(
        self, directory: str | os.PathLike[str], plan: NetworkPlan | None = None
    ) -> SpecProposal:
        """Return the spec to be saved in a directory, by default with the plan of the draft."""
        draft, path = self.draft, self.address or os.path.relpath(self.path, directory)
        plan = plan or draft.plan
        for split in draft.splits(plan):
            tree = draft.tree(self.source, path, split, plan)
            if model := _model(tree, self.table, self.registry):
                break
        else:  # pragma: no cover - without a split, all rows are for training
            raise AssertionError("the last split holds out no rows")
        size = f"{counted(draft.target.rows, 'row')} and {counted(len(self.columns), 'column')}"
        about = f"{self.path.name} has {size}."
        comments = {"$": f"{about} `nnreg show NAME` describes the components named here."}
        comments |= comments_of(draft, tree, self.why, cast(Shape, model.network.input_shape))
        if self.why_source:
            comments["$.data.source"] = "\n".join(self.why_source)
        inputs = tuple(one.name for one in draft.inputs)
        return SpecProposal(
            tree, comments, draft.target.name, self.why, self.columns, inputs, draft.excluded
        )


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
    return examine(data, target, registry=registry).proposal(directory)


def examine(
    data: str | os.PathLike[str], target: str | None = None, *, registry: Registry | None = None
) -> Examined:
    """Return a data file with the draft of a spec; see `propose`."""
    named, registry = os.fspath(data), registry or installed()
    remote = is_remote(named)
    path = local_path(named, Path()) if remote else table_of_images(Path(named))
    source, table, why_source = _read(path, registry)
    columns = facts_of_columns(table)
    found, why = _target(columns, target, table.origin)
    draft = _series_draft(table, columns, found) or _table_draft(table, columns, found)
    address = named if remote else ""
    return Examined(path, address, source, why_source, table, columns, draft, why, registry)


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
        columns = facts_of_columns(table)
        if any(one.comma == "decimal" for one in columns.values()):
            other = facts_of_columns(again := table_with(decimal=","))
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
            if one.entry and one.dates and len(times(table, one.name, _form(one))):
                return one.name
    return ""


def _form(dates: ColumnFacts) -> Form:
    return Form(format=dict(dates.entry or {}).get("format"))


def _table_draft(
    table: Table, columns: Mapping[str, ColumnFacts], target: ColumnFacts
) -> SpecDraft:
    """Return the draft for rows that are examples. Raises `DataError` if no input is left."""
    excluded = _excluded(columns, target)
    left = [name for name in columns if name != target.name and name not in excluded]
    excluded = {**redundant_columns(table, columns, target.name, left), **excluded}
    inputs = [one for name, one in columns.items() if name not in {target.name, *excluded}]
    if not inputs:
        reasons = "; ".join(f"{name!r} {reason}" for name, reason in excluded.items())
        raise DataError(
            f"{table.origin}: no column is left to predict {target.name!r} from: {reasons}"
        )
    return SpecDraft(target, inputs, excluded, _time_column(table, columns))


def _series_draft(
    table: Table, columns: Mapping[str, ColumnFacts], target: ColumnFacts
) -> SpecDraft | None:
    """Return the draft for a time series with few columns; None for another table."""
    excluded = _excluded(columns, target)
    others = len(columns) - len(excluded) - 1
    if others > MAX_SERIES_COLUMNS or target.missing:
        return None
    series = propose_series(table, columns, target.name)
    if series is None:
        return None
    used = {
        target.name,
        *(series.window[key] for key in ("order", "group") if key in series.window),
    }
    excluded = {name: reason for name, reason in excluded.items() if name not in used}
    inputs = [one for name, one in columns.items() if name not in {*used, *excluded}]
    return SpecDraft(target, inputs, excluded, "", series)


def _excluded(columns: Mapping[str, ColumnFacts], target: ColumnFacts) -> dict[str, str]:
    """Return the columns that are not inputs, each with the reason."""
    others = [one for one in columns.values() if one.name != target.name]
    arrays = [one for one in others if one.kind == "arrays"]
    if arrays:
        image = max(arrays, key=lambda one: len(one.shape))
        reason = f"needs an input of its own beside the arrays of {image.name!r}"
        return {one.name: reason for one in others if one is not image}
    return {one.name: one.why_not_input for one in others if one.why_not_input}


def _model(tree: Mapping[str, Any], table: Table, registry: Registry) -> Model | None:
    """Return the model of a spec; None if its split fails, as a class may be missing from one."""
    document = read_spec(tree, registry=registry)
    data, spec = document.spec.data, document.spec
    assert data is not None  # a proposal has it
    loss = spec.loss
    classification = isinstance(loss, Loss) and (loss.classification or loss.takes_labels)
    target = TargetColumns(data.targets, "all" if classification else "none")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NnregWarning)  # a run says it
        try:
            preprocessing, splits = split_table(
                table, [target], data, data.split, spec.seed, members=spec.model.members,
                integer_inputs=(),
            )  # fmt: skip
            model = Model(document, preprocessing)
            attach_data(model, splits)
        except DataError:
            return None
    return model
