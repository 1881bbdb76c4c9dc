"""Checkpoints that attack their reader, each by a maker that can be run and read.

`python -m tests.security.attacks DIR` writes them all.
"""

from tests.security.attacks import arrays, document, header, links, plugins, spec, storage, types
from tests.security.harness import ATTACKS

__all__ = [
    "ATTACKS", "arrays", "document", "header", "links", "plugins", "spec", "storage", "types",
]  # fmt: skip
