"""``glamor-gym check``: check an environment or an agent against the interfaces others rely on.

In: :class:`~glamor_gym.commands.options.Check`. Out: a table on the terminal, or JSON, with each
failure and how to fix it; and exit code 1 if there is one.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
from rich.markup import escape
from rich.table import Table

from glamor_gym.agents.saving.agent_file import file_named
from glamor_gym.checks import as_integer
from glamor_gym.commands.assignments import parse_assignments
from glamor_gym.commands.console import terminal
from glamor_gym.commands.errors import InputError, checking_input
from glamor_gym.commands.options import Check
from glamor_gym.commands.saved_agent import find_agent
from glamor_gym.conformance import CheckReport, check_agent, check_goal_env
from glamor_gym.registration import find_env_id, make_env
from glamor_gym.vector.sb3 import as_vec_env

_COLOURS = {"pass": "green", "fail": "bold red", "skip": "bright_black"}


def check(options: Check, _command: str) -> int:
    """Check an environment or a saved agent and print the report; return 1 if a check failed.

    Raises:
        InputError: there is no such environment, file or algorithm, or they do not match.
    """
    path = Path(options.subject)
    is_agent = path.exists() or file_named(path).exists()
    report = _checked_agent(path, options) if is_agent else _checked_env(options)
    if options.json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        _print(report)
    return 0 if report.passed else 1


def _checked_env(options: Check) -> CheckReport:
    if options.task is not None or options.algorithm is not None or options.trust:
        raise InputError(
            f"--task, --algorithm and --trust are for saved agents; {options.subject} is not a file"
        )
    with checking_input():
        env_kwargs = parse_assignments("--env", options.env)
        seed = as_integer(options.seed, name="--seed", low=0)
    with _made(options.subject, env_kwargs) as env:
        return check_goal_env(env, seed=seed)


def _checked_agent(path: Path, options: Check) -> CheckReport:
    with checking_input():
        saved = find_agent(path, options)
        seed = as_integer(options.seed, name="--seed", low=0)
    with _made(saved.task, saved.env_kwargs) as env:
        with checking_input():
            agent = saved.load("cpu", trust=options.trust, env=as_vec_env(env))
        return check_agent(agent, env, seed=seed)


@contextlib.contextmanager
def _made(name: str, env_kwargs: dict[str, Any]) -> Iterator[gym.Env[Any, Any]]:
    """Make an environment from its id or a task's short name, and close it on exit.

    Raises:
        InputError: there is no such environment, or it cannot be made with these arguments.
    """
    try:
        find_env_id(name)
    except ValueError as error:
        raise InputError(f"{name!r} is neither a file nor an environment: {error}") from error
    with checking_input():
        env = make_env(name, **env_kwargs)
    with contextlib.closing(env):
        yield env


def _print(report: CheckReport) -> None:
    table = Table("", "check", "requirement, or what was found", title=report.subject)
    for result in report.results:
        told = escape(result.detail or result.claim)
        if result.status == "fail":
            told = f"{escape(result.claim)}\nfound: {told}\nfix: {escape(result.fix)}"
        table.add_row(result.status, result.name, told, style=_COLOURS[result.status])
    console = terminal()
    console.print(table)
    n_skipped = sum(result.status == "skip" for result in report.results)
    n_not_run = len(report.not_run)
    console.print(
        f"{len(report.failed)} of {len(report.results)} checks failed, "
        f"{n_skipped - n_not_run} do not apply" + (f", {n_not_run} not run" if n_not_run else "")
    )
