"""Delivery of the events of a run to plugins, isolated so that no plugin can affect the run."""

from __future__ import annotations

import contextlib
import copy
import sys
import textwrap
import warnings
from collections.abc import Mapping
from typing import Any

from nnreg.errors import NnregWarning
from nnreg.interfaces.run import RunView
from nnreg.registry.registry import Registry

MAX_ERROR_TEXT = 200
"""The maximum number of characters shown of an error: a client may include a whole response."""


class Listeners:
    """The plugins that receive the events of one run.

    A plugin that raises is reported with a warning and disabled for the rest of the run.
    """

    def __init__(self, run: RunView, registry: Registry) -> None:
        self._run = run
        self._registry = registry
        self._disabled: set[str] = set()

    def started(self) -> None:
        """Send the event that training begins."""
        self._notify("nnreg_run_started")

    def epoch(self, record: Mapping[str, float]) -> None:
        """Send the event that an epoch ended."""
        self._notify("nnreg_epoch_ended", record=record)

    def ended(self, outcome: str) -> None:
        """Send the event that training ended, with its outcome."""
        self._notify("nnreg_run_ended", outcome=outcome)

    def _notify(self, hook: str, **arguments: Any) -> None:
        """Call one hook of every plugin, each with its own copy of the arguments."""
        for listener in getattr(self._registry.manager.hook, hook).get_hookimpls():
            plugin = listener.plugin_name
            if plugin in self._disabled:
                continue
            own = {name: copy.copy(value) for name, value in arguments.items()}
            own["run"] = self._run
            try:
                with contextlib.redirect_stdout(sys.stderr):  # standard output is for results
                    listener.function(*(own[name] for name in listener.argnames))
            except (Exception, SystemExit) as error:
                self._disabled.add(plugin)
                provider = self._registry.plugins[plugin].provider
                text = f"{type(error).__name__}: {textwrap.shorten(str(error), MAX_ERROR_TEXT)}"
                warnings.warn(
                    f"plugin {plugin} ({provider}): {hook} raised {text}; it is disabled for the "
                    "rest of this run",
                    NnregWarning,
                    stacklevel=2,
                )
