"""The specifications of all hooks. A plugin implements those that it needs.

*Component hooks* return a mapping from the name that a spec uses to a frozen dataclass of that
kind. They have no arguments and no side effects, so they can be tested without nnreg. In place of a
class, a hook may return a reference to it, as in `"nnreg_mish.layers:Mish"`: its module is imported
when a spec names the component.

*Commands and report sections* extend the command line, where a plugin is imported when its command
is called, and the page that describes a run.

*Event hooks* receive the events of a run; loggers and trackers implement them. They may omit
arguments, and only the value of `nnreg_stop_reason` is used. They must not modify what they
receive: each epoch is bit-identical with and without them. If one raises, this is reported once and
the plugin is disabled for the rest of the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pluggy

from nnreg.interfaces.activation import Activation
from nnreg.interfaces.augmentation import Augmentation
from nnreg.interfaces.constraint import Constraint
from nnreg.interfaces.encoder import Encoder
from nnreg.interfaces.executor import Executor
from nnreg.interfaces.exporter import Exporter
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.kernels import Kernels
from nnreg.interfaces.layer import Layer
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.metric import Metric
from nnreg.interfaces.optimizer import Optimizer
from nnreg.interfaces.regularizer import Regularizer
from nnreg.interfaces.report import ReportView, Section
from nnreg.interfaces.run import RunView
from nnreg.interfaces.schedule import Schedule
from nnreg.interfaces.source import Source

if TYPE_CHECKING:
    import click

hookspec = pluggy.HookspecMarker("nnreg")
hookimpl = pluggy.HookimplMarker("nnreg")


@hookspec
def nnreg_activations() -> Mapping[str, type[Activation] | str]:
    """Return the activations this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_losses() -> Mapping[str, type[Loss] | str]:
    """Return the losses this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_layers() -> Mapping[str, type[Layer] | str]:
    """Return the layers this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_optimizers() -> Mapping[str, type[Optimizer] | str]:
    """Return the optimizers this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_schedules() -> Mapping[str, type[Schedule] | str]:
    """Return the learning-rate schedules this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_initializers() -> Mapping[str, type[Initializer] | str]:
    """Return the initializers this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_regularizers() -> Mapping[str, type[Regularizer] | str]:
    """Return the regularizers this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_constraints() -> Mapping[str, type[Constraint] | str]:
    """Return the constraints this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_augmentations() -> Mapping[str, type[Augmentation] | str]:
    """Return the augmentations of batches this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_metrics() -> Mapping[str, type[Metric] | str]:
    """Return the metrics this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_kernels() -> Mapping[str, type[Kernels] | str]:
    """Return the inner loops this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_sources() -> Mapping[str, type[Source] | str]:
    """Return the data sources this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_encoders() -> Mapping[str, type[Encoder] | str]:
    """Return the encoders of columns this plugin provides, by the name a spec uses."""
    raise NotImplementedError


@hookspec
def nnreg_exporters() -> Mapping[str, type[Exporter] | str]:
    """Return the formats of exports this plugin provides, by the name `--to` takes."""
    raise NotImplementedError


@hookspec
def nnreg_executors() -> Mapping[str, type[Executor] | str]:
    """Return the executors of sweeps this plugin provides, by the name `--on` takes."""
    raise NotImplementedError


@hookspec
def nnreg_commands() -> Mapping[str, click.Command]:
    """Return the commands this plugin adds to `nnreg`, by name.

    They are called if no built-in command has the name, as in `nnreg NAME`; a built-in one cannot
    be replaced. An `NnregError` that a command raises is printed as the built-in ones are. `nnreg
    --help` shows the names in the entry points `nnreg.commands` of the distribution, because it
    imports no plugin.
    """
    raise NotImplementedError


@hookspec
def nnreg_report_sections(report: ReportView) -> Iterable[Section]:
    """Return the sections this plugin adds to the report of a run.

    A section has text, tables and charts. nnreg escapes the text and draws the charts: no plugin
    can add HTML or a script. If the hook raises, the page and a warning say so. It
    is called for each fold of a cross-validation, and not for the page that sums them up.
    """
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
def nnreg_batch_ended(run: RunView, record: Mapping[str, float]) -> None:
    """Receive the event that a batch ended: the weights have changed by its gradient.

    `record` is the plugin's own copy of `epoch` and `step`, both counted from 1 and across resumes,
    `loss`, the mean over the batch before the weights changed, and with a schedule the
    `learning_rate`. The batches that `train.accumulate` adds up are one. For the last batch of an
    epoch, this comes before the validation. Nothing is computed for it unless a plugin implements
    it, and a plugin that does should be quick.
    """


@hookspec
def nnreg_stop_reason(run: RunView, record: Mapping[str, float]) -> str | None:
    """Return a reason to stop the run after this epoch, or None or an empty text to continue.

    This is asked after `nnreg_epoch_ended`, with the same record, and not after the last epoch. The
    first reason counts. The run then ends as by early stopping: it is saved and evaluated, with the
    outcome `"by_plugin"`, and can be resumed. Of a cross-validation, it ends that fold only.
    """


@hookspec
def nnreg_run_ended(run: RunView, outcome: str) -> None:
    """Receive the event that training ended, after all files are written.

    `outcome` is `"epochs"` if all epochs are done, `"early_stopping"`, `"by_plugin"` for a reason
    of `nnreg_stop_reason`, `"interrupted"` by the keyboard, `"diverged"` if a loss was not finite,
    or `"failed"` by another error. After the first three the model has its best weights, and
    `run.summary` the metrics of each split of the data.
    """
