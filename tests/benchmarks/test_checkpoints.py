"""What checkpoints cost, on a replay of a few hundred frames."""

from benchmarks import checkpoints
from benchmarks.checkpoints import as_table, measure


def test_weights_are_written_each_time_and_frames_once(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "N_ENVS", 2)
    cost = measure("compact", frames=900, different=450, every_steps=300, folder=tmp_path / "c")
    assert [row.frames for row in cost.rows] == [300, 600, 900]
    assert cost.raw_mib >= 900 * 8_320 / 2**20
    new, folder = cost.rows[-1].new_mib, cost.rows[-1].folder_mib
    assert new < folder < 2.2 * new  # the last two sets of weights, and all frames
    assert 0 < cost.share < 10
    assert f"{cost.share:.2%} of the training" in as_table(cost)
