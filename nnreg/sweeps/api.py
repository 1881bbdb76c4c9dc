"""Sweeps in Python: `nnreg.sweep`."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnreg._utils.signals import OnSignal
from nnreg.errors import UsageError
from nnreg.interfaces.executor import Executor
from nnreg.registry.loading import PROGRAM
from nnreg.registry.registry import Registry, installed
from nnreg.spec import jsonc
from nnreg.spec.overrides import Overrides, as_tuple
from nnreg.spec.validation import Reader, read
from nnreg.sweeps.directory import SWEEP, begin, is_sweep, read_sweep
from nnreg.sweeps.execution import Execution, result_of
from nnreg.sweeps.plan import Plan, plan_sweep
from nnreg.sweeps.queue import FixedQueue, Queue
from nnreg.sweeps.results import RunResult, SweepResult
from nnreg.sweeps.search import require_optuna, searching

DEFAULT_EXECUTOR = "processes"


def sweep(
    spec: str | os.PathLike[str] | Mapping[str, Any],
    *,
    grid: Mapping[str, Sequence[Any]] | None = None,
    points: Sequence[Mapping[str, Any]] | None = None,
    random: Mapping[str, Any] | None = None,
    optuna: Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] | None = None,
    metric: str | None = None,
    overrides: Overrides = (),
    out: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    on: str | Mapping[str, Any] = DEFAULT_EXECUTOR,
    on_result: Callable[[RunResult], None] | None = None,
    check: bool = True,
) -> SweepResult:
    """Train a spec with other values of its settings and other seeds, and return the results.

    The keywords up to `overrides` are those of a sweep file. `out` is the directory of the sweep; a
    sweep that was begun there continues, and without it, the runs are not kept. `jobs` runs are
    executed at a time, by default one per core, in the processes of the executor `on`. `on_result`
    is called with the result of each run. Raises `SpecError` for an invalid spec or sweep before
    anything is written; a run that fails or diverges does not stop the others.
    """
    given: dict[str, Any] = {"grid": grid, "points": points, "random": random, "optuna": optuna}
    given |= {"seeds": seeds, "metric": metric}
    tree: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    tree["spec"] = dict(spec) if isinstance(spec, Mapping) else os.fspath(spec)
    tree["overrides"] = as_mapping(overrides)
    plan = plan_sweep(tree, check=check, name=_name_of(tree["spec"]))
    with contextlib.ExitStack() as stack:
        directory = Path(
            out or stack.enter_context(tempfile.TemporaryDirectory(prefix="nnreg-sweep-"))
        )
        found = execute(
            plan, directory, executor_of(on, plan.document.registry), jobs, on_result=on_result
        )
    if out is None:
        return replace(found, directory=None, runs=[replace(r, directory=None) for r in found.runs])
    return found


def _name_of(spec: Any) -> str:
    return Path(spec).stem if isinstance(spec, str) else "spec"


def as_mapping(overrides: Overrides) -> dict[str, Any]:
    """Return the values of overrides by their paths."""
    pairs = (text.partition("=") for text in as_tuple(overrides))
    found = {}
    for path, equals, value in pairs:
        if not equals:
            raise UsageError(f"--set {path}: expected PATH=VALUE, as in train.epochs=5")
        found[path] = jsonc.value_or_text(value)
    return found


def plan_of(
    source: str,
    *,
    registry: Registry | None = None,
    run_plugin_file: bool = True,
    check: bool = True,
) -> tuple[Plan, Path]:
    """Return the plan of a sweep file, or of the directory of a sweep, and its directory."""
    path = Path(source)
    plan = functools.partial(
        plan_sweep, registry=registry, run_plugin_file=run_plugin_file, check=check
    )
    if not path.is_dir():
        return plan(source), Path("sweeps") / path.stem
    if not is_sweep(path):
        raise UsageError(f"{path}: not a sweep, whose directory has {SWEEP}; give a sweep file")
    content = read_sweep(path)
    name, tree = str(content.get("name", path.name)), content.get("sweep", {})
    return plan(tree, directory=path, name=name), path


def executor_of(on: str | Mapping[str, Any], registry: Registry | None = None) -> Executor:
    """Return the executor of `NAME`, `NAME:VALUE`, or of JSON with its options.

    Raises `SpecError` for an unknown one, `UsageError` if its library is not installed.
    """
    registry = registry or installed()
    value: Any = jsonc.value_or_text(on) if isinstance(on, str) else dict(on)
    if isinstance(value, str):
        name, colon, argument = value.partition(":")
        value = name
        entry = registry.find("executor", name)
        if colon and entry is not None:
            cls: Any = entry.cls
            if not cls.argument:
                raise UsageError(f"--on {on}: {name!r} takes no value; write --on {name}")
            value = {"type": name, cls.argument: argument}
    executor: Executor = read(Executor, value, Reader(registry), "--on")
    if missing := executor.missing():
        raise UsageError(f"--on {on}: needs {missing}")
    return executor


def execute(
    plan: Plan,
    directory: Path,
    executor: Executor,
    jobs: int | None = None,
    *,
    check: bool = True,
    on_start: Callable[[Plan, Execution], None] | None = None,
    on_result: Callable[[RunResult], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    signals: Iterable[int] = (signal.SIGINT,),
    on_signal: OnSignal | None = None,
) -> SweepResult:
    """Execute what is left of a plan in a directory, and return the results of all its runs."""
    _require_files(plan)
    if plan.settings.optuna:
        require_optuna()
    plan = begin(plan, directory)
    execution = Execution(plan, directory, check=check, on_result=on_result, on_note=on_note)
    with _queue(plan, directory) as queue:
        if on_start:
            on_start(plan, execution)
        execution.run(queue, executor, jobs, signals=signals, on_signal=on_signal)
        found = execution.results
        runs = [found.get(run.name) or result_of(plan, directory, run) for run in queue.runs]
    return SweepResult(plan.metric, plan.higher_is_better, runs, directory)


def _queue(plan: Plan, directory: Path) -> contextlib.AbstractContextManager[Queue]:
    if plan.settings.optuna:
        return searching(plan, directory)
    return contextlib.nullcontext(FixedQueue(plan.runs))


def _require_files(plan: Plan) -> None:
    """Raise `UsageError` for components that the processes of a sweep cannot import."""
    plugins = plan.document.registry.plugins
    for entry in plan.document.components.values():
        plugin = plugins[entry.plugin]
        if plugin.name.startswith(PROGRAM):
            raise UsageError(
                f"the {entry.kind} {entry.name!r} was registered by this program, and the "
                "processes of a sweep cannot import it; write it in a file, and call "
                "nnreg.register('FILE.py')"
            )
