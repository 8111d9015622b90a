"""``glamor-gym reproduce``: a table or figure of the paper, made again.

In: :class:`~glamor_gym.commands.options.Reproduce`. Out: a folder for each, with data, picture and
comparison (see :mod:`glamor_gym.experiments.paper.writing`), and the comparison on the terminal.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.table import Table

from glamor_gym.commands.device import checked_device
from glamor_gym.commands.errors import InputError, checking_input
from glamor_gym.commands.options import Reproduce
from glamor_gym.commands.tables import terminal
from glamor_gym.experiments import ALGORITHMS, get_algorithm
from glamor_gym.experiments.benchmark import distinct
from glamor_gym.experiments.paper import (
    REPRODUCTIONS,
    Comparison,
    OtherSettingsError,
    Reproduction,
    Scale,
    Workshop,
    write_outcome,
)
from glamor_gym.tasks import get_task


def reproduce(options: Reproduce, command: str) -> int:
    """Make what was asked for, one after the other.

    Args:
        options: what was asked for.
        command: the same as it was typed, for the record.

    Returns:
        The exit code: 0, or 130 where Ctrl-C came; what is finished is kept.

    Raises:
        InputError: an option is wrong, or a run that is there has other settings.
    """
    names = list(REPRODUCTIONS) if options.name == "all" else [options.name]
    with checking_input():
        if options.out.exists() and not options.out.is_dir():
            raise InputError(f"--out must be a folder, and {options.out} is a file")
        planned = [(REPRODUCTIONS[name], _scale(REPRODUCTIONS[name], options)) for name in names]
        device = checked_device(options.device)
    try:
        for reproduction, scale in planned:
            _make(reproduction, scale, options, command, device)
    except OtherSettingsError as error:
        raise InputError(str(error)) from error
    except KeyboardInterrupt:
        print(f"interrupted; the same command goes on with what is in {options.out}")
        return 130
    return 0


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
    """Return the scale that was asked for.

    Raises:
        ValueError: a task or an agent is unknown, or a number is out of range.
        InputError: the experiment does not vary what was asked to be varied.
    """
    scale = reproduction.quick if options.quick else reproduction.published
    name = reproduction.name
    if options.tasks:
        tasks = tuple(distinct("--tasks", [get_task(task).name for task in options.tasks]))
        if reproduction.only_task and tasks != scale.tasks:
            raise InputError(f"--tasks: {name} is made on {scale.tasks[0]} alone, got {tasks}")
        scale = scale.over(*tasks)
    if options.agents:
        if not scale.agents:
            raise InputError(f"--agents: {name} does not compare algorithms")
        scale = scale.but(agents=_agents(reproduction, options))
    if options.seeds:
        if min(options.seeds) < 0:
            raise InputError(f"--seeds must be 0 or larger, got {min(options.seeds)}")
        scale = scale.but(seeds=tuple(distinct("--seeds", options.seeds)))
    if options.steps is not None:
        least = max(scale.looks, reproduction.least_steps)
        if options.steps < least:
            raise InputError(f"--steps must be at least {least}, got {options.steps}")
        scale = scale.but(steps=options.steps)
    return scale


def _agents(reproduction: Reproduction, options: Reproduce) -> tuple[str, ...]:
    """Return the agents that were asked for.

    Raises:
        ValueError: one is unknown, or comes twice.
        InputError: one cannot be compared in this experiment.
    """
    agents = distinct("--agents", [get_algorithm(agent).name for agent in options.agents])
    kept = [name for name, algorithm in ALGORITHMS.items() if algorithm.resumes]
    for agent in agents:
        if agent not in kept and not reproduction.any_agent:
            raise InputError(
                f"--agents: {reproduction.name} looks at agents on their way, which is kept of "
                f"{', '.join(kept)}; got {agent}"
            )
    return tuple(agents)


def _table(title: str, comparisons: Sequence[Comparison]) -> Table:
    table = Table("", "ours", "paper", "agrees", title=title)
    for row in comparisons:
        table.add_row(row.statement, row.ours, row.published, row.agrees)
    return table
