"""Categories as inputs: one-hot encoded, and as positions for trained vectors."""

import numpy as np
import pytest

import nnreg
from nnreg import DataError, RawColumn, SpecError
from nnreg.builtin.encoders import Category, Hashed, Index, TargetMean
from nnreg.builtin.encoders.murmurhash import murmurhash
from nnreg.reports.predictions import predict_held_out
from nnreg.runs.prepare import prepare_from_checkpoint, prepare_from_spec
from nnreg.spec.document import read_spec
from tests.helpers.specs import classifier, regressor

WORDS = np.array(["oak", "elm", "oak", "fir", "oak", "elm", "ash", "yew"])

HEAD = {"type": "dense", "units": 1}


def learn(encoder, values=WORDS):
    return encoder.learn(RawColumn.of(values, encoder.takes))


def encode(encoder, values):
    return encoder.encode(RawColumn.of(values, encoder.takes))


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, ("ash", "elm", "fir", "oak", "yew")),
        ({"min_rows": 2}, ("elm", "oak")),
        ({"min_rows": 2, "max_categories": 1}, ("oak",)),
        ({"min_rows": 1, "max_categories": 3}, ("ash", "elm", "oak")),
        ({"min_rows": 9}, ()),
    ],
)
@pytest.mark.parametrize("cls", [Category, Index])
def test_rare_categories_are_counted_together(cls, options, kept):
    learned = learn(cls(**options))
    assert learned.categories == kept
    found = encode(learned, ["oak", "yew"])
    if cls is Index:
        places = {name: place for place, name in enumerate(kept)}
        assert found.tolist() == [places.get(name, len(kept)) for name in ("oak", "yew")]
    elif options:
        assert found.shape == (2, len(kept) + 1)
        assert found[1].tolist() == [float(name == "yew") for name in kept] + [
            float("yew" not in kept)
        ]


def test_unknown_and_missing_categories_have_a_position_of_their_own():
    learned = learn(Index())
    assert learned.index_count == 7
    assert encode(learned, ["yew", "pine", None]).tolist() == [4, 5, 6]


@pytest.mark.parametrize(
    ("text", "seed", "expected"),
    [
        ("", 0, 0x00000000),
        ("", 1, 0x514E28B7),
        ("test", 0, 0xBA6BD213),
        ("Hello, world!", 0x9747B28C, 0x24884CBA),
        ("The quick brown fox jumps over the lazy dog", 0, 0x2E4FF723),
        ("\N{GREEK SMALL LETTER PI}" * 8, 0x9747B28C, 0xD58063C1),
    ],
)
def test_the_hash_is_murmurhash3(text, seed, expected):
    """The published values of its 32-bit form."""
    found = murmurhash(["other", text, "another"], seed)[1]
    assert int(found) & 0xFFFFFFFF == expected


def test_a_hash_chooses_a_column_and_a_sign():
    found = encode(Hashed(8), [*WORDS, None])
    assert np.abs(found).sum(axis=1).tolist() == [1.0] * 8 + [0.0]
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(encode(Hashed(8, signed=False), WORDS), np.abs(found[:8]))
    assert (encode(Hashed(8, seed=1), WORDS) != found[:8]).any()


def test_a_number_is_hashed_as_it_is_written_first():
    np.testing.assert_array_equal(encode(Hashed(), ["1.0", "2.50"]), encode(Hashed(), [1, 2.5]))


def table(count=60, seed=0):
    rng = np.random.default_rng(seed)
    size, shop, kind = rng.normal(size=count), rng.integers(0, 12, count), rng.integers(0, 3, count)
    price = size + np.sin(5.0 * shop) + 0.5 * kind
    rows = zip(size, shop, kind, price, strict=True)
    lines = [f"{a:.6f},s{b},{'abc'[c]},{'cheap' if d < 0 else f'{d:.6f}'}" for a, b, c, d in rows]
    return "size,shop,kind,price\n" + "\n".join(lines) + "\n"


def numbers(count=60, seed=0):
    return table(count, seed).replace("cheap", "-0.5")


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(numbers())
    return tmp_path


def spec(layers=("column_embedding",), columns=None, dtype="float32", **changes):
    data = {
        "source": "csv", "path": "data.csv", "target": "price",
        "columns": {"shop": "index"} if columns is None else columns,
    }  # fmt: skip
    return regressor(data=data | changes, model={"layers": [*layers, HEAD], "dtype": dtype})


def test_a_table_of_numbers_one_hot_categories_and_positions_is_one_input(directory):
    model = nnreg.run(spec(), out="run")
    assert model.network.params["layers/0/columns/0/weight"].shape == (14, 7)
    assert model.network.params["layers/1/weight"].shape == (1 + 3 + 7, 1)
    rows = [
        {"size": 0.5, "shop": "s3", "kind": "a"},
        {"size": 0.5, "shop": "s4", "kind": "a"},
        {"size": 0.5, "shop": "new", "kind": "a"},
    ]
    first, second, new = model.predict(rows)
    assert len({float(first), float(second), float(new)}) == 3
    again = nnreg.load("run")
    np.testing.assert_array_equal(again.predict(rows), model.predict(rows))
    last = nnreg.load("run/checkpoints/last.h5", ["train.epochs=6"])
    assert len(prepare_from_checkpoint(last).train) == 60


def test_a_missing_category_has_a_vector_where_missing_values_are_indicated(directory):
    text = numbers().splitlines()
    text[3] = text[3].replace(text[3].split(",")[1], "", 1)
    (directory / "data.csv").write_text("\n".join(text) + "\n")
    model = nnreg.run(spec(missing="indicate"))
    assert model.network.params["layers/1/weight"].shape == (1 + 1 + 3 + 7, 1)
    rows = [{"size": 0.5, "shop": shop, "kind": "a"} for shop in (None, "new")]
    assert np.ptp(model.predict(rows)) > 0


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [{"type": "dropout", "rate": 0.5}, "column_embedding"],
        [{"type": "residual", "layers": ["column_embedding"]}],
        [{"type": "dense", "units": 4}],
    ],
    ids=str,
)
def test_a_network_that_would_compute_with_positions_is_refused(directory, layers):
    with pytest.raises(
        SpecError,
        match=r"layers\[0\]: the input has positions of categories, not numbers, of 'shop';",
    ):
        prepare_from_spec(read_spec(spec(layers)))


def test_positions_are_refused_by_each_layer_that_reads_the_input(directory):
    layers = [
        {"type": "column_embedding", "name": "vectors"},
        {"type": "concat", "inputs": ["vectors", "table"]},
    ]
    given = spec(layers)
    given["data"] |= {"inputs": {"table": ["size", "shop"]}}
    given["model"]["layers"][0]["inputs"] = "table"
    with pytest.raises(
        SpecError,
        match=r"layers\[1\]: the input has positions of categories, not numbers, of 'shop';",
    ):
        prepare_from_spec(read_spec(given))


def test_one_list_of_layers_suits_a_table_without_positions(directory):
    model = prepare_from_spec(read_spec(spec(columns={"shop": "category"}))).model
    assert model.network.params["layers/1/weight"].shape == (1 + 12 + 3, 1)


def test_several_inputs_have_positions_of_their_own(directory):
    given = spec([])
    given["data"] |= {"inputs": {"one": ["size", "shop"], "two": ["kind"]}}
    given["data"]["columns"] = {"shop": "index", "kind": "index"}
    given["model"]["layers"] = [
        {"type": "column_embedding", "units": 2, "inputs": "one", "name": "a"},
        {"type": "column_embedding", "units": 3, "inputs": "two", "name": "b"},
        {"type": "concat", "inputs": ["a", "b"]},
        HEAD,
    ]
    model = nnreg.run(given)
    shapes = {name: one.shape for name, one in model.network.params.items()}
    assert shapes["layers/a/columns/0/weight"] == (14, 2)
    assert shapes["layers/b/columns/0/weight"] == (5, 3)
    assert shapes["layers/3/weight"] == (1 + 2 + 3, 1)


def test_arrays_passed_in_are_encoded_too():
    given = spec()
    x = {"size": [0.5, 1.0, -1.0, 0.0], "shop": ["a", "b", "a", "c"]}
    model = nnreg.run(given, data=(x, {"price": [1.0, 2.0, 0.5, 0.0]}))
    assert model.network.params["layers/0/columns/0/weight"].shape == (5, 4)
    assert model.predict({"size": [0.5], "shop": ["z"]}).shape == (1,)


def test_an_embedding_of_integers_takes_the_positions_of_a_single_column(directory):
    embedding = {"type": "embedding", "vocabulary": 14, "units": 2}
    given = spec([embedding, "flatten"], exclude=["size", "kind"])
    assert nnreg.run(given).predict([{"shop": "s1"}, {"shop": "new"}]).shape == (2,)
    given = spec([embedding | {"vocabulary": 11}, "flatten"], exclude=["size", "kind"])
    with pytest.raises(DataError, match=r"integers from 0 to 10"):
        nnreg.run(given)


def test_positions_are_not_mixed(directory):
    given = spec(["column_embedding", {"type": "dense", "units": 2, "activation": "softmax"}])
    given = classifier(data=given["data"], model=given["model"])
    given["model"]["layers"].pop()
    (directory / "data.csv").write_text(numbers().replace("price", "cost"))
    text = [line.split(",") for line in numbers().splitlines()]
    lines = [",".join([*row[:3], "dear" if float(row[3]) > 0 else "cheap"]) for row in text[1:]]
    (directory / "data.csv").write_text("\n".join([",".join(text[0]), *lines]) + "\n")
    given["train"] = {"epochs": 1, "augment": ["mixup"]}
    with pytest.raises(SpecError, match="positions of categories, which cannot be mixed"):
        nnreg.run(given)


def test_held_out_rows_do_not_change_what_is_learned(directory):
    given = spec(columns={"shop": {"type": "index", "min_rows": 2}}, split={"validation": 0.5})
    first = prepare_from_spec(read_spec(given)).model.preprocessing
    rows = prepare_from_spec(read_spec(given)).tables["train"].row_numbers
    text = numbers().splitlines()
    for row in set(range(60)) - {int(one) for one in rows}:
        text[row + 1] = text[row + 1].replace(text[row + 1].split(",")[1], "s0", 1)
    (directory / "data.csv").write_text("\n".join(text) + "\n")
    assert prepare_from_spec(read_spec(given)).model.preprocessing == first


TARGETS = {
    "numbers": np.array([1.0, 4.0, 3.0, 2.0, 5.0, 6.0, -1.0, 0.5]),
    "two numbers": np.arange(16.0).reshape(8, 2) ** 2,
    "two classes": np.array([0, 1, 0, 1, 1, 1, 0, 0]),
    "three classes": np.array([0, 1, 2, 1, 2, 1, 0, 0]),
}


class TestTargetMeans:
    def column(self, target, values=WORDS):
        return RawColumn.of(values, "text", target=target)

    @pytest.mark.parametrize(("target", "width"), [*zip(TARGETS, (1, 2, 1, 3), strict=True)])
    def test_there_is_a_mean_for_each_number_or_class(self, target, width):
        encoder = TargetMean(smoothing=0, scaling="none").learn(self.column(TARGETS[target]))
        assert encoder.shape == (width,)
        values = TARGETS[target]
        if target == "two classes":
            values = values == 1
        if target == "three classes":
            values = values[:, None] == np.arange(3)
        oak = values[WORDS == "oak"].mean(axis=0)
        found = encode(encoder, ["oak", "pine", None])
        np.testing.assert_allclose(found[0], oak)
        np.testing.assert_allclose(found[1:], [values.mean(axis=0).reshape(width)] * 2)

    @pytest.mark.parametrize("target", TARGETS)
    def test_smoothing_moves_the_means_of_few_rows_towards_that_of_all(self, target):
        column = self.column(TARGETS[target])
        overall, *many = (
            encode(TargetMean(m, scaling="none").learn(column), ["ash"]) for m in (1e12, 1, 0)
        )
        some, none = (np.abs(one - overall).sum() for one in many)
        assert 0.49 * none < some < 0.51 * none  # one row, so n / (n + 1)

    def test_its_numbers_are_scaled_as_others_are(self):
        column = self.column(TARGETS["numbers"])
        found = encode(TargetMean().learn(column), WORDS)
        np.testing.assert_allclose([found.mean(), found.std()], [0, 1], atol=1e-12)

    def test_a_constant_target_gives_zeros(self):
        column = self.column(np.full(8, 3.0))
        encoder = TargetMean().learn(column)
        np.testing.assert_array_equal(encode(encoder, WORDS), 0)
        np.testing.assert_array_equal(encoder.encode_training(column), 0)

    @pytest.mark.parametrize("target", TARGETS)
    def test_a_training_row_does_not_know_its_own_target(self, target):
        encoder = TargetMean(folds=8).learn(self.column(TARGETS[target]))
        before = encoder.encode_training(self.column(TARGETS[target]))
        for row in range(8):
            changed = TARGETS[target].copy()
            changed[row] = 0 if np.any(changed[row]) else 1
            after = encoder.encode_training(self.column(changed))
            np.testing.assert_array_equal(after[row], before[row])
            assert (after != before).any()

    @pytest.mark.parametrize("rows", [1, 2, 3])
    def test_there_may_be_fewer_rows_than_folds(self, rows):
        column = self.column(np.arange(float(rows)), WORDS[:rows])
        assert np.isfinite(TargetMean().learn(column).encode_training(column)).all()

    def test_a_class_that_only_other_rows_have_keeps_its_column(self):
        encoder = TargetMean().learn(self.column(TARGETS["three classes"]))
        few = self.column(np.array([0, 1]), WORDS[:2])
        assert encoder.encode_training(few).shape == (2, 3)

    def spec(self, **changes):
        return spec([], {"shop": "target_mean"}, **changes)

    def test_only_the_training_split_is_encoded_out_of_fold(self, directory):
        given = self.spec(split={"validation": 0.25}, exclude=["size", "kind"])
        prepared = prepare_from_spec(read_spec(given))
        encoder = prepared.model.preprocessing.inputs[0].encoder
        known = sorted({*encode(encoder, [f"s{k}" for k in range(12)]).ravel().astype(np.float32)})
        assert np.isin(prepared.validation.x, known).all()
        assert not np.isin(prepared.train.x, known).any()

    def test_the_training_split_has_the_same_bits_again(self, directory):
        given = self.spec(split={"validation": 0.25}, train={"folds": None})
        given["data"].pop("train")
        nnreg.run(given, out="run")
        first = prepare_from_spec(read_spec(given)).train.x
        again = prepare_from_checkpoint(nnreg.load("run")).train.x
        np.testing.assert_array_equal(again, first)

    def test_rows_passed_to_fit_are_training_rows(self):
        x = {"shop": list(WORDS)}
        given = regressor(data={
            "source": "csv", "path": "none.csv", "target": "price",
            "columns": {"shop": "target_mean"},
        })  # fmt: skip
        model = nnreg.build(given, data=(x, {"price": TARGETS["numbers"]}))
        fitted = model.examples(x, {"price": TARGETS["numbers"]}, training=True).x
        assert (fitted != model.examples(x, {"price": TARGETS["numbers"]}).x).any()
        model.fit(x, {"price": TARGETS["numbers"]}, epochs=1)
        assert model.predict({"shop": ["oak", "pine"]}).shape == (2,)

    def test_a_missing_category_has_the_mean_of_all_and_no_part_in_others(self, directory):
        text = numbers().splitlines()
        text[3] = text[3].replace(text[3].split(",")[1], "", 1)
        (directory / "data.csv").write_text("\n".join(text) + "\n")
        given = self.spec(missing="indicate", exclude=["size", "kind"])
        prepared = prepare_from_spec(read_spec(given))
        encoder = prepared.model.preprocessing.inputs[0].encoder
        overall = (encoder.overall[0] - encoder.center[0]) / encoder.scale[0]
        assert prepared.train.x[2].tolist() == [np.float32(overall), 1]
        text[3] = ",".join([*text[3].split(",")[:-1], "1000"])
        (directory / "data.csv").write_text("\n".join(text) + "\n")
        again = prepare_from_spec(read_spec(given))
        np.testing.assert_array_equal(again.train.x, prepared.train.x)

    def test_a_random_category_does_not_predict_a_random_target(self, tmp_path):
        """Means that include a row's own target would explain half of the training split."""
        rng = np.random.default_rng(0)
        lines = [f"c{rng.integers(200)},{rng.normal():.6f}" for _ in range(800)]
        (tmp_path / "data.csv").write_text("\n".join(["id,y", *lines]) + "\n")
        given = regressor(
            data={
                "source": "csv", "path": str(tmp_path / "data.csv"), "target": "y",
                "columns": {"id": {"type": "target_mean", "smoothing": 0}},
                "split": {"validation": 0.5},
            },
            metrics=["r2"], train={"epochs": 30},
        )  # fmt: skip
        prepared = prepare_from_spec(read_spec(given))
        assert len([*prepared.model.trainer(prepared.train).epochs()]) == 30
        train, held_out = (one["r2"] for one in prepared.evaluate().values())
        assert train < 0.02
        assert abs(train - held_out) < 0.1


class TestWarmStart:
    """Vectors of categories are taken by the names of the categories."""

    def start(self, directory, old, new, **changes):
        (directory / "data.csv").write_text("size,shop,price\n" + old)
        first = nnreg.run(spec(**changes), out="first")
        (directory / "data.csv").write_text("size,shop,price\n" + new)
        given = spec(**changes) | {"train": {"epochs": 1, "start_from": "first"}}
        fresh = nnreg.build(spec(**changes))
        started = prepare_from_spec(read_spec(given)).model
        path = "layers/0/columns/0/weight"
        return (model.parameters[path] for model in (first, fresh, started))

    def test_they_keep_their_vectors_and_new_ones_have_initial_values(self, directory):
        layers = [{"type": "column_embedding", "units": 3}]
        old, fresh, started = self.start(
            directory, "1,b,1\n2,d,2\n3,e,3\n", "1,a,1\n2,b,2\n3,c,3\n4,d,4\n", layers=layers
        )
        np.testing.assert_array_equal(started[[1, 3, 4, 5]], old[[0, 1, 3, 4]])
        np.testing.assert_array_equal(started[[0, 2]], fresh[[0, 2]])

    def test_vectors_of_another_length_are_refused(self, directory):
        many = "".join(f"{k},s{k},{k}\n" for k in range(9))
        with pytest.raises(
            SpecError, match=r"columns/0/weight has the shape \(5, 4\), not \(11, 6\)"
        ):
            self.start(directory, "1,b,1\n2,d,2\n3,e,3\n", many)


def test_shards_and_threads_change_no_bits(directory):
    """The rows of a batch share vectors, whose gradients the shards add."""
    layers = [
        "column_embedding",
        {"type": "periodic_embedding", "units": 3, "frequencies": 4},
        {"type": "dense", "units": 8, "activation": "relu"},
    ]
    found = []
    for threads in (1, 2):
        given = spec(layers)
        given["train"] = {"epochs": 2, "batch_size": 24, "shards": 3, "threads": threads}
        found.append(nnreg.run(given | {"optimizer": "adam"}).network.vector)
    np.testing.assert_array_equal(*found)


def test_a_report_shows_categories_by_their_names(directory):
    columns = {"shop": {"type": "index", "min_rows": 6}, "kind": "hashed"}
    given = spec(columns=columns, missing="indicate")
    text = numbers().splitlines()
    text[1] = text[1].replace(text[1].split(",")[1], "", 1)
    (directory / "data.csv").write_text("\n".join(text) + "\n")
    prepared = prepare_from_spec(read_spec(given))
    shown = predict_held_out(prepared)[""]
    known = prepared.model.preprocessing.inputs[1].encoder.categories
    assert 2 < len(known) < 12
    assert shown.input(0)["shop"] == "(missing)"
    for row in range(1, 60):
        shop = text[row + 1].split(",")[1]
        assert shown.input(row)["shop"] == (shop if shop in known else "(other)")
    assert shown.input(1)["kind"].endswith("(encoded)")
