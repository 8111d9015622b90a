"""Jobs on a thread of their own."""

import copy
import threading
from concurrent.futures import Future
from unittest.mock import Mock

import pytest

from glamor_gym.agents.background import Background


def test_a_job_is_done_elsewhere_and_its_result_is_there_once():
    background = Background()
    assert background.take() is None
    background.begin(threading.get_ident)
    assert background.take() != threading.get_ident()
    assert background.take() is None


def test_what_a_job_raised_is_raised_where_its_result_is_taken():
    background = Background()
    background.begin(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        background.take()


def test_a_job_outlives_the_interruption_of_its_waiting(monkeypatch):
    background, go_on = Background(), threading.Event()
    background.begin(lambda: go_on.wait(10) and "done")
    with monkeypatch.context() as patch:
        patch.setattr(Future, "result", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            background.take()
    assert background.pending
    go_on.set()
    assert background.take() == "done"
    assert not background.pending


def test_a_job_is_not_copied():
    background: Background[int] = Background()
    background.begin(lambda: 3)
    assert copy.copy(background).take() is None
    assert background.take() == 3
