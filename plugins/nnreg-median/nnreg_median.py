"""The median stopping rule for nnreg: end runs that are worse than earlier runs of their spec.

Golovin et al. 2017: a run ends if its best loss so far is worse than the median, over the other
runs, of their mean loss up to the same epoch.
"""

import re
import statistics
from pathlib import Path

import click

import nnreg

MIN_EPOCHS = 5
"""The epochs before which no run ends."""

MIN_RUNS = 3
"""The fewest other runs with as many epochs for a median that says something."""


def losses_of(history):
    """Return the validation loss of each epoch, or without a validation split the loss."""
    return [record.get("val_loss", record["loss"]) for record in history]


def others_of(directory):
    """Return the losses of the other runs of a spec: for `penguins-004`, those of `penguins-*`."""
    found = re.fullmatch(r"(.+)-\d+", directory.name)
    if not found:
        return []
    similar = re.compile(rf"{re.escape(found[1])}-\d+")
    return [
        losses_of(nnreg.read_history(other / "metrics.jsonl"))
        for other in sorted(directory.parent.iterdir())
        if similar.fullmatch(other.name) and other.name != directory.name
        if (other / "metrics.jsonl").is_file()
    ]


def reason_to_stop(losses, others):
    """Return why a run with these losses should end, or None."""
    epoch = len(losses)
    means = [statistics.fmean(other[:epoch]) for other in others if len(other) >= epoch]
    if epoch < MIN_EPOCHS or len(means) < MIN_RUNS:
        return None
    best, median = min(losses), statistics.median(means)
    if best <= median:
        return None
    return f"loss {best:.3g} after {epoch} epochs, the median of {len(means)} runs is {median:.3g}"


@nnreg.hookimpl
def nnreg_stop_reason(run):
    if run.directory is None:
        return None
    return reason_to_stop(losses_of(run.model.history), others_of(run.directory.resolve()))


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
def median(directory):
    """Show when each run in DIRECTORY would end by the median stopping rule."""
    runs = [path.parent for path in sorted(directory.glob("*/metrics.jsonl"))]
    if not runs:
        raise nnreg.UsageError(f"{directory}: has no runs; train some with nnreg run")
    for run in runs:
        losses, others = losses_of(nnreg.read_history(run / "metrics.jsonl")), others_of(run)
        ends = (n for n in range(1, len(losses)) if reason_to_stop(losses[:n], others))
        epoch = next(ends, None)
        end = "to the end" if epoch is None else f"to epoch {epoch}"
        click.echo(f"{run.name}: {end} of {len(losses)}")


@nnreg.hookimpl
def nnreg_commands():
    return {"median": median}
