"""``python -m benchmarks.scaling``: how times scale with sizes that a user can set.

In: nothing. Out: ``scaling.json``, ``scaling.png`` and ``scaling.svg`` in the given folder: time as
a function of trials, horizon, observations in a batch, environments, frames in the buffer and
tuples in an update, as medians with quartiles.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
import torch
import tyro
from gymnasium.vector import VectorEnv
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FixedLocator, LogLocator, NullLocator
from rich.console import Console

import glamor_gym  # noqa: F401  (registers the environments)
from benchmarks.machine import describe_machine
from benchmarks.planner import (
    FILLING_BIAS,
    FILLING_CLIP,
    HORIZON,
    make_contexts,
    make_decoders,
    plan_fast,
)
from benchmarks.replay import make_replay, random_trajectories
from benchmarks.timing import seconds
from benchmarks.update import BATCH, N_ACTIONS, SPACE, make_batch, steps
from glamor_gym.files import write_text
from glamor_gym.models import GlamorModel
from glamor_gym.planners import PlannerSettings
from glamor_gym.report.style import AGENT, TEXT, styled, write_figure

N_TRIALS, ENV_STEPS = 50, 200

Workload = tuple[int, Callable[[], object], float]
"""A size, the work to time, and the units of work in one call of it."""


@dataclass(frozen=True)
class Curve:
    """One panel of the figure.

    Attributes:
        name: name in the table.
        title: title of the panel.
        x_label: label of the sizes.
        y_label: label of the times, in milliseconds.
        sizes: sizes to measure, in increasing order.
        workloads: yields the work of each size, one after the other.
    """

    name: str
    title: str
    x_label: str
    y_label: str
    sizes: tuple[int, ...]
    workloads: Callable[[Sequence[int]], Iterator[Workload]]


def plans(varied: str, sizes: Sequence[int]) -> Iterator[Workload]:
    """Plan at once for all observations, by one of the arguments of :func:`planning`."""
    for size in sizes:
        yield size, planning(**{varied: size}), 1.0


def planning(
    n_rows: int = 1, horizon: int = HORIZON, n_trials: int = N_TRIALS
) -> Callable[[], object]:
    """Return a function that makes plans that fill the horizon, with the paper's decoder size."""
    settings = PlannerSettings(n_trials=n_trials, clip_log_prob=FILLING_CLIP)
    decoders, contexts = make_decoders(FILLING_BIAS), make_contexts(n_rows)
    return torch.inference_mode()(partial(plan_fast, decoders, contexts, horizon, settings))


def collection(sizes: Sequence[int]) -> Iterator[Workload]:
    """Step Pong at random, by number of environments; the unit is a step of one of them."""
    for n_envs in sizes:
        env = gym.make_vec("glamor/Pong-v0", num_envs=n_envs)
        env.reset(seed=0)
        n_steps = ENV_STEPS // n_envs
        yield n_envs, partial(play, env, n_steps), float(n_steps * n_envs)
        env.close()


def play(env: VectorEnv[Any, Any, Any], n_steps: int) -> None:
    """Take `n_steps` random steps other than STOP in every environment."""
    assert isinstance(env.single_action_space, gym.spaces.Discrete)
    n_actions = int(env.single_action_space.n) - 1
    for actions in np.random.default_rng(0).integers(0, n_actions, (n_steps, env.num_envs)):
        env.step(actions)


def sampling(sizes: Sequence[int]) -> Iterator[Workload]:
    """Sample from a replay, by number of frames in it."""
    replay = make_replay(max(sizes))
    stored = random_trajectories(max(sizes))
    n_frames = 0
    for size in sizes:
        for trajectory in stored:
            replay.add(trajectory)
            n_frames += len(trajectory.achieved)
            if n_frames + len(trajectory.achieved) > size:
                break
        yield size, partial(replay.sample, BATCH), 1.0


def updates(sizes: Sequence[int]) -> Iterator[Workload]:
    """Make updates with the compact encoder, by number of training tuples."""
    torch.manual_seed(0)
    model = GlamorModel(SPACE, N_ACTIONS, encoder="compact")
    for size in sizes:
        update, _ = steps(model, make_batch(size))
        yield size, update, 1.0


CURVES = (
    Curve(
        "trials",
        f"Plan, T = {HORIZON}",
        "trials",
        "ms a plan",
        (1, 5, 10, 25, 50, 100, 200, 400),
        partial(plans, "n_trials"),
    ),
    Curve(
        "horizon",
        f"Plan, {N_TRIALS} trials",
        "horizon T",
        "ms a plan",
        (10, 25, 50, 100, 200),
        partial(plans, "horizon"),
    ),
    Curve(
        "observations",
        f"Plans at once, {N_TRIALS} trials, T = {HORIZON}",
        "observations",
        "ms for all of them",
        (1, 2, 4, 8, 16, 32, 64),
        partial(plans, "n_rows"),
    ),
    Curve(
        "environments",
        "Collect Pong with gym.make_vec",
        "environments",
        "ms a step of one of them",
        (1, 2, 4, 8, 16),
        collection,
    ),
    Curve(
        "buffer",
        f"Sample {BATCH} tuples",
        "frames in the buffer",
        "ms a sample",
        (10_000, 20_000, 50_000, 100_000, 200_000),
        sampling,
    ),
    Curve(
        "update",
        f"Update, compact encoder, T = {HORIZON}",
        "training tuples",
        "ms an update",
        (25, 50, 100, 200, 400),
        updates,
    ),
)


def measure(curve: Curve, repeats: int) -> pd.DataFrame:
    """Time the work of a curve at each of its sizes, after one call to warm up.

    Args:
        curve: the curve.
        repeats: number of calls at each size.

    Returns:
        One row per size: ``curve``, ``size``, and ``median_ms``, ``low_ms`` and ``high_ms``, the
        median and the quartiles of the time per unit of work.
    """
    rows = []
    for size, work, units in curve.workloads(curve.sizes):
        work()
        times = [1e3 * seconds(work) / units for _ in range(repeats)]
        low, median, high = np.percentile(times, (25, 50, 75))
        rows.append((curve.name, size, median, low, high))
    return pd.DataFrame(rows, columns=["curve", "size", "median_ms", "low_ms", "high_ms"])


def draw(table: pd.DataFrame, machine: dict[str, str | int]) -> Figure:
    """Draw one panel per curve, on logarithmic axes, with a note about the machine."""
    figure = Figure(figsize=(11.0, 6.4), layout="constrained")
    for panel, curve in zip(figure.subplots(2, 3).flat, CURVES, strict=True):
        _draw_curve(panel, curve, table[table["curve"] == curve.name])
    facts = ["median and quartiles", *(f"{key}: {value}" for key, value in machine.items())]
    lines = textwrap.wrap("; ".join(facts), 180)
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", color=TEXT, fontsize=8)
    return figure


def _draw_curve(axes: Axes, curve: Curve, points: pd.DataFrame) -> None:
    axes.fill_between(
        points["size"],
        points["low_ms"],
        points["high_ms"],
        color=AGENT,
        alpha=0.2,
        linewidth=0,
    )
    axes.plot(points["size"], points["median_ms"], "o-", color=AGENT, markersize=4)
    axes.set(title=curve.title, xlabel=curve.x_label, ylabel=curve.y_label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    # A flat curve should look flat: at least a factor of ten from bottom to top.
    low, high = points["low_ms"].min() / 1.5, points["high_ms"].max() * 1.5
    middle = float(np.sqrt(low * high))
    axes.set_ylim(min(low, middle / 10**0.5), max(high, middle * 10**0.5))
    axes.xaxis.set_major_locator(FixedLocator(points["size"].tolist()))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter("{x:g}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())


def main(output: Path = Path("results/benchmarks/scaling"), repeats: int = 9) -> int:
    """Measure every curve. Nothing else should run at the same time.

    Args:
        output: folder for ``scaling.json``, ``scaling.png`` and ``scaling.svg``.
        repeats: number of calls at each point.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be 1 or more, got {repeats}")
    console, tables = Console(), []
    machine = describe_machine()
    for curve in CURVES:
        tables.append(measure(curve, repeats))
        console.print(tables[-1].to_string(index=False, float_format="{:.3f}".format))
    table = pd.concat(tables)
    with styled():
        write_figure(draw(table, machine), output / "scaling")
    record = {"machine": machine, "rows": table.round(4).to_dict("records")}
    write_text(output / "scaling.json", json.dumps(record, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
