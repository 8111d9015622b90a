"""What every world is made with."""

import pytest
from gymnasium.error import DependencyNotInstalled

from glamor_gym.envs import make_world


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame_size": (80, 0)}, "frame_size"),
        ({"frame_size": 80}, "frame_size"),
        ({"render_profile": "pretty"}, "render_profile must be one of .*'pretty'"),
        ({"render_mode": "human"}, "render_mode"),
    ],
)
@pytest.mark.parametrize("name", ["pendulum-swingup", "Pong", "GridWorld"])
def test_options_of_any_world_are_checked(name, options, message):
    with pytest.raises(ValueError, match=message):
        make_world(name, **options)


def test_what_control_tasks_lack_is_told_with_the_fix(monkeypatch):
    monkeypatch.setattr("glamor_gym.envs.find_spec", lambda name: None)
    with pytest.raises(DependencyNotInstalled, match="pip install --no-deps 'dm-control"):
        make_world("pendulum-swingup")
    make_world("GridWorld")
