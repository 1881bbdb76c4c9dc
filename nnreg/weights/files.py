"""Reading files of weights: safetensors, and those of Keras."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils import safetensors
from nnreg._utils.memory import array_bytes, exceeds_memory
from nnreg._utils.os_errors import explain_os_error
from nnreg.errors import CheckpointError, FormatError
from nnreg.training.settings import WEIGHT_FILES

KERAS_WEIGHTS = "model.weights.h5"
"""The file of the weights within a `.keras` file, which is a ZIP archive."""

IGNORED_OF_PYTORCH = re.compile(r"(^|\.)num_batches_tracked$")
IGNORED_OF_KERAS = re.compile(r"^(optimizer|_?loss_tracker|metrics?)/|(^|/)seed_generator/")


@dataclass(frozen=True)
class ForeignFile:
    """The arrays of a file by module, and within it by name; as PyTorch or as Keras names them.

    The module `lstm.0.1` has the first layer of a module `lstm` of PyTorch, backwards, and
    `layers/dense_0` the layer of Keras that its file calls `layers/dense`: what is of one kind
    differs in numbers.
    """

    framework: str
    arrays: Mapping[str, Array]
    modules: Mapping[str, Mapping[str, str]]


def read_foreign(path: Path) -> ForeignFile:
    """Read a file. Raises `CheckpointError` if it is damaged, or not of these formats."""
    name = path.name.lower()
    if not name.endswith(WEIGHT_FILES):
        raise CheckpointError(f"{path}: the name must end in one of {', '.join(WEIGHT_FILES)}")
    try:
        if not path.is_file():
            raise FormatError("not a file; name one of weights")
        if exceeds_memory(path.stat().st_size, 0.25):
            raise FormatError("too large for the memory of this machine")
        if name.endswith(".safetensors"):
            return _modules("PyTorch", safetensors.decode(path.read_bytes())[0])
        content = path.read_bytes()
        return _modules("Keras", _datasets(_member(content) if name.endswith("keras") else content))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot read: {explain_os_error(error, path)}") from error
    except FormatError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _member(content: bytes) -> bytes:
    """Return the weights in a `.keras` file, which Keras writes without compression."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            member = archive.getinfo(KERAS_WEIGHTS)
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > len(content):
                raise FormatError(f"{KERAS_WEIGHTS} is compressed, which Keras does not do")
            return archive.read(member)
    except KeyError as error:
        raise FormatError(f"it has no {KERAS_WEIGHTS}; save it with model.save") from error
    except FormatError:
        raise
    except (zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError) as error:
        raise FormatError(f"not a .keras file: {error}") from error


def _datasets(content: bytes) -> dict[str, Array]:
    from nnreg._utils.hdf5 import h5py, h5py_errors, plain_datasets

    with h5py_errors():
        file = h5py.File(io.BytesIO(content), "r")
    with file:
        datasets = plain_datasets(file)
        size = sum(_size(name, dataset) for name, dataset in datasets.items())
        if size > len(content):
            raise FormatError("its arrays are larger than the file; Keras does not compress")
        with h5py_errors():
            return {name: np.asarray(dataset[()]) for name, dataset in datasets.items()}


def _size(name: str, dataset: Any) -> int:
    from nnreg._utils.hdf5 import h5py_errors

    with h5py_errors():
        shape, dtype = dataset.shape, dataset.dtype
    if shape is None or dtype.kind not in "fiub":
        raise FormatError(f"{name!r} is not an array of numbers")
    return array_bytes(shape, dtype)


RECURRENT = re.compile(r"^(?:(.*)\.)?((?:weight|bias)_(?:ih|hh|hr))_l(\d+)(_reverse)?$")
ATTENTION = re.compile(r"^(?:(.*)\.)?(out_proj\.(?:weight|bias))$")
HEADS = re.compile(r"^(.*)/((?:query|key|value|output)_dense)/vars/(\d+)$")


def _modules(framework: str, arrays: Mapping[str, Array]) -> ForeignFile:
    keras = framework == "Keras"
    ignored = IGNORED_OF_KERAS if keras else IGNORED_OF_PYTORCH
    kept = {name: values for name, values in arrays.items() if not ignored.search(name)}
    modules: dict[str, dict[str, str]] = {}
    for name in kept:
        module, own = _keras_module(name) if keras else _pytorch_module(name, kept)
        modules.setdefault(module, {})[own] = name
    return ForeignFile(framework, kept, modules)


def _pytorch_module(name: str, arrays: Mapping[str, Array]) -> tuple[str, str]:
    """Return the module of an array of PyTorch, and its name in it."""
    if found := RECURRENT.match(name):
        module, own, layer, reverse = found.groups()
        return ".".join([*([module] if module else []), layer, "1" if reverse else "0"]), own
    if found := ATTENTION.match(name):
        module, own = found[1] or "", found[2]
        start = f"{module}." if module else ""
        if f"{start}in_proj_weight" in arrays or f"{start}q_proj_weight" in arrays:
            return module, own
    module, _, own = name.rpartition(".")
    return module, own


def _keras_module(name: str) -> tuple[str, str]:
    """Return the layer of an array of Keras, with a number at each part, and its name in it."""
    if found := HEADS.match(name):
        layer, own = found[1], f"{found[2]}/{found[3]}"
    else:
        layer, _, own = name.rpartition("/")
        layer = layer.removesuffix("/vars").removesuffix("vars")
    return keras_layer(layer), own


def keras_layer(name: str) -> str:
    """Return the name of a layer of Keras with a number at each part: `layers/dense_0`."""
    sides = {"forward_layer": "0", "backward_layer": "1", "layers": "layers", "cell": "cell"}
    parts = name.split("/")
    return "/".join(
        sides.get(part, part if re.search(r"_\d+$", part) else f"{part}_0") for part in parts
    )
