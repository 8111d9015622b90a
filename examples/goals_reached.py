"""Put the first goals of several runs into one picture, each beside what the agent made of it.

python examples/goals_reached.py runs/Pong runs/Seaquest --output goals-reached.png

A row a run: left the goal, right the last frame; green where it counts as reached. A folder that
`glamor-gym evaluate AGENT --out DIR` wrote will do as well: the README's first picture is made so,
with the agents of results/agents.
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
