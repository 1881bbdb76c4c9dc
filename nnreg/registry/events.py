"""Delivery of the events of a run to plugins, isolated so that none can affect the results."""

from __future__ import annotations

import contextlib
import copy
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pluggy

from nnreg.errors import NnregWarning
from nnreg.interfaces.run import RunView
from nnreg.registry.registry import Registry

MAX_TEXT = 200
"""The maximum number of characters of an error or a reason: a client may include a response."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class StopReason:
    """Why a run is to stop, and the plugin that said so."""

    plugin: str
    reason: str


class Listeners:
    """The plugins that receive the events of one run.

    A plugin that raises is reported with a warning and disabled for the rest of the run. Unless it
    is `enabled`, no plugin receives anything: of several processes, one notifies them.
    """

    def __init__(self, run: RunView, registry: Registry, *, enabled: bool = True) -> None:
        self._run, self._enabled = run, enabled
        self._registry = registry
        self._disabled: set[str] = set()

    def started(self) -> None:
        """Send the event that training begins."""
        self._notify("nnreg_run_started")

    @property
    def on_batch(self) -> Callable[[Mapping[str, float]], None] | None:
        """The function that sends the event that a batch ended; None if no plugin receives it."""
        return self._batch if self._implementations("nnreg_batch_ended") else None

    def _batch(self, record: Mapping[str, float]) -> None:
        self._notify("nnreg_batch_ended", record=record)

    def epoch(self, record: Mapping[str, float]) -> None:
        """Send the event that an epoch ended."""
        self._notify("nnreg_epoch_ended", record=record)

    @property
    def read_epochs(self) -> bool:
        """Whether a plugin is called after each epoch, to which its record is then promised."""
        hooks = ("nnreg_epoch_ended", "nnreg_stop_reason")
        return any(map(self._implementations, hooks))

    def stop_reason(self, record: Mapping[str, float]) -> StopReason | None:
        """Return the first reason of a plugin to stop after this epoch, if one has any."""
        for plugin, reason in self._call("nnreg_stop_reason", _text, record=record):
            if reason:
                return StopReason(plugin, reason)
        return None

    def ended(self, outcome: str) -> None:
        """Send the event that training ended, with its outcome."""
        self._notify("nnreg_run_ended", outcome=outcome)

    def _notify(self, hook: str, **arguments: Any) -> None:
        """Call one hook of every plugin."""
        for _ in self._call(hook, lambda _: None, **arguments):
            pass

    def _call(
        self, hook: str, read: Callable[[Any], Value], **arguments: Any
    ) -> Iterator[tuple[str, Value]]:
        """Call one hook of every plugin, each with its own copy of the arguments.

        Yields the name of each plugin that did not fail and what it returned, as `read` by a
        function that may raise too.
        """
        for listener in self._implementations(hook):
            plugin = listener.plugin_name
            if plugin in self._disabled:
                continue
            own = {name: copy.copy(value) for name, value in arguments.items()}
            own["run"] = self._run
            try:
                with contextlib.redirect_stdout(sys.stderr):  # standard output is for results
                    value = read(listener.function(*(own[name] for name in listener.argnames)))
            except (Exception, SystemExit) as error:
                self._disabled.add(plugin)
                provider = self._registry.plugins[plugin].provider
                warnings.warn(
                    f"plugin {plugin} ({provider}): {hook} raised {describe_error(error)}; it is "
                    "disabled for the rest of this run",
                    NnregWarning,
                    stacklevel=2,
                )
            else:
                yield plugin, value

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        if not self._enabled:
            return []
        caller: pluggy.HookCaller = getattr(self._registry.manager.hook, hook)
        return caller.get_hookimpls()


def describe_error(error: BaseException) -> str:
    """Return the type and the shortened text of an error."""
    return f"{type(error).__name__}: {textwrap.shorten(str(error), MAX_TEXT)}"


def _text(value: Any) -> str:
    """Return a text in one line, shortened; an empty one for None."""
    if not isinstance(value, str | None):
        raise TypeError(f"returned {type(value).__name__}; expected a text or None")
    return textwrap.shorten(value or "", MAX_TEXT).rstrip(".")
