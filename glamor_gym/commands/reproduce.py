"""``glamor-gym reproduce``: reproduce tables and figures of the paper.

In: :class:`~glamor_gym.commands.options.Reproduce`. Out: a folder for each, with data, figure and
comparison (see :mod:`glamor_gym.experiments.paper.writing`), and the comparison on the terminal.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.table import Table

from glamor_gym.commands.console import terminal
from glamor_gym.commands.errors import checking_input
from glamor_gym.commands.options import Reproduce
from glamor_gym.devices import checked_device
from glamor_gym.envs.rendering import RenderingError
from glamor_gym.experiments import ALGORITHMS, get_algorithm
from glamor_gym.experiments.folders import (
    RECORD_FILES,
    check_holds_no_other,
    record_command,
)
from glamor_gym.experiments.paper import (
    REPRODUCTIONS,
    CannotReuseError,
    Comparison,
    Reproduction,
    Scale,
    Workshop,
    write_outcome,
)
from glamor_gym.experiments.spec import distinct
from glamor_gym.files import check_writable
from glamor_gym.names import counted
from glamor_gym.tasks import get_task


def reproduce(options: Reproduce, command: str) -> int:
    """Reproduce the requested tables and figures, one after the other.

    Args:
        options: the command's options.
        command: the command line as typed, for the record.

    Returns:
        The exit code: 0; 130 after Ctrl-C; 1 if a file cannot be written, a folder is in use,
        nothing can be drawn, or a loss became NaN. Finished work is kept.

    Raises:
        InputError: an option is invalid, `--out` is the folder of something else, an existing run
            has other settings, or it or a measurement on disk is damaged.
    """
    names = list(REPRODUCTIONS) if options.name == "all" else [options.name]
    with checking_input():
        check_holds_no_other("--out", options.out, "a reproduction")
        check_writable(options.out)
        planned = [(REPRODUCTIONS[name], _scale(REPRODUCTIONS[name], options)) for name in names]
        device = checked_device(options.device)
        record_command(options.out / RECORD_FILES["a reproduction"], command)
    if not options.quick:
        _announce(planned)
    try:
        with checking_input(CannotReuseError):
            for reproduction, scale in planned:
                _make(reproduction, scale, options, command, device)
    except BrokenPipeError:  # standard output was closed
        raise
    except (KeyboardInterrupt, OSError, RenderingError, FloatingPointError) as error:
        is_interrupted = isinstance(error, KeyboardInterrupt)
        told = "interrupted" if is_interrupted else f"stopped: {error}"
        print(f"{told}; repeat the command to continue from what is in {options.out}")
        return 130 if is_interrupted else 1
    return 0


def _announce(planned: Sequence[tuple[Reproduction, Scale]]) -> None:
    """Print how much is trained, unless that takes minutes; the paper's scale can take months."""
    counts = [(each.n_trainings(scale), scale.steps) for each, scale in planned]
    if runs := sum(number for number, _ in counts):
        steps = sum(number * each for number, each in counts)
        print(
            f"up to {counted(runs, 'training run')}, {steps:,} environment steps in all; "
            "with --quick it is a small scale that takes minutes",
            flush=True,
        )


def _make(
    reproduction: Reproduction, scale: Scale, options: Reproduce, command: str, device: str
) -> None:
    folder = options.out / reproduction.name
    print(f"{reproduction.title}: {reproduction.words(scale)}", flush=True)
    began = time.monotonic()
    workshop = Workshop(options.out, command=command, device=device)
    rows = reproduction.collect(scale, workshop)
    comparisons = write_outcome(
        folder,
        reproduction,
        scale,
        rows,
        command=command,
        runs=list(workshop.used.values()),
    )
    terminal().print(_table(reproduction.title, comparisons))
    print(f"{folder}: {(time.monotonic() - began) / 60:.1f} minutes", flush=True)


def _scale(reproduction: Reproduction, options: Reproduce) -> Scale:
    """Return the requested scale.

    Raises:
        ValueError: a task or an agent is unknown, a value is given twice or out of range, or an
            option does not apply to this experiment.
    """
    scale = reproduction.quick if options.quick else reproduction.published
    name = reproduction.name
    if options.tasks:
        tasks = tuple(distinct("--tasks", [get_task(task).name for task in options.tasks]))
        if reproduction.only_task and tasks != scale.tasks:
            raise ValueError(f"--tasks must be {scale.tasks[0]} for {name}, got {', '.join(tasks)}")
        scale = scale.over(*tasks)
    if options.agents:
        if not scale.agents:
            raise ValueError(f"--agents: {name} does not compare algorithms")
        scale = scale.but(agents=_agents(reproduction, options))
    if options.seeds:
        if min(options.seeds) < 0:
            raise ValueError(f"--seeds must be at least 0, got {min(options.seeds)}")
        if reproduction.one_seed and len(options.seeds) > 1 and options.name == name:  # not of all
            seeds = ", ".join(map(str, options.seeds))
            raise ValueError(f"--seeds must be one for {name}, an agent per task, got {seeds}")
        scale = scale.but(seeds=tuple(distinct("--seeds", options.seeds)))
    if options.steps is not None:
        least = max(scale.looks, reproduction.least_steps)
        if options.steps < least:
            raise ValueError(f"--steps must be at least {least}, got {options.steps}")
        scale = scale.but(steps=options.steps)
    return scale


def _agents(reproduction: Reproduction, options: Reproduce) -> tuple[str, ...]:
    """Return the names of the requested agents.

    Raises:
        ValueError: one is unknown or given twice, or cannot be compared in this experiment.
    """
    agents = distinct("--agents", [get_algorithm(agent).name for agent in options.agents])
    kept = [name for name, algorithm in ALGORITHMS.items() if algorithm.resumes]
    for agent in agents:
        if agent not in kept and not reproduction.any_agent:
            raise ValueError(
                f"--agents for {reproduction.name} must be among {', '.join(kept)}, of which "
                f"agents are kept during training; got {agent}"
            )
    return tuple(agents)


def _table(title: str, comparisons: Sequence[Comparison]) -> Table:
    table = Table("", "ours", "paper", "agrees", title=title)
    for row in comparisons:
        table.add_row(row.statement, row.ours, row.published, row.agrees)
    return table
