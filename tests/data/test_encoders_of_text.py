"""Encoders of text: what they learn and write, and texts that are unusual."""

import json
import re
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pytest

import nnreg
from nnreg import DataError, PluginError, SpecError
from nnreg.builtin.encoders import BagOfWords, TfIdf, Tokens
from nnreg.builtin.encoders.byte_pairs import BytePairs, learn_merges, pieces_of
from nnreg.errors import NnregWarning
from nnreg.interfaces.encoder import RawColumn
from nnreg.interfaces.graph import INPUT
from nnreg.tables.column_types import are_texts

TEXTS = ["The cat sat, the cat ran.", "a dog ran", "The CAT", "dogs & cats 😀"]
UNUSUAL = ["", "😀 😀", "שלום עולם שלום", "the", "\u0000\ufffd", "x" * 1_000_000]


def column(texts=TEXTS):
    return replace(RawColumn.of(texts, "text", name="text"), known_texts=[""])


def sequences(encoder, texts):
    found = encoder.encode(column(texts))
    return [found[np.array([row])].steps.tolist() for row in range(len(texts))]


def test_words_are_counted():
    learned = BagOfWords().learn(column())
    assert learned.words == ("cat", "cats", "dog", "dogs", "ran", "sat", "the")
    assert learned.encode(column(TEXTS[:2])).tolist() == [
        [2, 0, 0, 0, 1, 1, 2],
        [0, 0, 1, 0, 1, 0, 0],
    ]
    assert BagOfWords(max_words=2).learn(column()).words == ("cat", "the")
    assert BagOfWords(binary=True).learn(column()).encode(column()).max() == 1


def test_rows_with_the_same_text_are_counted_each():
    assert BagOfWords(max_words=1).learn(column(["one two two", "one", "one"])).words == ("one",)
    assert BagOfWords(min_rows=2).learn(column(["one", "two", "two"])).words == ("two",)


def test_a_column_without_words_is_refused():
    with pytest.raises(DataError, match=r"no word of column 'text' is left .* check its options"):
        TfIdf(stop_words=("the",)).learn(column(["the", "a", "the"]))


@pytest.mark.parametrize("encoder", [BagOfWords(), TfIdf(ngrams=(1, 2), sublinear_tf=True)])
def test_unusual_texts_are_encoded(encoder):
    encoded = encoder.learn(column()).encode(column(UNUSUAL))
    assert np.isfinite(encoded).all()
    assert np.count_nonzero(encoded, axis=1).tolist() == [0, 0, 0, 1, 0, 0]


def test_words_and_marks_are_tokens():
    learned = Tokens(vocabulary=6).learn(column())
    assert learned.items == ("cat", "the", "ran", "&", ",")
    assert sequences(learned, ["Cat, THE bird!", "", "😀"]) == [[1, 5, 2, 0, 0], [], [0]]


def test_characters_are_tokens():
    learned = Tokens("characters", lowercase=False).learn(column(["abB", "a"]))
    assert learned.items == ("a", "B", "b")
    assert sequences(learned, ["Bac"]) == [[2, 1, 0]]


def test_texts_are_cut():
    learned = Tokens(length=2).learn(column())
    assert sequences(learned, TEXTS) == [one[:2] for one in sequences(learned, TEXTS)]
    assert max(map(len, sequences(learned, TEXTS))) == 2
    with pytest.warns(NnregWarning, match='1 of 3 texts of column .* 256 tokens.*set "length"'):
        learned = Tokens().learn(column(["a", "b " * 300, "c"]))
    assert list(map(len, sequences(learned, ["a", "b " * 300]))) == [1, 256]


def test_byte_pairs_are_merged_by_frequency():
    merges = learn_merges({"low": 5, "lower": 2, "newest": 6, "widest": 3}, 5)
    named = {256 + number: pair for number, pair in enumerate(merges)}

    def text(token):
        return "".join(map(text, named[token])) if token in named else chr(token)

    assert [tuple(map(text, pair)) for pair in merges] == [
        ("e", "s"), ("es", "t"), ("l", "o"), ("lo", "w"), ("e", "w")
    ]  # fmt: skip


def test_no_text_is_unknown_to_byte_pairs():
    learned = Tokens("byte_pairs", vocabulary=280, length=10**7, lowercase=False).learn(column())
    assert len(learned.merges) > 5
    expanded = {token: bytes([token]) for token in range(256)}
    for token, (first, second) in enumerate(learned.merges, 256):
        expanded[token] = expanded[first] + expanded[second]
    found = sequences(learned, UNUSUAL)
    assert [b"".join(map(expanded.get, one)).decode() for one in found] == [
        column([text]).values[0] for text in UNUSUAL
    ]


@pytest.mark.parametrize("text", ["aaaa aaa", "a  b\n\tc", "don't", "日本語 テキスト", ""])
def test_the_pieces_are_the_whole_text(text):
    assert "".join(pieces_of(text)) == text


def test_overlapping_pairs_are_merged_from_the_left():
    merges = learn_merges({"aaaaa": 3}, 2)
    assert merges == [(97, 97), (256, 97)]  # before (256, 256), which is as frequent
    assert BytePairs(merges)("aaaaa") == (256, 257)


@pytest.mark.parametrize(
    "encoder",
    [
        {"type": "bag_of_words", "ngrams": [2, 1]},
        {"type": "bag_of_words", "max_fraction": 0},
        {"type": "tokens", "tokens": "byte_pairs", "vocabulary": 255},
        {"type": "tokens", "vocabulary": 1},
        {"type": "tokens", "length": 0},
    ],
    ids=str,
)
def test_a_wrong_option_is_refused(encoder):
    with pytest.raises(SpecError, match=r"\$\.data\.columns\.text"):
        nnreg.build(spec(encoder, []))


SOFTMAX = {"type": "dense", "units": "classes", "activation": "softmax"}
EMBEDDING = {"type": "embedding", "vocabulary": 300, "units": 4}
ROWS = "".join(
    f"{'fine good' if i % 2 else 'bad awful'} text {i % 5},{i},{i % 2}\n" for i in range(20)
)
SEQUENCES = {
    "words": ["global_average_pool"],
    "characters": [
        {"type": "conv1d", "filters": 3, "kernel": 3, "padding": "same"},
        "global_average_pool",
    ],
    "byte_pairs": [{"type": "gru", "units": 3}],
}


def spec(encoder, layers, **data):
    return {
        "data": {
            "source": "csv", "path": "data.csv", "target": "y", "columns": {"text": encoder},
            "inputs": ["text"], "split": {"validation": 0.2}, **data
        },
        "model": {"layers": [*layers, SOFTMAX]},
        "loss": "cross_entropy",
        "optimizer": {"type": "adam", "learning_rate": 0.05},
        "train": {"epochs": 2},
    }  # fmt: skip


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("text,n,y\n" + ROWS)


@pytest.mark.parametrize("kind", SEQUENCES)
def test_tokens_are_trained_saved_and_predict_raw_texts(directory, kind):
    encoder = {"type": "tokens", "tokens": kind, "vocabulary": 300}
    model = nnreg.run(spec(encoder, [EMBEDDING, *SEQUENCES[kind]]), out="run")
    longest = {"words": 4, "characters": 16}.get(kind, model.preprocessing.steps[INPUT])
    assert model.preprocessing.input_shape == (longest,)
    again = nnreg.load("run")
    assert again.preprocessing == model.preprocessing
    new = {"text": ["good", "", "😀 שלום", "bad text " * 50]}
    predicted = again.predict(new)
    np.testing.assert_array_equal(predicted, model.predict(new))
    alone = [model.predict({"text": [text]})[0] for text in new["text"]]
    np.testing.assert_allclose(predicted, alone, rtol=1e-5)


def test_what_is_learned_does_not_depend_on_rows_held_out(directory):
    with open("other.csv", "w") as file:
        file.write("text,n,y\n" + "unseen entirely,3,1\nfine good text,1,0\n")
    split = {"validation": "other.csv"}
    for encoder in ("tf_idf", {"type": "tokens"}):
        layers = [EMBEDDING, "global_average_pool"] if encoder != "tf_idf" else []
        model = nnreg.build(spec(encoder, layers, split=split))
        found = model.preprocessing.inputs[0].encoder
        assert "unseen" not in (found.words if encoder == "tf_idf" else found.items)


def test_text_is_beside_numbers(directory):
    model = nnreg.run(spec({"type": "tf_idf", "max_words": 3}, [], inputs=["text", "n"]), out="run")
    assert model.preprocessing.input_shape == (4,)
    rows = [{"text": "good text", "n": 3.0}]
    np.testing.assert_array_equal(nnreg.load("run").predict(rows), model.predict(rows))


def test_tokens_are_an_input_beside_others(directory):
    layers = [
        {**EMBEDDING, "inputs": "words"},
        {"type": "global_average_pool", "name": "mean"},
        {"type": "concat", "inputs": ["mean", "facts"]},
    ]
    inputs = {"words": "text", "facts": ["n"]}
    model = nnreg.run(spec("tokens", layers, inputs=inputs), out="run")
    assert model.preprocessing.input_shape == {"words": (4,), "facts": (1,)}
    rows = {"text": ["good text of seven words it is", ""], "n": [1, 2]}
    np.testing.assert_array_equal(nnreg.load("run").predict(rows), model.predict(rows))
    with pytest.raises(DataError, match="'text' becomes arrays or sequences and must be the only"):
        nnreg.build(spec("tokens", [EMBEDDING], inputs=["text", "n"]))


@pytest.mark.parametrize("missing", ["impute", "indicate"])
@pytest.mark.parametrize("encoder", ["tf_idf", "tokens"])
def test_a_missing_text_is_an_empty_one(directory, missing, encoder):
    with open("data.csv", "a") as file:
        file.write(",1,0\n" * 5)
    layers = [EMBEDDING, "global_average_pool"] if encoder == "tokens" else []
    model = nnreg.build(spec(encoder, layers, missing=missing))
    assert model.preprocessing.inputs[0].fill == ""
    if not model.preprocessing.inputs[0].indicator:
        missing, empty = model.predict({"text": [None, ""]})
        np.testing.assert_array_equal(missing, empty)


def test_tokens_need_an_embedding_with_their_vocabulary(directory):
    with pytest.raises(SpecError, match=r"columns\.text: its encoder gives integers"):
        nnreg.build(spec("tokens", []))
    small = {**EMBEDDING, "vocabulary": 3}
    with pytest.raises(DataError, match=r"line \d+, column 'text': embedding takes integers from"):
        nnreg.run(spec("tokens", [small, "global_average_pool"]), out="run")


def test_texts_in_lists_are_refused(directory):
    with open("data.csv", "w") as file:
        file.write("text,n,y\n" + '"[""a b""]",1,0\n"[""c"", ""d""]",2,1\n' * 5)
    with pytest.raises(DataError, match="'text' holds sequences, and its encoder would make one"):
        nnreg.build(spec("tokens", [EMBEDDING, "global_average_pool"]))


def test_only_empty_sequences_are_refused(directory):
    with open("data.csv", "w") as file:
        file.write("text,n,y\n" + ",1,0\n,2,1\n" * 5)
    data = {"source": "csv", "missing": "impute"}
    with pytest.raises(DataError, match="all sequences that column 'text' becomes are empty"):
        nnreg.build(spec("tokens", [EMBEDDING, "global_average_pool"], **data))


@pytest.mark.parametrize("wrong", [
    {"merges": [[97, 300]]}, {"items": ["a"] * 3000}, {"steps": {}}
], ids=str)  # fmt: skip
def test_a_wrong_checkpoint_is_refused(directory, wrong):
    from nnreg.data.preprocessing import Preprocessing
    from nnreg.registry.registry import installed
    from nnreg.spec.validation import Reader, read, to_json

    model = nnreg.build(spec("tokens", [EMBEDDING, "global_average_pool"]))
    tree = json.loads(json.dumps(to_json(model.preprocessing, installed())))
    tree = {**tree, **wrong} if "steps" in wrong else tree
    tree["inputs"][0] |= {} if "steps" in wrong else wrong
    with pytest.raises(SpecError):
        read(Preprocessing, tree, Reader(installed()))


def test_a_plugin_that_returns_something_else_is_named(directory, registering):
    @dataclass(frozen=True)
    class Wrong(Tokens):
        def encode(self, column):
            return np.zeros(len(column), int)

    nnreg.register("wrong", Wrong)
    with pytest.raises(PluginError, match=r"encode returned .* expected \d+ sequences of integers"):
        nnreg.build(spec("wrong", [EMBEDDING, "global_average_pool"]))


def test_a_plugin_may_return_padded_sequences(directory, registering):
    @dataclass(frozen=True)
    class Lengths(Tokens):
        def encode(self, column):
            return nnreg.Padded.of([[1] * len(text.split()) for text in column.values])

    nnreg.register("lengths", Lengths)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = nnreg.build(spec("lengths", [EMBEDDING, "global_average_pool"]))
    assert model.preprocessing.input_shape == (4,)


def test_texts_without_an_encoder_give_one_warning_whose_advice_works(directory):
    with open("data.csv", "w") as file:
        file.write("text,n,y\n" + "".join(f"a story of {i} men,{i},{i % 2}\n" for i in range(20)))
    given = spec("tf_idf", [], columns={}, split={})
    with pytest.warns(NnregWarning, match="'text' holds 20 different texts in 20 rows") as caught:
        nnreg.build(given)
    (advice,) = re.findall(r"set it to (\{.*?\}) in data\.columns", str(caught[0].message))
    for encoder in (json.loads(advice), "category"):
        given["data"]["columns"] = {"text": encoder}
        nnreg.build(given)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([f"a story of number {i}" for i in range(20)], True),
        ([f"a story of number {i}" for i in range(19)], False),
        ([f"Surname{i}, Mr. Given Name" for i in range(40)], False),
    ],
    ids=["sentences", "few sentences", "names"],
)
def test_sentences_are_texts(texts, expected):
    assert are_texts(texts, len(texts)) == expected
    assert not are_texts(texts, 2 * len(texts))


def test_a_cell_of_a_file_may_hold_a_long_text(directory):
    with open("data.csv", "a") as file:
        file.write("fine " * 2**18 + ",1,0\n")
    given = spec({"type": "tokens", "length": 4}, [EMBEDDING, "global_average_pool"])
    assert nnreg.build(given).preprocessing.input_shape == (4,)
