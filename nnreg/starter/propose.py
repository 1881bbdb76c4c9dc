"""A starter spec from a data file: what to predict, and from which columns."""

from __future__ import annotations

import codecs
import gzip
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from nnreg._utils.formatting import counted
from nnreg._utils.os_errors import explain_os_error
from nnreg._utils.suggestions import suggest
from nnreg.builtin.sources.delimited import Csv
from nnreg.data.loading import read_table, source_entry, split_table
from nnreg.errors import DataError, UsageError
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
from nnreg.tables.columns import times
from nnreg.tables.table import Table

DELIMITERS = ",;\t|"

TEXTS = ("csv", "tsv")
"""The sources that read text."""

MAX_REASONS = 5
"""The most columns of which is said why they are no target."""

TARGETS = (
    "target", "label", "labels", "class", "classes", "y", "species", "category", "digit", "outcome",
    "diagnosis", "survived", "churn", "result", "response", "quality", "price",
)  # fmt: skip
"""Names that a column to be predicted often has, the surest first."""


@dataclass(frozen=True)
class SpecProposal:
    """A spec, and why it is as it is: comments by the path of what they are about.

    `target` is the column that it predicts, and `why` says how that was chosen; `columns` are all
    there are, `inputs` those it predicts from, and `excluded` says why the others are no inputs.
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
    """Return a spec that runs as it is, for a data file, to lie in `directory`.

    Without a `target` the column is guessed, by its name or because it is the last one. Raises
    `DataError` for a file that cannot be read or in which there is nothing to learn, `UsageError`
    for a target that is no column.
    """
    path, registry = Path(data), registry or installed()
    source, table = _read(path, registry)
    columns = summarize_columns(table)
    found, why = _target(columns, target, table.origin)
    if found.missing:
        raise DataError(
            f"{path}: the target {found.name!r} is missing in {found.missing:,} of {found.rows:,} "
            "rows; remove these, or choose another column with --target"
        )
    left_out = _excluded(columns, found)
    inputs = tuple(name for name in columns if name != found.name and name not in left_out)
    if not inputs:
        reasons = "; ".join(f"{name!r} {reason}" for name, reason in left_out.items())
        raise DataError(f"{path}: no column is left to predict {found.name!r} from: {reasons}")
    named = os.path.relpath(path, directory)
    chosen = [columns[name] for name in inputs]
    draft = SpecDraft(found, chosen, left_out, _time_column(table, columns))
    for split in draft.splits():
        tree = draft.tree(source, named, split)
        if _split_works(tree, table, registry):
            break
    size = f"{counted(found.rows, 'row')} and {counted(len(columns), 'column')}"
    comments = {"$": f"{path.name} has {size}. `nnreg show NAME` explains what is named here."}
    comments |= draft.comments(tree, why)
    return SpecProposal(tree, comments, found.name, why, columns, inputs, left_out)


def _read(path: Path, registry: Registry) -> tuple[Any, Table]:
    """Return a file's source as a spec names it, and its table, in which markers are missing."""
    name = _source(path, registry)
    options: dict[str, Any] = {"type": name}

    def table_with(**more: Any) -> Table:
        return read_table(read(Source, {**options, **more}, Reader(registry)), path)

    if name in TEXTS:
        options |= _text_options(path, name)
    table = table_with()
    if name in TEXTS:
        columns = summarize_columns(table)
        if any(one.comma == "decimal" for one in columns.values()):
            other = summarize_columns(again := table_with(decimal=","))
            if _count_of_numbers(other) > _count_of_numbers(columns):
                options["decimal"], table, columns = ",", again, other
        if found := markers(columns):
            options["missing"] = [*Csv.missing, *found]
            table = table_with()
    return options if len(options) > 1 else name, table


def _count_of_numbers(columns: Mapping[str, ColumnFacts]) -> int:
    """Return how many columns hold numbers, markers of missing ones aside."""
    return sum(
        one.kind == "numbers" or (one.kind == "mixed" and not one.comma) for one in columns.values()
    )


def _source(path: Path, registry: Registry) -> str:
    """Return the name of the source for files that are called so."""
    if entry := source_entry(path, registry):
        return entry.name
    sources = [one.cls for one in registry if issubclass(one.cls, Source)]
    suffixes = sorted({suffix for cls in sources for suffix in cls.suffixes} - {"/"})
    raise UsageError(
        f"{path}: no source is known for files of such a name; expected a folder of images, or "
        f"{', '.join(suffixes)}"
    )


def _text_options(path: Path, name: str) -> dict[str, Any]:
    """Return the encoding of a file and what is between its cells, where a spec must say so."""
    options = {}
    if (encoding := _encoding(path)) != Csv.encoding:
        options["encoding"] = encoding
    if name == "csv":
        with _bytes_of(path) as file:
            line = file.readline(100_000).decode("latin-1")
        if (delimiter := max(DELIMITERS, key=line.count)) != Csv.delimiter:
            options["delimiter"] = delimiter
    return options


def _encoding(path: Path) -> str:
    """Return the encoding of a text: UTF-8 where it can be, else what a spreadsheet writes."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _bytes_of(path) as file:
        block = file.read(2**20)
        if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        try:
            while block:
                decoder.decode(block)
                block = file.read(2**20)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


@contextmanager
def _bytes_of(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that may be compressed. Raises `DataError` where it cannot be read."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rb") as file:
            yield cast(IO[bytes], file)
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot read the data: {explain_os_error(error, path)}") from error


def _target(
    columns: Mapping[str, ColumnFacts], asked: str | None, origin: str
) -> tuple[ColumnFacts, str]:
    """Return the column to predict, and why it is this one."""
    if asked is not None:
        if asked not in columns:
            raise UsageError(f"{origin}: no column {asked!r}{suggest(asked, columns)}")
        if problem := columns[asked].why_not_target:
            raise DataError(f"{origin}: {asked!r} cannot be predicted: it {problem}")
        return columns[asked], "it was asked for"
    fitting = [one for one in columns.values() if not one.why_not_target and not one.missing]
    if not fitting:
        reasons = [f"{one.name!r} {one.why_not_target or 'has gaps'}" for one in columns.values()]
        raise UsageError(
            f"{origin}: no column looks like a target; choose one with --target "
            f"({'; '.join(reasons[:MAX_REASONS])})"
        )
    for name in TARGETS:
        for one in fitting:
            if one.name.lower() == name:
                return one, "its name is that of a target"
    return fitting[-1], "it is the last column that can be predicted"


def _time_column(table: Table, columns: Mapping[str, ColumnFacts]) -> str:
    """Return the first column that says when a row was, as a split can go by it; or nothing."""
    for one in columns.values():
        with suppress(DataError):
            if one.dates and len(times(table, one.name)):
                return one.name
    return ""


def _excluded(columns: Mapping[str, ColumnFacts], target: ColumnFacts) -> dict[str, str]:
    """Return the columns that are no inputs, each with the reason."""
    others = [one for one in columns.values() if one.name != target.name]
    arrays = [one for one in others if one.kind == "arrays"]
    if arrays:
        image = max(arrays, key=lambda one: len(one.shape))
        reason = f"cannot go together with the arrays of {image.name!r}"
        return {one.name: reason for one in others if one is not image}
    return {one.name: one.why_not_input for one in others if one.why_not_input}


def _split_works(tree: Mapping[str, Any], table: Table, registry: Registry) -> bool:
    """Tell whether the rows can be divided so, and used: a rare class may be in one part only."""
    document = read_spec(tree, registry=registry)
    data, spec = document.spec.data, document.spec
    assert data is not None  # a proposal has it
    classification, integer = spec.loss.classification or spec.loss.takes_labels, False
    try:
        preprocessing, parts = split_table(
            table, data.targets, data, data.split, spec.seed,
            classification=classification, integer_input=integer,
        )  # fmt: skip
        attach_data(Model(document, preprocessing), parts)
    except DataError:
        return False
    return True
