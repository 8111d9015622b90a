"""Conversion of an agent to tensors and a header, which its files and checkpoints hold, and back.

In: an agent. Out: its tensors by name, and everything else as JSON-able values; and the reverse,
without executing anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import torch

from glamor_gym import __version__
from glamor_gym.agents.learner import TrajectoryLearner
from glamor_gym.agents.saving.agent_file import AgentFileError, space_from_json, space_to_json
from glamor_gym.agents.saving.packing import unpack
from glamor_gym.checks import as_instance, as_integer
from glamor_gym.models.duration import LONGEST_HORIZON
from glamor_gym.vector.sb3 import AnyEnv

Agent = TypeVar("Agent", bound=TrajectoryLearner)

MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW stores for each parameter."""

NETWORK_ARGUMENTS = ("policy", "policy_kwargs")
"""Arguments that determine which weights there are."""


def tensors_of(agent: TrajectoryLearner) -> dict[str, torch.Tensor]:
    """Return weights and optimiser state by name, as :func:`load_policy` takes them."""
    agent.finish_updates()
    tensors = {f"policy.{name}": value for name, value in agent.policy.state_dict().items()}
    for index, state in agent.policy.optimizer.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    return tensors


def as_half(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor in half precision; integer and boolean tensors are returned unchanged.

    Raises:
        ValueError: a number is outside the range of half precision.
    """
    if not tensor.is_floating_point():
        return tensor
    halved = tensor.half()
    if not torch.isfinite(halved).all():
        largest = float(tensor.abs().max())
        raise ValueError(
            f"half and packed must be False: {name} holds {largest:g}, which is outside the range "
            "of half precision"
        )
    return halved


def header_of(agent: TrajectoryLearner) -> dict[str, Any]:
    """Return everything but the tensors, as JSON-able values."""
    return {
        "agent": type(agent).__name__,
        "version": __version__,
        "task": agent.task_id or "",
        "settings": agent.settings.as_dict(),
        "habits": agent.overrides(),
        "policy": _policy_name(agent),
        "policy_kwargs": agent.policy_kwargs,
        "observation_space": space_to_json(agent.observation_space),
        "action_space": space_to_json(agent.action_space),
        "horizon": agent.horizon,
        "seed": agent.seed,
        "stats_window_size": agent._stats_window_size,
        "num_timesteps": agent.num_timesteps,
        "n_updates": agent._n_updates,
        "updates_before": agent._updates_before,
        "episode_num": agent._episode_num,
    }


def _policy_name(agent: TrajectoryLearner) -> str:
    for name, policy_class in agent.policy_aliases.items():
        if policy_class is agent.policy_class:
            return name
    names, own = sorted(agent.policy_aliases), agent.policy_class.__name__
    raise ValueError(
        f"policy must be one of {', '.join(names)} for the agent to be saved, got {own}: loading "
        f"it by name would execute code; name it in a subclass of {type(agent).__name__}, "
        f"policy_aliases = {{{names[0]!r}: {own}}}"
    )


def build_agent(
    cls: type[Agent],
    header: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    env: AnyEnv | None,
    device: torch.device | str,
    changes: Mapping[str, Any],
) -> Agent:
    """Build the agent that a header describes, with its weights and optimiser.

    Args:
        cls: its class.
        header: what :func:`header_of` returned.
        tensors: what :func:`tensors_of` returned, without the optimiser if that is to be new.
        env: environment to continue training in, if any.
        device: device of the agent.
        changes: arguments of `cls` that replace those of the header.

    Raises:
        AgentFileError: the header describes another kind of agent or has a setting that is unknown
            or out of range.
        KeyError: the header lacks an entry.
        TypeError: one of `changes` is unknown or of the wrong type.
        RuntimeError: the tensors do not fit the networks.
        ValueError: `env` has other spaces or another horizon, one of `changes` is out of range, or
            one of `NETWORK_ARGUMENTS` builds other networks than those saved.
    """
    try:
        return _build(cls, header, tensors, {"env": env, "device": device, **changes})
    except (TypeError, ValueError):
        try:  # without the caller's arguments, to find out whose fault it is
            _build(cls, header, tensors, {"env": None, "device": "cpu"})
        except (TypeError, ValueError) as error:
            raise AgentFileError(str(error)) from error
        raise


def _build(
    cls: type[Agent],
    header: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    given: Mapping[str, Any],
) -> Agent:
    if header.get("agent") != cls.__name__:
        raise AgentFileError(f"it holds a {header.get('agent')}, not a {cls.__name__}")
    settings = header["settings"]
    overrides = as_instance(header["habits"], dict, name="habits")
    arguments = {
        **settings,
        "policy": header["policy"],
        "policy_kwargs": header["policy_kwargs"],
        "seed": header["seed"],
        "stats_window_size": header["stats_window_size"],
        "_init_setup_model": False,
        **given,
    }
    agent = cls(**arguments)
    _restore(agent, header, settings)
    kept = {name: value for name, value in overrides.items() if name not in given}
    agent.apply_overrides(kept)
    try:
        load_policy(agent, tensors)
    except RuntimeError as error:
        if blamed := [name for name in NETWORK_ARGUMENTS if name in given]:
            names = " and ".join(blamed)
            raise ValueError(f"{names} must build the saved networks: {error}") from error
        raise
    return agent


def _restore(agent: TrajectoryLearner, header: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    """Set spaces and counters from a header, check the environment and build the networks.

    `saved` are the settings of the header, those of the agent may be others.
    """
    observation_space = space_from_json(header["observation_space"])
    action_space = space_from_json(header["action_space"])
    if agent.env is not None and (
        agent.env.observation_space != observation_space or agent.env.action_space != action_space
    ):
        raise ValueError(
            f"env has spaces {agent.env.observation_space}, {agent.env.action_space}; the "
            f"agent was trained with {observation_space}, {action_space}"
        )
    horizon = as_integer(header["horizon"], name="horizon", low=1, high=LONGEST_HORIZON)
    if agent.env is not None and agent.horizon != horizon:
        raise ValueError(
            f"env has horizon {agent.horizon}; the agent was trained with horizon {horizon}"
        )
    agent._adopt_spaces(observation_space, action_space)
    agent.n_envs = agent.env.num_envs if agent.env is not None else 1
    agent.horizon = horizon
    agent._setup_model()
    agent.task_id = agent.task_id or as_instance(header["task"], str, name="task") or None
    agent.num_timesteps = int(header["num_timesteps"])
    agent._n_updates = int(header["n_updates"])
    agent._updates_before = int(header["updates_before"])
    # A changed replay ratio applies to future steps only: past updates are neither added nor owed.
    due = agent.settings.updates_due(agent.num_timesteps)
    if due != replace(agent.settings, **saved).updates_due(agent.num_timesteps):
        agent._updates_before = agent._n_updates - due
    agent._episode_num = int(header["episode_num"])


def load_policy(agent: TrajectoryLearner, tensors: Mapping[str, torch.Tensor]) -> None:
    """Load weights, packed or not, and optimiser state.

    Without optimiser state the agent's optimiser is reset, since its state belongs to the weights
    that are replaced. Nothing is changed unless everything fits.

    Raises:
        RuntimeError: a tensor is missing, is of no use to the agent, or has another shape or kind
            of numbers than the agent's; the message names it.
    """
    policy, optimizer = agent.policy, agent.policy.optimizer
    weights = {f"policy.{name}": tensor for name, tensor in policy.state_dict().items()}
    saved = unpack(tensors, weights)
    moments = _moments_like(saved, optimizer)
    own = weights | moments
    for name in dict.fromkeys((*own, *saved)):
        there, here = _described(saved.get(name)), _described(own.get(name))
        if there != here:
            raise RuntimeError(f"{name} is {there} in what was saved and {here} in the agent")
    state: dict[int, dict[str, torch.Tensor]] = defaultdict(dict)
    for name in moments:
        _, index, key = name.split(".")
        state[int(index)][key] = saved[name]
    policy.load_state_dict({name.removeprefix("policy."): saved[name] for name in weights})
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def check_moments(optimizer: torch.optim.Optimizer) -> None:
    """Check AdamW's state, of which PyTorch reads past the end if a tensor is too small.

    Raises:
        ValueError: a tensor has another shape or kind of numbers than its parameter asks for.
    """
    for parameter, state in optimizer.state.items():
        for key, tensor in state.items():
            there, here = _described(tensor), _described(_moment_like(key, parameter))
            if there != here:
                raise ValueError(f"policy.optimizer must hold {key}, {here}, got {there}")


def _moments_like(
    saved: Iterable[str], optimizer: torch.optim.Optimizer
) -> dict[str, torch.Tensor]:
    """Return tensors like those of AdamW's state, for each parameter of which any is in `saved`.

    What was saved is compared with them because PyTorch accepts any, and reads past the end of
    tensors that are too small.
    """
    updated = {name.rpartition(".")[0] for name in saved}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return {
        f"optimizer.{index}.{key}": _moment_like(key, parameter)
        for index, parameter in enumerate(parameters)
        for key in MOMENTS
        if f"optimizer.{index}" in updated
    }


def _moment_like(key: str, parameter: torch.Tensor) -> torch.Tensor:
    """Return a tensor like the one of `MOMENTS` that AdamW keeps of a parameter."""
    return torch.zeros(()) if key == "step" else parameter


def _described(tensor: torch.Tensor | None) -> str:
    """Describe what has to agree; the precision of numbers does not, as files may be halved."""
    if tensor is None:
        return "missing"
    kind = "float" if tensor.is_floating_point() else str(tensor.dtype).removeprefix("torch.")
    return f"{kind} of shape {tuple(tensor.shape)}"
