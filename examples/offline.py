"""Learn from recorded episodes alone, as a Minari dataset keeps them.

    pip install -e '.[offline]'
    python examples/offline.py                    # records random play first, if there is none
    python examples/offline.py --updates 2000

The episodes may come from anything that plays in a goal environment: an earlier agent, a person, a
script. Their goals do not matter to GLAMOR, which learns from what was reached.
"""

from __future__ import annotations

import argparse

import gymnasium as gym
import minari
import numpy as np
from minari.data_collector import EpisodeBuffer

import glamor_gym
from glamor_gym import GlamorAgent
from glamor_gym.experiments import preset_for


def record(env: gym.Env, number: int, seed: int) -> EpisodeBuffer:
    """Play an episode at random, without STOP."""
    observation, _ = env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    moments, actions, rewards = [observation], [], []
    ends: list[tuple[bool, bool]] = []
    while not ends or not any(ends[-1]):
        action = int(rng.integers(env.get_wrapper_attr("stop_action")))
        observation, reward, terminated, truncated, _ = env.step(action)
        moments.append(observation)
        actions.append(action)
        rewards.append(reward)
        ends.append((terminated, truncated))
    terminations, truncations = zip(*ends, strict=True)
    return EpisodeBuffer(
        id=number,
        seed=seed,
        observations={key: np.stack([each[key] for each in moments]) for key in observation},
        actions=np.array(actions),
        rewards=rewards,
        terminations=list(terminations),
        truncations=list(truncations),
        infos={},
    )


def main(task: str, dataset: str, episodes: int, updates: int, seed: int) -> float:
    """Learn from a dataset, which is recorded first if there is none; return the goals reached."""
    env = gym.make(task)
    if dataset not in minari.list_local_datasets():
        played = [record(env, number, seed + number) for number in range(episodes)]
        minari.create_dataset_from_buffers(
            dataset, played, env=env, eval_env=env, description=f"Random play in {task}."
        )
    agent = GlamorAgent(env, **GlamorAgent.preset(preset_for(task)), seed=seed)
    for episode in minari.load_dataset(dataset):
        agent.replay_buffer.add_episode(episode.observations, episode.actions)
    print(f"learning from {agent.replay_buffer.n_trajectories} episodes of {dataset}")
    agent.learn_offline(updates, progress_bar=True)
    result = glamor_gym.evaluate(agent, task, seed=seed)
    print(f"goals reached: {result.success_rate:.2f}; random agent: {result.random:.2f}")
    return result.success_rate


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", nargs="?", default="glamor/GridWorld-v0")
    parser.add_argument("--dataset", help="id of a Minari dataset; by default one of random play")
    parser.add_argument("--episodes", type=int, default=400, help="episodes to record")
    parser.add_argument("--updates", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    main(
        arguments.task,
        arguments.dataset or f"{arguments.task.removesuffix('-v0')}/random-v0",
        arguments.episodes,
        arguments.updates,
        arguments.seed,
    )
