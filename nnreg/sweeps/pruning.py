"""Pruning of a run by Optuna, in the process that trains it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnreg._version import __version__
from nnreg.hookspecs import hookimpl
from nnreg.interfaces.run import RunView
from nnreg.runs.run import Run
from nnreg.sweeps.outcomes import PRUNING
from nnreg.sweeps.study import NAME, REASONS, open_storage, pruner


class Pruning:
    """A plugin that reports each epoch to the study, and stops the run if the trial is pruned."""

    def __init__(self, trial: Any, metric: str, reason: str, reported: set[int]) -> None:
        self._trial = trial
        self._metric = metric
        self._reason = reason
        self._reported = reported

    @hookimpl
    def nnreg_stop_reason(self, run: RunView, record: Mapping[str, float]) -> str | None:
        """Return why the trial is pruned."""
        value, epoch = record.get(self._metric), int(record["epoch"])
        if value is None:
            return None
        if epoch not in self._reported:  # a resumed run repeats epochs
            self._trial.report(value, epoch)
        return self._reason if self._trial.should_prune() else None


@contextmanager
def pruned(run: Run, trial: Mapping[str, Any]) -> Iterator[None]:
    """Prune a run while the context is open. `trial` has its number and the settings."""
    import optuna

    storage = open_storage(Path(trial["directory"]))
    study = optuna.load_study(
        study_name=NAME,
        storage=storage,
        sampler=optuna.samplers.RandomSampler(),  # never asked
        pruner=pruner(trial["prune"]),
    )
    study_id = storage.get_study_id_from_name(NAME)
    trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, trial["number"])
    reported = set(storage.get_trial(trial_id).intermediate_values)
    one = optuna.trial.Trial(study, trial_id)
    plugin = Pruning(one, trial["metric"], REASONS[trial["prune"]], reported)
    registry = run.model.document.registry
    registry.add_plugin(PRUNING, plugin, "nnreg", __version__, "program")
    try:
        yield
    finally:
        registry.remove(PRUNING)
