"""The two sides of GridWorld's comparison: the same goals, and a DQN that has moves alone."""

from __future__ import annotations

import pytest

from benchmarks import gridworld

pytestmark = pytest.mark.usefixtures("small_replay")


def test_dqn_plays_the_same_rooms_without_stop():
    dqn, ours = gridworld.dqn_her(0), gridworld.glamor(0, n_envs=2)
    moves = ours.action_space.n - 1
    assert dqn.action_space.n == moves
    assert dqn.observation_space == ours.observation_space
    env = dqn.get_env()
    env.reset()
    for action in range(moves):
        _, _, done, infos = env.step([action])
        assert not done[0]
        assert infos[0]["labels"]


def test_training_ends_at_the_rate_that_is_wanted_and_not_before():
    at_once = gridworld.train(gridworld.dqn_her, 0, wanted=0.0, steps=80, every=40)
    never = gridworld.train(gridworld.dqn_her, 0, wanted=1.1, steps=80, every=40)
    assert (at_once.steps, never.steps) == (40, 80)


def test_a_glamor_that_does_not_get_there_has_no_time_to_compare(monkeypatch):
    monkeypatch.setattr(gridworld, "train", lambda *_: gridworld.Outcome(1.0, 20_000, 0.98))
    with pytest.raises(RuntimeError, match=r"seeds \[3\] did not reach 100% of the goals"):
        list(gridworld.run(seeds=(3,)))
