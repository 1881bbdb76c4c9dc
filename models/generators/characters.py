"""English-like sentences of a grammar with finitely many states, whose entropy is known."""

import numpy as np

GRAMMAR = {
    "start": {"one": "the every this that", "many": "the some all these"},
    "one": {
        "one": "old young happy",
        "one verb": "farmer sailor teacher king dog horse bird painter",
    },
    "many": {
        "many": "old young happy",
        "many verb": "farmers sailors teachers kings dogs horses birds painters",
    },
    "one verb": {
        "one verb": "near_the_rivers behind_the_houses with_two_books",
        "object": "sees finds follows likes",
        "end": "sleeps sings waits",
    },
    "many verb": {
        "many verb": "near_the_river behind_the_house with_a_book",
        "object": "see find follow like",
        "end": "sleep sing wait",
    },
    "object": {"thing": "the a no", "things": "the two many"},
    "thing": {"thing": "small red broken", "end": "house tree boat book lamp river"},
    "things": {"things": "small red broken", "end": "houses trees boats books lamps rivers"},
    "end": {"start": ". . . while because"},
}
"""For each state the words that may follow, with equal probability, and the state behind each.

A verb agrees with a noun that may be far before it, with another one between.
"""

ALPHABET = "._abcdefghiklmnoprstuvwy"
"""The characters by number; `_` stands for a space."""


def choices(state):
    """Return the pairs of text and next state among which a state chooses."""
    return [
        (word if word == "." else f"_{word}", following)
        for following, alternatives in GRAMMAR[state].items()
        for word in alternatives.split()
    ]


def text(length, rng):
    """Return sentences of this number of characters."""
    parts, state, total = [], "start", 0
    while total < length:
        possible = choices(state)
        part, state = possible[rng.integers(len(possible))]
        parts.append(part)
        total += len(part)
    return "".join(parts)[:length]


def chain():
    """Return the grammar as a Markov chain of characters: transitions, and the character of each.

    A place of the chain is a character of a word in a state.
    """
    starts, characters, ends = {}, [], []
    for state in GRAMMAR:
        for part, following in choices(state):
            starts.setdefault(state, []).append(len(characters))
            characters += part
            ends.append((len(characters) - 1, following))
    transitions = np.eye(len(characters), k=1)
    for last, following in ends:
        transitions[last] = 0
        transitions[last, starts[following]] = 1 / len(starts[following])
    return transitions, np.array([ALPHABET.index(one) for one in characters])


def bits(windows):
    """Return how many bits per character, behind the first, the grammar itself needs for windows.

    Each character is predicted from those before it in its window, which begins anywhere in the
    text. On average, no network can need fewer.
    """
    transitions, characters = chain()
    # that of a random place of a long text
    belief = np.linalg.matrix_power((transitions + np.eye(len(characters))) / 2, 2048)[0]
    beliefs, total = np.tile(belief, (len(windows), 1)), 0.0
    for step, column in enumerate(windows.T):
        here = beliefs * (characters == column[:, None])
        probability = here.sum(axis=1, keepdims=True)
        total -= np.log2(probability).sum() * (step > 0)
        beliefs = here / probability @ transitions
    return total / (windows.size - len(windows))


def characters(windows=2400, length=48):
    """Return windows of a text, and the character that follows each of theirs."""
    rng = np.random.default_rng(0)
    letters = np.array(list(text(windows * length + 1, rng)))
    numbers = np.searchsorted(list(ALPHABET), letters).astype(np.uint8)
    shape = (windows, length)
    return {"characters": numbers[:-1].reshape(shape), "following": letters[1:].reshape(shape)}
