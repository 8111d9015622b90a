"""Appendix A.1: a fair and a loaded die, with which cloning relabelled data fails.

With exact distillation and uniform goals, GCSL's policy follows the recursion of Eq. 12,
π(loaded | 1) = 0.857, 0.5, …, away from the right action. GLAMOR divides by the prior: for goal 1,
the loaded die is six times as good as the fair one, however the data was collected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import gymnasium as gym
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from glamor_gym.agents import GCSLAgent, GlamorAgent
from glamor_gym.envs.dice import FACES, FAIR, LOADED, OUTCOMES, Dice
from glamor_gym.experiments.paper.curves import Variant, run_spec
from glamor_gym.experiments.paper.reproduction import (
    Agreement,
    Comparison,
    Reproduction,
    Scale,
)
from glamor_gym.experiments.paper.workshop import Trained, Workshop
from glamor_gym.models import GlamorModel
from glamor_gym.names import counted
from glamor_gym.report.style import AGENT, ALGORITHM_COLOURS, CHANCE, SECOND
from glamor_gym.types import Trajectory

ITERATIONS = 40
CHECKED = (1, 2, 5, 10, 40)
"""Iterations at which the measured policy is compared with the exact one."""

RIGHT_RATIO = 6.0
TOLERANCE = 0.15
"""Allowed relative error of a learned ratio: that of the ratio in the rolls themselves."""

GLAMOR_STEPS = 4_000

VARIANTS = (
    Variant("GLAMOR, own data"),
    Variant("GLAMOR, random data", settings={"data_policy": "random"}),
)

CLONER: Mapping[str, Any] = MappingProxyType(
    {"learning_rate": 1e-3, "batch_size": 400, "policy_kwargs": {"embedding_size": 64}}
)
"""Settings of the GCSL agent, with a network that is large enough for six goals."""

UPDATES = 40
"""Updates of the GCSL agent in each iteration, starting from its previous weights."""


# ------------------------------------------------------------------------------ GCSL, exactly


def exact_path(iterations: int) -> NDArray[np.float64]:
    """Return π_t(loaded | goal) of exact GCSL from a uniform policy and uniform goals (Eq. 12).

    Returns:
        (iterations + 1, 6): one row per iteration, the first for the initial policy; one column per
        goal, the first for goal 1.
    """
    policy = np.full((FACES, len(OUTCOMES)), 1 / len(OUTCOMES))
    path = [policy]
    for _ in range(iterations):
        joint = OUTCOMES.T * policy.mean(axis=0)  # p(a, s = g), by Equation 11
        policy = joint / joint.sum(axis=1, keepdims=True)
        path.append(policy)
    return np.stack(path)[:, :, LOADED]


def counted_path(iterations: int, rolls: int, seed: int) -> NDArray[np.float64]:
    """Return the path of GCSL with counts: each policy is the action frequencies of the last one.

    Args:
        iterations: number of times that the policy is replaced by its clone.
        rolls: rolls of the dice in each iteration, with uniform goals.
        seed: random seed of goals, actions and dice.

    Returns:
        (iterations + 1, 6), as :func:`exact_path`; a goal that was never rolled keeps its policy.
    """
    rng = np.random.default_rng(seed)
    world = Dice()
    world.reset(seed=seed)
    policy = np.full(FACES, 0.5)
    path = [policy]
    for _ in range(iterations):
        goals = rng.integers(0, FACES, rolls)
        loaded = rng.random(rolls) < policy[goals]
        faces = np.array([_roll(world, LOADED if choice else FAIR) for choice in loaded])
        rolled = np.bincount(faces, minlength=FACES)
        by_loaded = np.bincount(faces[loaded], minlength=FACES)
        policy = np.where(rolled > 0, by_loaded / np.maximum(rolled, 1), policy)
        path.append(policy)
    return np.stack(path)


def cloned_path(
    iterations: int, rolls: int, seed: int, *, device: str = "auto"
) -> NDArray[np.float64]:
    """Return the path of the GCSL agent: its network is fitted to the rolls of its last policy.

    The replay holds the rolls of one iteration, as in the recursion. Arguments and shape are those
    of :func:`counted_path`, with the device of the network.
    """
    rng = np.random.default_rng(seed)
    env = gym.make("glamor/Dice-v0", goals="all")
    # Two moments per roll: the next iteration's rolls replace those of this one.
    agent = GCSLAgent(env, **CLONER, buffer_size=2 * rolls, seed=seed, device=device)
    world = Dice()
    world.reset(seed=seed)
    goals, ones = np.eye(FACES, dtype=np.float32), np.ones((FACES, 1), np.float32)
    every_goal = {"observation": np.zeros_like(goals), "desired_goal": goals, "steps_left": ones}
    path = [np.full(FACES, 0.5)]
    for iteration in range(iterations):
        if iteration == 0:  # the recursion starts with a uniform policy, a network does not
            actions = rng.integers(0, 2, rolls)
        else:
            rows = rng.integers(0, FACES, rolls)
            actions, _ = agent.predict({key: value[rows] for key, value in every_goal.items()})
        for action in actions:
            moments = np.stack([every_goal["observation"][0], goals[_roll(world, int(action))]])
            agent.replay_buffer.add(Trajectory(moments, np.array([action]), moments))
        for _ in range(UPDATES):
            agent.update(agent.replay_buffer.sample(agent.batch_size, agent.device))
        logits = agent.policy.logits(every_goal, np.ones(FACES, np.int64))
        path.append(logits.softmax(dim=-1)[:, LOADED].double().cpu().numpy())
    return np.stack(path)


GCSL = MappingProxyType({"GCSL, counted": counted_path, "GCSL agent": cloned_path})
"""The two forms of GCSL: with a table of counts as policy, so that distillation is exact, and as
an agent with a network."""


def _roll(world: Dice, die: int) -> int:
    """Roll a die and return the face, from 0."""
    world.reset()
    return int(world.step(die)[0].argmax())


# ------------------------------------------------------------------------------------ GLAMOR


def ratio_at_one(agent: GlamorAgent) -> float:
    """Return how many times better than the fair die the agent thinks the loaded one is at goal 1.

    That is exp(z_loaded − z_fair), where z = log p_inv − log p_prior of the plan with that action.
    """
    goal = torch.eye(FACES, device=agent.device)[:1]
    start = torch.zeros(1, FACES, device=agent.device)
    plans = torch.tensor(
        [[LOADED, agent.stop_action], [FAIR, agent.stop_action]], device=agent.device
    )
    length = torch.full((2,), 2)
    model = agent.policy.model
    assert isinstance(model, GlamorModel)
    with torch.no_grad():
        inverse, prior = model.token_log_probs(
            start.expand(2, -1), goal.expand(2, -1), plans, length
        )
        z = (inverse - prior).reshape(2, -1).sum(dim=0)  # first tokens of both, then STOP of both
    return math.exp(float(z[0] - z[1]))


def chosen_dice(agent: GlamorAgent) -> list[int]:
    """Return the die that the agent chooses for each goal, from 1 to 6."""
    actions, _ = agent.predict(
        {
            "observation": np.zeros((FACES, FACES), np.float32),
            "desired_goal": np.eye(FACES, dtype=np.float32),
            "steps_left": np.ones((FACES, 1), np.float32),
        },
        deterministic=True,
    )
    return [int(action) for action in actions]


# -------------------------------------------------------------------------------- experiment


def collect(scale: Scale, workshop: Workshop) -> pd.DataFrame:
    """Iterate GCSL with counts and with its agent; train GLAMOR on its own and on random data.

    Returns:
        Rows of ``agent`` “GCSL, counted” and “GCSL agent”: ``seed``, ``iteration``, ``exact`` and
        ``measured`` π(loaded | 1). Rows of GLAMOR: ``seed``, ``ratio`` and ``right_dice``, the
        number of the six goals for which it chooses the better die.
    """
    (task,) = scale.tasks
    rolls = scale.steps // ITERATIONS
    rows: list[pd.DataFrame] = []
    for seed in scale.seeds:
        for name, path_of in GCSL.items():
            options = {"device": workshop.device} if path_of is cloned_path else {}
            rows.append(_path(workshop, name, path_of, rolls, seed, **options))
        for variant in VARIANTS:
            spec = run_spec(scale.but(steps=GLAMOR_STEPS), task, variant, seed)
            trained = workshop.trained(spec, [GLAMOR_STEPS])
            rows.append(pd.DataFrame([_judged(trained, variant.name, seed)]))
    return pd.concat(rows, ignore_index=True)


def _path(
    workshop: Workshop,
    name: str,
    path_of: Callable[..., NDArray[np.float64]],
    rolls: int,
    seed: int,
    **options: str,
) -> pd.DataFrame:
    """Iterate GCSL in one of its two forms, and add the exact policy to the measurement."""
    measured = workshop.measured(
        f"dice/{path_of.__name__}-{rolls}-rolls-seed{seed}",
        lambda: pd.DataFrame({"measured": path_of(ITERATIONS, rolls, seed, **options)[:, 0]}),
    )
    exact = exact_path(ITERATIONS)[:, 0]
    return measured.assign(agent=name, seed=seed, iteration=range(ITERATIONS + 1), exact=exact)


def _judged(trained: Trained, name: str, seed: int) -> dict[str, Any]:
    agent = cast(GlamorAgent, trained.agent(GLAMOR_STEPS))
    dice = chosen_dice(agent)
    right = [LOADED, *[FAIR] * (FACES - 1)]
    return {
        "agent": name,
        "seed": seed,
        "ratio": ratio_at_one(agent),
        "right_dice": sum(a == b for a, b in zip(dice, right, strict=True)),
    }


def draw(rows: pd.DataFrame) -> Figure:
    """Draw GCSL's paths with the exact one, and GLAMOR's ratios with 6 : 1."""
    figure = Figure(figsize=(10.4, 3.8), layout="constrained")
    path, ratios = figure.subplots(1, 2, width_ratios=(3, 2))
    for name, colour in zip(GCSL, (SECOND, ALGORITHM_COLOURS["gcsl"]), strict=True):
        of_agent = rows[rows["agent"] == name]
        for _, one in of_agent.groupby("seed"):
            path.plot(one["iteration"], one["measured"], color=colour, alpha=0.3, linewidth=0.8)
        mean = of_agent.groupby("iteration")["measured"].mean()
        path.plot(mean.index, mean, color=colour, label=f"{name}, mean of seeds")
    exact = exact_path(ITERATIONS)[:, 0]
    path.plot(range(len(exact)), exact, "k.", markersize=4, label="exact recursion (Eq. 12)")
    path.axhline(1.0, color=AGENT, linestyle="--", label="right: the loaded die")
    path.set(xlabel="iteration", ylabel="π(loaded | goal 1)", ylim=(0, 1.05))
    path.legend(fontsize=9)
    glamor = rows[~rows["agent"].isin(GCSL)]
    for place, (_, one) in enumerate(glamor.groupby("agent", sort=False)):
        ratios.plot([place] * len(one), one["ratio"], "o", color=AGENT, alpha=0.7)
    names = list(dict.fromkeys(glamor["agent"]))
    ratios.set_xticks(range(len(names)), names)
    ratios.axhline(RIGHT_RATIO, color="black", linestyle=":", label="6 : 1")
    ratios.axhline(1.0, color=CHANCE, linestyle=":", label="no preference")
    ratios.set(ylabel="loaded : fair at goal 1", ylim=(0, 8), xlim=(-0.5, len(names) - 0.5))
    ratios.legend(fontsize=9)
    return figure


def compare(rows: pd.DataFrame) -> Sequence[Comparison]:
    """Compare the measured path with the exact one, and GLAMOR's ratio with six."""
    comparisons = []
    for iteration in CHECKED:
        at = rows[(rows["agent"] == "GCSL, counted") & (rows["iteration"] == iteration)]
        mean, exact = at["measured"].mean(), at["exact"].iloc[0]
        error = at["measured"].std() / math.sqrt(len(at))  # NaN for one seed
        # As seldom exceeded by chance as three standard errors are where the error is known.
        most = stats.t.isf(stats.norm.sf(3), len(at) - 1) * error
        agrees: Agreement = "yes" if abs(mean - exact) <= most else "no"
        comparisons.append(
            Comparison(
                f"GCSL, counted: π(loaded | 1) at iteration {iteration}",
                f"{mean:.3f} ± {error:.3f} (mean, standard error of {len(at)} seeds)"
                if len(at) > 1
                else f"{mean:.3f} (one seed)",
                f"{exact:.3f}, exactly",
                agrees if len(at) > 1 else "undecided",
            )
        )
    end = rows[rows["iteration"] == ITERATIONS].groupby("agent", sort=False)["measured"]
    for name, policies in end:
        comparisons.append(
            Comparison(
                f"{name}: takes the fair die for goal 1 in the end",
                f"with probability {1 - policies.mean():.3f}",
                f"{1 - exact_path(ITERATIONS)[-1, 0]:.3f}, exactly",
                "yes" if (policies < 0.5).all() else "no",
            )
        )
    for name, one in rows[~rows["agent"].isin(GCSL)].groupby("agent", sort=False):
        near = (one["ratio"] / RIGHT_RATIO - 1).abs() <= TOLERANCE
        comparisons += [
            Comparison(
                f"{name}: loaded : fair at goal 1",
                ", ".join(f"{ratio:.2f}" for ratio in one["ratio"]) + " : 1",
                "6 : 1",
                "yes" if near.all() else "no",
            ),
            Comparison(
                f"{name}: takes the better die",
                f"for {', '.join(f'{n:.0f}' for n in one['right_dice'])} of {FACES} goals",
                "for every goal",
                "yes" if (one["right_dice"] == FACES).all() else "no",
            ),
        ]
    return comparisons


def _described(scale: Scale) -> str:
    """Return a description of the budget: rolls of the dice for GCSL, steps for GLAMOR."""
    return (
        f"{ITERATIONS} iterations of {scale.steps // ITERATIONS:,} rolls, "
        f"{GLAMOR_STEPS:,} steps of GLAMOR, {counted(len(scale.seeds), 'seed')}, "
        f"preset {scale.preset}"
    )


_SCALE = Scale(
    tasks=("Dice",), steps=400_000, seeds=tuple(range(5)), preset="small", looks=1
)  # fmt: skip

REPRODUCTION = Reproduction(
    name="appendix-a1",
    title="Appendix A.1: GCSL and GLAMOR roll dice",
    shows="Proposition A.1: where the action that is best for one goal now and then reaches "
    "another one, GCSL does not converge to an optimal policy; GLAMOR finds it. (An argument, "
    "not an experiment: the exact figures follow from Eq. 12.)",
    quick=_SCALE.but(steps=80_000, seeds=(0, 1, 2)),
    published=_SCALE,
    caveat="Fewer rolls and seeds than at full scale, so that sampling hides small deviations.",
    collect=collect,
    draw=draw,
    compare=compare,
    notes="GCSL, counted, has a table of counts for a policy, so that distillation is exact, as "
    "the proposition assumes; it agrees where the exact figure is within three standard errors, "
    "or as many more as few seeds ask for. "
    "GCSL agent is the network, fitted to its last policy's rolls. GLAMOR's ratio agrees within "
    "15 %.",
    only_task=True,
    least_steps=ITERATIONS,
    trainings=0,
    words=_described,
)
