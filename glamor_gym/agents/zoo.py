"""The agents in RL Zoo (``rl_zoo3``), with hyper-parameters in its yaml form.

In: an installed ``rl_zoo3``. Out: the same, knowing ``glamor``, ``gcsl`` and ``discern``::

    python -m glamor_gym.agents.zoo --algo glamor --env glamor/GridWorld-v0

takes the options of ``python -m rl_zoo3.train``.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from glamor_gym.agents.base import ImageGoalAgent
from glamor_gym.agents.discern import DiscernAgent
from glamor_gym.agents.gcsl import GCSLAgent
from glamor_gym.agents.glamor import GlamorAgent

ALGORITHMS: dict[str, type[ImageGoalAgent]] = {
    "glamor": GlamorAgent,
    "gcsl": GCSLAgent,
    "discern": DiscernAgent,
}
"""The names by which RL Zoo gets to know the agents."""


def register_zoo() -> dict[str, Path]:
    """Make the agents known to RL Zoo; call it before its command line is parsed.

    They are saved as ``.safetensors``; the Zoo's commands that look for ``.zip`` files
    (``enjoy``, and ``train --trained-agent``) do not find them.

    Returns:
        Algorithm → its file of hyper-parameters, for the Zoo's ``--conf-file``.

    Raises:
        ModuleNotFoundError: RL Zoo is not installed.
    """
    try:
        homes = [
            importlib.import_module(name)
            for name in ("rl_zoo3", "rl_zoo3.train", "rl_zoo3.exp_manager")
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
    """Return the Zoo's arguments with the agent's own hyper-parameters, unless others are named."""
    given = list(arguments)
    if "--algo" not in given or {"-conf", "--conf-file"} & set(given):
        return given
    algorithm = given[given.index("--algo") + 1 :][:1]
    own = [str(files[name]) for name in algorithm if name in files]
    return [*given, "--conf-file", *own] if own else given


def main() -> None:
    """Run RL Zoo's training with the agents registered."""
    files = register_zoo()
    sys.argv[1:] = with_conf_file(sys.argv[1:], files)
    importlib.import_module("rl_zoo3.train").train()


if __name__ == "__main__":
    main()
