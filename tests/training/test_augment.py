"""`train.augment`: what training batches become, with the same bits everywhere, and refusals."""

from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import Augmentation, PluginError, SpecError
from nnreg.builtin.augmentations import Cutmix, Mixup
from nnreg.builtin.losses import MeanSquaredError
from nnreg.training.epoch import AUGMENTATION_STREAM, generator

pytestmark = pytest.mark.usefixtures("registering")

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(48, 6, 5, 2))
EYE = np.eye(3)[np.arange(48) % 3]
CLASSES = np.array(["ash", "birch", "cedar"])[np.arange(48) % 3]
NUMBERS = RNG.normal(size=48)
LAST = {"type": "dense", "units": "classes", "activation": "softmax"}


def spec(augment, *, last=LAST, loss="cross_entropy", **train):
    return {
        "model": {"layers": ["flatten", last], "dtype": "float64"},
        "loss": loss,
        "optimizer": {"type": "sgd", "learning_rate": 0.1},
        "train": {"epochs": 2, "batch_size": 16, "augment": augment, **train},
    }


def regression(augment, **train):
    return spec(augment, last={"type": "dense", "units": 1}, loss="mean_squared_error", **train)


def fit(spec, x, y, **options):
    model = nnreg.build(spec, data=(x, y))
    model.fit(x, y, **options)
    return model


def bits(model):
    return model.network.vector.tobytes()


class TestMixtures:
    def test_mixup_returns_means_of_two_rows_with_the_shares_of_their_targets(self):
        x, t = Mixup(1.0).augment(IMAGES, EYE, np.random.default_rng(1))
        for row in range(48):
            flat = IMAGES.reshape(48, -1)
            share, residual = 1.0, 1.0
            for other in range(48):
                step = flat[other] - flat[row]
                moved = x[row].ravel() - flat[row]
                amount = 0.0 if other == row else float(moved @ step / (step @ step))
                if np.abs(moved - amount * step).max() < residual:
                    share, residual, partner = (
                        1 - amount,
                        np.abs(moved - amount * step).max(),
                        other,
                    )
            assert residual < 1e-12
            assert 0.5 <= share <= 1
            np.testing.assert_allclose(t[row], share * EYE[row] + (1 - share) * EYE[partner])

    def test_cutmix_returns_images_with_a_box_of_another_and_shares_by_area(self):
        x, t = Cutmix().augment(IMAGES, EYE, np.random.default_rng(1))
        boxes = 0
        for row in range(48):
            changed = (x[row] != IMAGES[row]).any(axis=-1)
            share = 1 - changed.mean()
            assert share >= 0.5
            if not changed.any():
                np.testing.assert_array_equal(t[row], EYE[row])
                continue
            boxes += 1
            rows, columns = changed.any(axis=1), changed.any(axis=0)
            assert (changed == np.outer(rows, columns)).all()
            (partner,) = np.flatnonzero((IMAGES[:, changed] == x[row][changed]).all(axis=(1, 2)))
            np.testing.assert_allclose(t[row], share * EYE[row] + (1 - share) * EYE[partner])
        assert boxes > 24

    def test_shares_follow_the_beta_distribution(self):
        ones = np.arange(4000.0)[:, None] < 2000
        for alpha in (0.2, 1.0, 5.0):
            _, t = Mixup(alpha).augment(ones * 1.0, ones * 1.0, np.random.default_rng(2))
            drawn = np.random.default_rng(3).beta(alpha, alpha, 4000)
            mixed = np.abs(t[:2000] - 1)[t[:2000] < 1]  # half have a partner of the other class
            expected = np.minimum(drawn, 1 - drawn).mean()
            assert mixed.mean() == pytest.approx(expected, rel=0.2)

    @pytest.mark.parametrize("augmentation", [Mixup(1e-3), Mixup(1e3), Cutmix(1e-3), Cutmix(1e3)])
    def test_extreme_options_give_shares(self, augmentation):
        _, t = augmentation.augment(IMAGES, EYE, np.random.default_rng(0))
        np.testing.assert_allclose(t.sum(axis=-1), 1)
        assert (t * EYE).sum(axis=-1).min() >= 0.5 - 1e-12


class TestTraining:
    def mixed(self, target):
        rng = generator(0, AUGMENTATION_STREAM, 1, 0)
        return Mixup(0.5).augment(IMAGES, target, rng)

    def test_a_step_is_that_of_the_mixed_numbers(self):
        whole = {"epochs": 1, "batch_size": 48, "shuffle": False}
        model = fit(regression({"type": "mixup", "alpha": 0.5}, **whole), IMAGES, NUMBERS)
        plain = nnreg.build(regression(None, **whole), data=(IMAGES, NUMBERS))
        plain.fit(*self.mixed(NUMBERS))
        np.testing.assert_allclose(model.network.vector, plain.network.vector, atol=1e-12)
        assert model.history[-1]["loss"] == pytest.approx(plain.history[-1]["loss"], rel=1e-12)

    def test_a_step_is_that_of_the_shares_of_classes(self):
        whole = {"epochs": 1, "batch_size": 48, "shuffle": False}
        model = fit(spec({"type": "mixup", "alpha": 0.5}, **whole), IMAGES, CLASSES)
        last = {**LAST, "units": 3}
        plain = nnreg.build(spec(None, last=last, **whole), data=(IMAGES, EYE))
        plain.fit(*self.mixed(EYE))
        np.testing.assert_allclose(model.network.vector, plain.network.vector, atol=1e-12)

    def test_a_single_output_for_two_classes_takes_shares_too(self):
        last = {"type": "dense", "units": 1, "activation": "sigmoid"}
        two = np.where(EYE[:, 0] == 1, "yes", "no")
        model = fit(spec("mixup", last=last, loss="binary_cross_entropy"), IMAGES, two)
        assert np.isfinite(model.history[-1]["loss"])

    def test_batches_differ_from_step_to_step_and_from_epoch_to_epoch(self):
        seen = []

        @dataclass(frozen=True)
        class Seen(Augmentation):
            def augment(self, x, t, rng):
                seen.append((len(x), rng.random()))
                return x, t

        nnreg.register("seen", Seen)
        fit(spec(["seen"], batch_size=20), IMAGES, CLASSES, check=False)
        assert [rows for rows, _ in seen] == [20, 20, 8] * 2
        assert len({drawn for _, drawn in seen}) == 6

    def test_a_list_is_applied_in_its_order_with_one_generator(self):
        class Twice(Mixup):
            def augment(self, x, t, rng):
                return Cutmix().augment(*super().augment(x, t, rng), rng)

        nnreg.register("twice", dataclass(frozen=True)(Twice))
        one = fit(spec("twice"), IMAGES, CLASSES, check=False)
        assert bits(one) == bits(fit(spec(["mixup", "cutmix"]), IMAGES, CLASSES))
        assert bits(one) != bits(fit(spec(["cutmix", "mixup"]), IMAGES, CLASSES))

    @pytest.mark.parametrize("none", [None, []])
    def test_without_augmentations_nothing_changes(self, none):
        plain = spec(none)
        del plain["train"]["augment"]
        assert bits(fit(plain, IMAGES, CLASSES)) == bits(fit(spec(none), IMAGES, CLASSES))

    def test_held_out_rows_and_metrics_of_training_have_their_own_targets(self):
        checked = {**spec("mixup"), "metrics": ["accuracy"]}
        model = nnreg.build(checked, data=(IMAGES, CLASSES))
        model.fit(IMAGES[:40], CLASSES[:40], validation=(IMAGES[40:], CLASSES[40:]))
        record = model.history[-1]
        assert record["accuracy"] * 40 == pytest.approx(round(record["accuracy"] * 40))
        found = model.evaluate(IMAGES[40:], CLASSES[40:])
        assert found["loss"] == pytest.approx(record["val_loss"], rel=1e-12)

    @pytest.mark.parametrize("shards", [1, 4])
    def test_results_have_the_same_bits_on_any_number_of_threads(self, shards):
        options = {"shards": shards, "reproducible": True}
        found = {bits(fit(spec("cutmix", threads=n, **options), IMAGES, CLASSES)) for n in (1, 3)}
        assert len(found) == 1

    def test_rows_are_mixed_alike_however_a_step_is_divided(self):
        whole = fit(spec("mixup"), IMAGES, CLASSES).network.vector
        for divided in ({"shards": 3}, {"batch_size": 4, "accumulate": 4}):
            found = fit(spec("mixup", **divided), IMAGES, CLASSES).network.vector
            np.testing.assert_allclose(found, whole, atol=1e-12)

    def test_a_checkpoint_records_the_augmentation(self, tmp_path):
        @dataclass(frozen=True)
        class Same(Augmentation):
            def augment(self, x, t, rng):
                return x, t

        nnreg.register("same", Same)
        nnreg.save(fit(spec(["mixup", "same"]), IMAGES, CLASSES), tmp_path / "a.h5")
        loaded = nnreg.load(tmp_path / "a.h5")
        named = {(one["kind"], one["name"]): one for one in loaded.components}
        probes = named["augmentation", "same"]["probes"]["$.train.augment[1]"]
        assert probes.keys() == {"inputs", "targets"}
        assert loaded.document.spec.train.augment == (Mixup(), Same())


TOKENS = RNG.integers(0, 9, (48, 4))
BY_LENGTH = [RNG.normal(size=(1 + n % 4, 2)) for n in range(48)]
TWO_OUTPUTS = {
    **regression("mixup"),
    "model": {
        "layers": [
            {"type": "flatten", "name": "flat"},
            {"type": "dense", "units": 1, "name": "a"},
            {"type": "dense", "units": 1, "name": "b", "inputs": "flat"},
        ]
    },
    "loss": {"a": "mean_squared_error", "b": "mean_squared_error"},
}


class TestRefusals:
    def problem(self, spec, x, y, **options):
        model = nnreg.build(spec, data=(x, y))
        before = bits(model)
        with pytest.raises(SpecError) as error:
            model.fit(x, y, **options)
        assert bits(model) == before
        return str(error.value)

    def test_rows_with_weights(self):
        text = self.problem(spec("mixup"), IMAGES, CLASSES, weights=np.arange(48) + 1.0)
        assert "$.train.augment: the rows have weights" in text

    def test_sequences_of_different_lengths(self):
        layers = ["global_average_pool", {"type": "dense", "units": 1}]
        masked = {**regression("mixup"), "model": {"layers": layers}}
        assert "sequences of different lengths" in self.problem(masked, BY_LENGTH, NUMBERS)

    def test_integers(self):
        layers = [{"type": "embedding", "vocabulary": 9, "units": 2}, "flatten", LAST]
        tokens = {**spec("mixup"), "model": {"layers": layers}}
        assert "the inputs are integers" in self.problem(tokens, TOKENS, CLASSES)

    def test_several_outputs(self):
        targets = {"a": NUMBERS, "b": NUMBERS}
        assert "several outputs" in self.problem(TWO_OUTPUTS, IMAGES, targets)

    def test_a_loss_of_margins(self):
        last = {"type": "dense", "units": "classes"}
        hinge = spec("mixup", last=last, loss="categorical_hinge")
        assert "compares classes by a margin" in self.problem(hinge, IMAGES, CLASSES)

    def test_a_loss_that_compares_the_rows_of_a_batch(self):
        cls = type("Comparing", (MeanSquaredError,), {"independent": False})
        nnreg.register("compares", dataclass(frozen=True)(cls))
        compares = {**regression("mixup"), "loss": "compares"}
        assert "compares the rows of a batch" in self.problem(compares, IMAGES, NUMBERS)

    def test_shapes_for_which_an_augmentation_has_no_meaning(self):
        rows = IMAGES.reshape(48, -1)
        text = self.problem(spec(["mixup", "cutmix"]), rows, CLASSES)
        assert "$.train.augment[1]: Cutmix: it takes images" in text
        assert "found inputs of shape (60,); remove it, or use mixup" in text
        layers = [{"type": "conv2d", "filters": 2, "padding": "same"}]
        images = {**regression("cutmix"), "model": {"layers": layers}}
        assert "one target for an image" in self.problem(images, IMAGES, IMAGES)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda x, t: x, "expected two arrays, the inputs and the targets"),
        (lambda x, t: (x[:1], t), "expected an array of shape"),
        (lambda x, t: (x, t.astype(np.float32)), "float64"),
        (lambda x, t: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_wrong_augmentation_is_refused_before_training(returned, message):
    cls = type("Wrong", (Augmentation,), {"augment": lambda self, x, t, rng: returned(x, t)})
    nnreg.register("wrong", dataclass(frozen=True)(cls))
    model = nnreg.build(spec("wrong"), data=(IMAGES, CLASSES))
    before = bits(model)
    with pytest.raises(PluginError, match=message):
        model.fit(IMAGES, CLASSES)
    assert bits(model) == before
