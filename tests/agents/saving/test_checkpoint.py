"""Checkpoints of agents: a run that was interrupted ends as the one that was not."""

from __future__ import annotations

import copy
import json
import warnings
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecCheckNan,
    VecMonitor,
    VecNormalize,
)

from glamor_gym.agents import DiscernAgent, GCSLAgent, GlamorAgent
from glamor_gym.agents.saving.checkpoint_folder import (
    Checkpoint,
    CheckpointError,
    CheckpointFolder,
    Segment,
    StoredFile,
)
from glamor_gym.vector.collector import make_collector
from tests.agents.sameness import assert_same, assert_same_agents
from tests.agents.small_agents import GRID, SMALL, make_grid, stored_from_here

STEPS = 180
SETTINGS = {
    **SMALL,
    "lr_schedule": "cosine",
    "buffer_size": 100,  # the ring turns
    "exploration_persistence": 0.8,
}
KINDS = {
    "glamor": (GlamorAgent, {**SETTINGS, "stay_fraction": 0.1}),
    "gcsl": (
        GCSLAgent,
        {name: SETTINGS[name] for name in SETTINGS if name not in ("gamma", "n_trials")}
        | {"policy_kwargs": {"embedding_size": 32}},
    ),
    "discern": (
        DiscernAgent,
        {name: SETTINGS[name] for name in SETTINGS if name != "n_trials"}
        | {"policy_kwargs": {"embedding_size": 32}, "goal_buffer_size": 5, "n_decoys": 4},
    ),
}


class StopAt(BaseCallback):
    """End the training at a step, as an interruption between two steps would."""

    def __init__(self, step):
        super().__init__()
        self._step = step

    def _on_step(self):
        return self.num_timesteps < self._step


class Rows(KVWriter):
    """Keep what was logged, but the clock."""

    def __init__(self, rows):
        self.rows = rows

    def write(self, key_values, key_excluded, step=0):
        kept = {name: value for name, value in key_values.items() if not name.startswith("time/")}
        self.rows.append((step, kept))


def train(kind, env, folder, stops=(), steps=STEPS):
    """Train to the end, or from stop to stop, each time with an agent out of the checkpoint."""
    agent_class, settings = KINDS[kind]
    rows = []
    agent = agent_class(env(), **settings)
    agent.set_logger(Logger(None, [Rows(rows)]))
    if not stops:
        return agent.learn(steps, log_interval=3), rows
    agent.learn(steps, StopAt(stops[0]), log_interval=3)
    for stop in [*stops[1:], steps]:
        agent.save_checkpoint(folder)
        agent = agent_class.load_checkpoint(folder, env(), device="cpu")
        agent.set_logger(Logger(None, [Rows(rows)]))
        agent.resume(StopAt(stop), log_interval=3)
    return agent, rows


def assert_resumes(kind, env, folder, stops, steps=STEPS):
    whole, rows = train(kind, env, folder, steps=steps)
    parts, rows_of_parts = train(kind, env, folder, stops, steps)
    assert whole._n_updates > 2
    assert_same_agents(whole, parts)
    assert_same(rows, rows_of_parts)


@pytest.mark.parametrize("kind", KINDS)
def test_resumed_equals_uninterrupted(kind, tmp_path):
    # At the first step, within an episode, at its end, amid the training, one step later.
    assert_resumes(kind, make_grid, tmp_path, stops=[1, 37, 50, 121, 122])


def vector(kind, n_envs=3):
    make = partial(gym.make, GRID, goals="all")
    if kind == "dummy":
        return make_vec_env(GRID, n_envs, env_kwargs={"goals": "all"})
    if kind == "subprocess":
        return make_vec_env(GRID, n_envs, env_kwargs={"goals": "all"}, vec_env_cls=SubprocVecEnv)
    if kind == "workers":
        return make_collector(GRID, n_envs, kind="workers", goals="all")
    if kind == "vec monitor":
        return VecMonitor(DummyVecEnv([make] * n_envs))
    mode = AutoresetMode.SAME_STEP if kind == "same step" else AutoresetMode.NEXT_STEP
    make_vector = gym.vector.AsyncVectorEnv if kind == "async" else gym.vector.SyncVectorEnv
    return make_vector([make] * n_envs, autoreset_mode=mode)


@pytest.mark.parametrize("kind", ["dummy", "vec monitor", "same step", "next step"])
def test_vectors(kind, tmp_path):
    # 30, 33: all episodes end, or begin, in this very step.
    assert_resumes("glamor", lambda: vector(kind), tmp_path, stops=[30, 33, 99])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["subprocess", "async", "workers"])
def test_vectors_of_processes(kind, tmp_path):
    assert_resumes("glamor", lambda: vector(kind), tmp_path, stops=[33])


class Walk(gym.Env):
    """A goal environment of somebody else's: no snapshots, random in every step."""

    box = gym.spaces.Box(-9.0, 9.0, (1,), np.float32)
    observation_space = gym.spaces.Dict(
        {"observation": box, "achieved_goal": box, "desired_goal": box}
    )
    action_space = gym.spaces.Discrete(2)
    horizon = 7

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = 0.0, 0
        self.goal = self.np_random.uniform(-3, 3)
        return self.observe(), {}

    def step(self, action):
        self.place = float(np.clip(self.place + action - self.np_random.random(), -9, 9))
        self.steps += 1
        return self.observe(), 0.0, False, self.steps == self.horizon, {}

    def observe(self):
        place, goal = (np.array([value], np.float32) for value in (self.place, self.goal))
        return {"observation": place, "achieved_goal": place.copy(), "desired_goal": goal}


def test_foreign_environment(tmp_path):
    assert_resumes("glamor", Walk, tmp_path, stops=[37, 121])


@pytest.mark.parametrize("kind", ["in-process", "threads"])
def test_pong(kind, tmp_path, monkeypatch):
    settings = {**SETTINGS, "learning_starts": 20, "batch_size": 8, "replay_ratio": 0.5}
    settings |= {"policy_kwargs": {"encoder": "tiny", "embedding_size": 16}, "n_trials": 2}
    monkeypatch.setitem(KINDS, "pong", (GlamorAgent, settings))
    env = partial(make_collector, "Pong", 2, kind=kind, frame_size=(40, 52), horizon=12)
    assert_resumes("pong", env, tmp_path, stops=[31], steps=90)


def test_unwrapped_foreign_vector_begins_new_episodes_aloud(tmp_path):
    from glamor_gym.wrappers import StopAction

    def env():
        return DummyVecEnv([lambda: StopAction(Walk())])

    agent = GlamorAgent(env(), **SETTINGS).learn(70)
    with pytest.warns(UserWarning, match=r"env offers no snapshots \(see .*EpisodeJournal"):
        agent.save_checkpoint(tmp_path)
    with pytest.warns(UserWarning, match="new ones begin"):
        loaded = GlamorAgent.load_checkpoint(tmp_path, env(), device="cpu")
    loaded.learn(10, reset_num_timesteps=False)
    assert loaded.num_timesteps == 80


@pytest.mark.parametrize(
    ("wrap", "name"),
    [
        (lambda: VecCheckNan(VecNormalize(vector("dummy"), norm_obs=False)), "VecNormalize"),
        (lambda: RecordEpisodeStatistics(vector("same step")), "RecordEpisodeStatistics"),
    ],
)
def test_a_wrapper_without_snapshots_is_named(wrap, name, tmp_path):
    agent = GlamorAgent(wrap(), **SETTINGS)
    agent._setup_learn(9)
    with pytest.warns(UserWarning, match=rf"env offers no snapshots \(because of {name}\)"):
        agent.save_checkpoint(tmp_path)


def test_an_error_of_the_environment_is_not_blamed_on_the_checkpoint(tmp_path):
    class Broken(gym.Wrapper):
        def reset(self, **_):
            raise OSError("the simulator is gone")

    GlamorAgent(gym.make("glamor/GridWorld-v0"), **SETTINGS).learn(20).save_checkpoint(tmp_path)
    with pytest.raises(OSError, match="the simulator is gone"):
        GlamorAgent.load_checkpoint(tmp_path, Broken(gym.make("glamor/GridWorld-v0")))


def test_loaded_environments_that_an_evaluation_has_reset_begin_anew(tmp_path):
    GlamorAgent(make_grid(), **SETTINGS).learn(104).save_checkpoint(tmp_path)
    loaded = GlamorAgent.load_checkpoint(tmp_path, make_grid(), device="cpu")
    evaluate_policy(loaded, loaded.get_env(), n_eval_episodes=1)
    stored = stored_from_here(loaded)
    loaded.learn(20, reset_num_timesteps=False)
    assert [(len(cells), cells[0]) for cells in stored] == [(11, 24)] * 2  # from the centre


def test_a_checkpoint_has_no_episodes_that_an_evaluation_has_reset(tmp_path):
    agent = GlamorAgent(make_grid(), **SETTINGS).learn(104)
    evaluate_policy(agent, agent.get_env(), n_eval_episodes=1)
    with pytest.warns(UserWarning, match="env was reset within an episode") as caught:
        agent.save_checkpoint(tmp_path)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="new ones begin") as caught:
        loaded = GlamorAgent.load_checkpoint(tmp_path, make_grid(), device="cpu")
    assert caught[0].filename == __file__
    stored = stored_from_here(loaded)
    loaded.learn(20, reset_num_timesteps=False)
    assert [(len(cells), cells[0]) for cells in stored] == [(11, 24)] * 2


@pytest.mark.filterwarnings("ignore:env offers no snapshots", "ignore:the checkpoint has no epis")
@pytest.mark.parametrize("with_env", [True, False])
def test_goals_that_an_agent_found_outlive_its_episodes(with_env, tmp_path):
    from glamor_gym.wrappers import StopAction

    def env():
        return DummyVecEnv([lambda: StopAction(Walk())])

    agent_class, settings = KINDS["discern"]
    agent = agent_class(env(), **settings).learn(70)
    agent.save_checkpoint(tmp_path)
    loaded = agent_class.load_checkpoint(tmp_path, env() if with_env else None, device="cpu")
    assert len(loaded.replay_buffer.goals) == 5
    assert_same(loaded.replay_buffer.goals.snapshot(), agent.replay_buffer.goals.snapshot())


def test_a_checkpoint_of_another_device_is_told_where_it_is_loaded(agent, tmp_path, monkeypatch):
    agent.save_checkpoint(tmp_path)
    read_state = CheckpointFolder.read_state

    def from_a_gpu(folder, checkpoint):
        snapshot = read_state(folder, checkpoint)
        snapshot["agent_random"]["device"] = "cuda"
        return snapshot

    monkeypatch.setattr(CheckpointFolder, "read_state", from_a_gpu)
    with pytest.warns(UserWarning, match="written on cuda, the agent is on cpu") as caught:
        GlamorAgent.load_checkpoint(tmp_path, device="cpu")
    assert caught[0].filename == __file__


def test_episodes_that_no_environment_was_given_for_are_left_aloud(agent, tmp_path):
    agent.save_checkpoint(tmp_path)
    loaded = GlamorAgent.load_checkpoint(tmp_path, device="cpu")
    with pytest.warns(UserWarning, match="pass env to load_checkpoint"):
        loaded.set_env(make_grid())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded.set_env(make_grid())


# ------------------------------------------------------------------------- what is on the disk


@pytest.fixture
def agent():
    agent = GlamorAgent(make_grid(), **SMALL)
    agent.set_logger(Logger(None, []))  # one of its own would be new at each call of learn
    return agent.learn(100)


def goes_on(agent, steps=30):
    return agent.learn(steps, reset_num_timesteps=False)


def load(folder):
    agent = GlamorAgent.load_checkpoint(folder, make_grid(), device="cpu")
    agent.set_logger(Logger(None, []))
    return agent


def test_frames_are_written_once(agent, tmp_path):
    agent.save_checkpoint(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("segment-*")}
    goes_on(agent).save_checkpoint(tmp_path)
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("segment-*")}
    assert before.items() <= after.items()
    assert len(after) == len(before) + 1
    assert_same_agents(load(tmp_path), agent)


def test_two_checkpoints_are_kept_and_no_dead_frames(tmp_path):
    agent = GlamorAgent(make_grid(), **SETTINGS)  # the ring has room for 100 moments
    for _ in range(8):
        goes_on(agent, 40).save_checkpoint(tmp_path)
    assert len(list(tmp_path.glob("checkpoint-*"))) == len(list(tmp_path.glob("state-*"))) == 2
    assert len(list(tmp_path.glob("segment-*"))) <= 5
    assert_same_agents(load(tmp_path), agent)


@pytest.mark.parametrize("victim", ["checkpoint-*", "state-*", "segment-*"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(agent, tmp_path, victim, damage):
    agent.save_checkpoint(tmp_path)
    sound = load(tmp_path)
    goes_on(agent).save_checkpoint(tmp_path)
    path = max(tmp_path.glob(victim))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content if damage == "flip" else content[:-7])
    if victim == "checkpoint-*" and damage == "gone":
        loaded = load(tmp_path)  # as if it had never been finished
    else:
        with pytest.warns(UserWarning, match=r"damaged checkpoint .* of step 100"):
            loaded = load(tmp_path)
    assert_same_agents(loaded, sound)
    goes_on(loaded).save_checkpoint(tmp_path)
    assert_same_agents(load(tmp_path), agent)  # which took the same steps
    assert len(list(tmp_path.glob("checkpoint-*"))) == 2


def test_an_intact_checkpoint_is_loaded_without_a_warning(agent, tmp_path):
    agent.save_checkpoint(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(tmp_path)


def test_a_manifest_cannot_name_a_file_elsewhere(agent, tmp_path):
    folder = tmp_path / "checkpoint"
    agent.save_checkpoint(folder)
    (manifest,) = folder.glob("checkpoint-*.json")
    (state,) = folder.glob("state-*")
    state.rename(tmp_path / state.name)
    content = json.loads(manifest.read_text())
    content["state"]["name"] = f"../{state.name}"
    # Its digest is right, too, as that of a forger would be.
    files = {**content, "state": StoredFile(**content["state"])}
    files["segments"] = tuple(
        Segment(**{**entry, "file": StoredFile(**entry["file"])}) for entry in content["segments"]
    )
    parts = ("number", "step", "state", "segments", "runs_written")
    content["sha256"] = Checkpoint(*(files[name] for name in parts)).digest
    manifest.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"'\.\./state-.*' is not a valid name of a checkp"):
        load(folder)


def test_all_damaged(agent, tmp_path):
    agent.save_checkpoint(tmp_path)
    for path in tmp_path.glob("state-*"):
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"no intact checkpoint .* has 0 bytes instead of"):
        load(tmp_path)


def test_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no checkpoint$"):
        load(tmp_path / "nowhere")


def test_a_full_disk_leaves_the_checkpoint_that_was_there(agent, tmp_path, monkeypatch):
    agent.save_checkpoint(tmp_path)
    before = sorted(tmp_path.iterdir())
    sound = load(tmp_path)
    goes_on(agent)
    written, limit = [], 0
    put = CheckpointFolder._put

    def put_until_full(self, name, content):
        written.append(name)
        if len(written) == limit:
            raise OSError(28, "No space left on device")
        return put(self, name, content)

    monkeypatch.setattr(CheckpointFolder, "_put", put_until_full)
    for limit in (1, 2, 3):  # noqa: B007 (the patched method looks at it)
        written.clear()
        with pytest.raises(OSError, match="No space left"):
            agent.save_checkpoint(tmp_path)
        assert sorted(tmp_path.iterdir()) == before
    assert_same_agents(load(tmp_path), sound)
    limit = 0
    agent.save_checkpoint(tmp_path)
    assert_same_agents(load(tmp_path), agent)


def test_a_folder_to_which_no_link_ever_leads_is_refused(agent, tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(OSError, match=r"loop'$"):
        agent.save_checkpoint(tmp_path / "loop")


def test_what_an_interrupted_write_left_is_removed(agent, tmp_path):
    agent.save_checkpoint(tmp_path)
    for name in ("state-000001.safetensors", ".state-000001.safetensors.k3x", "notes.txt"):
        (tmp_path / name).write_bytes(b"half")
    agent.save_checkpoint(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert "notes.txt" in names
    assert ".state-000001.safetensors.k3x" not in names
    assert_same_agents(load(tmp_path), agent)


def test_another_agent_does_not_write_over_checkpoints(agent, tmp_path):
    agent.save_checkpoint(tmp_path)
    with pytest.raises(ValueError, match="holds checkpoints of another run"):
        GlamorAgent(make_grid(), **SMALL).save_checkpoint(tmp_path)
    older = load(tmp_path)
    goes_on(agent).save_checkpoint(tmp_path)
    older.save_checkpoint(tmp_path)  # its own are still there
    with pytest.raises(ValueError, match="another state of this one"):
        agent.save_checkpoint(tmp_path) or older.save_checkpoint(tmp_path)


def test_a_loaded_agent_can_write_elsewhere(agent, tmp_path):
    agent.save_checkpoint(tmp_path / "here")
    load(tmp_path / "here").save_checkpoint(tmp_path / "there")
    assert_same_agents(load(tmp_path / "there"), agent)


def test_nan_weights_are_not_written(agent, tmp_path):
    agent.save_checkpoint(tmp_path)
    with torch.no_grad():
        next(agent.policy.parameters())[0] = torch.nan
    with pytest.raises(FloatingPointError, match=r"policy\..* is not finite at update"):
        agent.save_checkpoint(tmp_path)
    assert torch.isfinite(next(load(tmp_path).policy.parameters())).all()


def test_another_kind_of_agent(agent, tmp_path):
    agent.save_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="holds a GlamorAgent, not a GCSLAgent"):
        GCSLAgent.load_checkpoint(tmp_path)


def test_another_number_of_environments(agent, tmp_path):
    agent.save_checkpoint(tmp_path)
    with pytest.raises(ValueError, match="env has 3 environments, the checkpoint 1"):
        GlamorAgent.load_checkpoint(tmp_path, vector("dummy"))


def test_without_an_environment_it_predicts(agent, tmp_path):
    agent.save_checkpoint(tmp_path)
    loaded = GlamorAgent.load_checkpoint(tmp_path)
    observation, _ = make_grid().reset(seed=0)
    assert (
        loaded.predict(observation, deterministic=True)[0]
        == agent.predict(observation, deterministic=True)[0]
    )


def test_settings_can_be_changed_on_the_way(agent, tmp_path):
    agent.save_checkpoint(tmp_path)
    loaded = GlamorAgent.load_checkpoint(tmp_path, make_grid(), learning_rate=1e-5, device="cpu")
    goes_on(loaded)
    assert loaded.policy.optimizer.param_groups[0]["lr"] == 1e-5


def test_a_wrong_argument_is_not_blamed_on_the_folder(agent, tmp_path):
    agent.save_checkpoint(tmp_path)
    with pytest.raises(TypeError, match="policy_kwargs must be a dict"):
        GlamorAgent.load_checkpoint(tmp_path, policy_kwargs=3)


def test_networks_other_than_the_saved_are_not_blamed_on_the_folder(agent, tmp_path):
    agent.save_checkpoint(tmp_path)
    with pytest.raises(ValueError, match="policy_kwargs must build the saved networks"):
        GlamorAgent.load_checkpoint(tmp_path, policy_kwargs={"embedding_size": 16})


def test_a_smaller_replay_than_the_saved_is_told_its_size(agent, tmp_path):
    agent.save_checkpoint(tmp_path)
    with pytest.raises(ValueError, match=r"capacity \(an agent's buffer_size\) must be at least"):
        GlamorAgent.load_checkpoint(tmp_path, buffer_size=20)


def test_another_seed_makes_another_continuation(agent, tmp_path):
    agent.save_checkpoint(tmp_path)
    ends = {}
    for seed in (7, 8, 7):
        loaded = GlamorAgent.load_checkpoint(tmp_path, make_grid(), seed=seed)
        loaded.learn(60, reset_num_timesteps=False)
        ends.setdefault(seed, []).append(loaded)
    assert_same_agents(*ends[7])
    actions = [one.replay_buffer.state()["actions"] for one in (ends[7][0], ends[8][0])]
    assert not np.array_equal(*actions)


def test_the_generator_of_the_action_space_and_the_window_of_means_go_on(tmp_path):
    agent = GlamorAgent(make_grid(), **SMALL, stats_window_size=3).learn(70)
    agent.action_space.sample()
    agent.save_checkpoint(tmp_path)
    loaded = load(tmp_path)
    drawn, drawn_again = ([one.action_space.sample() for _ in range(20)] for one in (agent, loaded))
    assert drawn == drawn_again
    assert loaded.ep_info_buffer.maxlen == loaded.ep_success_buffer.maxlen == 3


def test_within_a_step_no_checkpoint_is_written(tmp_path):
    class Saving(BaseCallback):
        def _on_step(self):
            with pytest.raises(RuntimeError, match="use CheckpointCallback"):
                self.model.save_checkpoint(tmp_path)
            return True

    GlamorAgent(make_grid(), **SETTINGS).learn(70, callback=Saving())
    assert not list(tmp_path.iterdir())


def test_nothing_left_to_resume(agent):
    before = copy.deepcopy(agent)
    assert agent.resume() is agent
    assert_same_agents(agent, before)


def test_an_agent_that_has_not_begun_has_nothing_to_resume():
    fresh = GlamorAgent(make_grid(), device="cpu", policy_kwargs={"embedding_size": 8})
    with pytest.raises(ValueError, match="nothing to resume: call learn"):
        fresh.resume()


def test_the_folder_above_is_told_where_the_checkpoints_are(agent, tmp_path):
    agent.save_checkpoint(tmp_path / "checkpoint")
    with pytest.raises(FileNotFoundError, match=f"holds no checkpoint; {tmp_path}/checkpoint does"):
        GlamorAgent.load_checkpoint(tmp_path)


def test_before_the_first_picture_episode_ends_it_goes_on_alike(tmp_path):
    settings = {
        "policy_kwargs": {"encoder": "tiny", "embedding_size": 16},
        "batch_size": 4,
        "replay_ratio": 0.2,
        "learning_starts": 20,
        "buffer_size": 1000,
        "device": "cpu",
        "seed": 0,
    }
    agent = GlamorAgent("glamor/Pong-v0", **settings).learn(30)
    agent.save_checkpoint(tmp_path)
    assert agent.replay_buffer.wants_observations  # whether they are stacks is not known yet
    rest = GlamorAgent.load_checkpoint(tmp_path, "glamor/Pong-v0", device="cpu")
    for each in (agent, rest):
        each.learn(60, reset_num_timesteps=False)
        assert not each.replay_buffer.wants_observations
    assert_same_agents(agent, rest)
