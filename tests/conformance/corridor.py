"""A goal environment and an agent that keep every rule, and one broken form of them a check."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv

from glamor_gym.types import Goal

CELLS = 9
T = 6
LEFT, RIGHT, STOP = range(3)


class Corridor(gym.Env):
    """Walk to a cell of a corridor, shown as a one-hot vector or, where asked for, a picture."""

    metadata = {"render_modes": []}  # noqa: RUF012
    stop_action = STOP

    def __init__(self, pictures=False, render_mode=None):
        self.render_mode = render_mode
        shape, high, self.dtype = (
            ((1, 1, CELLS), 255, np.uint8) if pictures else ((CELLS,), 1.0, np.float32)
        )
        self.high = high
        cell = spaces.Box(0, high, shape, self.dtype)
        self.action_space = spaces.Discrete(3)
        self.observation_space = spaces.Dict(
            observation=cell,
            achieved_goal=cell,
            desired_goal=cell,
            steps_left=spaces.Box(0, T, (1,), np.float32),
        )

    def picture(self, cell):
        picture = np.zeros(self.observation_space["achieved_goal"].shape, self.dtype)
        picture[..., cell] = self.high
        return picture

    def draw_goal(self):
        return int(self.np_random.integers(CELLS))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = int(self.np_random.integers(3, 6))
        self.goal = self.draw_goal()
        self.left = T
        return self.observe(), self.inform(False)

    def step(self, action):
        self.left -= 1
        if action != STOP:
            self.x = min(max(self.x + (1 if action == RIGHT else -1), 0), CELLS - 1)
        return self.outcome(action == STOP)

    def outcome(self, stopped):
        observation, info = self.observe(), self.inform(bool(stopped))
        moment = observation["achieved_goal"], observation["desired_goal"], info
        return (
            observation,
            float(self.compute_reward(*moment)),
            bool(self.compute_terminated(*moment)),
            bool(self.compute_truncated(*moment)),
            info,
        )

    def observe(self):
        return {
            "observation": self.picture(self.x),
            "achieved_goal": self.picture(self.x),
            "desired_goal": self.picture(self.goal),
            "steps_left": np.array([self.left], np.float32),
        }

    def inform(self, stopped):
        return {
            "is_success": self.x == self.goal,
            "labels": {"x": float(self.x)},
            "stopped": stopped,
            "left": self.left,
        }

    def compute_reward(self, achieved_goal, desired_goal, info):
        axes = tuple(range(achieved_goal.ndim - len(self.picture(0).shape), achieved_goal.ndim))
        return (achieved_goal == desired_goal).all(axis=axes).astype(np.float32)

    def compute_terminated(self, achieved_goal, desired_goal, info):
        return self.each(info, lambda one: one["stopped"])

    def compute_truncated(self, achieved_goal, desired_goal, info):
        return self.each(info, lambda one: one["left"] <= 0 and not one["stopped"])

    @staticmethod
    def each(info, judge):
        return judge(info) if isinstance(info, dict) else np.array([judge(one) for one in info])


class LeavesTimeToGymnasium(Corridor):
    """Keeps every rule, too: a time limit ends its episodes, an entry is no array, no STOP."""

    stop_action = None

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        entries = {**self.observation_space.spaces, "room": spaces.Discrete(3)}
        del entries["steps_left"]
        self.observation_space = spaces.Dict(entries)

    def observe(self):
        observation = {**super().observe(), "room": np.int64(1)}
        del observation["steps_left"]
        return observation

    def compute_truncated(self, achieved_goal, desired_goal, info):
        return self.each(info, lambda one: False)


class LeavesStopToAgents(Corridor):
    """Keeps every rule, too: it lacks STOP."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.action_space = spaces.Discrete(2)

    @property
    def stop_action(self):
        raise AttributeError


class UnboundedClock(Corridor):
    """Does not tell its horizon."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        clock = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.observation_space = spaces.Dict({**self.observation_space.spaces, "steps_left": clock})


class TwoGoalSpaces(Corridor):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.observation_space.spaces["desired_goal"] = spaces.Box(0, 2, (CELLS,), np.float32)


class Spoken(Corridor):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.observation_space.spaces["mission"] = spaces.Text(8)

    def observe(self):
        return {**super().observe(), "mission": "walk"}


class Crashing(Corridor):
    def step(self, action):
        if self.left < 4:
            raise RuntimeError("the corridor collapsed")
        return super().step(action)


class Unrenderable(Corridor):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012

    def render(self):
        raise RuntimeError("there is nothing to be seen")


class NumpyFlags(Corridor):
    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, np.bool_(terminated), truncated, info


class DoubleAtTheEnd(Corridor):
    def observe(self):
        observation = super().observe()
        if self.left == 0:
            observation["observation"] = observation["observation"].astype(np.float64)
        return observation


class SharedGoal(Corridor):
    def observe(self):
        observation = super().observe()
        return observation | {"achieved_goal": observation["observation"]}


class FewBuffers(Corridor):
    """Returns one of five arrays in turn: only who keeps them for longer notices."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.buffers = itertools.cycle([self.picture(0) for _ in range(5)])

    def observe(self):
        buffer = next(self.buffers)
        buffer[...] = self.picture(self.x)
        return super().observe() | {"observation": buffer}


class KeptGoal(Corridor):
    """Hands out its own copy of the goal at the reset, and shows what became of it."""

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed)
        self.kept = observation["desired_goal"]
        return observation, info

    def observe(self):
        observation = super().observe()
        return observation if self.left == T else observation | {"desired_goal": self.kept.copy()}


class WanderingGoal(Corridor):
    def step(self, action):
        if self.left == 3:
            self.goal = (self.goal + 1) % CELLS
        return super().step(action)


class WandersLater(WanderingGoal):
    """Keeps its goal in seeded episodes."""

    def reset(self, *, seed=None, options=None):
        self.seeded = seed is not None
        return super().reset(seed=seed, options=options)

    def step(self, action):
        return Corridor.step(self, action) if self.seeded else super().step(action)


class Telltale(Corridor):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.observation_space["observation"] = spaces.Box(0, CELLS, (CELLS + 1,), np.float32)

    def observe(self):
        observation = super().observe()
        told = np.append(observation["observation"], np.float32(self.x))
        return observation | {"observation": told}


class ShortWalk(Corridor):
    """Keeps every rule: the world ends after three steps."""

    def compute_terminated(self, achieved_goal, desired_goal, info):
        return self.each(info, lambda one: one["stopped"] or one["left"] <= T - 3)

    def compute_truncated(self, achieved_goal, desired_goal, info):
        return self.each(info, lambda one: False)


class OutOfSight(Corridor):
    """Keeps every rule: a label may be missing while its entity is out of sight."""

    def inform(self, stopped):
        labels = {"x": float(self.x)} | ({"goal": float(self.goal)} if self.left > 3 else {})
        return super().inform(stopped) | {"labels": labels}


class GoalsOnTop(gym.Wrapper):
    """A corridor whose goals are put there by a wrapper."""

    def __init__(self, **kwargs):
        rules = Corridor(**kwargs)
        super().__init__(gym.wrappers.FlattenObservation(Plain(rules)))
        self.rules, self.observation_space = rules, rules.observation_space

    def reset(self, *, seed=None, options=None):
        _, info = self.env.reset(seed=seed)
        return self.rules.observe(), info

    def step(self, action):
        _, *outcome = self.env.step(action)
        return self.rules.observe(), *outcome

    def compute_reward(self, achieved_goal, desired_goal, info):
        return self.rules.compute_reward(achieved_goal, desired_goal, info)


class Plain(gym.Env):
    """A corridor without goals."""

    metadata = {"render_modes": []}  # noqa: RUF012
    stop_action = STOP
    horizon = T

    def __init__(self, rules):
        self.rules = rules
        self.action_space = rules.action_space
        self.observation_space = rules.observation_space["observation"]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        observation, info = self.rules.reset(seed=seed)
        return observation["observation"], info

    def step(self, action):
        observation, *outcome = self.rules.step(action)
        return observation["observation"], *outcome


class LastStepBonus(Corridor):
    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, reward + (self.left == 0), *rest


class EndsAtTheWall(Corridor):
    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        terminated = terminated or self.x < 3
        return observation, reward, terminated, truncated and not terminated, info


class SaysNeverTruncated(Corridor):
    def step(self, action):
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated, self.left <= 0 and not terminated, info

    def compute_truncated(self, achieved_goal, desired_goal, info):
        return self.each(info, lambda one: False)


class AllOrNothing(Corridor):
    def compute_reward(self, achieved_goal, desired_goal, info):
        reward = np.float32((achieved_goal == desired_goal).all())
        return reward if achieved_goal.ndim == 1 else np.full(len(achieved_goal), reward)


class PaysByInfo(Corridor):
    """In a batch, pays for the goal that the episode had, whatever the goal is now."""

    def compute_reward(self, achieved_goal, desired_goal, info):
        if isinstance(info, dict):
            return super().compute_reward(achieved_goal, desired_goal, info)
        return np.array([one["is_success"] for one in info], np.float32)


class NumpySuccess(Corridor):
    def inform(self, stopped):
        return super().inform(stopped) | {"is_success": np.bool_(self.x == self.goal)}


class FreeStop(Corridor):
    def step(self, action):
        self.left += action == STOP
        return super().step(action)


class SlowClock(Corridor):
    def observe(self):
        shown = (self.left + 1) // 2 * 2
        return {**super().observe(), "steps_left": np.array([shown], np.float32)}


class Hasty(Corridor):
    def compute_truncated(self, achieved_goal, desired_goal, info):
        return self.each(info, lambda one: one["left"] <= 1 and not one["stopped"])


class Late(Corridor):
    """Ends a step after the horizon that it tells, without a clock that would tell otherwise."""

    horizon = T

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        del self.observation_space.spaces["steps_left"]

    def observe(self):
        observation = super().observe()
        del observation["steps_left"]
        return observation

    def compute_truncated(self, achieved_goal, desired_goal, info):
        return self.each(info, lambda one: one["left"] < 0 and not one["stopped"])


class MovingStop(Corridor):
    def step(self, action):
        if action == STOP:
            self.x = CELLS - 1 - self.x if self.x != 4 else 5
        return super().step(action)


class StopOutOfReach(Corridor):
    stop_action = STOP + 1


class DeafToGoals(Corridor):
    goals = ("a", "b", "c")

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed)
        if options:  # by whatever is drawn next
            self.goal = (self.__dict__.get("turn", 0) + 1) % CELLS
            self.turn = self.goal
        return observation | {"desired_goal": self.picture(self.goal)}, info


class KnowsTwoGoals(Corridor):
    """Takes the third of its goals for the first."""

    goals = tuple(
        Goal(np.eye(CELLS, dtype=np.float32)[cell], "frame", {"x": float(cell)})
        for cell in (2, 4, 6)
    )

    def reset(self, *, seed=None, options=None):
        observation, info = super().reset(seed=seed)
        if options:
            self.goal = (2, 4)[options["goal"] % 2]
            observation, info = self.observe(), info | {"goal_labels": {"x": float(self.goal)}}
        return observation, info


class UnseededGoals(Corridor):
    """The goal after a whole episode comes from outside, and never twice the same."""

    left = T
    outside = itertools.count()

    def draw_goal(self):
        drawn = super().draw_goal()
        return drawn if self.left else next(self.outside) % CELLS


class GlobalDice(Corridor):
    def step(self, action):
        np.random.rand()  # noqa: NPY002
        return super().step(action)


class FragileClose(Corridor):
    closed = False

    def close(self):
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


class WithOption(Corridor):
    def __init__(self, option=None, **kwargs):
        super().__init__(**kwargs)


class Unpicklable(dict):
    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        raise TypeError("not to be sent")


class BlackAtTheEnd(Corridor):
    def observe(self):
        observation = super().observe()
        if self.left == 0:
            observation["observation"] = np.zeros_like(observation["observation"])
        return observation


def make_dark_vector(num_envs, **kwargs):
    return SyncVectorEnv([BlackAtTheEnd] * num_envs)


def register(name, entry_point, **kwargs):
    if f"corridor/{name}-v0" not in gym.registry:
        gym.register(f"corridor/{name}-v0", entry_point, **kwargs)


for _kind in (Corridor, *Corridor.__subclasses__()):
    register(_kind.__name__, f"{__name__}:{_kind.__name__}", disable_env_checker=True)
register("AnyEntry", Corridor)
register("Unsendable", f"{__name__}:WithOption", kwargs={"option": Unpicklable(a=1)})
register("DarkVector", f"{__name__}:Corridor", vector_entry_point=f"{__name__}:make_dark_vector")


class Walker:
    """Walks towards the goal, stops there, and keeps every rule of an agent."""

    def __init__(self, env=None, luck=0):
        self.env = env
        self.luck = luck
        self.num_timesteps = 0
        self.whims = 0

    @property
    def action_space(self):
        return spaces.Discrete(3)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        self.check(observation)
        is_batch = observation["steps_left"].ndim == 2
        x, goal = (
            np.atleast_2d(observation[key].reshape(-1, CELLS)).argmax(axis=1)
            for key in ("achieved_goal", "desired_goal")
        )
        actions = np.where(x == goal, STOP, np.where(x < goal, RIGHT, LEFT))
        actions = (actions + self.luck) % 3
        before = np.zeros(len(actions), int) if state is None else state
        state = self.remember(before, episode_start)
        self.whims += not deterministic
        return (actions if is_batch else actions[0]), state

    def remember(self, state, episode_start):
        return np.where(episode_start, 0, state) + 1 if episode_start is not None else state + 1

    def check(self, observation):
        for key, value in observation.items():
            if key != "steps_left" and value.dtype != self.dtype(observation):
                raise ValueError(f"{key} has the dtype {value.dtype}")
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise ValueError(f"{key} is not finite")
            if key != "steps_left" and value.shape[-1] != CELLS:
                raise ValueError(f"{key} has the shape {value.shape}")

    @staticmethod
    def dtype(observation):
        return np.uint8 if observation["observation"].ndim > 2 else np.float32

    def save(self, path):
        kept = {name: value for name, value in vars(self).items() if name != "env"}
        Path(path).write_text(json.dumps(kept))

    @classmethod
    def load(cls, path, env=None, device="auto"):
        loaded = cls(env)
        vars(loaded).update(json.loads(Path(path).read_text()))
        return loaded

    def learn(self, total_timesteps, reset_num_timesteps=True):
        self.num_timesteps = total_timesteps + (0 if reset_num_timesteps else self.num_timesteps)
        return self


class OneTooMany(Walker):
    def predict(self, observation, *args, **kwargs):
        actions, state = super().predict(observation, *args, **kwargs)
        return np.atleast_1d(actions), state


class OtherwiseAlone(Walker):
    def predict(self, observation, *args, **kwargs):
        actions, state = super().predict(observation, *args, **kwargs)
        return (actions if actions.ndim else (actions + 1) % 3), state


class Moody(Walker):
    def predict(self, observation, *args, **kwargs):
        actions, state = super().predict(observation, *args, **kwargs)
        return (actions + self.whims) % 3, state


class Gambler(Walker):
    def predict(self, observation, *args, **kwargs):
        np.random.rand()  # noqa: NPY002
        return super().predict(observation, *args, **kwargs)


class Scribbler(Walker):
    def predict(self, observation, *args, **kwargs):
        actions = super().predict(observation, *args, **kwargs)
        observation["steps_left"] -= 1
        return actions


class TakesNan(Walker):
    def check(self, observation):
        super().check({key: np.nan_to_num(value) for key, value in observation.items()})


class TakesFloats(Walker):
    def check(self, observation):
        cast = {key: value.astype(self.dtype(observation)) for key, value in observation.items()}
        super().check(cast | {"steps_left": observation["steps_left"]})


class TakesHalves(Walker):
    def predict(self, observation, *args, **kwargs):
        whole = {
            key: value if key == "steps_left" else np.resize(value, (*value.shape[:-1], CELLS))
            for key, value in observation.items()
        }
        return super().predict(whole, *args, **kwargs)


class NeverForgets(Walker):
    def predict(self, observation, state=None, *args, **kwargs):
        actions, after = super().predict(observation, state, *args, **kwargs)
        return (actions if state is None else (actions + state) % 3), after


class Forgetful(Walker):
    def save(self, path):
        luck, self.luck = self.luck, 0
        super().save(path)
        self.luck = luck


class Lazy(Walker):
    def learn(self, total_timesteps, reset_num_timesteps=True):
        return super().learn(total_timesteps // 2, reset_num_timesteps)


class StartsOver(Walker):
    def learn(self, total_timesteps, reset_num_timesteps=True):
        return super().learn(total_timesteps)
