"""What every agent must do, whoever it is: Stable-Baselines3's own expectations."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import random
import warnings
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecCheckNan,
    VecNormalize,
)

from glamor_gym.agents import AgentFileError, DiscernAgent, GCSLAgent, GlamorAgent
from glamor_gym.agents.base import ImageGoalAgent
from glamor_gym.agents.saving.agent_file import load_tensors, save_tensors
from glamor_gym.models.whitening import Whitening
from tests.agents.sameness import assert_same
from tests.agents.small_agents import GRID, make_grid, observations, stored_from_here

STOP = 4
SMALL: dict[str, Any] = {
    "learning_starts": 60,
    "batch_size": 16,
    "replay_ratio": 4.0,
    "buffer_size": 2_000,
    "exploration_steps": 200,
    "device": "cpu",
    "seed": 0,
    "policy_kwargs": {"embedding_size": 32},
}
AGENTS = [GlamorAgent, GCSLAgent, DiscernAgent]


def make(agent_class: type[ImageGoalAgent], env: Any = None, **changes: Any) -> ImageGoalAgent:
    return agent_class(make_grid() if env is None else env, **{**SMALL, **changes})


class WithOneEntryMore(gym.ObservationWrapper):
    """An environment whose observations have one entry more."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        spaces = {**env.observation_space.spaces, "more": gym.spaces.Discrete(3)}
        self.observation_space = gym.spaces.Dict(spaces)

    def observation(self, observation: dict[str, Any]) -> dict[str, Any]:
        return {**observation, "more": 0}


def assert_walks(episodes: Sequence[Any]) -> None:
    """Check that there are episodes, and that each is a walk of single steps from the centre."""
    assert episodes
    for cells in episodes:
        assert cells[0] == 24
        rows, columns = np.divmod(cells, 7)
        assert (np.abs(np.diff(rows)) + np.abs(np.diff(columns)) <= 1).all()


def weights(agent: ImageGoalAgent) -> list[torch.Tensor]:
    return list(agent.policy.state_dict().values())


@pytest.fixture(params=AGENTS, ids=lambda agent_class: agent_class.__name__)
def agent_class(request) -> type[ImageGoalAgent]:
    return request.param


@pytest.fixture(scope="module")
def trained_agents() -> dict[type[ImageGoalAgent], ImageGoalAgent]:
    return {agent_class: make(agent_class).learn(200) for agent_class in AGENTS}


@pytest.fixture
def trained_agent(agent_class, trained_agents) -> ImageGoalAgent:
    return trained_agents[agent_class]


def test_it_is_an_sb3_algorithm_that_learns_from_an_id(agent_class):
    agent = make(agent_class, GRID)
    before = [weight.clone() for weight in weights(agent)]
    assert agent.learn(100) is agent
    assert isinstance(agent, OffPolicyAlgorithm)
    assert agent.num_timesteps == 100
    assert agent._n_updates == agent.settings.updates_due(100) > 0
    assert any(not torch.equal(a, b) for a, b in zip(before, weights(agent), strict=True))


@pytest.mark.parametrize(("persistence", "share"), [(0.0, 0.25), (0.8, 0.85)])
def test_random_actions_persist_as_often_as_asked(agent_class, monkeypatch, persistence, share):
    """A repeated draw adds to the share: 1/4 of 1 − p on top of p with four actions."""
    env = make_vec_env(GRID, 2, env_kwargs={"goals": "all"})
    agent = make(agent_class, env, learning_starts=10_000, exploration_persistence=persistence)
    episodes: list[np.ndarray] = []
    monkeypatch.setattr(
        agent, "_store_episode", lambda _, episode: episodes.append(episode.actions)
    )
    agent.learn(2_000)
    same = np.concatenate([actions[1:] == actions[:-1] for actions in episodes])
    assert same.mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / len(same)))


def test_each_environment_is_explored_by_itself(agent_class, monkeypatch):
    env = make_vec_env(GRID, 6, env_kwargs={"goals": "all"})
    agent = make(agent_class, env, exploration_steps=0, exploration_final_eps=0.5).learn(120)
    monkeypatch.setattr(agent, "collect", lambda observations, starts: np.full(6, 3))
    explored = np.stack([agent._next_actions() for _ in range(400)]) != 3
    # Half of the actions are random, and three in four of those are others than the 3.
    assert explored.mean() == pytest.approx(0.375, abs=0.04)
    assert (~explored).all(axis=1).mean() == pytest.approx(0.625**6, abs=0.05)


def test_the_learning_rate_follows_its_schedule(agent_class, monkeypatch):
    agent = make(agent_class, learning_rate=1e-3, lr_schedule="cosine")
    rates: list[float] = []
    own_update = agent.update

    def update(batch):
        rates.append(agent.policy.optimizer.param_groups[0]["lr"])
        return own_update(batch)

    monkeypatch.setattr(agent, "update", update)
    agent.learn(200)  # with an update every four steps after the first 60
    expected = [
        agent.settings.scheduled_learning_rate(1 - step / 200) for step in range(64, 201, 4)
    ]
    assert rates == pytest.approx(expected)
    assert rates[-1] == pytest.approx(1e-5)


def test_gradients_are_as_long_as_they_may_be(agent_class):
    agent = make(agent_class, max_grad_norm=1e-3).learn(100)
    gradients = [weight.grad for weight in agent.policy.model.parameters()]
    norms = torch.stack([gradient.norm() for gradient in gradients if gradient is not None])
    assert float(norms.norm()) == pytest.approx(1e-3, rel=0.01)


def test_what_is_due_is_learned_before_a_callback_ends_the_training(agent_class):
    class Ending(BaseCallback):
        def _on_step(self) -> bool:
            return self.num_timesteps < 80

    agent = make(agent_class).learn(200, Ending())
    assert agent.num_timesteps == 80
    assert agent._n_updates == agent.settings.updates_due(80) > agent.settings.updates_due(79)


@pytest.mark.parametrize("vec_env_cls", [DummyVecEnv, SubprocVecEnv])
def test_it_learns_in_several_environments(agent_class, vec_env_cls):
    env = make_vec_env(GRID, 2, vec_env_cls=vec_env_cls, env_kwargs={"goals": "all"})
    agent = make(agent_class, env).learn(120)
    assert agent.replay_buffer.n_trajectories == 12
    env.close()


def test_it_learns_in_a_gymnasium_vector(agent_class):
    env = gym.make_vec(GRID, 2, goals="all")
    agent = make(agent_class, env).learn(120)
    assert (agent.replay_buffer.state()["lengths"] == 10).all()
    env.close()


def test_every_setting_is_an_argument_with_the_same_default(agent_class):
    agent = agent_class(make_grid())
    parameters = inspect.signature(agent_class.__init__).parameters
    settings = agent.settings.as_dict()
    assert {name: parameters[name].default for name in settings} == settings
    assert agent_class(make_grid(), **agent_class.preset("paper")).settings == agent.settings


@pytest.mark.parametrize(
    ("agent_class", "preset"),
    [(agent_class, name) for agent_class in AGENTS for name in agent_class.presets],
)
def test_every_preset_can_be_made(agent_class, preset):
    arguments = agent_class.preset(preset)
    agent = agent_class(make_grid(), **arguments)
    names = agent.settings.names()
    assert agent.settings.as_dict() == {name: arguments[name] for name in names}
    with pytest.raises(ValueError, match="preset must be one of paper"):
        agent_class.preset("beast")


def test_the_same_seed_gives_the_same_agent(agent_class):
    one, two, other = (make(agent_class, seed=seed).learn(100) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(weights(one), weights(two), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def test_training_never_stops_an_episode(agent_class):
    class Recorder(BaseCallback):
        def __init__(self):
            super().__init__()
            self.actions: set[int] = set()

        def _on_step(self) -> bool:
            self.actions |= set(self.locals["actions"].tolist())
            return True

    recorder = Recorder()
    make(agent_class).learn(150, callback=recorder)
    assert recorder.actions == {0, 1, 2, 3}


def test_callbacks_run_save_evaluate_and_end_the_training(agent_class, tmp_path):
    class End(BaseCallback):
        def _on_step(self) -> bool:
            return self.num_timesteps < 130

    saving = CheckpointCallback(60, str(tmp_path))
    env = make_vec_env(GRID, 1, env_kwargs={"goals": "all"})
    judging = EvalCallback(env, n_eval_episodes=2, eval_freq=60, verbose=0)
    agent = make(agent_class).learn(300, callback=[saving, judging, End()])
    assert agent.num_timesteps == 130
    assert len(list(tmp_path.glob("rl_model_*_steps*.safetensors"))) == 2
    assert np.isfinite(judging.last_mean_reward)


def test_it_logs_finite_numbers(agent_class, tmp_path):
    agent = make(agent_class)
    agent.set_logger(configure(str(tmp_path), ["csv"]))
    agent.learn(160, log_interval=5)
    header, *rows = (tmp_path / "progress.csv").read_text().splitlines()
    columns = header.split(",")
    assert "train/grad_norm" in columns
    losses = [name for name in columns if name.startswith("train/") and name.endswith("loss")]
    assert losses
    last = dict(zip(columns, rows[-1].split(","), strict=True))
    assert all(np.isfinite(float(last[name])) for name in losses)


def test_it_goes_on_learning_where_it_was_left(agent_class):
    agent = make(agent_class).learn(90)
    agent.learn(40, log_interval=None, reset_num_timesteps=False)
    assert agent.num_timesteps == 130
    updates = agent.settings.updates_due(130)
    assert agent._n_updates == updates
    agent.learn(100)
    assert agent._n_updates == updates + agent.settings.updates_due(100)


def test_one_observation_and_a_batch_give_the_same_deterministic_action(trained_agent):
    batch = observations(3)
    actions, state = trained_agent.predict(batch, deterministic=True)
    assert actions.shape == (3,)
    assert actions.dtype.kind == "i"
    assert state is not None
    assert (trained_agent.predict(batch, deterministic=True)[0] == actions).all()
    # The planner's fixed noise depends on the batch; a batch of one must be as one alone.
    one = {key: value[:1] for key, value in batch.items()}
    alone = {key: value[0] for key, value in batch.items()}
    action, _ = trained_agent.predict(alone, deterministic=True)
    assert np.shape(action) == ()
    assert action == trained_agent.predict(one, deterministic=True)[0][0]


def test_state_is_kept_for_each_environment_and_forgotten_at_a_start(trained_agent):
    batch = observations(2)
    _, state = trained_agent.predict(batch)
    _, state = trained_agent.predict(batch, state, np.array([True, False]))
    assert state.steps.tolist() == [1, 2]
    with pytest.raises(ValueError, match="state"):
        trained_agent.predict(observations(3), state)
    with pytest.raises(ValueError, match="state"):
        trained_agent.predict(batch, (np.zeros(2), 1, 2, 3))


@pytest.mark.parametrize(
    ("key", "value"),
    [("observation", np.full((2, 49), np.nan, np.float32)), ("desired_goal", np.zeros((2, 3)))],
)
def test_observations_that_are_none_are_refused_by_name(trained_agent, key, value):
    with pytest.raises(ValueError, match=key):
        trained_agent.predict({**observations(2), key: value})
    with pytest.raises(ValueError, match="lacks 'desired_goal'"):
        trained_agent.predict({"observation": np.zeros(49, np.float32)})


def test_sb3_can_evaluate_it_and_its_policy(trained_agent):
    env = make_vec_env(GRID, 2, env_kwargs={"goals": "all"})
    rewards, lengths = evaluate_policy(trained_agent, env, 4, return_episode_rewards=True)
    assert len(rewards) == len(lengths) == 4
    actions, _ = trained_agent.policy.predict(observations(2), deterministic=True)
    assert actions.shape == (2,)


def test_its_policy_can_be_called_as_sb3s_are(trained_agent):
    tensors, _ = trained_agent.policy.obs_to_tensor(observations(3))
    predicted, _ = trained_agent.policy.predict(observations(3), deterministic=True)
    assert trained_agent.policy(tensors).tolist() == predicted.tolist()


@pytest.mark.parametrize("drawing", [GlamorAgent, GCSLAgent])
def test_what_its_policy_draws_by_itself_hangs_on_the_seed_of_torch(trained_agents, drawing):
    def drawn(seed: int) -> list[int]:
        torch.manual_seed(seed)
        many = [trained_agents[drawing].policy.predict(observations(8))[0] for _ in range(5)]
        return np.concatenate(many).tolist()

    assert drawn(0) == drawn(0) != drawn(1)


def test_saved_and_loaded_it_acts_and_learns_the_same(trained_agent, tmp_path):
    trained_agent.save(tmp_path / "agent")
    loaded = type(trained_agent).load(tmp_path / "agent", env=make_grid(), device="cpu")
    batch = observations(5)
    before, _ = trained_agent.predict(batch, deterministic=True)
    assert (loaded.predict(batch, deterministic=True)[0] == before).all()
    assert loaded.settings == trained_agent.settings
    assert loaded.num_timesteps == trained_agent.num_timesteps
    pairs = zip(weights(trained_agent), weights(loaded), strict=True)
    assert all(torch.equal(mine, its) for mine, its in pairs)
    loaded.learn(40, reset_num_timesteps=False)
    assert loaded.num_timesteps == trained_agent.num_timesteps + 40


def test_a_second_training_goes_on_from_its_file(agent_class, tmp_path):
    agent = make(agent_class).learn(100).learn(100)  # which counts its steps anew
    agent.save(tmp_path / "agent")
    loaded = agent_class.load(tmp_path / "agent", make_grid(), device="cpu")
    due = agent.settings.updates_due
    for each in (agent, loaded):
        each.learn(20, reset_num_timesteps=False)
        assert each._n_updates == due(100) + due(120)


def test_its_replay_is_saved_and_loaded_apart(trained_agent, tmp_path):
    trained_agent.save_replay_buffer(tmp_path / "replay.npz")
    other = make(type(trained_agent))
    other.load_replay_buffer(tmp_path / "replay.npz")
    theirs, ours = trained_agent.replay_buffer.state(), other.replay_buffer.state()
    assert theirs.keys() == ours.keys()
    assert all((theirs[name] == ours[name]).all() for name in theirs)


def test_a_replay_of_longer_episodes_is_refused(trained_agent, tmp_path):
    trained_agent.save_replay_buffer(tmp_path / "replay.npz")
    other = make(type(trained_agent), make_grid(horizon=9))
    with pytest.raises(ValueError, match=r"path .*replay.npz.* 10 actions .* the horizon 9"):
        other.load_replay_buffer(tmp_path / "replay.npz")
    assert not len(other.replay_buffer)


def test_streams_take_and_give_what_files_do(trained_agent):
    agent, replay = io.BytesIO(), io.BytesIO()
    trained_agent.save(agent)
    trained_agent.save_replay_buffer(replay)
    agent.seek(0)
    loaded = type(trained_agent).load(agent, env=make_grid(), device="cpu")
    other = make(type(trained_agent), seed=1)
    agent.seek(0)
    other.set_parameters(agent)
    for its in (loaded, other):
        pairs = zip(weights(trained_agent), weights(its), strict=True)
        assert all(torch.equal(mine, theirs) for mine, theirs in pairs)
    replay.seek(0)
    loaded.load_replay_buffer(replay)
    assert len(loaded.replay_buffer) == len(trained_agent.replay_buffer)
    with pytest.raises(AgentFileError, match="BytesIO"):
        type(trained_agent).load(io.BytesIO(b"nothing of the kind"))


def test_another_agents_file_is_refused(trained_agent, tmp_path):
    trained_agent.save(tmp_path / "agent")
    others = [other for other in AGENTS if other is not type(trained_agent)]
    for other in others:
        with pytest.raises(AgentFileError, match="not a"):
            other.load(tmp_path / "agent")


def test_pictures_are_learnt_from_as_well(agent_class):
    env = gym.make("glamor/Pong-v0")
    kwargs = {"encoder": "compact", "embedding_size": 16}
    agent = make(agent_class, env, policy_kwargs=kwargs, batch_size=4, replay_ratio=0.4)
    agent.learn(110)
    assert agent._n_updates == 5
    observation, _ = env.reset(seed=0)
    assert agent.predict(observation, deterministic=True)[0] in range(7)
    env.close()


def test_whoever_only_looks_at_an_agent_does_not_settle_how_it_sees(agent_class):
    kwargs = {"encoder": "tiny", "embedding_size": 16, "whiten": True}
    changes = {"policy_kwargs": kwargs, "batch_size": 4, "replay_ratio": 0.4}
    env = gym.make("glamor/Pong-v0")
    agent = make(agent_class, env, **changes)

    def measured() -> list[torch.Tensor]:
        modules = agent.policy.model.modules()
        return [module for module in modules if isinstance(module, Whitening) and module.measured]

    agent.predict(env.reset(seed=0)[0])
    assert not measured()
    agent.learn(90)
    means = [whitening.mean for whitening in measured()]
    assert len(means) == (2 if agent_class is DiscernAgent else 1)  # its target sees likewise
    assert all(torch.equal(mean, means[0]) for mean in means)
    env.close()


def test_another_environment_may_be_set_in_any_form(agent_class, tmp_path):
    make(agent_class).save(tmp_path / "agent")
    for env in (GRID, make_grid(), gym.make_vec(GRID, num_envs=3), make_vec_env(GRID, 3)):
        agent = agent_class.load(tmp_path / "agent", device="cpu")
        agent.set_env(env)
        assert agent.task_id == GRID
        agent.learn(90)
        assert len(agent.replay_buffer)


def test_an_environment_that_does_not_fit_is_not_set(agent_class):
    agent = make(agent_class)
    before = agent.env
    for env, told in (
        (make_grid(horizon=7), "horizon 10, got 7"),
        ("glamor/Dice-v0", "horizon 10, got 1"),
        (3, "env must be an id"),
    ):
        with pytest.raises(ValueError, match=told):
            agent.set_env(env)
    with pytest.raises(ValueError, match="must have 1 environments"):
        agent.set_env(make_vec_env(GRID, 2), force_reset=False)
    with pytest.raises(ValueError, match="Observation spaces do not match"):
        agent.set_env(make_vec_env(lambda: WithOneEntryMore(make_grid()), 3))
    assert agent.env is before
    assert agent.n_envs == 1


def test_an_environment_that_an_evaluation_has_reset_begins_anew(agent_class):
    env = make_vec_env(GRID, 2, env_kwargs={"goals": "all"})
    agent = make(agent_class, env).learn(106)  # ends within an episode
    stored = stored_from_here(agent)
    evaluate_policy(agent, env, n_eval_episodes=3)
    agent.learn(100, reset_num_timesteps=False)
    assert_walks(stored)


def test_an_environment_that_a_callback_has_reset_begins_anew(agent_class):
    env = make_vec_env(GRID, 2, env_kwargs={"goals": "all"})
    agent = make(agent_class, env, learning_starts=20, replay_ratio=1.0)
    stored = stored_from_here(agent)
    evaluations = []

    class Evaluating(BaseCallback):
        def evaluate_at(self, step: int) -> bool:
            if self.num_timesteps == step:
                evaluations.append(evaluate_policy(agent, env, n_eval_episodes=3))
            return True

        def _on_training_start(self) -> None:
            self.evaluate_at(0)

        def _on_rollout_start(self) -> None:
            self.evaluate_at(16)  # within an episode

        def _on_step(self) -> bool:
            return self.evaluate_at(26)

        def _on_rollout_end(self) -> None:
            self.evaluate_at(36)

    agent.learn(80, callback=Evaluating())
    assert len(evaluations) == 4
    assert len(stored) == 4
    assert_walks(stored)


@pytest.mark.parametrize("kind", ["single", "vector"])
def test_an_environment_that_was_reset_behind_its_vector_begins_anew(agent_class, kind):
    env = make_grid() if kind == "single" else gym.make_vec(GRID, 2, goals="all")
    agent = make(agent_class, env).learn(106)  # ends within an episode
    stored = stored_from_here(agent)
    env.reset()
    agent.learn(100, reset_num_timesteps=False)
    assert_walks(stored)


def test_an_environment_may_be_evaluated_in_while_it_is_learned_in(agent_class):
    env = make_grid()
    agent = make(agent_class, env, learning_starts=20, replay_ratio=1.0)
    stored = stored_from_here(agent)
    judging = EvalCallback(Monitor(env), n_eval_episodes=1, eval_freq=17, verbose=0)
    agent.learn(80, callback=judging)
    assert_walks(stored)


@pytest.mark.parametrize("event", ["rollout_start", "step", "rollout_end"])
def test_a_callback_may_set_another_environment(agent_class, event):
    agent = make(agent_class, learning_starts=20, replay_ratio=1.0)
    stored = stored_from_here(agent)
    other = make_vec_env(GRID, 2, env_kwargs={"goals": "all"})

    class Setting(BaseCallback):
        def _on_step(self) -> bool:
            return True

    def set_other() -> bool:
        if agent.num_timesteps == 25:
            agent.set_env(other)
        return True

    callback = Setting()
    setattr(callback, f"_on_{event}", set_other)
    agent.learn(65, callback=callback)
    assert agent.get_env() is other
    assert len(stored) == 6
    assert_walks(stored)


def test_an_environment_that_nobody_has_reset_goes_on(agent_class):
    env = make_vec_env(GRID, 2, env_kwargs={"goals": "all"})
    agent = make(agent_class, env).learn(106)
    before = agent._last_obs
    agent._setup_learn(100, reset_num_timesteps=False)
    assert agent._last_obs is before


def test_evaluate_policy_sees_whole_episodes_of_a_gymnasium_vector(agent_class):
    agent = make(agent_class, gym.make_vec(GRID, 2, goals="all")).learn(100)
    lengths = []
    for env in (agent.get_env(), make_vec_env(GRID, 2, env_kwargs={"goals": "all"})):
        env.seed(0)
        lengths.append(evaluate_policy(agent, env, 12, return_episode_rewards=True)[1])
    assert lengths[0] == lengths[1]


def test_a_replay_too_small_for_an_episode_is_found_when_the_environment_is_set(
    trained_agent, tmp_path
):
    trained_agent.save(tmp_path / "agent")
    small = type(trained_agent).load(tmp_path / "agent", buffer_size=5)
    with pytest.raises(ValueError, match=r"buffer_size must be at least 1[12], for"):
        small.set_env(make_grid())
    assert small.env is None


def test_parts_that_are_never_in_a_file_may_be_left_out_of_it(trained_agent, tmp_path):
    trained_agent.save(tmp_path / "agent", exclude=["replay_buffer", "optimizer"])
    assert not type(trained_agent).load(tmp_path / "agent").policy.optimizer.state


def test_a_file_in_half_precision_can_be_learned_from(trained_agent, tmp_path):
    trained_agent.save(tmp_path / "agent", half=True)
    header_and_weights = (tmp_path / "agent.safetensors").stat().st_size
    trained_agent.save(tmp_path / "full", half=False, exclude=["optimizer"])
    assert header_and_weights < (tmp_path / "full.safetensors").stat().st_size
    loaded = type(trained_agent).load(tmp_path / "agent", env=make_grid(), device="cpu")
    assert not loaded.policy.optimizer.state  # halved, it would divide by zero
    loaded.learn(40, reset_num_timesteps=False)


def test_weights_and_optimiser_are_taken_from_a_file(trained_agent, tmp_path):
    trained_agent.save(tmp_path / "agent")
    other = make(type(trained_agent), seed=1)
    other.set_parameters(tmp_path / "agent")
    pairs = zip(weights(other), weights(trained_agent), strict=True)
    assert all(torch.equal(mine, its) for mine, its in pairs)
    assert other.policy.optimizer.state
    other.set_parameters(other.get_parameters())  # SB3's own way still works
    larger = make(type(trained_agent), policy_kwargs={"embedding_size": 40})
    before = [weight.clone() for weight in weights(larger)]
    told = r"weight is float of shape \(.* in what was saved and float of shape \(40, .* the agent"
    with pytest.raises(AgentFileError, match=told):
        larger.set_parameters(tmp_path / "agent")
    assert all(torch.equal(a, b) for a, b in zip(before, weights(larger), strict=True))
    with pytest.raises(ValueError, match=f"policy_kwargs must build the saved networks: .*{told}"):
        type(larger).load(tmp_path / "agent", policy_kwargs={"embedding_size": 40})


def test_files_of_sb3s_callback_are_found_by_their_names(agent_class, tmp_path):
    callback = CheckpointCallback(100, str(tmp_path), name_prefix="at")
    make(agent_class).learn(120, callback=callback)
    for name in ("at_100_steps", "at_100_steps.zip", "at_100_steps.safetensors"):
        assert agent_class.load(tmp_path / name).num_timesteps == 100


@pytest.mark.parametrize("policy", ["MultiInputPolicy", make_grid, "glamor/GridWorld-v0"])
def test_the_environment_comes_first(agent_class, policy):
    with pytest.raises(ValueError, match="environment comes first"):
        agent_class("MultiInputPolicy", policy)


def test_a_policy_is_one_of_the_agents_own_or_derived_from_it(agent_class):
    (own,) = agent_class.policy_aliases.values()
    assert isinstance(make(agent_class, policy=type("Mine", (own,), {})).policy, own)
    with pytest.raises(ValueError, match=r"a subclass of it, got .*BasePolicy"):
        make(agent_class, policy=BasePolicy)


def test_a_policy_of_ones_own_is_saved_if_a_subclass_names_it(agent_class, tmp_path):
    ((name, own),) = agent_class.policy_aliases.items()
    mine = type("Mine", (own,), {})
    with pytest.raises(ValueError, match=rf"policy_aliases = {{'{name}': Mine}}"):
        make(agent_class, policy=mine).save(tmp_path / "agent")
    subclass = type("MyAgent", (agent_class,), {"policy_aliases": {name: mine}})
    make(subclass).save(tmp_path / "agent")
    assert type(subclass.load(tmp_path / "agent").policy) is mine


def test_wrapped_gymnasium_vectors_are_taken(agent_class):
    vector = RecordEpisodeStatistics(gym.make_vec(GRID, num_envs=2))
    agent = make(agent_class, vector).learn(90)
    assert (agent.stop_action, agent.task_id) == (STOP, GRID)


def test_a_vector_that_normalises_observations_is_refused(agent_class):
    vector = make_vec_env(GRID, 2)
    with pytest.raises(ValueError, match="norm_obs=False"):
        make(agent_class, VecCheckNan(VecNormalize(vector)))
    make(agent_class, VecNormalize(vector, norm_obs=False)).learn(100)


def test_parameters_go_into_a_dict_and_back_with_the_optimiser(agent_class, trained_agent):
    parameters = trained_agent.get_parameters()
    assert set(parameters) == {"policy", "policy.optimizer"}
    other = make(agent_class, seed=1)
    other.set_parameters(parameters)
    moments = other.policy.optimizer.state_dict()["state"]
    assert moments.keys() == parameters["policy.optimizer"]["state"].keys()
    assert all(
        torch.equal(*pair) for pair in zip(weights(other), weights(trained_agent), strict=True)
    )


def test_an_agent_that_gave_its_parameters_to_another_keeps_its_own(agent_class):
    giver, taker = make(agent_class).learn(80), make(agent_class, seed=1)
    taker.set_parameters(giver.get_parameters())
    before = copy.deepcopy(giver.get_parameters())
    taker.learn(80)
    assert_same(giver.get_parameters(), before)


def test_an_optimiser_of_other_networks_is_refused_and_nothing_is_taken(
    agent_class, trained_agent, tmp_path
):
    trained_agent.save(tmp_path / "agent")
    tensors, header = load_tensors(tmp_path / "agent")
    tensors["optimizer.0.exp_avg"] = torch.zeros(1)
    save_tensors(tmp_path / "agent", tensors, header)
    with pytest.raises(AgentFileError, match=r"optimizer.0.exp_avg is float of shape \(1,\)"):
        agent_class.load(tmp_path / "agent")
    agent = make(agent_class, seed=1)
    before = [weight.clone() for weight in weights(agent)]
    with pytest.raises(AgentFileError, match=r"optimizer.0.exp_avg is float of shape \(1,\)"):
        agent.set_parameters(tmp_path / "agent")
    assert all(torch.equal(*pair) for pair in zip(before, weights(agent), strict=True))


@pytest.mark.parametrize("part", ["policy", "policy.optimizer", "moments"])
def test_of_parameters_that_do_not_all_fit_none_are_taken(agent_class, part):
    agent, other = make(agent_class).learn(80), make(agent_class, seed=1).learn(80)
    before = copy.deepcopy(agent.get_parameters())
    parameters = other.get_parameters()
    if part == "policy":
        *_, last = parameters[part]
        parameters[part][last] = torch.zeros(7, 7)
        error: type[Exception] = RuntimeError
    elif part == "policy.optimizer":
        parameters[part]["param_groups"] *= 2
        error = ValueError
    else:
        parameters["policy.optimizer"]["state"][0]["exp_avg"] = torch.zeros(3)
        error = ValueError
    with pytest.raises(error):
        agent.set_parameters(parameters)
    assert_same(agent.get_parameters(), before)


def test_a_tensor_that_does_not_fit_is_named(agent_class, trained_agent, tmp_path):
    trained_agent.save(tmp_path / "agent")
    tensors, header = load_tensors(tmp_path / "agent")
    weight = next(name for name in tensors if name.endswith("mix.0.weight"))
    step = tensors.pop("optimizer.0.step")
    for change, told in (
        ({}, r"optimizer.0.step is missing in what was saved and float of shape \(\) in the agent"),
        ({"optimizer.0.step": step, "x.y": step + 1}, r"x.y is float of shape \(\) in what was"),
        ({"optimizer.0.step": step, weight: tensors[weight].bool()}, f"{weight} is bool of shape"),
    ):
        save_tensors(tmp_path / "agent", tensors | change, header)
        with pytest.raises(AgentFileError, match=f"does not fit: {told}"):
            agent_class.load(tmp_path / "agent")


def test_parameters_without_an_optimiser_begin_it_anew(agent_class, trained_agent, tmp_path):
    trained_agent.save(tmp_path / "half", half=True)
    agent = make(agent_class).learn(100)
    assert agent.policy.optimizer.state
    agent.set_parameters(tmp_path / "half")
    assert not agent.policy.optimizer.state


def test_what_raises_in_the_middle_of_a_step_leaves_no_false_episode(agent_class):
    class Interrupt(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps == 13:
                raise KeyboardInterrupt
            return True

    agent = make(agent_class)
    with pytest.raises(KeyboardInterrupt):
        agent.learn(200, callback=Interrupt())
    agent.learn(100, reset_num_timesteps=False)
    state = agent.replay_buffer.state()
    cells = state["achieved"].reshape(-1, 49).argmax(-1)
    assert_walks(np.split(cells, np.cumsum(state["lengths"] + 1)[:-1]))


def test_a_seed_set_later_is_the_seed_of_all_its_choices(agent_class):
    agent = make(agent_class)
    drawn = []
    for seed in (1, 2, 1):
        agent.set_random_seed(seed)
        actions = agent.rng.integers(0, 99, 5)
        drawn.append((*actions, *agent.replay_buffer.rng.integers(0, 99, 5)))
        drawn[-1] += (int(torch.randint(10**6, (), generator=agent.generator)),)
    assert drawn[0] == drawn[2] != drawn[1]


def test_a_seed_set_later_is_checked_before_anything_is_seeded(agent_class):
    agent = make(agent_class)
    before = random.getstate()
    with pytest.raises(TypeError, match="seed must be an integer from 0 to"):
        agent.set_random_seed(1.5)  # type: ignore[arg-type]
    assert random.getstate() == before
    agent.set_random_seed(np.int64(3))  # type: ignore[arg-type]


def test_a_policy_by_itself_is_not_kept(agent_class, tmp_path):
    policy = make(agent_class).policy
    with pytest.raises(NotImplementedError, match="use the agent's save"):
        policy.save(tmp_path / "policy")
    with pytest.raises(NotImplementedError, match="use the agent's load"):
        type(policy).load(tmp_path / "policy")
    assert not list(tmp_path.iterdir())


def test_numbers_of_numpy_are_taken_and_kept(agent_class, tmp_path):
    agent = make(agent_class, batch_size=np.int64(16), replay_ratio=np.float32(4))
    agent.save(tmp_path / "agent")
    assert agent_class.load(tmp_path / "agent").settings == agent.settings


def test_a_setting_that_there_is_not_is_no_fault_of_the_file(agent_class, trained_agent, tmp_path):
    trained_agent.save(tmp_path / "agent")
    with pytest.raises(TypeError, match="no option 'lerning_rate'; did you mean learning_rate"):
        agent_class.load(tmp_path / "agent", lerning_rate=1e-4)
    with pytest.raises(ValueError, match="learning_rate must be a finite number") as raised:
        agent_class.load(tmp_path / "agent", learning_rate=-1.0)
    assert not isinstance(raised.value, AgentFileError)
    assert agent_class.load(tmp_path / "agent", learning_rate=1e-4).settings.learning_rate == 1e-4


def test_a_replay_that_holds_no_episode_is_refused_at_once(agent_class):
    least = 11 + agent_class.stores_goals
    with pytest.raises(ValueError, match=f"buffer_size must be at least {least}"):
        make(agent_class, buffer_size=least - 1)
    assert make(agent_class, buffer_size=least).buffer_size == least


def test_an_environment_that_cannot_be_made_is_no_fault_of_the_file(
    agent_class, trained_agent, tmp_path
):
    trained_agent.save(tmp_path / "agent")
    with pytest.raises(ValueError, match="cannot be made") as raised:
        agent_class.load(tmp_path / "agent", "glamor/Nowhere-v0")
    assert not isinstance(raised.value, AgentFileError)


def test_plans_wait_for_the_reset_of_a_vector_that_makes_it_in_the_next_step(agent_class):
    agent = make(agent_class, gym.make_vec(GRID, num_envs=2), learning_starts=20)
    begun = []
    begin_episodes = agent._begin_episodes
    agent._begin_episodes = lambda starts: (  # type: ignore[method-assign]
        begun.extend(agent._last_observations["steps_left"][starts, 0].tolist()),
        begin_episodes(starts),
    )
    agent.learn(100)
    assert begun
    assert set(begun) == {10}  # at the first observation of an episode, not the last


@pytest.mark.parametrize("changes", [{"replay_ratio": 8.0}, {"batch_size": 8}, {"replay_ratio": 1}])
def test_another_replay_ratio_counts_from_where_the_agent_is_loaded(
    trained_agents, tmp_path, changes
):
    trained_agents[GlamorAgent].save(tmp_path / "agent")
    agent = GlamorAgent.load(tmp_path / "agent", make_grid(), device="cpu", **changes)
    before, ratio = agent._n_updates, agent.settings.replay_ratio / agent.settings.batch_size
    agent.learn(40, reset_num_timesteps=False)
    assert before + 40 * ratio - 1 <= agent._n_updates <= before + 40 * ratio + 1


def test_an_environment_of_another_horizon_is_no_place_to_go_on_in(agent_class, tmp_path):
    class WithoutClock(gym.ObservationWrapper):
        def __init__(self, horizon):
            super().__init__(make_grid(horizon=horizon))
            self.horizon = horizon
            entries = dict(self.env.observation_space.spaces)
            del entries["steps_left"]
            self.observation_space = gym.spaces.Dict(entries)

        def observation(self, observation):
            return {key: value for key, value in observation.items() if key != "steps_left"}

    make(agent_class, WithoutClock(6)).save(tmp_path / "agent")
    with pytest.raises(
        ValueError, match="env has horizon 12; the agent was trained with horizon 6"
    ):
        agent_class.load(tmp_path / "agent", WithoutClock(12))
    lying = WithoutClock(12)
    lying.horizon = 6
    with pytest.raises(ValueError, match="must end its episodes after 6 steps"):
        make(agent_class, lying).learn(100)


def test_numpy_numbers_of_the_policy_are_kept_in_files(agent_class, tmp_path):
    agent = make(agent_class, policy_kwargs={"embedding_size": np.int64(16)})
    agent.save(tmp_path / "agent")
    assert agent_class.load(tmp_path / "agent").policy_kwargs == {"embedding_size": 16}


class Colours(gym.ObservationWrapper):
    """The grid world in colours, with a goal in grey of the same size, or channels last."""

    def __init__(self, channels_last=False, side=40):
        super().__init__(make_grid())
        self.channels_last, self.side = channels_last, side
        self.shown = set()
        entries = {
            key: gym.spaces.Box(0, 255, self._picture(channels).shape, np.uint8)
            for key, channels in (("observation", 3), ("achieved_goal", 1), ("desired_goal", 1))
        }
        self.observation_space = gym.spaces.Dict(
            {**entries, "steps_left": self.env.observation_space["steps_left"]}
        )

    def _picture(self, channels, seed=0):
        picture = np.random.default_rng(seed).integers(
            1, 256, (channels, self.side, self.side), np.uint8
        )
        return np.moveaxis(picture, 0, -1) if self.channels_last else picture

    def observation(self, observation):
        where = int(observation["observation"] @ np.arange(1, len(observation["observation"]) + 1))
        seen = self._picture(3, where)
        self.shown.add(seen.tobytes())
        return {
            "observation": seen,
            "achieved_goal": self._picture(1, where),
            "desired_goal": self._picture(1, 7),
            "steps_left": observation["steps_left"],
        }


def test_an_argument_that_the_policy_does_not_take_is_told_what_it_does(agent_class):
    with pytest.raises(TypeError, match=r"no option 'net_arch'; known: .*embedding_size"):
        make(agent_class, policy_kwargs={"net_arch": [64]})
    with pytest.raises(TypeError, match="no option 'embeding_size'; did you mean embedding_size"):
        make(agent_class, policy_kwargs={"embeding_size": 64})


def test_what_the_agent_tells_its_policy_is_no_argument_of_the_policy(agent_class):
    for name in make(agent_class)._policy_arguments():
        with pytest.raises(ValueError, match=f"policy_kwargs must not hold '{name}', which the"):
            make(agent_class, policy_kwargs={name: 0.5})


def test_it_learns_from_the_pictures_that_were_shown(agent_class):
    env = Colours()
    kwargs = {"encoder": "tiny", "embedding_size": 16}
    agent = make(agent_class, env, policy_kwargs=kwargs, batch_size=4, replay_ratio=0.2)
    agent.learn(100)
    assert agent._n_updates
    sampled = agent.replay_buffer.sample(50).observation
    assert {row.numpy().tobytes() for row in sampled} <= env.shown


def test_pictures_too_small_to_convolve_may_have_channels_last(agent_class):
    kwargs = {"embedding_size": 16}
    agent = make(agent_class, Colours(channels_last=True, side=7), policy_kwargs=kwargs)
    agent.learn(100)
    assert agent._n_updates


def test_a_limit_that_episodes_do_not_count_on_is_warned_of(agent_class):
    with pytest.warns(UserWarning, match=r"max_episode_steps=4 truncates .* horizon=4 to") as made:
        make(agent_class, make_grid(max_episode_steps=4))
    assert made[0].filename == __file__
    with warnings.catch_warnings(action="error"):
        agent = make(agent_class, make_grid(max_episode_steps=10))
        make(agent_class, make_grid(horizon=4))
        agent.set_env(make_grid())
    with pytest.warns(UserWarning, match="max_episode_steps=4 truncates") as caught:
        agent.set_env(make_grid(max_episode_steps=4))
    assert caught[0].filename == __file__


def test_steps_may_be_written_as_many_do(agent_class):
    agent = make(agent_class).learn(1e2)  # type: ignore[arg-type]
    assert agent.num_timesteps == 100
    assert agent.replay_buffer.size() == len(agent.replay_buffer) > 0
    with pytest.raises(TypeError, match="total_timesteps"):
        agent.learn(10.5)  # type: ignore[arg-type]


def test_a_schedule_is_told_where_schedules_are_set(agent_class):
    with pytest.raises(ValueError, match="lr_schedule sets its schedule"):
        make(agent_class, learning_rate=lambda progress: 1e-3 * progress)


def test_a_misspelt_setting_is_told_the_nearest(agent_class):
    with pytest.raises(TypeError, match="no option 'batchsize'; did you mean batch_size"):
        make(agent_class, batchsize=3)


def test_steps_are_counted_alike_whenever_a_vector_resets(agent_class):
    def dice():
        return gym.make("glamor/Dice-v0")

    counts = []
    for mode in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
        env = SyncVectorEnv([dice, dice], autoreset_mode=mode)
        agent = agent_class(env, learning_starts=1_000, buffer_size=500, seed=0, device="cpu")
        with pytest.warns(UserWarning, match="nothing will be learned"):
            agent.learn(100)
        counts.append((agent.num_timesteps, len(agent.replay_buffer)))
    assert counts == [(100, 100), (100, 100)]


@pytest.mark.parametrize("name", ["learning_rate", "buffer_size", "learning_starts", "batch_size"])
def test_settings_under_sb3s_names_are_read_only(agent_class, name):
    agent = make(agent_class)
    value = getattr(agent, name)
    assert value == getattr(agent.settings, name)
    setattr(agent, name, value)  # as SB3's constructor does
    with pytest.raises(AttributeError, match=f"{name} is fixed at {value}: pass {name} to the"):
        setattr(agent, name, value * 2)
    assert getattr(agent, name) == value


def test_an_environment_is_needed(agent_class):
    with pytest.raises(ValueError, match="env is missing"):
        agent_class(None)


def test_an_agent_that_could_not_learn_yet_says_so(agent_class, trained_agent, tmp_path):
    with pytest.warns(UserWarning, match=r"= 64 steps, and learning ends after 61$"):
        make(agent_class).learn(61)  # the first update comes four steps later
    with pytest.warns(UserWarning, match=r"after 20; \*\*.*\.preset\('small'\) begins sooner"):
        make(agent_class, learning_starts=50_000).learn(20)
    trained_agent.save(tmp_path / "agent")
    loaded = agent_class.load(tmp_path / "agent", make_grid())
    with pytest.warns(UserWarning, match=r"ends after 50 \(reset_num_timesteps=False goes on"):
        loaded.learn(50)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded.learn(30, reset_num_timesteps=False)


def test_environments_that_end_on_one_step_may_make_it_learn(agent_class, recwarn):
    agent = make(agent_class, make_vec_env(GRID, 4, env_kwargs={"goals": "all"}))
    agent.learn(62)  # they take 64 steps, after which the first update falls due
    assert agent._n_updates == 1
    assert not [each for each in recwarn if "nothing will be learned" in str(each.message)]


def test_the_window_of_logged_means_is_kept(agent_class, tmp_path):
    agent = make(agent_class, stats_window_size=3).learn(70)
    assert agent.ep_info_buffer.maxlen == 3
    agent.save(tmp_path / "agent")
    agent.save_checkpoint(tmp_path / "checkpoint")
    loaded = [
        agent_class.load(tmp_path / "agent", make_grid()),
        agent_class.load_checkpoint(tmp_path / "checkpoint", make_grid()),
    ]
    for one in loaded:
        assert one.learn(10, reset_num_timesteps=False).ep_info_buffer.maxlen == 3
    with pytest.raises(ValueError, match="stats_window_size must be an integer ≥ 1, got 0"):
        make(agent_class, stats_window_size=0)


def test_a_run_may_have_no_name(agent_class):
    make(agent_class).learn(70, tb_log_name=None)


def test_callbacks_see_the_observations_that_were_acted_on(agent_class):
    seen = []

    class Looking(BaseCallback):
        def _on_step(self):
            seen.append(self.model._last_obs["steps_left"][0, 0])
            return True

    make(agent_class).learn(70, callback=Looking())
    assert seen[:3] == [10, 9, 8]


def test_observations_that_cannot_be_written_to_are_acted_on_in_silence(trained_agent):
    seen = observations(2)
    for array in seen.values():
        array.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained_agent.predict(seen)


def test_observations_that_stop_being_stacks_are_told(agent_class):
    class Fog(gym.ObservationWrapper):
        """Show the pictures in the first episode, and nothing in later ones."""

        episodes = 0

        def reset(self, **kwargs):
            self.episodes += 1
            return super().reset(**kwargs)

        def observation(self, observation):
            fog = observation["observation"] * (self.episodes == 1)
            return {**observation, "observation": fog}

    env = Fog(gym.make("glamor/Pong-v0", goals="eval", frame_size=(40, 52), horizon=5))
    agent = make(agent_class, env, learning_starts=1_000)
    with pytest.raises(ValueError, match="must be the stack of the last 4 achieved_goal"):
        agent.learn(12)


def test_copies_take_no_more_than_is_stored(agent_class):
    agent = make(agent_class, buffer_size=1_000_000).learn(70)
    assert len(pickle.dumps(agent.replay_buffer)) < 20_000_000  # 392 MB are reserved
    clone = copy.deepcopy(agent.replay_buffer)
    ours, theirs = (replay.state() for replay in (agent.replay_buffer, clone))
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    agent.learn(30, reset_num_timesteps=False)
    assert len(clone) == len(ours["actions"]) - clone.n_trajectories  # it does not share memory


@pytest.mark.parametrize("key", ["observation", "achieved_goal"])
def test_observations_that_are_not_finite_are_told_with_their_episode(agent_class, key):
    class Broken(gym.ObservationWrapper):
        def observation(self, observation):
            value = observation[key].copy()
            value[0] = np.nan if observation["steps_left"][0] == 4 else value[0]
            return {**observation, key: value}

    name = {"observation": "observations", "achieved_goal": "achieved"}[key]
    with pytest.raises(ValueError, match=f"{name} must be finite"):
        make(agent_class, Broken(make_grid()), learning_starts=1_000).learn(20)
