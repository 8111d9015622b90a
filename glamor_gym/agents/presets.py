"""Presets of the agents.

In: a name. Out: the arguments of an agent.

* ``"paper"``: the published configuration (Fig. 5), which is also the default of every argument.
* ``"compact"``: learns best on two cores, in minutes and a few ten thousand steps, in games, where
  more moves than the agent.
* ``"compact-control"``: the same for worlds in which nothing moves by itself. There the time
  between two pictures teaches best how they differ, and tells best whether the agent has arrived.
* ``"best"``, ``"best-control"``: the same two for the paper's budget, 500,000 steps on a GPU, with
  its large encoder, and with plans as data in later episodes.
* ``"small"``: for worlds whose observations are short vectors, such as the grid world.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from glamor_gym.agents.settings import DiscernSettings, GCSLSettings, GlamorSettings

Preset = dict[str, Any]

_SMALL_ENCODERS: Preset = {
    "encoder": "compact",
    "fusion": "early",
    "prior_encoder": "tiny",
    "embedding_size": 128,
    "whiten": True,
}

_SMALL_WORLD: Preset = {"learning_rate": 1e-3, "buffer_size": 100_000, "learning_starts": 500}

_LEARNING_SOON = (
    "learning_starts",
    "exploration_steps",
    "exploration_persistence",
    "lr_schedule",
    "image_shift",
    "replay_ratio",
)
"""What GCSL takes over from GLAMOR's ``"compact"``: both learn by supervision."""

_STEADY = 0.8
"""`exploration_persistence` where a single action moves next to nothing: random actions that are
drawn anew at every step cancel out. In games 0.5 is better: longer runs overshoot near goals."""


def _glamor_paper() -> Preset:
    return {**GlamorSettings().as_dict(), "policy_kwargs": {"encoder": "auto"}}


def _glamor_compact() -> Preset:
    return {
        **_glamor_paper(),
        "learning_starts": 2_000,
        "data_policy": "random",
        "exploration_steps": 50_000,
        "exploration_persistence": 0.5,
        "lr_schedule": "cosine",
        # Shifted pictures keep a few hundred episodes from being memorised; then every further
        # update is worth its time. 24 take a quarter of an hour on one core for 50,000 steps.
        "image_shift": 4,
        "replay_ratio": 24.0,
        "stay_fraction": 0.1,
        "vote": True,
        "policy_kwargs": {
            **_SMALL_ENCODERS,
            "token_size": 64,
            "stopping": "duration",
            # A little of the duration's gradient gets encoders going that actions alone do not;
            # more of it teaches them to tell the time by what the agent does not control.
            "duration_gradient": 0.03,
        },
    }


def _glamor_compact_control() -> Preset:
    compact = _glamor_compact()
    return {
        **compact,
        # The wider network's updates take twice as long; twice as many gain on two tasks only.
        "replay_ratio": 12.0,
        "exploration_persistence": _STEADY,
        "gamma": 0.9,
        "policy_kwargs": {
            **compact["policy_kwargs"],
            "embedding_size": 512,
            "duration_gradient": 1.0,
            # An agent that plans anew at each step takes no action but the first.
            "first_action_weight": 1.0,
        },
    }


def _at_full_length(compact: Preset) -> Preset:
    """Return what a compact preset becomes with 500,000 steps and a GPU."""
    encoders = {"encoder": "residual", "prior_encoder": "compact", "embedding_size": 512}
    return {
        **compact,
        # The encoder is fifteen times as expensive, and 8 did well with 200,000 steps.
        "replay_ratio": 8.0,
        # Most of the steps are for going where random play does not.
        "data_policy": "open_loop",
        "exploration_steps": 300_000,
        "policy_kwargs": {**compact["policy_kwargs"], **encoders},
    }


def _glamor_best() -> Preset:
    return _at_full_length(_glamor_compact())


def _glamor_best_control() -> Preset:
    # An agent that has learned more finds its way from afar: it need not hurry so much.
    return {**_at_full_length(_glamor_compact_control()), "gamma": 0.97}


def _glamor_small() -> Preset:
    return {
        **_glamor_paper(),
        **_SMALL_WORLD,
        # As many updates a step as `"compact"` makes, of half the size: networks this small take
        # little longer for one more tuple, but twice as long for twice as many updates.
        "batch_size": 100,
        "replay_ratio": 12.5,
        "exploration_steps": 2_000,
        "lr_schedule": "cosine",
        "stay_fraction": 0.1,
        "vote": True,
        "gamma": 0.5,
        "policy_kwargs": {"encoder": "mlp", "token_size": 64, "embedding_size": 128},
    }


def _gcsl_paper() -> Preset:
    return {**GCSLSettings().as_dict(), "policy_kwargs": {"encoder": "auto"}}


def _gcsl_compact() -> Preset:
    glamor = _glamor_compact()
    return {
        **_gcsl_paper(),
        **{name: glamor[name] for name in _LEARNING_SOON},
        "policy_kwargs": dict(_SMALL_ENCODERS),
    }


def _gcsl_compact_control() -> Preset:
    return {**_gcsl_compact(), "exploration_persistence": _STEADY}


def _gcsl_small() -> Preset:
    return {
        **_gcsl_paper(),
        **_SMALL_WORLD,
        "replay_ratio": 25.0,
        "exploration_steps": 10_000,
        "lr_schedule": "cosine",
        "policy_kwargs": {"encoder": "mlp", "embedding_size": 256},
    }


def _discern_paper() -> Preset:
    return {**DiscernSettings().as_dict(), "policy_kwargs": {"encoder": "auto"}}


def _discern_compact() -> Preset:
    return {
        **_discern_paper(),
        "learning_rate": 5e-4,
        "learning_starts": 2_000,
        "replay_ratio": 16.0,
        "exploration_steps": 25_000,
        "exploration_persistence": 0.5,
        "policy_kwargs": {"encoder": "compact", "embedding_size": 256, "whiten": True},
    }


def _discern_compact_control() -> Preset:
    return {**_discern_compact(), "exploration_persistence": _STEADY}


def _discern_small() -> Preset:
    return {
        **_discern_paper(),
        **_SMALL_WORLD,
        "replay_ratio": 16.0,
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
