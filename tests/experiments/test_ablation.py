"""What is asked of an ablation, and what of it cannot be."""

from __future__ import annotations

import dataclasses
import json

import pytest
from small_runs import SMALL

from glamor_gym.agents import GlamorAgent
from glamor_gym.experiments import get_algorithm
from glamor_gym.experiments.ablation import (
    PANEL,
    AblationFolder,
    Variant,
    folder_name,
    plan_ablation,
)
from glamor_gym.experiments.folders import run_name
from glamor_gym.planners import PlannerSettings


def begun(**asked):
    return plan_ablation(None, **({"tasks": ["GridWorld"], "settings": SMALL} | asked))


# ------------------------------------------------------------------------------------ variants


def test_a_change_is_told_by_what_it_changes():
    change = {"gamma": 0.5, "policy_kwargs": {"token_size": 8}, "planner": {"stop": "end"}}
    variant = Variant.of(change)
    assert variant.name == "gamma=0.5, policy_kwargs.token_size=8, planner.stop=end"
    assert variant.trained.name == "gamma=0.5, policy_kwargs.token_size=8"
    assert Variant.of({}).name == "base"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"n_trails": 7}, "change has no setting 'n_trails'; did you mean n_trials"),
        ({"token_size": 8}, r"did you mean policy_kwargs\.token_size"),
        ({"planner": {"guide": False}}, r"did you mean planner\.guided"),
        ({"policy_kwargs": {"fusoin": "late"}}, r"did you mean policy_kwargs\.fusion"),
        ({"seed": 3}, "change has no setting 'seed'"),
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


# --------------------------------------------------------------------------- what is to be run


def test_a_variant_differs_from_the_base_in_its_change_alone():
    _, specs = begun(changes=[{"policy_kwargs": {"token_size": 8}}], seeds=[3], steps=100)
    base, variant = specs
    assert (base.task, base.seed, base.steps) == ("GridWorld", 3, 100)
    arguments = get_algorithm("glamor").arguments("compact", SMALL, 100)
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
    assert [spec for spec in specs if not spec.trained_in] == specs[:2]  # before the others
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
    assert dataclasses.replace(folder.record(), commands=(), commit="", versions={}) == record
    more, specs = plan_ablation(
        folder.record(), changes=[{"ema_decay": 0.9}], tasks=["Dice"], seeds=[1]
    )
    folder.write(more, "second")
    assert [run_name(spec) for spec in specs] == ["Dice-base-1", "Dice-ema_decay=0.9-1"]
    assert {spec.steps for spec in specs} == {100}
    assert {spec.overrides["batch_size"] for spec in specs} == {20}
    there = folder.record()
    assert there.commands == ["first", "second"]
    assert list(there.variants) == ["base", "gamma=0.5", "ema_decay=0.9"]
    assert there.tasks == ["GridWorld", "Dice"]
    assert len(there.runs) == 4
    everything, specs = plan_ablation(there)
    assert len(specs) == 3 * 2 * 2  # variants, tasks, seeds
    assert everything.variants == there.variants


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


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"setup": {"base": 1}}'])
def test_a_damaged_record_is_told(tmp_path, text):
    folder = AblationFolder(tmp_path)
    folder.record_file.write_text(text)
    with pytest.raises(ValueError, match=r"ablation\.json is damaged"):
        folder.record()
    with pytest.raises(ValueError, match="holds no ablation"):
        AblationFolder(tmp_path / "nothing").record()


def test_a_record_is_plain_json(tmp_path):
    folder = AblationFolder(tmp_path)
    record, _ = begun(changes=[{"planner": {"stop": "end"}}])
    folder.write(record, "typed")
    there = json.loads(folder.record_file.read_text())
    assert there["runs"][1] == ["planner.stop=end", "GridWorld", 0, "eval"]
