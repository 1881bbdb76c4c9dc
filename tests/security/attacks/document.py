"""Documents that are not JSON, or not valid for a checkpoint."""

from __future__ import annotations

import json
import re

import numpy as np

from tests.security.harness import Arrays, Document, attack, image, restated, signed, victim, void


@attack("its document is missing")
def no_document(path):
    path.write_bytes(signed(image(None, victim()[1])))


@attack("its document is missing")
def a_group_for_a_document(path):
    path.write_bytes(signed(image(None, {**victim()[1], "document/x": np.zeros(1)})))


@attack("its document is missing")
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


@attack(r"\$.origin: duplicate key")
def a_duplicate_key(path):
    restated(path, lambda d, a: '{"origin": "a", ' + json.dumps(d)[1:])


@attack("duplicate key")
def a_hundred_thousand_duplicate_keys(path):
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


@attack("unpaired surrogate")
def an_unpaired_surrogate(path):
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
def thousands_of_invalid_columns(path):
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
def a_boolean_for_a_number(path):
    restated(path, lambda d, a: d["progress"].update(epoch=True))


@attack(r"\$.progress.epoch: must be .* found -1")
def a_negative_epoch(path):
    restated(path, lambda d, a: d["progress"].update(epoch=-1))


@attack(r"'history' is float64 \(2, 3\)")
def a_million_million_epochs(path):
    restated(path, lambda d, a: d["progress"].update(epoch=10**12, step=10**12))


@attack("'partial/outputs' is missing")
def an_unfinished_epoch_of_a_million_million_examples(path):
    partial = {"count": 10**12, "seen": 10**12 - 1, "loss": 1.0, "streams": []}
    restated(path, lambda d, a: d["progress"].update(partial=partial, step=3))


@attack("must not be empty")
def no_inputs(path):
    restated(path, lambda d, a: d["preprocessing"].update(inputs=[]))


@attack(r"\$.preprocessing.inputs\[0\].std: must be .* found 0")
def a_division_by_zero(path):
    restated(path, lambda d, a: d["preprocessing"]["inputs"][0].update(std=0))


@attack("found -3")
def a_negative_shape(path):
    restated(path, lambda d, a: d["preprocessing"]["inputs"][0].update(shape=[-3]))


@attack("the only input")
def more_inputs_than_possible(path):
    restated(
        path, lambda d, a: d["preprocessing"]["inputs"].append(d["preprocessing"]["inputs"][0])
    )


@attack("do not match the target")
def fewer_class_names_than_outputs(path):
    def change(document, arrays):
        document["spec"]["model"]["layers"][2]["units"] = 2
        document["preprocessing"]["target"]["names"] = ["one", "two", "three"]

    restated(path, change)


def averaged(document: Document, arrays: Arrays, steps: int = 1) -> None:
    """Add averages over some steps."""
    document["progress"].update(averaged=steps)
    for name in ("parameters", "state"):
        arrays[f"average/{name}"] = arrays[f"best/{name}"].copy()


@attack("its spec has no train.ema")
def averages_without_ema_in_the_spec(path):
    restated(path, lambda d, a: void(averaged(d, a)))


@attack("99 of 2 steps are averaged")
def averages_over_more_steps_than_trained(path):
    restated(path, lambda d, a: void(averaged(d, a, steps=99)))


@attack("'average/parameters' is missing")
def missing_averages(path):
    def change(document, arrays):
        document["spec"]["train"].update(ema=0.9)
        document["progress"].update(averaged=1)

    restated(path, change)
