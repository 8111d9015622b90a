"""Table 1: goals reached on every task with the same budget of steps (§4.6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from glamor_gym.experiments import get_algorithm
from glamor_gym.experiments.paper.curves import Variant, in_words, over_seeds, run_spec
from glamor_gym.experiments.paper.reproduction import RATES_NOTE, Comparison, Reproduction, Scale
from glamor_gym.experiments.paper.scales import CURVES, QUICK
from glamor_gym.experiments.paper.workshop import Workshop
from glamor_gym.report.published import METHODS, published_rates

AGENTS = ("glamor", "gcsl", "discern", "dqn-her", "random", "noop")


def collect(scale: Scale, workshop: Workshop) -> pd.DataFrame:
    """Train every agent on every task with every seed, and return the final evaluations."""
    return pd.DataFrame(
        [
            _cell(scale, workshop, task, agent, seed)
            for task in scale.tasks
            for agent in scale.agents
            for seed in scale.seeds
        ]
    )


def _cell(scale: Scale, workshop: Workshop, task: str, agent: str, seed: int) -> dict[str, Any]:
    spec = run_spec(scale, task, Variant(agent, algorithm=agent), seed)
    trained = workshop.trained(spec)
    result = trained.result
    return {
        "task": spec.task,
        "variant": get_algorithm(agent).title,
        "seed": seed,
        "step": spec.steps,
        "success_rate": result.success_rate,
        "reached_rate": result.reached_rate,
        "episodes": result.episodes,
        "random": result.random,
        "noop": result.noop,
        "minutes": trained.folder.config().train_seconds / 60,
    }


def draw(rows: pd.DataFrame) -> Figure:
    """Draw the table: one row per task, our results on the left, the paper's on the right."""
    summary = over_seeds(rows)
    tasks = list(dict.fromkeys(summary["task"]))
    ours = list(dict.fromkeys(summary["variant"]))
    columns = [*ours, *(f"{method}\npaper, 500k" for method in METHODS)]
    rates = summary.set_index(["task", "variant"])
    size = (1.25 * len(columns) + 2.2, 0.34 * len(tasks) + 1.4)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    grid, texts = [], []
    for task in tasks:
        published = published_rates(task)
        cells = [rates.loc[(task, name)] for name in ours]
        grid.append(
            [cell["rate"] for cell in cells]
            + [published[m].mean if m in published else float("nan") for m in METHODS]
        )
        texts.append(
            [in_words(cell) for cell in cells]
            + [str(published[m]) if m in published else "" for m in METHODS]
        )
    axes.imshow(grid, vmin=0, vmax=1, cmap="BuGn", aspect="auto")
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            shade = "white" if grid[row][column] > 0.6 else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=shade)
    axes.axvline(len(ours) - 0.5, color="black", linewidth=1)
    axes.set_xticks(range(len(columns)), columns, fontsize=8)
    axes.set_yticks(range(len(tasks)), tasks, fontsize=8)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure


def compare(rows: pd.DataFrame) -> Sequence[Comparison]:
    """Compare every cell with the paper's, if the paper has it."""
    comparisons = []
    for _, cell in over_seeds(rows).iterrows():
        published = published_rates(cell["task"]).get(cell["variant"])
        comparisons.append(
            Comparison(
                f"{cell['task']}: {cell['variant']}",
                in_words(cell),
                f"{published} at 500k steps" if published else "",
            )
        )
    return comparisons


REPRODUCTION = Reproduction(
    name="table-1",
    title="Table 1: goals reached",
    shows="After 500 thousand steps GLAMOR reaches decidedly more goals than DISCERN and GCSL on "
    "most of 21 tasks; DISCERN has learned almost no control task by then.",
    quick=QUICK.over("cartpole-balance", "Pong").but(
        steps=3_000, looks=1, agents=AGENTS, episodes_per_goal=1
    ),
    published=CURVES.but(steps=500_000, looks=1, agents=AGENTS, episodes_per_goal=4),
    caveat="A budget at which hardly any agent is above chance: it shows that the table can be "
    "made, not what its figures will be.",
    collect=collect,
    draw=draw,
    compare=compare,
    notes=f"{RATES_NOTE} Agents that learn take their best action here; in the figures with curves "
    "they sample it, as the paper's agents do.",
    any_agent=True,
)
