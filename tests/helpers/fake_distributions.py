"""Plugins for tests: their code, as files and as installed distributions."""

import importlib.metadata
import sys

SWISH = """
from dataclasses import dataclass
from nnreg import Activation, hookimpl

@dataclass(frozen=True)
class Swish(Activation):
    '''y = x * sigmoid(beta * x)'''

    beta: float = 1.0

    def forward(self, x):
        return x * self.beta, lambda dy: dy * self.beta

@hookimpl
def nnreg_activations():
    return {NAME: Swish}
"""


def swish(name="swish"):
    """Return the code of a plugin with one activation."""
    return SWISH.replace("NAME", repr(name))


def distribution(
    directory, name, code, *, plugin="plugin", version="1.2", requires=(), commands=()
):
    """Write a distribution with one plugin module into a directory; return its entry point."""
    module = name.replace("-", "_")
    (directory / f"{module}.py").write_text(code)
    info = directory / f"{module}-{version}.dist-info"
    info.mkdir()
    lines = [f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    declared = [f"[nnreg]\n{plugin} = {module}", *(["[nnreg.commands]"] if commands else [])]
    declared += [f"{command} = {module}" for command in commands]
    (info / "entry_points.txt").write_text("\n".join(declared) + "\n")
    sys.modules.pop(module, None)
    return next(iter(importlib.metadata.PathDistribution(info).entry_points))


def counting(name, log):
    """Return the code of a plugin that writes a line to a file when it is imported."""
    write = f"with open({str(log)!r}, 'a') as log:\n    log.write('{name}\\n')\n"
    return write + swish(name)


def many(directory, log, count=30):
    """Install `count` plugins, each with one activation; each import is written to `log`."""
    for index in range(count):
        name = f"swish{index}"
        distribution(directory, f"nnreg-{name}", counting(name, log), plugin=name,
                     requires=["nnreg>=0.1", "numpy"])  # fmt: skip
