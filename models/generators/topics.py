"""Titles of texts of six topics that share words, of which the best classifier is known."""

import itertools

import numpy as np

TOPICS = {
    "cooking": "bread salt oven onion soup recipe kitchen butter season scale roast spice leaf",
    "money": "bank interest loan tax price stock market bond share account record season fund note",
    "music": "note key band scale chord violin choir concert record song beat bass string stage",
    "nature": "river forest bird leaf season bank bass seed soil lake fox nest stock plant",
    "science": "cell theory field plant atom energy scale string light planet key bond theorem",
    "sport": "match race coach field goal record team league beat stage season trainer medal final",
}
"""The topics, and the words of each."""

TITLES = (
    "the * and the *",
    "how a * became a *",
    "what every * needs : the * and the *",
    "a short history of the *  and the *",
    "why the * is not a *",
    "* , * and *",
    "ten questions about the * of a *",
    "the * , the * , the * and you",
)
"""The forms of titles; a word replaces each `*`."""

OWN = 0.9
"""The probability that such a word is one of the topic; else it is any of all."""

PLACES = tuple(dict.fromkeys(itertools.chain(*map(str.split, TOPICS.values()))))
"""The words of all topics."""

WORDS = tuple(sorted({*PLACES, *" ".join(TITLES).split()} - {"*"}))
"""The vocabulary: the number of a word is its position."""


def title(topic, rng):
    """Return the words of a title."""
    own, words = TOPICS[topic].split(), TITLES[rng.integers(len(TITLES))].split()
    for place, word in enumerate(words):
        if word == "*":
            drawn = own if rng.random() < OWN else PLACES
            words[place] = drawn[rng.integers(len(drawn))]
    return words


def best_topic(title):
    """Return the topic that is most probable, given the words of the title."""

    def probability(topic):
        own = TOPICS[topic].split()
        return np.prod([
            OWN * (word in own) / len(own) + (1 - OWN) / len(PLACES)
            for word in title if word in PLACES
        ])  # fmt: skip

    return max(TOPICS, key=probability)


def topics(number=1500):
    """Return rows of the numbers of a title's words, as a JSON list, and its topic."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(number):
        topic = list(TOPICS)[rng.integers(len(TOPICS))]
        rows.append([str([WORDS.index(word) for word in title(topic, rng)]), topic])
    return rows
