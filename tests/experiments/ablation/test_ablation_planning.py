"""What is to be run of an ablation, and what cannot be."""

from __future__ import annotations

import dataclasses

import pytest

from glamor_gym.agents import GlamorAgent
from glamor_gym.experiments import get_algorithm
from glamor_gym.experiments.ablation.planning import PANEL, plan_ablation
from glamor_gym.experiments.ablation.record import AblationFolder
from glamor_gym.experiments.folders import run_name
from tests.experiments.small_runs import SMALL


def begun(**asked):
    return plan_ablation(None, **({"tasks": ["GridWorld"], "settings": SMALL} | asked))


def test_a_variant_differs_from_the_base_in_its_change_alone():
    _, specs = begun(changes=[{"policy_kwargs": {"token_size": 8}}], seeds=[3], steps=100)
    base, variant = specs
    assert (base.task, base.seed, base.steps) == ("GridWorld", 3, 100)
    arguments = get_algorithm("glamor").arguments("compact", SMALL)
    assert base.overrides == arguments
    changed = arguments["policy_kwargs"] | {"token_size": 8}
    assert variant.overrides == arguments | {"policy_kwargs": changed}
    assert dataclasses.replace(variant, overrides=base.overrides, variant="base") == base


def test_a_variant_that_plans_otherwise_evaluates_the_agents_of_another():
    changes = [{"planner": {"n_trials": 1}}, {"gamma": 0.5, "planner": {"n_trials": 1}}]
    record, specs = begun(changes=changes, held_out_goals=True)
    assert list(record.variants) == [
        "base", "planner.n_trials=1", "gamma=0.5", "gamma=0.5, planner.n_trials=1",
    ]  # fmt: skip
    trained = {run_name(spec): spec.trained_in for spec in specs}
    base, other = "GridWorld-base-0", "GridWorld-gamma=0.5-0"
    assert {name for name, source in trained.items() if not source} == {base, other}
    assert trained["GridWorld-planner.n_trials=1-0"] == base
    assert trained[f"{base}-held-out"] == base
    assert trained["GridWorld-planner.n_trials=1-0-held-out"] == base
    assert trained[f"{other}-held-out"] == other


def test_without_tasks_it_is_the_panel():
    record, specs = plan_ablation(None, held_out=["Riverraid"])
    assert tuple(record.tasks) == PANEL
    assert [spec.task for spec in specs] == [*PANEL, "Riverraid"]


def test_more_can_be_asked_of_an_ablation_later(tmp_path):
    folder = AblationFolder(tmp_path)
    record, _ = begun(changes=[{"gamma": 0.5}], steps=100)
    folder.write(record, "first")
    assert dataclasses.replace(folder.record(), commands=()) == record
    more, specs = plan_ablation(
        folder.record(), changes=[{"weight_decay": 0.1}], tasks=["Dice"], seeds=[1]
    )
    folder.write(more, "second")
    assert [run_name(spec) for spec in specs] == ["Dice-base-1", "Dice-weight_decay=0.1-1"]
    assert {spec.steps for spec in specs} == {100}
    assert {spec.overrides["batch_size"] for spec in specs} == {20}
    there = folder.record()
    assert there.commands == ["first", "second"]
    assert list(there.variants) == ["base", "gamma=0.5", "weight_decay=0.1"]
    assert there.tasks == ["GridWorld", "Dice"]
    assert len(there.runs) == 4
    everything, specs = plan_ablation(there)
    assert len(specs) == 3 * 2 * 2  # variants, tasks, seeds
    assert everything.variants == there.variants


def test_held_out_goals_stay_asked_for():
    record, specs = begun(held_out_goals=True)
    assert [spec.goals for spec in specs] == ["eval", "held-out"]
    _, specs = plan_ablation(record, seeds=[1])
    assert [(spec.seed, spec.goals) for spec in specs] == [(1, "eval"), (1, "held-out")]
    record, _ = begun()
    _, specs = plan_ablation(record, seeds=[1])
    assert [spec.goals for spec in specs] == ["eval"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"base": "paper"}, "existing ablation has base compact, got paper"),
        ({"steps": 200}, "existing ablation has steps 100, got 200"),
        ({"minutes": 1.0}, "existing ablation has minutes None, got 1.0"),
        ({"settings": {"batch_size": 30}}, "existing ablation has batch_size 20, got 30"),
        ({"env_kwargs": {"horizon": 5}}, "existing ablation has env_kwargs {}, got"),
        ({"held_out": ["GridWorld"]}, "held_out must differ from tasks, got GridWorld"),
        ({"changes": [{"batch_size": 20}]}, "change batch_size=20 has no effect"),
        (
            {"changes": [{"planner": {"n_trials": 50}}]},
            "change planner.n_trials=50 has no effect",
        ),
        ({"seeds": [1, 1]}, "seeds must differ"),
        ({"tasks": ["Pnog"]}, "did you mean Pong"),
        ({"held_out": ["Dice"], "held_out_goals": True}, "Dice has no training goal"),
    ],
)
def test_what_does_not_fit_what_is_there_is_refused(asked, told):
    record, _ = begun(steps=100)
    with pytest.raises(ValueError, match=told):
        plan_ablation(record, **asked)


def test_the_base_stays_what_it_was_when_its_preset_changes(monkeypatch):
    record, _ = begun()
    preset = GlamorAgent.preset
    monkeypatch.setattr(
        GlamorAgent, "preset", staticmethod(lambda name: preset(name) | {"gamma": 0.9})
    )
    _, specs = plan_ablation(record)
    assert specs[0].overrides["gamma"] == 0.99
    # A setting that there was not when the ablation began.
    del record.setup.arguments["gamma"]
    with pytest.raises(ValueError, match=r"preset compact now has gamma=0\.9"):
        plan_ablation(record)
