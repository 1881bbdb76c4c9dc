"""The command that calibrates the probabilities of a trained classifier: calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nnreg._utils.formatting import number
from nnreg.cli._complete import complete_file
from nnreg.cli._data_chunks import examples_of
from nnreg.cli._help import command
from nnreg.cli._options import allow_changed_option, checkpoint_argument, json_option, plugin_option
from nnreg.cli._output import print_json, print_lines, print_prose, print_table
from nnreg.cli._registry import registry_with
from nnreg.cli.inference import refuse_missing_directory

if TYPE_CHECKING:
    from nnreg.model.model import Model
    from nnreg.training.evaluation import Examples


@command()
@checkpoint_argument
@click.argument("data", required=False, shell_complete=complete_file)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True,
    help="The checkpoint to write.",
)  # fmt: skip
@plugin_option
@allow_changed_option
@json_option
def calibrate(
    checkpoint: Path,
    data: str | None,
    out: Path,
    files: tuple[Path, ...],
    allow_changed: bool,
    as_json: bool,
) -> None:
    """Write a classifier with calibrated probabilities.

    Its logits are divided by the temperature that minimizes the cross-entropy of the validation
    rows, or of DATA, which it was not trained on. It predicts the same classes. All commands take
    the checkpoint that is written, in place of the run.

    \b
    nnreg calibrate runs/penguins-001 --out calibrated.h5
    """
    from nnreg.checkpoint.save_load import load, save
    from nnreg.model.calibration import calibrate_on, quality_of

    refuse_missing_directory(out)
    model = load(checkpoint, registry=registry_with(files), allow_changed=allow_changed)
    splits = _splits(model, data, checkpoint)
    fitted_on, examples = next(iter(splits.items()))
    before = {name: quality_of(model, one) for name, one in splits.items()}
    temperatures = calibrate_on(model, examples)
    after = {name: quality_of(model, one) for name, one in splits.items()}
    save(model, out)
    if as_json:
        found: Any = temperatures.get("", temperatures)
        print_json({"temperature": found, "rows": len(examples), "before": before, "after": after})
        return
    rows = "rows of the data" if fitted_on == "data" else "validation rows"
    for name, temperature in temperatures.items():
        output = f"{name}: " if name else ""
        print_prose(f"{output}temperature {number(temperature)}, of {len(examples):,} {rows}")
    names = list(next(iter(before.values())))
    table = [
        [label, *(number(values[name]) for name in names)]
        for split in splits
        for label, values in ((split, before[split]), (f"{split}, calibrated", after[split]))
    ]
    print_table(["", *(name.replace("_", " ") for name in names)], table)
    print_lines(f"written: {out}")


def _splits(model: Model, data: str | None, checkpoint: Path) -> dict[str, Examples]:
    """Return the examples to fit the temperature on, and then those of the test split, if any."""
    from nnreg.runs.prepare import prepare_from_checkpoint

    if data is not None:
        return {"data": examples_of(model, data)}
    found = prepare_from_checkpoint(model).splits
    if "validation" not in found:
        raise click.UsageError(
            f"{checkpoint}: it was trained without a validation split; give DATA, rows that it was "
            "not trained on"
        )
    return {name: found[name] for name in ("validation", "test") if name in found}
