"""The options of each command: their names, their defaults, and what ``--help`` says.

In: nothing. This module imports none of the library's working parts, so that ``--help`` is there
at once. Out: a dataclass for each command, which its function takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import tyro

from glamor_gym.experiments import RunSpec
from glamor_gym.vector import CollectorKind

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
    Ctrl-C saves the agent; the same command goes on from there.
    """

    task: Annotated[str | None, _or_else("TASK", "that of the run that goes on")] = None
    """Name or id of a task, e.g. Seaquest."""
    agent: Annotated[str | None, _or_else("AGENT", RunSpec.algorithm)] = None
    """What is trained: glamor, gcsl, discern, dqn-her, ppo, qrdqn; random and noop only play."""
    steps: Annotated[int | None, _or_else("INT", RunSpec.steps)] = None
    """Environment steps in all."""
    preset: Annotated[str | None, _or_else("PRESET", "what suits the task")] = None
    """compact learns in minutes on two cores, compact-control likewise where nothing moves but the
    agent, small likewise on vectors; best and best-control are for a GPU and 500,000 steps; paper
    is as published. Agents of other libraries have one alone, called default."""
    seed: Annotated[int | None, _or_else("INT", RunSpec.seed)] = None
    """Of everything: networks, exploration, environments, evaluation."""
    n_envs: Annotated[int | None, _or_else("INT", RunSpec.n_envs)] = None
    """Environments that collect data side by side."""
    run_dir: Annotated[Path | None, _or_else("DIR", "runs/TASK-PRESET-SEED")] = None
    """Folder of the run."""
    eval_every: Annotated[int | None, _or_else("INT", "a fifth of --steps")] = None
    """Steps between evaluations; those of a run that goes on, unless --steps changes."""
    episodes_per_goal: Annotated[int | None, _or_else("INT", RunSpec.episodes_per_goal)] = None
    """How often each goal is tried in the last evaluation; once in those before it."""
    minutes: Annotated[float | None, _or_else("FLOAT", "no limit")] = None
    """Minutes of training in all; those of a run that goes on, unless --steps is named."""
    checkpoint_minutes: Annotated[float | None, _or_else("FLOAT", RunSpec.checkpoint_minutes)] = (
        None
    )
    """Wall-clock time from one checkpoint to the next; runs of our own agents go on from them."""
    device: str = "auto"
    """Where the networks are: cpu, cuda, or auto, which is CUDA where there is one."""
    collect: Annotated[
        CollectorKind | None,
        _or_else(f"{{{','.join(get_args(CollectorKind))}}}", RunSpec.collect),
    ] = None
    """Where environments are stepped: in this process, in threads (Atari only), in worker processes
    that are replaced if they fail, or auto, which is in-process where there is no CUDA."""
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
    """Folder of a run, its checkpoint/, or the file of a saved agent."""
    task: Annotated[str | None, _or_else("TASK", "that of the run, or of the file")] = None
    """Name or id of a task."""
    episodes_per_goal: int = 1
    """How often each goal is tried."""
    seed: int = RunSpec.seed
    """Of the starts, and of what the agents draw."""
    n_envs: int = 10
    """Environments side by side."""
    algorithm: Annotated[str | None, _or_else("AGENT", "that of the run, or of the file")] = None
    """What a saved agent is: glamor, gcsl, discern, dqn-her, ppo or qrdqn."""
    trust: Flag = False
    """Read agents of other libraries too, whose files execute what is in them."""
    goals: str = "eval"
    """eval, held-out (up to 30 others), train, all (small worlds only), or a goal set's path."""
    device: str = "auto"
    """Where the networks are: cpu, cuda, or auto, which is CUDA where there is one."""
    env: Assignments = ()
    """A keyword argument of gym.make, e.g. render_profile=fast, beside those of the run."""
    out: Annotated[Path | None, _or_else("DIR", "a folder of the agent's own")] = None
    """Folder for evaluation.json, a sheet of the goals, and films of the episodes. Otherwise
    evaluation/ in the run's folder, or in one that is named like the agent's file; for other goals
    held-out/, evaluation-train/ and so on; with --task or --env one that names them as well, such
    as evaluation-horizon=4/."""


@dataclass(frozen=True)
class Watch:
    """Film a trained agent on its way to goals.

    On each frame stand the world, the goal and the newest frame as the agent sees it; beneath
    them the step, the action taken next, and for agents that plan the length and the log score of
    the plan that it is from. The last frame of an episode says whether the goal was reached, as
    the labels have it.
    """

    checkpoint: tyro.conf.Positional[Path]
    """Folder of a run, its checkpoint/, or the file of a saved agent."""
    task: Annotated[str | None, _or_else("TASK", "that of the run, or of the file")] = None
    """Name or id of a task."""
    goals: str = "eval"
    """eval, held-out (up to 30 others), train, all (small worlds only), or a goal set's path."""
    goal: Annotated[tuple[int, ...], _or_else("K ...", "some, spread over the set")] = ()
    """Numbers of goals in their set, from 0."""
    episodes: Annotated[int | None, _or_else("INT", "one for each --goal, else 6")] = None
    """How many episodes in all; the goals take turns."""
    seed: int = RunSpec.seed
    """Of the starts, as in glamor-gym evaluate, and of what the agent draws."""
    out: Annotated[Path | None, _or_else("PATH", "the agent's own folder")] = None
    """A file that ends in .mp4, .webm or .gif, or a folder for watch.mp4. The agent's own is that
    of its run, or one that is named like its file."""
    fps: int = 10
    """Frames, which are steps of the episode, a second."""
    open: Flag = False
    """Show the film when it is done, in what the system opens it with."""
    algorithm: Annotated[str | None, _or_else("AGENT", "that of the run, or of the file")] = None
    """What a saved agent is: glamor, gcsl, discern, dqn-her, ppo or qrdqn."""
    trust: Flag = False
    """Read agents of other libraries too, whose files execute what is in them."""
    device: str = "auto"
    """Where the networks are: cpu, cuda, or auto, which is CUDA where there is one."""
    env: Assignments = ()
    """A keyword argument of gym.make, e.g. horizon=20, beside those of the run."""


@dataclass(frozen=True)
class Export:
    """Write a trained agent to one small file to share: its weights alone, in half precision.

    GlamorAgent.load reads it, and glamor-gym evaluate and watch take it in place of a run.
    """

    agent: tyro.conf.Positional[Path]
    """Folder of a run, its checkpoint/, or the file of a saved agent."""
    out: Annotated[Path | None, _or_else("PATH", "TASK-AGENT.safetensors beside the agent")] = None
    """The file, or a folder for it; a file that is there is replaced."""
    full: Flag = False
    """Keep the weights in full precision."""
    packed: Flag = False
    """Keep large matrices in four bits a weight: a third of the size once more."""


@dataclass(frozen=True)
class Reproduce:
    """Make a table or figure of the paper again, beside the published numbers.

    - table-1: goals reached on every task by every agent;
    - figure-2: learning curves, with figures 9 and 10;
    - figure-3a: planning compute in the grid world, as maps of the room;
    - figure-3b: three ways to end an episode, on cartpole;
    - figure-4: a planner that is not guided by the model;
    - figure-6: trials and prior when data is collected;
    - figure-7: learning from random data, GLAMOR and GCSL;
    - figure-8: 1 and 50 trials at evaluation;
    - figure-11: goals and achieved states, Atari;
    - figure-12: goals and achieved states, control;
    - appendix-a1: GCSL and GLAMOR roll dice;
    - all: each of them.

    DIR/NAME gets data.csv, NAME.png, NAME.svg, comparison.csv, comparison.md and README.md. What is
    trained or measured is kept below DIR and used again, also by another figure: a command that
    was interrupted goes on.
    """

    name: tyro.conf.Positional[Reproduction]
    """Which one, or all."""
    quick: Flag = False
    """Minutes on two cores instead of the published scale, and the figure says so."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/reproduce")
    """Folder for everything."""
    tasks: Annotated[tuple[str, ...], _or_else("[TASK ...]", "those of the scale")] = ()
    """Other tasks than those of the scale."""
    agents: Annotated[tuple[str, ...], _or_else("[AGENT ...]", "those of the scale")] = ()
    """Other agents, for table-1 and figure-2."""
    seeds: Annotated[tuple[int, ...], _or_else("[INT ...]", "those of the scale")] = ()
    """Other seeds; each is a training of its own."""
    steps: Annotated[int | None, _or_else("INT", "those of the scale")] = None
    """Environment steps of each training."""
    device: str = "auto"
    """Where the networks are: cpu, cuda, or auto, which is CUDA where there is one."""


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Who works on many runs."""

    engine: Literal["local", "ray"] = "local"
    """Who works: processes of this machine, or Ray."""
    jobs: Annotated[int | None, _or_else("INT", "one for every two cores")] = None
    """Runs at a time; on a cluster of Ray, its processors set the limit."""
    address: Annotated[str | None, _or_else("ADDRESS", "Ray is started here")] = None
    """Of a Ray cluster whose machines share DIR."""
    gpus: float = 0.0
    """GPUs that Ray is to keep for a run, e.g. 0.25 for four runs on one."""
    retries: int = 1
    """How often a run is taken up again whose process died."""
    device: str = "auto"
    """Where the networks are: cpu, cuda, or auto, which is CUDA where there is one."""


@dataclass(frozen=True, kw_only=True)
class Benchmark(Workers):
    """Put several agents on several tasks with several seeds, and compare what they reach.

    Every run has the same budget of environment steps and is judged by the same goals at the same
    steps. DIR gets a folder for each run, results.csv (a row a run), curves.csv (a row an
    evaluation), table.md (goals reached beside the paper's) and report.html. Runs that are finished
    are not made again, so that the same command goes on after Ctrl-C; a run that fails stops no
    other. The exit code is 1 if one failed.
    """

    tasks: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TASK ...")]
    """Names or ids of tasks; atari, control or small for all of a kind."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the benchmark."""
    agents: Annotated[tuple[str, ...], tyro.conf.arg(metavar="AGENT ...")] = ("glamor",)
    """Of glamor, gcsl, discern, dqn-her, ppo, qrdqn, random, noop."""
    seeds: Annotated[tuple[int, ...], tyro.conf.arg(metavar="INT ...")] = (RunSpec.seed,)
    """Each is a run of its own."""
    steps: int = RunSpec.steps
    """Environment steps of each run."""
    preset: Annotated[str | None, _or_else("PRESET", "what suits the task")] = None
    """Of the agents that have it; the others take their usual one."""
    n_envs: int = RunSpec.n_envs
    """Environments that collect data side by side."""
    eval_every: Annotated[int | None, _or_else("INT", "a fifth of --steps")] = None
    """Environment steps from one evaluation to the next."""
    episodes_per_goal: int = RunSpec.episodes_per_goal
    """How often each goal is tried in the last evaluation; once in those before it."""
    minutes: Annotated[float | None, _or_else("FLOAT", "no limit")] = None
    """End the training of each run after so many minutes in all, whatever steps are left."""
    set: Assignments = ()
    """A setting of one agent, e.g. glamor.n_trials=200."""
    env: Assignments = ()
    """A keyword argument of gym.make, e.g. render_profile=fast."""


@dataclass(frozen=True, kw_only=True)
class Ablate(Workers):
    """Change one thing at a time about GLAMOR, and see what each change brings.

    A base and its variants are run on a panel of tasks with the same seeds, steps and minutes. DIR
    gets a folder for each run, results.csv (a row a run, those that failed included) and
    report.html: each variant's difference from the base, with intervals. Finished runs are not
    made again. Another call with the same DIR adds its changes, tasks and seeds to what is there;
    what it leaves out is as it was, and without --change all of it goes on. The exit code is 1 if
    a run failed.
    """

    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the ablation."""
    base: Annotated[str | None, _or_else("PRESET", "compact")] = None
    """Preset that is varied."""
    change: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="NAME=VALUE[,NAME=VALUE]"),
        tyro.conf.UseAppendAction,
    ] = ()
    """A variant: a setting of the agent, e.g. ema_decay=0.999 or policy_kwargs.token_size=32, or of
    its planner in evaluation alone, which trains no new agents, e.g. planner.n_trials=200; several
    where they only make sense together."""
    set: Assignments = ()
    """A setting of the base that differs from the preset's, e.g. learning_starts=1000."""
    tasks: Annotated[tuple[str, ...], _or_else("[TASK ...]", "seven cheap ones")] = ()
    """Names or ids of the tasks to choose by."""
    held_out: Annotated[tuple[str, ...], _or_else("[TASK ...]", "none")] = ()
    """Tasks that are reported apart."""
    held_out_goals: Flag = False
    """Evaluate every agent by up to 30 other goals as well, and report that apart."""
    seeds: Annotated[tuple[int, ...], _or_else("[INT ...]", RunSpec.seed)] = ()
    """Each is a run of its own."""
    steps: Annotated[int | None, _or_else("INT", 30_000)] = None
    """Environment steps of each run."""
    minutes: Annotated[float | None, _or_else("FLOAT", "no limit")] = None
    """End the training of each run after so many minutes in all, whatever steps are left."""
    n_envs: Annotated[int | None, _or_else("INT", RunSpec.n_envs)] = None
    """Environments that collect data side by side."""
    eval_every: Annotated[int | None, _or_else("INT", "at the end alone")] = None
    """Environment steps from one evaluation to the next."""
    episodes_per_goal: Annotated[int | None, _or_else("INT", RunSpec.episodes_per_goal)] = None
    """How often each goal is tried in the last evaluation; once in those before it."""
    env: Assignments = ()
    """A keyword argument of gym.make, e.g. render_profile=fast."""
    report_only: Flag = False
    """Make no runs: write results.csv and report.html again."""


@dataclass(frozen=True)
class Report:
    """Write the page of a run, a benchmark or an ablation again, from what is in its folder."""

    path: tyro.conf.Positional[Path]
    """Folder of a run, of a benchmark, or of an ablation."""


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
    """Write a picture of the goals to this file, .png or .webp; missing folders are made."""


@dataclass(frozen=True)
class VerifyGoals:
    """Check goal sets: hashes, counts, ranges, and that the goals are what they say they are.

    The exit code is 1 if something is wrong with one of them.
    """

    goals: tyro.conf.Positional[tuple[str, ...]] = ()
    """Tasks or paths of goal sets; all tasks if none is named."""


@dataclass(frozen=True)
class ReportGoals:
    """Count what pictures do not tell: equal pictures with different labels.

    Also what a random and a no-op agent reach on the goals, and the most that any agent could
    reach if goal labels came one step late (label_lag=1). DIR gets aliasing.csv, aliasing.png
    and aliasing.html.
    """

    tasks: tyro.conf.Positional[tuple[str, ...]] = ()
    """Names or ids of tasks; all Atari games if none is named."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("aliasing")
    """Where to write."""
    episodes: int = 500
    """Random episodes whose pictures are compared, of each task."""
    episodes_per_goal: int = 5
    """How often the random and the no-op agent try each goal."""
    seed: int = RunSpec.seed
    """Of worlds and actions."""


@dataclass(frozen=True)
class Goals:
    """Build, show or verify the goals of a task, or report what their pictures hide."""

    action: tyro.conf.OmitSubcommandPrefixes[
        Annotated[BuildGoals, tyro.conf.subcommand("build")]
        | Annotated[ShowGoals, tyro.conf.subcommand("show")]
        | Annotated[VerifyGoals, tyro.conf.subcommand("verify")]
        | Annotated[ReportGoals, tyro.conf.subcommand("report")]
    ]


@dataclass(frozen=True)
class Doctor:
    """Say what this machine can run, what is missing, and how to mend it.

    Each line is ok, warn or fail. The exit code is 1 if one of them is fail.
    """

    buffer_size: int = 1_000_000
    """Frames of the replay that is to fit into memory."""


@dataclass(frozen=True)
class Check:
    """Check that an environment, or an agent, keeps what others rely on.

    Gymnasium's and Stable-Baselines3's checkers, and what they let pass; each fault comes with how
    to mend it. The exit code is 1 if a check fails.
    """

    subject: tyro.conf.Positional[str]
    """Id of an environment (MODULE:ID imports MODULE first), a saved agent, or a run's folder."""
    task: Annotated[str | None, _or_else("TASK", "that of the run, or of the file")] = None
    """Name or id of the agent's task."""
    algorithm: Annotated[str | None, _or_else("AGENT", "that of the run, or of the file")] = None
    """What a saved agent is: glamor, gcsl, discern, dqn-her, ppo or qrdqn."""
    trust: Flag = False
    """Read agents of other libraries, whose files execute what is in them."""
    seed: int = RunSpec.seed
    """Of the environment and of the actions."""
    env: Assignments = ()
    """A keyword argument of gym.make, e.g. render_profile=fast."""
    json: Flag = False
    """Print the report as JSON."""
