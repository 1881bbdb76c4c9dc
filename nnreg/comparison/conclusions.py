"""What the runs of a comparison show, and what they do not, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from nnreg._utils.formatting import counted
from nnreg.comparison.compared import ComparedRuns
from nnreg.comparison.groups import Difference, Group
from nnreg.comparison.statistics import MAX_NEEDED
from nnreg.comparison.tables import p_text, rounding_of

MAX_SENTENCES = 5
"""The most groups that are listed, or have a sentence of their own."""

NO_NOISE = (
    "each spec has one run, so nothing can be concluded about noise: repeat each with other seeds, "
    "such as --set seed=1"
)

FEW_RUNS = 5
"""Below this number of differences, only large ones exceed the noise."""


def conclusions(comparison: ComparedRuns, metric: str) -> list[str]:
    """Return what the differences between the groups in a metric say, in sentences."""
    groups = comparison.ranked(metric)
    if len(groups) < 2:
        return []
    if not comparison.repeated:
        return [NO_NOISE]
    found = [(one, one.differences[metric]) for one in groups if metric in one.differences]
    lines = [*_single(groups), *_differences(comparison, metric, found)]
    return lines + (_conditions(groups, found) if found else [])


def _single(groups: Sequence[Group]) -> list[str]:
    single = [group.name for group in groups if len(group.runs) == 1]
    if not single:
        return []
    return [f"nothing is known about the noise of groups with one run: {_listed(single)}"]


def _differences(
    comparison: ComparedRuns, metric: str, found: Sequence[tuple[Group, Difference]]
) -> list[str]:
    reference = comparison.references.get(metric)
    apart = [group.name for group, one in found if not one.within_noise]
    within = [(group, one) for group, one in found if one.within_noise]
    rounding = rounding_of(group.metrics[metric].std for group in comparison.groups
                           if metric in group.metrics)  # fmt: skip
    lines = []
    if apart:
        lines.append(f"{reference} differs by more than noise from: {_listed(apart)}")
    if len(within) > MAX_SENTENCES:
        return [*lines, f"{len(within)} of {len(found)} groups are within noise of {reference}"]
    for group, one in within:
        if one.low == one.high:
            why = f"all differences are {rounding.text(one.mean, signed=True)}, so noise is unknown"
        elif one.low <= 0 <= one.high:
            interval = rounding.interval(one.low, one.high, signed=True)
            why = f"the interval of the difference includes 0, {interval}{_needed(one)}"
        else:
            p = p_text(one.adjusted_p)
            why = f"the interval excludes 0, but p adjusted for {len(found)} comparisons is {p}"
        lines.append(f"{group.name} is within noise of {reference}: {why}")
    return lines


def _needed(one: Difference) -> str:
    """Return what more runs would show, if that can be estimated."""
    if one.needed is not None:
        more = one.needed - one.count
        what = "splits" if one.overlap else "seeds"
        return (
            f"; if mean and deviation stay as they are, about {more} more {what} would exclude it"
        )
    if one.undecidable and one.overlap:
        return "; more splits of these rows would not exclude it, more rows might"
    if one.undecidable:
        return f"; even {MAX_NEEDED} seeds would not exclude it"
    return ""


def _conditions(groups: Sequence[Group], found: Sequence[tuple[Group, Difference]]) -> list[str]:
    """Return how the differences were tested, and what they are about."""
    lines = []
    paired = [one.paired for _, one in found]
    if not any(paired):
        lines.append("the groups share no seeds, so their means are compared (Welch 1947)")
    elif not all(paired):
        lines.append("groups that share less than half of their seeds are compared by their means")
    if len(found) > 1:
        lines.append(f"p-values are adjusted for {len(found)} comparisons (Holm 1979)")
    if any(one.overlap for _, one in found):
        lines.append(
            "the runs hold out different rows of the same data: the intervals of differences are "
            "widened for the rows that they share (Nadeau and Bengio 2003), those of means are not"
        )
    elif all(group.splits == 1 for group in groups):
        lines.append(
            "all runs hold out the same rows, so the noise is that of weights and training alone: "
            "other rows may give other differences"
        )
    fewest = min(one.count for _, one in found)
    if fewest < FEW_RUNS:
        lines.append(
            f"{fewest} runs per group show only large differences; at least {FEW_RUNS} are better"
        )
    return lines


def excluded_lines(comparison: ComparedRuns) -> list[str]:
    """Return the runs that are not compared, with the reasons."""
    if not comparison.excluded:
        return []
    runs = counted(len(comparison.excluded), "run")
    reasons = [f"  {name}: {reason}" for name, reason in comparison.excluded.items()]
    return [f"{runs} not in the table:", *reasons]


def _listed(names: Sequence[str]) -> str:
    shown = "; ".join(names[:MAX_SENTENCES])
    more = len(names) - MAX_SENTENCES
    return shown + (f"; and {more} more" if more > 0 else "")
