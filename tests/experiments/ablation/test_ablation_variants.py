"""What a change is called, and which changes cannot be."""

from __future__ import annotations

import dataclasses

import pytest

from glamor_gym.agents import GlamorAgent
from glamor_gym.experiments.ablation.variants import Variant, folder_name
from glamor_gym.planners import PlannerSettings


def test_a_change_is_told_by_what_it_changes():
    change = {"gamma": 0.5, "policy_kwargs": {"token_size": 8}, "planner": {"stop": "end"}}
    variant = Variant.of(change)
    assert variant.name == "gamma=0.5, policy_kwargs.token_size=8, planner.stop=end"
    assert variant.trained.name == "gamma=0.5, policy_kwargs.token_size=8"
    assert Variant.of({}).name == "base"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"n_trails": 7}, "glamor has no setting 'n_trails'; did you mean n_trials"),
        ({"token_size": 8}, r"did you mean policy_kwargs\.token_size"),
        ({"planner": {"guide": False}}, r"did you mean planner\.guided"),
        ({"policy_kwargs": {"fusoin": "late"}}, r"did you mean policy_kwargs\.fusion"),
        ({"seed": 3}, "glamor has no setting 'seed'"),
        ({"gamma": 7}, "gamma must be a finite number"),
        ({"planner": {"gamma": 7}}, "gamma must be a finite number above 0"),
    ],
)
def test_a_change_that_cannot_be_is_refused(change, told):
    with pytest.raises(ValueError, match=told):
        Variant.of(change)


def test_every_setting_of_agent_and_planner_can_be_changed():
    for name, value in GlamorAgent.preset("compact").items():
        assert Variant.of({name: value}).settings == {name: value}
    for name, value in dataclasses.asdict(PlannerSettings()).items():
        assert Variant.of({"planner": {name: value}}).planner == {name: value}


def test_names_of_folders_are_plain_and_differ():
    assert folder_name("gamma=0.5") == "gamma=0.5"
    names = [folder_name(name) for name in ("a=1, b=2", "a=1,_b=2", "a=[1/2]", "a=1" * 90)]
    assert len(set(names)) == 4
    assert all("/" not in name and len(name) < 100 for name in names)
