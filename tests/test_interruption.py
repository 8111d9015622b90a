"""What processes end by, in words."""

from __future__ import annotations

import signal

import pytest

from glamor_gym.interruption import cause_of_end


@pytest.mark.parametrize(
    ("exit_code", "cause"),
    [
        (-signal.SIGKILL, "signal SIGKILL"),
        (-40, "signal 40"),  # a real-time signal, which has no name
        (3, "exit code 3"),
        (None, "exit code None"),
    ],
)
def test_the_cause_of_a_process_s_end(exit_code, cause):
    assert cause_of_end(exit_code) == cause
