"""A headless Chromium for tests that look at pages as a reader would."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")


@contextmanager
def opened_page(file: Path, colours: str = "light") -> Iterator[tuple[Any, list[str]]]:
    """Open a page, wait until all it holds has loaded, and collect what goes wrong.

    Skips the test where there is no browser.

    Yields:
        Playwright's page; the errors of its console, and every address it asked for beyond its own.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    faults: list[str] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=list(OPTIONS))
        page = browser.new_page(color_scheme=colours)
        page.on("console", lambda message: faults.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("data:", file.as_uri()))
                else faults.append(f"asked for {request.url}")
            ),
        )
        page.goto(file.as_uri(), wait_until="load")
        page.wait_for_function(
            "[...document.querySelectorAll('video')].every(video => video.readyState >= 2)"
        )
        yield page, faults
        browser.close()


def pictures_that_failed(page: Any) -> list[str]:
    """Return the descriptions of the pictures that the browser could not decode."""
    failed: list[str] = page.evaluate(
        "[...document.images].filter(image => !image.complete || !image.naturalWidth)"
        ".map(image => image.alt)"
    )
    return failed
