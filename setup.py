"""What the distribution has besides what pyproject.toml states: the examples, and its description.

The examples in `models` become `nnreg/examples` in the wheel. An index shows README.md, in which
links to files of the repository are those of its address, `Source` in `project.urls`.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
NOT_EXAMPLES = {"README.md", "mnist.npz"}
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)]+)\)")


class BuildWithExamples(build_py):
    """Copies the package, and into a wheel also the examples."""

    def _get_data_files(self) -> list[tuple[str, str, str, list[str]]]:
        found: list[tuple[str, str, str, list[str]]] = super()._get_data_files()
        if not self.editable_mode:
            names = sorted(
                path.name
                for path in (ROOT / "models").iterdir()
                if path.is_file() and path.name not in NOT_EXAMPLES
            )
            target = str(Path(self.build_lib, "nnreg", "examples"))
            found.append(("nnreg.examples", "models", target, names))
        return found


def description(readme: str, address: str | None) -> str:
    """Return README.md for an index: without an address, with texts instead of links."""

    def absolute(match: re.Match[str]) -> str:
        picture, text, path = match.groups()
        if address is None:
            return "" if picture else text
        return f"{picture}[{text}]({address}/{'raw' if picture else 'blob'}/main/{path})"

    return LINK.sub(absolute, readme)


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    setup(
        cmdclass={"build_py": BuildWithExamples},
        long_description=description(
            (ROOT / "README.md").read_text(encoding="utf-8"), project.get("urls", {}).get("Source")
        ),
        long_description_content_type="text/markdown",
    )
