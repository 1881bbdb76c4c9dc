"""The spec: its sections, and reading it from a file with the overrides of `--set`."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from nnreg.errors import Problem, SpecError
from nnreg.registry import requirements
from nnreg.registry.registry import Entry, Registry, installed
from nnreg.spec import jsonc
from nnreg.spec import validation as schema
from nnreg.spec.compose import EXTENDS, ComposedSpec, Origins, apply_override, as_tuple, compose
from nnreg.spec.renamed import replace_renamed
from nnreg.spec.sections import Spec
from nnreg.spec.source_text import SourceText as SpecText
from nnreg.spec.source_text import child

SpecSource: TypeAlias = "str | Path | Mapping[str, Any] | Document"


@dataclass(frozen=True)
class Document:
    """A spec that was read: its sections, the JSON they came from, and who provides what it names.

    `tree` is the whole spec, with what it extends, its variables and overrides. Relative paths in
    it start at `directory`; `origin` says where it came from. `registry` is what it was read with,
    and what everything made of it asks. `texts` are the files as they were given, the spec's own
    the last, and `overrides`, such as `train.epochs=5`, change them; `origins` says which of all
    these gave a value.
    """

    spec: Spec
    tree: Mapping[str, Any]
    directory: Path
    origin: str
    components: tuple[Entry, ...]
    registry: Registry
    texts: tuple[SpecText, ...]
    origins: Origins
    overrides: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """A short name for what is made of it."""
        return Path(self.origin).stem

    @property
    def text(self) -> str:
        """The spec as it was given, to the byte."""
        return self.texts[-1].text

    def locating_errors(self) -> AbstractContextManager[None]:
        """Say of a `SpecError` that is raised meanwhile in which line its problems are."""
        return self.origins.locating_errors(self.origin)


def read_spec(
    source: SpecSource,
    overrides: Iterable[str] = (),
    *,
    directory: Path | None = None,
    registry: Registry | None = None,
    written_by: Mapping[tuple[str, str], str] | None = None,
) -> Document:
    """Read a spec from a file (`-` for standard input) or a mapping, and validate all of it.

    A file may extend others and name environment variables (see `composing`); a mapping is taken as
    it is. `overrides` set values, as in `train.epochs=5`. An `nnregfile.py` in the directory of a
    file is loaded as a plugin. `written_by` has the versions of components from which their options
    are migrated; the document then has all options, as they are now. Raises `SpecError` with every
    problem, `MissingPluginError` for what the spec requires and is not installed.
    """
    overrides = as_tuple(overrides)
    if isinstance(source, Document) and not (overrides or directory or registry or written_by):
        return source
    composed, base, origin, beside = _composed(source)
    earlier: tuple[str, ...] = ()
    if isinstance(source, Document):
        registry, earlier = registry or source.registry, source.overrides
    if not isinstance(composed.tree, Mapping):
        raise SpecError([Problem("$", "must be a JSON object with a model, a loss, …")], origin)
    changed, origins = copy.deepcopy(dict(composed.tree)), composed.origins.copy()
    for text in overrides:
        apply_override(changed, text, origins)
    replace_renamed(changed, origins, origin)
    with origins.locating_errors(origin):
        needed = requirements.check(changed.get("requires"), origin)
        registry = registry or installed()
        requirements.check_blocked(needed, registry, origin)
        if beside is not None:
            registry = registry.with_plugin_file(beside)
        reader = schema.Reader(registry, written_by)
        body = {key: value for key, value in changed.items() if key != "$schema"}
        spec = schema.read(Spec, body, reader, origin)
    if reader.migrated:
        changed = schema.to_json(spec, registry)
    used, base, overrides = tuple(reader.used.values()), directory or base, (*earlier, *overrides)
    return Document(spec, changed, base, origin, used, registry, composed.texts, origins, overrides)


def _composed(source: SpecSource) -> tuple[ComposedSpec, Path, str, Path | None]:
    """Return a spec's tree, the folder its paths begin at, its name, and that of `nnregfile.py`."""
    if isinstance(source, Document):
        whole = ComposedSpec(source.tree, source.origins, source.texts)
        return whole, source.directory, source.origin, None
    if isinstance(source, Mapping):
        tree = _check_tree(source)
        text = SpecText("spec", json.dumps(tree, indent=2) + "\n")
        return ComposedSpec(tree, Origins(), (text,)), Path.cwd(), "spec", None
    name = str(source)
    if name == "-":
        return compose(name), Path.cwd(), "spec", None
    return compose(name), Path(name).resolve().parent, name, Path(name).parent


def _check_tree(tree: Mapping[str, Any]) -> Any:
    """Check a spec built in Python as strictly as one from a file."""
    if EXTENDS in tree:
        problem = "only a spec in a file extends others; give its name, and overrides"
        raise SpecError([Problem(child("$", EXTENDS), problem)])
    try:
        return jsonc.loads(json.dumps(tree))
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError([Problem("$", f"not expressible as JSON: {error}")]) from error
