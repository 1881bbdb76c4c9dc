"""The reference of components and of the spec, generated from the code."""

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
"""Options with which the chart of a schedule is more instructive than with the defaults."""


def components(kind: str) -> str:
    """Return a section for each built-in component of a kind."""
    own = [entry for entry in installed() if entry.kind == kind and entry.plugin == "nnreg"]
    return "\n".join(component(entry) for entry in own)


def component(entry: Entry) -> str:
    """Return the section of a component: formula, options, an example, a chart, its code."""
    described = describe(entry, installed())
    formula, _, rest = described["documentation"].partition("\n\n")
    file = Path(described["file"]).relative_to(Path(nnreg.__file__).parent.parent)
    parts = [f"## {entry.name}", "{.formula}\n" + plain(formula), plain(rest)]
    parts += [options(entry.cls)] if described["options"] else []
    parts += [f"```json\n{example(entry)}\n```", picture(entry)]
    parts += [f"[{file}](../../{file}), line {described['line']}"]
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
    """Return a link to a kind of component, or to a section of the spec."""
    if name in KINDS:
        return f"[{name}]({PAGES[name]}.md)"
    (path,) = (path for cls, path in paths().items() if cls.__name__ == name)
    return f"[{path}](#{path.replace('.', '')})"


def default(option: dict[str, Any], required: bool) -> str:
    """Return the default of an option as Markdown."""
    if required:
        return "*required*"
    value = option.get("default", "")
    if "$ref" in option and isinstance(value, dict) and "type" not in value:
        return "its defaults"
    return f"`{json.dumps(value, ensure_ascii=False)}`" if "default" in option else ""


def minimal(entry: Entry) -> dict[str, Any]:
    """Return a component with its required options only, set to example values."""
    body = SchemaWriter(installed()).options(entry.cls)
    values: dict[str, Any] = {"layers": [{"type": "dense", "units": 8}], "activation": "relu"}
    return {"type": entry.name, **{name: values.get(name, 8) for name in body["required"]}}


def instance(entry: Entry, given: dict[str, Any] | None = None) -> Component:
    """Return an instance of a component with its required options and the given ones."""
    base = KINDS[entry.kind][1]
    return read(base, minimal(entry) | (given or {}), Reader(installed()), entry.name)


def example(entry: Entry) -> str:
    """Return the component as in a spec, with all options."""
    tree = to_json(instance(entry), installed())
    if entry.kind == "layer":
        layer = tree if isinstance(tree, dict) else {"type": tree}
        line = json.dumps(layer)
        return line if len(line) <= WIDTH else json.dumps(layer, indent=2)
    if entry.kind == "metric":
        return f'"metrics": [{json.dumps(tree)}]'
    return f'"{entry.kind}": {json.dumps(tree)}'


def picture(entry: Entry) -> str:
    """Return the chart of an activation or a schedule as Markdown; empty for other kinds."""
    if entry.kind == "activation":
        svg = plots.file(instance(entry), entry.name, first_line(entry.cls))  # type: ignore[arg-type]
        return image(svg, f"{entry.name} and its derivative")
    if entry.kind == "schedule" and entry.cls is not Constant:
        given = DRAWN.get(entry.name, {})
        given_text = ", ".join(f"{name} {value}" for name, value in given.items())
        shown = f"{entry.name}: {given_text}" if given_text else entry.name
        drawn = instance(entry, given)
        svg = plots.file(drawn, shown, "factor of the learning rate")  # type: ignore[arg-type]
        return image(svg, shown)
    return ""


def first_line(cls: type) -> str:
    """Return the first line of a docstring."""
    return inspect.cleandoc(cls.__doc__ or "").split("\n")[0]


def sections() -> str:
    """Return the documentation of each section of a spec, with its path as heading."""
    parts = []
    for cls, path in paths().items():
        own = documented(cls)
        docstrings = [inspect.cleandoc(base.__doc__ or "") for base in cls.__mro__ if base in own]
        parts += [f"## {path}", *map(plain, docstrings), options(cls)]
    return "\n\n".join(parts)


def paths() -> dict[type[Configurable], str]:
    """Return the sections of a spec, and the first path of each."""
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
    """Return the class of a section and those of the sections that it inherits options from."""
    return {base for base in cls.__mro__ if issubclass(base, Configurable)} - {Configurable}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("components", directive(lambda found: components(found.arguments[0])))
    app.add_directive("spec-sections", directive(lambda _: sections()))
    return {"parallel_read_safe": True}
