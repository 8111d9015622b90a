"""Recorded plans against plans made directly, from the same noise."""

from __future__ import annotations

import contextlib
import copy
import pickle
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from glamor_gym.models import ActionDecoder, Folded, fold
from glamor_gym.planners import PlannerSettings, plan
from glamor_gym.planners import recorded as module
from glamor_gym.planners.random_shooting import roll_out, sampling_noise
from glamor_gym.planners.recorded import CudaGraphs, RecordedPlanner
from glamor_gym.types import Plan

N_ACTIONS = 4
SETTINGS = PlannerSettings(n_trials=6, clip_log_prob=-3.0, gamma=0.9)


def folded_rows(n_rows: int, seed: int = 0, device: str = "cpu") -> Folded:
    torch.manual_seed(seed)
    decoders = [ActionDecoder(N_ACTIONS, 6, 10, 8) for _ in range(2)]
    contexts = [torch.randn(n_rows, 6) for _ in range(2)]
    with torch.no_grad():
        for decoder in decoders:
            decoder.head.weight.mul_(4.0)
        return Folded(*(part.to(device) for part in fold(decoders, contexts)))


def noise(seed: int, device: str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def assert_same(one: Plan, other: Plan) -> None:
    assert one.tokens.tolist() == other.tokens.tolist()
    assert one.length.tolist() == other.length.tolist()
    torch.testing.assert_close(one.log_score, other.log_score, atol=1e-4, rtol=0)
    torch.testing.assert_close(one.token_scores, other.token_scores, atol=1e-4, rtol=0)


class Recorder:
    """Repeats work by doing it again, into the memory of the first result, as a graph does."""

    def __init__(self) -> None:
        self.n_recorded = 0

    def __call__(self, work):
        self.n_recorded += 1
        result = work()

        def repeat() -> Plan:
            again = work()
            for name in ("tokens", "length", "log_score", "token_scores"):
                getattr(result, name).copy_(getattr(again, name))
            return result

        return repeat


@pytest.mark.parametrize("look_every", [1, 3, 100])
@pytest.mark.parametrize("changes", [{}, {"stop": "end"}, {"guided": False}, {"use_prior": False}])
def test_plans_do_not_depend_on_how_often_one_looks_for_ended_candidates(look_every, changes):
    settings = replace(SETTINGS, **changes)
    max_actions = torch.tensor([7, 2, 9])
    uniforms = sampling_noise(10, 3 * settings.n_trials, noise(1))
    never = roll_out(folded_rows(3), max_actions, uniforms, settings, look_every=None)
    often = roll_out(folded_rows(3), max_actions, uniforms, settings, look_every=look_every)
    assert_same(often, never)


def test_one_program_plans_for_any_rows_weights_and_limits_of_its_size():
    recorder = Recorder()
    planner = RecordedPlanner(recorder)
    for seed, limits in enumerate([[9, 3, 12], [4, 4, 4, 15], [1, 2, 1], [14, 1, 5]]):
        folded = folded_rows(len(limits), seed)
        max_actions = torch.tensor(limits)
        found = planner(folded, max_actions, SETTINGS, noise(seed))
        assert_same(found, plan(folded, max_actions, SETTINGS, noise(seed)))
    assert recorder.n_recorded == 1


def test_other_sizes_and_settings_have_programs_of_their_own():
    recorder = Recorder()
    planner = RecordedPlanner(recorder)
    for n_rows, horizon, trials in ((2, 5, 6), (3, 5, 6), (2, 16, 6), (2, 5, 7), (2, 5, 6)):
        settings = replace(SETTINGS, n_trials=trials)
        max_actions = torch.full((n_rows,), horizon)
        found = planner(folded_rows(n_rows), max_actions, settings, noise(0))
        assert_same(found, plan(folded_rows(n_rows), max_actions, settings, noise(0)))
    assert recorder.n_recorded == 4


def test_a_plan_stays_as_it_is_when_the_next_one_is_made():
    planner = RecordedPlanner(Recorder())
    first = planner(folded_rows(2), torch.tensor([6, 6]), SETTINGS, noise(0))
    kept = first.tokens.tolist(), first.log_score.tolist()
    planner(folded_rows(2, seed=5), torch.tensor([6, 6]), SETTINGS, noise(7))
    assert (first.tokens.tolist(), first.log_score.tolist()) == kept


def test_only_so_many_programs_are_kept(monkeypatch):
    monkeypatch.setattr(module, "MOST_PROGRAMS", 2)
    recorder = Recorder()
    planner = RecordedPlanner(recorder)
    for n_rows in (1, 2, 1, 4, 4, 1, 2):  # all were given up for the third, and for the fifth
        planner(folded_rows(n_rows), torch.full((n_rows,), 3), SETTINGS, noise(0))
        assert len(planner._programs) <= 2
    assert recorder.n_recorded == 5


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_plans_by_programs_of_its_own(copied):
    planner = RecordedPlanner(Recorder())
    limits = torch.tensor([5, 9])
    planner(folded_rows(2), limits, SETTINGS, noise(0))
    twin = copied(planner)
    others = folded_rows(2, seed=8)
    expected = plan(others, limits, SETTINGS, noise(3))
    assert_same(twin(others, limits, SETTINGS, noise(3)), expected)


def test_too_little_memory_for_a_program_is_no_reason_never_to_record_again():
    recorder = Recorder()
    is_full = iter([True, False])

    def record(work):
        if next(is_full):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return recorder(work)

    planner = RecordedPlanner(record)
    with pytest.raises(torch.OutOfMemoryError):
        planner(folded_rows(2), torch.tensor([5, 5]), SETTINGS, noise(0))
    planner(folded_rows(2), torch.tensor([5, 5]), SETTINGS, noise(0))
    assert recorder.n_recorded == 1


def test_where_nothing_can_be_recorded_plans_are_made_all_the_same(caplog):
    tries = []

    def fail(work):
        tries.append(work)
        raise RuntimeError("operation not permitted when stream is capturing")

    planner = RecordedPlanner(fail)
    for seed in (0, 1):
        found = planner(folded_rows(2), torch.tensor([5, 5]), SETTINGS, noise(seed))
        expected = plan(folded_rows(2), torch.tensor([5, 5]), SETTINGS, noise(seed))
        assert_same(found, expected)
    assert len(tries) == 1
    assert "not permitted" in caplog.text


def test_a_horizon_of_zero_is_refused():
    with pytest.raises(ValueError, match="max_actions"):
        RecordedPlanner(Recorder())(folded_rows(2), torch.tensor([0, 3]), SETTINGS, noise(0))


def test_a_recording_that_fails_leaves_no_trace_on_the_streams_of_its_device(monkeypatch):
    cuda = FakeCuda()
    for name in ("device", "stream", "Stream", "current_stream", "CUDAGraph", "graph"):
        monkeypatch.setattr(torch.cuda, name, getattr(cuda, name))

    def fail():
        raise RuntimeError("operation not permitted")

    record = CudaGraphs(torch.device("cuda:1"))
    for work, streams in ((lambda: "plan", 1), (fail, 1)):
        with contextlib.suppress(RuntimeError):
            record(work)
        assert cuda.now == ["default"]
        assert len(cuda.made) == streams
    assert {device for _, device in cuda.made} == {torch.device("cuda:1")}
    assert record(lambda: "plan")() == "plan"


class FakeCuda:
    """What of ``torch.cuda`` takes part in recording: streams, the last of which is the current.

    As in PyTorch, a recording that cannot be ended does not leave its stream.
    """

    class CUDAGraph:
        def replay(self):
            pass

    def __init__(self):
        self.now = ["default"]
        self.made = []
        self.on = None

    @contextlib.contextmanager
    def device(self, device):
        self.on = device
        yield
        self.on = None

    @contextlib.contextmanager
    def stream(self, stream):
        before = list(self.now)
        self.now.append(stream)
        try:
            yield
        finally:
            self.now = before

    def graph(self, graph, *, stream, capture_error_mode):
        @contextlib.contextmanager
        def recording():
            self.now.append(stream)
            yield
            self.now.pop()

        return recording()

    def Stream(self):
        self.made.append((len(self.made), self.on))
        return SimpleNamespace(wait_stream=lambda _: None)

    def current_stream(self):
        return SimpleNamespace(wait_stream=lambda _: None)


@pytest.mark.gpu
def test_a_cuda_graph_makes_the_same_plans():
    planner = RecordedPlanner(CudaGraphs(torch.device("cuda")))
    for seed, limits in enumerate([[9, 3, 12], [4, 4, 4, 15]]):
        folded = folded_rows(len(limits), seed, "cuda")
        max_actions = torch.tensor(limits)
        found = planner(folded, max_actions, SETTINGS, noise(seed, "cuda"))
        assert_same(found, plan(folded, max_actions, SETTINGS, noise(seed, "cuda")))
