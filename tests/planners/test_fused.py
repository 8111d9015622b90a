"""Plans of the kernel against the plain planner's, from the same noise.

Where there is no GPU, Triton interprets the kernel.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from glamor_gym.models import ActionDecoder, Folded, fold
from glamor_gym.planners import PlannerSettings, plan

fused = pytest.importorskip("glamor_gym.planners.fused", exc_type=ImportError)
pytestmark = pytest.mark.triton

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SETTINGS = PlannerSettings(n_trials=6, clip_log_prob=-3.0, gamma=0.9)
LIMITS = [5, 1, 3]


def folded_rows(n_actions: int = 4, size: int = 16) -> Folded:
    torch.manual_seed(0)
    decoders = [ActionDecoder(n_actions, 6, 10, size) for _ in range(2)]
    contexts = [torch.randn(len(LIMITS), 6) for _ in range(2)]
    with torch.no_grad():
        for decoder in decoders:
            decoder.head.weight.mul_(4.0)
        return Folded(*(part.to(DEVICE) for part in fold(decoders, contexts)))


def noise() -> torch.Generator:
    return torch.Generator(DEVICE).manual_seed(1)


def assert_same(found, expected):
    assert found.tokens.tolist() == expected.tokens.tolist()
    assert found.length.tolist() == expected.length.tolist()
    torch.testing.assert_close(found.log_score, expected.log_score, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.token_scores, expected.token_scores, atol=1e-4, rtol=0)


def never(*_):
    raise AssertionError("the plan was to be made by the kernel")


@pytest.fixture
def kernel_only(monkeypatch):
    monkeypatch.setattr(fused, "plan", never)


CASES = [
    {},
    {"stop": "end", "clip_log_prob": -1.5},
    {"guided": False},
    {"use_prior": False},
    {"stop_first": True, "vote": True},
    {"n_trials": 1},
]


@pytest.mark.parametrize("changes", CASES)
@pytest.mark.usefixtures("kernel_only")
def test_it_makes_the_plans_of_the_plain_planner(changes):
    settings, limits = replace(SETTINGS, **changes), torch.tensor(LIMITS)
    found = fused.FusedPlanner()(folded_rows(), limits, settings, noise())
    assert_same(found, plan(folded_rows(), limits, settings, noise()))


@pytest.mark.gpu
@pytest.mark.parametrize("changes", CASES)
@pytest.mark.usefixtures("kernel_only")
def test_on_a_gpu_too_at_the_size_of_games(changes):
    settings, limits = replace(SETTINGS, **changes), torch.tensor([50, 1, 23])
    found = fused.FusedPlanner()(folded_rows(18, 64), limits, settings, noise())
    assert_same(found, plan(folded_rows(18, 64), limits, settings, noise()))


@pytest.mark.parametrize(("n_actions", "size"), [(4, 8), (4, 24), (4, 256), (200, 16)])
def test_other_sizes_are_left_to_the_plain_planner(monkeypatch, n_actions, size):
    monkeypatch.setattr(fused, "roll_out_fused", never)
    folded, limits = folded_rows(n_actions, size), torch.tensor(LIMITS)
    planner = fused.FusedPlanner()
    found = planner(folded, limits, SETTINGS, noise())
    assert_same(found, plan(folded, limits, SETTINGS, noise()))
    assert planner.works


def test_limits_below_one_are_refused():
    with pytest.raises(ValueError, match="max_actions"):
        fused.FusedPlanner()(folded_rows(), torch.tensor([0, 1, 1]), SETTINGS, noise())


def test_a_kernel_that_fails_is_not_tried_again(monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("no C compiler")

    monkeypatch.setattr(fused, "roll_out_fused", fail)
    planner = fused.FusedPlanner()
    limits = torch.tensor(LIMITS)
    with caplog.at_level(logging.WARNING):
        first = planner(folded_rows(), limits, SETTINGS, noise())
    assert "no C compiler" in caplog.text
    monkeypatch.setattr(fused, "roll_out_fused", lambda *_: pytest.fail("tried again"))
    second = planner(folded_rows(), limits, SETTINGS, noise())
    for found in (first, second):
        assert_same(found, plan(folded_rows(), limits, SETTINGS, noise()))


COMPILES = """
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from glamor_gym.planners.fused_kernel import roll_out

constants = dict(
    clipped_z=-20.0, n_tokens=19, width=32, size=64, block=16, use_prior=True, guided=True
)
types = {"clip_log_prob": "fp32", "last_pointer": "*i64", "token_pointer": "*i64"}
signature = {
    name: "constexpr" if name in constants
    else types.get(name, "*fp32" if name.endswith("_pointer") else "i32")
    for name in roll_out.arg_names
}
kernel = compile(
    ASTSource(fn=roll_out, signature=signature, constexprs=constants),
    target=GPUTarget("cuda", 90, 32),
)
print("mma" in kernel.asm["ptx"], len(kernel.asm["cubin"]) > 0)
"""


def test_it_compiles_for_a_gpu_without_one(tmp_path):
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.getcwd()}
    environment.pop("TRITON_INTERPRET", None)
    made = subprocess.run(
        [sys.executable, "-c", COMPILES], env=environment, capture_output=True, text=True
    )
    assert made.stdout.split() == ["True", "True"], made.stderr
