"""What every world is made with."""

import pytest

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
