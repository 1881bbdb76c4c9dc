"""A checkpoint's document as dataclasses: the format of version 3.

It is validated as strictly as a spec: an unknown key, a wrong type or a number out of bounds is an
error with its path. The plugins of the checkpoint are not needed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from annotated_types import Interval

from nnreg import builtin
from nnreg._types import Array, Shape
from nnreg._version import __version__
from nnreg.data.preprocessing import Preprocessing
from nnreg.errors import CheckpointError, FormatError, SpecError
from nnreg.interfaces.annotations import StopAtFirst
from nnreg.interfaces.component import Configurable
from nnreg.provenance.components import ComponentRecord
from nnreg.registry.loading import BUILT_IN
from nnreg.registry.registry import Registry
from nnreg.spec.validation import Reader, read

SHA256 = re.compile("[0-9a-f]{64}")

Number: TypeAlias = Annotated[int, Interval(ge=0, lt=2**63)]

Results: TypeAlias = Literal["train", "validation", "test", "baseline"]

NonFinite: TypeAlias = Literal["NaN", "Infinity", "-Infinity"]
"""A metric that is not a finite number, as `json_text` writes it."""

BestWeights: TypeAlias = Literal["best", "parameters", "average"]
"""The arrays with the weights of the best epoch: their own, the current ones, or the averages."""


@dataclass(frozen=True)
class RandomState(Configurable):
    """The state of a PCG64 generator; its two integers of 128 bits are written as text."""

    state: str
    inc: str
    has_uint32: Annotated[int, Interval(ge=0, lt=2)]
    uinteger: Annotated[int, Interval(ge=0, lt=2**32)]

    def __post_init__(self) -> None:
        for text in (self.state, self.inc):
            if not (text.isascii() and text.isdecimal() and len(text) < 40 and int(text) < 2**128):
                raise ValueError(f"must be a number below 2**128, found {text[:50]!r}")
        if int(self.inc) % 2 == 0:  # as in every state of this generator
            raise ValueError(f"inc: must be odd, found {self.inc}")


@dataclass(frozen=True)
class EpochStateRecord(Configurable):
    """An unfinished epoch: `seen` of `count` examples are done; `loss` is the sum over them.

    `streams` are the random generators of the layers, one per shard. `examples` is
    the SHA-256 of the examples, or empty.
    """

    count: Number
    seen: Number
    loss: float
    streams: tuple[RandomState, ...]
    examples: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.seen < self.count:
            raise ValueError(f"{self.seen} of {self.count} examples are not an unfinished epoch")
        if self.examples and not SHA256.fullmatch(self.examples):
            raise ValueError(f"examples: must be a SHA-256, found {self.examples[:70]!r}")


@dataclass(frozen=True)
class ProgressRecord(Configurable):
    """The training state; `resumable` if training can resume from it.

    `averaged` is the number of steps in the moving average of the weights, `unfrozen` the step
    after which the optimizer began with a parameter that was frozen before. `best_weights` says
    where the weights of the best epoch are.
    """

    epoch: Number
    step: Number
    best_epoch: Number
    best_value: float | None
    resumable: bool
    partial: EpochStateRecord | None = None
    averaged: Number = 0
    unfrozen: dict[str, Number] = field(default_factory=dict)
    best_weights: BestWeights = "best"

    def __post_init__(self) -> None:
        if self.epoch + (self.partial is not None) > self.step:
            raise ValueError(f"{self.epoch} epochs cannot be {self.step} steps")
        if self.averaged > (self.step if self.resumable else 0):
            raise ValueError(f"{self.averaged} of {self.step} steps are averaged")
        if self.best_epoch > self.epoch:
            raise ValueError(f"the best epoch is {self.best_epoch} of {self.epoch}")
        if max(self.unfrozen.values(), default=0) > self.step:
            raise ValueError(f"a layer was unfrozen after more than {self.step} steps")
        if self.best_weights != "best" and (
            not (self.resumable and 0 < self.best_epoch == self.epoch)
            or self.partial
            or (self.best_weights == "average" and not self.averaged)
        ):
            raise ValueError(f"the weights of the best epoch are not its {self.best_weights!r}")
        if not self.resumable and (self.partial or self.unfrozen):
            raise ValueError("has the state of an optimizer or of an epoch, but is not resumable")


@dataclass(frozen=True)
class Manifest(Configurable):
    """The whole document.

        `spec` is as it was given, `directory` that of its relative paths, and `origin` its file.
    `preprocessing` is read by `read_preprocessing`, which may need plugins.
    `history` names the columns of the array of that name; `data` has the SHA-256 of each file, and
    `started_from` that of the checkpoint with the initial weights. `results` has the metrics of the
    weights by split, if a run has measured them at its end.
    """

    spec: dict[str, Any]
    origin: str
    directory: str
    preprocessing: dict[str, Any]
    components: Annotated[tuple[ComponentRecord, ...], StopAtFirst()]
    progress: ProgressRecord
    history: tuple[str, ...]
    data: dict[str, str]
    environment: dict[str, Any]
    started_from: dict[str, str] = field(default_factory=dict)
    results: dict[Results, dict[str, float | NonFinite]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, digests in (("data", self.data), ("started_from", self.started_from)):
            for digest in digests.values():
                if not SHA256.fullmatch(digest):
                    raise ValueError(f"{key}: must be a SHA-256, found {digest[:70]!r}")


@contextmanager
def inconsistent(where: str, hint: str = "") -> Iterator[None]:
    """Raise `FormatError` and `SpecError` as `CheckpointError` of the file `where`.

    A `SpecError` that is caused by overrides alone stays. Any other exception is a bug.
    """
    try:
        yield
    except (FormatError, SpecError) as error:
        if isinstance(error, SpecError) and error.caused_by_overrides:
            error.where = where
            raise
        raise CheckpointError(f"{where}: checkpoint is inconsistent: {error}{hint}") from error


@dataclass(frozen=True)
class _Learned(Configurable):
    """The part of a document with what was learned from the data."""

    preprocessing: Preprocessing


def recorded_names(manifest: Manifest) -> dict[tuple[str, str], str]:
    """Return the distribution of each component, by its kind and its name in the spec.

    Built-in encoders mean themselves unless the spec has their name: a column has one of them
    without being named there.
    """
    own = {("encoder", name): BUILT_IN for name in builtin.nnreg_encoders()}
    named = (one for one in manifest.components if not one.default)
    return {**own, **{(one.kind, one.name): one.distribution for one in named}}


@functools.cache
def _no_plugins() -> Registry:
    """Return an empty registry: to create one takes a tenth of saving a small network."""
    return Registry()


@functools.cache
def _own_encoders() -> Registry:
    """Return a registry of the built-in encoders alone."""
    registry = Registry()
    own = SimpleNamespace(nnreg_encoders=builtin.nnreg_encoders)
    registry.add_plugin(BUILT_IN, own, BUILT_IN, __version__)
    return registry


def read_preprocessing(manifest: Manifest, registry: Registry | None = None) -> Preprocessing:
    """Return the preprocessing of a checkpoint. Raises `SpecError`.

    `registry` is that of its spec; without one, only built-in encoders are known.
    """
    registry = _preferring_recorded(registry or _own_encoders(), manifest)
    versions = {(one.kind, one.name): one.version for one in manifest.components}
    tree = {"preprocessing": manifest.preprocessing}
    return read(_Learned, tree, Reader(registry, versions), "its document").preprocessing


def _preferring_recorded(registry: Registry, manifest: Manifest) -> Registry:
    preferences = replace(registry.preferences, recorded=recorded_names(manifest))
    return registry.preferring(preferences)


def _needs_plugin(manifest: Manifest) -> bool:
    """Return True if a column has an encoder that is not built in."""
    inputs, own = manifest.preprocessing.get("inputs"), _own_encoders()
    columns = [one for one in inputs if isinstance(one, dict)] if isinstance(inputs, list) else []
    names = [one["type"] for one in columns if isinstance(one.get("type"), str)]
    return any(_preferring_recorded(own, manifest).find("encoder", name) is None for name in names)


def read_manifest(document: Mapping[str, Any], arrays: Mapping[str, Array], where: str) -> Manifest:
    """Return a document as a manifest, with its history checked. Raises `CheckpointError`."""
    with inconsistent(where):
        manifest: Manifest = read(Manifest, dict(document), Reader(_no_plugins()), "its document")
        if not _needs_plugin(manifest):
            read_preprocessing(manifest)  # raises SpecError
        _check_history(manifest, arrays)
    return manifest


def _check_history(manifest: Manifest, arrays: Mapping[str, Array]) -> None:
    """Raise `FormatError` unless the history has one row per epoch, with its number first."""
    epochs, columns = manifest.progress.epoch, manifest.history
    check_array(arrays, "history", (epochs, len(columns)), np.dtype(np.float64))
    rows = arrays["history"]
    measured = ~np.isnan(rows)
    if "history_measured" in arrays:
        check_array(arrays, "history_measured", (epochs, len(columns)), np.dtype(np.uint8))
        if not (np.isnan(rows) | (arrays["history_measured"] == 1)).all():
            raise FormatError("'history' has a value that 'history_measured' lacks")
        measured = arrays["history_measured"] == 1
    if len(set(columns)) < len(columns):
        raise FormatError("'history' has two columns of the same name")
    counted = rows[:, :1].ravel().tolist() == list(range(1, epochs + 1))
    if epochs and (columns[:1] != ("epoch",) or not counted):
        raise FormatError("'history' does not number its epochs from 1")
    if epochs and not (columns[1:2] == ("loss",) and measured[:, 1].all()):
        raise FormatError("'history' does not have the loss of each epoch in its second column")


def check_array(arrays: Mapping[str, Array], name: str, shape: Shape, dtype: np.dtype[Any]) -> None:
    """Raise `FormatError` unless an array has this shape and type."""
    if name not in arrays:
        raise FormatError(f"{name!r} is missing")
    array = arrays[name]
    if array.shape != shape or array.dtype != dtype:
        raise FormatError(
            f"{name!r} is {array.dtype} {array.shape}; the spec requires {dtype} {shape}"
        )
