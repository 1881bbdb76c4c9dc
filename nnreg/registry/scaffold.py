"""A new distribution with one component, generated from the files in `templates`.

Each template is a working file for a component `my_component` of the distribution
`nnreg-my-plugin`; generating a distribution replaces these names.
"""

from __future__ import annotations

import datetime
import importlib.resources
import importlib.util
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from nnreg import interfaces
from nnreg._utils import json_text
from nnreg._utils.atomic_files import replace_text
from nnreg.errors import UsageError
from nnreg.registry.loading import canonical

USAGE: Mapping[str, str] = {
    "activation": '{"type": "dense", "units": 16, "activation": "my_component"}',
    "loss": '{"loss": "my_component"}',
    "layer": '{"type": "my_component"}',
    "optimizer": '{"optimizer": "my_component"}',
    "schedule": '{"schedule": "my_component"}',
    "regularizer": '{"train": {"regularize": {"*weight": "my_component"}}}',
    "constraint": '{"train": {"constrain": {"*weight": "my_component"}}}',
    "augmentation": '{"train": {"augment": "my_component"}}',
    "metric": '{"metrics": ["my_component"]}',
    "source": '{"data": {"source": "my_component", "path": "data.jsonl", "target": "species"}}',
    "encoder": '{"data": {"columns": {"review": "my_component"}}}',
}
"""For each kind with a template, the part of a spec that names a component."""

COMMANDS: Mapping[str, str] = {
    "exporter": "nnreg export RUN --to my_component --out model.json",
    "executor": "nnreg sweep SWEEP --on my_component",
}
"""For other kinds with a template, the command that names a component."""

FORMULAS = ("activation", "loss", "layer")
"""The kinds of components that may define a formula alone."""


@dataclass(frozen=True)
class Scaffold:
    """A distribution to generate: its name, and the kind and name of its component.

    `license` is the name of a text in `templates/licenses`, or `none`. With `formula`, a layer,
    loss or activation defines its formula alone. Raises `UsageError` for a
    name that pip, Python or a spec would not accept.
    """

    distribution: str
    kind: str
    component: str
    license: str = "MIT"
    author: str = ""
    formula: bool = False

    TEMPLATES: ClassVar[Any] = importlib.resources.files("nnreg") / "templates"

    def __post_init__(self) -> None:
        if self.formula and self.kind not in FORMULAS:
            raise UsageError(
                f"--formula is for {', '.join(FORMULAS)}; a plugin with the {self.kind} "
                f"{self.component!r} cannot have it"
            )
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", self.distribution):
            raise UsageError(
                f"{self.distribution!r} cannot be the name of a distribution: use letters, digits "
                "and - between them, as in nnreg-mish"
            )
        if not self.module.isidentifier() or keyword.iskeyword(self.module):
            raise UsageError(
                f"{self.distribution!r} would give a module {self.module!r}, which Python cannot "
                "import; begin with a letter, as in nnreg-mish"
            )
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.component):
            raise UsageError(
                f"{self.component!r} cannot be the name of a component: use lowercase letters, "
                "digits and _, as in hard_mish"
            )
        if hasattr(interfaces, self.class_name) or keyword.iskeyword(self.class_name):
            raise UsageError(
                f"the class of a component {self.component!r} would be {self.class_name}, which "
                "nnreg has already; choose another name"
            )

    @property
    def module(self) -> str:
        """The name of the module, as in `nnreg_mish`."""
        return canonical(self.distribution).replace("-", "_")

    @property
    def class_name(self) -> str:
        """The name of the class, as in `HardMish`."""
        return "".join(part[:1].upper() + part[1:] for part in self.component.split("_"))

    def files(self) -> dict[str, str]:
        """Return the text of each file, by its path in the distribution's directory."""
        sources = {
            "pyproject.toml": "project.toml",
            "README.md": "README.md",
            ".gitignore": "gitignore",
            f"{self.module}.py": f"{self._template}.py",
            "tests/test_conformance.py": "test_conformance.py",
            f"tests/test_{self.component}.py": f"test_{self.kind}.py",
        }
        if self.license != "none":
            sources["LICENSE"] = f"licenses/{self.license}"
        texts = {path: self._text(source) for path, source in sources.items()}
        if self.formula:
            project = texts["pyproject.toml"]
            texts["pyproject.toml"] = project.replace('"nnreg>=0.1"', '"nnreg[autograd]>=0.1"')
        if self.license == "none":
            texts["pyproject.toml"] = _without(texts["pyproject.toml"], "license")
        if not self.author:
            texts["pyproject.toml"] = _without(texts["pyproject.toml"], "authors")
        return texts

    @property
    def _template(self) -> str:
        """The name of the component's template; an activation's has a formula alone."""
        own = self.formula and self.kind in ("layer", "loss")
        return f"{self.kind}_formula" if own else self.kind

    def write(self, directory: Path) -> list[Path]:
        """Write the files into a new directory. Raises `UsageError` if it exists already."""
        if self._is_taken():
            raise UsageError(
                f"a module {self.module!r} is installed already, and two modules of one name "
                "cannot both be imported; choose another name"
            )
        texts = self.files()
        try:
            directory.mkdir(parents=True)
        except FileExistsError as error:
            raise UsageError(f"{directory} exists already; nothing was written") from error
        for path, text in texts.items():
            target = directory / path
            target.parent.mkdir(exist_ok=True)
            replace_text(target, text)
        return [directory / path for path in texts]

    def _text(self, source: str) -> str:
        text: str = (self.TEMPLATES / source).read_text(encoding="utf-8")
        author = self.author or f"The authors of {self.distribution}"
        replacements = {
            '"AUTHOR"': json_text.dumps(author, ensure_ascii=False),
            "AUTHOR": author,
            "YEAR": str(datetime.date.today().year),
            "LICENSE-ID": self.license,
            "USAGE": self._usage,
            "KIND": {"source": "data source", "schedule": "learning-rate schedule"}.get(
                self.kind, self.kind
            ),
            "nnreg-my-plugin": self.distribution,
            "nnreg_my_plugin": self.module,
            "my_component": self.component,
            "MyComponent": self.class_name,
        }
        for placeholder, value in replacements.items():
            text = text.replace(placeholder, value)
        return text

    @property
    def _usage(self) -> str:
        if self.kind in COMMANDS:
            return f"On the command line:\n\n    {COMMANDS[self.kind]}"
        return f"In a spec:\n\n```json\n{USAGE[self.kind]}\n```"

    def _is_taken(self) -> bool:
        return importlib.util.find_spec(self.module) is not None


def _without(text: str, key: str) -> str:
    """Remove the lines of a TOML text that set a key, or a key that begins with it and a dash."""
    return re.sub(rf"(?m)^{key}(-\w+)? = .*\n", "", text)
