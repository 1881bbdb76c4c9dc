"""The command that checks the installation."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from nnreg._utils.formatting import counted
from nnreg.cli._help import command
from nnreg.cli._options import json_option
from nnreg.cli._output import console, one_line, print_json, print_prose, show
from nnreg.cli._registry import registry_with

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nnreg.doctor.environment import Finding


STYLES = {"ok": "green", "note": "yellow", "failed": "bold red"}


@command()
@json_option
def doctor(as_json: bool) -> None:
    """Check the installation, and that nnreg works here.

    Trains a small network in a temporary directory, saves and loads it, resumes it and predicts.
    Exits with 1 if a check failed; a `note` is a warning, with which nnreg still works.

    \b
    nnreg doctor
    nnreg doctor --json > environment.json
    """
    findings = list(_findings()) if as_json else list(_printed(_findings()))
    failed = [finding.subject for finding in findings if finding.state == "failed"]
    if as_json:
        rows = [dataclasses.asdict(finding) for finding in findings]
        print_json({"healthy": not failed, "findings": rows})
    elif failed:
        text = f"{len(failed)} of {len(findings)} failed: {', '.join(failed)}"
        print_prose("", text, style="bold red")
    else:
        notes = sum(finding.state == "note" for finding in findings)
        warnings = f" ({counted(notes, 'warning')})" if notes else ""
        print_prose("", f"OK{warnings}", style="bold green")
    if failed:
        raise SystemExit(1)


def _findings() -> Iterator[Finding]:
    from nnreg.doctor.environment import REINSTALL, Finding, examine

    registry = registry_with()
    yield from examine(registry, Path("runs"))
    try:
        from nnreg.doctor.selftest import self_test
    except ImportError as error:
        yield Finding("self-test", "failed", str(error), REINSTALL)
    else:
        yield from self_test(registry)


def _printed(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Print each finding as soon as it is known."""
    from rich.table import Table
    from rich.text import Text

    terminal = console()
    for finding in findings:
        table = Table.grid(padding=(0, 2))
        table.add_column(width=6)
        table.add_column(width=12)
        table.add_column(overflow="fold")
        lines = [finding.found, *([f"fix: {finding.fix}"] if finding.fix else [])]
        state = Text(finding.state, STYLES[finding.state])
        text = "\n".join(map(one_line, lines))
        table.add_row(state, Text(one_line(finding.subject)), Text(text))
        show(terminal, table)
        yield finding
