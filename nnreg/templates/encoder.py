"""The encoder my_component for nnreg."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from nnreg import Count, Encoder, RawColumn, Shape, hookimpl, learned


@dataclass(frozen=True)
class MyComponent(Encoder):
    """How often each of the most frequent words occurs in a text.

    y[k] = how often word k occurs in the text

    Options:
        vocabulary: how many words are counted, > 0

    Learned:
        words: the words that are counted
    """

    takes = "text"

    vocabulary: Count = 100
    words: tuple[str, ...] = learned(())

    @property
    def shape(self) -> Shape:
        """The shape of one encoded value."""
        return (len(self.words),)

    def learn(self, column: RawColumn) -> Self:
        """Return the encoder with the most frequent words of the training rows."""
        words, counts = np.unique(" ".join(column.values).split(), return_counts=True)
        return replace(self, words=tuple(words[np.argsort(-counts)][: self.vocabulary].tolist()))

    def encode(self, column: RawColumn) -> np.ndarray:
        """Return the counts of each row."""
        texts = [text.split() for text in column.values]
        return np.array([[text.count(word) for word in self.words] for text in texts], float)


@hookimpl
def nnreg_encoders() -> dict[str, type[Encoder]]:
    """Return what this plugin provides, by the name a spec uses."""
    return {"my_component": MyComponent}
