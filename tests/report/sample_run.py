"""A run that nobody made, to be reported."""

from __future__ import annotations

import numpy as np
import pandas as pd

from glamor_gym.evaluation import RunConfig
from glamor_gym.types import EpisodeFrames, EvaluationResult

FRAMES = np.random.default_rng(0).integers(0, 256, (4, 80, 104), dtype=np.uint8)

CONFIG = RunConfig(
    task="glamor/Seaquest-v0",
    agent="GlamorAgent",
    preset="compact",
    settings={"learning_rate": 5e-4},
    policy_kwargs={"encoder": "compact"},
    env_kwargs={"sticky": 0.0},
    seed=3,
    n_envs=2,
    steps=12_000,
    eval_every=50,
    episodes_per_goal=1,
    commands=["glamor-gym train --task Seaquest", "glamor-gym train --run-dir <a & b>"],
    versions={"python": "3.12.1", "torch": "2.13"},
    hardware="2 CPU cores",
    train_seconds=90.0,
    commit="v0.1.0-3-gabcdef0",
)

RESULT = EvaluationResult(
    task="glamor/Seaquest-v0",
    success_rate=17 / 30,
    confidence_interval=(0.392, 0.726),
    image_match_rate=0.1,
    per_goal={0: 1.0, 1: 0.0},
    per_label={"player_x": 0.8, "player_y": 0.61},
    random=0.07,
    noop=0.03,
    random_interval=(0.02, 0.21),
    noop_interval=(0.01, 0.17),
    reached_rate=0.77,
    mean_length=48.46,
    episodes=30,
    seed=3,
    goals_hash="0123abcd",
    goals="eval",
    env_kwargs={},
    distances={0: 0.3, 1: 0.9},
    frames=[
        EpisodeFrames(goal_index=k, goal=FRAMES[0], frames=FRAMES, success=k < 3) for k in range(10)
    ],
)

METRICS = pd.DataFrame(
    {
        "step": [10, 20],
        "eval/success_rate": [0.1, 0.5],
        "eval/success_low": [0.0, 0.3],
        "eval/success_high": [0.3, 0.7],
        "train/inverse_loss": [2.9, 2.7],
        "train/prior_loss": [2.9, 2.8],
    }
)
