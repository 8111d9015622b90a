"""Figures 11 and 12: goals, and the achieved frames averaged over five trials (§A.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from glamor_gym.evaluation import evaluate
from glamor_gym.experiments.execution import PICTURES
from glamor_gym.experiments.paper.curves import Variant, run_spec
from glamor_gym.experiments.paper.reproduction import Comparison, Reproduction, Scale
from glamor_gym.experiments.paper.scales import ATARI, CONTROL, CURVES, QUICK
from glamor_gym.experiments.paper.workshop import Trained, Workshop
from glamor_gym.report.pictures import as_gray
from glamor_gym.report.published import published_rates
from glamor_gym.types import EvaluationResult

TRIALS = 5
SHOWN = 8
"""Number of goals per task in the figure."""


def collect(scale: Scale, workshop: Workshop) -> pd.DataFrame:
    """Train one agent per task, and send it to every goal from five different starts.

    Returns:
        One row per ``task`` and ``goal``, with its ``success_rate``, ``goal_picture`` and
        ``achieved_picture`` (the mean of the last frames), both (H, W).
    """
    rows: list[dict[str, Any]] = []
    seed = scale.seeds[0]
    for task in scale.tasks:
        spec = run_spec(scale, task, Variant("GLAMOR"), seed)
        trained = workshop.trained(spec, scale.look_steps)
        trials = [_trial(workshop, trained, number) for number in range(TRIALS)]
        for episodes in zip(*(trial.frames for trial in trials), strict=True):
            index = episodes[0].goal_index
            rows.append(
                {
                    "task": spec.task,
                    "goal": index,
                    "trials": TRIALS,
                    "success_rate": float(np.mean([episode.success for episode in episodes])),
                    # That of the first trial: the picture may include an episode's random target.
                    "goal_picture": as_gray(episodes[0].goal),
                    "achieved_picture": np.mean(
                        [as_gray(episode.frames[-1]) for episode in episodes], axis=0
                    ),
                }
            )
    return pd.DataFrame(rows)


def _trial(workshop: Workshop, trained: Trained, number: int) -> EvaluationResult:
    """Send the agent to every goal once, and keep the pictures."""
    spec = trained.spec
    return workshop.evaluated(
        f"{trained.name}/{spec.steps}-trial-{number}",
        lambda: evaluate(
            trained.agent(spec.steps),
            spec.task,
            seed=number,
            env_kwargs=spec.env_kwargs,
            deterministic=False,
            baselines=False,
            record=PICTURES,
        ),
    )


def draw(rows: pd.DataFrame) -> Figure:
    """Draw a few goals of each task, spread over all, with the achieved frames below."""
    tasks = list(dict.fromkeys(rows["task"]))
    figure = Figure(figsize=(1.35 * SHOWN, 2.45 * len(tasks) + 0.5), layout="constrained")
    bands = np.atleast_1d(np.asarray(figure.subfigures(len(tasks), 1)))
    for task, band in zip(tasks, bands, strict=True):
        goals = rows[rows["task"] == task].reset_index(drop=True)
        chosen = np.linspace(0, len(goals) - 1, min(SHOWN, len(goals))).round().astype(int)
        places = band.subplots(2, len(chosen), squeeze=False)
        band.suptitle(task, fontsize="medium")
        for column, index in enumerate(chosen):
            goal = goals.loc[index]
            for row, picture in enumerate((goal["goal_picture"], goal["achieved_picture"])):
                places[row][column].imshow(picture, cmap="gray", vmin=0, vmax=255)
                places[row][column].set(xticks=[], yticks=[])
                places[row][column].grid(visible=False)
            reached = round(goal["success_rate"] * goal["trials"])
            places[1][column].set_xlabel(f"{reached} of {goal['trials']}", fontsize=8)
        places[0][0].set_ylabel("goal", fontsize=9)
        places[1][0].set_ylabel("achieved", fontsize=9)
    return figure


def compare(rows: pd.DataFrame) -> Sequence[Comparison]:
    """Compare the share of goals reached with the paper's Table 1."""
    comparisons = []
    for task, goals in rows.groupby("task", sort=False):
        published = published_rates(str(task)).get("GLAMOR")
        comparisons.append(
            Comparison(
                f"{task}: goals reached, {TRIALS} trials each",
                f"{goals['success_rate'].mean():.2f}; "
                f"{(goals['success_rate'] > 0.5).mean():.2f} of the goals in most trials",
                f"{published} at 500k steps (Table 1)" if published else "",
            )
        )
    return comparisons


def _row(name: str, title: str, shows: str, quick: Scale, published: Scale) -> Reproduction:
    return Reproduction(
        name=name,
        title=title,
        shows=shows,
        quick=quick,
        published=published.but(seeds=(0,)),
        caveat="One task, and an agent trained for a small part of the paper's 5 million steps "
        "with a smaller encoder: what it does not control is a blur.",
        collect=collect,
        draw=draw,
        compare=compare,
        notes="In brackets: the paper's standard deviation over seeds.",
        one_seed=True,
        words=_described,
    )


def _described(scale: Scale) -> str:
    """Return a description of the budget: one agent per task, with TRIALS episodes per goal."""
    return scale.but(seeds=scale.seeds[:1], episodes_per_goal=TRIALS).described()


FIGURE_11 = _row(
    "figure-11",
    "Figure 11: goals and achieved states, Atari",
    "On most games the mean of five final frames shows what the goal shows: GLAMOR controls "
    "objects that it moves directly and some that it does not.",
    QUICK.over("Seaquest"),
    CURVES.over(*ATARI),
)

FIGURE_12 = _row(
    "figure-12",
    "Figure 12: goals and achieved states, control",
    "In most control tasks GLAMOR matches the pose of the goal picture; in finger it controls "
    "the finger, not the angle of the spinner.",
    QUICK.over("pendulum-swingup"),
    CURVES.over(*CONTROL),
)
