"""Plugins made up on the spot: their code, as files and as installed distributions."""

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
    """Return the code of a plugin that provides one activation."""
    return SWISH.replace("NAME", repr(name))


def distribution(directory, name, code, *, plugin="plugin", version="1.2", requires=()):
    """Put a distribution with one plugin module in a folder; return its entry point."""
    module = name.replace("-", "_")
    (directory / f"{module}.py").write_text(code)
    info = directory / f"{module}-{version}.dist-info"
    info.mkdir()
    lines = [f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    (info / "entry_points.txt").write_text(f"[nnreg]\n{plugin} = {module}\n")
    sys.modules.pop(module, None)
    return next(iter(importlib.metadata.PathDistribution(info).entry_points))


def counting(name, log):
    """Return the code of a plugin that writes a line to a file when it is imported."""
    note = f"with open({str(log)!r}, 'a') as log:\n    log.write('{name}\\n')\n"
    return note + swish(name)


def many(directory, log, count=30):
    """Install so many plugins, each with one activation; `log` hears of every import."""
    for index in range(count):
        name = f"swish{index}"
        distribution(directory, f"nnreg-{name}", counting(name, log), plugin=name,
                     requires=["nnreg>=0.1", "numpy"])  # fmt: skip
