"""Limits of the threads of BLAS, and jobs in new threads."""

import threading
from functools import partial

import pytest
from threadpoolctl import threadpool_info

from nnreg._utils.threads import blas_threads, run_at_once


def blas():
    """Return the number of threads of BLAS."""
    return max(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")


def test_the_lowest_of_several_limits_applies_and_the_first_number_is_restored():
    before = blas()
    with blas_threads(3):
        assert blas() == 3
        with blas_threads(2), blas_threads(None), blas_threads(5):
            assert blas() == 2
        assert blas() == 3
    assert blas() == before


def test_trainings_in_two_threads_may_end_in_the_order_in_which_they_began():
    before, second_began, first_ended = blas(), threading.Event(), threading.Event()
    found = []

    def second():
        with blas_threads(1):
            second_began.set()
            first_ended.wait()
            found.append(blas())

    with blas_threads(before + 1):
        thread = threading.Thread(target=second)
        thread.start()
        second_began.wait()
    found.append(blas())
    first_ended.set()
    thread.join()
    assert found == [1, 1]
    assert blas() == before


def test_jobs_run_at_the_same_time_and_their_threads_end():
    meeting, before = threading.Barrier(3), threading.active_count()

    def job(number):
        meeting.wait()  # for ever, if one ran after the other
        return number, threading.current_thread() is threading.main_thread()

    assert run_at_once([partial(job, n) for n in range(3)]) == [(0, True), (1, False), (2, False)]
    assert threading.active_count() == before


@pytest.mark.parametrize("failing", [0, 1])
def test_an_exception_is_raised_when_all_jobs_have_ended(failing):
    first_failed, ended = threading.Event(), []

    def fail():
        first_failed.set()
        raise ValueError("wrong")

    def succeed():
        first_failed.wait()
        ended.append(True)

    jobs = [succeed, succeed]
    jobs[failing] = fail
    with pytest.raises(ValueError, match="wrong"):
        run_at_once(jobs)
    assert ended == [True]


def test_jobs_run_one_after_the_other_where_no_thread_can_be_started(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert run_at_once([lambda: 1, lambda: 2]) == [1, 2]
