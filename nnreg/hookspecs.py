"""Every hook on one page. A plugin implements the ones it has something for.

*Component hooks* return a mapping from the name that a spec uses to a frozen dataclass of that
kind. They take nothing and change nothing, so they can be tested without nnreg.

*Event hooks* are told what a run does; loggers and trackers are made of them. What they return is
ignored, and they may leave out arguments they have no use for. They look and do not touch: a run
has the same bits with them and without. One that raises is reported once and that plugin hears no
more of the run, which goes on.
"""

from __future__ import annotations

from collections.abc import Mapping

import pluggy

from nnreg.interfaces.activation import Activation
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.kernels import Kernels
from nnreg.interfaces.layer import Layer
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import Metric
from nnreg.interfaces.optimizer import Optimizer
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
    """Hear that training is about to begin, or to go on where `run.model.history` ends.

    Everything is checked and built, and the folder, if there is one, has `spec.json`. It is told
    for `nnreg run` and `resume`, `nnreg.run` and `nnreg.resume`, and not for `Model.fit`; each
    fold of a cross-validation is a run. `run` is the same object in the later events of a run, so
    that state may be kept by it.
    """


@hookspec
def nnreg_epoch_ended(run: RunView, record: Mapping[str, float]) -> None:
    """Hear that an epoch ended: its line is in `metrics.jsonl`, and the model has its weights.

    `record` is the plugin's own copy of that line: `epoch` counted from 1 over the whole life of
    the run, `loss`, each metric by its name, with a validation part `val_` of each, and with a
    schedule the `learning_rate` of its last step.
    """


@hookspec
def nnreg_run_ended(run: RunView, outcome: str) -> None:
    """Hear that training ended, after all files are written.

    `outcome` is `"epochs"` when all were done, `"early_stopping"`, `"interrupted"` by the keyboard,
    `"diverged"` where a loss was not finite, or `"failed"` by another error. After the first two
    the model has its best weights, and `run.summary` the figures of each part of the data.
    """
