"""``python -m benchmarks.roofline``: how well an update uses a device (roofline model).

In: nothing. Out: ``roofline.json``, ``roofline.md``, ``roofline.png`` and ``roofline.svg`` in the
given folder: floating-point operations, bytes, time and both rates of the whole update, of the
forward pass, and of each kind of layer in it, compared with the measured peaks of the device.

Operations are those of matrix products and convolutions, as counted by PyTorch. Bytes are those of
all inputs and outputs of each operation, as if nothing stayed in a cache in between; a rate above
the memory's therefore means that caches were used. On a GPU the recurrence is one call of cuDNN's,
whose operations PyTorch does not count.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import tyro
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator
from rich.console import Console
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import describe_machine, machine_lines
from benchmarks.run import Device
from benchmarks.timing import seconds
from benchmarks.update import (
    BATCH,
    N_ACTIONS,
    SPACE,
    descend,
    fast_loss,
    make_batch,
    mixed_precision,
    precision_of,
)
from glamor_gym.files import write_text
from glamor_gym.models import GlamorModel
from glamor_gym.report.markdown import markdown_table
from glamor_gym.report.style import AGENT, SECOND, TEXT, styled, write_figure
from glamor_gym.types import SegmentBatch

PEAK_SIZES = {"cpu": (2048, 64), "cuda": (8192, 2048)}
"""Device → side of the square matrix product and MiB of the copy that measure its peaks."""

Call = tuple[nn.Module, tuple[Tensor, ...]]
"""A layer, and the inputs that it was called with."""


@dataclass(frozen=True)
class Work:
    """The measurements of a piece of work.

    Attributes:
        name: name of the work.
        ms: time in milliseconds.
        gflop: floating-point operations, in billions.
        gbytes: bytes of all operations' inputs and outputs, in billions.
    """

    name: str
    ms: float
    gflop: float
    gbytes: float

    @property
    def gflops(self) -> float:
        """Billions of operations per second."""
        return 1e3 * self.gflop / self.ms

    @property
    def bandwidth(self) -> float:
        """Billions of bytes per second."""
        return 1e3 * self.gbytes / self.ms

    @property
    def intensity(self) -> float:
        """Operations per byte."""
        return self.gflop / self.gbytes


@dataclass(frozen=True)
class Peaks:
    """Peak rates of a device: operations and copied bytes, in billions per second.

    Attributes:
        gflops: of a matrix product in `precision`.
        bandwidth: of a copy.
        precision: of the update.
    """

    gflops: float
    bandwidth: float
    precision: str

    def attainable(self, intensity: float) -> float:
        """Return the highest rate, in billions of operations per second, at an intensity."""
        return min(self.gflops, intensity * self.bandwidth)


class ByteCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums the bytes of inputs and outputs of all operations except views."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count its bytes."""
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [x for x in tree_leaves((args, kwargs, result)) if isinstance(x, Tensor)]
            self.total += sum(x.numel() * x.element_size() for x in tensors)
        return result


def count(work: Callable[[], object]) -> tuple[float, float]:
    """Return (operations, bytes) of a call, both in billions."""
    with FlopCounterMode(display=False) as flops:
        work()
    with ByteCounter() as counted:
        work()
    return flops.get_total_flops() / 1e9, counted.total / 1e9


def measure_peaks(device: Device) -> Peaks:
    """Measure a device's fastest matrix product, in the precision of the update, and copy."""
    side, megabytes = PEAK_SIZES[device]
    precision = precision_of(device)
    a = torch.randn(side, side, device=device).to(precision)
    source = torch.ones(megabytes * 2**20, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)

    def best(work: Callable[[], object]) -> float:
        work()
        return min(seconds(work, 1, device) for _ in range(9))

    product, copy = best(lambda: a @ a), best(lambda: target.copy_(source))
    name = str(precision).removeprefix("torch.")
    return Peaks(2e-9 * side**3 / product, 2e-9 * source.numel() / copy, name)


def profile(model: GlamorModel, batch: SegmentBatch, repeats: int) -> list[Work]:
    """Measure an update, its forward pass, and the encoders' layers in it, by kind.

    Args:
        model: model with picture encoders, on the batch's device.
        batch: training batch.
        repeats: number of runs; the median time is used.
    """
    device = batch.observation.device.type
    optimizer = torch.optim.AdamW(model.parameters(), 1e-9, fused=True)

    def update() -> object:
        return descend(model, optimizer, fast_loss(model, batch))

    def forward() -> object:
        with torch.no_grad():
            return fast_loss(model, batch)

    works = [
        measure("update", update, repeats, device),
        measure("forward pass", forward, repeats, device),
    ]
    for kind, calls in encoder_calls(model, forward).items():
        works.append(measure(kind, partial(repeat, calls, device), repeats, device))
    return works


def measure(name: str, work: Callable[[], object], repeats: int, device: str) -> Work:
    """Measure the median time of a piece of work, and count what it does, after a warm-up call."""
    work()
    times = [seconds(work, 1, device) for _ in range(repeats)]
    return Work(name, 1e3 * statistics.median(times), *count(work))


def encoder_calls(model: GlamorModel, forward: Callable[[], object]) -> dict[str, list[Call]]:
    """Return the calls of the encoders' layers in a forward pass, by kind of layer."""
    by_kind: defaultdict[str, list[Call]] = defaultdict(list)

    def record(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        by_kind[kind_of(layer)].append((layer, inputs))

    leaves = [
        layer
        for encoder in (model.observation_encoder, model.goal_encoder)
        for layer in encoder.modules()
        if not list(layer.children())
    ]
    hooks = [layer.register_forward_pre_hook(record) for layer in leaves]
    forward()
    for hook in hooks:
        hook.remove()
    return by_kind


def kind_of(layer: nn.Module) -> str:
    """Return the name of the PyTorch layer class that a layer derives from, or else its own."""
    bases = [kind for kind in type(layer).__mro__ if kind.__module__.startswith("torch.nn.")]
    return type(layer).__name__ if bases[0] is nn.Module else bases[0].__name__


def repeat(calls: list[Call], device: str) -> None:
    """Repeat recorded calls of layers in the precision of the update."""
    with torch.no_grad(), mixed_precision(device):
        for layer, inputs in calls:
            layer(*inputs)


def draw(works: list[Work], peaks: Peaks, machine: dict[str, str | int]) -> Figure:
    """Draw the roofline, and all work that contains counted operations."""
    figure = Figure(figsize=(7.0, 4.6), layout="constrained")
    axes = figure.subplots()
    points = [work for work in works if work.gflop]
    ridge = peaks.gflops / peaks.bandwidth
    roof = [min(ridge, *(work.intensity for work in points)) / 3, ridge]
    roof.append(max(ridge, *(work.intensity for work in points)) * 3)
    axes.plot(roof, [peaks.attainable(x) for x in roof], color=TEXT, label="measured peaks")
    for work in points:
        colour = SECOND if work.name in ("update", "forward pass") else AGENT
        axes.plot(work.intensity, work.gflops, "o", color=colour)
        axes.annotate(
            f"{work.name}: {EngFormatter(places=1)(work.ms / 1e3)}s",
            (work.intensity, work.gflops),
            textcoords="offset points",
            xytext=(6, -10),
            color=TEXT,
            fontsize=8,
        )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="floating-point operations a byte",
        ylabel="billions of operations a second",
        title=f"An update with the residual encoder on {machine.get('gpu', 'the CPU')}",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())
    axes.legend(loc="lower right")
    return figure


def write(works: list[Work], peaks: Peaks, machine: dict[str, str | int], folder: Path) -> None:
    """Write JSON, Markdown and figures into a folder, created if missing."""
    record = {"machine": machine, "peaks": asdict(peaks), "rows": [asdict(work) for work in works]}
    text = json.dumps(record, indent=2, ensure_ascii=False)
    write_text(folder / "roofline.json", text + "\n")
    columns = ("work", "ms", "GFLOP", "GB", "GFLOP/s", "of the peak", "GB/s", "of a copy's")
    table = markdown_table(columns, (_cells(work, peaks) for work in works))
    rates = (
        f"{peaks.gflops:.0f} GFLOP/s ({peaks.precision} product), {peaks.bandwidth:.0f} GB/s (copy)"
    )
    facts = {"peaks": rates, **machine}
    write_text(folder / "roofline.md", f"{table}\n{machine_lines(facts)}")
    with styled():
        write_figure(draw(works, peaks, machine), folder / "roofline")


def _cells(work: Work, peaks: Peaks) -> tuple[str, ...]:
    return (
        work.name,
        f"{work.ms:.3g}",
        f"{work.gflop:.3g}",
        f"{work.gbytes:.3g}",
        f"{work.gflops:.3g}",
        f"{work.gflops / peaks.gflops:.0%}",
        f"{work.bandwidth:.3g}",
        f"{work.bandwidth / peaks.bandwidth:.0%}",
    )


def main(
    output: Path = Path("results/benchmarks/roofline"),
    device: Device = "cpu",
    batch_size: int = BATCH,
    repeats: int = 5,
) -> int:
    """Measure an update with the paper's encoder. Nothing else should run at the same time.

    Args:
        output: folder for the table, the figure and the numbers.
        device: device to measure.
        batch_size: number of training tuples in the update.
        repeats: runs of each piece of work; the median time is used.
    """
    for name, number in (("batch_size", batch_size), ("repeats", repeats)):
        if number < 1:
            raise ValueError(f"{name} must be 1 or more, got {number}")
    machine = describe_machine(device)
    torch.manual_seed(0)
    model = GlamorModel(SPACE, N_ACTIONS, encoder="residual").to(device)
    peaks = measure_peaks(device)
    works = profile(model, make_batch(batch_size, device), repeats)
    write(works, peaks, machine, output)
    Console().print((output / "roofline.md").read_text(), highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
