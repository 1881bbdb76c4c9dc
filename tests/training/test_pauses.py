"""Pauses of the training loop, and what an unfinished epoch needs to resume."""

import numpy as np
import pytest

import nnreg
from nnreg import DivergedError
from nnreg.errors import NnregWarning
from tests.helpers.specs import blobs, classifier, line, regressor
from tests.training.test_trainer import assert_identical


class TestPauses:
    SPEC = classifier(train={"epochs": 3, "batch_size": 7})

    def iterate(self, model, data, pause):
        train = model.examples(data[0][:40], data[1][:40])
        held_out = model.examples(data[0][40:], data[1][40:])
        return model.trainer(train, held_out).iterate(pause)

    def test_training_with_pauses_is_bit_identical(self):
        data = blobs()
        whole, resumed = (nnreg.build(self.SPEC, data=data) for _ in range(2))
        assert None not in list(self.iterate(whole, data, None))
        records = list(self.iterate(resumed, data, lambda: resumed.training_state.step % 2 == 0))
        assert records.count(None) == 6
        assert_identical(whole, resumed)
        assert (
            whole.training_state.best_vector.tobytes()
            == resumed.training_state.best_vector.tobytes()
        )

    def test_there_is_no_pause_after_the_last_step_of_an_epoch(self):
        data = blobs()
        model = nnreg.build(self.SPEC, data=data)
        records = list(self.iterate(model, data, lambda: True))
        assert [record is None for record in records] == [*[True] * 5, False] * 3

    def test_divergence_after_a_pause_restores_the_last_finite_epoch(self):
        x, y = line()
        model = nnreg.build(regressor(train={"epochs": 5, "batch_size": 10}), data=(x, y))
        model.fit(x, y, epochs=1)
        weights = model.network.vector.copy()
        y[-1] = 1e200
        trainer = model.trainer(model.examples(x, y))
        with pytest.raises(DivergedError, match="epoch 2"):
            list(trainer.iterate(lambda: True))
        np.testing.assert_array_equal(model.network.vector, weights)
        assert model.training_state.epoch_state is None
        assert model.training_state.step == 4
        assert trainer.consistent

    def test_non_finite_weights_are_reported_before_a_pause(self):
        x, y = line()
        model = nnreg.build(regressor(train={"epochs": 5, "batch_size": 10}), data=(x, y))
        trainer = model.trainer(model.examples(x, y))

        def set_infinite():
            model.network.vector[0] = np.inf
            return True

        with pytest.raises(DivergedError, match=r"epoch 1, batch 1: .* the weights of layers/0"):
            list(trainer.iterate(set_infinite))

    def test_the_state_is_inconsistent_after_an_exception_within_a_step(self):
        x, y = line()
        model = nnreg.build(regressor(), data=(x, y))
        trainer = model.trainer(model.examples(x, y))
        trainer._training_step.optimizer.step = lambda count: 1 / 0
        with pytest.raises(ZeroDivisionError):
            list(trainer.epochs())
        assert not trainer.consistent

    def test_an_epoch_begun_on_other_examples_starts_again(self):
        x, y = blobs()
        model = nnreg.build(self.SPEC, data=(x, y))
        next(self.iterate(model, (x, y), lambda: True))
        assert model.training_state.epoch_state.seen == 7
        with pytest.warns(NnregWarning, match="epoch 1 was begun on other examples; it starts ag"):
            model.fit(x[:20], y[:20], epochs=1)
        assert model.training_state.step == 1 + 3

    @pytest.mark.parametrize("other", ["inputs", "targets", "weights"])
    def test_as_many_other_examples_start_an_epoch_again(self, other, tmp_path):
        x, y = blobs()
        model = nnreg.build(self.SPEC, data=(x, y))
        next(self.iterate(model, (x, y), lambda: True))
        nnreg.save(model, tmp_path / "mid.h5")
        model = nnreg.load(tmp_path / "mid.h5")
        weights = np.arange(60) + 1 if other == "weights" else None
        rows = (x + (other == "inputs"), y[::-1] if other == "targets" else y)
        fresh = nnreg.load(tmp_path / "mid.h5")
        fresh.training_state.epoch_state = None
        fresh.fit(*rows, weights=weights, epochs=1)
        with pytest.warns(NnregWarning, match="epoch 1 was begun on other examples"):
            model.fit(*rows, weights=weights, epochs=1)
        assert model.training_state.step == 1 + 9
        assert_identical(fresh, model)
