"""The options of each command: their names, their defaults, and what ``--help`` says.

In: nothing. This module imports none of the library's working parts, so that ``--help`` is there
at once. Out: a dataclass for each command, which its function takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from glamor_gym.experiments import RunSpec

GoalSplit = Literal["evaluation", "training"]


def _or_else(metavar: str, default: object) -> object:
    """Describe an option that may be left out, and what is taken then.

    Its value is None where it was left out, which tells a run that goes on to keep what it has.
    """
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {default})")


Flag = tyro.conf.FlagCreatePairsOff[bool]
"""A switch that is off unless it is named."""

Assignments = Annotated[
    tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE"), tyro.conf.UseAppendAction
]
"""An option that may be given several times, each time as ``NAME=VALUE``."""


@dataclass(frozen=True)
class Tasks:
    """List the tasks: horizon, actions, labels, goals, and the paper's figures."""

    verbose: Flag = False
    """Say also what is known to be weak about a task's labels."""


@dataclass(frozen=True)
class Train:
    """Train an agent on a task, evaluate it on the fixed goals, and write a page about it.

    The folder of the run gets config.json, metrics.csv, events for TensorBoard, checkpoint/ and
    report.html. If it holds a run already, that run goes on from its checkpoint up to --steps.
    Ctrl-C saves the agent and reports the last evaluation.
    """

    task: Annotated[str | None, _or_else("TASK", "that of the run that goes on")] = None
    """Name or id of a task, e.g. Seaquest."""
    agent: Annotated[str | None, _or_else("AGENT", RunSpec.algorithm)] = None
    """What is trained: glamor, gcsl, discern, dqn-her, ppo, qrdqn; random and noop only play."""
    steps: Annotated[int | None, _or_else("INT", RunSpec.steps)] = None
    """Environment steps in all."""
    preset: Annotated[str | None, _or_else("PRESET", "compact")] = None
    """compact learns in minutes on two cores, small likewise on vectors; paper is as published.
    Agents of other libraries have one alone, called default."""
    seed: Annotated[int | None, _or_else("INT", RunSpec.seed)] = None
    """Of everything: networks, exploration, environments, evaluation."""
    n_envs: Annotated[int | None, _or_else("INT", RunSpec.n_envs)] = None
    """Environments that collect data side by side."""
    run_dir: Annotated[Path | None, _or_else("DIR", "runs/TASK-PRESET-SEED")] = None
    """Folder of the run."""
    eval_every: Annotated[int | None, _or_else("INT", "a fifth of --steps")] = None
    """Environment steps from one evaluation to the next."""
    episodes_per_goal: Annotated[int | None, _or_else("INT", RunSpec.episodes_per_goal)] = None
    """How often each goal is tried in the last evaluation; once in those before it."""
    minutes: Annotated[float | None, _or_else("FLOAT", "no limit")] = None
    """End the training after so many minutes, whatever steps are left."""
    device: str = "auto"
    """Where the networks are: cpu, cuda, or auto, which is CUDA where there is one."""
    set: Assignments = ()
    """A setting of the agent, e.g. n_trials=200 or policy_kwargs.encoder=residual."""
    env: Assignments = ()
    """A keyword argument of gym.make, e.g. render_profile=fast."""


@dataclass(frozen=True)
class Evaluate:
    """Send a trained agent to the fixed goals of a task, and say how many it reaches.

    Beside it stand an agent that acts at random, one that stops at once, and the paper's figures.
    """

    agent: tyro.conf.Positional[Path]
    """Folder of a run, or the file of a saved agent."""
    task: Annotated[str | None, _or_else("TASK", "that of the run")] = None
    """Name or id of a task; needed for a saved agent."""
    episodes_per_goal: int = 1
    """How often each goal is tried."""
    seed: int = RunSpec.seed
    """Of the starts, and of what the agents draw."""
    n_envs: int = 10
    """Environments side by side."""
    goals: str = "eval"
    """eval, train, all (small worlds only), or the path of a goal set."""
    device: str = "auto"
    """Where the networks are: cpu, cuda, or auto, which is CUDA where there is one."""
    env: Assignments = ()
    """A keyword argument of gym.make, e.g. render_profile=fast, beside those of the run."""
    out: Annotated[Path | None, _or_else("DIR", "evaluation/ beside the agent")] = None
    """Folder for evaluation.json, a sheet of the goals, and films of the episodes."""


@dataclass(frozen=True)
class BuildGoals:
    """Choose goals from random play, and write them to a file."""

    task: tyro.conf.Positional[str]
    """Name or id of a task."""
    out: Annotated[Path | None, _or_else("FILE", "TASK.npz")] = None
    """Where to write the goal set."""
    seed: int = RunSpec.seed
    """Of worlds, actions and choices."""
    episodes: int = 2000
    """Episodes of random play that the goals are chosen from."""


@dataclass(frozen=True)
class ShowGoals:
    """Say what a goal set holds, and how it was made."""

    goals: tyro.conf.Positional[str]
    """Name or id of a task, or the path of a goal set."""
    which: GoalSplit = "evaluation"
    """Which goals the picture shows."""
    out: Annotated[Path | None, _or_else("FILE", "no picture")] = None
    """Write a picture of the goals to this PNG file."""


@dataclass(frozen=True)
class VerifyGoals:
    """Check goal sets: hashes, counts, ranges, and that the goals are what they say they are.

    The exit code is 1 if something is wrong with one of them.
    """

    goals: tyro.conf.Positional[tuple[str, ...]] = ()
    """Tasks or paths of goal sets; all tasks if none is named."""


@dataclass(frozen=True)
class Goals:
    """Build, show or verify the goals of a task."""

    action: tyro.conf.OmitSubcommandPrefixes[
        Annotated[BuildGoals, tyro.conf.subcommand("build")]
        | Annotated[ShowGoals, tyro.conf.subcommand("show")]
        | Annotated[VerifyGoals, tyro.conf.subcommand("verify")]
    ]


@dataclass(frozen=True)
class Doctor:
    """Say what this machine can run, what is missing, and how to mend it.

    Each line is ok, warn or fail. The exit code is 1 if one of them is fail.
    """

    buffer_size: int = 1_000_000
    """Frames of the replay that is to fit into memory."""
