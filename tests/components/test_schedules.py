"""Learning-rate schedules: their curves, and trainings that follow them."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import PluginError, Schedule, SpecError, UsageError
from nnreg.builtin import schedules
from nnreg.builtin.optimizers import Sgd
from nnreg.interfaces import ScheduleContext
from nnreg.registry.registry import installed
from tests.helpers.specs import blobs, classifier, line, regressor


def curve(schedule, epochs=10, steps=1):
    return [
        schedule.factor(ScheduleContext(step, epochs * steps, steps))
        for step in range(epochs * steps)
    ]


def trained(spec, data=None, **options):
    data = data or blobs()
    model = nnreg.build(spec, data=data)
    model.fit(*data, **options)
    return model


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (schedules.Constant(), [1, 1, 1, 1]),
        (schedules.StepDecay(2, 0.5), [1, 1, 0.5, 0.5]),
        (schedules.Exponential(0.5), [1, 0.5, 0.25, 0.125]),
        (schedules.Cosine(), [1, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125)]),
        (schedules.Cosine(restarts=1), [1, 0.5, 1, 0.5]),
        (schedules.Cosine(restarts=1, growth=3), [1, 1, 0.75, 0.25]),
        (schedules.Polynomial(2.0, floor=0.2), [1, 0.65, 0.4, 0.25]),
        (schedules.OneCycle(0.5, 0.1, 0.2, "linear"), [0.1, 1, 0.6, 0.2]),
        (schedules.InverseSqrt(2), [0.5, 1, math.sqrt(2 / 3), math.sqrt(0.5)]),
        (schedules.Trapezoid(0.25, 0.5, 0.1, 0.2), [0.1, 1, 1, 0.6]),
        (schedules.Trapezoid(0, 0.5, shape="cosine"), [1, 1, 1, 0.5]),
        (
            schedules.Trapezoid(0, 1, end=0.5, shape="square_root"),
            [1, 0.75, 1 - 0.5 * math.sqrt(0.5), 1 - 0.5 * math.sqrt(0.75)],
        ),
        (schedules.Warmup(2, 0.5), [0.5, 0.75, 1, 1]),
        (schedules.Warmup(2, 0.5, schedules.Polynomial()), [0.5, 0.75, 1, 0.5]),
    ],
    ids=repr,
)
def test_four_epochs_of_each_curve(schedule, expected):
    assert curve(schedule, 4) == pytest.approx(expected)


def test_an_epoch_of_many_steps_ends_where_the_next_begins():
    for schedule in (schedules.Exponential(0.5), schedules.Polynomial(), schedules.Cosine()):
        assert curve(schedule, 4, steps=8)[::8] == pytest.approx(curve(schedule, 4))
        assert curve(schedule, 4, steps=8) == sorted(curve(schedule, 4, steps=8), reverse=True)


def test_each_restart_begins_at_1_for_any_number_of_steps():
    for restarts in range(5):
        for steps in range(2 * restarts + 2, 60):
            found = curve(schedules.Cosine(restarts=restarts), steps)
            rises = sum(b > a for a, b in itertools.pairwise(found))
            assert rises == restarts, (restarts, steps)


def test_the_schedule_after_a_warmup_gets_the_history_since():
    records = [{"val_loss": 1.0}] * 5
    plateau = schedules.ReduceOnPlateau(patience=2)
    contexts = [ScheduleContext(epoch, 9, 1, records[:epoch]) for epoch in range(6)]
    assert [plateau.factor(context) for context in contexts] == [1, 1, 1, 1, 0.1, 0.1]
    assert [schedules.Warmup(3, 1.0, plateau).factor(context) for context in contexts] == [1] * 6


def test_a_run_follows_its_schedule_and_records_the_rate_of_each_epochs_last_step():
    train = {"epochs": 4, "batch_size": 20}
    optimizer = {"type": "sgd", "learning_rate": 0.2}
    model = trained(classifier(schedule="polynomial", optimizer=optimizer, train=train))
    assert model.history.names[-1] == "learning_rate"
    np.testing.assert_allclose(
        model.history["learning_rate"], [0.2 * (1 - step / 12) for step in (2, 5, 8, 11)]
    )


def test_one_step_with_a_factor_is_a_step_of_an_optimizer_with_that_rate():
    x, y = line()
    train = {"epochs": 1, "batch_size": 40}
    half = {"type": "warmup", "epochs": 1, "start": 0.5}
    slow = trained(regressor(train=train, schedule=half), (x, y))
    plain = {"type": "sgd", "learning_rate": 0.05}
    expected = trained(regressor(train=train, optimizer=plain), (x, y))
    assert slow.network.vector.tobytes() == expected.network.vector.tobytes()


def test_a_constant_schedule_equals_no_schedule():
    first, second = trained(classifier()), trained(classifier(schedule="constant"))
    assert first.network.vector.tobytes() == second.network.vector.tobytes()
    assert list(first.history) == list(second.history)
    assert "learning_rate" not in second.history.names


SCHEDULES = {
    "step": {"type": "step", "every": 2},
    "exponential": "exponential",
    "cosine": {"type": "cosine", "restarts": 1},
    "polynomial": "polynomial",
    "one_cycle": "one_cycle",
    "inverse_sqrt": {"type": "inverse_sqrt", "warmup_epochs": 1.5},
    "trapezoid": {"type": "trapezoid", "rise": 0.2, "fall": 0.4},
    "warmup": {"type": "warmup", "epochs": 1.5, "after": {"type": "step", "every": 2}},
    "reduce_on_plateau": {"type": "reduce_on_plateau", "monitor": "val_accuracy", "patience": 0},
}


def test_every_schedule_has_a_case():
    names = {e.name for e in installed() if e.kind == "schedule" and e.plugin == "nnreg"}
    assert SCHEDULES.keys() == names - {"constant"}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_run_resumed_mid_epoch_ends_bit_identically(name, tmp_path):
    x, y = blobs()
    data, held_out = (x[:40], y[:40]), (x[40:], y[40:])
    spec = classifier(schedule=SCHEDULES[name], train={"epochs": 6, "batch_size": 7})
    whole = nnreg.build(spec, data=data)
    whole.fit(*data, validation=held_out)
    rates = whole.history["learning_rate"]
    assert len(set(rates)) > 1

    parts = nnreg.build(spec, data=data)
    trainer = parts.trainer(parts.examples(*data), parts.examples(*held_out))
    segments = trainer.iterate(lambda: True)
    while parts.training_state.step < 16:
        next(segments)
    nnreg.save(parts, tmp_path / "last.h5")
    again = nnreg.load(tmp_path / "last.h5")
    assert again.training_state.epoch_state.seen == 28
    again.fit(*data, validation=held_out)
    assert again.network.vector.tobytes() == whole.network.vector.tobytes()
    assert list(again.history) == list(whole.history)


def test_fit_in_parts_is_bit_identical_to_fit_at_once_and_continues_at_the_last_rate():
    spec = classifier(schedule="cosine", train={"epochs": 6, "batch_size": 20})
    whole, parts = trained(spec), trained(spec, epochs=2)
    parts.fit(*blobs(), epochs=4)
    assert whole.network.vector.tobytes() == parts.network.vector.tobytes()
    parts.fit(*blobs(), epochs=2)
    rates = parts.history["learning_rate"]
    assert rates[5] == rates[6] == rates[7] > 0


def test_with_more_epochs_a_cosine_continues_as_that_of_the_longer_training(tmp_path):
    spec = classifier(schedule="cosine", train={"epochs": 4})
    nnreg.save(trained(spec), tmp_path / "short.h5")
    longer = nnreg.load(tmp_path / "short.h5", ["train.epochs=8"])
    longer.fit(*blobs())
    rates = trained({**spec, "train": {"epochs": 8}}).history["learning_rate"]
    np.testing.assert_array_equal(longer.history["learning_rate"][4:], rates[4:])
    assert rates[4] > longer.history["learning_rate"][3]


def test_a_rising_metric_is_not_a_plateau():
    spec = {"type": "reduce_on_plateau", "monitor": "accuracy", "patience": 0, "decay": 0.5}
    model = trained(classifier(schedule=spec, train={"epochs": 8}))
    best, expected = -1.0, [0.02]
    for record in model.history[:-1]:
        expected.append(expected[-1] * (1.0 if record["accuracy"] > best else 0.5))
        best = max(best, record["accuracy"])
    np.testing.assert_allclose(model.history["learning_rate"], expected)
    assert expected[2] > expected[-1]


@dataclass(frozen=True)
class Derived(Sgd):
    """Computes a value from its options when it is constructed."""

    def __post_init__(self):
        object.__setattr__(self, "twice", 2 * self.learning_rate)

    def update(self, parameters, gradient, state):
        np.subtract(parameters, 0.5 * self.twice * gradient, out=parameters)


def test_an_optimizer_that_derives_from_its_rate_follows_the_schedule():
    x, y = line()
    spec = regressor(schedule="polynomial")
    found = nnreg.build(spec, data=(x, y))
    object.__setattr__(found.spec, "optimizer", Derived(0.1))
    found.fit(x, y)
    np.testing.assert_allclose(found.network.vector, trained(spec, (x, y)).network.vector)


@dataclass(frozen=True)
class Wrong(Schedule):
    """A schedule with an invalid factor."""

    value: float

    def factor(self, context):
        return self.value


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_an_invalid_factor_is_reported_with_its_step(value):
    x, y = line()
    model = nnreg.build(regressor(), data=(x, y))
    object.__setattr__(model.spec, "schedule", Wrong(value))
    with pytest.raises(PluginError, match=r"Wrong\(value=.*\) returns the factor .* for step 0 of"):
        model.fit(x, y)


def test_the_metric_that_a_schedule_monitors_must_be_measured():
    with pytest.raises(SpecError, match=r"\$\.schedule: unknown metric 'val_los'; did you mean"):
        trained(classifier(schedule={"type": "reduce_on_plateau", "monitor": "val_los"}))
    after = {"type": "warmup", "after": "reduce_on_plateau"}
    for schedule in ("reduce_on_plateau", after):
        with pytest.raises(
            UsageError, match=r"the schedule monitors 'val_loss', but there is no v"
        ):
            trained(classifier(schedule=schedule))


def test_nan_is_no_improvement_and_does_not_hide_a_later_one():
    plateau = schedules.ReduceOnPlateau(monitor="loss", patience=1, decay=0.5)

    def factor(*losses):
        records = [{"epoch": epoch, "loss": loss} for epoch, loss in enumerate(losses, 1)]
        return plateau.factor(ScheduleContext(0, 10, 1, records, frozenset()))

    assert factor(math.nan, 3.0, 2.0, 1.0) == 1
    assert factor(3.0, math.nan, math.nan) == 0.5
