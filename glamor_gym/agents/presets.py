"""Presets: names in, the arguments of an agent out.

``"paper"`` is the published configuration (Fig. 5), which is also the default of every argument.
``"compact"`` is what learns best on two cores in minutes, from a few ten thousand steps.
``"small"`` is for worlds whose observations are short vectors, such as the grid world.
"""

from __future__ import annotations

from typing import Any

from glamor_gym.agents.settings import GlamorSettings


def _paper() -> dict[str, Any]:
    return {**GlamorSettings().as_dict(), "policy_kwargs": {"encoder": "auto"}}


def _compact() -> dict[str, Any]:
    return {
        **_paper(),
        "learning_starts": 2_000,
        "replay_ratio": 25.0,
        "exploration_steps": 50_000,
        "stay_fraction": 0.1,
        "lr_schedule": "cosine",
        "policy_kwargs": {
            "encoder": "compact",
            "fusion": "early",
            "prior_encoder": "tiny",
            "token_size": 64,
        },
    }


def _small() -> dict[str, Any]:
    return {
        **_compact(),
        "learning_rate": 1e-3,
        "buffer_size": 100_000,
        "learning_starts": 500,
        "gamma": 0.5,
        "exploration_steps": 10_000,
        "policy_kwargs": {"encoder": "mlp", "token_size": 64, "embedding_size": 256},
    }


_PRESETS = {"paper": _paper, "compact": _compact, "small": _small}


def preset(name: str) -> dict[str, Any]:
    """Return a fresh dict of the arguments of a preset.

    Raises:
        ValueError: there is no such preset.
    """
    try:
        return _PRESETS[name]()
    except (KeyError, TypeError):
        raise ValueError(f"preset must be one of {', '.join(_PRESETS)}; got {name!r}") from None
