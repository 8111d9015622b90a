"""Kinds of algorithms: this library's, those of other libraries, and agents that do not learn.

In: a row of the table in :mod:`~glamor_gym.experiments.algorithms`. Out: how to build that
algorithm for an environment, and how to load it from a file. Classes are named by strings and
imported only when needed, so that the table is cheap to import.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from gymnasium import spaces

from glamor_gym.names import nearest_names
from glamor_gym.tasks import Task

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecEnv

    from glamor_gym.agents.settings import CollectionSettings
    from glamor_gym.evaluation.baselines import Predictor

_PICTURES = spaces.Dict(
    {
        name: spaces.Box(0, 255, (n_frames, 80, 104), np.uint8)
        for name, n_frames in (("observation", 4), ("achieved_goal", 1), ("desired_goal", 1))
    }
)
"""The observation space of most tasks, with the paper's frame size."""

_PRESETS_OF_SUITES = MappingProxyType({"control": "compact-control", "small": "small"})
"""Suite → default preset of this library's agents, where it is not the first."""

NO_PRESET = "default"
"""Name of the only preset of algorithms that have none: the agent's own defaults."""

_NOT_SETTINGS = frozenset(
    ("self", "policy", "env", "seed", "device", "verbose", "tensorboard_log", "_init_setup_model")
)
"""Agent arguments that are set by the run and cannot be overridden."""


@dataclass(frozen=True)
class Algorithm:
    """One row of the table.

    Attributes:
        name: name on the command line, e.g. ``"dqn-her"``, or ``"MODULE:CLASS"``.
        title: name in reports, e.g. ``"DQN + HER"``.
        home: the agent's class, ``"module:Class"``.
        presets: names of its presets, the default one first.
        env_kwargs: keyword arguments of ``gym.make`` that it requires in training.
        learns: whether the algorithm trains at all.
        resumes: whether its runs can resume from a checkpoint instead of starting over.
    """

    learns: ClassVar[bool] = True
    resumes: ClassVar[bool] = False

    name: str
    title: str
    home: str
    presets: tuple[str, ...] = (NO_PRESET,)
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)

    def agent_class(self) -> type[Any]:
        """Import the agent's class.

        Raises:
            ModuleNotFoundError: the library that contains it is not installed.
        """
        try:
            agent_class: type[Any] = resolve_name(self.home)
        except ModuleNotFoundError as error:
            package = self.home.partition(":")[0].replace("_", "-")
            raise ModuleNotFoundError(
                f"{self.name} needs {package}: pip install {package} ({error})", name=error.name
            ) from error
        return agent_class

    def arguments(self, preset: str | None, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return the agent's arguments: a preset's, updated with overrides.

        Args:
            preset: one of `presets`; None for the first.
            overrides: argument → value; entries of ``policy_kwargs`` are replaced one by one.

        Returns:
            JSON-able values by name, always including ``policy_kwargs``.

        Raises:
            ValueError: there is no such preset or argument, or ``policy_kwargs`` is not a mapping.
        """
        chosen = self.checked_preset(preset)
        self.check_names("setting", overrides, self.argument_names())
        policy_overrides = overrides.get("policy_kwargs", {})
        if not isinstance(policy_overrides, Mapping):
            raise ValueError(
                f"policy_kwargs must be a mapping (policy_kwargs.NAME=VALUE), got "
                f"{policy_overrides!r}"
            )
        if policy_names := self.policy_argument_names():
            self.check_names("policy_kwargs", policy_overrides, policy_names)
        arguments = {"policy_kwargs": {}, **self._preset(chosen)}
        policy_kwargs = arguments["policy_kwargs"] | dict(policy_overrides)
        return arguments | dict(overrides) | {"policy_kwargs": policy_kwargs}

    def argument_names(self) -> tuple[str, ...]:
        """Return the names of the settings that can be overridden."""
        parameters = inspect.signature(self.agent_class().__init__).parameters
        return tuple(name for name in parameters if name not in _NOT_SETTINGS)

    def policy_argument_names(self) -> tuple[str, ...]:
        """Return the valid names within ``policy_kwargs``; empty if they are not checked."""
        return ()

    def check_names(self, kind: str, given: Iterable[str], known: Iterable[str]) -> None:
        """Check that all given names are known.

        Args:
            kind: what they are names of, for the message.
            given: the names.
            known: every name that there is.

        Raises:
            ValueError: one is not; the message suggests similar names.
        """
        known = tuple(known)
        for name in given:
            if name not in known:
                raise ValueError(
                    f"{self.name} has no {kind} {name!r}; {nearest_names(name, known)}"
                )

    def checked_preset(self, preset: str | None, task: Task | None = None) -> str:
        """Return a preset's name after checking it; for None, the default (of the task, if given).

        Raises:
            ValueError: there is no such preset.
        """
        if preset is None:
            usual = None if task is None else self._usual_preset(task)
            return usual if usual in self.presets else self.presets[0]
        self.check_names("preset", [preset], self.presets)
        return preset

    def _usual_preset(self, task: Task) -> str | None:
        """Return the default preset of a task; None for the first, as for one that is missing."""
        return None

    def _preset(self, name: str) -> dict[str, Any]:
        """Return the arguments of a preset, whose name is valid."""
        return {}

    def build(
        self, env: VecEnv, arguments: Mapping[str, Any], *, seed: int, device: str
    ) -> BaseAlgorithm:
        """Return a new agent.

        Args:
            env: environment to train in.
            arguments: return value of :meth:`arguments`.
            seed: random seed.
            device: device of the networks.

        Raises:
            ValueError: an argument is out of range.
            TypeError: the algorithm does not learn.
        """
        raise TypeError(f"{self.name} does not learn")

    def load(
        self, file: Path, *, env: VecEnv | None = None, device: str = "auto", trust: bool = False
    ) -> BaseAlgorithm:
        """Load a saved agent.

        Args:
            file: the agent's file.
            env: environment to continue training in; not needed to predict.
            device: device of the networks.
            trust: allow file formats that can execute code when they are loaded.

        Raises:
            ValueError: the file does not hold such an agent, or its format can execute code and
                `trust` is False.
            OSError: the file cannot be read.
            TypeError: the algorithm does not learn, so its agents are not saved.
        """
        raise TypeError(f"{self.name} does not learn")


@dataclass(frozen=True)
class ImageGoalAlgorithm(Algorithm):
    """An algorithm of this library: its files hold no code, and its checkpoints a replay.

    Attributes:
        preset_when_still: default preset of games in which nothing moves by itself; None for the
            first.
    """

    resumes = True

    presets: tuple[str, ...] = ("compact", "compact-control", "paper", "small")
    preset_when_still: str | None = None

    def policy_argument_names(self) -> tuple[str, ...]:
        """Return the policy's keyword arguments, except those that the agent sets itself."""
        policy_classes = self.agent_class().policy_aliases.values()
        settings = self.argument_names()
        return tuple(
            name
            for policy_class in policy_classes
            for name, parameter in inspect.signature(policy_class).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY and name not in settings
        )

    def checked_settings(self, arguments: Mapping[str, Any]) -> CollectionSettings:
        """Return an agent's settings after checking them and its networks.

        Networks are built for the paper's frame size, as there is no environment yet.

        Args:
            arguments: return value of :meth:`arguments`.

        Raises:
            ValueError: an argument does not exist or is out of range.
            TypeError: an argument is of the wrong type.
        """
        agent = self.agent_class()(None, **arguments, _init_setup_model=False)
        agent.policy_class(_PICTURES, spaces.Discrete(2), lambda _: 1.0, **agent.policy_kwargs)
        settings: CollectionSettings = agent.settings
        return settings

    def _usual_preset(self, task: Task) -> str | None:
        still = None if task.moves_by_itself else self.preset_when_still
        return _PRESETS_OF_SUITES.get(task.suite, still)

    def _preset(self, name: str) -> dict[str, Any]:
        preset: dict[str, Any] = {} if name == NO_PRESET else self.agent_class().preset(name)
        return preset

    def build(
        self, env: VecEnv, arguments: Mapping[str, Any], *, seed: int, device: str
    ) -> BaseAlgorithm:
        """See :meth:`Algorithm.build`."""
        agent: BaseAlgorithm = self.agent_class()(env, **arguments, seed=seed, device=device)
        return agent

    def load(
        self, file: Path, *, env: VecEnv | None = None, device: str = "auto", trust: bool = False
    ) -> BaseAlgorithm:
        """See :meth:`Algorithm.load`; loading never executes code, so `trust` is not needed."""
        agent: BaseAlgorithm = self.agent_class().load(file, env=env, device=device)
        return agent

    def load_checkpoint(self, folder: Path, *, env: VecEnv, device: str = "auto") -> BaseAlgorithm:
        """Load an agent from its newest sound checkpoint, to continue training.

        Args:
            folder: folder of the checkpoints.
            env: environment made with the same arguments as the one it was trained in.
            device: device of the networks.

        Raises:
            ValueError: no checkpoint is sound, or `env` does not match.
            OSError: the checkpoints cannot be read.
        """
        agent: BaseAlgorithm = self.agent_class().load_checkpoint(folder, env, device)
        return agent


@dataclass(frozen=True)
class LibraryAlgorithm(Algorithm):
    """An algorithm of Stable-Baselines3 or sb3-contrib, to which STOP is an ordinary action.

    Its saved agents include neither the replay nor the state of random generators, so an
    interrupted run starts over. They are pickles, which can execute code when they are loaded.

    Attributes:
        settings: arguments that differ from the library's defaults.
        classes: arguments that are classes, as ``"module:Class"``.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)

    def argument_names(self) -> tuple[str, ...]:
        """Return the names of the settings that can be overridden: all but classes."""
        return tuple(name for name in super().argument_names() if name not in self.classes)

    def _preset(self, name: str) -> dict[str, Any]:
        return dict(self.settings)

    def build(
        self, env: VecEnv, arguments: Mapping[str, Any], *, seed: int, device: str
    ) -> BaseAlgorithm:
        """See :meth:`Algorithm.build`."""
        classes = {name: resolve_name(home) for name, home in self.classes.items()}
        own = copy.deepcopy(dict(arguments))  # the library modifies its policy_kwargs
        agent: BaseAlgorithm = self.agent_class()(
            "MultiInputPolicy", env, **own, **classes, seed=seed, device=device
        )
        return agent

    def load(
        self, file: Path, *, env: VecEnv | None = None, device: str = "auto", trust: bool = False
    ) -> BaseAlgorithm:
        """See :meth:`Algorithm.load`."""
        if not trust:
            raise ValueError(
                f"{file} holds pickles, which can execute code when they are loaded; it is "
                "loaded only with trust=True (--trust)"
            )
        agent_class = self.agent_class()
        try:
            agent: BaseAlgorithm = agent_class.load(file, env=env, device=device)
        except OSError:
            raise
        except Exception as error:  # unpickling may raise anything
            raise ValueError(
                f"{file} holds no agent of {self.name}, or is damaged: {error}"
            ) from error
        return agent


@dataclass(frozen=True)
class Player(Algorithm):
    """An agent that does not learn, as a reference for the others."""

    learns = False

    presets: tuple[str, ...] = ("untrained",)

    def argument_names(self) -> tuple[str, ...]:
        """Return an empty tuple: there are no settings."""
        return ()

    def player(self, stop_action: int, seed: int) -> Predictor:
        """Return the agent.

        Args:
            stop_action: index of STOP.
            seed: random seed, if the agent is random.
        """
        player_class = self.agent_class()
        takes_seed = "seed" in inspect.signature(player_class).parameters
        player: Predictor = player_class(stop_action, **({"seed": seed} if takes_seed else {}))
        return player
