"""The command that evaluates a trained model: evaluate."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nnreg._utils.formatting import number
from nnreg.cli._complete import complete_file
from nnreg.cli._data_chunks import chunks_of, examples_of, progress_bar
from nnreg.cli._help import command
from nnreg.cli._options import allow_changed_option, checkpoint_argument, json_option, plugin_option
from nnreg.cli._output import print_json, print_lines, print_prose, print_table
from nnreg.cli._registry import registry_with

if TYPE_CHECKING:
    from nnreg.model.calibration import Reliability
    from nnreg.model.importance import Importance
    from nnreg.model.model import Model
    from nnreg.training.evaluation import Examples


@command()
@checkpoint_argument
@click.argument("data", required=False, shell_complete=complete_file)
@plugin_option
@click.option(
    "--importance",
    is_flag=True,
    help="Also print how much worse a metric gets if a column is shuffled.",
)
@click.option("--metric", metavar="NAME", help="The metric for --importance. [default: the first]")
@click.option(
    "--column",
    "columns",
    metavar="NAME",
    multiple=True,
    help="A column for --importance; may be repeated. [default: all]",
)
@click.option(
    "--repeats",
    type=click.IntRange(1),
    help="How often --importance shuffles each column. [default: 5]",
)
@click.option(
    "--calibration",
    is_flag=True,
    help="Also print how far the probabilities of the classes can be trusted.",
)
@allow_changed_option
@json_option
def evaluate(
    checkpoint: Path,
    data: str | None,
    files: tuple[Path, ...],
    importance: bool,
    metric: str | None,
    columns: tuple[str, ...],
    repeats: int | None,
    calibration: bool,
    allow_changed: bool,
    as_json: bool,
) -> None:
    """Print loss and metrics over the rows of DATA.

    CHECKPOINT is a file or a run directory; DATA may be - for standard input. Without DATA, the
    splits of the spec's own data are evaluated; --importance and --calibration use the rows of the
    test split, or else of the validation split.

    \b
    nnreg evaluate runs/penguins-001 held-out.csv
    nnreg evaluate runs/penguins-001 --importance --metric loss
    """
    from nnreg.checkpoint.save_load import load

    if not importance and (metric or columns or repeats):
        raise click.UsageError("--metric, --column and --repeats belong to --importance; add it")
    model = load(checkpoint, registry=registry_with(files), allow_changed=allow_changed)
    results, split, examples = _evaluated(model, data, keep=importance or calibration)
    printed: dict[str, Any] = dict(results)
    if importance:
        settings = {"metric": metric, "columns": columns or None, "repeats": repeats or None}
        found = _importance(model, examples, settings)
        printed["importance"] = {"split": split, **dataclasses.asdict(found)}
    if calibration:
        reliabilities = _reliabilities(model, examples)
        each = {name: dataclasses.asdict(one) for name, one in reliabilities.items()}
        printed["calibration"] = {"split": split, **each.get("", {"outputs": each})}
    if as_json:
        print_json(printed)
        return
    names = model.evaluation.names
    rows = [[name, *(number(row[one]) for one in names)] for name, row in results.items()]
    print_table(["", *names], rows)
    if importance:
        _print_importance(found, split)
    if calibration:
        _print_reliabilities(reliabilities, split)


def _evaluated(
    model: Model, data: str | None, *, keep: bool
) -> tuple[dict[str, dict[str, float]], str, Any]:
    """Return the metrics of each split, or of a file, and the name and examples of the last one.

    Those of a file are None unless they are to `keep`: it may be larger than the memory.
    """
    from nnreg.runs.prepare import prepare_from_checkpoint
    from nnreg.training.evaluation import reported

    if data is None:
        prepared = prepare_from_checkpoint(model)
        found = prepared.evaluate()
        results = {name: reported(one, f"the {name} split") for name, one in found.items()}
        return results, *prepared.reported
    if keep:
        examples = examples_of(model, data)
        network = model.network_for(len(examples))
        return {"data": reported(model.evaluation.evaluate(network, examples))}, "data", examples
    columns = (*model.preprocessing.names, *model.preprocessing.target_names)
    with chunks_of(model, data, columns) as chunks:
        return {"data": model.evaluate_chunks(chunk.table for chunk in chunks)}, "data", None


def _importance(model: Model, examples: Examples, settings: Mapping[str, Any]) -> Importance:
    from nnreg.model.importance import importance_on

    given = {name: value for name, value in settings.items() if value is not None}
    with progress_bar("importance") as show_fraction:
        return importance_on(model, examples, **given, on_fraction=show_fraction)


def _reliabilities(model: Model, examples: Examples) -> dict[str, Reliability]:
    from nnreg.errors import UsageError
    from nnreg.model.calibration import reliability_of

    found = reliability_of(model, examples)
    if not found:
        raise UsageError("--calibration: the model has no probabilities of classes; leave it out")
    return found


def _print_importance(found: Importance, split: str) -> None:
    metric = found.metric.replace("_", " ")
    of = f" of {found.of_rows:,}" if found.rows < found.of_rows else ""
    print_prose(
        f"{metric} {number(found.value)} on {found.rows:,}{of} {_rows(split)}; how much worse it "
        f"is with a column shuffled, {found.repeats} times each:"
    )
    head = ["column", "mean", *(["standard deviation"] if found.repeats > 1 else [])]
    rows = [
        [one.column, *(number(value) for value in (one.mean, one.std) if value is not None)]
        for one in found.columns
    ]
    print_table(head, rows)
    for reason in dict.fromkeys(found.left_out.values()):
        names = [name for name, why in found.left_out.items() if why == reason]
        print_prose(f"left out: {_listed(names)}: {reason}")


MAX_NAMES = 8
"""The most names of columns that are listed."""


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more


def _print_reliabilities(reliabilities: Mapping[str, Reliability], split: str) -> None:
    for index, (name, one) in enumerate(reliabilities.items()):
        if index:
            print_lines()
        rows = sum(found.rows for found in one.bins)
        output = f"{name}: " if name else ""
        print_prose(
            f"{output}calibration error {number(one.error)} on {rows:,} predictions for "
            f"{_rows(split)}, by confidence:"
        )
        print_table(
            ["confidence", "predictions", "mean confidence", "accuracy"],
            [
                [
                    f"{found.low:.2f} to {found.high:.2f}",
                    f"{found.rows:,}",
                    number(found.confidence),
                    number(found.accuracy),
                ]
                for found in one.bins
            ],
        )


def _rows(split: str) -> str:
    """Return what the rows of a split are called."""
    return {"data": "rows of the data", "train": "training rows"}.get(split, f"{split} rows")
