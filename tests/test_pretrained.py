"""The trained agents in ``results/agents``: what a visitor can watch without training anything."""

from __future__ import annotations

import json
from pathlib import Path

import gymnasium as gym
import pytest

import glamor_gym
from glamor_gym.agents import GlamorAgent
from glamor_gym.tasks import get_task

RESULTS = Path(__file__).parents[1] / "results"
FILES = sorted((RESULTS / "agents").glob("*.safetensors"))

MOST_BYTES = {"compact": 1_000_000, "compact-control": 2_500_000}  # its embeddings are 512 wide

pytestmark = pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])


def run_of(agent):
    """The folder of the run that an agent comes from, and the run's configuration."""
    run = RESULTS / "compact" / "runs" / f"{get_task(agent.task_id).name}-glamor-0"
    return run, json.loads((run / "config.json").read_text())


def test_it_is_small_and_plays_an_episode_to_its_end(file):
    agent = GlamorAgent.load(file)
    assert agent.task_id is not None
    _, config = run_of(agent)
    assert file.stat().st_size < MOST_BYTES[config["preset"]]
    env = gym.make(agent.task_id, goals="eval", horizon=5, **config["env_kwargs"])
    observation, _ = env.reset(seed=0, options={"goal": 0})
    state, over = None, False
    while not over:
        action, state = agent.predict(observation, state, deterministic=True)
        observation, _, terminated, truncated, _ = env.step(int(action))
        over = terminated or truncated
    env.close()


@pytest.mark.slow
def test_packed_it_reaches_what_the_run_has_reached(file):
    """Within the noise of 30 episodes against the 120 of the run's own evaluation."""
    agent = GlamorAgent.load(file)
    run, config = run_of(agent)
    reached = json.loads((run / "evaluation.json").read_text())["success_rate"]
    result = glamor_gym.evaluate(
        agent, agent.task_id, baselines=False, env_kwargs=config["env_kwargs"]
    )
    assert abs(result.success_rate - reached) < 0.25
