"""The fast LSTMs against their textbook form and against PyTorch's own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from glamor_gym.models.recurrence import lstm, lstm_cell, lstm_library, lstm_packed

HIDDEN = 5


def textbook_lstm(gate_inputs, h, c, weight, batch_sizes):
    outputs, begin = [], 0
    for rows in batch_sizes:
        step = gate_inputs[:, begin : begin + rows]
        h, c = lstm_cell(step + h[:, :rows] @ weight, c[:, :rows])
        outputs.append(h)
        begin += rows
    return torch.cat(outputs, dim=1)


def random_inputs(
    batch_sizes: list[int], n_models: int = 2, device: str = "cpu"
) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(sum(batch_sizes))
    shapes = [
        (n_models, sum(batch_sizes), 4 * HIDDEN),
        (n_models, batch_sizes[0], HIDDEN),
        (n_models, batch_sizes[0], HIDDEN),
        (n_models, HIDDEN, 4 * HIDDEN),
    ]
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64).to(device).requires_grad_()
        for shape in shapes
    ]


def outputs_and_gradients(run, inputs, batch_sizes):
    outputs = run(*inputs, batch_sizes)
    weights = torch.linspace(-1, 1, outputs.numel(), dtype=torch.float64).view_as(outputs.cpu())
    loss = (outputs * weights.to(outputs.device)).sum()
    return [outputs, *torch.autograd.grad(loss, inputs)]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=8), st.integers(0, 2))
def test_outputs_and_all_gradients_equal_the_textbook_form(sizes, n_empty):
    batch_sizes = sorted(sizes, reverse=True) + [0] * n_empty
    inputs = random_inputs(batch_sizes)
    expected = outputs_and_gradients(textbook_lstm, inputs, batch_sizes)
    for run in (lstm, lstm_packed, lstm_library):
        found = outputs_and_gradients(run, inputs, batch_sizes)
        torch.testing.assert_close(found, expected)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.filterwarnings("error:RNN module weights are not part of single contiguous chunk")
def test_on_a_gpu_it_is_the_same(dtype):
    batch_sizes = [6, 6, 3, 1]
    expected = outputs_and_gradients(textbook_lstm, random_inputs(batch_sizes), batch_sizes)
    inputs = random_inputs(batch_sizes, device="cuda")
    inputs = [each.detach().to(dtype).requires_grad_() for each in inputs]
    found = outputs_and_gradients(lstm, inputs, batch_sizes)
    # In float32 cuDNN multiplies in TF32.
    tolerance = {} if dtype == torch.float64 else {"rtol": 5e-3, "atol": 5e-3}
    torch.testing.assert_close([each.cpu().double() for each in found], expected, **tolerance)


def test_it_is_the_lstm_that_pytorch_has():
    torch.manual_seed(0)
    reference = nn.LSTM(3, HIDDEN).double()
    lengths = [4, 2, 1]
    x = torch.randn(4, 3, 3, dtype=torch.float64)
    h, c = torch.randn(2, 1, 3, HIDDEN, dtype=torch.float64)
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths)
    expected = reference(packed, (h, c))[0]
    gate_inputs = packed.data @ reference.weight_ih_l0.t()
    gate_inputs = gate_inputs + reference.bias_ih_l0 + reference.bias_hh_l0
    outputs = lstm_packed(
        gate_inputs[None], h, c, reference.weight_hh_l0.t()[None], packed.batch_sizes.tolist()
    )
    torch.testing.assert_close(outputs[0], expected.data)
