"""Pages in a real browser (chromium, driven by Playwright): what they draw, ask for and complain of."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE, until

CHROMIUM = os.environ.get("DLX_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")

needs_chromium = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (Debian: apt install chromium; else DLX_CHROMIUM)"),
]


class Opened:
    """A page of its own, and all that it asked for and complained of.

    A click or a key has been taken when the call for it returns; what the page makes of it is drawn
    a task or several later. So whatever follows from one is waited for.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def load(self, path: Path, drawn: str) -> None:
        """Open a file and wait until the expression ``drawn`` is true in it."""
        self.page.goto(path.as_uri())
        self.page.wait_for_function(drawn)

    def opacities(self, lines: str) -> list[float]:
        """Of every line that a selector finds, as drawn."""
        found: list[float] = self.page.eval_on_selector_all(
            lines, "found => found.map(one => Number(one.getAttribute('opacity') ?? 1))"
        )
        return found

    def opacities_once(self, lines: str, condition: Callable[[list[float]], object]) -> list[float]:
        """The same, as soon as they meet a condition."""
        until(lambda: condition(self.opacities(lines)), what=lambda: self.opacities(lines))
        return self.opacities(lines)

    def hover(self, box: dict[str, float]) -> str:
        """Move the pointer onto the middle of a box; gives the words of the tooltip."""
        x, y = middle(box)
        self.page.mouse.move(x + 3, y + 2)
        self.page.mouse.move(x, y)
        self.page.wait_for_selector("#vg-tooltip-element.visible")
        words: str = self.page.inner_text("#vg-tooltip-element")
        return words


def middle(box: dict[str, float]) -> tuple[float, float]:
    """Where to click: SVG marks of a legend take no clicks of their own."""
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def some_are_hidden(opacities: list[float]) -> bool:
    """Some, and not all."""
    return 0 < opacities.count(0) < len(opacities)


@contextmanager
def started() -> Iterator[Any]:
    """A chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra `dev`)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, timeout=PATIENCE * 1000)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, *, width: int = 1300, **options: Any) -> Iterator[Opened]:
    """An empty page in a window that reaches no network."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)
    context.set_default_timeout(PATIENCE * 1000)
    context.route("http://**", lambda route: route.abort())
    context.route("https://**", lambda route: route.abort())
    try:
        yield Opened(context.new_page())
    finally:
        context.close()
