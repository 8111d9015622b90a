"""An agent as tensors and a header, and back: what its files and its checkpoints both hold.

In: an agent. Out: its tensors by name, and all else as JSON-able values; and the reverse, in which
nothing is executed.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from glamor_gym import __version__
from glamor_gym.agents.packing import unpack
from glamor_gym.agents.storage import AgentFileError, space_from_json, space_to_json
from glamor_gym.checks import as_instance, as_integer
from glamor_gym.models.duration import MOST_STEPS
from glamor_gym.names import nearest_names
from glamor_gym.vector.sb3 import AnyEnv

if TYPE_CHECKING:
    from glamor_gym.agents.base import ImageGoalAgent

Agent = TypeVar("Agent", bound="ImageGoalAgent")

MOMENTS = ("step", "exp_avg", "exp_avg_sq")
"""What AdamW knows of a parameter."""


def tensors_of(agent: ImageGoalAgent) -> dict[str, torch.Tensor]:
    """Return weights and optimiser by name, as :func:`load_policy` takes them."""
    agent.finish_updates()
    tensors = {f"policy.{name}": value for name, value in agent.policy.state_dict().items()}
    for index, state in agent.policy.optimizer.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    return tensors


def as_half(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor in half precision; whole numbers and truth values stay what they are.

    Raises:
        ValueError: it holds a number beyond the range of half precision.
    """
    if not tensor.is_floating_point():
        return tensor
    halved = tensor.half()
    if not torch.isfinite(halved).all():
        largest = float(tensor.abs().max())
        raise ValueError(f"half must be False: {name} holds {largest:g}, too large for it")
    return halved


def header_of(agent: ImageGoalAgent) -> dict[str, Any]:
    """Return all that is no tensor, as JSON-able values."""
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
        "stop_action": agent.stop_action,
        "horizon": agent.horizon,
        "seed": agent.seed,
        "num_timesteps": agent.num_timesteps,
        "n_updates": agent._n_updates,
        "updates_before": agent._updates_before,
        "episode_num": agent._episode_num,
    }


def _policy_name(agent: ImageGoalAgent) -> str:
    for name, policy_class in agent.policy_aliases.items():
        if policy_class is agent.policy_class:
            return name
    raise ValueError(
        f"policy {agent.policy_class.__name__} is not among {sorted(agent.policy_aliases)}: "
        "a file could not name it without executing code"
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

    Raises:
        AgentFileError: it describes another kind of agent, or there are no weights.
        KeyError: an entry of the header is missing.
        TypeError: an entry of the header is of another type.
        RuntimeError: the weights are those of other networks.
        ValueError: `env` has other spaces, or a setting is unknown or out of its range.
    """
    _check_names(cls, changes)
    if header.get("agent") != cls.__name__:
        raise AgentFileError(f"it holds a {header.get('agent')}, not a {cls.__name__}")
    arguments = {
        **header["settings"],
        "policy_kwargs": header["policy_kwargs"],
        "seed": header["seed"],
    }
    arguments |= {"env": env, "device": device, "_init_setup_model": False}
    agent = cls(**{"policy": header["policy"], **arguments, **changes})
    _restore(agent, header)
    overrides = as_instance(header.get("habits", {}), dict, name="habits")
    kept = {name: value for name, value in overrides.items() if name not in changes}
    agent.apply_overrides(kept)
    if not load_policy(agent, tensors):
        raise AgentFileError("it lacks the policy's weights")
    return agent


def _check_names(cls: type[ImageGoalAgent], changes: Mapping[str, Any]) -> None:
    """Check that an agent has the settings that are to be changed.

    Raises:
        ValueError: it has not; the message names the nearest ones.
    """
    known = inspect.signature(cls).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    for name in changes:
        if name not in known and not takes_any:
            raise ValueError(f"there is no setting {name!r}; {nearest_names(name, known)}")


def _restore(agent: ImageGoalAgent, header: Mapping[str, Any]) -> None:
    """Take spaces and counters from a header, check the environment, build the networks."""
    observation_space = space_from_json(header["observation_space"])
    action_space = space_from_json(header["action_space"])
    if agent.env is not None and (
        agent.env.observation_space != observation_space or agent.env.action_space != action_space
    ):
        raise ValueError(
            f"env has spaces {agent.env.observation_space}, {agent.env.action_space}; the "
            f"agent was trained with {observation_space}, {action_space}"
        )
    horizon = as_integer(header["horizon"], name="horizon", low=1, high=MOST_STEPS)
    if agent.env is not None and agent.horizon != horizon:
        raise ValueError(
            f"env has horizon {agent.horizon}; the agent was trained with horizon {horizon}"
        )
    agent._adopt_spaces(observation_space, action_space)
    agent.n_envs = agent.env.num_envs if agent.env is not None else 1
    agent.stop_action = int(header["stop_action"])
    agent.horizon = horizon
    agent._setup_model()
    agent.task_id = agent.task_id or as_instance(header.get("task", ""), str, name="task") or None
    agent.num_timesteps = int(header["num_timesteps"])
    agent._n_updates = int(header["n_updates"])
    agent._updates_before = int(header["updates_before"])
    # Another replay ratio is one for the steps to come: none is made up for, none is taken back.
    due = agent.settings.updates_due(agent.num_timesteps)
    if due != replace(agent.settings, **header["settings"]).updates_due(agent.num_timesteps):
        agent._updates_before = agent._n_updates - due
    agent._episode_num = int(header["episode_num"])


def load_policy(agent: ImageGoalAgent, tensors: Mapping[str, torch.Tensor]) -> bool:
    """Load weights, packed or not, and optimiser; tell whether there were weights.

    Where there is no optimiser, this agent's begins anew: what it gathered was of other weights.

    Raises:
        KeyError: there is not all of what the optimiser knows of a parameter; nothing is changed.
        RuntimeError: names or shapes do not fit this policy, of which nothing is changed then.
    """
    weights = {
        name.removeprefix("policy."): tensor
        for name, tensor in tensors.items()
        if name.startswith("policy.")
    }
    if not weights:
        return False
    moments = _moments_of(agent.policy.optimizer, tensors)
    agent.policy.load_state_dict(unpack(weights, agent.policy.state_dict()))
    groups = agent.policy.optimizer.state_dict()["param_groups"]
    agent.policy.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    return True


def _moments_of(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]
) -> dict[int, dict[str, torch.Tensor]]:
    """Return what tensors tell of AdamW's state: number of a parameter → its moments.

    PyTorch takes whatever it is given, and computes beyond the end of what is too small.

    Raises:
        KeyError: there is not all of what there is to know of a parameter.
        RuntimeError: it is the state of another optimiser, or of other parameters.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    given = {name: tensor for name, tensor in tensors.items() if name.startswith("optimizer.")}
    fitting = {
        f"optimizer.{index}.{key}": torch.Size() if key == "step" else parameter.shape
        for index, parameter in enumerate(parameters)
        for key in MOMENTS
    }
    for name, tensor in given.items():
        if fitting.get(name) != tensor.shape:
            raise RuntimeError(f"{name} of shape {tuple(tensor.shape)} is of another network")
    return {
        index: {key: given[f"optimizer.{index}.{key}"] for key in MOMENTS}
        for index in range(len(parameters))
        if f"optimizer.{index}.step" in given
    }
