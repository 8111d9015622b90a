"""Every check of environments finds its own fault and no other; ours have none."""

from __future__ import annotations

import json

import gymnasium as gym
import pytest
from stable_baselines3.common.monitor import Monitor

import glamor_gym
from glamor_gym.conformance import GOAL_ENV_CHECKS, check_goal_env
from glamor_gym.conformance.recording import GoalEnvSubject
from glamor_gym.envs.gridworld import GridWorld
from glamor_gym.tasks import TASKS
from glamor_gym.wrappers import GoalEnv
from tests.conformance import corridor

BROKEN = {
    "has_goals": ["TwoGoalSpaces", "Spoken"],
    "can_be_played": ["Crashing"],
    "gymnasium_passes": ["Unrenderable"],
    "sb3_passes": ["NumpyFlags"],
    "stays_in_its_space": ["DoubleAtTheEnd"],
    "hands_out_fresh_arrays": ["SharedGoal", "FewBuffers", "KeptGoal"],
    "keeps_its_goal": ["WanderingGoal"],
    "hides_its_labels": ["Telltale"],
    "computes_rewards_unwrapped": [corridor.GoalsOnTop],
    "rewards_as_computed": ["LastStepBonus"],
    "terminates_as_computed": ["EndsAtTheWall"],
    "truncates_as_computed": ["SaysNeverTruncated"],
    "computes_batches": ["AllOrNothing", "PaysByInfo"],
    "tells_success": ["NumpySuccess"],
    "counts_its_steps": ["SlowClock"],
    "ends_at_its_horizon": ["Hasty", "Late"],
    "stops": ["MovingStop", "StopOutOfReach"],
    "takes_goals_by_number": ["DeafToGoals", "KnowsTwoGoals"],
    "repeats_itself": ["UnseededGoals"],
    "leaves_global_randomness_alone": ["GlobalDice"],
    "is_described_by_json": ["AnyEntry"],
    "can_be_sent_to_a_worker": ["Unsendable"],
    "is_the_same_in_a_vector": ["DarkVector"],
    "can_be_closed_twice": ["FragileClose"],
}


def made(kind):
    if not isinstance(kind, str):
        return kind()
    return gym.make(f"corridor/{kind}-v0", disable_env_checker=True)


def test_there_is_a_fault_for_every_check():
    assert BROKEN.keys() == GOAL_ENV_CHECKS.keys()


@pytest.mark.parametrize(
    ("check", "kind"), [(check, kind) for check, kinds in BROKEN.items() for kind in kinds]
)
def test_a_fault_fails_its_own_check_only(check, kind):
    report = check_goal_env(made(kind))
    assert report.failed == (check,), str(report)


@pytest.mark.parametrize("pictures", [False, True])
def test_what_keeps_every_rule_passes_every_check(pictures):
    report = check_goal_env(gym.make("corridor/Corridor-v0", pictures=pictures))
    assert report.passed, str(report)
    skipped = {result.name for result in report.results if result.status == "skip"}
    assert skipped == {"takes_goals_by_number"}


def test_the_time_limit_of_gymnasium_and_entries_that_are_no_arrays_break_no_rule():
    env = gym.make("corridor/LeavesTimeToGymnasium-v0", max_episode_steps=10)
    report = check_goal_env(env)
    assert report.passed, str(report)
    assert report.results[0].status == "pass"
    told = {result.name: result.status for result in report.results}
    assert (told["ends_at_its_horizon"], told["stops"]) == ("pass", "skip")


@pytest.mark.parametrize("kind", ["Corridor", "ShortWalk"])
def test_a_time_limit_may_be_shorter_than_the_horizon(kind):
    report = check_goal_env(gym.make(f"corridor/{kind}-v0", max_episode_steps=3))
    assert report.passed, str(report)


def test_the_world_may_truncate_before_the_horizon():
    world = gym.wrappers.TimeLimit(GridWorld(), 3)
    env = GoalEnv(world, GridWorld().all_goals(), ranges={"x": 6.0, "y": 6.0}, horizon=10)
    report = check_goal_env(env)
    assert report.passed, str(report)


def test_a_wrapper_that_cannot_be_made_again_breaks_no_rule():
    report = check_goal_env(Monitor(gym.make("glamor/GridWorld-v0")))
    assert report.passed, str(report)


def test_a_fault_is_found_where_it_is():
    results = {one.name: one for one in check_goal_env(corridor.WandersLater()).results}
    where = f"step {corridor.T - 2} of the second episode"
    assert results["keeps_its_goal"].detail == f"desired_goal changed at {where}"


def test_a_label_may_come_and_go():
    assert check_goal_env(corridor.OutOfSight()).passed


def test_a_horizon_of_none_is_an_unknown_one():
    env = made("LeavesTimeToGymnasium")
    env.unwrapped.horizon = None
    report = check_goal_env(env)
    assert report.passed, str(report)


def test_goals_that_are_no_records_are_named():
    env = corridor.Corridor()
    env.goals = [env.picture(cell) for cell in range(corridor.CELLS)]
    report = check_goal_env(env)
    assert report.failed == ("takes_goals_by_number",), str(report)
    assert "goals[0] must be a Goal, got an array of shape" in str(report)


def test_a_clock_without_a_horizon_cannot_be_checked():
    results = {one.name: one for one in check_goal_env(made("UnboundedClock")).results}
    assert results["counts_its_steps"].status == "skip"
    assert results["counts_its_steps"].detail == "the horizon is unknown"


def test_every_check_says_what_holds_and_how_to_mend_it():
    report = check_goal_env(made("Corridor"))
    for result in report.results:
        assert result.claim.endswith(".")
        assert result.fix.endswith(".")


def test_a_report_can_be_read_and_written_down():
    report = check_goal_env(made("GlobalDice"))
    what = "an episode changed the random state of numpy"
    assert f"fail leaves_global_randomness_alone: {what}" in str(report)
    told = json.loads(json.dumps(report.as_dict()))
    assert told["passed"] is False
    assert len(told["results"]) == len(GOAL_ENV_CHECKS)


def test_an_instance_without_a_registration_is_checked_as_far_as_it_goes():
    report = check_goal_env(corridor.Corridor())
    assert report.passed
    assert {result.detail for result in report.results if result.status == "skip"} == {
        "the environment has no list of goals",
        "the environment was not made by gym.make, so it has no spec",
    }


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", ["GridWorld", "Dice"])
def test_the_small_ones_of_ours_pass(name, seed):
    check_ours(name, seed)


def test_a_game_passes():
    check_ours("Pong", seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_all_of_ours_pass(name):
    check_ours(name, seed=0)


def check_ours(name, seed):
    env = gym.make(TASKS[name].id)
    report = glamor_gym.check_goal_env(env, seed=seed)
    env.close()
    assert report.passed, str(report)
    assert all(result.status == "pass" for result in report.results), str(report)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("Pong",), TypeError, "env must be a gymnasium.Env, got str"),
        ((None,), TypeError, "env must be"),
    ],
)
def test_what_is_no_environment_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        check_goal_env(*arguments)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed must be an integer ≥ 0, got -1"):
        check_goal_env(corridor.Corridor(), seed=-1)


def test_stop_need_not_count_as_a_step():
    report = check_goal_env(corridor.FreeStop())
    assert report.passed, str(report)


@pytest.mark.parametrize("kwargs", [{"label_lag": 1}, {"frame_size": (210, 160)}])
def test_a_game_passes_with_arguments_of_ours(kwargs):
    env = gym.make("glamor/Pong-v0", **kwargs)
    subject = GoalEnvSubject(env)
    for name in ("takes_goals_by_number", "is_described_by_json"):
        GOAL_ENV_CHECKS[name](subject)
    env.close()
