"""GLAMOR in the Stable-Baselines3 API: collecting, learning, saving and loading."""

from __future__ import annotations

import warnings
from dataclasses import asdict, replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import DummyVecEnv

from glamor_gym.agents import AgentFileError, GlamorAgent
from glamor_gym.agents.saving.agent_file import load_tensors, save_tensors
from glamor_gym.planners import PlannerSettings
from glamor_gym.types import Trajectory
from tests.agents.small_agents import GRID, SMALL, make_agent, make_grid, observations

STOP = 4
OPEN_LOOP = {"stop": "free", "stop_first": False, "guided": True}


class Recorder(BaseCallback):
    """Keeps what the agent sends to the environments."""

    def __init__(self):
        super().__init__()
        self.actions, self.starts = [], []

    def _on_step(self) -> bool:
        self.actions.append(self.locals["actions"].copy())
        return True


@pytest.mark.parametrize(("n_envs", "ratio"), [(1, 8.0), (3, 8.0), (4, 1.5)])
def test_the_replay_ratio_does_not_depend_on_the_number_of_environments(n_envs, ratio):
    env = make_vec_env(GRID, n_envs, env_kwargs={"goals": "all"})
    agent = make_agent(env, replay_ratio=ratio).learn(240)
    assert agent._n_updates == int((240 - 60) * ratio / 32)


@pytest.mark.parametrize(
    "mode", [gym.vector.AutoresetMode.NEXT_STEP, gym.vector.AutoresetMode.SAME_STEP]
)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_gymnasium_vectors_are_taken_in_both_reset_modes(mode, kind):
    env = gym.make_vec(GRID, 2, kind, vector_kwargs={"autoreset_mode": mode}, goals="all")
    agent = make_agent(env).learn(120)
    assert agent.replay_buffer.n_trajectories == 12
    assert (agent.replay_buffer.state()["lengths"] == 10).all()
    frames = agent.replay_buffer.state()["achieved"].reshape(-1, 11, 49).argmax(-1)
    assert (frames[:, 0] == 24).all(), "every trajectory begins in the centre"
    rows, columns = np.divmod(frames, 7)
    assert (np.abs(np.diff(rows)) + np.abs(np.diff(columns)) <= 1).all()
    env.close()


def test_stored_trajectories_are_what_the_world_does_to_the_stored_actions():
    agent = make_agent().learn(150)
    state = agent.replay_buffer.state()
    world = make_grid()
    for frames, actions in zip(
        state["achieved"].reshape(-1, 11, 49), state["actions"].reshape(-1, 11), strict=True
    ):
        observation, _ = world.reset(options={"goal": 0})
        assert (observation["achieved_goal"] == frames[0]).all()
        for action, frame in zip(actions[:10], frames[1:], strict=True):
            assert (world.step(int(action))[0]["achieved_goal"] == frame).all()


def test_collection_follows_one_plan_open_loop_and_acts_at_random_after_it():
    agent = make_agent(exploration_final_eps=0.0, exploration_steps=0, learning_starts=60)
    plans: list[np.ndarray] = []
    own_plan = agent._plan

    def remember(*args):
        made = own_plan(*args)
        plans.append(made.tokens[0].numpy())
        return made

    agent._plan = remember
    recorder = Recorder()
    agent.learn(200, callback=recorder)
    episodes = np.concatenate(recorder.actions).reshape(-1, 10)[-len(plans) :]
    assert len(plans) > 10
    after = []
    for plan, episode in zip(plans, episodes, strict=True):
        length = int((plan == STOP).argmax())
        assert (episode[:length] == plan[:length]).all()
        after.append(episode[length:])
    assert (np.bincount(np.concatenate(after), minlength=4) > 10).all()


def test_data_is_collected_by_the_agent_s_planner_but_for_how_it_is_to_stop_and_sample():
    agent = make_agent(stay_fraction=0.2)
    agent.planner = replace(agent.planner, stop="end", guided=False, n_trials=3)
    assert agent.planner.stop_first
    used = []
    own_plan = agent._plan

    def remember(batch, steps, planner, deterministic):
        used.append(planner)
        return own_plan(batch, steps, planner, deterministic)

    agent._plan = remember
    agent.learn(100)
    assert set(used) == {PlannerSettings(**{**asdict(agent.planner), **OPEN_LOOP})}


def test_with_random_data_nothing_is_planned():
    agent = make_agent(data_policy="random")
    agent._plan = lambda *args: pytest.fail("planned")
    agent.learn(100)
    assert agent._n_updates > 0


def test_the_exploration_rate_is_the_share_of_random_actions():
    at_random = make_agent(data_policy="random")
    planning = make_agent(exploration_steps=0, exploration_final_eps=0.2)
    assert planning.exploration_rate == 1.0  # nothing is learned yet
    for agent, rate in ((at_random, 1.0), (planning, 0.2)):
        agent.set_logger(configure(None, []))
        agent.learn(100, log_interval=None)
        assert agent._n_updates > 0
        assert agent.exploration_rate == rate
        assert agent.logger.name_to_value["rollout/exploration_rate"] == rate


def test_losses_fall_and_are_logged(tmp_path):
    agent = make_agent()
    agent.set_logger(configure(str(tmp_path), ["csv"]))
    agent.learn(200, log_interval=5)
    header, *rows = (tmp_path / "progress.csv").read_text().splitlines()
    for name in ("train/inverse_loss", "train/prior_loss", "train/information_gap", "time/fps"):
        assert name in header
    column = header.split(",").index("train/inverse_loss")
    losses = [float(row.split(",")[column]) for row in rows if row.split(",")[column]]
    assert losses[-1] < losses[0]


def test_a_prior_that_does_not_count_learns_nothing():
    agent = make_agent(prior_coef=0.0, weight_decay=0.0)
    prior, inverse = agent.policy.model.prior, agent.policy.model.inverse_dynamics
    before = [[weight.clone() for weight in part.parameters()] for part in (prior, inverse)]
    agent.learn(100)
    kept = [
        all(map(torch.equal, part.parameters(), weights))
        for part, weights in zip((prior, inverse), before, strict=True)
    ]
    assert kept == [True, False]


def test_every_tenth_episode_is_looked_at_before_it_is_learned_from(monkeypatch):
    agent = make_agent(replay_ratio=1.0)
    known: list[tuple[int, int]] = []  # episodes in the replay, and the one that is looked at
    validate = GlamorAgent._validate

    def watched(self, trajectory):
        known.append((self.replay_buffer.n_trajectories, self._episode_num))
        losses = validate(self, trajectory)
        assert losses["information_gap"] == losses["prior_loss"] - losses["inverse_loss"]
        return losses

    monkeypatch.setattr(GlamorAgent, "_validate", watched)
    agent.learn(400)
    assert known == [(10, 10), (20, 20), (30, 30)]  # none before the first update, at step 60


@pytest.mark.parametrize("n_envs", [2, 5])
def test_so_it_is_with_several_environments_whose_episodes_end_together(monkeypatch, n_envs):
    known: list[int] = []
    monkeypatch.setattr(
        GlamorAgent,
        "_validate",
        lambda self, _: known.append(self.replay_buffer.runs_written) or {},
    )
    make_agent(make_vec_env(GRID, n_envs), replay_ratio=1.0).learn(400)
    assert known == [10, 20, 30]


def test_validation_gives_the_loss_of_the_model(monkeypatch):
    """On an episode of one step there is one training tuple only."""
    agent = make_agent(stay_fraction=0.0).learn(100)
    rows = observations(2)
    episode = Trajectory(rows["achieved_goal"], np.array([2]), rows["observation"])
    losses = agent._validate(episode)
    with torch.no_grad():
        wanted = agent.policy.model.losses(
            torch.from_numpy(rows["observation"][:1]),
            torch.from_numpy(rows["achieved_goal"][1:]),
            tokens=torch.tensor([[2, STOP]]),
            length=torch.tensor([2]),
        )
    assert losses["inverse_loss"] == pytest.approx(float(wanted.inverse), rel=1e-5)
    assert losses["prior_loss"] == pytest.approx(float(wanted.prior), rel=1e-5)


def test_pictures_are_shifted_as_far_as_asked_where_they_are_learned_from(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "glamor_gym.agents.glamor.shift_together",
        lambda observation, goal, pixels, _: seen.append(pixels) or (observation, goal),
    )
    agent = make_agent(image_shift=3).learn(90)
    assert set(seen) == {3}
    rows = observations(2)
    agent._validate(Trajectory(rows["achieved_goal"], np.array([2]), rows["observation"]))
    assert seen[-1] == 0


@pytest.mark.parametrize("wrong", [{"policy_kwargs": [1]}, {"seed": "a"}])
def test_a_wrong_argument_of_load_is_not_blamed_on_the_file(tmp_path, trained, wrong):
    trained.save(tmp_path / "agent")
    with pytest.raises(TypeError, match=next(iter(wrong))):
        GlamorAgent.load(tmp_path / "agent", **wrong)


def test_saved_and_loaded_it_predicts_and_learns_the_same(tmp_path, trained):
    trained.save(tmp_path / "agent")
    loaded = GlamorAgent.load(tmp_path / "agent", env=make_grid(), device="cpu")
    batch = observations(4)
    for option in ({}, {"open_loop": True}, {"stop": "end"}):
        first, _ = trained.predict(batch, deterministic=True, **option)
        second, _ = loaded.predict(batch, deterministic=True, **option)
        assert (first == second).all()
    assert loaded.settings == trained.settings
    assert loaded.num_timesteps == trained.num_timesteps
    assert loaded._n_updates == trained._n_updates
    for mine, its in zip(
        trained.policy.optimizer.state_dict()["state"].values(),
        loaded.policy.optimizer.state_dict()["state"].values(),
        strict=True,
    ):
        assert torch.equal(mine["exp_avg"], its["exp_avg"])
    loaded.learn(100, reset_num_timesteps=False)
    assert loaded.num_timesteps == trained.num_timesteps + 100


def test_a_saved_agent_tells_what_it_was_trained_on(tmp_path):
    envs = (GRID, make_grid(), gym.make_vec(GRID, num_envs=2), make_vec_env(GRID, n_envs=2))
    assert [make_agent(env).task_id for env in envs] == [GRID] * 4
    make_agent().save(tmp_path / "room")
    _, header = load_tensors(tmp_path / "room")
    assert (header["agent"], header["task"]) == ("GlamorAgent", GRID)
    assert GlamorAgent.load(tmp_path / "room").task_id == GRID
    make_agent(make_bandit()).save(tmp_path / "bandit")
    assert GlamorAgent.load(tmp_path / "bandit").task_id is None


def test_without_an_environment_it_predicts_but_does_not_learn(tmp_path, trained):
    trained.save(tmp_path / "agent", exclude=["optimizer"])
    loaded = GlamorAgent.load(tmp_path / "agent", n_trials=3)
    assert loaded.planner.n_trials == 3
    assert loaded.predict(observations(2))[0].shape == (2,)
    with pytest.raises(ValueError, match="env is missing"):
        loaded.learn(10)


def test_a_file_of_settings_that_there_are_not_is_told(tmp_path, trained):
    trained.save(tmp_path / "agent")
    tensors, header = load_tensors(tmp_path / "agent")
    for setting, told in (
        ({"data_policy": "closed_loop"}, "data_policy must be one of .* got 'closed_loop'"),
        ({"near_fraction": 0.4}, "there is no option 'near_fraction'"),
    ):
        settings = header["settings"] | setting
        save_tensors(tmp_path / "agent", tensors, header | {"settings": settings})
        for changes in ({}, {"n_trials": 3}):
            with pytest.raises(AgentFileError, match=f"does not fit: {told}"):
                GlamorAgent.load(tmp_path / "agent", **changes)


class Bandit(gym.Env):
    """A goal environment of another maker: no STOP, no steps_left, no pictures."""

    def __init__(self):
        box = gym.spaces.Box(-1, 1, (3,), np.float32)
        self.observation_space = gym.spaces.Dict(
            observation=gym.spaces.Box(-1, 1, (2,), np.float32), achieved_goal=box, desired_goal=box
        )
        self.action_space = gym.spaces.Discrete(3)

    def _observe(self, action=None):
        achieved = np.zeros(3, np.float32)
        if action is not None:
            achieved[action] = 1.0
        return {
            "observation": np.zeros(2, np.float32),
            "achieved_goal": achieved,
            "desired_goal": self._goal.copy(),
        }

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._goal = np.eye(3, dtype=np.float32)[self.np_random.integers(3)]
        return self._observe(), {}

    def step(self, action):
        return self._observe(action), 0.0, False, False, {}


def make_bandit() -> gym.Env:
    env = gym.wrappers.TimeLimit(Bandit(), 1)
    env.horizon = 1
    return env


def test_any_goal_environment_with_discrete_actions_is_learnt():
    agent = make_agent(make_bandit(), learning_starts=50, learning_rate=2e-3).learn(350)
    assert agent.stop_action == 3
    goals = np.eye(3, dtype=np.float32)
    batch = {"observation": np.zeros((3, 2), np.float32), "desired_goal": goals}
    assert agent.predict(batch, deterministic=True)[0].tolist() == [0, 1, 2]


def test_an_environment_without_goals_or_horizon_is_refused():
    with pytest.raises(ValueError, match="Dict observation"):
        make_agent(gym.make("CartPole-v1"))
    with pytest.raises(ValueError, match="horizon"):
        make_agent(Bandit())
    with pytest.raises(ValueError, match="stop_action"):
        make_agent(DummyVecEnv([lambda: gym.wrappers.TimeLimit(Bandit(), 1)]))
    with pytest.raises(ValueError, match="env must be"):
        GlamorAgent(3)


def test_bad_calls_are_refused_by_name(tmp_path, trained):
    batch = observations(2)
    with pytest.raises(ValueError, match="n_trials"):
        trained.predict(batch, n_trials=0)
    with pytest.raises(ValueError, match="stop"):
        trained.plan(batch, stop="later")
    with pytest.raises(ValueError, match="total_timesteps"):
        trained.learn(0)
    with pytest.raises(ValueError, match="exclude"):
        trained.save(tmp_path / "a", exclude=["policy"])
    trained.save(tmp_path / "agent")
    with pytest.raises(ValueError, match="env has spaces"):
        GlamorAgent.load(tmp_path / "agent", env=make_bandit())


def test_presets_other_than_the_papers_may_stop_at_once():
    for name in GlamorAgent.presets:
        agent = GlamorAgent(make_grid(), **GlamorAgent.preset(name))
        assert agent.planner.stop_first == (name != "paper")


def test_a_clip_that_rules_out_all_actions_is_warned_of():
    class Many(gym.ActionWrapper):
        def __init__(self, env):
            super().__init__(env)
            self.action_space = gym.spaces.Discrete(40)
            self.stop_action = 39

        def action(self, action):
            return self.env.get_wrapper_attr("stop_action") if action == 39 else action % 4

    with pytest.warns(UserWarning, match=r"clip_log_prob=-3.15 .* among 40, .* -3.69; .* -3.89"):
        GlamorAgent(Many(make_grid()), **SMALL)
    by_value = {**SMALL, "vote": True, "policy_kwargs": {"stopping": "duration"}}
    with pytest.warns(UserWarning, match=r"clip_log_prob=-3.15 .* among 39, .* -3.66; .* -3.86"):
        GlamorAgent(Many(make_grid()), **by_value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GlamorAgent(Many(make_grid()), **SMALL, clip_log_prob=-3.89)
        GlamorAgent(Many(make_grid()), **by_value, clip_log_prob=-3.86)
