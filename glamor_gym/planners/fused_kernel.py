"""The kernel that samples all candidates of a plan, for :mod:`~glamor_gym.planners.fused`.

In: folded decoders, limits and noise. Out: a token and its z for every candidate and slot.

Each program takes `block` candidates from their first token to their last. Their hidden and cell
states stay in registers, so that a token costs two small matrix products and no launch; a program
whose candidates have all ended is done. What a token does is written in
:mod:`~glamor_gym.planners.candidates`, step by step and in the same order.
"""

import triton
import triton.language as tl


# Numbers that change from plan to plan: a program for each kind of them would be compiled.
@triton.jit(do_not_specialize=["n_slots", "n_candidates", "n_rows", "n_trials", "first_open_slot"])
def roll_out(
    h_pointer, c_pointer, input_pointer, recurrent_pointer, head_pointer, bias_pointer,
    last_pointer, uniform_pointer, token_pointer, z_pointer,
    n_slots, n_candidates, n_rows, n_trials, first_open_slot, clip_log_prob,
    clipped_z: tl.constexpr, n_tokens: tl.constexpr, width: tl.constexpr, size: tl.constexpr,
    block: tl.constexpr, use_prior: tl.constexpr, guided: tl.constexpr,
):  # fmt: skip
    """Sample candidates; see :func:`~glamor_gym.planners.fused.roll_out_fused` for what is what."""
    candidate = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    is_there = candidate < n_candidates
    row = tl.where(is_there, candidate // n_trials, 0)
    last_slot = tl.load(last_pointer + row)
    unit, column = tl.arange(0, size), tl.arange(0, width)
    state = row[:, None] * size + unit
    inverse_h, inverse_c = tl.load(h_pointer + state), tl.load(c_pointer + state)
    prior_h = tl.load(h_pointer + n_rows * size + state)
    prior_c = tl.load(c_pointer + n_rows * size + state)
    first_input = row * n_tokens
    previous = tl.full((block,), n_tokens - 1, tl.int64)  # stands for the start token
    going_on = is_there
    slot = 0
    while (slot < n_slots) & (tl.max(going_on.to(tl.int32), axis=0) > 0):
        inverse_h, inverse_c = _lstm(
            inverse_h, inverse_c, input_pointer, first_input + previous, recurrent_pointer, size
        )
        is_last = last_slot == slot
        n_open = tl.where(slot >= first_open_slot, n_tokens, n_tokens - 1)
        is_open = (column < n_open)[None, :]
        counts = is_open | is_last[:, None]  # a token that does not count has no probability
        log_p = _log_softmax(inverse_h, head_pointer, bias_pointer, counts, size, width)
        z = log_p
        if use_prior:
            prior_h, prior_c = _lstm(
                prior_h, prior_c, input_pointer, (n_rows * n_tokens + first_input) + previous,
                recurrent_pointer + 4 * size * size, size,
            )  # fmt: skip
            z = log_p - _log_softmax(
                prior_h, head_pointer + size * width, bias_pointer + width, counts, size, width
            )
        z = tl.where(log_p < clip_log_prob, clipped_z, z)

        uniform = tl.load(uniform_pointer + slot * n_candidates + candidate, is_there, 0.0)
        if guided:
            weight = tl.exp(z - tl.max(tl.where(is_open, z, -float("inf")), axis=1)[:, None])
            weight = tl.where(is_open, weight, 0.0)
            share = tl.cumsum(weight, axis=1) / tl.sum(weight, axis=1)[:, None]
            token = tl.sum((is_open & (share <= uniform[:, None])).to(tl.int32), axis=1)
        else:
            token = (uniform * n_open).to(tl.int32)
        token = tl.minimum(token, n_open - 1)
        token = tl.where(is_last, n_tokens - 1, token)

        chosen = column[None, :] == token[:, None]
        place = slot * n_candidates + candidate
        tl.store(token_pointer + place, token.to(tl.int64), going_on)
        tl.store(z_pointer + place, tl.sum(tl.where(chosen, z, 0.0), axis=1), going_on)
        previous = token.to(tl.int64)
        going_on = going_on & (token != n_tokens - 1)
        slot += 1


@triton.jit
def _lstm(h, c, input_pointer, entry, weight_pointer, size: tl.constexpr):
    """One step; `entry` is the row of the inputs of each candidate."""
    unit = tl.arange(0, size)
    gate_input = input_pointer + entry[:, None] * (4 * size) + unit
    weight = weight_pointer + unit[:, None] * (4 * size) + unit
    i = _gate(h, gate_input, weight)
    f = _gate(h, gate_input + size, weight + size)
    g = _gate(h, gate_input + 2 * size, weight + 2 * size)
    o = _gate(h, gate_input + 3 * size, weight + 3 * size)
    c = tl.sigmoid(f) * c + tl.sigmoid(i) * (2.0 * tl.sigmoid(2.0 * g) - 1.0)
    return tl.sigmoid(o) * (2.0 * tl.sigmoid(2.0 * c) - 1.0), c


@triton.jit
def _gate(h, gate_input, weight):
    return tl.dot(h, tl.load(weight), acc=tl.load(gate_input), input_precision="tf32x3")


@triton.jit
def _log_softmax(h, head_pointer, bias_pointer, counts, size: tl.constexpr, width: tl.constexpr):
    """Log-probabilities of the tokens that count."""
    unit, column = tl.arange(0, size), tl.arange(0, width)
    head = tl.load(head_pointer + unit[:, None] * width + column)
    logits = tl.dot(h, head, input_precision="tf32x3") + tl.load(bias_pointer + column)[None, :]
    logits = tl.where(counts, logits, -1e30)  # not −∞, of which differences are no numbers
    shifted = logits - tl.max(logits, axis=1)[:, None]
    return shifted - tl.log(tl.sum(tl.exp(shifted), axis=1))[:, None]
