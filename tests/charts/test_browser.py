"""Interactive pictures in a real browser: they draw themselves, ask no network, and react to a pointer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dlx.cli.main import main
from dlx.drawing.themes import theme_of
from dlx.plot import plot

CHROMIUM = os.environ.get("DLX_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (Debian: apt install chromium; else DLX_CHROMIUM)"),
]


class Opened:
    """A page that a browser has opened from a file, and all that it asked for and complained of."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def load(self, path: Path) -> None:
        self.page.goto(path.as_uri())
        self.page.wait_for_function("window.chart !== undefined", timeout=30_000)

    def opacities(self, mark: str) -> list[float]:
        """Of every mark of a kind, as drawn."""
        return [
            float(value)
            for value in self.page.eval_on_selector_all(
                f"#chart .{mark}.role-mark path",
                "found => found.map(one => one.getAttribute('opacity') ?? '1')",
            )
        ]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra `dev`)")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM)
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Opened]:
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    context.route("http://**", lambda route: route.abort())
    context.route("https://**", lambda route: route.abort())
    yield Opened(context.new_page())
    context.close()


@pytest.fixture
def drawn(results: Path, tmp_path: Path) -> Callable[..., Path]:
    def write(kind: str, **options: str) -> Path:
        path = tmp_path / f"{kind}.html"
        plot(kind, [str(results)], options, theme_of("slide"), interactive=True).picture.write(path)
        return path

    return write


@pytest.mark.parametrize("kind", ["learning-speed", "gradients", "accuracy", "activations", "sweep"])
def test_a_page_draws_itself_from_its_file_alone(kind: str, drawn: Callable[..., Path], opened: Opened) -> None:
    path = drawn(kind)
    opened.load(path)
    assert opened.page.locator("#chart svg.marks").count() == 1
    assert opened.page.locator("#chart .role-mark path").count() > 10
    assert opened.complaints == []
    assert opened.requests == [path.as_uri()]
    box = opened.page.locator("#chart svg.marks").bounding_box()
    assert box["width"] == pytest.approx(864, rel=0.08)  # the browser's fonts are not always as wide as ours


@pytest.mark.parametrize("kind", ["learning-speed", "accuracy", "activations", "gradients", "sweep"])
def test_a_click_on_the_legend_hides_a_series_and_another_shows_it(
    kind: str, drawn: Callable[..., Path], opened: Opened
) -> None:
    opened.load(drawn(kind))
    before = opened.opacities("mark-line")
    assert before and 0 not in before
    # SVG marks of a legend take no clicks of their own: what is clicked is the place.
    name = "relu" if kind == "sweep" else "1"
    entry = opened.page.locator("#chart .role-legend-label text").get_by_text(name, exact=True).first
    place = entry.bounding_box()
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    opened.page.mouse.click(x, y)
    opened.page.wait_for_timeout(200)
    hidden = opened.opacities("mark-line")
    assert 0 < hidden.count(0) < len(hidden)
    opened.page.mouse.click(x, y)
    opened.page.wait_for_timeout(200)
    assert opened.opacities("mark-line") == before
    assert opened.complaints == []


@pytest.mark.parametrize("kind", ["learning-speed", "sweep"])
def test_hovering_shows_the_numbers(kind: str, drawn: Callable[..., Path], opened: Opened) -> None:
    opened.load(drawn(kind))
    point = opened.page.locator("#chart .mark-symbol.role-mark path").last.bounding_box()
    opened.page.mouse.move(point["x"] + point["width"] / 2 + 3, point["y"] + point["height"] / 2 + 2)
    opened.page.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    opened.page.wait_for_selector("#vg-tooltip-element.visible", timeout=5_000)
    words = opened.page.inner_text("#vg-tooltip-element")
    assert "depth" in words and any(character.isdigit() for character in words)
    assert "undefined" not in words and "null" not in words
    assert opened.complaints == []


def test_a_slider_goes_through_the_epochs(opened: Opened, tmp_path: Path) -> None:
    """Decision regions of a net that recorded its weights: another epoch, other regions and other lines."""
    spec = """
dataset: {name: points, n: 60, test: 0}
model: {name: mlp, hidden: [2], activation: tanh}
training: {epochs: 6, optimizer: {name: adam, learning_rate: 0.1}}
probes: {values: {every: 2 epochs}}
"""
    (tmp_path / "plane.yaml").write_text(spec, encoding="utf-8")
    results = tmp_path / "results"
    assert (
        main(["run", str(tmp_path / "plane.yaml"), "--executor", "inline", "--results", str(results), "--quiet"]) == 0
    )
    path = tmp_path / "boundary.html"
    plot("boundary", [str(results)], {"units": "20"}, theme_of("slide"), interactive=True).picture.write(path)
    opened.load(path)
    assert opened.complaints == []

    def seen() -> tuple[str, str]:
        image = opened.page.locator("#chart svg.marks image").first.get_attribute("href")
        line = opened.page.locator("#chart .mark-rule.role-mark line").first
        return str(image), f"{line.get_attribute('transform')} {line.get_attribute('x2')} {line.get_attribute('y2')}"

    last = seen()
    slider = opened.page.locator("input[type=range]")
    assert [slider.get_attribute(name) for name in ("min", "max", "step")] == ["0", "6", "2"]
    assert slider.input_value() == "6"
    slider.fill("0")
    opened.page.wait_for_timeout(200)
    first = seen()
    assert first[0] != last[0] and first[1] != last[1]
    slider.fill("6")
    opened.page.wait_for_timeout(200)
    assert seen() == last
    assert opened.complaints == []
    assert opened.requests == [path.as_uri()]
