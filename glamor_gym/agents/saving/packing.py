"""Quantisation of weights to four bits, for small agent files.

In: tensors by name. Out: the same, except that each large matrix becomes two tensors: its weights
as integers from −7 to 7, two per byte, and one half-precision scale for each `GROUP` of them in a
row, 4½ bits per weight in all. Other tensors, such as convolutions and biases, are not changed.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

GROUP = 32
"""Number of weights that share a scale; each row is padded to a multiple of it."""

SMALLEST_PACKED = 2**13
"""Matrices with fewer weights than this are not packed."""

_LARGEST = 7
_PACKED, _SCALES = ".packed", ".scales"


def pack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with large matrices packed; :func:`unpack` is the reverse."""
    packed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.dim() == 2 and tensor.is_floating_point() and tensor.numel() >= SMALLEST_PACKED:
            packed[name + _PACKED], packed[name + _SCALES] = pack_matrix(tensor)
        else:
            packed[name] = tensor
    return packed


def unpack(tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that :func:`pack` was given, packed matrices up to rounding.

    Args:
        tensors: what :func:`pack` returned, or tensors that were never packed.
        like: tensors of the same names, whose shapes give the width of each matrix.

    Raises:
        RuntimeError: a packed matrix has no scales, no counterpart in `like`, or another size.
    """
    unpacked: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(_SCALES) and name.removesuffix(_SCALES) + _PACKED in tensors:
            continue
        if not name.endswith(_PACKED):
            unpacked[name] = tensor
            continue
        matrix = name.removesuffix(_PACKED)
        scales = tensors.get(matrix + _SCALES)
        if scales is None or matrix not in like:
            raise RuntimeError(f"{name} is packed, but lacks its scales or is not expected here")
        unpacked[matrix] = unpack_matrix(tensor, scales, like[matrix].shape, name=matrix)
    return unpacked


def pack_matrix(
    matrix: Float[Tensor, "rows columns"],
) -> tuple[UInt8[Tensor, "rows bytes"], Float[Tensor, "rows groups"]]:
    """Return the weights of a matrix, two per byte, and the scale of each group.

    The first weight of a byte is in the lower four bits; weights are stored with 8 added.
    """
    filled = functional.pad(matrix.detach().float(), (0, -matrix.shape[1] % GROUP))
    groups = filled.reshape(filled.shape[0], -1, GROUP)
    # Rounded to half precision first, so that weights are relative to the scale as it is stored.
    scales = (groups.abs().amax(dim=2) / _LARGEST).half()
    steps = scales.float().where(scales > 0, 1.0).unsqueeze(2)
    numbers = (groups / steps).round().clamp(-_LARGEST, _LARGEST) + 8
    numbers = numbers.to(torch.uint8).flatten(1)
    return numbers[:, 0::2] | (numbers[:, 1::2] << 4), scales


def unpack_matrix(
    packed: UInt8[Tensor, "rows bytes"],
    scales: Float[Tensor, "rows groups"],
    shape: torch.Size,
    *,
    name: str = "the matrix",
) -> Float[Tensor, "rows columns"]:
    """Return in float32 the matrix of the given shape that :func:`pack_matrix` packed.

    Raises:
        RuntimeError: `packed` and `scales` are not those of such a matrix; the message says `name`.
    """
    if len(shape) != 2:
        raise RuntimeError(f"{name} is of shape {tuple(shape)}, which is never packed")
    rows, n_groups = shape[0], -(-shape[1] // GROUP)
    if (
        packed.dtype != torch.uint8
        or packed.shape != (rows, n_groups * GROUP // 2)
        or scales.shape != (rows, n_groups)
    ):
        raise RuntimeError(
            f"packed weights of {packed.dtype} {tuple(packed.shape)} with scales "
            f"{tuple(scales.shape)} do not form {name} of shape {tuple(shape)}"
        )
    numbers = torch.stack((packed & 15, packed >> 4), dim=2).flatten(1).float() - 8
    groups = numbers.reshape(rows, n_groups, GROUP) * scales.float().unsqueeze(2)
    return groups.flatten(1)[:, : shape[1]]
