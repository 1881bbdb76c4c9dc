"""The command that writes a starter spec: init."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nnreg._utils import json_text
from nnreg._utils.os_errors import os_errors_as
from nnreg.cli._complete import complete_file
from nnreg.cli._help import command
from nnreg.cli._options import json_option, plugin_option
from nnreg.cli._output import one_line, print_json, print_lines, print_text
from nnreg.cli._registry import registry_with

if TYPE_CHECKING:
    from nnreg.runs.trial import Trial
    from nnreg.starter.propose import SpecProposal
    from nnreg.starter.trial import ProposalTrial


SCHEMA_FILE = "nnreg.schema.json"
"""The file name of a JSON Schema beside the spec, which the spec then refers to."""

MAX_SHOWN, MAX_CHOICES = 5, 30
"""The maximum number of columns named in the output, and in the prompt."""


@command()
@click.argument("data", shell_complete=complete_file)
@click.option("--target", metavar="COLUMN", help="The column to predict. [default: guessed]")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="The spec to write, - for standard output. [default: the data's name, .json]",
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option(
    "--try",
    "compare",
    is_flag=True,
    help="Compare several networks by cross-validation, and write the best.",
)
@plugin_option
@json_option
def init(
    data: str,
    target: str | None,
    out: Path | None,
    force: bool,
    compare: bool,
    files: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Write a starter spec for a data file.

    It examines the columns and proposes a target, inputs and a network, with the reasons as
    comments; the spec runs without changes. On a terminal it asks for the target.

    With --try the network is chosen from several, among them a linear model, each trained once for
    each of three to five folds: the smallest within one standard error of the best. Nothing is
    written before all are trained. Of a file with more rows, 10,000 are drawn at random.

    \b
    nnreg example diabetes
    nnreg init diabetes.csv --out spec.json
    nnreg init diabetes.csv --target progression --out -
    nnreg init diabetes.csv --try --out tried.json
    """
    from nnreg._utils.atomic_files import replace_text
    from nnreg.errors import UsageError
    from nnreg.starter.propose import examine

    out = out or Path(f"{_stem(data)}.json")
    to_file = str(out) != "-"
    if to_file and out.is_file() and not force:  # a device has nothing to be replaced
        raise UsageError(f"{out}: already exists; choose another --out, or replace it with --force")
    directory, registry = out.parent if to_file else Path(), registry_with(files)
    examined = examine(data, target, registry=registry)
    proposal = examined.proposal(directory)
    if target is None and to_file and not as_json and on_terminal():
        chosen = _ask(proposal)
        if chosen != proposal.target:
            examined = examine(data, chosen, registry=registry)
            proposal = examined.proposal(directory)
    compared: dict[str, Any] = {}
    if compare:
        from nnreg.starter.trial import ProposalTrial

        trial = ProposalTrial(examined)
        trials = list(trial.trials()) if as_json else _compare(trial, err=not to_file)
        proposal, compared = trial.proposal(directory, trials), {"trial": trial.as_json(trials)}
    if (directory / SCHEMA_FILE).exists():
        proposal.tree["$schema"] = f"./{SCHEMA_FILE}"
    if to_file:
        with os_errors_as(UsageError, out):
            replace_text(out, proposal.text())
    if as_json:
        print_json({**_as_json(proposal, str(out) if to_file else None), **compared})
    elif to_file:
        _print(proposal, data, out)
    else:
        print_text(proposal.text().removesuffix("\n"))


def on_terminal() -> bool:
    """Return True if input and output are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _ask(proposal: SpecProposal) -> str:
    """Prompt for the name of the column to predict."""
    names = [*list(proposal.columns)[:MAX_CHOICES], "…"][: len(proposal.columns)]
    print_lines(f"columns: {', '.join(names)}")
    choice = click.Choice(list(proposal.columns))
    answer: str = click.prompt(
        f"column to predict [{one_line(proposal.target)}]",
        proposal.target,
        type=choice,
        show_choices=False,
        show_default=False,
        err=True,
    )
    return answer


def _compare(trial: ProposalTrial, *, err: bool) -> list[Trial]:
    """Compare the proposals, and print a line for each as it is done, and which is chosen."""
    from nnreg._utils.formatting import duration
    from nnreg.starter.trial import score_text

    every = trial.examined.draft.rows
    rows = f"{trial.rows:,} rows" + (f" drawn from {every:,}" if trial.rows < every else "")
    print_lines(
        f"compares {len(trial.plans)} networks by cross-validation: {trial.folds} folds of {rows}, "
        f"at most about {duration(trial.seconds())}",
        err=err,
    )
    whats = {name: trial.what(name) for name in trial.plans}
    widths = max(map(len, whats)), max(map(len, whats.values()))
    trials = []
    for one in trial.trials():
        name, what = one.name.ljust(widths[0]), whats[one.name].ljust(widths[1])
        score = f"{trial.metric} {score_text(one)}" if one.scores else score_text(one)
        print_lines(f"{name}  {what}  {score}  {duration(one.seconds)}", err=err)
        trials.append(one)
    chosen, why = trial.choice(trials)
    print_lines(f"chose {chosen.name}: {why}", err=err)
    return trials


def _as_json(proposal: SpecProposal, out: str | None) -> dict[str, Any]:
    return {
        "spec": proposal.tree,
        "comments": proposal.comments,
        "target": proposal.target,
        "inputs": list(proposal.inputs),
        "left_out": dict(proposal.excluded),
        "file": out,
    }


def _stem(data: str) -> str:
    """Return the name of a file, an address or a pattern without suffixes and wildcards."""
    name = Path(data).resolve().name.split(".")[0]
    return re.sub(r"[*?]+|\[.*?\]", "", name).strip("-_ ") or "data"


def _print(proposal: SpecProposal, data: str, out: Path) -> None:
    """Print a summary of the proposal, and the next command."""
    from nnreg.starter.comments import NAMELESS

    target = proposal.columns[proposal.target]
    kind = f"one of {target.distinct:,} classes" if target.classification else "a number"
    names = [*(name or NAMELESS for name in proposal.inputs[:MAX_SHOWN]), "…"]
    source = proposal.tree["data"]["source"]
    lines = [f"{data}: {target.rows:,} rows, {len(proposal.columns):,} columns"]
    if isinstance(source, dict):
        lines.append(f"reads it with the source {json_text.dumps(source, ensure_ascii=False)}")
    listed = names[: len(proposal.inputs)]
    if "window" in proposal.tree["data"]:
        listed = [f"its past by {proposal.tree['data']['window']['order']}", *listed]
    inputs = ", ".join(listed)
    lines.append(f"predicts {proposal.target!r}, {kind} ({proposal.why}), from {inputs}")
    excluded = [f"excludes {name!r} ({why})" for name, why in proposal.excluded.items()]
    if (rest := len(excluded) - MAX_SHOWN) > 0:
        excluded[MAX_SHOWN:] = [f"excludes {rest:,} more; the spec has the reasons"]
    lines += excluded
    lines += [f"wrote {out}", f"next: {shlex.join(['nnreg', 'run', str(out)])}"]
    print_lines(*lines)
