"""A pretended CUDA device, so that the path of a GPU is run and watched where there is none.

Its tensors are in main memory, but say that they are on ``cuda:0``, and as on a GPU they must not
meet tensors of the CPU. What would wait for a GPU is counted.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map_only

from glamor_gym.agents import policy
from glamor_gym.agents.background import Background
from glamor_gym.planners import plan

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
ATEN = torch.ops.aten
COPIES = {ATEN.copy_.default, ATEN._to_copy.default}
INDEXING = {ATEN.index.Tensor, ATEN.index_put.default, ATEN.index_put_.default}
"""Operations that take tensors of the CPU beside one of a GPU."""

READS = {"tolist", "item", "__bool__", "__int__", "__float__", "__index__"}


class PretendedGPU:
    """What is known of the pretended device.

    Attributes:
        waits: how often something that waits for the device was called, by its name.
    """

    def __init__(self) -> None:
        self.waits: Counter[str] = Counter()
        self._memory: dict[int, _Alive] = {}

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Pretend in this thread."""
        with _Operations(self), _Calls(self):
            yield

    def holds(self, tensor: torch.Tensor) -> bool:
        """Return whether a tensor is on the device."""
        alive = self._memory.get(tensor.untyped_storage()._cdata)
        return alive is not None and not alive.expired()

    def take(self, tensor: torch.Tensor) -> None:
        """Pretend that a tensor is on the device, and with it all that share its memory."""
        if not self.holds(tensor):
            storage = tensor.untyped_storage()
            self._memory[storage._cdata] = _Alive(storage)


class _Alive:
    """Whether memory is still in use; its address may be given to another tensor later."""

    def __init__(self, storage: torch.UntypedStorage) -> None:
        self._ref = storage._weak_ref()

    def expired(self) -> bool:
        return torch.UntypedStorage._expired(self._ref)

    def __del__(self) -> None:
        torch.UntypedStorage._free_weak_ref(self._ref)


class _Operations(TorchDispatchMode):
    """Sees each operation, also those of gradients: results are where their inputs are."""

    def __init__(self, gpu: PretendedGPU) -> None:
        super().__init__()
        self.gpu = gpu

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        gpu, kwargs = self.gpu, kwargs or {}
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        on_gpu = [gpu.holds(tensor) for tensor in given]
        if not any(on_gpu):
            return func(*args, **kwargs)
        if func in (ATEN.nonzero.default, ATEN.nonzero_numpy.default):
            gpu.waits["nonzero"] += 1
        stray = [x for x, is_there in zip(given, on_gpu, strict=True) if x.dim() and not is_there]
        if func in INDEXING and not gpu.holds(args[0]):
            raise RuntimeError(f"{func}: a tensor on the CPU is indexed by one on a GPU")
        if stray and func not in COPIES | INDEXING:
            raise RuntimeError(f"{func}: also got tensors on the CPU, {[x.shape for x in stray]}")
        results = func(*args, **kwargs)
        if func is not ATEN.copy_.default:
            tree_map_only(torch.Tensor, gpu.take, results)
        return results


class _Calls(TorchFunctionMode):
    """Sees each call from Python: devices asked for, devices given, and transfers."""

    def __init__(self, gpu: PretendedGPU) -> None:
        super().__init__()
        self.gpu = gpu

    def __torch_function__(self, func, types, args=(), kwargs=None):
        gpu, kwargs = self.gpu, dict(kwargs or {})
        name = getattr(func, "__name__", "")
        of = getattr(func, "__self__", None) if name == "__get__" else None
        if of is torch.Tensor.device:
            return GPU if gpu.holds(args[0]) else func(*args)
        if of is torch.Tensor.is_cuda:
            return gpu.holds(args[0])
        if name in READS and gpu.holds(args[0]):
            gpu.waits[name] += 1
        if name in ("numpy", "__array__") and gpu.holds(args[0]):
            raise TypeError("cannot convert a tensor on cuda:0 to NumPy; use Tensor.cpu() first")
        if func is torch.Tensor.cpu:
            func, args = torch.Tensor.to, (args[0], CPU)
        if name == "as_tensor" and isinstance(args[0], torch.Tensor):
            func = torch.Tensor.to
        if func is torch.Tensor.to:
            return self._moved(*args, **kwargs)
        makes_there = _is_gpu(kwargs.get("device"))
        if makes_there:
            kwargs["device"] = CPU
        if isinstance(generator := kwargs.get("generator"), Generator):
            assert _is_gpu(generator.device) == (makes_there or any(map(self._is_there, args)))
        results = func(*args, **kwargs)
        if makes_there or (of is torch.Tensor.grad and gpu.holds(args[0])):
            tree_map_only(torch.Tensor, gpu.take, results)
        return results

    def _is_there(self, value: object) -> bool:
        return isinstance(value, torch.Tensor) and self.gpu.holds(value)

    def _moved(self, tensor, *where, **options):
        """``tensor.to(…)`` in any of its forms."""
        target = options.pop("device", None)
        if where and isinstance(where[0], str | torch.device):
            target, *where = where
        if target is None:
            return tensor.to(*where, **options)
        if _is_gpu(target) != self.gpu.holds(tensor):
            if not _is_gpu(target):
                self.gpu.waits["cpu"] += 1
            tensor = _Transfer.apply(tensor, self.gpu, _is_gpu(target))
        return tensor.to(CPU, *where, **options)


class _Transfer(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tensor, gpu, to_gpu):
        ctx.gpu, ctx.to_gpu = gpu, to_gpu
        return _copied(tensor, gpu, to_gpu)

    @staticmethod
    def backward(ctx, grad):
        return _copied(grad, ctx.gpu, not ctx.to_gpu), None, None


def _copied(tensor: torch.Tensor, gpu: PretendedGPU, to_gpu: bool) -> torch.Tensor:
    with _disable_current_modes():
        copy = tensor.detach().clone()
    if to_gpu:
        gpu.take(copy)
    return copy


def _is_gpu(device: object) -> bool:
    is_device = isinstance(device, str | torch.device)
    return is_device and torch.device(device).type == "cuda"


class Generator(torch.Generator):
    """A generator that says which device it is for."""

    def __new__(cls, device="cpu"):
        generator = super().__new__(cls)
        generator._device = GPU if _is_gpu(device) else CPU
        return generator

    def __init__(self, device="cpu"):
        pass

    @property
    def device(self):
        return self._device


def pretend(monkeypatch: Any) -> PretendedGPU:
    """Pretend until `monkeypatch` is undone, where :meth:`PretendedGPU.in_use` is entered."""
    gpu = PretendedGPU()
    for name, value in {
        "is_available": True,
        "is_bf16_supported": True,
        "get_rng_state": torch.zeros(16, dtype=torch.uint8),
        "set_rng_state": None,
        "manual_seed": None,
        "manual_seed_all": None,
        "device": contextlib.nullcontext(),
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value, **__: value)
    # A build with CUDA would otherwise ask its driver, when the optimiser steps.
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda *_, **__: None)
    monkeypatch.setattr(torch, "Generator", Generator)
    monkeypatch.setattr(policy, "planner_for", lambda _: plan)  # kernels need a real device
    autocast = torch.autocast
    monkeypatch.setattr(
        torch, "autocast", lambda kind, *args, **options: autocast("cpu", *args, **options)
    )
    for name in ("is_autocast_enabled", "get_autocast_dtype"):
        asked = getattr(torch, name)
        monkeypatch.setattr(torch, name, lambda kind="cpu", asked=asked: asked("cpu"))
    # PyTorch's own clipping asks tensors for their device behind Python's back.
    clipping = torch.nn.utils.clip_grad
    group = clipping._group_tensors_by_device_and_dtype

    def grouped(tensors):
        return {
            (GPU if gpu.holds(there[0][0][0]) else CPU, dtype): there
            for (_, dtype), there in group(tensors).items()
        }

    monkeypatch.setattr(clipping, "_group_tensors_by_device_and_dtype", grouped)
    begin = Background.begin

    def begun(self, job):
        def pretending():
            with gpu.in_use():
                return job()

        begin(self, pretending)

    monkeypatch.setattr(Background, "begin", begun)
    return gpu
