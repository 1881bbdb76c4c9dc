"""The layers, one file a family."""

from __future__ import annotations
