"""Adversarial checkpoints, each written by one function.

`python -m tests.security.attacks DIR` writes them all.
"""

from tests.security.attacks import (
    arrays,
    document,
    header,
    links,
    plugins,
    spec,
    storage,
    structures,
    types,
)
from tests.security.harness import ATTACKS

__all__ = [
    "ATTACKS", "arrays", "document", "header", "links", "plugins", "spec", "storage", "structures",
    "types",
]  # fmt: skip
