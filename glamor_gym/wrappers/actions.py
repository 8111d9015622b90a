"""From continuous control to a few discrete actions (§4.1).

In: an environment with ``Box`` actions. Out: :class:`DiscretizeActions` offers a fixed table of
actions, ``Discrete(len(table))``. Actions are held for several steps by
:class:`gymnasium.wrappers.RepeatAction`; the package's own worlds do so themselves and render only
the last step.
"""

from __future__ import annotations

import itertools
from typing import Any, Literal, get_args

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from glamor_gym.checks import as_choice, as_integer
from glamor_gym.snapshots import Stateless

ActionTable = Literal["cartesian", "diagonal"]

MOST_DIMENSIONS = 8
"""Dimensions of the largest Cartesian table, which has 3^8 = 6561 actions."""


class DiscretizeActions(
    gym.ActionWrapper[Any, np.int64, NDArray[Any]], RecordConstructorArgs, Stateless
):
    """Offer the corners, edges and centre of a box of actions as discrete actions.

    With −1, 0, +1 for the low bound, the middle and the high bound of a dimension:

    * ``"cartesian"``: {−1, 0, 1}^A, the last dimension varying fastest; 3^A actions, of which the
      middle one is all zeros. For A = 2: (−1, −1), (−1, 0), (−1, 1), (0, −1), … (1, 1).
    * ``"diagonal"``: all zeros first, then one dimension at a time, −1 before +1; 2A + 1 actions.
      For A = 2: (0, 0), (−1, 0), (1, 0), (0, −1), (0, 1).

    Attributes:
        table: the corresponding actions of the wrapped environment, (number of actions, A).
    """

    def __init__(self, env: gym.Env[Any, Any], table: ActionTable = "cartesian") -> None:
        """Wrap `env`.

        Args:
            env: an environment whose action space is a bounded Box (A,) of floats.
            table: ``"cartesian"`` or ``"diagonal"``.

        Raises:
            ValueError: `env` has another action space, or `table` is not one of the two.
        """
        RecordConstructorArgs.__init__(self, table=table)
        gym.ActionWrapper.__init__(self, env)
        space = env.action_space
        if (
            not isinstance(space, spaces.Box)
            or len(space.shape) != 1
            or not np.issubdtype(space.dtype, np.floating)
            or not space.is_bounded()
        ):
            raise ValueError(
                f"env must have a bounded action space Box (A,) of floats, got {space}"
            )
        as_choice(table, get_args(ActionTable), name="table")
        if table == "cartesian" and space.shape[0] > MOST_DIMENSIONS:
            raise ValueError(
                f"table must be 'diagonal' for more than {MOST_DIMENSIONS} dimensions, got "
                f"'cartesian' for {space.shape[0]}, which are 3^{space.shape[0]} actions"
            )
        self._signs = (_cartesian if table == "cartesian" else _diagonal)(space.shape[0])
        # Exactly the bounds: computed from the middle, they might be rounded out of the box.
        self.table: NDArray[Any] = np.select(
            [self._signs < 0, self._signs > 0],
            [space.low, space.high],
            space.high / 2 + space.low / 2,  # halved first, so that no sum overflows
        )
        self.action_space = spaces.Discrete(len(self.table))

    def action(self, action: Any) -> NDArray[Any]:
        """Return the action of the wrapped environment, a fresh array (A,)."""
        index = as_integer(action, name="action", low=0, high=len(self.table) - 1)
        chosen: NDArray[Any] = self.table[index]
        return chosen.copy()

    def get_action_meanings(self) -> list[str]:
        """Return the signs of each action's dimensions, e.g. ``"-1 0 +1"``."""
        return [" ".join(f"{sign:+d}" if sign else "0" for sign in row) for row in self._signs]


def _cartesian(dimensions: int) -> NDArray[np.int64]:
    """Return {−1, 0, 1}^A as rows, the last dimension varying fastest."""
    return np.array(list(itertools.product((-1, 0, 1), repeat=dimensions)))


def _diagonal(dimensions: int) -> NDArray[np.int64]:
    """Return all zeros, then −1 and +1 in each dimension in turn, as rows."""
    unit = np.eye(dimensions, dtype=np.int64)
    single = np.stack((-unit, unit), axis=1).reshape(2 * dimensions, dimensions)
    return np.concatenate((np.zeros((1, dimensions), np.int64), single))
