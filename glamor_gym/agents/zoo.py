r"""The agents in RL Zoo (``rl_zoo3``), with hyper-parameters in its yaml form.

In: an installed ``rl_zoo3``. Out: the same, with algorithms ``glamor``, ``gcsl`` and ``discern``::

    python -m glamor_gym.agents.zoo train --algo glamor --env glamor/GridWorld-v0
    python -m glamor_gym.agents.zoo enjoy --algo glamor --env glamor/GridWorld-v0 \
        -f logs --no-render

These commands take the options of ``python -m rl_zoo3.train`` and ``python -m rl_zoo3.enjoy``,
except ``--optimize-hyperparameters``: the Zoo knows which to try for its own algorithms only.
"""

from __future__ import annotations

import argparse
import importlib
import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self, cast

from glamor_gym.agents.base import ImageGoalAgent
from glamor_gym.agents.discern import DiscernAgent
from glamor_gym.agents.gcsl import GCSLAgent
from glamor_gym.agents.glamor import GlamorAgent
from glamor_gym.checks import as_path
from glamor_gym.files import PathOrStream, writing_to

COMMANDS = ("train", "enjoy")
"""Commands of the Zoo that can be run with the agents registered."""


class _ZooFiles(ImageGoalAgent):
    """An agent whose files have the suffix ``.zip``, which the Zoo looks for.

    Their content is what :meth:`ImageGoalAgent.save` writes, which is not a zip archive.
    """

    def save(
        self,
        path: PathOrStream,
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
        *,
        half: bool = False,
        packed: bool = False,
    ) -> None:
        """Write the agent to a file; ``.zip`` is appended to a path without a suffix."""
        if not isinstance(path, io.BufferedIOBase):
            path = as_path(path, name="path")
            path = path if path.suffix else path.with_suffix(".zip")
        with writing_to(path) as file:
            stream = cast(io.BufferedIOBase, file)
            super().save(stream, exclude, include, half=half, packed=packed)

    @classmethod
    def load(
        cls,
        path: PathOrStream,
        *args: Any,
        custom_objects: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Load an agent; `custom_objects`, with which the Zoo patches old pickles, is ignored."""
        return super().load(path, *args, **kwargs)


def _in_the_zoo(agent: type[ImageGoalAgent]) -> type[ImageGoalAgent]:
    """Return a subclass of the same name whose files are named as the Zoo expects."""
    return type(agent.__name__, (_ZooFiles, agent), {"__doc__": agent.__doc__})


ALGORITHMS: dict[str, type[ImageGoalAgent]] = {
    "glamor": _in_the_zoo(GlamorAgent),
    "gcsl": _in_the_zoo(GCSLAgent),
    "discern": _in_the_zoo(DiscernAgent),
}
"""The agents by the names under which they are registered with RL Zoo."""


def register_zoo() -> dict[str, Path]:
    """Register the agents with RL Zoo; call it before its command line is parsed.

    The Zoo saves them with the suffix ``.zip``, which its commands look for.

    Returns:
        Algorithm → its file of hyper-parameters, for the Zoo's ``--conf-file``.

    Raises:
        ModuleNotFoundError: RL Zoo is not installed.
    """
    try:
        homes = [
            importlib.import_module(name)
            for name in ("rl_zoo3", "rl_zoo3.train", "rl_zoo3.enjoy", "rl_zoo3.exp_manager")
        ]
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"register_zoo needs RL Zoo ({error}): pip install 'glamor-gym[zoo]'", name=error.name
        ) from error
    for home in homes:
        home.ALGOS.update(ALGORITHMS)
    folder = Path(__file__).with_name("hyperparams")
    return {name: folder / f"{name}.yml" for name in ALGORITHMS}


def with_conf_file(arguments: Sequence[str], files: dict[str, Path]) -> list[str]:
    """Return the arguments with ``--conf-file`` for the named agent, unless it is given already."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--algo")
    parser.add_argument("-conf", "--conf-file")
    known, _ = parser.parse_known_args(arguments)
    if known.algo not in files or known.conf_file is not None:
        return list(arguments)
    return [*arguments, "--conf-file", str(files[known.algo])]


def main() -> None:
    """Run a command of RL Zoo with the agents registered.

    Raises:
        SystemExit: the first argument is not one of `COMMANDS`.
        ModuleNotFoundError: RL Zoo is not installed.
    """
    command, *given = sys.argv[1:] or [""]
    if command not in COMMANDS:
        raise SystemExit(f"usage: python -m glamor_gym.agents.zoo {{{','.join(COMMANDS)}}} ...")
    files = register_zoo()
    sys.argv[1:] = with_conf_file(given, files) if command == "train" else given
    getattr(importlib.import_module(f"rl_zoo3.{command}"), command)()


if __name__ == "__main__":
    main()
