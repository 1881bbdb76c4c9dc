"""The spec as a document: its sections, read from a file with overrides."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from nnreg._utils.secret_text import START, malformed
from nnreg.errors import NnregWarning, PluginError, Problem, SpecError
from nnreg.registry import plugin_file, requirements
from nnreg.registry.names import Entry, Preferences
from nnreg.registry.registry import Registry, installed
from nnreg.spec import jsonc
from nnreg.spec import validation as schema
from nnreg.spec.compose import (
    EXTENDS,
    FILE_PATHS,
    ComposedSpec,
    Origins,
    apply_override,
    compose,
    replace_texts,
)
from nnreg.spec.overrides import Overrides, as_tuple
from nnreg.spec.renamed import replace_renamed
from nnreg.spec.sections import Spec
from nnreg.spec.source_text import SourceText as SpecText
from nnreg.spec.source_text import child

SpecSource: TypeAlias = "str | Path | Mapping[str, Any] | Document"


@dataclass(frozen=True)
class Document:
    """A validated spec: its sections, its JSON, and the components that it names.

    `tree` is the composed spec: with what it extends, with its variables replaced and its overrides
    applied. Relative paths in it start at `directory`; `origin` is the name of the file it was read
    from. `components` has what each name in it means, by the kind and the name as it is written;
    `registry` resolved them, and is used by everything built from it: if the document is read again
    with it, each name means the same. `texts` are
    the source files, with the spec's own last, and `overrides` the overrides applied to them, such
    as `train.epochs=5`; `origins` records which of these each value comes from.
    """

    spec: Spec
    tree: Mapping[str, Any]
    directory: Path
    origin: str
    components: Mapping[tuple[str, str], Entry]
    registry: Registry
    texts: tuple[SpecText, ...]
    origins: Origins
    overrides: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A short name for what is built from it."""
        return Path(self.origin).stem

    @property
    def text(self) -> str:
        """The source text of the spec, unchanged."""
        return self.texts[-1].text

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the JSON, not the components: their classes may be those of a plugin file."""
        providers = {key: entry.provider for key, entry in self.components.items()}
        text = (self.directory, self.origin, self.texts, self.origins, self.overrides)
        return _read_again, (self.tree, self.registry, text, providers)

    def __deepcopy__(self, memo: object) -> Document:
        """Return this document, which nothing changes."""
        return self

    def locating_errors(self) -> AbstractContextManager[None]:
        """Add source locations to a `SpecError` raised in this context."""
        return self.origins.locating_errors(self.origin)


def read_spec(
    source: SpecSource,
    overrides: Overrides = (),
    *,
    directory: Path | None = None,
    registry: Registry | None = None,
    recorded: Mapping[tuple[str, str], str] | None = None,
    written_by: Mapping[tuple[str, str], str] | None = None,
    run_plugin_file: bool = False,
) -> Document:
    """Read a spec from a file (`-` for standard input) or a mapping, and validate all of it.

    A file may extend others and name environment variables (see `compose`); a mapping is used as it
    is. `overrides` set values, as in `train.epochs=5` or `{"train.epochs": 5}`. An `nnregfile.py`
    in the directory of a file is run only with `run_plugin_file`, which is for training. `recorded`
    has the distributions that a checkpoint recorded, by kind and name, and `written_by` their
    versions, from which options are migrated; the document then has all options as in the installed
    versions.
    Raises `SpecError` with every problem, `MissingPluginError` for a requirement that is not
    installed.
    """
    overrides = as_tuple(overrides)
    if isinstance(source, Document) and not (overrides or directory or registry or written_by):
        return source
    composed, base, origin, plugin_directory = _composed(source)
    earlier: tuple[str, ...] = ()
    if isinstance(source, Document):
        registry, earlier = registry or source.registry, source.overrides
        recorded = source.registry.preferences.recorded
    if not isinstance(composed.tree, Mapping):
        raise SpecError([Problem("$", "must be a JSON object with a model, a loss, …")], origin)
    tree, origins = copy.deepcopy(dict(composed.tree)), composed.origins.copy()
    for override in overrides:
        apply_override(tree, override, origins)
    replace_renamed(tree, origins, origin)
    with origins.locating_errors(origin):
        if written_by is None:  # a checkpoint's spec passed this when it was given
            _check_secrets(tree)
        needed = requirements.check(tree.get("requires"), origin)
        registry = registry or installed()
        requirements.check_blocked(needed, registry, origin)
        if plugin_directory is not None:
            registry = registry.with_plugin_file(plugin_directory, run=run_plugin_file)
        required = tuple(dict.fromkeys(needed))
        registry = registry.preferring(Preferences(required, recorded or {}))
        reader = schema.Reader(registry, written_by)
        body = {key: value for key, value in tree.items() if key != "$schema"}
        try:
            spec = schema.read(Spec, body, reader, origin)
        finally:  # options of the other component may be the reason for an error
            _warn_of_shadowed_names(reader)
    if plugin_directory is not None:
        plugin_file.note_if_blocked(registry.of_file(plugin_directory / plugin_file.NAME))
    if reader.migrated:
        tree = schema.to_json(spec, registry)
        reader = schema.Reader(registry)  # for the names that were written
        spec = schema.read(Spec, tree, reader, origin)
    recorded = {key: entry.distribution for key, entry in reader.used.items()}
    registry = registry.preferring(Preferences(required, recorded))
    used, base, overrides = reader.used, directory or base, (*earlier, *overrides)
    return Document(spec, tree, base, origin, used, registry, composed.texts, origins, overrides)


def _warn_of_shadowed_names(reader: schema.Reader) -> None:
    """Warn of each name that means a built-in component, although a plugin has it too."""
    for kind, name in reader.used:
        if text := reader.registry.shadowed(kind, name):
            warnings.warn(text, NnregWarning, stacklevel=3)


def _read_again(
    tree: Mapping[str, Any],
    registry: Registry,
    text: tuple[Path, str, tuple[SpecText, ...], Origins, tuple[str, ...]],
    providers: Mapping[tuple[str, str], str],
) -> Document:
    """Return a pickled document. Raises `PluginError` if others provide its components here."""
    directory, origin, texts, origins, overrides = text
    recorded = registry.preferences.recorded
    document = read_spec(tree, directory=directory, registry=registry, recorded=recorded)
    for (kind, name), entry in document.components.items():
        if entry.provider != (provider := providers.get((kind, name))):
            raise PluginError(
                f"{origin}: the {kind} {name!r} was that of {provider} when the model was pickled, "
                f"here it is that of {entry.provider}; pass models between installations that "
                "differ with nnreg.save and nnreg.load"
            )
    return replace(document, origin=origin, texts=texts, origins=origins, overrides=overrides)


def _composed(source: SpecSource) -> tuple[ComposedSpec, Path, str, Path | None]:
    """Return a composed spec, its base directory, its name, and the directory of `nnregfile.py`."""
    if isinstance(source, Document):
        composed = ComposedSpec(source.tree, source.origins, source.texts)
        return composed, source.directory, source.origin, None
    if isinstance(source, Mapping):
        tree = _check_tree(source)
        text = SpecText("spec", json.dumps(tree, indent=2) + "\n")
        return ComposedSpec(tree, Origins(), (text,)), Path.cwd(), "spec", None
    name = str(source)
    if name == "-":
        return compose(name), Path.cwd(), "spec", None
    return compose(name), Path(name).resolve().parent, name, Path(name).parent


def _check_secrets(tree: Any) -> None:
    """Raise `SpecError` for each `${secret:NAME}` that is malformed, or where it has no meaning."""
    problems = []

    def check(path: str, text: str) -> str:
        if wrong := malformed(text):
            problems.append(Problem(path, f"{wrong!r} is not a secret; write ${{secret:NAME}}"))
        elif START in text and path not in FILE_PATHS and not path.startswith("$.data.source."):
            problem = "a secret can only be in the path of a file or in an option of data.source"
            problems.append(Problem(path, problem))
        return text

    replace_texts(tree, check)
    if problems:
        raise SpecError(problems)


def _check_tree(tree: Mapping[str, Any]) -> Any:
    """Check a spec given as a mapping as strictly as one from a file."""
    if EXTENDS in tree:
        problem = "only a spec in a file can extend others; pass the name of the file and overrides"
        raise SpecError([Problem(child("$", EXTENDS), problem)])
    try:
        return jsonc.loads(json.dumps(tree))
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError([Problem("$", f"not expressible as JSON: {error}")]) from error
