"""Show the first goals of several runs in one picture, each next to what the agent achieved.

python examples/goals_reached.py runs/Pong runs/Seaquest --output goals-reached.png

There is one row per run: the goal on the left, the last frame on the right, green if it counts as
reached. A folder written by `glamor-gym evaluate AGENT --out DIR` works as well: the README's first
picture is made in this way, with the agents of results/agents.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from glamor_gym.evaluation import RunFolder
from glamor_gym.report import contact_sheet
from glamor_gym.report.pictures import save_picture

GOALS = 5


def main(runs: Sequence[Path], output: Path) -> int:
    """Write the picture and return how many of the goals shown were reached.

    Raises:
        SystemExit: a folder holds no evaluation with pictures.
    """
    episodes = []
    for run in runs:
        result = RunFolder(run).evaluation()
        if result is None or not result.frames:
            raise SystemExit(f"{run} holds no evaluation with pictures")
        episodes += result.frames[:GOALS]
    save_picture(contact_sheet(episodes, columns=GOALS), output)
    reached = sum(episode.success for episode in episodes)
    print(f"{output}: {len(episodes)} goals, {reached} of them reached")
    return reached


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="folder of a run, or of an evaluation"
    )
    parser.add_argument("--output", type=Path, default=Path("goals-reached.png"))
    arguments = parser.parse_args()
    main(arguments.runs, arguments.output)
