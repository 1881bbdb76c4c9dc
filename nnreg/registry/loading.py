"""Plugins before anything is known of what they provide: which may load, and how it went.

Whatever a plugin does while it is imported or asked (an exception, `SystemExit`, a print) concerns
that plugin alone: it is kept as a `Failure`, and standard output stays clean for results.
"""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
import importlib
import os
import re
import sys
import time
import traceback
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from nnreg._version import __version__
from nnreg.errors import PluginError, UsageError

ENTRY_POINT_GROUP = "nnreg"
ONLY_VARIABLE = "NNREG_PLUGINS"
BUILT_IN = "nnreg"
PLUGIN_FILE = "nnregfile.py"
"""The plugin that is loaded for the specs in its folder."""

PROGRAM = "nnreg.register"
"""How the names of plugins begin that a program registered itself."""

Origin: TypeAlias = Literal["distribution", "file", "program"]

_loading_plugin: contextvars.ContextVar[str] = contextvars.ContextVar("current", default="")


@dataclass(frozen=True)
class Failure:
    """What went wrong with a plugin, or with one hook of it, and what to do about it."""

    error: str
    fix: str


@dataclass
class Plugin:
    """A plugin: where it comes from, which hooks it implements, what went wrong with it."""

    name: str
    distribution: str
    version: str
    origin: Origin = "distribution"
    path: Path | None = None
    """The file, of a plugin that is one."""
    hooks: tuple[str, ...] = ()
    blocked_by: str = ""
    """The option or variable that keeps it from loading."""
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    """How long its import took."""

    @property
    def state(self) -> Literal["loaded", "blocked", "failed"]:
        """How loading went; of a plugin that failed, some hooks may work nevertheless."""
        return "blocked" if self.blocked_by else "failed" if self.failures else "loaded"

    @property
    def names(self) -> set[str]:
        """What it may be called by where plugins are selected."""
        return {canonical(self.name), canonical(self.distribution)}

    @property
    def provider(self) -> str:
        """The distribution and its version, as in `nnreg-swish 1.0`."""
        return f"{self.distribution} {self.version}"

    @property
    def why(self) -> str:
        """Why it is not, or not wholly, there; empty if it is."""
        if self.blocked_by:
            return f"by {self.blocked_by}"
        return "; ".join(failure.error for failure in self.failures)

    def fail(self, error: str, fix: str = "") -> None:
        """Note a failure; by default it is for the plugin's author to fix."""
        default = {
            "distribution": f"pip install -U {self.distribution}, or do without: "
            f"nnreg -p no:{self.name} …",
            "file": f"correct {self.name}",
            "program": "correct what is registered",
        }
        self.failures.append(Failure(error, fix or default[self.origin]))

    @contextlib.contextmanager
    def attempt(self, hook: str = "") -> Iterator[None]:
        """Turn what goes wrong inside into a failure, and what is printed into messages."""
        token = _loading_plugin.set(self.name)
        try:
            with contextlib.redirect_stdout(sys.stderr):
                yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: a plugin must not end the program
            self.fail(f"{hook}: {_describe(error)}" if hook else _describe(error))
        finally:
            _loading_plugin.reset(token)

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Measure how long the import takes."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds = round(time.perf_counter() - began, 3)


def loading_plugin() -> str:
    """Return the name of the plugin that is being loaded; empty if none is."""
    return _loading_plugin.get()


def _describe(error: BaseException) -> str:
    """Say what happened and where."""
    text = str(error)
    if isinstance(error, PluginError):
        return text  # of nnreg's own words
    named = f"{type(error).__name__}: {text}" if text else type(error).__name__
    own = ("<frozen", str(Path(__file__).parent.parent), str(Path(importlib.__file__).parent))
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(own)
    ]
    if isinstance(error, SyntaxError) or not frames:
        return named
    return f"{named} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"


@dataclass(frozen=True)
class Selection:
    """Which plugins may load: all but the `blocked`, and if `only` is given, only those.

    Both name plugins or distributions. The built-ins always load.
    """

    blocked: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if BUILT_IN in map(canonical, self.blocked):
            raise UsageError(f"-p no:{BUILT_IN}: the built-ins cannot be blocked")

    @classmethod
    def of_environment(cls, blocked: Iterable[str] = ()) -> Selection:
        """Return the selection that `NNREG_PLUGINS` makes: names with commas, or nothing at all."""
        text = os.environ.get(ONLY_VARIABLE)
        only = None if text is None else tuple(n.strip() for n in text.split(",") if n.strip())
        return cls(tuple(blocked), only)

    def blocks(self, plugin: Plugin, *, asked: bool = False) -> str:
        """Return what keeps a plugin from loading, or nothing.

        One that was asked for by its file need not be among `only`.
        """
        for name in self.blocked:
            if canonical(name) in plugin.names:
                return f"-p no:{name}"
        if self.only is None or asked or plugin.names & set(map(canonical, self.only)):
            return ""
        return f"{ONLY_VARIABLE}={','.join(self.only)!r}"


def canonical(name: str) -> str:
    """Write the name of a distribution as its index does: `nnreg_Swish` is `nnreg-swish`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def newer_nnreg(requirements: Iterable[str]) -> str:
    """Return the first requirement on nnreg itself, of a distribution's, that this one fails."""
    for text in requirements:
        if not re.match(r"nnreg(?![\w.-])", text, re.IGNORECASE) or _at_least(text):
            continue
        from packaging.requirements import Requirement  # only where something is installed

        requirement = Requirement(text)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and not requirement.specifier.contains(__version__, prereleases=True):
            return f"nnreg{requirement.specifier}"
    return ""


def _at_least(text: str) -> bool:
    """Tell whether a requirement is a plain `nnreg>=1.2` that is met.

    Nearly all are, and importing `packaging` for them would take longer than a plugin does.
    """
    plain = re.fullmatch(r"nnreg\s*>=\s*(\d+(?:\.\d+)*)", text, re.IGNORECASE)
    own = re.fullmatch(r"\d+(?:\.\d+)*", __version__)
    return plain is not None and own is not None and _numbers(plain[1]) <= _numbers(own[0])


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def import_file(path: Path, source: bytes) -> types.ModuleType:
    """Run the source of a file as a module; nothing is written beside it."""
    module = types.ModuleType(f"{path.stem}_{digest(source)}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # where dataclasses look up their annotations
    try:
        exec(compile(source, str(path), "exec"), vars(module))
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module


def digest(content: bytes) -> str:
    """Return a short name for what is in a file; it stands in for a version."""
    return hashlib.sha256(content).hexdigest()[:12]
