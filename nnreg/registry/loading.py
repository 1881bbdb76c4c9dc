"""Loading of plugins: which of them may load, and the record of each with its failures.

What a plugin does while it is imported or its hooks are called (an exception, `SystemExit`, a
print) affects that plugin alone: it is recorded as a `Failure`, and standard output is reserved for
results.
"""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
import inspect
import os
import re
import sys
import time
import types
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Literal, TypeAlias

from nnreg._utils.distributions import DamagedError, directory_name, identity
from nnreg._version import __version__
from nnreg.errors import NnregWarning, PluginError, UsageError
from nnreg.interfaces.returned import plugin_line

ENTRY_POINT_GROUP = "nnreg"
ONLY_VARIABLE = "NNREG_PLUGINS"
BUILT_IN = "nnreg"
PROGRAM = "nnreg.register"
"""The prefix of the names of plugins registered by a program."""

Origin: TypeAlias = Literal["distribution", "file", "program"]

_loading_plugin: contextvars.ContextVar[str] = contextvars.ContextVar("current", default="")


@dataclass(frozen=True)
class Failure:
    """An error of a plugin or of one of its hooks, and how to fix it."""

    error: str
    fix: str


@dataclass
class Plugin:
    """The record of a plugin: where it comes from, which hooks it implements, its failures."""

    name: str
    distribution: str
    version: str
    origin: Origin = "distribution"
    path: Path | None = None
    """The file of a plugin that was loaded from one."""
    hooks: tuple[str, ...] = ()
    blocked_by: str = ""
    """The option or variable that prevents it from loading."""
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    """The duration of its import."""

    @classmethod
    def of_entry_point(cls, point: EntryPoint) -> tuple[Plugin, Sequence[str]]:
        """Return the record of the plugin of an entry point, and what its distribution requires."""
        if point.dist is None:
            return cls(point.name, "unknown", "?"), ()
        try:
            found = identity(point.dist)
        except DamagedError as error:
            damaged = cls.of_damaged(directory_name(point.dist), str(error))
            return replace(damaged, name=point.name), ()
        return cls(point.name, found.name, found.version), found.requirements

    @classmethod
    def of_damaged(cls, directory: str, error: str) -> Plugin:
        """Return the record for a directory of damaged metadata."""
        fix = f"install its distribution again, or delete {directory}"
        failure = Failure(f"{directory}: the installation is damaged: {error}", fix)
        return cls(directory, directory, "?", failures=[failure])

    @property
    def state(self) -> Literal["loaded", "blocked", "failed"]:
        """The result of loading; some hooks of a failed plugin may work nevertheless."""
        return "blocked" if self.blocked_by else "failed" if self.failures else "loaded"

    @property
    def names(self) -> set[str]:
        """The names by which it can be selected."""
        return {canonical(self.name), canonical(self.distribution)}

    @property
    def provider(self) -> str:
        """The distribution and its version, as in `nnreg-swish 1.0`."""
        return f"{self.distribution} {self.version}"

    @property
    def why(self) -> str:
        """The reason why it is not loaded or only partly; empty if it is loaded."""
        if self.blocked_by:
            return f"by {self.blocked_by}"
        return "; ".join(failure.error for failure in self.failures)

    def fail(self, error: str, fix: str = "") -> None:
        """Record a failure; the default fix depends on the origin of the plugin."""
        default = {
            "distribution": f"pip install -U {self.distribution}, or block it: "
            f"nnreg -p no:{self.name} …",
            "file": f"correct {self.name}",
            "program": "correct the registered plugin",
        }
        failure = Failure(error, fix or default[self.origin])
        if failure not in self.failures:
            self.failures.append(failure)

    @contextlib.contextmanager
    def attempt(self, hook: str = "") -> Iterator[None]:
        """Record an exception as a failure, and redirect what is printed to standard error."""
        try:
            with running(self.name):
                yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: a plugin must not end the program
            self.fail(f"{hook}: {described(error)}" if hook else described(error))

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Measure the duration of the import."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds = round(time.perf_counter() - start, 3)


@contextlib.contextmanager
def running(plugin: str) -> Iterator[None]:
    """Run code of a plugin: what it prints is redirected to standard error."""
    token = _loading_plugin.set(plugin)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _loading_plugin.reset(token)


def loading_plugin() -> str:
    """Return the name of the plugin that is being loaded; empty if none is."""
    return _loading_plugin.get()


def described(error: BaseException) -> str:
    """Return the type, text and location of an error."""
    text = str(error)
    if isinstance(error, PluginError):
        return text  # a message of nnreg
    named = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return named if isinstance(error, SyntaxError) else f"{named}{plugin_line(error)}"


@dataclass(frozen=True)
class Selection:
    """The plugins that may load: all except `blocked`, or if `only` is given, those alone.

    Both are names of plugins or distributions. The built-ins always load.
    """

    blocked: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if BUILT_IN in map(canonical, self.blocked):
            raise UsageError(f"-p no:{BUILT_IN}: the built-ins cannot be blocked")

    @classmethod
    def of_environment(cls, blocked: Iterable[str] = ()) -> Selection:
        """Return the selection of `NNREG_PLUGINS`, which has names separated by commas or none."""
        text = os.environ.get(ONLY_VARIABLE)
        only = None if text is None else tuple(n.strip() for n in text.split(",") if n.strip())
        return cls(tuple(blocked), only)

    def blocks(self, plugin: Plugin, *, requested: bool = False) -> str:
        """Return the option or variable that prevents a plugin from loading, or an empty string.

        A plugin file that was `requested` by name need not be among `only`.
        """
        for name in self.blocked:
            if canonical(name) in plugin.names:
                return f"-p no:{name}"
        if self.only is None or requested or plugin.names & set(map(canonical, self.only)):
            return ""
        return f"{ONLY_VARIABLE}={','.join(self.only)!r}"


def canonical(name: str) -> str:
    """Return the normalized name of a distribution: `nnreg_Swish` is `nnreg-swish`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def newer_nnreg(requirements: Iterable[str]) -> str:
    """Return the first requirement on nnreg that this version does not meet; empty if none."""
    for text in requirements:
        if not re.match(r"nnreg(?![\w.-])", text, re.IGNORECASE) or _at_least(text):
            continue
        from packaging.requirements import Requirement  # slow to import, and rarely needed

        requirement = Requirement(text)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and not requirement.specifier.contains(__version__, prereleases=True):
            return f"nnreg{requirement.specifier}"
    return ""


def _at_least(text: str) -> bool:
    """Return True if a requirement is a plain `nnreg>=1.2` that is met.

    Nearly all are, and importing `packaging` for them would take longer than importing a plugin.
    """
    plain = re.fullmatch(r"nnreg\s*>=\s*(\d+(?:\.\d+)*)", text, re.IGNORECASE)
    own = re.fullmatch(r"\d+(?:\.\d+)*", __version__)
    return plain is not None and own is not None and _numbers(plain[1]) <= _numbers(own[0])


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def import_file(path: Path, source: bytes) -> types.ModuleType:
    """Execute the source of a file as a module, without writing any file."""
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
    """Return a short digest of the content of a file, used as its version."""
    return hashlib.sha256(content).hexdigest()[:12]


def note(text: str) -> None:
    """Warn on behalf of the caller's caller."""
    warnings.warn(text, NnregWarning, stacklevel=3)


def source_and_digest(source: types.ModuleType | type) -> tuple[str, str]:
    """Return the name of the file that defines a module or class, and a digest of its content."""
    try:
        path = Path(inspect.getsourcefile(source) or "")
        return path.name, digest(path.read_bytes())
    except (TypeError, OSError):
        return source.__module__ if isinstance(source, type) else source.__name__, "unknown"
