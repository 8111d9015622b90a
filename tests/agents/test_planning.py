"""Plans, actions by plans, and settings of the planner."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from glamor_gym.agents import GlamorAgent
from glamor_gym.planners import PlannerSettings
from tests.agents.small_agents import SMALL, make_agent, make_grid, observations

STOP = 4


def test_settings_tell_what_plans_are_made_with(tmp_path):
    agent = make_agent(gamma=0.9)
    agent.gamma = 0.7
    agent.planner = replace(agent.planner, n_trials=3, stop="never")
    assert (agent.settings.gamma, agent.settings.n_trials) == (0.7, 3)
    agent.save(tmp_path / "agent")
    loaded = GlamorAgent.load(tmp_path / "agent", device="cpu")
    assert (loaded.settings, loaded.planner) == (agent.settings, agent.planner)
    changed = GlamorAgent.load(tmp_path / "agent", device="cpu", gamma=0.8)
    assert (changed.gamma, changed.settings.gamma, changed.planner.n_trials) == (0.8, 0.8, 3)


def test_deterministic_noise_changes_from_step_to_step_and_repeats_in_every_episode():
    """An agent that knows nothing, told to repeat itself, does not take one action for ever."""
    agent = make_agent(n_trials=1, stay_fraction=0.0)
    batch = observations(1)

    def actions():
        state, taken = None, []
        for _ in range(9):
            action, state = agent.predict(batch, state, deterministic=True, stop="never")
            taken.append(int(action[0]))
        return taken

    assert len(set(actions())) > 1
    assert actions() == actions()


def test_deterministic_noise_is_that_of_the_steps_of_all_rows():
    agent, batch = make_agent(n_trials=1), observations(2)

    def tokens(*steps):
        return agent._plan(batch, np.array(steps), agent.planner, True).tokens.tolist()

    assert tokens(1, 1) == tokens(0, 2) != tokens(0, 1)


def test_one_observation_and_a_batch_give_the_same_actions_where_noise_is_fixed(trained):
    batch = observations(1)
    single = {key: value[0] for key, value in batch.items()}
    action, _ = trained.predict(single, deterministic=True)
    actions, _ = trained.predict(batch, deterministic=True)
    assert np.shape(action) == ()
    assert actions.shape == (1,)
    assert action == actions[0]
    assert trained.predict(single, deterministic=True)[0] == action


def test_plans_keep_within_the_steps_left(trained):
    batch = observations(3)
    batch["steps_left"] = np.array([[1], [4], [10]], np.float32)
    plans = trained.plan(batch)
    assert (plans.length.numpy() <= [2, 5, 11]).all()
    ends = trained.plan(batch, stop="end")
    assert ends.length.tolist() == [2, 5, 11]


def test_open_loop_follows_its_first_plan(trained):
    batch, state, actions = observations(3), None, []
    first = trained.plan(batch, deterministic=True)
    for _ in range(10):
        action, state = trained.predict(batch, state, deterministic=True, open_loop=True)
        actions.append(action)
    actions = np.stack(actions, axis=1)
    for row in range(3):
        length = int(first.length[row])
        assert actions[row, :length].tolist()[:10] == first.tokens[row, :length].tolist()[:10]


def test_the_papers_agent_stops_after_a_plan_of_one_action(trained):
    assert not trained.planner.stop_first
    batch = observations(2)
    batch["steps_left"][:] = 1  # leaves room for one action and STOP
    action, state = trained.predict(batch)
    assert (action != STOP).all()
    action, _ = trained.predict(batch, state)
    assert (action == STOP).all()
    action, _ = trained.predict(batch, state, episode_start=np.array([True, False]))
    assert action[0] != STOP
    assert action[1] == STOP
    action, _ = trained.predict(batch, state, stop="never")
    assert (action != STOP).all()


def test_the_state_tells_length_and_score_of_the_plan_that_is_followed(trained):
    batch = observations(3)
    plan = trained.plan(batch, deterministic=True)
    for open_loop in (False, True):
        _, state = trained.predict(batch, deterministic=True, open_loop=open_loop)
        np.testing.assert_array_equal(state.length, plan.length)
        np.testing.assert_allclose(state.log_score, plan.log_score)
    starts = np.array([True, False, False])
    _, later = trained.predict(batch, state, starts, open_loop=True, stop="end")
    assert later.length[0] == 11  # ten moves and STOP
    assert later.log_score[0] != state.log_score[0]
    np.testing.assert_array_equal(later.length[1:], state.length[1:])
    np.testing.assert_array_equal(later.log_score[1:], state.log_score[1:])


def test_an_action_is_chosen_by_its_value_without_the_rest_of_its_plan(monkeypatch):
    policy_kwargs = {**SMALL["policy_kwargs"], "stopping": "duration"}
    agent = make_agent(
        stay_fraction=0.2, vote=True, arrival_probability=1.0, policy_kwargs=policy_kwargs
    ).learn(200)
    with torch.no_grad():
        agent.policy.model.duration[-1].bias[6] += 100.0
    batch = observations(3)
    agent.plans_ahead = True
    whole, foreseen = agent.predict(batch)
    assert foreseen.length.tolist() == [7, 7, 7]  # six moves and STOP
    assert np.isfinite(foreseen.log_score).all()
    followed, _ = agent.predict(batch, open_loop=True)
    assert followed.tolist() == whole.tolist()
    at_the_end = agent.plan(batch, stop="end")
    assert at_the_end.length.tolist() == [11, 11, 11]

    agent.plans_ahead = False
    monkeypatch.setattr(agent, "_plan", None)  # calling it would fail
    action, state = agent.predict(batch, foreseen)
    assert action.tolist() == whole.tolist()
    assert state.length.tolist() == [1, 1, 1]
    assert np.isnan(state.log_score).all()
    assert state.steps.tolist() == [2, 2, 2]
    assert agent.predict(batch, stop="never")[0].tolist() == whole.tolist()
    assert agent.predict(batch, stop="end")[0].tolist() == at_the_end.tokens[:, 0].tolist()
    assert agent.policy.predict(batch)[0].tolist() == whole.tolist()


@pytest.mark.parametrize("plans_ahead", [False, True])
def test_an_agent_that_stops_at_the_end_does_so_where_the_environment_would_not(plans_ahead):
    policy_kwargs = {**SMALL["policy_kwargs"], "stopping": "duration"}
    agent = make_agent(stay_fraction=0.2, vote=True, policy_kwargs=policy_kwargs)
    agent.plans_ahead = plans_ahead
    batch, state = observations(2), None
    for left in range(10, 0, -1):
        batch["steps_left"][:] = left
        action, state = agent.predict(batch, state, stop="end")
        assert (action != STOP).all()
    assert (agent.predict(batch, state, stop="end")[0] == STOP).all()


@pytest.mark.parametrize("plans_ahead", [False, True])
def test_where_the_goal_is_one_step_away_it_takes_that_step_and_stops(plans_ahead):
    policy_kwargs = {**SMALL["policy_kwargs"], "stopping": "duration"}
    agent = make_agent(stay_fraction=0.2, vote=True, policy_kwargs=policy_kwargs)
    agent.plans_ahead = plans_ahead
    batch = observations(2)
    with torch.no_grad():
        agent.policy.model.duration[-1].bias[1] += 100.0
    action, state = agent.predict(batch)
    assert (action != STOP).all()
    assert state.length.tolist() == [2, 2]
    with torch.no_grad():
        agent.policy.model.duration[-1].bias[5] += 200.0  # far away again, but for those on a plan
    action, state = agent.predict(batch, state, episode_start=np.array([True, False]))
    assert action[0] != STOP
    assert action[1] == STOP
    assert (agent.predict(batch, state)[0] != STOP).all()
    assert (agent.predict(batch, state, stop="never")[0] != STOP).all()
    with torch.no_grad():
        agent.policy.model.duration[-1].bias[0] += 400.0
    assert (agent.predict(batch)[0] == STOP).all()


def test_a_plan_of_one_action_keeps_its_length_where_the_agent_looks_again():
    policy_kwargs = {**SMALL["policy_kwargs"], "stopping": "duration"}
    agent = make_agent(
        stay_fraction=0.2, vote=True, arrival_probability=1.0, policy_kwargs=policy_kwargs
    )
    agent.plans_ahead = True
    last = {**observations(2), "steps_left": np.ones((2, 1), np.float32)}
    action, state = agent.predict(last)
    assert (action != STOP).all()
    assert state.length.tolist() == agent.plan(last).length.tolist() == [2, 2]
    assert (agent.predict(last, state)[0] != STOP).all()


def test_an_agent_that_cannot_look_again_needs_whole_plans():
    policy_kwargs = {**SMALL["policy_kwargs"], "stopping": "duration"}
    agent = make_agent(vote=True, policy_kwargs=policy_kwargs)
    assert not agent.planner.stop_first
    batch = observations(2)
    batch["steps_left"][:] = 1  # leaves room for one action and STOP
    action, state = agent.predict(batch)
    assert (action != STOP).all()
    assert (agent.predict(batch, state)[0] == STOP).all()


@pytest.mark.parametrize("stopping", ["token", "duration"])
def test_an_agent_that_knows_when_it_has_arrived_may_stop_at_once(stopping):
    policy_kwargs = {**SMALL["policy_kwargs"], "stopping": stopping}
    agent = make_agent(stay_fraction=0.4, policy_kwargs=policy_kwargs)
    assert agent.planner.stop_first
    agent.learn(400 if stopping == "token" else 1000)
    arrived = observations(1)
    arrived["desired_goal"] = arrived["achieved_goal"]
    assert agent.predict(arrived)[0] == STOP
    assert agent.predict(arrived, stop="never")[0] != STOP
    assert agent.predict(arrived, stop="end")[0] != STOP


@pytest.mark.parametrize("stop", ["end", "never"])
def test_a_planner_that_is_not_to_stop_says_the_same_to_agent_and_policy(stop):
    policy_kwargs = {**SMALL["policy_kwargs"], "stopping": "duration"}
    agent = make_agent(stay_fraction=0.2, vote=True, policy_kwargs=policy_kwargs)
    with torch.no_grad():
        agent.policy.model.duration[-1].bias[0] += 100.0  # it has arrived, as it sees it
    batch = observations(2)
    assert (agent.policy.predict(batch)[0] == STOP).all()
    agent.planner = replace(agent.planner, stop=stop)
    action, _ = agent.predict(batch)
    assert (action != STOP).all()
    assert agent.policy.predict(batch)[0].tolist() == action.tolist()


def test_how_sure_of_arriving_an_agent_is_goes_with_it(tmp_path):
    make_agent(arrival_probability=0.2).save(tmp_path / "agent")
    assert GlamorAgent.load(tmp_path / "agent").planner.arrival_probability == 0.2
    bolder = GlamorAgent.load(tmp_path / "agent", arrival_probability=0.1)
    assert bolder.planner == replace(bolder.planner, arrival_probability=0.1)


def test_what_was_changed_for_good_is_kept_in_a_file_and_may_be_changed_again(tmp_path):
    agent = make_agent()
    agent.planner = replace(agent.planner, n_trials=7, stop="end")
    agent.open_loop = True
    agent.save(tmp_path / "agent")
    loaded = GlamorAgent.load(tmp_path / "agent")
    assert loaded.planner == loaded.policy.planner == agent.planner
    assert loaded.open_loop
    assert loaded.settings == agent.settings  # which are of the training
    other = GlamorAgent.load(tmp_path / "agent", n_trials=3)
    assert other.planner == replace(agent.planner, n_trials=3)


def test_the_policy_plans_as_the_agent_does(monkeypatch, trained):
    agent = make_agent(gamma=0.3, n_trials=4)
    asked: list[PlannerSettings] = []
    plan = agent.policy.plan
    monkeypatch.setattr(agent.policy, "plan", lambda *args: asked.append(args[2]) or plan(*args))
    agent.policy.predict(observations(2))
    agent.planner = replace(agent.planner, n_trials=9)
    agent.policy.predict(observations(2))
    assert [(its.gamma, its.n_trials) for its in asked] == [(0.3, 4), (0.3, 9)]
    with pytest.raises(TypeError, match="planner must be"):
        agent.planner = 50


@pytest.mark.parametrize("stopping", ["token", "duration"])
def test_plans_are_made_in_float32_whatever_the_caller_computes_in(stopping):
    kwargs = {**SMALL["policy_kwargs"], "stopping": stopping}
    agent = make_agent(policy_kwargs=kwargs, precision="float32").learn(100)
    batch = observations()
    alone = agent.plan(batch, deterministic=True)
    with torch.autocast("cpu", torch.bfloat16):
        within = agent.plan(batch, deterministic=True)
        agent.predict(batch, deterministic=True)
    assert within.log_score.dtype == torch.float32
    torch.testing.assert_close(within.log_score, alone.log_score)


def test_gamma_is_that_of_the_planner_and_may_be_assigned(tmp_path):
    agent = GlamorAgent(make_grid(), **SMALL)
    agent.gamma = 0.7
    assert agent.gamma == agent.planner.gamma == agent.policy.planner.gamma == 0.7
    agent.save(tmp_path / "agent")
    assert GlamorAgent.load(tmp_path / "agent").gamma == 0.7
    with pytest.raises(ValueError, match="gamma"):
        agent.gamma = 1.5
