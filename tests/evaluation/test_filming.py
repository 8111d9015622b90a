from __future__ import annotations

import numpy as np
import pytest

from glamor_gym.agents import GlamorAgent
from glamor_gym.evaluation.arena import Arena
from glamor_gym.evaluation.filming import Camera
from glamor_gym.evaluation.rollout import EpisodeKey
from tests.evaluation.players import Walker

ROOM = "glamor/GridWorld-v0"
TINY = {"buffer_size": 100, "device": "cpu", "seed": 0, "policy_kwargs": {"embedding_size": 8}}


def filmed(agent, keys, **options):
    camera = Camera()
    with Arena(ROOM, goals="all", n_envs=1, **options) as arena:
        episodes = {}
        for episode in arena.episodes(agent, keys, on_moment=camera):
            episodes[episode.key] = (episode, camera.take_out(episode.key))
    return episodes


def test_every_moment_of_an_episode_is_a_scene():
    corner = EpisodeKey(48, 0)  # three cells to the right and three down from the middle
    episode, scenes = filmed(Walker(), [corner])[corner]
    walk = ["right"] * 3 + ["down"] * 3
    assert [scene.action for scene in scenes] == [*walk, "STOP", None]
    assert [scene.step for scene in scenes] == [0, 1, 2, 3, 4, 5, 6, 6]
    assert episode.length == 6
    assert {scene.horizon for scene in scenes} == {10}
    assert all(scene.plan is None for scene in scenes)


def test_the_last_step_counts_where_nobody_stops():
    key = EpisodeKey(24, 0)
    _, scenes = filmed(Walker(stops=False), [key])[key]
    assert [scene.step for scene in scenes] == list(range(11))
    assert [scene.action is None for scene in scenes] == [False] * 10 + [True]


def test_pictures_are_of_the_moment():
    key = EpisodeKey(48, 0)
    _, scenes = filmed(Walker(), [key], env_kwargs={"render_mode": "rgb_array"})[key]
    for scene in scenes:
        np.testing.assert_array_equal(scene.pictures.goal, scenes[-1].pictures.achieved)
        np.testing.assert_array_equal(scene.pictures.world, scene.pictures.achieved)
    shown = {scene.pictures.achieved.tobytes() for scene in scenes}
    assert len(shown) == 7


def test_the_plan_is_the_one_that_the_agent_acts_on():
    class Watched(GlamorAgent):
        """Keeps the plans that it makes."""

        def _plan(self, *arguments):
            self.plans.append(super()._plan(*arguments))
            return self.plans[-1]

    agent = Watched(ROOM, **TINY)
    agent.plans = []
    keys = [EpisodeKey(3, 0), EpisodeKey(40, 0)]
    episodes = filmed(agent, keys)
    told = [scene for key in keys for scene in episodes[key][1] if scene.plan is not None]
    names = ["up", "right", "down", "left", "STOP"]
    made = iter(agent.plans)
    for scene in told:
        if scene.action != "STOP":  # STOP after a plan of one action needs no new plan
            plan = next(made)
            assert scene.action == names[int(plan.tokens[0, 0])]
        assert scene.plan.length == int(plan.length[0])
        assert scene.plan.log_score == pytest.approx(float(plan.log_score[0]))
    assert next(made, None) is None
    assert len(told) == sum(len(episodes[key][1]) - 1 for key in keys)


def test_scenes_are_kept_apart_and_taken_out_once():
    keys = [EpisodeKey(0, 0), EpisodeKey(6, 0), EpisodeKey(42, 1)]
    camera = Camera()
    with Arena(ROOM, goals="all", n_envs=2) as arena:
        lengths = {
            episode.key: episode.length
            for episode in arena.episodes(Walker(), keys, on_moment=camera)
        }
    for key in keys:
        assert camera.take_out(key)[-1].step == lengths[key] == 6
        with pytest.raises(KeyError):
            camera.take_out(key)
