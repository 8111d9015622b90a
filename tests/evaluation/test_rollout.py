"""Rollouts against an environment whose every moment is known in advance."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from glamor_gym.evaluation.rollout import EpisodeKey, episode_seed, play

GO, STOP = 0, 1


class Countdown(gym.Env):
    """An episode towards goal k lasts k + 1 steps; it is a success after k steps only.

    The achieved goal tells the seed and the step, so that no two moments look alike.
    """

    stop_action = STOP
    action_space = spaces.Discrete(2)

    def __init__(self):
        self.observation_space = spaces.Dict(
            achieved_goal=spaces.Box(-np.inf, np.inf, (2,), np.float32),
            desired_goal=spaces.Box(-np.inf, np.inf, (2,), np.float32),
            steps_left=spaces.Box(0, 99, (1,), np.float32),
        )
        self.resets = []

    def reset(self, *, seed=None, options=None):
        self.resets.append((seed, options["goal"]))
        self.seed, self.goal, self.step_count = seed, options["goal"], 0
        return self._moment()

    def step(self, action):
        assert self.step_count <= self.goal, "the episode was over"
        self.step_count += action == GO
        observation, info = self._moment()
        return observation, 0.0, bool(action == STOP), self.step_count > self.goal, info

    def _moment(self):
        observation = {
            "achieved_goal": np.array([self.seed % 1000, self.step_count], np.float32),
            "desired_goal": np.array([self.seed % 1000, 2], np.float32),
            "steps_left": np.array([self.goal + 1 - self.step_count], np.float32),
        }
        return observation, {
            "is_success": self.step_count == self.goal,
            "labels": {"step": float(self.step_count)},
            "goal_labels": {"step": float(self.goal)},
        }


class Scripted:
    """Remembers what it was shown, and carries a count of the steps of each row as its state."""

    def __init__(self, stop_at=None):
        self.stop_at = stop_at
        self.calls = []

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        counts = np.zeros(len(episode_start), int) if state is None else state.copy()
        counts[episode_start] = 0
        self.calls.append(
            {
                "start": episode_start.copy(),
                "counts": counts.copy(),
                "steps": observation["achieved_goal"][:, 1].copy(),
                "deterministic": deterministic,
            }
        )
        stops = counts == self.stop_at if self.stop_at is not None else np.zeros(len(counts), bool)
        return np.where(stops, STOP, GO), counts + 1


def rollout(agent, n_envs, keys, **options):
    envs = [Countdown() for _ in range(n_envs)]
    episodes = list(play(agent, envs, keys, seed=3, **options))
    return {episode.key: episode for episode in episodes}, envs


KEYS = [EpisodeKey(goal, repeat) for goal in range(4) for repeat in range(2)]


def test_every_job_is_played_once_from_its_own_seed():
    episodes, envs = rollout(Scripted(), 3, KEYS)
    assert set(episodes) == set(KEYS)
    started = [reset for env in envs for reset in env.resets]
    assert sorted(started) == sorted((episode_seed(3, key), key.goal) for key in KEYS)


def test_episodes_do_not_depend_on_how_many_run_side_by_side():
    outcomes = []
    for n_envs in (1, 3, 8):
        episodes, _ = rollout(Scripted(), n_envs, KEYS, record=KEYS)
        outcomes.append(
            {
                key: (episode.length, episode.success, episode.frames.frames.tolist())
                for key, episode in episodes.items()
            }
        )
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_a_finished_environment_takes_the_next_job_at_once():
    agent = Scripted()
    # Steps an episode: 1, 1, 2, 2, 3, 3, 4, 4. By hand, the rows of two environments:
    # row 0: 1 + 2 + 3 + 4 steps, row 1: the same, so no row ever waits.
    rollout(agent, 2, KEYS)
    assert len(agent.calls) == 1 + 2 + 3 + 4
    starts = [call["start"].tolist() for call in agent.calls]
    assert [index for index, start in enumerate(starts) if all(start)] == [0, 1, 3, 6]
    assert not any(any(start) for index, start in enumerate(starts) if index not in (0, 1, 3, 6))


def test_the_batch_keeps_its_size_when_there_is_no_work_left():
    agent = Scripted()
    episodes, envs = rollout(agent, 2, [EpisodeKey(0, 0), EpisodeKey(3, 0)])
    assert {key: episode.length for key, episode in episodes.items()} == {
        (0, 0): 1,
        (3, 0): 4,
    }
    assert [len(call["start"]) for call in agent.calls] == [2] * 4
    assert len(envs[0].resets) == 1


def test_state_goes_round_and_is_forgotten_at_the_start_of_an_episode():
    agent = Scripted()
    rollout(agent, 3, KEYS)
    # While a row has work, its count of steps agrees with the environment's own.
    for call in agent.calls[:4]:
        np.testing.assert_array_equal(call["counts"], call["steps"])


def test_every_moment_is_shown_before_its_step_and_after_the_last_one():
    seen = []

    def look(moment):
        seen.append((moment.key, moment.env.step_count, moment.action, moment.state[moment.row]))

    rollout(Scripted(stop_at=2), 2, [EpisodeKey(0, 0), EpisodeKey(3, 0)], on_moment=look)
    by_key = {key: [entry[1:] for entry in seen if entry[0] == key] for key in ((0, 0), (3, 0))}
    assert by_key[0, 0] == [(0, GO, 1), (1, None, 1)]
    assert by_key[3, 0] == [(0, GO, 1), (1, GO, 2), (2, STOP, 3), (2, None, 3)]


def test_outcomes_are_those_of_the_last_moment():
    episodes, _ = rollout(Scripted(), 4, KEYS)
    for key, episode in episodes.items():
        assert episode.length == key.goal + 1
        assert not episode.success  # one step too far
        assert episode.reached
        assert episode.start_labels == {"step": 0.0}
        assert episode.labels == {"step": key.goal + 1.0}
        assert episode.goal_labels == {"step": float(key.goal)}
        assert episode.image_match == (key.goal == 1)


def test_stop_ends_an_episode_and_is_not_counted_as_a_step():
    episodes, _ = rollout(Scripted(stop_at=2), 4, KEYS, record=KEYS)
    assert {key.goal: episode.length for key, episode in episodes.items()} == {
        0: 1,
        1: 2,
        2: 2,
        3: 2,
    }
    stopped = episodes[EpisodeKey(2, 0)]
    assert stopped.success
    assert stopped.image_match
    assert stopped.frames.frames[:, 1].tolist() == [0, 1, 2]
    assert not episodes[EpisodeKey(3, 0)].reached


def test_it_arrives_where_it_is_first_at_its_goal():
    class Passing(Countdown):
        def _moment(self):
            observation, info = super()._moment()
            return observation, {**info, "is_success": self.step_count in (1, 3)}

    (episode,) = play(Scripted(), [Passing()], [EpisodeKey(4, 0)], seed=0)
    assert (episode.length, episode.arrival) == (5, 1)


def test_only_what_was_asked_for_is_recorded():
    episodes, _ = rollout(Scripted(), 2, KEYS, record={EpisodeKey(3, 1)})
    assert [key for key, episode in episodes.items() if episode.frames is not None] == [(3, 1)]
    frames = episodes[EpisodeKey(3, 1)].frames
    assert frames.goal_index == 3
    assert frames.frames[:, 1].tolist() == [0, 1, 2, 3, 4]
    assert frames.goal.tolist() == [episode_seed(3, EpisodeKey(3, 1)) % 1000, 2]


def test_colours_are_recorded_by_their_mean():
    class Coloured(Countdown):
        def __init__(self):
            super().__init__()
            self.observation_space["achieved_goal"] = spaces.Box(0, 255, (3, 2, 2), np.uint8)

        def _moment(self):
            observation, info = super()._moment()
            colours = np.array([10, 20, 60], np.uint8) + np.uint8(self.step_count)
            return {**observation, "achieved_goal": colours.repeat(4).reshape(3, 2, 2)}, info

    key = EpisodeKey(1, 0)
    (episode,) = play(Scripted(), [Coloured()], [key], seed=0, record={key})
    frames = episode.frames.frames
    assert frames.dtype == np.uint8
    assert frames.tolist() == [[[gray] * 2] * 2 for gray in (30, 31, 32)]


@pytest.mark.parametrize("deterministic", [True, False])
def test_deterministic_is_handed_on(deterministic):
    agent = Scripted()
    rollout(agent, 1, KEYS[:1], deterministic=deterministic)
    assert agent.calls[0]["deterministic"] is deterministic


def test_seeds_differ_between_goals_repeats_and_seeds():
    seeds = {
        episode_seed(seed, EpisodeKey(goal, repeat)) for seed in range(5) for goal, repeat in KEYS
    }
    assert len(seeds) == 5 * len(KEYS)


class Returns:
    def __init__(self, actions):
        self.actions = actions

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return self.actions, state


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (0, r"shape \(2,\).*shape \(\)"),
        (np.zeros((2, 1), int), r"shape \(2,\).*shape \(2, 1\)"),
        (np.zeros(3, int), r"shape \(2,\).*shape \(3,\)"),
        (np.zeros(2), "integer actions.*float64"),
        (np.array([0, 2]), r"in \[0, 2\), got \[0, 2\]"),
        (np.array([-1, 0]), r"in \[0, 2\), got \[-1, 0\]"),
    ],
)
def test_anything_but_one_allowed_action_a_row_is_refused(actions, message):
    with pytest.raises(ValueError, match=message):
        rollout(Returns(actions), 2, KEYS)
