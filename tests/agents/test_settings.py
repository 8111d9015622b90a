"""Settings: what they allow, and the schedules they hold."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glamor_gym.agents import GlamorSettings


def test_the_defaults_are_those_of_the_paper():
    settings = GlamorSettings()
    published = {
        "learning_rate": 5e-4,
        "weight_decay": 0.01,
        "replay_ratio": 4,
        "exploration_steps": 300_000,
        "exploration_final_eps": 0.1,
        "learning_starts": 50_000,
        "buffer_size": 1_000_000,
        "n_trials": 50,
        "clip_log_prob": -3.15,
        "batch_size": 200,
        "gamma": 0.99,
        "prior_coef": 1.0,
        "use_prior": True,
        "data_policy": "open_loop",
        "stay_fraction": 0.0,
        "image_shift": 0,
        "lr_schedule": "constant",
    }
    assert {name: getattr(settings, name) for name in published} == published


def test_the_first_update_is_told():
    settings = GlamorSettings(learning_starts=50, batch_size=200, replay_ratio=1)
    assert settings.first_update == 250
    assert [settings.updates_due(steps) for steps in (249, 250)] == [0, 1]
    assert GlamorSettings(replay_ratio=0).first_update == math.inf


def test_exploration_falls_linearly_to_its_end():
    settings = GlamorSettings(exploration_steps=100, exploration_final_eps=0.2)
    assert settings.exploration_eps(0) == 1.0
    assert settings.exploration_eps(50) == pytest.approx(0.6)
    assert settings.exploration_eps(100) == settings.exploration_eps(10**9) == pytest.approx(0.2)


@given(st.integers(0, 10**6), st.integers(1, 10**5), st.floats(0, 50), st.integers(1, 1000))
def test_updates_see_as_many_samples_as_the_replay_ratio_says(steps, starts, ratio, batch):
    settings = GlamorSettings(learning_starts=starts, replay_ratio=ratio, batch_size=batch)
    samples = settings.updates_due(steps) * batch
    due = max(0, steps - starts) * ratio
    assert due - batch < samples + 1e-6 <= due + 1e-6 * max(1.0, due) + 1e-6


def test_the_learning_rate_falls_along_half_a_cosine():
    settings = GlamorSettings(learning_rate=1.0, lr_schedule="cosine")
    assert settings.scheduled_learning_rate(1.0) == pytest.approx(1.0)
    assert settings.scheduled_learning_rate(0.5) == pytest.approx(0.505)
    assert settings.scheduled_learning_rate(0.0) == pytest.approx(0.01)
    assert settings.scheduled_learning_rate(-0.5) == settings.scheduled_learning_rate(0.0)
    assert GlamorSettings(learning_rate=0.3).scheduled_learning_rate(0.1) == 0.3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("learning_rate", "fast"),
        ("learning_rate", 10**400),
        ("buffer_size", 1),
        ("buffer_size", 1e6),
        ("batch_size", 0),
        ("batch_size", True),
        ("learning_starts", -1),
        ("replay_ratio", -1.0),
        ("replay_ratio", math.inf),
        ("gamma", 0.0),
        ("gamma", 1.01),
        ("n_trials", 0),
        ("clip_log_prob", 0.0),
        ("prior_coef", -1.0),
        ("data_policy", "reactive"),
        ("vote", "fals"),
        ("use_prior", 1),
        ("exploration_final_eps", 1.1),
        ("exploration_steps", -1),
        ("exploration_persistence", 1.0),
        ("stay_fraction", 1.0),
        ("arrival_probability", 1.1),
        ("image_shift", -1),
        ("image_shift", 1.5),
        ("lr_schedule", "linear"),
        ("precision", "float16"),
        ("weight_decay", -0.1),
        ("max_grad_norm", 0.0),
    ],
)
def test_what_is_out_of_range_is_named_with_what_is_allowed(name, value):
    with pytest.raises(ValueError, match=f"{name} must be") as caught:
        GlamorSettings(**{name: value})
    assert repr(value) in str(caught.value)
