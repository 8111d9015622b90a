from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from glamor_gym.tasks import TASKS, Task, file_name, find_task, short_name


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_plain_data(name):
    task = TASKS[name]
    assert copy.deepcopy(task) == pickle.loads(pickle.dumps(task)) == task
    assert Task(**dataclasses.asdict(task)) == task


@pytest.mark.parametrize("name", ["Pong", "glamor/Pong-v0", "glamor_gym:glamor/Pong-v0"])
def test_a_task_has_one_name(name):
    assert find_task(name) is TASKS["Pong"]
    assert short_name(name) == file_name(name) == "Pong"


@pytest.mark.parametrize("name", ["own/Room-v0", "rooms:own/Room-v0", "a.rooms:own/Room-v0"])
def test_another_environment_is_called_by_its_id(name):
    assert find_task(name) is None
    assert find_task("Pong-v0") is None  # an id of ALE's
    assert short_name(name) == "own/Room-v0"
    assert file_name(name) == "own-Room-v0"
