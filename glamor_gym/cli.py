"""The ``glamor-gym`` command-line program and its list of commands.

In: command-line arguments. Out: an exit code. Options are defined in
:mod:`glamor_gym.commands.options`; each command is implemented in a module of its own in the same
package, which is imported only when the command is called.
"""

from __future__ import annotations

import errno
import io
import os
import pkgutil
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Union

import tyro

from glamor_gym import __version__
from glamor_gym.commands import options
from glamor_gym.commands.assignments import one_per_option
from glamor_gym.commands.errors import InputError, checking_input
from glamor_gym.experiments import get_algorithm
from glamor_gym.names import nearest_names
from glamor_gym.registration import find_env_id

PROGRAM = "glamor-gym"
DESCRIPTION = f"""Image-goal reaching for Gymnasium: train agents that plan their way to a goal
picture, and measure how many goals they reach. `{PROGRAM} --version` prints the version."""

_HOMES: Mapping[type, str] = MappingProxyType(
    {
        options.Tasks: "tasks:list_tasks",
        options.Train: "train:train",
        options.Evaluate: "evaluate:evaluate",
        options.Watch: "watch:watch",
        options.Export: "export:export",
        options.Benchmark: "benchmark:benchmark",
        options.Ablate: "ablate:ablate",
        options.Report: "report:report",
        options.Reproduce: "reproduce:reproduce",
        options.Goals: "goals:carry_out",
        options.Doctor: "doctor:examine",
        options.Check: "check:check",
    }
)
"""Options of a command → the function that carries it out, in the module of the command's name."""

COMMANDS = tuple(home.partition(":")[0] for home in _HOMES.values())

_Options: Any = Union[  # noqa: UP007, as there is a list of them
    tuple(
        Annotated[kind, tyro.conf.subcommand(name)]
        for kind, name in zip(_HOMES, COMMANDS, strict=True)
    )
]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit.

    Args:
        arguments: the arguments after the program's name; None for ``sys.argv[1:]``.

    Raises:
        SystemExit: always. Exit codes are 0 for success, 1 if a check or a run failed, a disk was
            full or standard output closed early, 2 for bad input, 130 after Ctrl-C, and 143 or 129
            if SIGTERM or SIGHUP interrupted ``train``.
    """
    _open_streams()
    words = sys.argv[1:] if arguments is None else list(arguments)
    if "" not in sys.path:  # the current folder, where MODULE of MODULE:ID may lie
        sys.path.append("")
    try:
        code = _understand_and_carry_out(words)
        sys.stdout.flush()
    except OSError as error:
        if error.errno == errno.ENOSPC:
            print(f"{PROGRAM}: {error}", file=sys.stderr)
        elif not isinstance(error, BrokenPipeError):
            raise
        try:
            sys.stdout.flush()
        except OSError:  # which Python would raise again at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1  # the same code that rich exits with
    except InputError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        code = 130
    raise SystemExit(code)


def _open_streams() -> None:
    """Let standard streams take every character, and discard all where they are closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            stream = Path(os.devnull).open("w")  # noqa: SIM115
            setattr(sys, name, stream)
        if isinstance(stream, io.TextIOWrapper):  # not every terminal knows every character
            stream.reconfigure(errors="replace")


def _understand_and_carry_out(words: Sequence[str]) -> int:
    if words == ["--version"]:
        print(f"{PROGRAM} {__version__}")
        return 0
    if words and words[0].isalpha() and words[0] not in COMMANDS:
        hint = nearest_names(words[0], COMMANDS)
        raise InputError(f"there is no command {words[0]!r}; {hint}")
    try:
        chosen = tyro.cli(
            _Options, prog=PROGRAM, description=DESCRIPTION, args=one_per_option(words)
        )
    except SystemExit as ended:  # after --help, or options that it does not know
        return int(ended.code or 0)
    _check_names(chosen)
    carry_out = pkgutil.resolve_name(f"glamor_gym.commands.{_HOMES[type(chosen)]}")
    return int(carry_out(chosen, shlex.join([PROGRAM, *words])))


def _check_names(chosen: object) -> None:
    """Refuse a misspelt task or agent at once, before seconds go into importing PyTorch.

    Raises:
        InputError: there is no such task or agent.
    """
    with checking_input():
        if isinstance(chosen, options.Train | options.PlayedAgent) and chosen.task is not None:
            find_env_id(chosen.task)
        if isinstance(chosen, options.Train) and chosen.agent is not None:
            get_algorithm(chosen.agent)


if __name__ == "__main__":
    main()
