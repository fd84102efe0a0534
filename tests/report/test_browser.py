"""The page in a real browser: it draws itself from its file alone, complains of nothing, and reacts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dlx.report.writing import write
from tests.browser import Opened, middle, needs_chromium, some_are_hidden, started
from tests.browser import opened as empty

pytestmark = needs_chromium

DRAWN = "document.body?.dataset.drawn !== undefined"
LINES = "figure[data-chart='2'] .mark-line.role-mark path"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def path(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("opened") / "report.html"
    write([str(results / "grid")], place)
    return place


@contextmanager
def opening(browser: Any, path: Path, **options: Any) -> Iterator[Opened]:
    """The page in a window of its own, drawn."""
    with empty(browser, **options) as page:
        page.load(path, DRAWN)
        yield page


@pytest.fixture
def opened(browser: Any, path: Path) -> Iterator[Opened]:
    with opening(browser, path) as page:
        yield page


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
    point = opened.page.locator("figure[data-chart='0'] .mark-symbol.role-mark path").last
    point.scroll_into_view_if_needed()
    words = opened.hover(point.bounding_box())
    assert "depth" in words and any(character.isdigit() for character in words)
    assert opened.complaints == []


def test_a_series_is_hidden_by_legend_and_by_keyboard(opened: Opened) -> None:
    page = opened.page
    before = opened.opacities(LINES)
    assert before and 0 not in before
    entry = page.locator("figure[data-chart='2'] .role-legend-label text").first
    entry.scroll_into_view_if_needed()
    place = middle(entry.bounding_box())
    page.mouse.click(*place)
    hidden = opened.opacities_once(LINES, some_are_hidden)
    page.mouse.click(*place)
    opened.opacities_once(LINES, before.__eq__)
    # The same without a pointer: the box of the first series, reached by focus.
    page.locator("figure[data-chart='2'] details.numbers summary").focus()
    page.keyboard.press("Enter")
    box = page.locator("figure[data-chart='2'] fieldset input").first
    box.wait_for()
    box.focus()
    page.keyboard.press("Space")
    opened.opacities_once(LINES, hidden.__eq__)
    page.keyboard.press("Space")
    opened.opacities_once(LINES, before.__eq__)
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
    with opening(browser, path, width=width) as opened:
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("scheme", "media"), [("light", "screen"), ("dark", "screen"), ("dark", "print")])
def test_words_stand_out_from_their_ground(browser: Any, path: Path, scheme: str, media: str) -> None:
    """A contrast of 4.5 at least (WCAG 2.1, 1.4.3), also inside the charts; paper is white whatever the screen is."""
    with opening(browser, path, color_scheme=scheme) as opened:
        page = opened.page
        page.emulate_media(media=media, color_scheme=scheme)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        places = ["p.description", ".verdict.refuted", ".verdict.confirmed", "figcaption", "table th"]
        colours = [page.eval_on_selector(place, "one => getComputedStyle(one).color") for place in places]
        colours.append(page.eval_on_selector("figure .role-axis-label text", "one => getComputedStyle(one).fill"))
    assert (_light(ground) < 0.1) == (scheme == "dark" and media == "screen")
    for place, colour in zip([*places, "axis"], colours, strict=True):
        lighter, darker = sorted((_light(colour), _light(ground)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, place


def _light(colour: str) -> float:
    """Relative luminance of ``rgb(r, g, b)`` (WCAG 2.1)."""
    channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : colour.index(")")].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_page_that_renews_itself_comes_back_as_it_was_left(browser: Any, results: Path, tmp_path: Path) -> None:
    place = tmp_path / "live.html"
    write([str(results / "grid")], place)
    place.write_text(place.read_text("utf-8").replace('"refresh":null', '"refresh":3600'), encoding="utf-8")
    with empty(browser) as opened:
        page = opened.page
        page.clock.install()
        opened.load(place, DRAWN)
        page.locator("details.trial summary").nth(3).click()
        page.wait_for_selector("details.trial[data-drawn=yes]")
        with page.expect_navigation():
            page.clock.fast_forward(3600_000)  # milliseconds: it is renewed now, and not again before this test ends
        page.wait_for_function(DRAWN)
        assert page.eval_on_selector_all("details.trial", "all => all.map(one => one.open)").index(True) == 3
        assert page.evaluate("scrollY") > 0
        assert opened.complaints == []
