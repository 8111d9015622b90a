"""All that an agent's next step depends on, but its replay's frames: taken down, and given back.

In: an agent between two steps. Out: a snapshot from which another one goes on bit by bit, on the
same machine with the same libraries: networks and optimiser, counters, random generators, what
waits to be logged, the episodes under way in environments, recorder and agent.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from stable_baselines3.common.logger import KVWriter, Logger

from glamor_gym.agents.agent_file import header_of, tensors_of
from glamor_gym.agents.episodes import EpisodeRecorder
from glamor_gym.snapshots import (
    Snapshot,
    global_random_state,
    random_state,
    set_global_random_state,
    set_random_state,
)
from glamor_gym.vector.snapshots import restore_vector, snapshot_vector

if TYPE_CHECKING:
    from glamor_gym.agents.base import ImageGoalAgent
    from glamor_gym.agents.learner import TrajectoryLearner


def snapshot_agent(agent: ImageGoalAgent) -> Snapshot:
    """Take down an agent between two steps.

    Warns:
        UserWarning: its environments offer no snapshots, so that their episodes will be begun
            anew.
    """
    return {
        "header": header_of(agent),
        "tensors": tensors_of(agent),
        "replay": agent.replay_buffer.snapshot(),
        "total_timesteps": agent._total_timesteps,
        "progress_remaining": agent._current_progress_remaining,
        "ep_info_buffer": [dict(episode) for episode in agent.ep_info_buffer or ()],
        "ep_success_buffer": list(agent.ep_success_buffer or ()),
        "agent_random": {
            "rng": random_state(agent.rng),
            "actions": random_state(agent.action_space.np_random),
            "device": agent.device.type,
            "torch": agent.generator.get_state(),
        },
        "process": agent._left_off or _snapshot_process(agent),
        "learned": agent._learned(),
        "episodes": _take_episodes(agent),
    }


def restore_agent(agent: ImageGoalAgent, snapshot: Mapping[str, Any]) -> None:
    """Give a snapshot to an agent that was built from its header; the frames follow.

    What belongs to the process has to wait until learning goes on, see :func:`restore_process`.

    Raises:
        KeyError: it is no snapshot of an agent.
        ValueError: it is one of another number of environments.

    Warns:
        UserWarning: some of what comes next will differ from the uninterrupted run.
    """
    agent.replay_buffer.restore(snapshot["replay"])
    episodes = snapshot["episodes"]
    # Checkpoints from before it stood by itself have it among the episodes, where there are any.
    agent._take_learned(snapshot.get("learned", episodes["carried"] if episodes else {}))
    agent._total_timesteps = snapshot["total_timesteps"]
    agent._current_progress_remaining = snapshot["progress_remaining"]
    window = agent._stats_window_size
    agent.ep_info_buffer = deque(snapshot["ep_info_buffer"], maxlen=window)
    agent.ep_success_buffer = deque(snapshot["ep_success_buffer"], maxlen=window)
    random = snapshot["agent_random"]
    set_random_state(agent.rng, random["rng"])
    set_random_state(agent.action_space.np_random, random["actions"])
    if random["device"] == agent.device.type:
        agent.generator.set_state(random["torch"])
    else:
        warnings.warn(
            f"the checkpoint was written on {random['device']}, the agent is on "
            f"{agent.device.type}: it draws other random numbers from here on",
            stacklevel=4,
        )
    agent._left_episodes = agent.env is None and episodes is not None
    if agent.env is not None:
        _give_episodes(agent, episodes)


def _snapshot_process(agent: ImageGoalAgent) -> Snapshot:
    return {
        "random": global_random_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(agent.device) if _on_cuda(agent) else None,
        "log": _take_log(agent),
    }


def restore_process(agent: TrajectoryLearner, process: Mapping[str, Any]) -> None:
    """Set the process's random generators and, where none was set by hand, the new logger."""
    set_global_random_state(process["random"])
    torch.set_rng_state(process["torch"])
    if _on_cuda(agent) and process["cuda"] is not None:
        torch.cuda.set_rng_state(process["cuda"], agent.device)
    if not agent._custom_logger:
        restore_log(agent.logger, process["log"])


def _on_cuda(agent: TrajectoryLearner) -> bool:
    return agent.device.type == "cuda"


# ------------------------------------------------------------------------------------ episodes


def _take_episodes(agent: ImageGoalAgent) -> Snapshot | None:
    """Return the episodes under way; None where there are none, or no snapshots of them."""
    if agent.env is None or agent._last_obs is None:
        return None
    env = snapshot_vector(agent.env)
    if env is None:
        warnings.warn(
            "env offers no snapshots (see glamor_gym.wrappers.EpisodeJournal): training that goes "
            "on from this checkpoint will begin new episodes",
            stacklevel=4,
        )
        return None
    return {
        "env": env,
        "last_obs": dict(agent._last_observations),
        "starts": agent._starts.copy(),
        "recorder": agent._recorder.snapshot(),
        "carried": agent._carried(),
    }


def _give_episodes(agent: ImageGoalAgent, episodes: Mapping[str, Any] | None) -> None:
    if episodes is None:
        if agent.num_timesteps:
            warnings.warn("the checkpoint has no episodes under way: new ones begin", stacklevel=5)
        return
    n_envs = len(episodes["starts"])
    if agent.n_envs != n_envs:
        raise ValueError(f"env has {agent.n_envs} environments, the checkpoint {n_envs}")
    assert agent.env is not None
    restore_vector(agent.env, episodes["env"])
    agent._last_obs = dict(episodes["last_obs"])
    agent._last_episode_starts = np.zeros(n_envs, dtype=bool)
    agent._starts = episodes["starts"]
    agent._recorder = EpisodeRecorder(n_envs, not agent.replay_buffer.stack_size)
    agent._recorder.restore(episodes["recorder"])
    agent._begin_collection()
    agent._carry_on(episodes["carried"])


# ---------------------------------------------------------------------------------- the logger


def _take_log(agent: ImageGoalAgent) -> Snapshot:
    """Return what was recorded since the last line of the log."""
    if not hasattr(agent, "_logger"):
        return {"values": {}, "counts": {}, "excluded": {}, "writers": []}
    return {
        "values": dict(agent.logger.name_to_value),
        "counts": dict(agent.logger.name_to_count),
        "excluded": dict(agent.logger.name_to_excluded),
        "writers": [_snapshot_writer(writer) for writer in agent.logger.output_formats],
    }


def restore_log(logger: Logger, log: Mapping[str, Any]) -> None:
    """Have a logger go on from :func:`snapshot_agent`; writers of another make do as they like."""
    for writer, snapshot in zip(logger.output_formats, log["writers"], strict=False):
        if snapshot is not None and hasattr(writer, "snapshot"):
            writer.snapshot = snapshot
    logger.name_to_value.update(log["values"])
    logger.name_to_count.update(log["counts"])
    logger.name_to_excluded.update({name: tuple(k) for name, k in log["excluded"].items()})


def _snapshot_writer(writer: KVWriter) -> Snapshot | None:
    """Return how far a writer has come; None where it cannot go back."""
    snapshot: Snapshot | None = getattr(writer, "snapshot", None)
    return snapshot
