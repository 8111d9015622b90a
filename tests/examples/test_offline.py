import runpy
from pathlib import Path

import minari

SCRIPT = Path(__file__).parents[2] / "examples" / "offline.py"


def test_it_records_once_and_learns_from_that(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    main = runpy.run_path(str(SCRIPT))["main"]
    for number in (12, 99):
        main("glamor/GridWorld-v0", "grid/random-v0", number, 3, seed=0)
        assert "learning from 12 episodes of grid/random-v0" in capsys.readouterr().out
    dataset = minari.load_dataset("grid/random-v0")
    assert dataset.spec.env_spec.id == "glamor/GridWorld-v0"
    assert dataset.total_steps == 120
