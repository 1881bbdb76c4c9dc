"""The reference of components and of the spec, written from what the code says of itself."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

from markdown import WIDTH, directive, image, plain, table
from sphinx.application import Sphinx

import nnreg
from nnreg.builtin.schedules import Constant
from nnreg.interfaces import Component, Configurable
from nnreg.plotting import components as plots
from nnreg.registry.registry import KINDS, Entry, installed
from nnreg.spec.component_reference import describe, type_text
from nnreg.spec.json_schema import SchemaWriter
from nnreg.spec.sections import SECTIONS, Spec
from nnreg.spec.validation import Reader, read, to_json

PAGES = {"initializer": "initializers", "metric": "metrics", "loss": "losses", "layer": "layers",
         "optimizer": "optimizers", "schedule": "schedules", "activation": "activations",
         "kernels": "kernels", "source": "sources"}  # fmt: skip
"""The page of each kind of component."""

DRAWN = {
    "warmup": {"epochs": 10, "after": "cosine"},
    "cosine": {"restarts": 2},
    "step": {"every": 20},
}
"""Options of schedules that show better what they do than the defaults."""


def components(kind: str) -> str:
    """Return a section for each component of a kind that comes with nnreg."""
    own = [entry for entry in installed() if entry.kind == kind and entry.plugin == "nnreg"]
    return "\n".join(component(entry) for entry in own)


def component(entry: Entry) -> str:
    """Return the section of a component: formula, options, an example, a picture, its code."""
    told = describe(entry, installed())
    formula, _, rest = told["documentation"].partition("\n\n")
    file = Path(told["file"]).relative_to(Path(nnreg.__file__).parent.parent)
    parts = [f"## {entry.name}", "{.formula}\n" + plain(formula), plain(rest)]
    parts += [options(entry.cls)] if told["options"] else []
    parts += [f"```json\n{example(entry)}\n```", picture(entry)]
    parts += [f"[{file}](../../{file}), line {told['line']}"]
    return "\n\n".join(part for part in parts if part) + "\n"


def options(cls: type[Configurable]) -> str:
    """Return the table of the options of a component or a section."""
    body = SchemaWriter(installed()).options(cls)
    return table(
        ["Option", "Type", "Default"],
        [
            [f"`{name}`", type_text(option, link), default(option, name in body["required"])]
            for name, option in body["properties"].items()
        ],
    )


def link(name: str) -> str:
    """Return a link to what a type names: a kind of component, or a section of the spec."""
    if name in KINDS:
        return f"[{name}]({PAGES[name]}.md)"
    (path,) = (path for cls, path in paths().items() if cls.__name__ == name)
    return f"[{path}](#{path.replace('.', '')})"


def default(option: dict[str, Any], required: bool) -> str:
    """Return what an option is where a spec does not give it."""
    if required:
        return "*required*"
    value = option.get("default", "")
    if "$ref" in option and isinstance(value, dict) and "type" not in value:
        return "its defaults"
    return f"`{json.dumps(value, ensure_ascii=False)}`" if "default" in option else ""


def minimal(entry: Entry) -> dict[str, Any]:
    """Return the least that a spec must say of a component, with values that it could have."""
    body = SchemaWriter(installed()).options(entry.cls)
    values: dict[str, Any] = {"layers": [{"type": "dense", "units": 8}], "activation": "relu"}
    return {"type": entry.name, **{name: values.get(name, 8) for name in body["required"]}}


def instance(entry: Entry, given: dict[str, Any] | None = None) -> Component:
    """Return a component with the options that it must have, and those that are given."""
    base = KINDS[entry.kind][1]
    return read(base, minimal(entry) | (given or {}), Reader(installed()), entry.name)


def example(entry: Entry) -> str:
    """Return how a spec has the component, with every option."""
    tree = to_json(instance(entry), installed())
    if entry.kind == "layer":
        layer = tree if isinstance(tree, dict) else {"type": tree}
        line = json.dumps(layer)
        return line if len(line) <= WIDTH else json.dumps(layer, indent=2)
    if entry.kind == "metric":
        return f'"metrics": [{json.dumps(tree)}]'
    return f'"{entry.kind}": {json.dumps(tree)}'


def picture(entry: Entry) -> str:
    """Return the curve of an activation or a schedule as Markdown, and nothing of others."""
    if entry.kind == "activation":
        svg = plots.file(instance(entry), entry.name, first_line(entry.cls))  # type: ignore[arg-type]
        return image(svg, f"{entry.name} and its derivative")
    if entry.kind == "schedule" and entry.cls is not Constant:
        given = DRAWN.get(entry.name, {})
        words = ", ".join(f"{name} {value}" for name, value in given.items())
        shown = f"{entry.name}: {words}" if words else entry.name
        drawn = instance(entry, given)
        svg = plots.file(drawn, shown, "what the learning rate is multiplied by")  # type: ignore[arg-type]
        return image(svg, shown)
    return ""


def first_line(cls: type) -> str:
    """Return the first line of a docstring."""
    return inspect.cleandoc(cls.__doc__ or "").split("\n")[0]


def sections() -> str:
    """Return a section for each part of a spec, named by where it is."""
    parts = []
    for cls, path in paths().items():
        own = documented(cls)
        words = [inspect.cleandoc(part.__doc__ or "") for part in cls.__mro__ if part in own]
        parts += [f"## {path}", *map(plain, words), options(cls)]
    return "\n\n".join(parts)


def paths() -> dict[type[Configurable], str]:
    """Return the sections of a spec, and where in it they are first named."""
    known = {cls.__name__: cls for cls in SECTIONS}
    found: dict[type[Configurable], str] = {Spec: "The whole"}
    queue: list[type[Configurable]] = [Spec]
    for cls in queue:
        for option, schema in SchemaWriter(installed()).options(cls)["properties"].items():
            for name in re.findall(r"#/\$defs/(\w+)", json.dumps(schema)):
                if name in known and known[name] not in found:
                    inside = "" if cls is Spec else f"{found[cls]}."
                    found[known[name]] = f"{inside}{option}"
                    queue.append(known[name])
    return found


def documented(cls: type[Configurable]) -> set[type]:
    """Return a section's class and those of the sections that it takes options from."""
    return {part for part in cls.__mro__ if issubclass(part, Configurable)} - {Configurable}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("components", directive(lambda found: components(found.arguments[0])))
    app.add_directive("spec-sections", directive(lambda _: sections()))
    return {"parallel_read_safe": True}
