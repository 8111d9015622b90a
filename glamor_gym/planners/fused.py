"""Planning on a GPU by one kernel: all slots of all candidates in one launch.

In and out as :func:`glamor_gym.planners.plan`, with the same plans from the same noise.

Triton comes with PyTorch's CUDA builds. Import this module only where it is installed.
"""

from __future__ import annotations

import logging
from subprocess import SubprocessError

import torch
import triton
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from triton.errors import TritonError

from glamor_gym.models.glamor import Folded
from glamor_gym.planners.candidates import CLIPPED_Z, check_limits
from glamor_gym.planners.fused_kernel import roll_out
from glamor_gym.planners.random_shooting import best_of, plan, sampling_noise
from glamor_gym.planners.settings import PlannerSettings
from glamor_gym.types import Plan

BLOCK = 16
"""Candidates per program: the fewest rows that tensor cores multiply."""

SMALLEST_SIDE, LARGEST_SIDE = 16, 128
"""Sides of the kernel's matrices, powers of two: smaller ones cannot be multiplied, and larger ones
do not fit a program's registers."""

NO_TOKEN = -1e30
"""Logit of the columns that fill up the head: not −∞, of which differences are no numbers."""

_LOG = logging.getLogger(__name__)


class FusedPlanner:
    """Plans by the kernel.

    Decoders that it does not take are left to :func:`glamor_gym.planners.plan`, as are all plans
    once the kernel has failed, for example without a C compiler.

    Attributes:
        works: False once the kernel has failed.
    """

    def __init__(self) -> None:
        self.works = True

    @torch.inference_mode()
    def __call__(
        self,
        folded: Folded,
        max_actions: Int[Tensor, "b"],
        settings: PlannerSettings,
        generator: torch.Generator,
    ) -> Plan:
        """Plan as :func:`glamor_gym.planners.plan` does.

        Raises:
            ValueError: a row of `max_actions` is below 1.
        """
        check_limits(max_actions)
        if not self.works or not can_fuse(folded):
            return plan(folded, max_actions, settings, generator)
        n_rows, device = len(max_actions), folded.h.device
        before = generator.get_state()
        uniforms = sampling_noise(int(max_actions.max()) + 1, n_rows * settings.n_trials, generator)
        try:
            limits = max_actions.to(device, non_blocking=True)
            sampled = roll_out_fused(folded, limits, uniforms, settings)
        except torch.OutOfMemoryError:  # does not mean that the kernel is at fault
            raise
        except (TritonError, RuntimeError, OSError, SubprocessError) as error:
            _LOG.warning("planning without the fused kernel, which failed: %s", error)
            self.works = False
            generator.set_state(before)  # so that the other planner draws the same noise
            return plan(folded, max_actions, settings, generator)
        return best_of(*sampled, n_rows, settings, stop=folded.head.shape[-1] - 1)


def can_fuse(folded: Folded) -> bool:
    """Return whether the kernel takes decoders of this width and number of tokens."""
    size, n_tokens = folded.h.shape[-1], folded.head.shape[-1]
    is_power = size & (size - 1) == 0
    return is_power and SMALLEST_SIDE <= size <= LARGEST_SIDE and n_tokens <= LARGEST_SIDE


def roll_out_fused(
    folded: Folded,
    max_actions: Int[Tensor, "b"],
    uniforms: Float[Tensor, "slots c"],
    settings: PlannerSettings,
) -> tuple[Int[Tensor, "slots c"], Float[Tensor, "slots c"]]:
    """Sample all candidates from given noise.

    Args:
        folded: inverse dynamics model and prior, see :func:`can_fuse`.
        max_actions: (B,) most actions of a plan, on the device of `folded`.
        uniforms: noise in [0, 1), one row per slot: as many as the longest plan allowed has tokens.
        settings: see :class:`~glamor_gym.planners.PlannerSettings`.

    Returns:
        The tokens and their z; after a candidate's STOP, padding (token A + 1, z = 0) or
        meaningless.
    """
    n_slots, n_candidates = uniforms.shape
    n_rows, n_tokens = len(max_actions), folded.head.shape[-1]
    width = max(SMALLEST_SIDE, triton.next_power_of_2(n_tokens))
    surplus = (0, width - n_tokens)
    tokens = torch.full_like(uniforms, n_tokens, dtype=torch.long)
    token_z = torch.zeros_like(uniforms)
    with torch.cuda.device_of(uniforms):  # type: ignore[no-untyped-call]
        roll_out[(triton.cdiv(n_candidates, BLOCK),)](
            folded.h.contiguous(),
            folded.c.contiguous(),
            (folded.constant[:, :, None] + folded.table[:, None]).contiguous(),
            folded.recurrent.contiguous(),
            functional.pad(folded.head, surplus).contiguous(),
            functional.pad(folded.head_bias, surplus, value=NO_TOKEN).contiguous(),
            max_actions,
            uniforms,
            tokens,
            token_z,
            n_slots,
            n_candidates,
            n_rows,
            settings.n_trials,
            _first_open_slot(settings, n_slots),
            settings.clip_log_prob,
            clipped_z=CLIPPED_Z,
            n_tokens=n_tokens,
            width=width,
            size=folded.h.shape[-1],
            block=BLOCK,
            use_prior=settings.use_prior,
            guided=settings.guided,
        )
    return tokens, token_z


def _first_open_slot(settings: PlannerSettings, n_slots: int) -> int:
    """Return the first slot in which STOP may be sampled."""
    return next((slot for slot in (0, 1) if settings.stop_is_open(slot)), n_slots)
