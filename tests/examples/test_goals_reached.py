import runpy
from pathlib import Path

import pytest
from PIL import Image

import glamor_gym
from glamor_gym.evaluation import NoopAgent, RunFolder, save_result

SCRIPT = Path(__file__).parents[2] / "examples" / "goals_reached.py"


def evaluated(path, record):
    result = glamor_gym.evaluate(NoopAgent(stop_action=4), "GridWorld", goals="all", record=record)
    save_result(result, RunFolder(path).evaluation_file)
    return result


def test_a_row_a_run_shows_its_first_goals(monkeypatch, capsys, tmp_path):
    results = [evaluated(tmp_path / name, record=7) for name in ("one", "two")]
    picture = tmp_path / "goals.png"
    words = [str(tmp_path / "one"), str(tmp_path / "two"), "--output", str(picture)]
    monkeypatch.setattr("sys.argv", ["goals_reached.py", *words])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    reached = sum(episode.success for result in results for episode in result.frames[:5])
    assert capsys.readouterr().out == f"{picture}: 10 goals, {reached} of them reached\n"
    with Image.open(picture) as image:
        width, height = image.size
    assert width / height > 2  # five pairs in a row, two rows


def test_a_run_without_pictures_is_named(tmp_path):
    evaluated(tmp_path / "bare", record=0)
    with pytest.raises(SystemExit, match="bare holds no evaluation with pictures"):
        runpy.run_path(str(SCRIPT))["main"]([tmp_path / "bare"], tmp_path / "goals.png")
    assert not (tmp_path / "goals.png").exists()
