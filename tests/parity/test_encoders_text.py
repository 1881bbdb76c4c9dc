"""Encoders of text beside scikit-learn's vectorizers, and byte pairs beside a plain loop."""

import importlib
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from nnreg.builtin import encoders
from nnreg.builtin.encoders.byte_pairs import BytePairs, learn_merges, pieces_of
from nnreg.interfaces.encoder import RawColumn
from tests.parity.comparison import compare

pytestmark = pytest.mark.verify

RNG = np.random.default_rng(0)
WORDS = ["Oak", "elm", "fir", "FIR", "ash", "yew", "I", "x", "été", "naïve", "οὐσία", "שלום"]
WORDS += ["東京", "3", "42", "a_b", "don't", "e-mail", "😀", "; "]
TEXTS, NEW = (
    [" ".join(RNG.choice(WORDS, RNG.integers(0, 12))) for _ in range(60)] for _ in range(2)
)
OPTIONS = [
    {},
    {"binary": True},
    {"ngrams": (1, 2)},
    {"ngrams": (2, 3), "min_rows": 2},
    {"min_rows": 9},
    {"max_fraction": 0.25, "lowercase": False},
    {"stop_words": ("fir", "ash"), "ngrams": (1, 2)},
    {"max_words": 5},
    {"max_words": 5, "binary": True},
]
OF_TF_IDF = [
    *OPTIONS,
    {"sublinear_tf": True},
    {"smooth_idf": False},
    {"norm": "l1"},
    {"norm": "none", "sublinear_tf": True, "ngrams": (1, 3)},
]
THEIRS = {
    "max_words": "max_features",
    "ngrams": "ngram_range",
    "min_rows": "min_df",
    "max_fraction": "max_df",
}


@pytest.fixture
def vectorizers(sklearn):
    return importlib.import_module("sklearn.feature_extraction.text")


def compared(cls, theirs, name, options):
    """Compare an encoder with a vectorizer, which breaks ties among the last words at random."""
    given = {THEIRS.get(key, key): value for key, value in options.items()}
    if "stop_words" in given:
        given["stop_words"] = list(given["stop_words"])
    if given.get("norm") == "none":
        given["norm"] = None
    learned = cls(**{"max_words": None, **options}).learn(RawColumn.of(TEXTS, "text"))
    vectorizer = theirs(**given).fit(TEXTS)
    if "max_words" in options:
        every = theirs(**{**given, "max_features": None}).fit(TEXTS)
        counts = theirs(**{**given, "max_features": None}, **NO_WEIGHTS.get(name, {}))
        total = dict(
            zip(
                every.get_feature_names_out(),
                np.asarray(counts.fit_transform(TEXTS).sum(0)).ravel(),
                strict=True,
            )
        )
        chosen = (sorted(map(total.get, kept)) for kept in
                  (learned.words, vectorizer.get_feature_names_out()))  # fmt: skip
        assert len({tuple(counts) for counts in chosen}) == 1
        vectorizer = theirs(**{**given, "vocabulary": learned.words}).fit(TEXTS)
    assert [*learned.words] == [*vectorizer.get_feature_names_out()]
    found = learned.encode(RawColumn.of(NEW, "text"))
    compare(cls, f"sklearn.feature_extraction.text.{name}",
            [(found, vectorizer.transform(NEW).toarray())], rtol=1e-12)  # fmt: skip


NO_WEIGHTS = {"TfidfVectorizer": {"use_idf": False, "norm": None}}


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_counts_are_scikit_learns(vectorizers, options):
    compared(encoders.BagOfWords, vectorizers.CountVectorizer, "CountVectorizer", options)


@pytest.mark.parametrize("options", OF_TF_IDF, ids=str)
def test_tf_idf_is_scikit_learns(vectorizers, options):
    compared(encoders.TfIdf, vectorizers.TfidfVectorizer, "TfidfVectorizer", options)


def plain_merges(pieces, count):
    """Learn merges by counting all pairs again for each."""
    written = {piece: list(piece.encode()) for piece in pieces}
    merges = []
    while len(merges) < count:
        pairs = Counter()
        for piece, word in written.items():
            for pair in pairwise(word):
                pairs[pair] += pieces[piece]
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        if best is None or pairs[best] < 2:
            break
        written = {
            piece: plain_merged(word, best, 256 + len(merges)) for piece, word in written.items()
        }
        merges.append(best)
    return merges


def plain_merged(word, pair, token):
    found = []
    for item in word:
        if found and found[-1] != token and (found[-1], item) == pair:
            found[-1] = token
        else:
            found.append(item)
    return found


PIECES = {
    "texts": Counter(piece for text in TEXTS for piece in pieces_of(text.lower())),
    "letters": Counter("".join(RNG.choice(list("ab"), RNG.integers(1, 9))) for _ in range(80)),
    "ascii": Counter("".join(RNG.choice(list("abcde"), RNG.integers(1, 9))) for _ in range(300)),
}


@pytest.mark.parametrize("name", PIECES)
def test_byte_pairs_are_those_of_a_plain_loop(name):
    pieces = PIECES[name]
    merges = learn_merges(pieces, 60)
    assert merges == plain_merges(pieces, 60)
    byte_pairs = BytePairs(merges)
    for piece in pieces:
        word = list(piece.encode())
        for number, pair in enumerate(merges):
            word = plain_merged(word, pair, 256 + number)
        assert list(byte_pairs(piece)) == word


def test_byte_pairs_are_those_of_tokenizers():
    """Its bytes are in another order, which decides ties: those of ASCII without spaces agree."""
    tokenizers = pytest.importorskip("tokenizers")
    from tokenizers import models, pre_tokenizers, trainers

    pieces = PIECES["ascii"]
    merges = learn_merges(pieces, 60)
    byte_pairs = BytePairs(merges)
    theirs = tokenizers.Tokenizer(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=256 + len(merges), min_frequency=2, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    theirs.train_from_iterator(pieces.elements(), trainer)
    text_of = {number: chr(number) for number in range(256)}
    for number, (first, second) in enumerate(merges, 256):
        text_of[number] = text_of[first] + text_of[second]
    for piece in pieces:
        assert theirs.encode(piece).tokens == [text_of[token] for token in byte_pairs(piece)]
