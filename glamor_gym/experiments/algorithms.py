"""The algorithms that can be put on a task: one table, one row an algorithm.

In: a name. Out: how that algorithm is built for an environment, and read back from a file.
Classes are named by text and imported when they are needed, so that the table is light.
"""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from glamor_gym.names import nearest_names
from glamor_gym.tasks import Suite

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecEnv

    from glamor_gym.evaluation.baselines import Predictor

_PICTURES = spaces.Dict(
    {
        name: spaces.Box(0, 255, (n_frames, 80, 104), np.uint8)
        for name, n_frames in (("observation", 4), ("achieved_goal", 1), ("desired_goal", 1))
    }
)
"""Observations as most tasks have them."""

_NOT_SETTINGS = frozenset(
    ("self", "policy", "env", "seed", "device", "verbose", "tensorboard_log", "_init_setup_model")
)
"""Arguments of an agent that a run sets itself."""


@dataclass(frozen=True)
class Algorithm(ABC):
    """One row of the table.

    Attributes:
        name: as it is typed, e.g. ``"dqn-her"``.
        title: as it is printed, e.g. ``"DQN + HER"``.
        home: module and class, ``"module:Class"``.
        presets: names of its sets of settings, the usual one first.
        presets_of_suites: the usual one of a suite where that is another.
        env_kwargs: keyword arguments of ``gym.make`` that it cannot do without in training.
    """

    name: str
    title: str
    home: str
    presets: tuple[str, ...] = ("default",)
    presets_of_suites: Mapping[Suite, str] = field(default_factory=dict)
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def learns(self) -> bool:
        """Whether there is anything to train."""
        return True

    @property
    def resumes(self) -> bool:
        """Whether a run of it can go on from its checkpoint instead of beginning anew."""
        return False

    def agent_class(self) -> type[Any]:
        """Import the class of the agent.

        Raises:
            ModuleNotFoundError: it is part of a library that is not installed.
        """
        agent_class: type[Any] = _imported(self.home)
        return agent_class

    def arguments(
        self, preset: str | None, overrides: Mapping[str, Any], steps: int
    ) -> dict[str, Any]:
        """Return the agent's arguments: those of a preset, with some of them replaced.

        Args:
            preset: one of `presets`; None for the first.
            overrides: argument → value; entries of ``policy_kwargs`` are replaced one by one.
            steps: environment steps that the run is to take.

        Returns:
            JSON-able values by name, ``policy_kwargs`` always among them.

        Raises:
            ValueError: there is no such preset, or no such argument.
        """
        chosen = self.checked_preset(preset)
        self._check_names("setting", overrides, self.argument_names())
        policy_overrides = overrides.get("policy_kwargs", {})
        if not isinstance(policy_overrides, Mapping):
            raise ValueError(
                f"policy_kwargs must be a mapping, as of policy_kwargs.NAME=VALUE, got "
                f"{policy_overrides!r}"
            )
        if policy_names := self.policy_argument_names():
            self._check_names("policy_kwargs", policy_overrides, policy_names)
        arguments = {"policy_kwargs": {}, **self._preset(chosen, steps)}
        policy_kwargs = arguments["policy_kwargs"] | dict(policy_overrides)
        return arguments | dict(overrides) | {"policy_kwargs": policy_kwargs}

    def argument_names(self) -> tuple[str, ...]:
        """Return the names of the settings that an override can have."""
        parameters = inspect.signature(self.agent_class().__init__).parameters
        return tuple(name for name in parameters if name not in _NOT_SETTINGS)

    def policy_argument_names(self) -> tuple[str, ...]:
        """Return what ``policy_kwargs`` can hold; nothing where that is not for us to say."""
        return ()

    def check_values(self, arguments: Mapping[str, Any]) -> None:
        """Check what can be checked of an agent's arguments before there is an environment.

        Args:
            arguments: what :meth:`arguments` returned.

        Raises:
            ValueError: there is no such argument, or one is out of its range.
            TypeError: one is of the wrong type.
        """
        self._check_names("setting", arguments, ("policy_kwargs", *self.argument_names()))

    def _check_names(self, kind: str, given: Iterable[str], known: Iterable[str]) -> None:
        """Check that there is what was named.

        Raises:
            ValueError: there is not; the message names the nearest ones.
        """
        known = tuple(known)
        for name in given:
            if name not in known:
                raise ValueError(
                    f"{self.name} has no {kind} {name!r}; {nearest_names(name, known)}"
                )

    def checked_preset(self, preset: str | None, suite: Suite | None = None) -> str:
        """Return the name of a preset; for None the usual one, of the suite if that is known.

        Raises:
            ValueError: there is no such preset.
        """
        if preset is None:
            usual = self.presets[0]
            return usual if suite is None else self.presets_of_suites.get(suite, usual)
        if preset not in self.presets:
            raise ValueError(
                f"{self.name} has no preset {preset!r}; {nearest_names(preset, self.presets)}"
            )
        return preset

    def _preset(self, name: str, steps: int) -> dict[str, Any]:
        """Return the arguments of a preset that there is."""
        return {}

    @abstractmethod
    def build(
        self, env: VecEnv, arguments: Mapping[str, Any], *, seed: int, device: str
    ) -> BaseAlgorithm:
        """Return a new agent.

        Args:
            env: what it is to learn in.
            arguments: what :meth:`arguments` returned.
            seed: of everything in it.
            device: where its networks are to be.

        Raises:
            ValueError: an argument is out of its range.
            TypeError: it does not learn.
        """

    @abstractmethod
    def load(
        self, file: Path, *, env: VecEnv | None = None, device: str = "auto", trust: bool = False
    ) -> BaseAlgorithm:
        """Read a saved agent.

        Args:
            file: where it is.
            env: to go on learning in; not needed to predict.
            device: where its networks are to be.
            trust: read files that execute what is in them, too.

        Raises:
            ValueError: the file is no such agent, or executes code and is not trusted.
            OSError: it cannot be read.
            TypeError: it does not learn, and so is not saved.
        """


@dataclass(frozen=True)
class ImageGoalAlgorithm(Algorithm):
    """An agent of this library: its files hold numbers only, and runs of it can go on."""

    presets: tuple[str, ...] = ("compact", "compact-control", "paper", "small")
    presets_of_suites: Mapping[Suite, str] = field(
        default_factory=lambda: {"control": "compact-control", "small": "small"}
    )

    @property
    def resumes(self) -> bool:
        """Always: its checkpoint holds its replay as well."""
        return True

    def policy_argument_names(self) -> tuple[str, ...]:
        """Return the policy's keyword arguments, but for those that are settings of the agent."""
        (policy_class,) = self.agent_class().policy_aliases.values()
        settings = self.argument_names()
        return tuple(
            name
            for name, parameter in inspect.signature(policy_class).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY and name not in settings
        )

    def check_values(self, arguments: Mapping[str, Any]) -> None:
        """See :meth:`Algorithm.check_values`; networks are built as for the paper's pictures."""
        agent = self.agent_class()(None, **arguments)
        agent.policy_class(_PICTURES, spaces.Discrete(2), lambda _: 1.0, **agent.policy_kwargs)

    def _preset(self, name: str, steps: int) -> dict[str, Any]:
        preset: dict[str, Any] = self.agent_class().preset(name)
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
        """See :meth:`Algorithm.load`; nothing in such a file is executed."""
        agent: BaseAlgorithm = self.agent_class().load(file, env=env, device=device)
        return agent

    def load_checkpoint(self, folder: Path, *, env: VecEnv, device: str = "auto") -> BaseAlgorithm:
        """Read an agent that is to go on learning where it was.

        Args:
            folder: where its checkpoints are.
            env: made as the one that it learned in.
            device: where its networks are to be.

        Raises:
            ValueError: no checkpoint is sound, or `env` is another.
            OSError: they cannot be read.
        """
        agent: BaseAlgorithm = self.agent_class().load_checkpoint(folder, env, device)
        return agent


@dataclass(frozen=True)
class LibraryAlgorithm(Algorithm):
    """An algorithm of Stable-Baselines3 or sb3-contrib, to which STOP is an action like others.

    Its checkpoints hold neither its replay nor its random numbers, so that a run of it that was
    broken off begins anew; and they are pickles, which execute what is in them when they are read.

    Attributes:
        settings: arguments that differ from the library's own.
        classes: arguments that are classes, as ``"module:Class"``.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)

    def argument_names(self) -> tuple[str, ...]:
        """Return what can be overridden: every argument that is no class."""
        return tuple(name for name in super().argument_names() if name not in self.classes)

    def _preset(self, name: str, steps: int) -> dict[str, Any]:
        return dict(self.settings)

    def build(
        self, env: VecEnv, arguments: Mapping[str, Any], *, seed: int, device: str
    ) -> BaseAlgorithm:
        """See :meth:`Algorithm.build`."""
        classes = {name: _imported(home) for name, home in self.classes.items()}
        own = copy.deepcopy(dict(arguments))  # the library adds to its policy_kwargs
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
                f"{file} holds pickles, which execute what is in them: it is read only where "
                "trust is given"
            )
        agent: BaseAlgorithm = self.agent_class().load(file, env=env, device=device)
        return agent


@dataclass(frozen=True)
class Player(Algorithm):
    """An agent that has nothing to learn, beside which the others are to be seen."""

    presets: tuple[str, ...] = ("untrained",)

    @property
    def learns(self) -> bool:
        """Never."""
        return False

    def argument_names(self) -> tuple[str, ...]:
        """Return no name: there is nothing to set."""
        return ()

    def player(self, stop_action: int, seed: int) -> Predictor:
        """Return the agent.

        Args:
            stop_action: index of STOP.
            seed: of what it draws, if it draws anything.
        """
        player_class = self.agent_class()
        takes_seed = "seed" in inspect.signature(player_class).parameters
        player: Predictor = player_class(stop_action, **({"seed": seed} if takes_seed else {}))
        return player

    def build(
        self, env: VecEnv, arguments: Mapping[str, Any], *, seed: int, device: str
    ) -> BaseAlgorithm:
        """See :meth:`Algorithm.build`."""
        raise TypeError(f"{self.name} does not learn; it is made by player()")

    def load(
        self, file: Path, *, env: VecEnv | None = None, device: str = "auto", trust: bool = False
    ) -> BaseAlgorithm:
        """See :meth:`Algorithm.load`."""
        raise TypeError(f"{self.name} does not learn, and so is not saved")


def _imported(home: str) -> Any:
    module, _, name = home.partition(":")
    return getattr(import_module(module), name)


_LABELS = MappingProxyType({"reward": "labels"})
"""Algorithms without relabelling never meet the picture of a goal by chance; they are paid by
the labels, which is a privilege that the others do not have."""

_OFF_POLICY: Mapping[str, Any] = MappingProxyType(
    {
        "buffer_size": 1_000_000,
        "learning_starts": 1_000,
        # With the usual eight environments an update for every four steps, as the library has it.
        "train_freq": 1,
        "gradient_steps": 2,
        "target_update_interval": 1_000,
        "exploration_fraction": 0.3,
    }
)
"""What the library's own numbers, made for millions of steps, are here."""

_FRAME_BUFFER = MappingProxyType({"replay_buffer_class": "glamor_gym.replay:HindsightFrameBuffer"})

_ROWS = (
    ImageGoalAlgorithm(
        "glamor",
        "GLAMOR",
        "glamor_gym.agents:GlamorAgent",
        presets=("compact", "compact-control", "best", "best-control", "paper", "small"),
    ),
    ImageGoalAlgorithm("gcsl", "GCSL", "glamor_gym.agents:GCSLAgent"),
    ImageGoalAlgorithm("discern", "DISCERN", "glamor_gym.agents:DiscernAgent"),
    LibraryAlgorithm(
        "dqn-her",
        "DQN + HER",
        "stable_baselines3:DQN",
        settings={**_OFF_POLICY, "batch_size": 128, "gamma": 0.95},
        classes=_FRAME_BUFFER,
    ),
    LibraryAlgorithm(
        "ppo",
        "PPO (labels)",
        "stable_baselines3:PPO",
        env_kwargs=_LABELS,
        settings={"n_steps": 128, "batch_size": 128, "n_epochs": 4, "ent_coef": 0.01},
    ),
    LibraryAlgorithm(
        "qrdqn",
        "QR-DQN (labels)",
        "sb3_contrib:QRDQN",
        env_kwargs=_LABELS,
        settings={**_OFF_POLICY, "replay_buffer_kwargs": {"n_sampled_goal": 0}},
        classes=_FRAME_BUFFER,
    ),
    Player("random", "random", "glamor_gym.evaluation:RandomAgent"),
    Player("noop", "no-op", "glamor_gym.evaluation:NoopAgent"),
)

ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType({row.name: row for row in _ROWS})
"""Every algorithm by name: this library's, others' beside them, and those that learn nothing."""


def get_algorithm(name: str) -> Algorithm:
    """Return an algorithm by its name.

    Raises:
        ValueError: there is none; the message names the nearest ones.
    """
    if not isinstance(name, str):
        raise ValueError(f"agent must be a name such as 'glamor', got {type(name).__name__}")
    try:
        return ALGORITHMS[name]
    except KeyError:
        hint = nearest_names(name, ALGORITHMS)
        raise ValueError(f"unknown agent {name!r}; {hint}") from None
