"""Interactive pictures in a real browser: they draw themselves, ask no network, and react to a pointer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dlx.cli.main import main
from dlx.drawing.themes import theme_of
from dlx.plot import plot
from tests.browser import Opened, middle, needs_chromium, some_are_hidden, started
from tests.browser import opened as empty
from tests.waiting import until

pytestmark = needs_chromium

DRAWN = "window.chart !== undefined"
LINES = "#chart .mark-line.role-mark path"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as chromium:
        yield chromium


@pytest.fixture
def opened(browser: Any) -> Iterator[Opened]:
    with empty(browser) as page:
        yield page


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
    opened.load(path, DRAWN)
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
    opened.load(drawn(kind), DRAWN)
    before = opened.opacities(LINES)
    assert before and 0 not in before
    name = "relu" if kind == "sweep" else "1"
    entry = opened.page.locator("#chart .role-legend-label text").get_by_text(name, exact=True).first
    place = middle(entry.bounding_box())
    opened.page.mouse.click(*place)
    opened.opacities_once(LINES, some_are_hidden)
    opened.page.mouse.click(*place)
    opened.opacities_once(LINES, before.__eq__)
    assert opened.complaints == []


@pytest.mark.parametrize("kind", ["learning-speed", "sweep"])
def test_hovering_shows_the_numbers(kind: str, drawn: Callable[..., Path], opened: Opened) -> None:
    opened.load(drawn(kind), DRAWN)
    words = opened.hover(opened.page.locator("#chart .mark-symbol.role-mark path").last.bounding_box())
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
    opened.load(path, DRAWN)
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
    until(lambda: seen()[0] != last[0] and seen()[1] != last[1], what=seen)
    slider.fill("6")
    until(lambda: seen() == last, what=seen)
    assert opened.complaints == []
    assert opened.requests == [path.as_uri()]
