"""``glamor-gym goals``: build, show and verify goal sets, and report aliasing.

In: the options of :mod:`glamor_gym.commands.options`. Out: goal-set files, pictures of goals,
problems of a goal set, and the aliasing report.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.table import Table

from glamor_gym.checks import as_integer
from glamor_gym.commands.console import terminal
from glamor_gym.commands.errors import MISSING, checking_input
from glamor_gym.commands.options import BuildGoals, Goals, ReportGoals, ShowGoals, VerifyGoals
from glamor_gym.evaluation.provenance import source_commit, versions
from glamor_gym.experiments.aliasing.measurement import Aliasing, measure_aliasing
from glamor_gym.experiments.aliasing.report import write_aliasing_report
from glamor_gym.files import check_writable
from glamor_gym.goals import (
    GoalSet,
    GoalSetError,
    build_goal_set,
    goal_sheet,
    load_goal_set,
    verify_goal_set,
)
from glamor_gym.goals.build import TooFewEpisodesError
from glamor_gym.names import listed
from glamor_gym.report.pictures import save_picture
from glamor_gym.tasks import TASKS, Task, get_task
from glamor_gym.wrappers.goal_rules import label_tolerance


def carry_out(options: Goals, command: str) -> int:
    """Run :func:`build`, :func:`show`, :func:`verify` or :func:`report`, by the kind of action."""
    match options.action:
        case BuildGoals() as action:
            return build(action)
        case ShowGoals() as action:
            return show(action)
        case VerifyGoals() as action:
            return verify(action)
        case ReportGoals() as action:
            return report(action, command)


def build(options: BuildGoals) -> int:
    """Build a goal set and write it to a file.

    Raises:
        InputError: there is no such task, a number is out of range, or the file cannot be written.
    """
    with checking_input():
        task = get_task(options.task)
        out = options.out or Path(f"{task.name}.npz")
        if out.exists():
            raise ValueError(f"{out} already exists; choose another file with --out")
        if out.suffix != ".npz":  # by which files of goals are told from names of tasks
            raise ValueError(f"--out must end in .npz, got {out}")
        check_writable(out.parent)
        seed = as_integer(options.seed, name="--seed", low=0)
        episodes = as_integer(options.episodes, name="--episodes", low=1)
    with checking_input(TooFewEpisodesError, *MISSING):
        goal_set = build_goal_set(
            task, seed=seed, episodes=episodes, progress_bar=sys.stderr.isatty()
        )
    with checking_input(OSError):
        goal_set.save(out)
    print(f"{out}: {_counts(goal_set)}, hash {goal_set.hash}")
    return 0


def show(options: ShowGoals) -> int:
    """Print what a goal set contains and how it was made; optionally draw its goals.

    Raises:
        InputError: there is no such set, or the picture cannot be written.
    """
    with checking_input():
        goal_set = load_goal_set(options.goals)
    if options.out is not None:
        with checking_input():
            get_task(goal_set.task)  # which a file may name wrongly
        with checking_input(*MISSING):
            sheet = goal_sheet(goal_set, options.which)
        with checking_input():
            save_picture(sheet, options.out)
    print(f"{goal_set.task}, version {goal_set.version}: {_counts(goal_set)}")
    print(f"hash: {goal_set.hash}")
    for name, value in goal_set.provenance.items():
        print(f"{name}: {value}")
    labels = Table("label", "low", "high", "tolerance")
    for name, (low, high) in goal_set.bounds.items():
        labels.add_row(name, f"{low:g}", f"{high:g}", f"{label_tolerance(goal_set.ranges[name]):g}")
    terminal().print(labels)
    return 0


def verify(options: VerifyGoals) -> int:
    """Print "ok" or the problems of each goal set; return 1 if there are problems.

    Raises:
        InputError: there is no such task, or a file cannot be read.
    """
    wrong = 0
    for name in options.goals or tuple(TASKS):
        with checking_input():
            faults = _faults(name)
        wrong += bool(faults)
        for line in faults or [f"ok, hash {load_goal_set(name).hash}"]:
            print(f"{name}: {line}")
    return 1 if wrong else 0


def report(options: ReportGoals, command: str) -> int:
    """Measure aliasing on some tasks, and write the report into a folder.

    Args:
        options: the command's options.
        command: the command line as typed, for the record.

    Raises:
        InputError: there is no such task, a number is out of range, or the folder cannot be
            written.
    """
    with checking_input():
        named = [get_task(name) for name in options.tasks]
        tasks = named or [task for task in TASKS.values() if task.suite == "atari"]
        if momentary := [task.name for task in tasks if task.horizon < 2]:
            raise ValueError(
                f"tasks must last longer than one step, got {', '.join(momentary)}: there would be "
                "nothing to compare"
            )
        check_writable(options.out)
        as_integer(options.episodes, name="--episodes", low=1)
        as_integer(options.episodes_per_goal, name="--episodes-per-goal", low=1)
        as_integer(options.seed, name="--seed", low=0)
    with checking_input(*MISSING):
        rows = [_aliasing(task, options) for task in tasks]
    details = {
        "Command": command,
        "Commit": source_commit() or "not from a checkout",
        "Versions": listed(versions(), " "),
    }
    with checking_input(OSError):
        page = write_aliasing_report(rows, options.out, details)
    print(f"report: {page}")
    return 0


def _aliasing(task: Task, options: ReportGoals) -> Aliasing:
    row = measure_aliasing(
        task,
        episodes=options.episodes,
        episodes_per_goal=options.episodes_per_goal,
        seed=options.seed,
        progress_bar=sys.stderr.isatty(),
    )
    print(
        f"{task.name}: {row.aliased:.1%} of {row.frames:,} moments aliased, "
        f"{row.ambiguous:.1%} ambiguous; random {row.random.rate:.2f}, "
        f"no-op {row.noop.rate:.2f}",
        flush=True,
    )
    return row


def _faults(name: str) -> list[str]:
    try:
        return verify_goal_set(load_goal_set(name))
    except GoalSetError as error:
        return [str(error)]


def _counts(goal_set: GoalSet) -> str:
    return f"{len(goal_set.evaluation)} evaluation and {len(goal_set.training)} training goals"
