"""Hindsight replay for SB3: a trajectory worked out by hand, and SB3's own replay beside it."""

from __future__ import annotations

import pickle
from collections import Counter
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import FilterObservation
from stable_baselines3 import DQN, HerReplayBuffer
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

import glamor_gym  # noqa: F401  (registers the environments)
from glamor_gym.replay import HindsightFrameBuffer

STOP = 2
GOAL = 9
PICTURES = spaces.Dict(
    observation=spaces.Box(0, 255, (2, 3, 4), np.uint8),
    achieved_goal=spaces.Box(0, 255, (1, 3, 4), np.uint8),
    desired_goal=spaces.Box(0, 255, (1, 3, 4), np.uint8),
    steps_left=spaces.Box(0, 10, (1,), np.float32),
)


def picture(value: int) -> np.ndarray:
    return np.full((1, 3, 4), value, np.uint8)


def moment(newest: int, before: int, steps_left: int, goal: int = GOAL) -> dict[str, np.ndarray]:
    return {
        "observation": np.concatenate((picture(before), picture(newest)))[None],
        "achieved_goal": picture(newest)[None],
        "desired_goal": picture(goal)[None],
        "steps_left": np.full((1, 1), steps_left, np.float32),
    }


def make_buffer(**kwargs) -> HindsightFrameBuffer:
    arguments = {"n_sampled_goal": 4, "seed": 0, "device": "cpu", **kwargs}
    capacity = arguments.pop("capacity", 100)
    return HindsightFrameBuffer(capacity, PICTURES, spaces.Discrete(3), **arguments)


def play(buffer, frames, actions, *, ends="truncated", goal=GOAL, horizon=10) -> None:
    """Feed an episode whose frames are uniform pictures of the given values."""
    stopped = actions[-1] == STOP
    shown = [*frames, frames[-1]] if stopped else frames
    moments = [
        moment(value, shown[index - 1] if index else 0, horizon - index, goal)
        for index, value in enumerate(shown)
    ]
    if stopped:  # the world was left as it was: its stack is the one before
        moments[-1] = {**moments[-2], "steps_left": moments[-1]["steps_left"]}
    for index, action in enumerate(actions):
        last = index == len(actions) - 1
        after = moments[index + 1]
        info = {"stopped": stopped and last}
        if last:
            info["TimeLimit.truncated"] = ends == "truncated"
        paid = float((after["achieved_goal"] == after["desired_goal"]).all())
        buffer.add(moments[index], after, np.array([action]), np.array([paid]), [last], [info])


def drawn(buffer, n=4000) -> Counter:
    """Return how often each transition came: values of frames, goal, action, and the rest."""
    batch = buffer.sample(n)
    first, after = batch.observations, batch.next_observations
    columns = [
        first["observation"][:, 0, 0, 0],
        first["observation"][:, 1, 0, 0],
        after["observation"][:, 0, 0, 0],
        after["observation"][:, 1, 0, 0],
        first["desired_goal"][:, 0, 0, 0],
        batch.actions[:, 0],
        first["steps_left"][:, 0],
        after["steps_left"][:, 0],
        batch.rewards[:, 0],
        batch.dones[:, 0],
    ]
    assert (first["desired_goal"] == after["desired_goal"]).all()
    assert (first["achieved_goal"][:, 0] == first["observation"][:, 1]).all()
    return Counter(zip(*(column.tolist() for column in columns), strict=True))


# frames 1 → 2 → 3, then STOP. Columns: stack, next stack, goal, action, steps left twice, reward,
# done.
REAL = {
    (0, 1, 1, 2, 9, 0, 10, 9, 0, 0),
    (1, 2, 2, 3, 9, 1, 9, 8, 0, 0),
    (2, 3, 2, 3, 9, 2, 8, 7, 0, 1),
}
RELABELLED = {
    (0, 1, 1, 2, 2, 0, 10, 9, 1, 0),  # goal 2: reached at once
    (0, 1, 1, 2, 3, 0, 10, 9, 0, 0),  # goal 3: later, twice as often (before and after STOP)
    (1, 2, 2, 3, 3, 1, 9, 8, 1, 0),
    (2, 3, 2, 3, 3, 2, 8, 7, 1, 1),  # STOP at the goal: paid, and the end
}


def test_an_episode_that_stops_comes_out_as_worked_out_by_hand():
    buffer = make_buffer()
    play(buffer, [1, 2, 3], [0, 1, STOP], ends="terminated")
    counts = drawn(buffer)
    assert set(counts) == REAL | RELABELLED
    assert sum(counts[row] for row in REAL) == 800
    # A third of the relabelled ones starts at frame 1; a third of those has goal 2.
    assert counts[(0, 1, 1, 2, 2, 0, 10, 9, 1, 0)] / 3200 == pytest.approx(1 / 9, abs=0.02)
    assert counts[(0, 1, 1, 2, 3, 0, 10, 9, 0, 0)] / 3200 == pytest.approx(2 / 9, abs=0.02)


def test_a_stop_that_takes_no_time_and_pays_nothing_is_an_end_like_any():
    """Such is that of a :class:`StopAction` around an environment with a clock of its own."""
    buffer = make_buffer(n_sampled_goal=1)
    start, there = moment(1, 0, 10), moment(GOAL, 1, 9)
    buffer.add(start, there, np.array([0]), np.array([1.0]), [False], [{}])
    buffer.add(there, there, np.array([STOP]), np.array([0.0]), [True], [{"stopped": True}])
    paid_and_done = {(row[5], *row[-2:]) for row in drawn(buffer)}
    assert paid_and_done == {(0, 1, 0), (STOP, 1, 1)}


@pytest.mark.parametrize(("handled", "done"), [(True, 0.0), (False, 1.0)])
def test_the_time_limit_is_an_end_only_where_it_is_asked_to_be(handled, done):
    buffer = make_buffer(handle_timeout_termination=handled)
    play(buffer, [1, 2, 3], [0, 1], ends="truncated")
    dones = {row[-1] for row in drawn(buffer) if row[3] == 3}
    assert dones == {done}
    assert {row[-1] for row in drawn(buffer) if row[3] == 2} == {0.0}


def test_a_world_that_ends_is_an_end_for_every_goal():
    buffer = make_buffer()
    play(buffer, [1, 2, 3], [0, 1], ends="terminated")
    assert {row[-1] for row in drawn(buffer) if row[3] == 3} == {1.0}


def test_only_whole_episodes_are_drawn_and_old_ones_go():
    buffer = make_buffer(capacity=12)  # two episodes of three frames and a goal, and a rest
    with pytest.raises(ValueError, match="no episode has ended"):
        buffer.sample(2)
    for value in range(10, 90, 10):
        play(buffer, [value, value + 1, value + 2], [0, 1])
        newest = {row[1] // 10 * 10 for row in drawn(buffer, 300)}
        assert newest <= {value, value - 10, value - 20}
        assert value in newest
        assert buffer.size() <= 6


def test_a_reset_without_an_end_begins_anew():
    buffer = make_buffer()
    obs, after = moment(1, 0, 10), moment(2, 1, 9)
    buffer.add(obs, after, np.array([0]), np.array([0.0]), [False], [{}])
    play(buffer, [5, 6], [0])
    assert buffer.size() == 1
    assert {row[1] for row in drawn(buffer, 50)} == {5}


def test_a_reset_drops_episodes_in_progress_too():
    buffer, none = make_buffer(), (np.array([0]), np.array([0.0]))
    moments = [moment(1, 0, 10), moment(2, 1, 9), moment(3, 2, 8), moment(4, 3, 7, 5)]
    buffer.add(*moments[:2], *none, [False], [{}])
    buffer.reset()
    buffer.add(*moments[1:3], *none, [True], [{"TimeLimit.truncated": True}])
    assert buffer.size() == 1
    buffer.add(*moments[2:], *none, [False], [{}])
    buffer.reset()
    buffer.add(*moments[2:], *none, [False], [{}])  # its goal may change anew


def test_moments_in_the_arrays_of_the_ones_before_are_told_apart():
    buffer, one, two = make_buffer(), moment(1, 0, 10), moment(2, 1, 9)
    buffer.add(one, two, np.array([0]), np.array([0.0]), [False], [{}])
    for shown, now in ((one, moment(2, 1, 9)), (two, moment(3, 2, 8))):
        for key, value in now.items():
            shown[key][:] = value
    buffer.add(one, two, np.array([1]), np.array([0.0]), [True], [{}])
    assert {row[:4] for row in drawn(buffer, 50)} == {(0, 1, 1, 2), (1, 2, 2, 3)}


def test_a_pickle_holds_what_is_in_use_and_no_more():
    buffer = make_buffer(capacity=1_000_000)
    for value in range(0, 60, 3):
        play(buffer, [value, value + 1, value + 2], [0, 1, STOP], ends="terminated")
    data = pickle.dumps(buffer)
    assert len(data) < 100_000
    assert drawn(pickle.loads(data)) == drawn(buffer)


def test_what_it_cannot_relabel_truly_is_refused():
    buffer = make_buffer()
    obs, after = moment(1, 0, 10), moment(2, 1, 9)
    with pytest.raises(ValueError, match=r"other rewards: .* cannot be relabelled"):
        buffer.add(obs, after, np.array([0]), np.array([1.0]), [True], [{}])
    # At the beginning of an episode, somebody may have reset the environment; then nobody has.
    other = moment(2, 1, 9, goal=3)
    buffer.add(obs, other, np.array([0]), np.array([0.0]), [False], [{}])
    with pytest.raises(ValueError, match="desired_goal"):
        buffer.add(other, moment(3, 2, 8), np.array([0]), np.array([0.0]), [False], [{}])
    as_paid = make_buffer(n_sampled_goal=0)
    as_paid.add(obs, after, np.array([0]), np.array([0.5]), [True], [{}])
    assert as_paid.sample(5).rewards.unique().tolist() == [0.5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimize_memory_usage": True}, "optimize_memory_usage"),
        ({"n_sampled_goal": -1}, "n_sampled_goal"),
        ({"capacity": 1}, "buffer_size"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_arguments_are_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        make_buffer(**changes)
    with pytest.raises(TypeError, match="no option 'goal_selection_strategy'; known: device"):
        make_buffer(goal_selection_strategy="future")
    with pytest.raises(ValueError, match="observation_space"):
        HindsightFrameBuffer(10, PICTURES["observation"], spaces.Discrete(3))
    with pytest.raises(ValueError, match="action_space"):
        HindsightFrameBuffer(10, PICTURES, spaces.Box(0, 1))


def test_a_step_of_full_size_takes_less_than_9_kb():
    box = {"low": 0, "high": 255, "dtype": np.uint8}
    space = spaces.Dict(
        observation=spaces.Box(shape=(4, 80, 104), **box),
        achieved_goal=spaces.Box(shape=(1, 80, 104), **box),
        desired_goal=spaces.Box(shape=(1, 80, 104), **box),
        steps_left=spaces.Box(0, 50, (1,), np.float32),
    )
    buffer = HindsightFrameBuffer(1_000_000, space, spaces.Discrete(7), seed=0)
    empty = len(pickle.dumps(buffer))
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (51, 1, 1, 80, 104), np.uint8)
    goal = rng.integers(0, 256, (1, 1, 80, 104), np.uint8)
    stacked = np.concatenate((np.zeros((3, *frames.shape[1:]), np.uint8), frames))
    for t in range(50):
        before, after = (
            {
                "observation": stacked[now : now + 4, 0].swapaxes(0, 1),
                "achieved_goal": frames[now],
                "desired_goal": goal,
                "steps_left": np.full((1, 1), 50 - now, np.float32),
            }
            for now in (t, t + 1)
        )
        done = t == 49
        info = {"TimeLimit.truncated": done}
        buffer.add(before, after, np.array([1]), np.array([0.0]), [done], [info])
    assert 80 * 104 < (len(pickle.dumps(buffer)) - empty) / 50 < 9_000  # only what is in use
    batch = buffer.sample(200)
    steps = 50 - batch.observations["steps_left"][:, 0].numpy().astype(int)
    for row, step in enumerate(steps):
        assert (
            batch.observations["observation"][row].numpy() == stacked[step : step + 4, 0, 0]
        ).all()


def test_it_draws_what_sb3s_own_replay_draws_from_the_same_steps():
    env = make_vec_env("glamor/GridWorld-v0", 3, seed=0)
    arguments = (2_000, env.observation_space, env.action_space)
    theirs = HerReplayBuffer(*arguments, env=env, device="cpu", n_envs=3, copy_info_dict=True)
    ours = HindsightFrameBuffer(*arguments, device="cpu", n_envs=3, seed=0)
    rng = np.random.default_rng(0)
    obs = env.reset()
    for _ in range(300):
        action = rng.integers(0, 5, 3) if rng.random() < 0.5 else rng.integers(0, 4, 3)
        new_obs, reward, done, infos = env.step(action)
        after = {key: value.copy() for key, value in new_obs.items()}
        for index in np.flatnonzero(done):
            for key in after:
                after[key][index] = infos[index]["terminal_observation"][key]
        for buffer in (theirs, ours):
            buffer.add(obs, after, action, reward, done, infos)
        obs = new_obs
    assert ours.size() == (theirs.ep_length > 0).sum()
    np.random.seed(0)  # noqa: NPY002 (what SB3 draws from)
    summaries = [_summary(buffer.sample(20_000)) for buffer in (theirs, ours)]
    assert set(summaries[0]) == set(summaries[1])
    for key, share in summaries[0].items():
        assert summaries[1][key] == pytest.approx(share, abs=0.012), key


def _summary(batch) -> dict[str, float]:
    """Return shares that tell how transitions are spread over steps, goals, rewards and ends."""
    cell, after, goal = (
        part.argmax(dim=1)
        for part in (
            batch.observations["achieved_goal"],
            batch.next_observations["achieved_goal"],
            batch.observations["desired_goal"],
        )
    )
    left = batch.observations["steps_left"][:, 0]
    assert (batch.next_observations["steps_left"][:, 0] == left - 1).all()
    assert (batch.rewards[:, 0] == (after == goal)).all()
    assert (batch.dones[:, 0] == (batch.actions[:, 0] == 4)).all()
    shares = {"reward": batch.rewards.mean().item(), "done": batch.dones.mean().item()}
    shares |= {f"left {k}": (left == k).float().mean().item() for k in range(1, 11)}
    shares |= {f"cell {k}": (cell == k).float().mean().item() for k in range(0, 49, 7)}
    shares |= {f"goal {k}": (goal == k).float().mean().item() for k in range(0, 49, 7)}
    return shares


@pytest.mark.parametrize("n_envs", [1, 3])
def test_dqn_trains_with_it_and_the_same_seed_gives_the_same_agent(n_envs):
    def train() -> DQN:
        env = make_vec_env("glamor/GridWorld-v0", n_envs, seed=0)
        agent = DQN(
            "MultiInputPolicy",
            env,
            buffer_size=1_000,
            learning_starts=100,
            replay_buffer_class=HindsightFrameBuffer,
            replay_buffer_kwargs={"n_sampled_goal": 4},
            policy_kwargs={"net_arch": [16]},
            seed=0,
            device="cpu",
        )
        return agent.learn(300)

    one, two = (train().policy.state_dict() for _ in range(2))
    assert all((one[name] == two[name]).all() for name in one)


def test_without_a_seed_it_draws_what_the_global_generator_says():
    buffer = make_buffer(seed=None)
    play(buffer, [1, 2, 3, 4, 5], [0, 1, 2, 0])
    drawn = []
    for seed in (5, 5, 6):
        np.random.seed(seed)  # noqa: NPY002 (as `set_random_seed` of an algorithm does)
        drawn.append(buffer.sample(32).actions.flatten().tolist())
    assert drawn[0] == drawn[1] != drawn[2]


def test_sb3_saves_and_loads_it(tmp_path):
    def make() -> DQN:
        return DQN(
            "MultiInputPolicy",
            gym.make("glamor/GridWorld-v0"),
            buffer_size=1_000,
            replay_buffer_class=HindsightFrameBuffer,
            device="cpu",
        )

    agent = make().learn(90)
    agent.save_replay_buffer(tmp_path / "replay")
    other = make()
    other.load_replay_buffer(tmp_path / "replay")
    assert other.replay_buffer.size() == agent.replay_buffer.size() > 0
    other.learn(120)


def test_a_step_that_only_began_an_episode_is_left_out():
    """So ends the episode of a worker that failed."""
    buffer = make_buffer()
    first, second = moment(1, 0, 10), moment(GOAL, 1, 9)
    buffer.add(first, second, np.array([0]), np.array([1.0]), [False], [{}])
    fault = {"reset_step": True, "TimeLimit.truncated": True}
    # The goal is shown again, and nothing was paid for it: no step was taken.
    buffer.add(second, second, np.array([1]), np.array([0.0]), [True], [fault])
    assert buffer.size() == 0
    play(buffer, [1, 2, 3], [0, 1])
    assert buffer.size() == 2


def test_an_environment_that_an_evaluation_has_reset_begins_anew():
    env = make_vec_env("glamor/GridWorld-v0", 1, env_kwargs={"goals": "all"}, seed=0)
    agent = DQN(
        "MultiInputPolicy",
        env,
        replay_buffer_class=HindsightFrameBuffer,
        learning_starts=1_000,
        buffer_size=1_000,
        seed=0,
        device="cpu",
    ).learn(205)
    evaluate_policy(agent, env, n_eval_episodes=3)
    agent.learn(200, reset_num_timesteps=False)
    batch = agent.replay_buffer.sample(1_000)
    before, after = (
        np.divmod(moments["achieved_goal"].reshape(-1, 49).argmax(-1).numpy(), 7)
        for moments in (batch.observations, batch.next_observations)
    )
    assert (np.abs(before[0] - after[0]) + np.abs(before[1] - after[1]) <= 1).all()
    assert agent.replay_buffer.size() > 350


@pytest.mark.parametrize("eval_freq", [1, 3])
def test_an_environment_may_be_evaluated_several_times_an_episode(eval_freq):
    env = make_vec_env("glamor/GridWorld-v0", seed=0)
    agent = DQN(
        "MultiInputPolicy",
        env,
        replay_buffer_class=HindsightFrameBuffer,
        learning_starts=1_000,
        seed=0,
        device="cpu",
    )
    agent.learn(20, callback=EvalCallback(env, None, None, 1, eval_freq, verbose=0))
    assert agent.num_timesteps == 20


def test_a_vector_that_stacks_goals_or_clocks_is_named():
    with pytest.raises(ValueError, match=r"steps_left of shape \(1,\).*VecFrameStack"):
        make_stacking(gym.make("glamor/GridWorld-v0"))
    keys = ["observation", "achieved_goal", "desired_goal"]
    agent = make_stacking(FilterObservation(gym.make("glamor/GridWorld-v0"), keys))
    with pytest.raises(ValueError, match=r"desired_goal must stay the same .*VecFrameStack"):
        agent.learn(50)


def make_stacking(env):
    stacking = VecFrameStack(DummyVecEnv([lambda: env]), 3)
    return DQN(
        "MultiInputPolicy",
        stacking,
        replay_buffer_class=HindsightFrameBuffer,
        buffer_size=100,
        seed=0,
        device="cpu",
    )


def test_an_episode_whose_beginning_was_not_seen_is_left_out_to_its_end():
    buffer = make_buffer()
    none = (np.array([0]), np.array([0.0]))
    buffer.add(moment(1, 0, 10), moment(2, 1, 9), *none, [False], [{}])
    buffer.add(moment(2, 1, 9), moment(5, 4, 6), *none, [False], [{}])  # of another episode
    buffer.add(moment(5, 4, 6), moment(6, 5, 5), *none, [True], [{"TimeLimit.truncated": True}])
    assert buffer.size() == 0
    play(buffer, [1, 2, 3], [0, 1])
    assert buffer.size() == 2


def test_a_step_after_which_as_many_are_left_is_of_another_episode():
    buffer = make_buffer()
    none = (np.array([0]), np.array([0.0]))
    buffer.add(moment(1, 0, 10), moment(2, 1, 9), *none, [False], [{}])
    # Somebody has reset the environment and taken one step in it, as was done before.
    buffer.add(moment(2, 1, 9), moment(5, 4, 9), *none, [False], [{}])
    buffer.add(moment(5, 4, 9), moment(6, 5, 8), *none, [True], [{"TimeLimit.truncated": True}])
    assert buffer.size() == 0


@pytest.mark.parametrize("has_clock", [True, False])
def test_a_step_to_another_goal_is_of_another_episode(has_clock):
    buffer = make_buffer()
    none = (np.array([0]), np.array([0.0]))
    moments = [moment(1, 0, 10), moment(2, 1, 9), moment(5, 4, 8, 3), moment(6, 5, 7, 3)]
    if not has_clock:
        space = {key: box for key, box in PICTURES.items() if key != "steps_left"}
        buffer = HindsightFrameBuffer(100, spaces.Dict(space), spaces.Discrete(3), device="cpu")
        moments = [{key: each[key] for key in space} for each in moments]
    buffer.add(*moments[:2], *none, [False], [{}])
    # Somebody has left the environment in another episode with as many steps left.
    buffer.add(*moments[1:3], *none, [False], [{}])
    buffer.add(*moments[2:], *none, [True], [{"TimeLimit.truncated": True}])
    assert buffer.size() == 0
    buffer.add(*moments[:2], *none, [True], [{"TimeLimit.truncated": True}])
    assert buffer.size() == 1
    buffer.add(*moments[:2], *none, [False], [{}])
    buffer.add(*moments[1:3], *none, [False], [{}])
    # A worker is replaced; its next episode is left once more.
    buffer.add(*moments[2:], *none, [True], [{"reset_step": True}])
    buffer.add(*moments[:2], *none, [False], [{}])
    buffer.add(*moments[1:3], *none, [False], [{}])
    with pytest.raises(ValueError, match="desired_goal must stay the same"):
        buffer.add(
            moments[2], {**moments[3], "desired_goal": picture(4)[None]}, *none, [False], [{}]
        )


def test_after_a_reset_that_the_clock_tells_of_there_may_be_another_goal_again():
    buffer = make_buffer()
    none = (np.array([0]), np.array([0.0]))
    # Somebody leaves the environment in another episode: with as many steps left, with more, and
    # with as many once more.
    moments = [moment(1, 0, 8), moment(2, 1, 7, 3), moment(3, 2, 9, 3), moment(4, 3, 8, 5)]
    for before, after in pairwise(moments):
        buffer.add(before, after, *none, [False], [{}])
    with pytest.raises(ValueError, match="desired_goal must stay the same"):
        buffer.add(moments[-1], moment(5, 4, 7, 6), *none, [False], [{}])


def test_a_clock_that_counts_in_fractions_tells_of_no_reset():
    buffer = make_buffer()
    moments = [moment(1, 0, 1), moment(2, 1, 0.75), moment(3, 2, 0.5)]
    for before, after in pairwise(moments):
        ends = after is moments[-1]
        buffer.add(before, after, np.array([0]), np.array([0.0]), [ends], [{}])
    assert buffer.size() == 2


def test_the_episode_after_one_of_which_only_the_end_was_seen_is_kept():
    buffer = make_buffer()
    none = (np.array([0]), np.array([0.0]))
    buffer.add(moment(1, 0, 10), moment(2, 1, 9), *none, [False], [{}])
    buffer.add(moment(2, 1, 9), moment(5, 4, 6), *none, [True], [{"TimeLimit.truncated": True}])
    play(buffer, [1, 2, 3], [0, 1])
    assert buffer.size() == 2


def test_observations_that_are_no_stacks_come_back_as_they_were_shown():
    buffer = make_buffer()
    rng = np.random.default_rng(0)
    moments = [
        {
            **moment(value, 0, 10 - value),
            "observation": rng.integers(0, 256, (1, 2, 3, 4), np.uint8),
        }
        for value in range(4)
    ]
    for index, (before, after) in enumerate(pairwise(moments)):
        buffer.add(before, after, np.array([0]), np.zeros(1), [index == 2], [{}])
    shown = {each["observation"][0].tobytes() for each in moments}
    batch = buffer.sample(200)
    for sampled in (batch.observations, batch.next_observations):
        assert {row.numpy().tobytes() for row in sampled["observation"]} <= shown
