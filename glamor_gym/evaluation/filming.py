"""Record the pictures of an episode, and the plan that the agent followed at each step.

In: the moments of :func:`~glamor_gym.evaluation.rollout.play`, whose environments were made with
``render_mode="rgb_array"``. Out: a :class:`Scene` for each moment.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

from glamor_gym.agents import PlanState
from glamor_gym.evaluation.rollout import EpisodeKey, Moment
from glamor_gym.wrappers import Pictures


class PlanInMind(NamedTuple):
    """The plan that an agent is following.

    Attributes:
        length: number of tokens, STOP included.
        log_score: the plan's score (Eq. 8).
    """

    length: int
    log_score: float


@dataclass(frozen=True)
class Scene:
    """One time step of an episode.

    Attributes:
        step: number of environment steps taken so far, STOP not counted.
        horizon: T, the maximum number of steps in the episode.
        action: name of the agent's next action; None if the episode is over.
        plan: the plan that this action is from; None if the agent does not plan, or the episode is
            over.
        pictures: pictures of the world, of the goal and of the newest frame.
    """

    step: int
    horizon: int
    action: str | None
    plan: PlanInMind | None
    pictures: Pictures


class Camera:
    """Records the scenes of episodes; passed as ``on_moment`` to :meth:`Arena.episodes`."""

    def __init__(self) -> None:
        self._scenes: defaultdict[EpisodeKey, list[Scene]] = defaultdict(list)

    def __call__(self, moment: Moment) -> None:
        """Record one moment."""
        names = moment.env.get_wrapper_attr("get_action_meanings")()
        scenes = self._scenes[moment.key]
        stopped = bool(scenes) and scenes[-1].action == names[-1]  # STOP does not step the world
        scenes.append(
            Scene(
                step=len(scenes) - stopped,
                horizon=moment.env.get_wrapper_attr("horizon"),
                action=None if moment.action is None else names[moment.action],
                plan=None if moment.action is None else _current_plan(moment),
                pictures=moment.env.get_wrapper_attr("pictures")(),
            )
        )

    def take_out(self, key: EpisodeKey) -> list[Scene]:
        """Remove the scenes of an episode and return them in order.

        Raises:
            KeyError: no moment of that episode was recorded.
        """
        return self._scenes.pop(key)


def _current_plan(moment: Moment) -> PlanInMind | None:
    if not isinstance(moment.state, PlanState):
        return None
    length, log_score = moment.state.length, moment.state.log_score
    return PlanInMind(int(length[moment.row]), float(log_score[moment.row]))
