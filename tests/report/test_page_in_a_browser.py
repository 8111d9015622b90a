from __future__ import annotations

import numpy as np
import pytest

from glamor_gym.report import render_page
from tests.browser import opened_page, pictures_that_failed
from tests.report.sample_run import CONFIG, METRICS, RESULT


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_page_of_a_run_renders_and_its_films_play(tmp_path, colours):
    file = tmp_path / "report.html"
    file.write_text(render_page(CONFIG, RESULT, METRICS))
    with opened_page(file, colours) as (page, faults):
        assert page.evaluate("document.querySelectorAll('video').length") in (0, 6)
        assert pictures_that_failed(page) == []
        assert page.locator("h1").inner_text() == "glamor/Seaquest-v0"
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = np.mean([int(part) for part in ground.strip("rgb()").split(",")])
        assert (brightness > 128) == (colours == "light")
        # Nothing is wider than the window.
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert faults == []
