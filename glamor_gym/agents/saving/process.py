"""Process-wide state that an agent's next step depends on: random generators, and the log.

In: an agent between two steps. Out: a snapshot of both; and the reverse, when training continues.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger

from glamor_gym.snapshots import Snapshot, global_random_state, set_global_random_state


def snapshot_process(agent: BaseAlgorithm) -> Snapshot:
    """Return the states of the process's random generators, and the entries not yet logged."""
    return {
        "random": global_random_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(agent.device) if _on_cuda(agent) else None,
        "log": _take_log(agent),
    }


def restore_process(agent: BaseAlgorithm, process: Mapping[str, Any]) -> None:
    """Restore the process's random generators and, unless the user set a logger, the log."""
    set_global_random_state(process["random"])
    torch.set_rng_state(process["torch"])
    if _on_cuda(agent) and process["cuda"] is not None:
        torch.cuda.set_rng_state(process["cuda"], agent.device)
    if not agent._custom_logger:
        restore_log(agent.logger, process["log"])


def _on_cuda(agent: BaseAlgorithm) -> bool:
    return agent.device.type == "cuda"


def _take_log(agent: BaseAlgorithm) -> Snapshot:
    """Return what was recorded since the log was last written.

    Numbers, texts and arrays; other entries, such as figures and hyperparameters, are left out.
    """
    if not hasattr(agent, "_logger"):
        return {"values": {}, "counts": {}, "excluded": {}, "writers": []}
    logger = agent.logger
    plain = int | float | str | np.generic | np.ndarray | torch.Tensor
    values = {name: v for name, v in logger.name_to_value.items() if isinstance(v, plain)}
    return {
        "values": values,
        "counts": dict(logger.name_to_count),
        "excluded": {name: k for name, k in logger.name_to_excluded.items() if name in values},
        "writers": [getattr(writer, "snapshot", None) for writer in logger.output_formats],
    }


def restore_log(logger: Logger, log: Mapping[str, Any]) -> None:
    """Continue a log of :func:`snapshot_process`; writers that offer no snapshots start anew."""
    for writer, snapshot in zip(logger.output_formats, log["writers"], strict=False):
        if snapshot is not None and hasattr(writer, "snapshot"):
            writer.snapshot = snapshot
    logger.name_to_value.update(log["values"])
    logger.name_to_count.update(log["counts"])
    logger.name_to_excluded.update({name: tuple(k) for name, k in log["excluded"].items()})
