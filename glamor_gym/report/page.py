"""The page of a run: all its results in one self-contained HTML file.

In: the folder of a run. Out: its ``report.html``: the success rate next to those of the baselines
and of the paper; the curves; goals and achieved frames, as pictures and films; and what is needed
to run it again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import chain, zip_longest
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from glamor_gym.evaluation.metrics_file import evaluations_in
from glamor_gym.evaluation.run_folder import RunConfig, RunFolder
from glamor_gym.files import write_text
from glamor_gym.names import listed
from glamor_gym.report.figures import (
    Bar,
    Level,
    distance_bars,
    goal_strip,
    loss_curves,
    rate_bars,
    success_curve,
)
from glamor_gym.report.published import SOURCE, Rate, published_rates
from glamor_gym.report.rendering import render
from glamor_gym.report.style import AGENT, CHANCE, PUBLISHED, Plot
from glamor_gym.types import EpisodeFrames, EvaluationResult

FILMS = 6
"""Number of episodes shown as films; of the others, only the last frame is shown."""

CELLS = 300
"""Largest number of goals shown as cells: thousands would take a minute to draw, and megabytes."""


def write_report(run: RunFolder) -> Path:
    """Write the page of a run from the files in its folder.

    Returns:
        Path of the page.

    Raises:
        ValueError: the folder holds no run or no evaluation, or one of its files is damaged.
        OSError: the page cannot be written.
    """
    config, result = run.config(), run.evaluation()
    if result is None:
        raise ValueError(
            f"{run.path} holds no evaluation to report: there is no {run.evaluation_file}"
        )
    trainer = run.trainer_of(config)
    known = trainer.holds_a_run()  # the folder may have been copied without it
    training = _training(trainer.config(), trainer.metrics()) if known else None
    page = render_page(config, result, run.metrics(), training)
    write_text(run.report_file, page)
    return run.report_file


class Training(NamedTuple):
    """How the agent of a run was trained.

    Attributes:
        steps: number of environment steps before the evaluation that is shown.
        seconds: wall-clock time of training.
        hardware: description of the hardware.
    """

    steps: int
    seconds: float
    hardware: str


def _training(config: RunConfig, metrics: pd.DataFrame) -> Training:
    """Return how the agent was trained, from the files of the run that trained it."""
    evaluations = evaluations_in(metrics)
    rows = metrics if evaluations.empty else evaluations  # a run that goes on is beyond these
    steps = config.steps if rows.empty else int(rows["step"].max())
    return Training(steps, config.train_seconds, config.hardware)


def render_page(
    config: RunConfig,
    result: EvaluationResult,
    metrics: pd.DataFrame,
    training: Training | None = None,
) -> str:
    """Return the page as HTML.

    Args:
        config: the configuration of the run.
        result: the evaluation to show.
        metrics: the curves, as in ``metrics.csv``; any column but ``step`` may be missing.
        training: how the agent was trained; None to take it from `config` and `metrics`.
    """
    training = training or _training(config, metrics)
    published = published_rates(config.task)
    return render(
        "page.html.jinja",
        config=config,
        steps=training.steps,
        result=result,
        reached=round(result.success_rate * result.episodes),
        bars=rate_bars(list(_bars(result, published))),
        curve=_curve(metrics, result, published),
        losses=_losses(metrics),
        goals=goal_strip(result) if 0 < len(result.per_goal) <= CELLS else None,
        distances=distance_bars(result) if result.distances else None,
        episodes=result.frames,
        films=_films(result.frames),
        published=published,
        source=SOURCE,
        details=_details(config, result, training),
    )


def _bars(result: EvaluationResult, published: Mapping[str, Rate]) -> Iterator[Bar]:
    """Yield the bars of this run, of the baselines and of the paper, from top to bottom."""
    yield Bar("this run", result.success_rate, *result.confidence_interval, AGENT)
    if not math.isnan(result.random):
        yield Bar("random agent", result.random, *result.random_interval, CHANCE)
        yield Bar("no-op agent", result.noop, *result.noop_interval, CHANCE)
    for method, (mean, std) in published.items():
        yield Bar(f"{method}, paper", mean, max(0.0, mean - std), min(1.0, mean + std), PUBLISHED)


def _curve(
    metrics: pd.DataFrame, result: EvaluationResult, published: Mapping[str, Rate]
) -> Plot | None:
    evaluations = evaluations_in(metrics)
    if len(evaluations) < 2:
        return None
    levels = []
    if "GLAMOR" in published:
        paper = published["GLAMOR"].mean
        levels.append(Level("GLAMOR in the paper, at 500k", paper, PUBLISHED, "--"))
    if not math.isnan(result.random):
        levels.append(Level("random agent", result.random, CHANCE, ":"))
    return success_curve(evaluations, levels)


def _losses(metrics: pd.DataFrame) -> Plot | None:
    wanted = ["train/inverse_loss", "train/prior_loss"]
    if not set(wanted) <= set(metrics) or not metrics[wanted].notna().any(axis=None):
        return None
    return loss_curves(metrics)


def _films(episodes: list[EpisodeFrames]) -> list[EpisodeFrames]:
    """Choose the episodes to show as films: successes and failures in turn, while both last."""
    reached = [episode for episode in episodes if episode.success]
    missed = [episode for episode in episodes if not episode.success]
    in_turn = chain.from_iterable(zip_longest(reached, missed))
    return [episode for episode in in_turn if episode is not None][:FILMS]


def _details(config: RunConfig, result: EvaluationResult, training: Training) -> dict[str, str]:
    """Return what is needed to run this again: name → text."""
    options = f"; {listed(config.env_kwargs)}" if config.env_kwargs else ""
    elsewhere = {"Agent": f"trained in {config.trained_in}"} if config.trained_in else {}
    return {
        "Commands": "\n".join(config.commands),
        **elsewhere,
        "Environments": f"{config.n_envs} side by side{options}",
        "Training time": f"{training.seconds / 60:.1f} minutes on {training.hardware}",
        "Seed": str(config.seed),
        "Goals": f"{config.goals}, SHA-256 {result.goals_hash}",
        "Settings": listed(config.settings | config.planner | config.policy_kwargs),
        "Commit": config.commit or "not known",
        "Versions": listed(config.versions, " "),
    }
