"""Proposals of several networks for a data file, one of which cross-validation chooses."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from nnreg.errors import DataError, DivergedError, UsageError
from nnreg.runs.trial import Comparison, Trial, chosen_of
from nnreg.spec.document import Document, read_spec
from nnreg.starter.network_plan import NetworkPlan
from nnreg.starter.propose import Examined, SpecProposal

MAX_ROWS = 10_000
"""The most rows of a file that are used to compare; of a larger one, as many are drawn."""

FEW_ROWS, MANY_FOLDS, FEW_FOLDS = 2_000, 5, 3
"""With fewer rows than `FEW_ROWS` there are `MANY_FOLDS`, as each fold has a noisier score."""

METRICS = ("r2", "auc", "f1", "accuracy")
"""The metrics of a spec that decide, the first that it has: accuracy only if no class is rare."""


class ProposalTrial:
    """Networks proposed for a data file, to be compared by cross-validation.

    `plans` has the network of each by its name: the one that `nnreg init` proposes, alternatives to
    it, and a linear model. They are compared by `metric` in `folds` folds of `rows` rows.

    Raises `UsageError` for a time series, for which there is one network.
    """

    def __init__(self, examined: Examined) -> None:
        if examined.draft.series is not None:
            raise UsageError(
                f"{examined.path}: is a time series, for which --try has no other networks; run "
                "init without --try"
            )
        self.examined = examined
        rows = examined.draft.rows
        self.rows = min(rows, MAX_ROWS)
        self.folds = MANY_FOLDS if rows < FEW_ROWS else FEW_FOLDS
        self.plans = _plans(examined, rows)
        sized = _plans(examined, self.rows)  # for fewer rows, with more epochs
        documents = {name: self._document(plan) for name, plan in sized.items()}
        metrics = examined.proposal(os.curdir).tree["metrics"]
        self.metric = next(name for name in METRICS if name in metrics)
        self.comparison = Comparison(documents, self.metric, MAX_ROWS)

    def _document(self, plan: NetworkPlan) -> Document:
        tree = self.examined.proposal(os.curdir, plan).tree
        train = {**tree["train"], "folds": self.folds}
        return read_spec({**tree, "train": train}, registry=self.examined.registry)

    def trials(self) -> Iterator[Trial]:
        """Train each proposal once per fold, and yield its scores; see `Comparison.trials`."""
        with self._explained():
            yield from self.comparison.trials()

    def seconds(self) -> float:
        """Return about how long all trainings take at most; see `Comparison.seconds`."""
        with self._explained():
            return self.comparison.seconds()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DataError as error:
            raise DataError(
                f"cannot be compared by cross-validation with {self.folds} folds; run init "
                f"without --try: {error}"
            ) from error

    def what(self, name: str) -> str:
        """Return what the network of a proposal is."""
        plan = self.plans[name]
        layers = "-".join(map(str, plan.units))
        parts = [f"{layers} {plan.activation}" if layers else "no hidden layer"]
        if plan.members > 1:
            parts.append(f"{plan.members} members")
        if plan.dropout:
            parts.append(f"dropout {plan.dropout:g}")
        return ", ".join(parts)

    def choice(self, trials: Sequence[Trial]) -> tuple[Trial, str]:
        """Return the proposal to write, and the reason. Raises `DivergedError` if all diverged."""
        chosen = chosen_of(trials)
        if chosen is None:
            raise DivergedError("the training of every proposal diverged; run init without --try")
        best = max(trials, key=lambda one: one.mean)
        if chosen is best:
            return chosen, "no smaller network is within one standard error of its score"
        return chosen, f"the smallest network within one standard error of the best, {best.name}"

    def proposal(self, directory: str | os.PathLike[str], trials: Sequence[Trial]) -> SpecProposal:
        """Return the chosen proposal, with the scores of all as a comment."""
        chosen, why = self.choice(trials)
        proposal = self.examined.proposal(directory, self.plans[chosen.name])
        scores = "; ".join(f"{one.name} {score_text(one)}" for one in trials)
        text = (
            f"Chosen by cross-validation with {self.folds} folds ({why}). {self.metric}: {scores}."
        )
        before = [proposal.comments["$.model"]] if "$.model" in proposal.comments else []
        comments = {**proposal.comments, "$.model": "\n".join([*before, text])}
        return replace(proposal, comments=comments)

    def as_json(self, trials: Sequence[Trial]) -> dict[str, Any]:
        """Return the scores of all proposals, and the choice, as JSON."""
        chosen, why = self.choice(trials)
        table = [
            {
                "name": one.name,
                "what": self.what(one.name),
                "mean": one.mean if one.scores else None,
                "standard_error": one.standard_error if one.scores else None,
                "scores": list(one.scores),
                "parameters": one.parameters,
                "seconds": round(one.seconds, 3),
            }
            for one in trials
        ]
        return {
            "metric": self.metric,
            "folds": self.folds,
            "rows": self.rows,
            "proposals": table,
            "chosen": chosen.name,
            "why": why,
        }


def _plans(examined: Examined, rows: int) -> dict[str, NetworkPlan]:
    """Return the networks to compare for a number of rows, by name."""
    draft = examined.draft
    target = replace(draft.target, rows=rows + draft.target.missing)
    plan = replace(draft, target=target).plan
    found = {"default": plan, **plan.alternatives()}
    if not draft.arrays:
        found["linear"] = replace(
            plan, units=(), numbers=None, members=1, dropout=0.0, weight_decay=0.0
        )
    return found


def score_text(trial: Trial) -> str:
    """Return the mean score of a proposal with its standard error."""
    if not trial.scores:
        return "diverged"
    return f"{trial.mean:.4f} ± {trial.standard_error:.4f}"
