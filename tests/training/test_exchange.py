"""The exchange of arrays between the shards of a batch."""

import functools

import numpy as np
import pytest

import nnreg
from nnreg._utils.statistics import tree_sum
from nnreg._utils.threads import ThreadPool
from nnreg.errors import PluginError
from nnreg.training import gradient
from nnreg.training.exchange import Exchange, Member
from tests.helpers.specs import blobs, classifier


def run(job, count=3, limit=2):
    """Return the results of a job for each member."""
    exchange = Exchange(count, limit)
    jobs = [functools.partial(job, Member(exchange, index)) for index in range(count)]
    return exchange.run(ThreadPool(count), jobs)


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_each_shard_gets_the_arrays_of_all_in_order(limit):
    def job(member):
        found = []
        for number in range(20):
            array = np.array([member.index, number])
            found.append([tuple(one) for one in member.gather(array)])
            array[:] = -1  # what was given does not change with it
        return found

    expected = [[(index, number) for index in range(3)] for number in range(20)]
    assert run(job, limit=limit) == [expected] * 3


def test_no_more_shards_compute_at_a_time_than_the_limit():
    computing, most = [], []

    def job(member):
        for _ in range(5):
            computing.append(member.index)
            most.append(len(computing))
            computing.remove(member.index)
            member.gather(np.zeros(1))

    run(job, count=6, limit=1)
    assert max(most) == 1


def test_an_error_in_one_shard_ends_those_that_wait_for_it():
    def job(member):
        if member.index == 1:
            raise RuntimeError("seven")
        member.gather(np.zeros(1))

    with pytest.raises(RuntimeError, match="seven"):
        run(job)


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize("calls", [(0, 1, 1), (1, 1, 0), (2, 3, 3), (3, 1, 2)])
def test_shards_that_do_not_make_the_same_calls_are_an_error_and_do_not_wait(calls, limit):
    def job(member):
        for _ in range(calls[member.index]):
            member.gather(np.zeros(1))

    with pytest.raises(PluginError, match="in some shards of a batch only; make the same calls"):
        run(job, limit=limit)


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.parametrize("moment", ["before", "within", "after"])
def test_an_interruption_of_the_callers_thread_ends_the_others(monkeypatch, moment, limit):
    ended = []

    def job(member):
        try:
            if moment == "within" and member.index == 0:
                raise KeyboardInterrupt
            member.gather(np.zeros(1))
        finally:
            ended.append(member.index)

    class Interrupted(ThreadPool):
        def run(self, jobs):
            started = [self._others.submit(one) for one in jobs[1:]]
            if moment == "after":
                jobs[0]()
                _ = [one.result() for one in started]
            elif moment == "within":
                return [jobs[0](), *(one.result() for one in started)]
            raise KeyboardInterrupt

    exchange, pool = Exchange(3, limit), Interrupted(3)
    jobs = [functools.partial(job, Member(exchange, index)) for index in range(3)]
    with pytest.raises(KeyboardInterrupt):
        exchange.run(pool, jobs)
    assert set(ended) == ({1, 2} if moment == "before" else {0, 1, 2})


@pytest.mark.parametrize("count", [1, 2, 3, 8, 13])
def test_a_tree_sum_adds_each_array_once(count):
    arrays = [np.array([10.0**index, 1.0]) for index in range(count)]
    np.testing.assert_array_equal(tree_sum(arrays), [int("1" * count), count])


@pytest.mark.parametrize(("cores", "at_once"), [(2, 4), (1, 4), (8, 2)])
def test_no_shard_waits_for_another_to_end_where_threads_use_all_cores(cores, at_once, monkeypatch):
    limits = []

    class Recorded(Exchange):
        def __init__(self, count, limit, ranks):
            limits.append(limit)
            super().__init__(count, limit, ranks)

    monkeypatch.setattr(gradient, "Exchange", Recorded)
    monkeypatch.setattr(gradient, "available_cores", lambda: cores)
    layers = ["batch_norm", {"type": "dense", "units": "classes", "activation": "softmax"}]
    train = {"shards": 4, "threads": 2, "batch_size": 40, "epochs": 1}
    nnreg.run(classifier(model={"layers": layers}, train=train), data=blobs(40))
    assert set(limits) == {at_once}
