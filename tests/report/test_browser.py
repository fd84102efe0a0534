"""The page in a real browser: it draws itself from its file alone, complains of nothing, and reacts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dlx.report.writing import write

CHROMIUM = os.environ.get("DLX_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (Debian: apt install chromium; else DLX_CHROMIUM)"),
]


class Opened:
    """A page that a browser has opened from a file, and all that it asked for and complained of."""

    def __init__(self, page: Any, path: Path) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-drawn]", timeout=60_000)

    def opacities(self, chart: int) -> list[str]:
        """Of the lines of a chart, as drawn."""
        found: list[str] = self.page.eval_on_selector_all(
            f"figure[data-chart='{chart}'] .mark-line.role-mark path",
            "found => found.map(one => one.getAttribute('opacity') ?? '1')",
        )
        return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra `dev`)")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM)
        yield started
        started.close()


@pytest.fixture(scope="module")
def path(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("opened") / "report.html"
    write([str(results / "grid")], place)
    return place


@pytest.fixture
def opened(browser: Any, path: Path) -> Iterator[Opened]:
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    context.route("http://**", lambda route: route.abort())
    context.route("https://**", lambda route: route.abort())
    yield Opened(context.new_page(), path)
    context.close()


def test_every_chart_draws_itself_from_the_file_alone(opened: Opened, path: Path) -> None:
    page = opened.page
    assert page.locator("figure.chart[data-drawn] svg.marks").count() == 5
    for number in range(5):
        marks = page.locator(f"figure[data-chart='{number}'] svg .role-mark path")
        assert marks.count() > 5
    assert page.evaluate("window.broken") is None
    # In a browser as in a table: a colour that the style sheet does not know would be black.
    colours = page.eval_on_selector_all(
        "figure[data-chart='0'] .mark-line.role-mark path",
        "found => found.map(one => getComputedStyle(one).stroke)",
    )
    assert len(set(colours)) == 2 and "none" not in colours and "rgb(0, 0, 0)" not in colours
    assert opened.complaints == []
    assert opened.requests == [path.as_uri()]


def test_a_trial_shows_its_curves_when_opened(opened: Opened) -> None:
    trial = opened.page.locator("details.trial").nth(4)
    assert trial.locator("svg").count() == 0
    trial.locator("summary").click()
    opened.page.wait_for_selector("details.trial[data-drawn=yes]")
    assert trial.locator("svg.marks").count() == 3
    assert trial.locator("svg .mark-line.role-mark path").count() >= 6
    assert opened.complaints == []


def test_hovering_shows_the_numbers(opened: Opened) -> None:
    page = opened.page
    point = page.locator("figure[data-chart='0'] .mark-symbol.role-mark path").last
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2 + 2)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#vg-tooltip-element.visible", timeout=5_000)
    words = page.inner_text("#vg-tooltip-element")
    assert "depth" in words and any(character.isdigit() for character in words)
    assert opened.complaints == []


def test_a_series_is_hidden_by_legend_and_by_keyboard(opened: Opened) -> None:
    page = opened.page
    before = opened.opacities(2)
    assert before and "0" not in before
    entry = page.locator("figure[data-chart='2'] .role-legend-label text").first
    entry.scroll_into_view_if_needed()
    box = entry.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.click(x, y)
    page.wait_for_timeout(200)
    hidden = opened.opacities(2)
    assert 0 < hidden.count("0") < len(hidden)
    page.mouse.click(x, y)
    page.wait_for_timeout(200)
    assert opened.opacities(2) == before
    # The same without a pointer: the box of the first series, reached by focus.
    page.locator("figure[data-chart='2'] details.numbers summary").focus()
    page.keyboard.press("Enter")
    box = page.locator("figure[data-chart='2'] fieldset input").first
    box.focus()
    page.keyboard.press("Space")
    page.wait_for_timeout(200)
    assert opened.opacities(2) == hidden
    page.keyboard.press("Space")
    page.wait_for_timeout(200)
    assert opened.opacities(2) == before
    assert opened.complaints == []


def test_the_numbers_of_a_chart_are_there_to_be_read(opened: Opened) -> None:
    figure = opened.page.locator("figure[data-chart='0']")
    assert figure.locator(".canvas").get_attribute("aria-label")
    figure.locator("details.numbers summary").click()
    figure.locator("table tbody tr").first.wait_for()  # written when the browser tells of the opening, a task later
    assert figure.locator("table th").all_inner_texts()[:2] == ["part", "setting"]
    assert figure.locator("table tbody tr").count() >= 6


@pytest.mark.parametrize("width", [420, 1300])
def test_the_page_is_never_wider_than_its_window(browser: Any, path: Path, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = Opened(context.new_page(), path).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


@pytest.mark.parametrize(("scheme", "media"), [("light", "screen"), ("dark", "screen"), ("dark", "print")])
def test_words_stand_out_from_their_ground(browser: Any, path: Path, scheme: str, media: str) -> None:
    """A contrast of 4.5 at least (WCAG 2.1, 1.4.3), also inside the charts; paper is white whatever the screen is."""
    context = browser.new_context(viewport={"width": 1300, "height": 900}, color_scheme=scheme)
    page = Opened(context.new_page(), path).page
    page.emulate_media(media=media, color_scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    places = ["p.description", ".verdict.refuted", ".verdict.confirmed", "figcaption", "table th"]
    colours = [page.eval_on_selector(place, "one => getComputedStyle(one).color") for place in places]
    colours.append(page.eval_on_selector("figure .role-axis-label text", "one => getComputedStyle(one).fill"))
    assert (_light(ground) < 0.1) == (scheme == "dark" and media == "screen")
    for place, colour in zip([*places, "axis"], colours, strict=True):
        lighter, darker = sorted((_light(colour), _light(ground)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, place
    context.close()


def _light(colour: str) -> float:
    """Relative luminance of ``rgb(r, g, b)`` (WCAG 2.1)."""
    channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : colour.index(")")].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_page_that_renews_itself_comes_back_as_it_was_left(browser: Any, results: Path, tmp_path: Path) -> None:
    place = tmp_path / "live.html"
    write([str(results / "grid")], place)
    place.write_text(place.read_text("utf-8").replace('"refresh":null', '"refresh":2'), encoding="utf-8")
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    opened = Opened(context.new_page(), place)
    page = opened.page
    page.locator("details.trial summary").nth(3).click()
    with page.expect_navigation(timeout=20_000):
        pass
    page.wait_for_selector("body[data-drawn]")
    assert page.eval_on_selector_all("details.trial", "all => all.map(one => one.open)").index(True) == 3
    assert page.evaluate("scrollY") > 0
    assert opened.complaints == []
    context.close()
