"""The reference of the public names, written from signatures and docstrings."""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from markdown import WIDTH, directive, plain
from sphinx.application import Sphinx

import nnreg

ALIASES = {"Array", "Shape", "hookimpl"}
"""Names of `nnreg` that are neither functions nor classes of its own."""


PLUGINS = {"interfaces", "tables"}
"""Packages whose names are for plugins, as are types with bounds only, such as `Count`."""


INTERNAL = {"ModelParts"}
"""Bases whose names are for other packages of nnreg."""


class Bare(str):
    """An annotation that is written without quotes, as in the code."""

    __slots__ = ()
    __repr__ = str.__str__


def api(subject: str) -> str:
    """Return a section for each public name of a subject.

    These are `calls`, `errors`, `interfaces`, and `estimators`, which need scikit-learn.
    """
    if subject == "estimators":
        from nnreg import sklearn

        return "\n\n".join(section(name, getattr(sklearn, name)) for name in sklearn.__all__)
    public = {name: getattr(nnreg, name) for name in nnreg.__all__ if name not in ALIASES}
    ordered = sorted(public.items(), key=lambda item: inspect.isclass(item[1]))  # functions first
    chosen = {name: thing for name, thing in ordered if subject_of(thing) == subject}
    return "\n\n".join(section(name, thing) for name, thing in (chosen | returned(chosen)).items())


def returned(public: dict[str, Any]) -> dict[str, Any]:
    """Return the classes of nnreg that functions return and that have no section of their own."""
    functions = (one for one in public.values() if isinstance(one, FunctionType))
    found = (one.__globals__.get(one.__annotations__["return"]) for one in functions)
    own = (one for one in found if inspect.isclass(one) and one.__module__.startswith("nnreg."))
    return {one.__name__: one for one in own if one.__name__ not in public}


def subject_of(thing: Any) -> str:
    """Return the page on which a function or a class is documented."""
    if not thing.__module__.startswith("nnreg.") or thing.__module__.split(".")[1] in PLUGINS:
        return "interfaces"
    is_error = inspect.isclass(thing) and issubclass(thing, Exception)
    return "errors" if is_error else "calls"


def section(name: str, thing: Any) -> str:
    """Return the section of a type with bounds, a function, or a class with its methods."""
    head = f"## {name}"
    if not thing.__module__.startswith("nnreg."):
        return f"{head}\n\n```python\n{name} = {thing!r}\n```".replace("typing.", "")
    if not inspect.isclass(thing):
        return "\n\n".join([head, signature(f"nnreg.{name}", thing), prose(thing)])
    parts = described(thing)
    methods = [method(*member) for part in parts for member in members(part)]
    values = [] if name in nnreg.__all__ or not dataclasses.is_dataclass(thing) else [fields(thing)]
    return "\n\n".join([head, *map(prose, parts), *values, *methods])


def fields(cls: Any) -> str:
    """Return the attributes of a dataclass, with their types."""
    lines = (f"{field.name}: {field.type}\n" for field in dataclasses.fields(cls))
    return f"```python\n{''.join(lines)}```"


def described(cls: type) -> list[type]:
    """Return a class, after those bases with members that have no section of their own."""
    public = [getattr(nnreg, name) for name in nnreg.__all__]
    bases = [base for base in cls.__mro__[:0:-1] if base.__module__.startswith("nnreg.")]
    bases = [base for base in bases if base.__name__ not in INTERNAL]
    return [*(base for base in bases if base not in public and any(members(base))), cls]


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the public members of a class, in the order of its code."""
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        if callable(member) or isinstance(member, property | classmethod):
            yield name, member
        elif hasattr(member, "__wrapped__"):  # a method that some instances lack
            yield name, member.__wrapped__


def method(name: str, member: Any) -> str:
    """Return the paragraphs of a method or a property."""
    if isinstance(member, property):
        return f"```python\n{name}\n```\n\n{prose(member)}"
    return f"{signature(name, getattr(member, '__func__', member))}\n\n{prose(member)}"


def signature(name: str, function: Any) -> str:
    """Return the signature of a function, one argument per line if it is long."""
    given = inspect.signature(function)
    bare = [
        parameter.replace(annotation=Bare(parameter.annotation))
        for parameter in given.parameters.values()
        if parameter.name not in ("self", "cls")
    ]
    text = str(given.replace(parameters=bare, return_annotation=Bare(given.return_annotation)))
    if len(name + text) > WIDTH:
        keywords = [p for p in bare if p.kind is p.KEYWORD_ONLY]
        lines = [str(p) for p in bare if p not in keywords]
        lines += ["*", *map(str, keywords)] if keywords else []
        arguments = "".join(f"    {line},\n" for line in lines)
        text = f"(\n{arguments}) -> {given.return_annotation}"
    return f"```python\n{name}{text}\n```"


def prose(thing: Any) -> str:
    """Return a docstring as Markdown, in which a block such as `Arguments:` becomes a list."""
    lines = list[str]()
    for line in (inspect.getdoc(thing) or "").split("\n"):
        entry = re.fullmatch(r" {4}(\w.*?): (.*)", line)
        if entry is None:
            lines.append(plain(line.strip()))
        else:
            lines += ["", f"* {plain(entry[1])}: {plain(entry[2])}"]
    return "\n".join(lines)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("api", directive(lambda found: api(found.arguments[0])))
    return {"parallel_read_safe": True}
