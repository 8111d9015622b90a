"""The table of everything public that is fuzzed: how each is called with right arguments.

Arguments are made anew for every call, so that none is spoilt by the one before.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

import glamor_gym
from glamor_gym import (
    agents,
    conformance,
    envs,
    evaluation,
    experiments,
    goals,
    models,
    planners,
    replay,
    report,
    wrappers,
)
from glamor_gym.commands.assignments import parse_assignments
from glamor_gym.factory import make_goal_env
from glamor_gym.tasks import get_task
from glamor_gym.types import EpisodeFrames, EvaluationResult, Goal, Trajectory
from glamor_gym.untrusted import parse_json, read_json, read_npz

GRID = "glamor/GridWorld-v0"
TINY: dict[str, Any] = {
    "buffer_size": 100,
    "learning_starts": 20,
    "batch_size": 4,
    "device": "cpu",
    "seed": 0,
}
WIDTHS = {"embedding_size": 8}


@dataclass(frozen=True)
class Target:
    """Something public.

    Attributes:
        call: what is called.
        right: makes keyword arguments with which it succeeds; given an empty folder.
        documented: whose docstrings name the errors.
        fixed: arguments that are never replaced.
    """

    call: Callable[..., Any]
    right: Callable[[Path], dict[str, Any]]
    documented: tuple[Any, ...]
    fixed: tuple[str, ...] = ()


TARGETS: dict[str, Target] = {}


def target(call: Any, *documented: Any, name: str = "", fixed: tuple[str, ...] = ()) -> Any:
    """Enter the decorated maker of right arguments, called after what it is for, into the table."""

    def enter(right: Callable[[Path], dict[str, Any]]) -> Callable[[Path], dict[str, Any]]:
        own = (call, getattr(call, "__init__", None), getattr(call, "__post_init__", None))
        TARGETS[name or call.__qualname__] = Target(call, right, (*own, *documented), fixed)
        return right

    return enter


def method(make: Callable[[Path], Any], kind: type, name: str, fixed: tuple[str, ...] = ()) -> Any:
    """Enter a method of an object that is made anew for every call, in a folder of its own."""

    def call(folder: Path, **arguments: Any) -> Any:
        return getattr(make(folder), name)(**arguments)

    def enter(right: Callable[[Path], dict[str, Any]]) -> None:
        TARGETS[f"{kind.__name__}.{name}"] = Target(
            call,
            lambda folder: {"folder": folder, **right(folder)},
            (getattr(kind, name),),
            ("folder", *fixed),
        )

    return enter


def constant(**arguments: Any) -> Callable[[Path], dict[str, Any]]:
    """Return a maker of arguments that need no folder and cannot be spoilt."""
    return lambda folder: dict(arguments)


# --------------------------------------------------------------------------------- cheap worlds


def grid(**kwargs: Any) -> gym.Env[Any, Any]:
    return gym.make(GRID, **kwargs).unwrapped


def running_grid(folder: Path) -> gym.Env[Any, Any]:
    env = grid()
    env.reset(seed=0)
    return env


def observation() -> dict[str, np.ndarray]:
    seen, _ = grid().reset(seed=0)
    return seen


@functools.cache
def screen_world() -> gym.Env[Any, Any]:
    return envs.make_world("Pong")


@functools.cache
def picture_world() -> gym.Env[Any, Any]:
    return wrappers.make_pipeline("Pong")


@functools.cache
def shared_agent() -> agents.GlamorAgent:
    return agents.GlamorAgent(GRID, **TINY, n_trials=3, policy_kwargs=WIDTHS)


def some_agent(folder: Path) -> agents.GlamorAgent:
    return shared_agent()


def saved_agent(folder: Path) -> Path:
    shared_agent().save(folder / "agent.safetensors")
    return folder / "agent.safetensors"


def space() -> spaces.Dict:
    vector = spaces.Box(0, 1, (2,), np.float32)
    return spaces.Dict(observation=vector, achieved_goal=vector, desired_goal=vector)


def filled_replay(folder: Path) -> replay.TrajectoryReplay:
    filled = replay.TrajectoryReplay(20, space(), 3, seed=0)
    filled.add(trajectory())
    return filled


def trajectory() -> Trajectory:
    vectors = np.ones((4, 2), np.float32)
    return Trajectory(achieved=vectors, actions=np.array([0, 1, 2]), observations=vectors)


def some_result() -> Any:
    wins = {"success_rate": 0.5, "image_match_rate": 0.5, "random": 0.1, "noop": 0.1}
    spans = ("confidence_interval", "random_interval", "noop_interval")
    return EvaluationResult(
        task=GRID,
        per_goal={0: 0.5},
        per_label={"x": 0.5},
        reached_rate=0.5,
        mean_length=3.0,
        episodes=2,
        seed=0,
        goals_hash="0",
        goals="all",
        env_kwargs={},
        frames=frames(),
        **wins,
        **dict.fromkeys(spans, (0.0, 1.0)),
    )


def frames() -> list[EpisodeFrames]:
    cells = np.zeros((2, 49), np.float32)
    return [EpisodeFrames(goal_index=0, goal=cells[0], frames=cells, success=True)]


def saved_result(folder: Path) -> Path:
    evaluation.save_result(some_result(), folder / "evaluation.json")
    return folder / "evaluation.json"


def one_goal() -> Goal:
    return grid(goals="all").goals[0]


# ------------------------------------------------------------------------------- environments

target(get_task)(constant(name="Pong"))
# Gymnasium itself looks at render_mode first, and fails at what is no string.
target(gym.make, make_goal_env, name="gym.make", fixed=("id", "render_mode"))(
    constant(
        id=GRID, goals="train", reward="image", frame_size=(80, 104), frame_stack=4, horizon=10,
        sticky=None, render_profile="paper", label_lag=0, render_mode=None,
    )
)  # fmt: skip
target(envs.make_world)(
    constant(task="GridWorld", sticky=None, frame_size=(9, 9), render_profile="paper")
)
target(wrappers.make_pipeline)(
    constant(task="GridWorld", sticky=None, frame_size=(9, 9), render_profile="fast")
)
target(wrappers.label_tolerance)(constant(extent=1.0))
target(wrappers.label_ranges)(lambda folder: {"goals": [one_goal()]})
target(wrappers.GoalEnv)(
    lambda folder: {
        "world": envs.make_world("GridWorld"), "goals": [one_goal()],
        "ranges": {"x": 6.0, "y": 6.0},
        "horizon": 5, "reward": "image", "label_lag": 0, "frame_stack": 1, "render_mode": None,
    }
)  # fmt: skip
target(wrappers.EpisodeJournal)(lambda folder: {"env": grid()})
target(wrappers.offers_snapshots)(lambda folder: {"env": grid()})
target(wrappers.StopAction)(lambda folder: {"env": envs.make_world("GridWorld")})
target(wrappers.StackFrames)(lambda folder: {"env": picture_world(), "n": 2})
target(wrappers.ScreenToFrame)(lambda folder: {"env": screen_world(), "frame_size": (8, 9)})
target(wrappers.DiscretizeActions)(
    lambda folder: {"env": gym.make("MountainCarContinuous-v0"), "table": "cartesian"}
)
target(wrappers.EntityLabels)(lambda folder: {"env": grid(), "label_fn": lambda env: {"x": 1.0}})
method(running_grid, wrappers.GoalEnv, "reset")(constant(seed=0, options={"goal": 3}))
method(running_grid, wrappers.GoalEnv, "step")(constant(action=1))
_ARRAYS = {"achieved_goal": np.zeros(49, np.float32), "desired_goal": np.zeros(49, np.float32)}
_INFO = {"stopped": False, "world_terminated": False, "world_truncated": False, "steps_left": 3}
for _name in ("compute_reward", "compute_terminated", "compute_truncated"):
    method(running_grid, wrappers.GoalEnv, _name)(constant(**_ARRAYS, info=_INFO))

# -------------------------------------------------------------------------------------- goals

_CONTENT = np.zeros((2, 3), np.float32)
_LIST = {"kind": "frame", "label_names": ("x",), "content": _CONTENT, "labels": np.zeros((2, 1))}
target(goals.GoalList)(constant(**_LIST, lagged_labels=np.zeros((2, 1))))


def _set(**changes: Any) -> dict[str, Any]:
    made = goals.GoalList(**_LIST, lagged_labels=np.zeros((2, 1)))
    own = {"task": "Dice", "evaluation": made, "training": made, "bounds": {"x": (0.0, 1.0)}}
    return own | {"provenance": {}, "version": 1}


target(goals.GoalSet)(lambda folder: _set())
target(goals.build_goal_set)(
    constant(task="Dice", seed=0, episodes=3, n_evaluation=3, n_training=3)
)
target(goals.load_goal_set)(constant(name="Dice"))
target(goals.verify_goal_set)(lambda folder: {"goal_set": goals.load_goal_set("Dice")})
target(goals.goal_sheet)(
    lambda folder: {"goal_set": goals.load_goal_set("Dice"), "which": "evaluation"}
)
method(lambda folder: goals.GoalSet(**_set()), goals.GoalSet, "save")(
    lambda folder: {"path": folder / "set.npz"}
)

# ------------------------------------------------------------------------ replay, models, plans

target(replay.TrajectoryReplay)(
    lambda folder: {"capacity": 10, "observation_space": space(), "n_actions": 2,
                    "stay_fraction": 0.1, "seed": 0}
)  # fmt: skip
method(filled_replay, replay.TrajectoryReplay, "add")(lambda folder: {"trajectory": trajectory()})
method(filled_replay, replay.TrajectoryReplay, "sample")(constant(batch_size=3, device="cpu"))
method(filled_replay, replay.TrajectoryReplay, "save")(lambda folder: {"path": folder / "r.npz"})


def _saved_replay(folder: Path) -> dict[str, Any]:
    filled_replay(folder).save(folder / "r.npz")
    return {"path": folder / "r.npz"}


method(filled_replay, replay.TrajectoryReplay, "load")(_saved_replay)
target(models.make_encoder)(constant(space=spaces.Box(0, 1, (3,), np.float32), name="mlp", size=4))
target(models.GlamorModel)(
    lambda folder: {"observation_space": space(), "n_actions": 3, "encoder": "auto",
                    "fusion": "late", "prior_encoder": None, "embedding_size": 4,
                    "hidden_size": 4, "token_size": 4, "whiten": False}
)  # fmt: skip
target(models.DurationModel)(
    lambda folder: {"observation_space": space(), "n_actions": 3, "horizon": 5, "encoder": "auto",
                    "fusion": "late", "prior_encoder": None, "embedding_size": 4,
                    "hidden_size": 4, "token_size": 4, "whiten": False, "duration_gradient": 0.5}
)  # fmt: skip
target(planners.PlannerSettings)(
    constant(n_trials=5, clip_log_prob=-3.0, use_prior=True, gamma=0.9, stop="free",
             stop_first=False, guided=True, vote=False, arrival_probability=0.5)
)  # fmt: skip

# ------------------------------------------------------------------------------------- agents

for _kind in (agents.GlamorSettings, agents.GCSLSettings, agents.DiscernSettings):
    target(_kind)(constant(**_kind().as_dict()))
for _agent in (agents.GlamorAgent, agents.GCSLAgent, agents.DiscernAgent):
    target(_agent)(
        constant(env=GRID, policy_kwargs=WIDTHS, learning_rate=1e-3, replay_ratio=1.0, **TINY)
    )
    target(_agent.preset, name=f"{_agent.__name__}.preset")(constant(name="small"))
_PLAN = {"n_trials": 3, "stop": "free", "guided": True, "deterministic": True}
method(some_agent, agents.GlamorAgent, "plan")(
    lambda folder: {"observation": observation(), **_PLAN}
)
method(some_agent, agents.GlamorAgent, "predict")(
    lambda folder: {"observation": observation(), "state": None, "episode_start": None, **_PLAN,
                    "open_loop": False}
)  # fmt: skip
method(some_agent, agents.GlamorAgent, "learn", fixed=("total_timesteps",))(
    constant(
        total_timesteps=2, callback=None, log_interval=100, tb_log_name="", reset_num_timesteps=True
    )
)
method(some_agent, agents.GlamorAgent, "save")(
    lambda folder: {"path": folder / "agent", "exclude": None, "include": None}
)
method(some_agent, agents.GlamorAgent, "save_replay_buffer")(
    lambda folder: {"path": folder / "r.npz"}
)
method(some_agent, agents.GlamorAgent, "load")(
    lambda folder: {
        "path": saved_agent(folder),
        "env": None,
        "device": "cpu",
        "custom_objects": None,
    }
)

# --------------------------------------------------------------- evaluation, reports, conformance

target(glamor_gym.evaluate)(
    lambda folder: {
        "agent": evaluation.NoopAgent(2), "id": "glamor/Dice-v0", "episodes_per_goal": 1, "seed": 0,
        "n_envs": 2, "device": None, "goals": "all", "env_kwargs": None, "deterministic": True,
        "baselines": False, "record": 1,
    }
)  # fmt: skip
target(evaluation.NoopAgent)(constant(stop_action=4))
target(evaluation.RandomAgent)(constant(stop_action=4, seed=0))
target(evaluation.EvaluationCallback)(
    constant(id=GRID, every_steps=10, episodes_per_goal=1, final_episodes_per_goal=None, seed=0,
             n_envs=2, goals="eval", env_kwargs=None, record=1, run_folder=None, verbose=0)
)  # fmt: skip
target(evaluation.StopAfter)(constant(minutes=1.0))
target(evaluation.wilson_interval)(constant(successes=1, trials=3, confidence=0.9))
target(evaluation.newcombe_interval)(constant(counted=(1, 3), compared=(2, 5), confidence=0.9))
target(evaluation.load_result)(lambda folder: {"path": saved_result(folder)})
target(evaluation.save_result)(
    lambda folder: {"result": some_result(), "path": folder / "evaluation.json"}
)
target(evaluation.RunFolder)(lambda folder: {"path": folder / "run"})
target(report.published_rates)(constant(task="Pong"))
target(report.contact_sheet)(lambda folder: {"episodes": frames(), "columns": 2})
target(report.write_pictures)(lambda folder: {"episodes": frames(), "folder": folder / "pictures"})
target(conformance.check_goal_env)(lambda folder: {"env": grid(), "seed": 0})
target(conformance.check_agent)(
    lambda folder: {"agent": evaluation.NoopAgent(2), "env": "glamor/Dice-v0", "seed": 0}
)
target(experiments.get_algorithm)(constant(name="glamor"))
target(parse_assignments)(constant(option="--set", assignments=("a.b=1",)))


def _json(folder: Path) -> dict[str, Any]:
    (folder / "a.json").write_text("[1]")
    return {"path": folder / "a.json", "max_bytes": 10}


def _npz(folder: Path) -> dict[str, Any]:
    np.savez(folder / "a.npz", x=np.zeros(2))
    return {"file": folder / "a.npz", "max_bytes": 1000}


target(read_json)(_json)
target(read_npz)(_npz)
target(parse_json, fixed=("name",))(constant(text="[1]", name="a text"))
