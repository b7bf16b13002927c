"""A real browser: the system's Chromium, driven by Playwright. In CI its absence is an error."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Headless Chromium; a machine without one says so, a server without one fails."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("no chromium on this server: apt-get install chromium")
        pytest.skip("no chromium found: the report and the notebooks are not tried in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def picture(tmp_path):
    """`picture(page, name)` takes a small screenshot; with MESHLOGS_SCREENSHOTS it is kept in that folder."""
    folder = Path(os.environ.get("MESHLOGS_SCREENSHOTS") or tmp_path)

    def taken(page, name: str, clip: dict | None = None) -> None:
        raw = tmp_path / "raw.png"
        page.screenshot(path=raw, clip=clip)
        kept = folder / f"{name}.png"
        Image.open(raw).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(kept, optimize=True)
        assert 5_000 < kept.stat().st_size < 150_000

    return taken


class Watched:
    """A page whose console, errors and requests are kept."""

    def __init__(self, page, allowed: tuple[str, ...]):
        self.page, self.complaints, self.outside = page, [], []
        page.set_default_timeout(15_000)
        page.on("console", self._complain)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda asked: asked.url.startswith(allowed) or self.outside.append(asked.url))

    def _complain(self, told) -> None:
        if told.type == "error":
            self.complaints.append(f"{told.text} ({told.location['url']})")


@pytest.fixture
def watch(browser) -> Iterator:
    """`watch(width=…, scheme=…)` opens a page that keeps what it complains of and asks for."""
    contexts = []

    def opened(width=1200, height=1000, scheme="light", allowed=("file:", "data:", "blob:"), **options) -> Watched:
        viewport = {"width": width, "height": height}
        contexts.append(browser.new_context(viewport=viewport, color_scheme=scheme, **options))
        return Watched(contexts[-1].new_page(), allowed)

    yield opened
    for context in contexts:
        context.close()
