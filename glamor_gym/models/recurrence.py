"""The recurrence of an LSTM over packed sequences, its input products computed beforehand.

In: gate inputs for every token of a batch, packed by time, and the first hidden state.
Out: the hidden state after every token, packed alike, with gradients for all inputs.

The plain form spends most of its time in Python and in autograd's bookkeeping: 50 steps of a
64-wide LSTM are hundreds of tiny operations. On a CPU they become one autograd function, in which M
models of the same size (GLAMOR's inverse dynamics and prior) share batched products; on a GPU each
model is one call of cuDNN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def lstm_cell(
    gates: Float[Tensor, "*b 4h"], c: Float[Tensor, "*b h"]
) -> tuple[Float[Tensor, "*b h"], Float[Tensor, "*b h"]]:
    """One LSTM step from summed gate inputs (order i, f, g, o): return the new (h, c)."""
    i, f, g, o = gates.chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def lstm(
    gate_inputs: Float[Tensor, "m n 4h"],
    h: Float[Tensor, "m b h"],
    c: Float[Tensor, "m b h"],
    weight: Float[Tensor, "m h 4h"],
    batch_sizes: Sequence[int],
) -> Float[Tensor, "m n h"]:
    """Run M LSTMs over a packed batch, in the way that is fastest on their device.

    Args:
        gate_inputs: for each of the N = Σ batch_sizes tokens, everything that enters the gates
            except the recurrent product; gates in the order i, f, g, o.
        h: first hidden state of each sequence, the longest sequence first.
        c: first cell state.
        weight: recurrent weights, already transposed for ``h @ weight``.
        batch_sizes: number of sequences that have a t-th token, for t = 0, 1, …; falling.

    Returns:
        Hidden states after each token, packed as `gate_inputs`.
    """
    has_tokens = gate_inputs.shape[1] > 0  # PyTorch's own refuses a batch without any
    run = lstm_library if gate_inputs.is_cuda and has_tokens else lstm_packed
    return run(gate_inputs, h, c, weight, batch_sizes)


def lstm_library(
    gate_inputs: Float[Tensor, "m n 4h"],
    h: Float[Tensor, "m b h"],
    c: Float[Tensor, "m b h"],
    weight: Float[Tensor, "m h 4h"],
    batch_sizes: Sequence[int],
) -> Float[Tensor, "m n h"]:
    """:func:`lstm` by PyTorch's own LSTM, which on a GPU is cuDNN's: one call for all time steps.

    It multiplies its input by weights, here the identity: one more product, but for all tokens at
    once, whereas 50 steps forward and backward are some 800 kernels to launch. In float32, cuDNN
    multiplies in TF32, with ten bits of mantissa, unless ``torch.backends.cudnn.allow_tf32`` is
    False.
    """
    sizes = torch.tensor([rows for rows in batch_sizes if rows])  # of a packed sequence: on the CPU
    width, size = gate_inputs.shape[-1], h.shape[-1]
    identity = torch.eye(width, dtype=gate_inputs.dtype, device=gate_inputs.device).flatten()
    outputs = []
    for inputs, first_h, first_c, recurrent in zip(gate_inputs, h, c, weight, strict=True):
        # One after the other in memory, as cuDNN wants them: else PyTorch copies them at each call.
        # cuDNN reserves room for two biases whether there are any or not.
        weights = functional.pad(torch.cat((identity, recurrent.t().flatten())), (0, 2 * width))
        of_inputs, of_state = weights[: width * width], weights[width * width : -2 * width]
        hidden, *_ = torch._VF.lstm(  # what nn.LSTM calls for a packed sequence
            inputs,
            sizes,
            (first_h[None], first_c[None]),
            (of_inputs.view(width, width), of_state.view(width, size)),
            False,  # no biases: they are in the inputs
            1,  # layer
            0.0,  # dropout
            True,  # keeps what the gradient needs
            False,  # one direction
        )
        outputs.append(hidden)
    return torch.stack(outputs)


def lstm_packed(
    gate_inputs: Float[Tensor, "m n 4h"],
    h: Float[Tensor, "m b h"],
    c: Float[Tensor, "m b h"],
    weight: Float[Tensor, "m h 4h"],
    batch_sizes: Sequence[int],
) -> Float[Tensor, "m n h"]:
    """:func:`lstm` as one autograd function, without a Python loop over models."""
    packed: Tensor = _PackedLSTM.apply(  # type: ignore[no-untyped-call]
        gate_inputs, h, c, weight, tuple(batch_sizes)
    )
    return packed


class _PackedLSTM(torch.autograd.Function):
    """Forward saves the activated gates and cells; backward goes through them in reverse."""

    @staticmethod
    def forward(
        ctx: Any,
        gate_inputs: Tensor,
        h: Tensor,
        c: Tensor,
        weight: Tensor,
        batch_sizes: tuple[int, ...],
    ) -> Tensor:
        n_models, n_tokens, width = gate_inputs.shape
        size = width // 4
        gates = torch.empty_like(gate_inputs)
        cells = gate_inputs.new_empty(n_models, n_tokens, size)
        tanh_cells = torch.empty_like(cells)
        outputs = torch.empty_like(cells)
        h_first, c_first = h, c
        begin = 0
        for rows in batch_sizes:
            here = slice(begin, begin + rows)
            gate = torch.baddbmm(gate_inputs[:, here], h[:, :rows], weight)
            activated = gates[:, here]
            torch.sigmoid(gate, out=activated)
            torch.tanh(gate[..., 2 * size : 3 * size], out=activated[..., 2 * size : 3 * size])
            i, f, g, o = activated.chunk(4, dim=-1)
            new_c = torch.mul(f, c[:, :rows], out=cells[:, here])
            new_c.addcmul_(i, g)
            tanh_c = torch.tanh(new_c, out=tanh_cells[:, here])
            h = torch.mul(o, tanh_c, out=outputs[:, here])
            c = new_c
            begin += rows
        ctx.save_for_backward(gates, cells, tanh_cells, outputs, h_first, c_first, weight)
        ctx.batch_sizes = batch_sizes
        return outputs

    @staticmethod
    def backward(ctx: Any, grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        gates, cells, tanh_cells, outputs, h_first, c_first, weight = ctx.saved_tensors
        batch_sizes = ctx.batch_sizes
        size = h_first.shape[-1]
        # What does not depend on the running gradient is computed for all tokens at once: dc/dh
        # and the derivatives of the gates, σ' = σ(1 − σ) and tanh' = 1 − tanh².
        i, f, g, o = gates.chunk(4, dim=-1)
        previous_c = torch.empty_like(cells)
        previous_h = torch.empty_like(outputs)
        begins, begin, before = [], 0, 0
        for t, rows in enumerate(batch_sizes):
            here = slice(begin, begin + rows)
            previous_c[:, here] = cells[:, before : before + rows] if t else c_first[:, :rows]
            previous_h[:, here] = outputs[:, before : before + rows] if t else h_first[:, :rows]
            begins.append(begin)
            before, begin = begin, begin + rows
        through_cell = o * (1 - tanh_cells * tanh_cells)
        by_cell = torch.cat(  # d gate / d c, for the gates i, f, g
            (g * i * (1 - i), previous_c * f * (1 - f), i * (1 - g * g)), dim=-1
        ).view(*cells.shape[:2], 3, size)
        by_output = tanh_cells * o * (1 - o)  # d gate o / d h

        grad_gates = gates.new_empty(*cells.shape[:2], 4, size)
        grad_h = torch.zeros_like(h_first)
        grad_c = torch.zeros_like(c_first)
        weight_t = weight.transpose(1, 2)
        for begin, rows in zip(reversed(begins), reversed(batch_sizes), strict=True):
            here = slice(begin, begin + rows)
            dh = grad_h[:, :rows].add_(grad_outputs[:, here])
            dc = grad_c[:, :rows].addcmul_(dh, through_cell[:, here])
            step = grad_gates[:, here]
            step[:, :, :3] = dc.unsqueeze(-2) * by_cell[:, here]
            torch.mul(dh, by_output[:, here], out=step[:, :, 3])
            grad_h[:, :rows] = torch.bmm(step.flatten(2), weight_t)
            dc.mul_(f[:, here])
        grad_inputs = grad_gates.flatten(2)
        grad_weight = torch.bmm(previous_h.transpose(1, 2), grad_inputs)
        return grad_inputs, grad_h, grad_c, grad_weight, None
