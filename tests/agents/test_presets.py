"""Presets are fresh arguments of their agents."""

from __future__ import annotations

import pytest

from glamor_gym.agents.base import ImageGoalAgent
from glamor_gym.agents.presets import (
    DISCERN_PRESETS,
    GCSL_PRESETS,
    GLAMOR_PRESETS,
    make_preset,
)
from glamor_gym.agents.settings import DiscernSettings, GCSLSettings, GlamorSettings

TABLES = [
    (GLAMOR_PRESETS, GlamorSettings),
    (GCSL_PRESETS, GCSLSettings),
    (DISCERN_PRESETS, DiscernSettings),
]
EACH = [
    pytest.param(table, settings, name, id=f"{settings.__name__}-{name}")
    for table, settings in TABLES
    for name in table
]


@pytest.mark.parametrize(("table", "settings", "name"), EACH)
def test_a_preset_is_settings_and_arguments_of_the_networks(table, settings, name):
    preset = make_preset(table, name)
    assert isinstance(preset.pop("policy_kwargs"), dict)
    assert set(preset) == set(settings.names())
    settings(**preset)  # which checks every number


@pytest.mark.parametrize(("table", "settings", "name"), EACH)
def test_what_is_done_to_a_preset_stays_with_it(table, settings, name):
    made = make_preset(table, name)
    before = dict(made)
    made["policy_kwargs"]["encoder"] = made["batch_size"] = None
    assert make_preset(table, name)["batch_size"] == before["batch_size"]
    assert make_preset(table, name)["policy_kwargs"]["encoder"] is not None


@pytest.mark.parametrize(("table", "settings"), TABLES)
def test_the_paper_s_is_what_every_setting_is_by_itself(table, settings):
    preset = make_preset(table, "paper")
    preset.pop("policy_kwargs")
    assert settings(**preset) == settings()


@pytest.mark.parametrize("name", ["beast", None, ["paper"]])
def test_another_name_is_told_those_that_there_are(name):
    with pytest.raises(ValueError, match="preset must be one of paper, compact, compact-control"):
        make_preset(GLAMOR_PRESETS, name)


def test_an_agent_without_presets_says_so():
    with pytest.raises(ValueError, match="those of the agent, which has none; got 'paper'"):
        make_preset(ImageGoalAgent.presets, "paper")
