"""The specifications of all hooks. A plugin implements those that it needs.

*Component hooks* return a mapping from the name that a spec uses to a frozen dataclass of that
kind. They have no arguments and no side effects, so they can be tested without nnreg.

*Event hooks* receive the events of a run; loggers and trackers implement them. Their return values
are ignored, and they may omit arguments. They must not modify what they receive: a run is
bit-identical with and without them. If one raises, this is reported once and the plugin is disabled
for the rest of the run.
"""

from __future__ import annotations

from collections.abc import Mapping

import pluggy

from nnreg.interfaces.activation import Activation
from nnreg.interfaces.constraint import Constraint
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.kernels import Kernels
from nnreg.interfaces.layer import Layer
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import Metric
from nnreg.interfaces.optimizer import Optimizer
from nnreg.interfaces.regularizer import Regularizer
from nnreg.interfaces.run import RunView
from nnreg.interfaces.schedule import Schedule
from nnreg.interfaces.source import Source

hookspec = pluggy.HookspecMarker("nnreg")
hookimpl = pluggy.HookimplMarker("nnreg")


@hookspec
def nnreg_activations() -> Mapping[str, type[Activation]]:
    """Return the activations this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_losses() -> Mapping[str, type[Loss]]:
    """Return the losses this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_layers() -> Mapping[str, type[Layer]]:
    """Return the layers this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_optimizers() -> Mapping[str, type[Optimizer]]:
    """Return the optimizers this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_schedules() -> Mapping[str, type[Schedule]]:
    """Return the learning-rate schedules this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_initializers() -> Mapping[str, type[Initializer]]:
    """Return the initializers this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_regularizers() -> Mapping[str, type[Regularizer]]:
    """Return the regularizers this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_constraints() -> Mapping[str, type[Constraint]]:
    """Return the constraints this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_metrics() -> Mapping[str, type[Metric]]:
    """Return the metrics this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_kernels() -> Mapping[str, type[Kernels]]:
    """Return the inner loops this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_sources() -> Mapping[str, type[Source]]:
    """Return the data sources this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_run_started(run: RunView) -> None:
    """Receive the event that training is about to begin, or to resume after `run.model.history`.

    Everything is checked and built, and the directory, if there is one, has `spec.json`. The event
    is sent for `nnreg run` and `resume`, `nnreg.run` and `nnreg.resume`, and not for `Model.fit`;
    each fold of a cross-validation is a run. `run` is the same object in all events of a run, so
    that it can be a key for a plugin's own state.
    """


@hookspec
def nnreg_epoch_ended(run: RunView, record: Mapping[str, float]) -> None:
    """Receive the event that an epoch ended: its line is in `metrics.jsonl`.

    The model has the weights of the epoch. `record` is the plugin's own copy of that line: `epoch`,
    counted from 1 and across resumes, `loss`, each metric by its name, with a validation split the
    same with the prefix `val_`, and with a schedule the `learning_rate` of the last step.
    """


@hookspec
def nnreg_run_ended(run: RunView, outcome: str) -> None:
    """Receive the event that training ended, after all files are written.

    `outcome` is `"epochs"` if all epochs are done, `"early_stopping"`, `"interrupted"` by the
    keyboard, `"diverged"` if a loss was not finite, or `"failed"` by another error. After the first
    two the model has its best weights, and `run.summary` the metrics of each split of the data.
    """
