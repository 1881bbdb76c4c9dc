"""Commands for plugin authors: plugin new, plugin check."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nnreg.cli._complete import complete_target
from nnreg.cli._help import group
from nnreg.cli._options import json_option
from nnreg.cli._output import print_json, print_lines, print_table
from nnreg.cli._registry import registry_with

if TYPE_CHECKING:
    from nnreg.registry.names import Entry
    from nnreg.registry.registry import Registry


KINDS = (
    "activation",
    "loss",
    "layer",
    "optimizer",
    "schedule",
    "regularizer",
    "constraint",
    "augmentation",
    "metric",
    "source",
    "encoder",
    "exporter",
    "executor",
)
LICENSES = ("MIT", "BSD-3-Clause", "Apache-2.0", "none")


@group()
def plugin() -> None:
    """Create a plugin, and check one.

    \b
    nnreg plugin new nnreg-logish --activation logish
    nnreg plugin check logish
    """


def _kind_options(command: Any) -> Any:
    for kind in reversed(KINDS):
        text = f"Add {'an' if kind[0] in 'aeo' else 'a'} {kind} of this name."
        command = click.option(f"--{kind}", metavar="NAME", help=text)(command)
    return command


@plugin.command()
@click.argument("distribution", metavar="DISTRIBUTION")
@_kind_options
@click.option("--formula", is_flag=True,
              help="Define a formula alone, which autograd differentiates.")  # fmt: skip
@click.option("--license", "license_", type=click.Choice(LICENSES), default="MIT",
              show_default=True, help="The license file to include.")  # fmt: skip
@click.option("--author", default="", help="The copyright holder.")
def new(
    distribution: str, formula: bool, license_: str, author: str, **components: str | None
) -> None:
    """Create a directory with a working plugin and its tests.

    DISTRIBUTION is the name of the directory and of the package that pip installs from it.

    \b
    nnreg plugin new nnreg-logish --activation logish --author "Ada Lovelace"
    nnreg plugin new nnreg-gain --layer gain --formula
    """
    from nnreg.errors import UsageError
    from nnreg.registry.scaffold import Scaffold

    given = [(kind, name) for kind, name in components.items() if name is not None]
    if len(given) != 1:
        raise UsageError(
            f"expected one component, as in --activation logish, found {len(given)} "
            f"(options: {', '.join(f'--{kind}' for kind in KINDS)})"
        )
    ((kind, name),) = given
    directory = Path(distribution)
    for path in Scaffold(distribution, kind, name, license_, author, formula).write(directory):
        print_lines(f"wrote {path}", err=True)
    _note_others(distribution, kind, name)
    print_lines(
        f"next: cd {directory} && pip install -e '.[test]' && pytest && nnreg plugin check {name}"
    )


def _note_others(distribution: str, kind: str, name: str) -> None:
    """Print which plugins have a component of this kind and name already."""
    for entry in registry_with():
        if (entry.kind, entry.name) == (kind, name):
            print_lines(
                f"note: {entry.provider} has the {kind} {name!r} too; write "
                f'"{distribution}:{name}" for yours',
                err=True,
            )


@plugin.command()
@click.argument("target", shell_complete=complete_target)
@click.option("--examples", type=click.IntRange(min=1), default=20, show_default=True,
              help="The number of configurations to try each check on.")  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="The seed of the drawn configurations.")
@json_option
def check(target: str, examples: int, seed: int, as_json: bool) -> None:
    """Run the conformance checks of components.

    TARGET is a component (logish for those of all plugins, nnreg-logish:logish for that of one),
    the file of a plugin, a module or a distribution. Each check runs on configurations drawn from
    the annotations of the component's options, and reports the simplest one that fails. The exit
    code is 1 if a check failed.

    \b
    nnreg plugin check logish
    nnreg plugin check ./logish.py
    """
    from nnreg.testing.suite import checks, leaving_no_traces, results
    from nnreg.testing.training import training_check

    registry = registry_with()
    reports = []
    for entry in _chosen(registry, target):
        with leaving_no_traces():
            tried = checks(entry.cls, examples=examples, seed=seed, registry=registry)
            if trains := training_check(entry.cls, registry):
                tried.append(trains)
            found = [dataclasses.asdict(result) for result in results(tried)]
        passed = all(result["passed"] for result in found)
        reports.append(
            {"kind": entry.kind, "name": entry.name, "distribution": entry.distribution,
             "version": entry.version, "passed": passed, "checks": found}
        )  # fmt: skip
        if not as_json:
            _print_report(reports[-1])
    passed = all(report["passed"] for report in reports)
    if as_json:
        print_json({"passed": passed, "components": reports})
    if not passed:
        raise SystemExit(1)


def _chosen(registry: Registry, target: str) -> list[Entry]:
    """Return the components of a name, a file, a module or a distribution."""
    from nnreg._utils.suggestions import suggest
    from nnreg.errors import PluginError, UsageError
    from nnreg.registry import names
    from nnreg.registry.loading import canonical

    file, _, component = target.rpartition(names.SEPARATOR)  # as in logish.py:logish
    if not file.endswith(".py"):
        file, component = target, ""
    path = Path(file)
    if path.suffix == ".py" or path.is_file():
        found = [registry.add_file(path)]
    else:
        if named := names.named(target, registry):
            return named
        found = [p for p in registry.plugins.values() if canonical(target) in p.names]
    plugins = {plugin.name for plugin in found}
    entries = [
        entry
        for entry in registry.loaded()
        if entry.plugin in plugins or f"{entry.cls.__module__}.".startswith(f"{target}.")
        if component in ("", entry.name)
    ]
    failed = [
        f"plugin {p.name} {'is blocked ' if p.blocked_by else 'failed: '}{p.why}"
        for p in found
        if p.why
    ]
    if failed:
        raise PluginError("; ".join(failed))
    if not entries and found:
        raise UsageError(f"{target} provides no component to check")
    if not entries:
        known = {entry.name for entry in registry} | registry.plugins.keys()
        if names.SEPARATOR in target:
            known = {entry.qualified for entry in registry}
        raise UsageError(
            f"no component, file, module or distribution {target!r}{suggest(target, known)}"
            f"{registry.unavailable()}"
        )
    return entries


def _print_report(report: dict[str, Any]) -> None:
    results = report["checks"]
    rows = [
        [result["check"], "passed" if result["passed"] else "failed",
         result["promise"] if result["passed"] else result["found"].split("\n")]
        for result in results
    ]  # fmt: skip
    title = f"{report['kind']} {report['name']}, from {report['distribution']} {report['version']}"
    print_table(["check", "result", "passed check, or failure"], rows, title=title)
    failed = sum(not result["passed"] for result in results)
    outcome = f"{failed} of {len(results)} checks failed" if failed else "passed"
    print_lines(f"{report['name']}: {outcome}", "")
