"""Snapshots of everything that an agent's next step depends on, except the replay's frames.

In: an agent between two steps. Out: a snapshot from which another agent continues bit for bit, on
the same machine with the same libraries: networks and optimiser, counters, random generators, log
entries not yet written, and the unfinished episodes of environments, recorder and agent.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Mapping
from typing import Any

from glamor_gym.agents.learner import TrajectoryLearner
from glamor_gym.agents.saving.agent_parts import header_of, tensors_of
from glamor_gym.agents.saving.process import snapshot_process
from glamor_gym.snapshots import (
    Snapshot,
    random_state,
    set_random_state,
)
from glamor_gym.vector.vector_state import (
    restore_vector,
    snapshot_vector,
    wrapper_without_snapshots,
)
from glamor_gym.vector.workers import WorkerError


def snapshot_agent(agent: TrajectoryLearner) -> Snapshot:
    """Return a snapshot of an agent between two steps.

    Warns:
        UserWarning: the environments offer no snapshots, or were reset by somebody else, so that
            new episodes will begin when training continues.
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
        "process": agent._pending_process_state or snapshot_process(agent),
        "episodes": _snapshot_episodes(agent),
    }


def restore_agent(agent: TrajectoryLearner, snapshot: Mapping[str, Any]) -> None:
    """Restore a snapshot to an agent built from its header; the frames are read separately.

    The state of the process is restored only when training continues, see
    :func:`~glamor_gym.agents.saving.process.restore_process`.

    Raises:
        KeyError: the snapshot is not one of an agent.
        ValueError: it is one with another number of environments.

    Warns:
        UserWarning: training will not continue exactly like the uninterrupted run.
    """
    agent.replay_buffer.restore(snapshot["replay"])
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
            f"{agent.device.type}: its random numbers will differ from here on",
            stacklevel=3,
        )
    episodes = snapshot["episodes"]
    agent._dropped_episodes = agent.env is None and episodes is not None
    if agent.env is not None:
        _restore_episodes(agent, episodes)


# ------------------------------------------------------------------------------------ episodes


def _snapshot_episodes(agent: TrajectoryLearner) -> Snapshot | None:
    """Return the unfinished episodes; None if there are none or no snapshots can be taken."""
    if agent.env is None or agent._last_obs is None:
        return None
    if agent._reset_watch.was_reset(agent.env):
        _warn_of_new_episodes("env was reset within an episode (by evaluate_policy?)")
        return None
    try:
        env = snapshot_vector(agent.env)
    except WorkerError as error:  # the next step replaces the worker
        _warn_of_new_episodes(str(error))
        return None
    if env is None:
        wrapper = wrapper_without_snapshots(agent.env)
        reason = f"because of {wrapper}" if wrapper else "see glamor_gym.wrappers.EpisodeJournal"
        _warn_of_new_episodes(f"env offers no snapshots ({reason})")
        return None
    return {
        "env": env,
        "last_obs": dict(agent._last_observations),
        "recorder": agent._recorder.snapshot(),
        "carried": agent._episode_state(),
    }


def _warn_of_new_episodes(reason: str) -> None:
    """Warn, where the checkpoint is written, that its unfinished episodes cannot go on."""
    warnings.warn(
        f"{reason}: training continued from this checkpoint will begin new episodes", stacklevel=5
    )


def _restore_episodes(agent: TrajectoryLearner, episodes: Mapping[str, Any] | None) -> None:
    if episodes is None:
        if agent.num_timesteps:
            warnings.warn("the checkpoint has no episodes: new ones begin", stacklevel=4)
        return
    n_envs = len(episodes["recorder"]["actions"])
    if agent.n_envs != n_envs:
        raise ValueError(
            f"env has {agent.n_envs} environments, the checkpoint {n_envs}; pass a vector of "
            f"{n_envs}, for example make_vec_env(id, {n_envs})"
        )
    assert agent.env is not None
    restore_vector(agent.env, episodes["env"])
    agent._last_obs = dict(episodes["last_obs"])
    agent._begin_recording()
    agent._recorder.restore(episodes["recorder"])
    agent._load_episode_state(episodes["carried"])
