"""The topic of short titles: beside the best possible classifier, and beside PyTorch."""

import csv
import json

import pytest

import nnreg
from benchmarks.tasks import prepare
from benchmarks.tasks import topics as peer_task
from models.generators import topics as generator
from tests.helpers.paths import MODELS

SPEC = MODELS / "topics.json"
LESS = 0.05
"""How much less the accuracy may be than that of the best classifier on the same titles."""


def best_accuracy(titles, topics):
    """Return the accuracy of a classifier that knows how the titles were drawn."""
    best = [generator.best_topic([generator.WORDS[word] for word in title]) for title in titles]
    return sum(one == topic for one, topic in zip(best, topics, strict=True)) / len(best)


def best_of_test_split(prepared):
    x = prepared.test.x
    titles = [row[:length].astype(int) for row, length in zip(x.values, x.lengths, strict=True)]
    return best_accuracy(titles, [prepared.model.classes[one] for one in prepared.test.targets])


def test_the_files_are_those_of_the_generator():
    with (MODELS / "topics.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["words", "topic"], *generator.topics()]
    words = (MODELS / "topics_words.txt").read_text(encoding="utf-8")
    assert words.splitlines() == list(generator.WORDS)


def test_no_classifier_can_know_every_topic():
    rows = generator.topics()
    found = best_accuracy([json.loads(words) for words, _ in rows], [topic for _, topic in rows])
    assert found == pytest.approx(0.90, abs=0.01)


@pytest.mark.slow
def test_it_is_nearly_as_good_as_the_best_classifier(tmp_path):
    model = nnreg.run(SPEC, out=tmp_path / "run")
    accuracy = json.loads((tmp_path / "run" / "summary.json").read_text())["test"]["accuracy"]
    assert accuracy > best_of_test_split(prepare("topics").prepared) - LESS
    titles = [
        title.split() for title in ("why the oven is not a kitchen", "the goal and the medal")
    ]
    numbers = [[generator.WORDS.index(word) for word in title] for title in titles]
    assert model.classify({"words": numbers}).tolist() == ["cooking", "sport"]


@pytest.mark.slow
@pytest.mark.verify
def test_so_is_pytorch(torch):
    data = prepare("topics")
    found = peer_task.train(torch, data, epochs=data.epochs, seed=0)
    assert found["accuracy"] > best_of_test_split(data.prepared) - LESS
