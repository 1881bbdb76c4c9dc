"""Ranks and gaps, from the lines that the workers printed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Scores = Mapping[str, Mapping[str, float]]
"""The mean score of each method, by table; minus infinity for one that failed on a split."""


def mean_scores(lines: Sequence[Mapping[str, Any]]) -> Scores:
    """Return the mean score of each method on each table."""
    found: dict[str, dict[str, list[float]]] = {}
    for line in lines:
        scores = found.setdefault(line["table"], {}).setdefault(line["method"], [])
        scores.append(line.get("score", -math.inf))
    return {
        table: {method: statistics.fmean(scores) for method, scores in methods.items()}
        for table, methods in found.items()
    }


def ranks(scores: Mapping[str, float]) -> dict[str, float]:
    """Return the rank of each method, the best first; equal ones share the mean rank."""
    return {
        method: 1
        + sum(other > score for other in scores.values())
        + (sum(other == score for other in scores.values()) - 1) / 2
        for method, score in scores.items()
    }


def mean_ranks(scores: Scores) -> dict[str, float]:
    """Return the mean rank of each method over the tables that all methods were measured on."""
    methods = {method for one in scores.values() for method in one}
    each = [ranks(one) for one in scores.values() if set(one) == methods]
    return {
        method: statistics.fmean(one[method] for one in each) for method in sorted(methods) if each
    }


def gaps(scores: Scores, method: str, other: str) -> dict[str, float]:
    """Return by how much a method is behind another, by table."""
    return {
        table: one[other] - one[method]
        for table, one in scores.items()
        if method in one and other in one
    }
