"""Commands that examine checkpoints: inspect, diff, rerun."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nnreg._utils import json_text
from nnreg._utils.formatting import number
from nnreg.cli._complete import complete_run
from nnreg.cli._help import command
from nnreg.cli._options import allow_changed_option, checkpoint_argument, json_option, plugin_option
from nnreg.cli._output import print_json, print_lines, print_table, print_text
from nnreg.cli._registry import registry_with

if TYPE_CHECKING:
    from nnreg.checkpoint.diff import Differences
    from nnreg.checkpoint.inspect import CheckpointSummary
    from nnreg.registry.registry import Registry


WIDTH = 76
"""The maximum line width of a printed spec, in characters."""

MAX_COLUMNS = 50
"""The most input columns that are listed with their encoders."""

MAX_VALUES = 4
"""The most values that are shown of what an encoder learned, such as its categories."""


@command()
@checkpoint_argument
@click.option("--verify", is_flag=True, help="Load it, and print only the checks made.")
@plugin_option
@json_option
def inspect(checkpoint: Path, verify: bool, files: tuple[Path, ...], as_json: bool) -> None:
    """Show the content of a checkpoint, without its plugins.

    The file's bytes are always verified. --verify also loads it, with its plugins, and exits
    with 1 if a check fails.

    \b
    nnreg inspect runs/penguins-001
    nnreg inspect --verify untrusted.h5
    """
    if verify:
        _verify(checkpoint, registry_with(files), as_json)
        return
    from nnreg.checkpoint.inspect import read_summary

    contents = read_summary(checkpoint)
    if as_json:
        _print_as_json(contents)
    else:
        _print_contents(contents)


def _verify(checkpoint: Path, registry: Registry, as_json: bool) -> None:
    """Load a checkpoint and print each check."""
    from nnreg.checkpoint.file_format import read_checkpoint
    from nnreg.checkpoint.paths import checkpoint_file
    from nnreg.checkpoint.save_load import from_file_content
    from nnreg.errors import NnregError

    file = checkpoint_file(checkpoint)
    checks: list[str] = []
    error: NnregError | None = None
    try:
        content = read_checkpoint(file, checks.append)
        from_file_content(content, str(file), registry=registry, on_check=checks.append)
    except NnregError as caught:
        error = caught
    if as_json:
        print_json(
            {
                "file": str(file),
                "verified": error is None,
                "checks": checks,
                "error": None if error is None else str(error),
            }
        )
    else:
        for check in checks:
            print_lines(f"ok      {check}")
        if error is not None:
            first, *others = error.lines
            print_lines(f"failed  {first}", *others)
    if error is not None:
        raise SystemExit(error.exit_code)


def _print_as_json(contents: CheckpointSummary) -> None:
    from nnreg.registry.registry import Registry
    from nnreg.spec.validation import to_json

    document = to_json(contents.manifest, Registry())
    shapes = {name: [str(a.dtype), *a.shape] for name, a in contents.arrays.items()}
    history = [dict(record) for record in contents.history]
    print_json({**document, "history": history, "arrays": shapes})


def _print_contents(contents: CheckpointSummary) -> None:
    manifest, history = contents.manifest, contents.history
    progress = manifest.progress
    epoch = progress.epoch if progress.resumable else progress.best_epoch
    use = "resumable" if progress.resumable else "inference only"
    print_lines(
        f"{contents.path}: intact, {contents.path.stat().st_size:,} bytes",
        f"{manifest.origin}: weights after epoch {epoch} of {progress.epoch}, {use}",
    )
    if len(history):
        best = history[progress.best_epoch - 1] if progress.best_epoch else history[-1]
        print_lines(f"epoch {_record(history[-1])}")
        if best != history[-1]:
            print_lines(f"best: epoch {_record(best)}")
    for name, count in contents.not_finite.items():
        print_lines(f"warning: {count:,} values of {name} are not finite")
    _print_metrics(manifest.results)
    print_text(f"spec\n{_indented(manifest.spec)}\n")
    _print_columns(manifest.preprocessing)
    _print_provenance(contents)
    print_table(
        ["array", "type", "shape", "norm", "max |x|"],
        [
            [name, str(array.dtype), " x ".join(map(str, array.shape)), *_sizes(array)]
            for name, array in contents.arrays.items()
            if name != "history"
        ],
    )


def _print_metrics(results: Mapping[Any, Mapping[str, Any]]) -> None:
    """Print the metrics of each split and of the baseline, or an empty line without any."""
    if not results:
        print_lines("")
        return
    names = list(dict.fromkeys(name for metrics in results.values() for name in metrics))
    rows = [[key, *(_metric(found.get(name)) for name in names)] for key, found in results.items()]
    print_table(["metrics", *names], rows)


def _metric(value: Any) -> str:
    """Return a value of JSON, which may be the text of one that is not finite."""
    return "" if value is None else number(float(value))


def _print_columns(preprocessing: dict[str, Any]) -> None:
    """Print the encoder of each input column, and what it learned, as the file has it."""
    columns = preprocessing.get("inputs", [])
    rows = [
        [str(column.get("name")), str(column.get("type")), _settings(column)]
        for column in columns[:MAX_COLUMNS]
        if isinstance(column, dict)
    ]
    print_table(["column", "encoder", "learned"], rows)
    if len(columns) > MAX_COLUMNS:
        print_lines(f"and {len(columns) - MAX_COLUMNS:,} more columns")


def _settings(column: dict[str, Any]) -> str:
    """Format what an encoder has besides its type; of a list, the first values and their number."""
    shown = list[str]()
    for key, value in column.items():
        if key in ("name", "type") or value is None or value is False:
            continue
        if key == "summary" and isinstance(value, dict):
            shown += _of_training(value)
        elif isinstance(value, list | dict) and len(value) > MAX_VALUES:
            shown.append(f"{key} {', '.join(map(str, list(value)[:MAX_VALUES]))}, … ({len(value)})")
        elif isinstance(value, list | dict):
            shown.append(f"{key} {', '.join(map(str, value))}")
        else:
            shown.append(f"{key} {value:.6g}" if isinstance(value, float) else f"{key} {value}")
    return "; ".join(shown)


def _of_training(summary: dict[str, Any]) -> Iterator[str]:
    """Yield what the training rows of a column were like."""
    least, most = summary.get("min"), summary.get("max")
    if isinstance(least, int | float) and isinstance(most, int | float):
        yield f"range {least:.6g} to {most:.6g}"
    for key in ("missing", "other"):
        if summary.get(key):
            yield f"{key} {summary[key]} of {summary.get('rows')}"


def _print_provenance(contents: CheckpointSummary) -> None:
    from nnreg.provenance.environment import dependence_on_threads

    manifest = contents.manifest
    scalars = {k: v for k, v in manifest.environment.items() if isinstance(v, str | int | float)}
    words = dependence_on_threads(scalars)
    said = ("reproducible", "shards", "blocks") if words else ()
    shown = {k: v for k, v in scalars.items() if k not in said}
    created = "created with " + ", ".join(f"{name} {value}" for name, value in shown.items())
    print_text(textwrap.fill(created, WIDTH, subsequent_indent="  "))
    if words:
        print_lines(f"results: {words}")
    for path, digest in manifest.data.items():
        print_lines(f"data {digest[:16]}… {path}")
    for path, digest in manifest.started_from.items():
        print_lines(f"started from {digest[:16]}… {path}")
    print_table(
        ["component", "kind", "saved with", "installed"],
        [
            [c.name, c.kind, c.provider, _installed_version(c.distribution)]
            for c in manifest.components
        ],
    )


def _installed_version(distribution: str) -> str:
    """Return the installed version of a distribution, without importing it."""
    from nnreg._utils.distributions import installed_version

    return installed_version(distribution) or "not installed"


def _sizes(array: Any) -> list[str]:
    """Return the norm of an array and its largest absolute value."""
    import numpy as np

    from nnreg._utils.statistics import norm

    values = array.astype(np.float64).reshape(-1)
    with np.errstate(all="ignore"):
        largest = np.max(np.abs(values), initial=0.0)
        return [number(norm(values)), number(float(largest))]


def _record(record: Any) -> str:
    pairs = [f"{name} {number(value)}" for name, value in record.items() if name != "epoch"]
    return "  ".join([str(record.get("epoch", "?")), *pairs])


def _indented(value: Any, indent: str = "  ") -> str:
    """Return indented JSON, with each value that fits on one line on one line."""
    line = indent + json_text.dumps(value, ensure_ascii=False)
    if len(line) <= WIDTH or not isinstance(value, dict | list) or not value:
        return line
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    if isinstance(value, list):
        items = [_indented(item, indent + "  ") for item in value]
    else:
        items = [
            f"{indent}  {json_text.dumps(key, ensure_ascii=False)}: "
            f"{_indented(item, indent + '  ').lstrip()}"
            for key, item in value.items()
        ]
    return "\n".join([indent + opening, ",\n".join(items), indent + closing])


@command()
@click.argument("a", type=click.Path(path_type=Path), shell_complete=complete_run)
@click.argument("b", type=click.Path(path_type=Path), shell_complete=complete_run)
@json_option
def diff(a: Path, b: Path, as_json: bool) -> None:
    """Compare two checkpoints, or the best ones of two runs.

    Their documents are compared by JSON path, arrays and histories by their largest difference.
    Exits with 0 if nothing differs, else with 1.

    \b
    nnreg diff runs/penguins-001 runs/penguins-002
    """
    from nnreg.checkpoint.diff import compare

    differences = compare(a, b)
    if as_json:
        print_json({"same": differences.same, **dataclasses.asdict(differences)})
    else:
        _print_documents(differences)
        _print_results(differences)
        if differences.same:
            print_lines("no differences")
    if not differences.same:
        raise SystemExit(1)


@command()
@checkpoint_argument
@plugin_option
@allow_changed_option
@json_option
def rerun(checkpoint: Path, files: tuple[Path, ...], allow_changed: bool, as_json: bool) -> None:
    """Train again from a checkpoint's own spec, and compare.

    Uses only its spec, seed and data (the files that it names, if they still have the recorded
    SHA-256); writes nothing. Exits with 0 if weights and history are bit-identical, else with 1.

    \b
    nnreg rerun runs/penguins-001
    """
    from nnreg.runs.rerun import rerun as train_again

    registry = registry_with(files)
    differences = train_again(
        checkpoint, registry=registry, allow_changed=allow_changed, on_epoch=_progress()
    )
    environment = differences.said["environment"]
    if as_json:
        print_json({"same": differences.results_same, **dataclasses.asdict(differences)})
    elif differences.results_same:
        print_lines("bit-identical: weights and history")
    else:
        _print_results(differences)
        if environment:
            _print_changes("environment, when saved and now", environment)
        else:
            print_lines("the recorded environment is unchanged")
    if not differences.results_same:
        raise SystemExit(1)


def _progress() -> Callable[[Any], None]:
    """Return a callback that prints a line at epochs 1, 2, 4, 8, …"""

    def print_line(record: Any) -> None:
        epoch = int(record["epoch"])
        if epoch & (epoch - 1) == 0:
            print_lines(f"epoch {_record(record)}", err=True)

    return print_line


def _print_documents(differences: Differences) -> None:
    for section, changes in differences.said.items():
        if changes:
            _print_changes(section, changes)


def _print_changes(title: str, changes: list[dict[str, Any]]) -> None:
    """Print the paths that differ, each with the old value after - and the new one after +."""
    print_lines(title)
    for change in changes:
        print_lines(f"  {change['path']}")
        for sign, side in (("-", "a"), ("+", "b")):
            if side in change:
                text = json_text.dumps(change[side], ensure_ascii=False)
                print_lines(
                    f"    {sign} {text if len(text) <= WIDTH - 6 else text[: WIDTH - 7] + '…'}"
                )


def _print_results(differences: Differences) -> None:
    if differences.arrays:
        print_table(
            ["array", "largest difference", "relative"],
            [[d["name"], _largest(d), _number(d["relative"])] for d in differences.arrays],
        )
    if differences.history:
        print_table(
            ["history", "first differs in epoch", "largest difference"],
            [
                [d["name"], str(d["epoch"] or "only in one"), _number(d["largest"])]
                for d in differences.history
            ],
        )


def _largest(difference: dict[str, Any]) -> str:
    """Return the largest difference of two arrays, or their types and shapes if these differ."""
    sides = [difference.get("a", "absent"), difference.get("b", "absent")]
    if sides[0] != sides[1]:
        return " / ".join(sides)
    return _number(difference["largest"])


def _number(value: float | None) -> str:
    return "" if value is None else number(value)
