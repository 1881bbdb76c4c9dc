"""Runs side by side and in groups, as every form of a comparison shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nnreg.comparison.groups import Group
from nnreg.comparison.sides import Side


@dataclass(frozen=True)
class ComparedRuns:
    """Several runs, and groups of those with the same settings.

    `sides` are the runs, and `best` the names of the best ones for each metric. `groups` has the
    finished runs, seeds and folds aside, and `references` for each metric the name of the group
    that the others are compared with. `excluded` are the runs in no group, with the reason.
    """

    sides: Sequence[Side]
    best: Mapping[str, list[str]]
    groups: Sequence[Group] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    higher_is_better: Mapping[str, bool] = field(default_factory=dict)
    """For each metric of the groups whose values are comparable."""
    excluded: Mapping[str, str] = field(default_factory=dict)
    main_metric: str | None = None
    """The first metric of the spec on the held-out rows, or their loss if it has none."""

    @property
    def repeated(self) -> bool:
        """Whether a group has several runs, without which nothing is known about noise."""
        return any(len(group.runs) > 1 for group in self.groups)

    def ranked(self, metric: str) -> list[Group]:
        """Return the groups that have a metric, the best first; unsorted if none is better."""
        found = [group for group in self.groups if metric in group.metrics]
        if metric not in self.higher_is_better:
            return found
        sign = -1 if self.higher_is_better[metric] else 1
        return sorted(found, key=lambda group: _sortable(sign * group.metrics[metric].mean))


def _sortable(value: float) -> tuple[bool, float]:
    """Return a sort key that puts NaN last."""
    return value != value, value
