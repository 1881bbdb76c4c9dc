"""From raw rows to what a network takes: tables, splits, and the preprocessing learned on them."""

from __future__ import annotations
