"""Checkpoints that attack their reader, each by a maker that can be run and read.

`python -m tests.security.attacks DIR` writes them all. Behind a valid magic, length and SHA-256,
which an attacker can make too, each is a checkpoint of a small model with one thing changed.
`@attack` says what the reader must say.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import nnreg
from nnreg._utils.memory import memory_limit
from nnreg.checkpoint.file_format import BLOCK, MAGIC
from nnreg.checkpoint.migrations import FORMAT
from nnreg.checkpoint.save_load import to_checkpoint

SPEC: dict[str, Any] = {
    "model": {"layers": [
        {"type": "dense", "units": 4, "activation": "tanh"},
        {"type": "batch_norm"},
        {"type": "dense", "units": "classes", "activation": "softmax"},
    ]},
    "loss": "cross_entropy",
    "optimizer": "adam",
    "metrics": ["accuracy"],
    "train": {"epochs": 2},
}  # fmt: skip


@dataclass(frozen=True)
class Attack:
    """How to make one file, and what its refusal must say (a regular expression)."""

    make: Callable[[Path], None]
    message: str


ATTACKS: dict[str, Attack] = {}

Document = dict[str, Any]
Arrays = dict[str, np.ndarray]


def attack(message: str) -> Callable[..., Any]:
    """Register a maker under its name."""

    def register(make: Callable[[Path], None]) -> Callable[[Path], None]:
        ATTACKS[make.__name__] = Attack(make, message)
        return make

    return register


def content(spec: Document, shape: tuple[int, ...]) -> tuple[Document, Arrays]:
    """Return the content of a sound checkpoint of this spec, for examples of this shape."""
    x = np.random.default_rng(0).normal(size=(20, *shape))
    y = np.array(["ash", "birch"] * 10)
    model = nnreg.build(spec, data=(x, y))
    model.fit(x, y)
    checkpoint = to_checkpoint(model)
    return json.loads(json.dumps(checkpoint.document)), dict(checkpoint.arrays)


def victim() -> tuple[Document, Arrays]:
    """Return what most attacks start from."""
    return content(SPEC, (3,))


def signed(body: bytes, version: str = str(FORMAT)) -> bytes:
    """Return the file with this body and a digest to match."""
    head = MAGIC + f"format {version}\nbytes {len(body)}\n".encode()
    digest = hashlib.sha256(head + body).hexdigest()
    return (head + f"sha256 {digest}\n".encode()).ljust(BLOCK, b"\0") + body


def image(
    document: Document | str | bytes | None,
    arrays: Arrays,
    change: Callable[[h5py.File], None] = lambda file: None,
) -> bytes:
    """Return the HDF5 image of this content, after a change to it."""
    text = document if isinstance(document, str | bytes) else json.dumps(document)
    data = text.encode() if isinstance(text, str) else text
    with h5py.File("m", "w", driver="core", backing_store=False, userblock_size=BLOCK) as file:
        if document is not None:
            file["document"] = np.frombuffer(data, np.uint8)
        for name, array in arrays.items():
            file[name] = array
        change(file)
        file.flush()
        return bytes(file.id.get_file_image())


def altered(path: Path, change: Callable[[h5py.File], None]) -> None:
    """Write a checkpoint whose HDF5 file was changed."""
    path.write_bytes(signed(image(*victim(), change)))


def restated(path: Path, change: Callable[[Document, Arrays], Any]) -> None:
    """Write a checkpoint whose document and arrays were changed, or replaced by what is given."""
    document, arrays = victim()
    replaced = change(document, arrays)
    path.write_bytes(signed(image(document if replaced is None else replaced, arrays)))


def forged(path: Path, change: Callable[[h5py.File], None], old: bytes, new: bytes) -> None:
    """Write a checkpoint with bytes of its HDF5 file exchanged, which no library would write."""
    body = image(*victim(), change)
    assert body.count(old) == 1
    path.write_bytes(signed(body.replace(old, new)))


def make_all(folder: Path) -> None:
    """Write every attack to a file of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, each in ATTACKS.items():
        each.make(folder / f"{name}.h5")


# The file


@attack("not a checkpoint of nnreg")
def empty(path):
    path.write_bytes(b"")


@attack("not a checkpoint of nnreg")
def a_pickle(path):
    path.write_bytes(b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR.")


@attack("not a checkpoint of nnreg")
def plain_hdf5(path):
    path.write_bytes(b"\0" * BLOCK + image(*victim()))


@attack(f"format '{FORMAT + 1}'")
def of_the_future(path):
    path.write_bytes(signed(image(*victim()), str(FORMAT + 1)))


@attack("format '01'")
def of_an_odd_version(path):
    path.write_bytes(signed(image(*victim()), "01"))


@attack("cut short or extended")
def cut(path):
    path.write_bytes(signed(image(*victim()))[:-1])


@attack("cut short or extended")
def extended(path):
    path.write_bytes(signed(image(*victim())) + b"\0")


@attack("cut short or extended")
def a_header_alone(path):
    path.write_bytes(MAGIC + f"format {FORMAT}\nbytes 9\n".encode())


@attack("damaged")
def unsigned(path):
    data = bytearray(signed(image(*victim())))
    data[-1] ^= 1
    path.write_bytes(data)


@attack("damaged")
def something_hidden_in_the_header(path):
    data = bytearray(signed(image(*victim())))
    data[BLOCK - 1] = 1
    path.write_bytes(data)


@attack("not a well-formed checkpoint")
def no_image(path):
    path.write_bytes(signed(b""))


@attack("not a well-formed checkpoint")
def half_an_image(path):
    body = image(*victim())
    path.write_bytes(signed(body[: len(body) // 2]))


@attack("not the folder of a run")
def a_folder(path):
    path.mkdir()


@attack("not a regular file")
def a_pipe(path):
    os.mkfifo(path)


@attack("not a regular file")
def a_device(path):
    path.symlink_to("/dev/zero")


@attack("cannot read: Too many levels of symbolic links")
def a_link_to_itself(path):
    path.symlink_to(path.name)


@attack("are too many for .* bytes of memory")
def larger_than_memory(path):
    size = memory_limit() or 1 << 40
    with path.open("wb") as file:
        file.write(MAGIC + f"format {FORMAT}\nbytes {size}\n".encode())
        file.truncate(BLOCK + size)


# Links and objects


@attack("'x' is a link to somewhere else")
def a_soft_link(path):
    altered(path, lambda file: file.update({"x": h5py.SoftLink("/document")}))


@attack("'x' is a link to somewhere else")
def a_soft_link_to_itself(path):
    altered(path, lambda file: file.update({"x": h5py.SoftLink("/x")}))


@attack("'x' is a link to somewhere else")
def an_external_link(path):
    altered(path, lambda file: file.update({"x": h5py.ExternalLink("/etc/passwd", "x")}))


@attack("is an object that another name already has")
def a_hard_link(path):
    altered(path, lambda file: file.update({"x": file["document"]}))


@attack("is an object that another name already has")
def a_thousand_hard_links(path):
    def change(file):
        file["big"] = np.zeros(100_000)
        for number in range(1000):
            file[f"big{number}"] = file["big"]

    altered(path, change)


@attack("is an object that another name already has")
def a_cycle(path):
    altered(path, lambda file: file.update({"parameters/up": file["parameters"]}))


@attack("is an object that another name already has")
def a_cycle_through_the_root(path):
    altered(path, lambda file: file.update({"parameters/up": file["/"]}))


@attack("'type' is neither a group nor a dataset")
def a_named_type(path):
    altered(path, lambda file: file.update({"type": np.dtype("f4")}))


@attack("is nested too deep")
def groups_in_groups(path):
    altered(path, lambda file: file.create_group("/".join(["g"] * 1000)))


@attack("more than 10,000 groups and datasets")
def many_groups(path):
    def change(file):
        for number in range(10_001):
            file.create_group(f"g{number}")

    altered(path, change)


@attack("'more' is an empty group")
def an_empty_group(path):
    altered(path, lambda file: file.create_group("more"))


@attack("is not a name")
def a_name_with_a_slash(path):
    forged(path, lambda file: file.create_group("xxx"), b"xxx\0", b"x/x\0")


@attack("is not a name")
def a_name_of_dots(path):
    forged(path, lambda file: file.create_group("-~"), b"-~\0", b"..\0")


@attack("is not a name")
def a_name_that_paints_the_terminal(path):
    altered(path, lambda file: file.create_group("\x1b[2Jok"))


@attack("is not a name")
def a_name_that_is_not_text(path):
    forged(path, lambda file: file.create_group("~~"), b"~~\0", b"\xff\xfe\0")


@attack("the file has attributes")
def an_attribute_of_the_file(path):
    altered(path, lambda file: file.attrs.update({"code": "import os"}))


@attack("'document' has attributes")
def an_attribute_of_an_array(path):
    altered(path, lambda file: file["document"].attrs.update({"x": 1}))


@attack("'parameters' has attributes")
def ten_thousand_attributes(path):
    def change(file):
        for number in range(10_000):
            file["parameters"].attrs[f"a{number}"] = number

    altered(path, change)


# Storage


@attack("'x' keeps its values in another file")
def external_storage(path):
    altered(
        path,
        lambda file: file.create_dataset(
            "x", shape=(4,), dtype="f8", external=[("/etc/passwd", 0, 32)]
        ),
    )


@attack("'x' keeps its values in another file")
def virtual_storage(path):
    def change(file):
        layout = h5py.VirtualLayout(shape=(4,), dtype="f8")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(4,))
        file.create_virtual_dataset("x", layout)

    altered(path, change)


@attack("'x' declares 1,099,511,627,776 bytes, but holds 0")
def a_bomb_by_shape(path):
    altered(path, lambda file: file.create_dataset("x", shape=(1 << 37,), dtype="f8"))


@attack("'x' is chunked, compressed or compact")
def a_bomb_by_chunks(path):
    altered(
        path, lambda file: file.create_dataset("x", shape=(1 << 37,), dtype="f8", chunks=(1024,))
    )


@attack("'x' is chunked, compressed or compact")
def a_bomb_by_compression(path):
    altered(
        path, lambda file: file.create_dataset("x", data=np.zeros(10_000_000), compression="gzip")
    )


@attack("'x' is chunked, compressed or compact")
def an_unknown_filter(path):
    def change(file):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4,))
        plist.set_filter(32_000, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((4,))
        h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F64LE, space, plist)

    altered(path, change)


@attack("'x' is chunked, compressed or compact")
def compact_storage(path):
    def change(file):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F64LE, h5py.h5s.create_simple((4,)), plist)

    altered(path, change)


def address(array: h5py.Dataset) -> bytes:
    """Return how the file writes where the values of an array are."""
    return int(array.id.get_offset() - BLOCK).to_bytes(8, "little")


@attack("lies on the bytes of another array")
def arrays_on_the_same_bytes(path):
    names = ("best/parameters", "optimizer/m")
    addresses: list[bytes] = []
    body = image(*victim(), lambda file: addresses.extend(address(file[name]) for name in names))
    path.write_bytes(signed(body.replace(addresses[1], addresses[0])))


@attack("more bytes than the file has|not a well-formed checkpoint")
def an_array_beyond_the_end(path):
    addresses: list[bytes] = []
    body = image(*victim(), lambda file: addresses.append(address(file["history"])))
    path.write_bytes(signed(body.replace(addresses[0], (len(body) - 8).to_bytes(8, "little"))))


# Types


def of_type(name: str, dtype: Any, values: Any) -> None:
    """Register an attack with an array of a type that the format does not have."""

    def make(path):
        altered(path, lambda file: file.create_dataset("x", data=np.array(values, dtype)))

    make.__name__ = f"an_array_of_{name}"
    attack("'x' has the type ")(make)


of_type("text", h5py.string_dtype(), ["a", "b"])
of_type("fixed_text", "S4", ["a", "b"])
of_type("big_endian_numbers", ">f4", [1, 2])
of_type("half_precision", "<f2", [1, 2])
of_type("complex_numbers", "<c8", [1, 2])
of_type("long_doubles", np.longdouble, [1, 2])
of_type("truth_values", bool, [True, False])
of_type("records", [("a", "<f4"), ("b", "<f4")], [(1, 2)])
of_type("enumerations", h5py.enum_dtype({"A": 1}, "<i8"), [1])
of_type("subarrays", [("a", "<f4", (2, 2))], [(0,)])
of_type("blobs", "V8", [b"12345678"])


@attack("'x' has the type vlen")
def an_array_of_variable_length(path):
    def change(file):
        rows = file.create_dataset("x", (2,), dtype=h5py.vlen_dtype("<f4"))
        rows[0] = np.zeros(3)

    altered(path, change)


@attack("'x' has the type reference")
def an_array_of_references(path):
    altered(
        path, lambda file: file.create_dataset("x", data=file["document"].ref, dtype=h5py.ref_dtype)
    )


@attack("'x' has no shape")
def an_array_without_a_shape(path):
    altered(path, lambda file: file.create_dataset("x", data=h5py.Empty("<f4")))


# Names and shapes


@attack("holds 'parameters/more', which this model has not")
def an_extra_array(path):
    restated(path, lambda d, a: a.update({"parameters/more": np.zeros(3, np.float32)}))


@attack("lacks 'parameters/layers/0/bias'")
def a_missing_array(path):
    restated(path, lambda d, a: void(a.pop("parameters/layers/0/bias")))


@attack(r"the spec makes it float32 \(3, 4\)")
def an_array_of_another_shape(path):
    restated(
        path, lambda d, a: a.update({"parameters/layers/0/weight": np.zeros((4, 3), np.float32)})
    )


@attack("is float64")
def an_array_of_another_type(path):
    restated(path, lambda d, a: a.update({"parameters/layers/0/weight": np.zeros((3, 4))}))


@attack("5 of the 12 values of 'parameters/layers/0/weight' are not finite")
def weights_that_are_not_numbers(path):
    restated(path, lambda d, a: a["parameters/layers/0/weight"].reshape(-1)[:5].fill(np.nan))


@attack("of 'state/layers/1/running_variance' are not finite")
def an_infinite_state(path):
    restated(path, lambda d, a: a["state/layers/1/running_variance"].fill(np.inf))


@attack("does not count its epochs")
def a_history_of_nothing(path):
    restated(path, lambda d, a: a["history"].fill(np.inf))


# The document


def void(_: Any) -> None:
    """Return nothing, where a lambda would return what was dropped."""


@attack("there is no document")
def no_document(path):
    path.write_bytes(signed(image(None, victim()[1])))


@attack("there is no document")
def a_folder_for_a_document(path):
    path.write_bytes(signed(image(None, {**victim()[1], "document/x": np.zeros(1)})))


@attack("there is no document")
def a_table_for_a_document(path):
    path.write_bytes(signed(image(None, {**victim()[1], "document": np.zeros((2, 2), np.uint8)})))


@attack("can't decode byte 0xff")
def a_document_that_is_not_text(path):
    restated(path, lambda d, a: b"\xff\xfe")


@attack("not a JSON object")
def a_document_that_is_a_list(path):
    restated(path, lambda d, a: "[]")


@attack("not JSON: .* line 1 column 1")
def a_document_with_a_comment(path):
    restated(path, lambda d, a: f"/* hello */{json.dumps(d)}")


@attack("not JSON: Extra data")
def two_documents(path):
    restated(path, lambda d, a: json.dumps(d) * 2)


@attack(r"\$.origin: the key occurs twice")
def a_key_twice(path):
    restated(path, lambda d, a: '{"origin": "a", ' + json.dumps(d)[1:])


@attack("the key occurs twice")
def a_key_a_hundred_thousand_times(path):
    restated(path, lambda d, a: "{" + ",".join(['"a":1'] * 100_000) + "}")


@attack(r"\$.progress.best_value: NaN or an infinite number")
def not_a_number(path):
    restated(path, lambda d, a: d["progress"].update(best_value=float("nan")))


@attack(r"\$.progress.best_value: NaN or an infinite number")
def a_number_beyond_a_float(path):
    restated(path, lambda d, a: re.sub('("best_value":) [^,]*', r"\1 1e999", json.dumps(d)))


@attack("not JSON: Exceeds the limit")
def a_number_of_a_million_digits(path):
    restated(path, lambda d, a: json.dumps(d).replace('"step": 2', f'"step": {"9" * 1_000_000}'))


@attack(r"\$.progress.step: must be")
def a_number_of_four_thousand_digits(path):
    restated(path, lambda d, a: json.dumps(d).replace('"step": 2', f'"step": {"9" * 4_000}'))


@attack("half of a surrogate pair")
def half_a_character(path):
    restated(path, lambda d, a: d.update(origin="\ud800"))


@attack("nested too deep")
def lists_in_lists(path):
    restated(path, lambda d, a: "[" * 200 + "]" * 200)


@attack("nested too deep")
def many_lists_in_lists(path):
    restated(path, lambda d, a: "[" * 300_000)


@attack("values is too large")
def a_document_of_too_many_values(path):
    restated(path, lambda d, a: d["environment"].update(x=[[]] * 200_000))


@attack(r"\$.preprocessing.inputs\[0\].std: must be")
def thousands_of_columns_all_of_them_wrong(path):
    column = {"type": "number", "name": "a", "mean": 0, "std": 0, "fill": None}
    restated(path, lambda d, a: d["preprocessing"].update(inputs=[column] * 20_000))


@attack("problems are too many to list")
def a_hundred_thousand_unknown_keys(path):
    restated(path, lambda d, a: d.update({f"key {number}": 0 for number in range(100_000)}))


@attack("is too large")
def a_document_too_large(path):
    restated(path, lambda d, a: d.update(origin="x" * (1 << 22)))


@attack(r"\$.preprocessing: required, but not given")
def a_missing_key(path):
    restated(path, lambda d, a: void(d.pop("preprocessing")))


@attack(r"\$.__class__: unknown key")
def an_extra_key(path):
    restated(path, lambda d, a: d.update({"__class__": "os.system"}))


@attack(r"\$.progress.epoch: must be a valid integer, found true")
def truth_for_a_number(path):
    restated(path, lambda d, a: d["progress"].update(epoch=True))


@attack(r"\$.progress.epoch: must be .* found -1")
def a_negative_epoch(path):
    restated(path, lambda d, a: d["progress"].update(epoch=-1))


@attack(r"'history' is float64 \(2, 3\)")
def a_million_million_epochs(path):
    restated(path, lambda d, a: d["progress"].update(epoch=10**12))


@attack("lacks 'partial/outputs'")
def an_epoch_under_way_of_a_million_million_examples(path):
    begun = {"count": 10**12, "seen": 10**12 - 1, "loss": 1.0, "streams": []}
    restated(path, lambda d, a: d["progress"].update(partial=begun))


@attack("must not be empty")
def no_inputs(path):
    restated(path, lambda d, a: d["preprocessing"].update(inputs=[]))


@attack(r"\$.preprocessing.inputs\[0\].std: must be .* found 0")
def a_division_by_nothing(path):
    restated(path, lambda d, a: d["preprocessing"]["inputs"][0].update(std=0))


@attack("found -3")
def a_negative_shape(path):
    restated(path, lambda d, a: d["preprocessing"]["inputs"][0].update(shape=[-3]))


@attack("the only input")
def more_inputs_than_can_be(path):
    restated(
        path, lambda d, a: d["preprocessing"]["inputs"].append(d["preprocessing"]["inputs"][0])
    )


@attack("do not fit the target")
def fewer_class_names_than_outputs(path):
    def change(document, arrays):
        document["spec"]["model"]["layers"][2]["units"] = 2
        document["preprocessing"]["target"]["names"] = ["one", "two", "three"]

    restated(path, change)


def averaged(document: Document, arrays: Arrays, steps: int = 1) -> None:
    """Let a file hold averages of some steps."""
    document["progress"].update(averaged=steps)
    for name in ("parameters", "state"):
        arrays[f"average/{name}"] = arrays[f"best/{name}"].copy()


@attack("its spec asks for none")
def averages_that_nobody_asked_for(path):
    restated(path, lambda d, a: void(averaged(d, a)))


@attack("99 steps averaged of 2 made")
def averages_of_more_steps_than_were_made(path):
    restated(path, lambda d, a: void(averaged(d, a, steps=99)))


@attack("lacks 'average/parameters'")
def averages_of_nothing(path):
    def change(document, arrays):
        document["spec"]["train"].update(ema=0.9)
        document["progress"].update(averaged=1)

    restated(path, change)


# The spec in it


def in_spec(path: Path, change: Callable[[Document], Any]) -> None:
    """Write a checkpoint with another spec."""
    restated(path, lambda document, arrays: void(change(document["spec"])))


@attack("no layer 'os.system'")
def a_dotted_path_for_a_layer(path):
    in_spec(path, lambda spec: spec["model"]["layers"].append("os.system"))


@attack(r"\$.model.layers\[0\].__reduce__: unknown key")
def an_option_that_is_code(path):
    in_spec(path, lambda spec: spec["model"]["layers"][0].update(__reduce__=["os.system", "id"]))


@attack(r"\$\.extends: only a spec in a file extends others")
def another_file_that_the_spec_extends(path):
    base = path.with_suffix(".base.json")
    base.write_text('{"train": {"epochs": 99}}')
    in_spec(path, lambda spec: spec.update(extends=str(base)))


@attack(r"\$\.seed: must be a valid integer, found \"\${env:HOME:-1}\"")
def a_variable_of_whoever_loads_it(path):
    in_spec(path, lambda spec: spec.update(seed="${env:HOME:-1}"))


@attack("no loss 'nonsense'")
def an_unknown_component(path):
    in_spec(path, lambda spec: spec.update(loss="nonsense"))


@attack("the spec makes it float32")
def a_bomb_by_spec(path):
    in_spec(path, lambda spec: spec["model"]["layers"][0].update(units=10**9))


@attack("the spec makes it float32")
def a_bomb_by_spec_beyond_all_memory(path):
    in_spec(path, lambda spec: spec["model"]["layers"][0].update(units=10**18))


@attack("nested too deep|not fit together")
def layers_in_layers(path):
    layers = [{"type": "flatten"}]
    for _ in range(47):
        layers = [{"type": "residual", "layers": layers}]
    in_spec(path, lambda spec: spec["model"]["layers"].insert(0, *layers))


@attack("not fit together")
def twenty_thousand_layers(path):
    layers = [{"type": "flatten"}] * 20_000
    in_spec(path, lambda spec: spec["model"]["layers"].__setitem__(slice(0, 0), layers))


@attack("problems are too many to list")
def fifteen_thousand_layers_that_nobody_has(path):
    layers = [{"type": f"dens{number}"} for number in range(15_000)]
    in_spec(path, lambda spec: spec["model"].update(layers=layers))


@attack(r"\$.train.freeze\[19\]: no layer 'layers/x19'")
def forty_thousand_frozen_layers_that_nobody_has(path):
    names = [f"layers/x{number}" for number in range(40_000)]
    in_spec(path, lambda spec: spec["train"].update(freeze=names))


@attack("nothing is left to train")
def every_layer_frozen_thousands_of_times(path):
    names = [f"layers/{number % 3}" for number in range(40_000)]
    in_spec(path, lambda spec: spec["train"].update(freeze=names))


@attack("too large: about")
def a_hundred_thousand_metrics(path):
    in_spec(path, lambda spec: spec.update(metrics=["accuracy"] * 100_000))


@attack(r"kernel|takes")
def a_layer_that_does_not_fit(path):
    in_spec(path, lambda spec: spec["model"]["layers"].insert(0, "global_average_pool"))


# Plugins


def of_component(path: Path, **changes: Any) -> None:
    """Write a checkpoint that says of its first component what it pleases."""
    restated(path, lambda document, arrays: document["components"][0].update(changes))


@attack("which is not installed; if you trust it, run: pip install nnreg-gone==1.0")
def a_plugin_that_is_not_installed(path):
    of_component(path, name="gone", distribution="nnreg-gone", version="1.0")


@attack("is not a distribution and version")
def a_plugin_that_is_a_shell_command(path):
    of_component(path, name="gone", distribution="x; rm -rf ~", version="1.0")


@attack("'os' is not a kind of component")
def a_plugin_of_no_kind(path):
    of_component(path, kind="os", name="system")


@attack("a component is described by")
def a_plugin_that_paints_the_terminal(path):
    of_component(path, distribution="\x1b[2Jnnreg")


@attack("not installed|not met|requires")
def a_spec_that_requires_a_plugin(path):
    in_spec(path, lambda spec: spec.update(requires=["nnreg-gone>=1"]))


@attack("can no longer be run on what it was probed with")
def an_input_too_large_to_probe(path):
    spec = copy.deepcopy(SPEC)
    spec["model"]["layers"][0:0] = [{"type": "max_pool2d", "size": 4}, "flatten"]
    document, arrays = content(spec, (4, 4, 1))
    document["spec"]["model"]["layers"][0]["size"] = 30_000
    document["preprocessing"]["inputs"][0]["shape"] = [30_000, 30_000, 1]
    for component in document["components"]:
        component["version"] = "0.0.1"
    path.write_bytes(signed(image(document, arrays)))


@attack(r"\$.components\[0\].kind: must be a valid string")
def a_plugin_that_is_a_list(path):
    of_component(path, kind=["layer"])
