"""Figure 3a: goals of the grid world reached, and reached by shortest paths, over trials (§4.7.1).

Each of the 49 cells is a goal. As in the paper, the figure has a map of the room for each number of
trials; it also shows the same rates during training.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glamor_gym.evaluation import newcombe_interval, wilson_interval
from glamor_gym.evaluation.arena import Arena
from glamor_gym.evaluation.isolation import isolated
from glamor_gym.evaluation.rollout import Episode
from glamor_gym.evaluation.shortest_paths import fewest_moves
from glamor_gym.experiments.estimates import rates_verdict
from glamor_gym.experiments.paper.curves import AGREES, Variant, run_spec
from glamor_gym.experiments.paper.reproduction import (
    DECISION_NOTE,
    Comparison,
    Reproduction,
    Scale,
)
from glamor_gym.experiments.paper.workshop import Trained, Workshop
from glamor_gym.experiments.runs import planned_by
from glamor_gym.names import counted

TRIALS = (1, 2, 5, 10, 20, 50)
RATES = MappingProxyType({"reached": "reached", "optimal": "by a shortest path"})
"""Column → its name in the figure."""

PAPER = Scale(
    tasks=("GridWorld",),
    steps=70_000,
    seeds=(0, 1, 2),
    preset="paper",
    settings=MappingProxyType(
        {
            "gamma": 0.5,
            "learning_starts": 30_000,
            "exploration_steps": 70_000,
            "buffer_size": 100_000,  # more than the number of steps
        }
    ),
    looks=14,
    episodes_per_goal=10,
)


def collect(scale: Scale, workshop: Workshop) -> pd.DataFrame:
    """Train an agent per seed, and evaluate its snapshots on all cells with each number of trials.

    Returns:
        One row per ``seed``, ``step``, ``trials`` and goal (``x``, ``y``), with the number of
        ``episodes``, and how many of them ended at the goal (``reached``); of those, how many
        first arrived there after the smallest possible number of moves (``optimal``), and how many
        also stopped at that moment (``stopped``).
    """
    (task,) = scale.tasks
    rows = []
    for seed in scale.seeds:
        trained = workshop.trained(run_spec(scale, task, Variant("GLAMOR"), seed), scale.look_steps)
        for step in scale.look_steps:
            for n_trials in TRIALS:
                measured = _measure(workshop, trained, step, n_trials, scale.episodes_per_goal)
                rows.append(measured.assign(seed=seed, step=step, trials=n_trials))
    return pd.concat(rows, ignore_index=True)


def _measure(
    workshop: Workshop, trained: Trained, step: int, n_trials: int, episodes_per_goal: int
) -> pd.DataFrame:
    """Evaluate one snapshot on all cells with one number of trials."""

    def measure() -> pd.DataFrame:
        agent = planned_by(trained.agent(step), {"n_trials": n_trials, "vote": False})
        spec = trained.spec
        with (
            isolated(agent, None, spec.seed),
            Arena(
                spec.task,
                goals="all",
                episodes_per_goal=episodes_per_goal,
                seed=spec.seed,
                n_envs=49,
                env_kwargs=spec.env_kwargs,
            ) as arena,
        ):
            episodes = arena.play(agent, deterministic=False)
        outcomes = pd.DataFrame([_outcome(episode) for episode in episodes])
        return outcomes.groupby(["x", "y"], as_index=False).sum()

    name = f"{trained.name}/{step}-all-{n_trials}-trials-{episodes_per_goal}-a-goal"
    return workshop.measured(name, measure)


def _outcome(episode: Episode) -> dict[str, int]:
    fewest = fewest_moves(episode)
    return {
        "x": round(episode.goal_labels["x"]),
        "y": round(episode.goal_labels["y"]),
        "episodes": 1,
        "reached": int(episode.success),
        "optimal": int(episode.success and episode.arrival == fewest),
        "stopped": int(episode.success and episode.length == fewest),
    }


# ------------------------------------------------------------------------------------- picture


def draw(rows: pd.DataFrame) -> Figure:
    """Draw maps of the final rates per number of trials, and rates over trials and steps."""
    figure = Figure(figsize=(13.2, 4.3), layout="constrained")
    maps_half, rates_half = np.asarray(figure.subfigures(1, 2, width_ratios=(7.6, 5.6)))
    maps = maps_half.subplots(2, len(TRIALS), squeeze=False)
    last = rows[rows["step"] == rows["step"].max()]
    for row, (column, name) in enumerate(RATES.items()):
        for place, n_trials in zip(maps[row], TRIALS, strict=True):
            _draw_map(place, last[last["trials"] == n_trials], column)
            place.set_title(counted(n_trials, "trial") if row == 0 else "")
        maps[row][0].set_ylabel(name)
    panels = rates_half.subplots(2, 1, sharex=True)
    for place, (column, name) in zip(panels, RATES.items(), strict=True):
        image = _draw_rates(place, _rates(rows, column, ["trials", "step"]).unstack())
        place.set_ylabel(f"{name}\ntrials")
    panels[-1].set_xlabel("environment steps")
    rates_half.colorbar(image, ax=panels, label="share of episodes")
    return figure


def _draw_map(axes: Axes, rows: pd.DataFrame, column: str) -> None:
    """Draw the mean rate over seeds at each goal cell; brighter is higher."""
    grid = _rates(rows, column, ["y", "x"]).unstack()
    axes.imshow(grid, vmin=0, vmax=1, cmap="viridis")
    axes.set(xticks=[], yticks=[], xlabel=f"{grid.to_numpy().mean():.2f}")
    axes.grid(visible=False)


def _rates(rows: pd.DataFrame, column: str, by: list[str]) -> pd.Series[float]:
    """Return the share of episodes that `column` counts, in each group."""
    sums = rows.groupby(by)[[column, "episodes"]].sum()
    return sums[column] / sums["episodes"]


def _draw_rates(axes: Axes, rates: pd.DataFrame) -> object:
    """Draw rates with trials as rows and steps as columns; return the image."""
    image = axes.imshow(rates, vmin=0, vmax=1, cmap="viridis", aspect="auto", origin="lower")
    for (row, column), rate in np.ndenumerate(rates.to_numpy()):
        shade = "white" if rate < 0.6 else "black"
        axes.text(column, row, f"{rate:.2f}", ha="center", va="center", fontsize=6, color=shade)
    axes.set_yticks(range(len(rates)), [str(n_trials) for n_trials in rates.index])
    axes.set_xticks(
        range(len(rates.columns)), [f"{float(step) / 1000:g}k" for step in rates.columns]
    )
    axes.grid(visible=False)
    return image


# ---------------------------------------------------------------------------------- comparison


def compare(rows: pd.DataFrame) -> Sequence[Comparison]:
    """Test “both rates rise with the number of trials” at the end of training.

    The most trials are compared with a single one.
    """
    last = rows[rows["step"] == rows["step"].max()]
    comparisons = []
    for column, name in RATES.items():
        rates = _rates(last, column, ["trials"])
        few, many = (last[last["trials"] == n_trials] for n_trials in (TRIALS[0], TRIALS[-1]))
        verdict = rates_verdict(
            _rates(many, column, ["seed"]),
            _rates(few, column, ["seed"]),
            newcombe_interval(_counts(many, column), _counts(few, column)),
            same_agents=True,
        )
        low, high = wilson_interval(*_counts(many, column))
        comparisons += [
            Comparison(
                f"{name}: {TRIALS[0]} → {TRIALS[-1]} trials",
                " → ".join(f"{rate:.3f}" for rate in rates),
                "rises with the trials",
                AGREES[verdict],
            ),
            Comparison(
                f"{name}: {TRIALS[-1]} trials",
                f"{rates[TRIALS[-1]]:.3f} ({low:.3f}–{high:.3f})",
                "(a bright map, without a number)",
            ),
        ]
    stopped = last[last["trials"] == TRIALS[-1]][["stopped", "episodes"]].sum()
    comparisons.append(
        Comparison(
            f"stops at the goal right after the fewest moves: {TRIALS[-1]} trials",
            f"{stopped['stopped'] / stopped['episodes']:.3f}",
            "(not told)",
        )
    )
    return comparisons


def _counts(rows: pd.DataFrame, column: str) -> tuple[int, int]:
    """Return the number of episodes that `column` counts, and of all."""
    return int(rows[column].sum()), int(rows["episodes"].sum())


REPRODUCTION = Reproduction(
    name="figure-3a",
    title="Figure 3a: planning compute in the grid world",
    shows="In a 7 × 7 room the share of goals that are reached, and of goals that are reached by "
    "a shortest path, both rise with the number of candidates of the planner (“brighter means a "
    "higher achievement rate”).",
    quick=Scale(
        tasks=("GridWorld",),
        steps=10_000,
        preset="small",
        looks=5,
        episodes_per_goal=4,
    ),
    published=PAPER,
    caveat="A small encoder that learns early and often, and a single agent.",
    collect=collect,
    draw=draw,
    compare=compare,
    notes="Reached: the episode ended at the goal. By a shortest path: and the first moment at the "
    "goal came after the fewest moves there are (for the middle, where the agent starts, at once). "
    "The last row counts only episodes that stopped at that very moment; with the paper's agent "
    "these cannot be more than 48 of 49, since its plans have at least one move. In brackets: 95 % "
    f"Wilson intervals of the episodes of all seeds. {DECISION_NOTE}",
    only_task=True,
)
