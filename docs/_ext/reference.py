"""The reference of components and of the spec, written from docstrings and annotations."""

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
from nnreg.registry.kinds import KINDS
from nnreg.registry.names import Entry
from nnreg.registry.registry import installed
from nnreg.spec.component_reference import describe, type_text
from nnreg.spec.docstrings import parse_docstring
from nnreg.spec.json_schema import SchemaWriter
from nnreg.spec.sections import SECTIONS, Spec
from nnreg.spec.validation import Reader, read, to_json

PAGES = {"initializer": "initializers", "metric": "metrics", "loss": "losses", "layer": "layers",
         "optimizer": "optimizers", "schedule": "schedules", "activation": "activations",
         "kernels": "kernels", "source": "sources", "regularizer": "regularizers",
         "constraint": "constraints", "encoder": "encoders", "exporter": "exporters",
         "executor": "executors", "augmentation": "augmentations"}  # fmt: skip
"""The page of each kind of component."""

DRAWN = {
    "warmup": {"epochs": 10, "after": "cosine"},
    "cosine": {"restarts": 2},
    "step": {"every": 20},
}
"""Options with which pictures of schedules show more than with the defaults."""


def components(kind: str) -> str:
    """Return a section for each component of a kind that comes with nnreg."""
    own = [entry for entry in installed() if entry.kind == kind and entry.plugin == "nnreg"]
    return "\n".join(component(entry) for entry in own)


def component(entry: Entry) -> str:
    """Return the section of a component: formula, options, an example, a picture, its code."""
    described = describe(entry, installed())
    file = Path(described["file"]).relative_to(Path(nnreg.__file__).parent.parent)
    parts = [f"## {entry.name}", prose(described["documentation"], described["formula"])]
    parts += [options(entry.cls)] if described["options"] else []
    parts += [arrays(block, described[block]) for block in ("parameters", "buffers")]
    parts += [learned(described["learned"])]
    language = "sh" if entry.kind in ("exporter", "executor") else "json"
    parts += [f"```{language}\n{example(entry)}\n```", picture(entry)]
    parts += [f"[{file}](../../{file}), line {described['line']}"]
    return "\n\n".join(part for part in parts if part) + "\n"


def prose(text: str, formula: str) -> str:
    """Return the prose of a docstring, its formula set off."""
    return "\n\n".join(
        "{.formula}\n" + plain(paragraph) if paragraph == formula else plain(paragraph)
        for paragraph in text.split("\n\n")
    )


def options(cls: type[Configurable]) -> str:
    """Return the table of the options of a component or a section."""
    body = SchemaWriter(installed()).options(cls)
    head = ["Option", "Type", "Default", "Meaning"]
    rows = [
        [
            f"`{name}`",
            type_text(option, link),
            default(option, name in body["required"]),
            plain(option.get("description", "")),
        ]
        for name, option in body["properties"].items()
    ]
    if not any(row[-1] for row in rows):
        head, rows = head[:-1], [row[:-1] for row in rows]
    return table(head, rows)


def arrays(block: str, lines: list[dict[str, str]]) -> str:
    """Return the table of a layer's parameters or buffers; nothing if it has none."""
    if not lines:
        return ""
    rows = [[f"`{line['name']}`", plain(line["shape"])] for line in lines]
    return table([block.removesuffix("s").capitalize(), "Shape"], rows)


def learned(lines: list[dict[str, str]]) -> str:
    """Return the table of what an encoder learns; nothing if it learns nothing."""
    rows = [[f"`{line['name']}`", plain(line["meaning"])] for line in lines]
    return table(["Learned", "Meaning"], rows) if rows else ""


def link(name: str) -> str:
    """Return a link to the kind of component or the section of the spec that a type names."""
    if name in KINDS:
        return f"[{name}]({PAGES[name]}.md)"
    (path,) = (path for cls, path in paths().items() if cls.__name__ == name)
    return f"[{path}](#{path.replace('.', '')})"


def default(option: dict[str, Any], required: bool) -> str:
    """Return the value of an option that a spec does not give."""
    if required:
        return "*required*"
    value = option.get("default", "")
    if "$ref" in option and isinstance(value, dict) and "type" not in value:
        return "its defaults"
    return f"`{json.dumps(value, ensure_ascii=False)}`" if "default" in option else ""


def minimal(entry: Entry) -> dict[str, Any]:
    """Return the required options of a component, with possible values."""
    body = SchemaWriter(installed()).options(entry.cls)
    values: dict[str, Any] = {
        "layers": [{"type": "dense", "units": 8}],
        "activation": "relu",
        "axes": [2, 1],
        "shape": [4, 8],
        "layer": {"type": "dense", "units": 8},
        "equation": "abc,cd->abd",
        "output_shape": [None, 8],
        "std": 0.1,
        "scale": 0.1,
        "factor": 0.1,
        "height_factor": 0.1,
        "width_factor": 0.1,
    }
    return {"type": entry.name, **{name: values.get(name, 8) for name in body["required"]}}


def instance(entry: Entry, given: dict[str, Any] | None = None) -> Component:
    """Return a component with the required options and those that are given."""
    base = KINDS[entry.kind][1]
    return read(base, minimal(entry) | (given or {}), Reader(installed()), entry.name)


def example(entry: Entry) -> str:
    """Return the component as written in a spec, with every option."""
    tree = to_json(instance(entry), installed())
    if entry.kind == "layer":
        layer = tree if isinstance(tree, dict) else {"type": tree}
        line = json.dumps(layer)
        return line if len(line) <= WIDTH else json.dumps(layer, indent=2)
    if entry.kind == "metric":
        return f'"metrics": [{json.dumps(tree)}]'
    if entry.kind == "augmentation":
        return f'"augment": {json.dumps(tree)}'
    if entry.kind in ("regularizer", "constraint"):
        key = "regularize" if entry.kind == "regularizer" else "constrain"
        return f'"{key}": {{"layers/*/weight": {json.dumps(tree)}}}'
    if entry.kind == "exporter":
        return f"nnreg export RUN --to {entry.name} --out PATH"
    if entry.kind == "executor":
        return f"nnreg sweep SWEEP --on {entry.name}"
    if entry.kind == "encoder":
        return f'"columns": {{"x": {json.dumps(tree)}}}'
    return f'"{entry.kind}": {json.dumps(tree)}'


def picture(entry: Entry) -> str:
    """Return the curve of an activation or a schedule as Markdown, an empty string for others."""
    if entry.kind == "activation":
        formula = describe(entry, installed())["formula"]
        svg = plots.file(instance(entry), entry.name, formula)  # type: ignore[arg-type]
        return image(svg, f"{entry.name} and its derivative")
    if entry.kind == "schedule" and entry.cls is not Constant:
        given = DRAWN.get(entry.name, {})
        values = ", ".join(f"{name} {value}" for name, value in given.items())
        shown = f"{entry.name}: {values}" if values else entry.name
        drawn = instance(entry, given)
        svg = plots.file(drawn, shown, "factor of the learning rate")  # type: ignore[arg-type]
        return image(svg, shown)
    return ""


def sections() -> str:
    """Return a section for each section of a spec, named by its path."""
    parts = []
    for cls, path in paths().items():
        own = documented(cls)
        texts = [parse_docstring(part.__doc__).prose for part in cls.__mro__ if part in own]
        parts += [f"## {path}", *map(plain, texts), options(cls)]
    return "\n\n".join(parts)


def paths() -> dict[type[Configurable], str]:
    """Return the sections of a spec, and the path at which each first occurs."""
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
