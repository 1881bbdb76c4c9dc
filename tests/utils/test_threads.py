"""Limits of the threads of BLAS."""

import threading

from threadpoolctl import threadpool_info

from nnreg._utils.threads import blas_threads


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
            first_ended.wait(30)
            found.append(blas())

    with blas_threads(before + 1):
        thread = threading.Thread(target=second)
        thread.start()
        second_began.wait(30)
    found.append(blas())
    first_ended.set()
    thread.join()
    assert found == [1, 1]
    assert blas() == before
