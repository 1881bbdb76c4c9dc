"""Losses in which one of two classes, the positive one, has another part than the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nnreg._types import Array, Shape
from nnreg.builtin.metrics.one_class import number_of, warn_of_second
from nnreg.interfaces.loss import Loss
from nnreg.interfaces.term_loss import Gradient, TermLoss

DECLARED = (
    "classification",
    "fused_activation",
    "input_range",
    "scores_are_probabilities",
    "target_range",
)
"""What the loss of a first class takes over from that of a second."""


class PositiveLoss(TermLoss):
    """A loss with an option that names the class for which the target is 1."""

    positive: str | None

    @property
    def _symmetric(self) -> bool:
        """Whether the loss is the same with the other class as the positive one."""
        return False

    def check_classes(self, names: Sequence[str], output: Shape) -> None:
        single = len(names) == 2 and output[-1:] == (1,)
        if self.positive is not None and not single:
            raise ValueError("'positive' names a class, which is for one output of two; remove it")
        if single and self.positive is None and not self._symmetric:
            warn_of_second(self, names, "positive")

    def for_classes(self, names: Sequence[str]) -> Loss:
        return with_second(self, self.positive, names)


@dataclass(frozen=True)
class FirstClass(TermLoss):
    """A loss of two classes, in which the first has the part of the second, for which t is 1."""

    loss: TermLoss

    def __post_init__(self) -> None:
        for name in DECLARED:
            object.__setattr__(self, name, getattr(self.loss, name))

    def fits(self, output: Shape, target: Shape, classes: int | None) -> bool:
        return self.loss.fits(output, target, classes)

    def class_scores(self, y: Array) -> Array:
        return self.loss.class_scores(y)[..., ::-1]

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        return self.loss.terms(y, 1 - t, logits=logits)


def with_second(loss: TermLoss, name: str | None, names: Sequence[str]) -> Loss:
    """Return the loss with the class of this name in the part of the second of two classes."""
    return FirstClass(loss) if name is not None and number_of(name, names) == 0 else loss
