"""The options of each command: names, defaults and help texts.

In: nothing. This module imports nothing heavy, so that ``--help`` answers at once. Out: a dataclass
for each command, which the command's function takes.

The option parser keeps line breaks of attribute docstrings in ``--help``, so lines are short enough
for a terminal of 80 columns.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from glamor_gym.experiments import RunSpec
from glamor_gym.vector import CollectorKind

Value = TypeVar("Value")
GoalSplit = Literal["evaluation", "training"]
Reproduction = Literal[
    "table-1",
    "figure-2",
    "figure-3a",
    "figure-3b",
    "figure-4",
    "figure-6",
    "figure-7",
    "figure-8",
    "figure-11",
    "figure-12",
    "appendix-a1",
    "all",
]


def _or_else(metavar: str, default: object) -> object:
    """Describe an optional option and the value that is used if it is omitted.

    The parsed value is then None or empty, so that a resumed run keeps the value it has.
    """
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {default})")


def _one_word(
    metavar: str, kind: type[Value], read: Callable[[str], Value]
) -> PrimitiveConstructorSpec[Value]:
    """Return how an option of one word is read; its default is of `kind` or None."""
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: read(words[0]),
        is_instance=lambda value: value is None or isinstance(value, kind),
        str_from_instance=lambda value: [str(value)],
    )


def _as_count(word: str) -> int:
    with contextlib.suppress(ValueError):
        number = float(word)
        if number.is_integer():
            return int(number)
    raise ValueError(f"expected a whole number, got {word}")


_COUNT = _one_word("INT", int, _as_count)
"""Reads a whole number, which may be written ``5e5``."""


def _as_folder(word: str) -> Path:
    if not word:
        raise ValueError("expected a folder, got ''")
    return Path(word)


_FOLDER = _one_word("DIR", Path, _as_folder)
"""Reads a folder, which an empty word (of a variable that is not set, say) does not name."""

Flag = tyro.conf.FlagCreatePairsOff[bool]
"""A switch that is off by default."""

Assignments = Annotated[
    tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE"), tyro.conf.UseAppendAction
]
"""One or more assignments; tyro gets one per option, see ``assignments.one_per_option``."""


@dataclass(frozen=True)
class Tasks:
    """List the tasks: horizon, actions, labels, goals, and the paper's figures."""

    verbose: Flag = False
    """Also print the known weaknesses of each task's labels."""


@dataclass(frozen=True)
class Train:
    """Train an agent on a task, evaluate it on the fixed goals, and write a report.

    The run folder gets config.json, metrics.csv, TensorBoard events, checkpoint/ and report.html.
    If it already holds a run, that run resumes from its checkpoint and continues up to --steps;
    of a finished one, the results are printed.
    Ctrl-C saves the agent; the same command then resumes the run.
    """

    task: Annotated[str | None, _or_else("TASK", "that of the resumed run")] = None
    """Name or id of a task, e.g. Seaquest, or MODULE:ID of a
    goal environment that MODULE registers."""
    agent: Annotated[str | None, _or_else("AGENT", RunSpec.algorithm)] = None
    """Algorithm: glamor, gcsl, discern, dqn-her, ppo, qrdqn,
    or MODULE:CLASS for an agent of your own or another one
    of Stable-Baselines3's; random and noop are only
    evaluated."""
    steps: Annotated[int | None, _COUNT, _or_else("INT", RunSpec.steps)] = None
    """Total number of environment steps."""
    preset: Annotated[str | None, _or_else("PRESET", "chosen by task")] = None
    """Settings to start from; --set changes single ones.
    compact: for games; learns in minutes on two cores. Chosen for environments of your own.
    compact-control: the same, for worlds where nothing moves by itself.
    small: the same, for observations that are vectors.
    best, best-control: for a GPU and 500,000 steps; glamor only, not measured yet.
    paper: the published settings.
    default: the only preset of dqn-her, ppo and qrdqn."""
    seed: Annotated[int | None, _or_else("INT", RunSpec.seed)] = None
    """Random seed of networks, exploration, environments and evaluation."""
    n_envs: Annotated[int | None, _or_else("INT", RunSpec.n_envs)] = None
    """Number of environments in which data is collected."""
    run_dir: Annotated[Path | None, _FOLDER, _or_else("DIR", "runs/TASK[-AGENT]-PRESET-SEED")] = (
        None
    )
    """Folder of the run, new or to be resumed."""
    eval_every: Annotated[int | None, _COUNT, _or_else("INT", "a fifth of --steps")] = None
    """Environment steps between evaluations. A resumed run keeps its own unless --steps changes."""
    episodes_per_goal: Annotated[int | None, _or_else("INT", RunSpec.episodes_per_goal)] = None
    """Episodes per goal in the final evaluation; earlier evaluations run one per goal."""
    minutes: Annotated[float | None, _or_else("FLOAT", "no limit")] = None
    """Limit on the minutes of training. A resumed run keeps its own unless --steps is given."""
    checkpoint_minutes: Annotated[float | None, _or_else("FLOAT", RunSpec.checkpoint_minutes)] = (
        None
    )
    """Minutes between checkpoints, from which runs of glamor, gcsl and discern can resume."""
    device: str = "auto"
    """Device for the networks: cpu, cuda, or auto (CUDA if available)."""
    collect: Annotated[
        CollectorKind | None,
        _or_else(f"{{{','.join(get_args(CollectorKind))}}}", RunSpec.collect),
    ] = None
    """Where environments are stepped.
    in-process: one after the other in this process.
    threads: in C++ threads; Atari only, without labels, and not for every game and option.
    workers: in worker processes, which are replaced if they fail.
    auto: in-process without CUDA; with it the fastest for the task."""
    set: Assignments = ()
    """Setting of the agent, e.g. n_trials=200 or
    policy_kwargs.encoder=residual. A value is JSON (true,
    null, [80, 104]) or else a string; True, False and None
    are read as in Python."""
    env: Assignments = ()
    """Keyword argument of gym.make, e.g. render_profile=fast."""


@dataclass(frozen=True, kw_only=True)
class OfSavedAgent:
    """What a saved agent is, and where it acts."""

    task: Annotated[str | None, _or_else("TASK", "read from the run or the file")] = None
    """Name or id of the task that the agent acts in."""
    algorithm: Annotated[str | None, _or_else("AGENT", "read from the run or the file")] = None
    """Algorithm of the saved agent: glamor, gcsl, discern, dqn-her, ppo, qrdqn or MODULE:CLASS."""
    trust: Flag = False
    """Allow agents of other libraries, whose files execute code when they are loaded."""
    env: Assignments = ()
    """Keyword argument of gym.make, e.g. render_profile=fast; added to those of a run."""


@dataclass(frozen=True, kw_only=True)
class PlayedAgent(OfSavedAgent):
    """A saved agent, and the goals it is given."""

    agent: tyro.conf.Positional[Path]
    """Run folder, its checkpoint/, or the file of a saved agent."""
    goals: str = "eval"
    """eval, held-out (up to 30 others), train, all
    (small worlds only), or a goal-set file: its
    training goals, or with FILE.npz:eval and
    FILE.npz:held-out those."""
    device: str = "auto"
    """Device for the networks: cpu, cuda, or auto (CUDA if available)."""


@dataclass(frozen=True, kw_only=True)
class Evaluate(PlayedAgent):
    """Evaluate a trained agent on the fixed goals of a task.

    Prints the share of goals reached, next to those of a random agent, of an agent that stops at
    once, and of the paper's agents.
    """

    episodes_per_goal: int = 1
    """Episodes per goal."""
    seed: int = RunSpec.seed
    """Random seed of the episode starts and of the agents."""
    n_envs: int = 10
    """Number of environments that are run together."""
    out: Annotated[Path | None, _FOLDER, _or_else("DIR", "see above")] = None
    """Folder for evaluation.json, a sheet of the goals,
    and videos. By default it lies in the folder of
    the run, or in one named after the agent's file:
    evaluation/; for other goals held-out/,
    evaluation-train/ and so on, for those of a file
    named after it and the start of its SHA-256; with
    --task or --env for example evaluation-horizon=4/."""


@dataclass(frozen=True, kw_only=True)
class Watch(PlayedAgent):
    """Record a video of a trained agent trying to reach goals.

    Each frame shows the environment, the goal, and the newest frame as the agent sees it; below
    them the step, the next action and, for agents that plan, the length and the log score of the
    plan that the action belongs to. The last frame of an episode says whether the goal was
    reached, judged by the labels.
    """

    goal: Annotated[tuple[int, ...], _or_else("K ...", "a few, spread over the set")] = ()
    """Indices of goals in their set, from 0."""
    picture: Annotated[tuple[Path, ...], _or_else("FILE ...", "none")] = ()
    """Pictures of your own as goals, such as screenshots, in
    place of --goals: PNG, JPEG and others that Pillow
    reads. They are made as small and gray as the agent's
    observations. Whether one is reached is left to you to
    judge."""
    episodes: Annotated[
        int | None, _or_else("INT", "one per --goal or --picture, otherwise up to 6")
    ] = None
    """Total number of episodes; the goals take turns."""
    seed: int = RunSpec.seed
    """Random seed of the episode starts, as in glamor-gym evaluate, and of the agent."""
    out: Annotated[Path | None, _or_else("PATH", "watch.mp4 in the agent's folder")] = None
    """File that ends in .mp4, .webm or .gif, or a folder for
    watch.mp4. The agent's folder is that of its run, or one
    named after its file."""
    fps: int = 10
    """Episode steps per second of video."""
    open: Flag = False
    """Open the video in the system's default application when it is done."""


@dataclass(frozen=True)
class Export:
    """Write a trained agent to one small file to share: only its weights, in half precision.

    GlamorAgent.load reads the file; glamor-gym evaluate and watch accept it in place of a run.
    """

    agent: tyro.conf.Positional[Path]
    """Run folder, its checkpoint/, or the file of a saved agent."""
    out: Annotated[Path | None, _or_else("PATH", "TASK-AGENT.safetensors next to the agent")] = None
    """Output file, or an existing folder for it; missing
    folders are created. An existing file is replaced."""
    full: Flag = False
    """Keep the weights in full precision."""
    packed: Flag = False
    """Store large matrices with 4 bits per weight: about a third of the half-precision size."""


@dataclass(frozen=True)
class Reproduce:
    """Reproduce a table or figure of the paper, next to the published numbers.

    - table-1: goals reached on every task by every agent;
    - figure-2: learning curves, with figures 9 and 10;
    - figure-3a: planning compute in the grid world, as maps of the room;
    - figure-3b: three ways to end an episode, on cartpole;
    - figure-4: a planner that is not guided by the model;
    - figure-6: number of trials and action prior during data collection;
    - figure-7: learning from random data, GLAMOR and GCSL;
    - figure-8: 1 and 50 trials at evaluation;
    - figure-11: goals and achieved states, Atari;
    - figure-12: goals and achieved states, control;
    - appendix-a1: GCSL and GLAMOR on a task with two dice;
    - all: all of the above.

    DIR/NAME gets data.csv, NAME.png, NAME.svg, comparison.csv and README.md; DIR/reproduction.json
    keeps the commands.
    Trained agents and measurements are kept under DIR and reused, also by other figures, so the
    same command continues after an interruption.
    """

    name: tyro.conf.Positional[Reproduction]
    """Table or figure to reproduce, or all."""
    quick: Flag = False
    """Use a small scale that takes minutes on two cores; the
    figure says so. Otherwise the scale is the paper's,
    which may take months here."""
    out: Annotated[Path, _FOLDER] = Path("runs/reproduce")
    """Output folder, new or of earlier reproductions."""
    tasks: Annotated[tuple[str, ...], _or_else("[TASK ...]", "as in the chosen scale")] = ()
    """Tasks to use instead of those of the scale."""
    agents: Annotated[tuple[str, ...], _or_else("[AGENT ...]", "as in the chosen scale")] = ()
    """Agents to compare instead; table-1 and figure-2 only."""
    seeds: Annotated[tuple[int, ...], _or_else("[INT ...]", "as in the chosen scale")] = ()
    """Random seeds to use instead; one training run each. Figures 11 and 12 use only one."""
    steps: Annotated[int | None, _COUNT, _or_else("INT", "as in the chosen scale")] = None
    """Environment steps per training run; for appendix-a1,
    rolls of the dice that GCSL learns from in all its
    iterations (GLAMOR's steps stay the same)."""
    device: str = "auto"
    """Device for the networks: cpu, cuda, or auto (CUDA if available)."""


@dataclass(frozen=True, kw_only=True)
class Workers:
    """How the runs of an experiment are executed."""

    engine: Literal["local", "ray"] = "local"
    """Where runs are executed: in processes on this machine, or by Ray."""
    jobs: Annotated[int | None, _or_else("INT", "one per two cores")] = None
    """Number of runs at a time; on a Ray cluster, its CPU cores set the limit."""
    address: Annotated[str | None, _or_else("ADDRESS", "start Ray on this machine")] = None
    """Address of a Ray cluster whose machines share DIR."""
    gpus: float = 0.0
    """GPUs that Ray reserves per run, e.g. 0.25 for four runs on one GPU."""
    retries: int = 1
    """How often a run is restarted if its process dies (not if it fails with an error)."""
    device: str = "auto"
    """Device for the networks: cpu, cuda, or auto (CUDA if available)."""


@dataclass(frozen=True, kw_only=True)
class Benchmark(Workers):
    """Run several agents on several tasks and seeds, and compare how many goals they reach.

    Every run has the same budget of environment steps and is evaluated on the same goals at the
    same steps. DIR gets a folder for each run, results.csv (one row per run), curves.csv (one row
    per evaluation), table.md (goals reached, next to the paper's) and report.html. Finished runs
    are skipped, so the same command continues after Ctrl-C. A failed run does not stop the others.
    The exit code is 1 if a run is not finished.
    """

    tasks: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TASK ...")]
    """Names or ids of tasks, or MODULE:ID; atari,
    control and small stand for all tasks of a suite."""
    out: Annotated[Path, _FOLDER]
    """Folder of the benchmark, new or to be continued."""
    agents: Annotated[tuple[str, ...], tyro.conf.arg(metavar="AGENT ...")] = ("glamor",)
    """Algorithms, from glamor, gcsl, discern, dqn-her,
    ppo, qrdqn, random and noop; or MODULE:CLASS, an
    agent's class of your own or of Stable-Baselines3
    (its rewards are for equal pictures, unless --env
    reward=labels)."""
    seeds: Annotated[tuple[int, ...], tyro.conf.arg(metavar="INT ...")] = (RunSpec.seed,)
    """Random seeds; one run each."""
    steps: Annotated[int, _COUNT] = RunSpec.steps
    """Environment steps per run."""
    preset: Annotated[str | None, _or_else("PRESET", "chosen by task")] = None
    """Preset for the agents that have it; the others use their default."""
    n_envs: int = RunSpec.n_envs
    """Number of environments in which data is collected."""
    eval_every: Annotated[int | None, _COUNT, _or_else("INT", "a fifth of --steps")] = None
    """Environment steps from one evaluation to the next."""
    episodes_per_goal: int = RunSpec.episodes_per_goal
    """Episodes per goal in the final evaluation; earlier evaluations run one per goal."""
    minutes: Annotated[float | None, _or_else("FLOAT", "no limit")] = None
    """Stop the training of each run after this many minutes, even if steps are left."""
    set: Assignments = ()
    """Setting of one agent, e.g. glamor.n_trials=200 or CLASS.n_trials=200."""
    env: Assignments = ()
    """Keyword argument of gym.make, e.g. render_profile=fast."""


@dataclass(frozen=True, kw_only=True)
class Ablate(Workers):
    """Change one thing about GLAMOR at a time, and measure the effect of each change.

    A base and its variants are run on a panel of tasks with the same seeds, steps and minutes. DIR
    gets a folder for each run, results.csv (one row per run, failed ones included) and report.html:
    each variant's difference from the base, with confidence intervals. Finished runs are skipped.
    Another call with the same DIR adds its changes, tasks and seeds; options left out keep their
    values, and without --change every existing variant is run. The exit code is 1 if a run is not
    finished.
    """

    out: Annotated[Path, _FOLDER]
    """Folder of the ablation, new or to be continued."""
    base: Annotated[str | None, _or_else("PRESET", "compact")] = None
    """Preset to vary."""
    change: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="NAME=VALUE[,NAME=VALUE]"),
        tyro.conf.UseAppendAction,
    ] = ()
    """One variant: a setting to change, e.g. weight_decay=0.1
    or policy_kwargs.token_size=32. planner.NAME, for
    example planner.n_trials=200, changes only how agents
    plan at evaluation, and trains no new ones. Join
    settings that belong together by commas."""
    set: Assignments = ()
    """Setting in which the base differs from its preset, e.g. learning_starts=1000."""
    tasks: Annotated[tuple[str, ...], _or_else("[TASK ...]", "seven that train quickly")] = ()
    """Names or ids of the tasks on which variants are compared, or MODULE:ID."""
    held_out: Annotated[tuple[str, ...], _or_else("[TASK ...]", "none")] = ()
    """Further tasks, which are reported separately."""
    held_out_goals: Flag = False
    """Also evaluate every agent on up to 30 held-out goals, and report those separately."""
    seeds: Annotated[tuple[int, ...], _or_else("[INT ...]", RunSpec.seed)] = ()
    """Random seeds; one run each."""
    steps: Annotated[int | None, _COUNT, _or_else("INT", 30_000)] = None
    """Environment steps per run."""
    minutes: Annotated[float | None, _or_else("FLOAT", "no limit")] = None
    """Stop the training of each run after this many minutes, even if steps are left."""
    n_envs: Annotated[int | None, _or_else("INT", RunSpec.n_envs)] = None
    """Number of environments in which data is collected."""
    eval_every: Annotated[int | None, _COUNT, _or_else("INT", "only at the end")] = None
    """Environment steps from one evaluation to the next."""
    episodes_per_goal: Annotated[int | None, _or_else("INT", RunSpec.episodes_per_goal)] = None
    """Episodes per goal in the final evaluation; earlier evaluations run one per goal."""
    env: Assignments = ()
    """Keyword argument of gym.make, e.g. render_profile=fast."""


@dataclass(frozen=True)
class Report:
    """Rewrite the report of a run, a benchmark or an ablation from the files in its folder."""

    path: tyro.conf.Positional[Path]
    """Folder of a run, a benchmark or an ablation."""


@dataclass(frozen=True)
class BuildGoals:
    """Select goals from random play, and write them to a file."""

    task: tyro.conf.Positional[str]
    """Name or id of a task."""
    out: Annotated[Path | None, _or_else("FILE", "TASK.npz")] = None
    """File for the goal set."""
    seed: int = RunSpec.seed
    """Random seed of environments, actions and selection."""
    episodes: int = 2000
    """Episodes of random play from which the goals are selected."""


@dataclass(frozen=True)
class ShowGoals:
    """Print what a goal set contains and how it was made."""

    goals: tyro.conf.Positional[str]
    """Name or id of a task, or the path of a goal set."""
    which: GoalSplit = "evaluation"
    """Goals to show in the picture."""
    out: Annotated[Path | None, _or_else("FILE", "no picture")] = None
    """File for a picture of the goals, .png or .webp; missing folders are created."""


@dataclass(frozen=True)
class VerifyGoals:
    """Check goal sets: hashes, counts, label ranges, and that every goal can be drawn.

    The exit code is 1 if a goal set fails a check.
    """

    goals: tyro.conf.Positional[tuple[str, ...]] = ()
    """Names or ids of tasks, or paths of goal sets; all tasks if none is given."""


@dataclass(frozen=True)
class ReportGoals:
    """Measure aliasing: how often equal pictures have different labels.

    Also reports how many goals a random and a no-op agent reach, and an upper bound for any agent
    if goal labels were read one step late (label_lag=1). DIR gets aliasing.csv, aliasing.png,
    aliasing.svg and aliasing.html.
    """

    tasks: tyro.conf.Positional[tuple[str, ...]] = ()
    """Names or ids of tasks; all Atari games if none is given."""
    out: Annotated[Path, _FOLDER] = Path("aliasing")
    """Output folder."""
    episodes: int = 500
    """Random episodes per task whose pictures are compared."""
    episodes_per_goal: int = 5
    """Episodes per goal for the random and the no-op agent."""
    seed: int = RunSpec.seed
    """Random seed of environments and actions."""


@dataclass(frozen=True)
class Goals:
    """Build, show or verify goal sets, or measure aliasing in their pictures."""

    action: tyro.conf.OmitSubcommandPrefixes[
        Annotated[BuildGoals, tyro.conf.subcommand("build")]
        | Annotated[ShowGoals, tyro.conf.subcommand("show")]
        | Annotated[VerifyGoals, tyro.conf.subcommand("verify")]
        | Annotated[ReportGoals, tyro.conf.subcommand("report")]
    ]


@dataclass(frozen=True)
class Doctor:
    """Check what this machine can run, what is missing, and how to fix it.

    Each line is ok, warn or fail. The exit code is 1 if any line is fail.
    """

    buffer_size: Annotated[int, _COUNT] = 1_000_000
    """Size in frames of the replay buffer that has to fit into memory."""


@dataclass(frozen=True, kw_only=True)
class Check(OfSavedAgent):
    """Check that an environment or a saved agent meets the interfaces that other code relies on.

    Runs Gymnasium's and Stable-Baselines3's checkers, and checks that those lack. Each failure
    comes with a way to fix it. The exit code is 1 if a check fails.
    """

    subject: tyro.conf.Positional[str]
    """Environment id (MODULE:ID imports MODULE first), file of a saved agent, or run folder."""
    seed: int = RunSpec.seed
    """Random seed of the environment and of the actions."""
    json: Flag = False
    """Print the report as JSON."""
