"""Presets: names in, the arguments of an agent out.

``"paper"`` is the published configuration (Fig. 5), which is also the default of every argument.
``"compact"`` is what learns best on two cores in minutes, from a few ten thousand steps, where
pictures show more than the agent moves: games. ``"compact-control"`` is the same for worlds in
which nothing moves by itself: there the time between two pictures is the best teacher of what
differs, and a better sign of having arrived.
``"best"`` and ``"best-control"`` carry both over to the paper's budget, 500,000 steps on a GPU: its
large encoder looks at the pair, and later episodes follow plans.
``"small"`` is for worlds whose observations are short vectors, such as the grid world.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from glamor_gym.agents.settings import DiscernSettings, GCSLSettings, GlamorSettings

Preset = dict[str, Any]

_SOON: Preset = {
    "learning_starts": 2_000,
    "replay_ratio": 25.0,
    "exploration_steps": 50_000,
    "lr_schedule": "cosine",
}
"""What learning within a few ten thousand steps takes, whoever learns by supervision."""

_SMALL_WORLD: Preset = {
    "learning_rate": 1e-3,
    "buffer_size": 100_000,
    "learning_starts": 500,
    "exploration_steps": 10_000,
}

_SMALL_ENCODERS: Preset = {
    "encoder": "compact",
    "fusion": "early",
    "prior_encoder": "tiny",
    "embedding_size": 128,
    "whiten": True,
}

_DURATION_FIRST: Preset = {"stopping": "duration", "duration_gradient": 0.03}
"""A little of the duration's gradient gets an encoder going that its actions alone do not; more of
it teaches it to tell the time by what the agent has no hand in."""

_FEW_EPISODES: Preset = {"image_shift": 4, "replay_ratio": 24.0}
"""Shifted pictures keep a few hundred episodes from being learned by heart; then every further
update is worth its time. So many of them take a quarter of an hour on one core for 50,000 steps."""

_HALF_THE_UPDATES: Preset = {"replay_ratio": 12.0}
"""Control's wider networks take twice as long for an update; twice as many would take half an hour,
and bring little but on cartpole and pendulum."""

_STEADY: Preset = {"exploration_persistence": 0.8}
"""Where one action moves next to nothing, what is drawn anew at each step goes nowhere."""

_FIRST_OF_ALL: Preset = {"first_action_weight": 1.0}
"""An agent that plans anew at each step takes no action but the first."""

_HALF_STEADY: Preset = {"exploration_persistence": 0.5}
"""In games, some of that leads further, too; much of it is too coarse for goals that are near."""


def _glamor_paper() -> Preset:
    return {**GlamorSettings().as_dict(), "policy_kwargs": {"encoder": "auto"}}


def _glamor_compact() -> Preset:
    return {
        **_glamor_paper(),
        **_SOON,
        **_FEW_EPISODES,
        **_HALF_STEADY,
        "data_policy": "random",
        "stay_fraction": 0.1,
        "vote": True,
        "policy_kwargs": {**_SMALL_ENCODERS, "token_size": 64, **_DURATION_FIRST},
    }


def _glamor_compact_control() -> Preset:
    compact = _glamor_compact()
    return {
        **compact,
        **_HALF_THE_UPDATES,
        **_STEADY,
        "gamma": 0.9,
        "policy_kwargs": {
            **compact["policy_kwargs"],
            "embedding_size": 512,
            "duration_gradient": 1.0,
            **_FIRST_OF_ALL,
        },
    }


def _at_full_length(compact: Preset) -> Preset:
    """Return what a compact preset becomes with 500,000 steps and a GPU.

    An encoder fifteen times as dear takes a third of the updates a step, which is what 200,000
    steps did well with, and most of the steps are there for going where random play does not.
    """
    encoders = {"encoder": "residual", "prior_encoder": "compact", "embedding_size": 512}
    return {
        **compact,
        "replay_ratio": 8.0,
        "data_policy": "open_loop",
        "exploration_steps": 300_000,
        "policy_kwargs": {**compact["policy_kwargs"], **encoders},
    }


def _glamor_best() -> Preset:
    return _at_full_length(_glamor_compact())


def _glamor_best_control() -> Preset:
    # An agent that has learned more is not lost at a distance: it need not hurry.
    return {**_at_full_length(_glamor_compact_control()), "gamma": 0.97}


def _glamor_small() -> Preset:
    return {
        **_glamor_paper(),
        **_SOON,
        **_SMALL_WORLD,
        # As many updates a step as the other presets make, of half the size: networks this small
        # take little longer for a tuple more, but twice as long for twice as many.
        "batch_size": 100,
        "replay_ratio": 12.5,
        "exploration_steps": 2_000,
        "stay_fraction": 0.1,
        "vote": True,
        "gamma": 0.5,
        "policy_kwargs": {"encoder": "mlp", "token_size": 64, "embedding_size": 128},
    }


def _gcsl_paper() -> Preset:
    return {**GCSLSettings().as_dict(), "policy_kwargs": {"encoder": "auto"}}


def _gcsl_compact() -> Preset:
    shared = {**_SOON, **_FEW_EPISODES, **_HALF_STEADY}
    return {**_gcsl_paper(), **shared, "policy_kwargs": dict(_SMALL_ENCODERS)}


def _gcsl_compact_control() -> Preset:
    return {**_gcsl_compact(), **_STEADY}


def _gcsl_small() -> Preset:
    policy_kwargs = {"encoder": "mlp", "embedding_size": 256}
    return {**_gcsl_paper(), **_SOON, **_SMALL_WORLD, "policy_kwargs": policy_kwargs}


def _discern_paper() -> Preset:
    return {**DiscernSettings().as_dict(), "policy_kwargs": {"encoder": "auto"}}


def _discern_soon() -> Preset:
    return {
        **_discern_paper(),
        "learning_rate": 5e-4,
        "learning_starts": 2_000,
        "replay_ratio": 16.0,
        "exploration_steps": 25_000,
    }


def _discern_compact() -> Preset:
    policy_kwargs = {"encoder": "compact", "embedding_size": 256, "whiten": True}
    return {**_discern_soon(), **_HALF_STEADY, "policy_kwargs": policy_kwargs}


def _discern_compact_control() -> Preset:
    return {**_discern_compact(), **_STEADY}


def _discern_small() -> Preset:
    return {
        **_discern_soon(),
        **_SMALL_WORLD,
        "exploration_steps": 5_000,
        "target_update_interval": 100,
        "policy_kwargs": {"encoder": "mlp", "embedding_size": 128},
    }


Presets = Mapping[str, Callable[[], Preset]]
"""Name → what makes a fresh dict of an agent's arguments."""

GLAMOR_PRESETS: Presets = MappingProxyType(
    {
        "paper": _glamor_paper,
        "compact": _glamor_compact,
        "compact-control": _glamor_compact_control,
        "best": _glamor_best,
        "best-control": _glamor_best_control,
        "small": _glamor_small,
    }
)

GCSL_PRESETS: Presets = MappingProxyType(
    {
        "paper": _gcsl_paper,
        "compact": _gcsl_compact,
        "compact-control": _gcsl_compact_control,
        "small": _gcsl_small,
    }
)

DISCERN_PRESETS: Presets = MappingProxyType(
    {
        "paper": _discern_paper,
        "compact": _discern_compact,
        "compact-control": _discern_compact_control,
        "small": _discern_small,
    }
)


def make_preset(presets: Presets, name: str) -> Preset:
    """Return a fresh dict of an agent's arguments.

    Raises:
        ValueError: there is no such preset.
    """
    try:
        return presets[name]()
    except (KeyError, TypeError):
        raise ValueError(f"preset must be one of {', '.join(presets)}; got {name!r}") from None
