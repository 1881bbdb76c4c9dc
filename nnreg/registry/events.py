"""Telling plugins what a run does, so that none of them can disturb it."""

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

MAX_TEXT = 200
"""The characters that are told of an error: a client may put a whole answer of its server in it."""


class Listeners:
    """The plugins that hear of one run. One that raises is reported with a warning and dropped."""

    def __init__(self, run: RunView, registry: Registry) -> None:
        self._run = run
        self._registry = registry
        self._dropped: set[str] = set()

    def started(self) -> None:
        """Tell that training begins."""
        self._notify("nnreg_run_started")

    def epoch(self, record: Mapping[str, float]) -> None:
        """Tell that an epoch ended."""
        self._notify("nnreg_epoch_ended", record=record)

    def ended(self, outcome: str) -> None:
        """Tell how training ended."""
        self._notify("nnreg_run_ended", outcome=outcome)

    def _notify(self, hook: str, **news: Any) -> None:
        """Call one hook of every plugin, each with its own copy of the news."""
        for listener in getattr(self._registry.manager.hook, hook).get_hookimpls():
            plugin = listener.plugin_name
            if plugin in self._dropped:
                continue
            own = {"run": self._run, **{name: copy.copy(value) for name, value in news.items()}}
            try:
                with contextlib.redirect_stdout(sys.stderr):  # standard output is for results
                    listener.function(*(own[name] for name in listener.argnames))
            except (Exception, SystemExit) as error:
                self._dropped.add(plugin)
                provider = self._registry.plugins[plugin].provider
                what = f"{type(error).__name__}: {textwrap.shorten(str(error), MAX_TEXT)}"
                warnings.warn(
                    f"plugin {plugin} ({provider}): {hook} raised {what}; it hears no more of this "
                    "run, which goes on",
                    NnregWarning,
                    stacklevel=2,
                )
