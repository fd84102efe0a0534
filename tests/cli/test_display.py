"""The live display, drawn into a console of known size and read back as text."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from dlx.cli.display import REFRESHES_PER_SECOND, LiveDisplay, choose, height_on, scale
from dlx.cli.plain import PlainDisplay, QuietDisplay
from dlx.cli.progress import ends
from dlx.events import Note, StepsDone, TrialEnded
from tests.cli.streams import gradients, started, trial


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def display(width: int = 80, height: int = 24, total: int = 4, **options: object) -> LiveDisplay:
    console = Console(file=Terminal(), force_terminal=True, width=width, height=height, color_system=None)
    return LiveDisplay(total, console, examples="images", **options)  # type: ignore[arg-type]


def picture(shown: LiveDisplay) -> list[str]:
    width, height = shown._console.size
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None, record=True)
    console.print(shown.render())
    return console.export_text().splitlines()


def bars(lines: list[str]) -> dict[str, int]:
    """Columns filled per layer name."""
    rows = [line.split() for line in lines if "█" in line]
    return {row[1]: row[2].count("█") for row in rows}


def test_bars_are_headed_by_what_they_are_and_follow_the_logarithm() -> None:
    shown = display()
    shown(started(count=3))
    shown(gradients((1e-4, 1e-2, 1.0), epoch=0))
    lines = picture(shown)
    assert "‖∂L/∂b‖ over 1,000 training images (before training)" in lines
    lengths = bars(lines)
    # 1e-4 stands at the bottom of a scale of four decades, 1e-2 half way up, 1 at the top
    assert lengths["output"] == 2 * lengths["dense_2"] > 40
    assert "dense_1" not in lengths
    assert [line.split()[-1] for line in lines if "dense_" in line or "output" in line] == [
        "1.0e-04",
        "1.0e-02",
        "1.0e+00",
    ]
    assert lines[-1].split() == ["1e-04", "1e+00", "(log", "scale)"]


def test_a_layer_that_slows_down_shrinks_while_the_scale_stays() -> None:
    shown = display()
    shown(started(count=2))
    shown(gradients((1e-1, 1.0)))
    before = bars(picture(shown))
    shown(gradients((1e-3, 1.0), epoch=1))
    after = bars(picture(shown))
    assert after["dense_1"] < before["dense_1"]
    assert after["output"] == before["output"]


def test_norms_that_are_no_numbers_are_said_and_have_no_bar() -> None:
    shown = display()
    shown(started(count=3))
    shown(gradients((float("nan"), 0.0, float("inf"))))
    rows = [line.split() for line in picture(shown) if line[:1].isdigit()]
    assert rows == [["1", "dense_1", "nan"], ["2", "dense_2", "0.0e+00"], ["3", "output", "inf"]]


@pytest.mark.parametrize("width", [30, 40, 60, 80, 200])
@pytest.mark.parametrize("height", [11, 24, 60])
@pytest.mark.parametrize("count", [1, 5, 17, 150])
def test_the_picture_fits_the_terminal(width: int, height: int, count: int) -> None:
    shown = display(width, height)
    for name in "abcdef":
        for event in list(trial(name, count=count))[:-1]:
            shown(event)
    lines = picture(shown)
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    assert any("1.0e-01" in line for line in lines), "the last layer is always there"


def test_deep_nets_show_their_first_and_last_layers() -> None:
    shown = display(height=60)
    shown(started(count=40))
    shown(gradients(tuple(0.5 for _ in range(40))))
    numbers = [line.split()[0] for line in picture(shown) if line.strip() and line.split()[0].isdigit()]
    assert len(numbers) == 15
    assert numbers[:2] == ["1", "2"]
    assert numbers[-2:] == ["39", "40"]


def test_a_hundred_and_ten_layers_are_shown_by_stage() -> None:
    """As an event of a residual net has them: the norms of all kernels, and of the one bias that there is."""
    stages = [
        f"stage_{stage}_block_{block}_conv_{conv}" for stage in (1, 2, 3) for block in range(18) for conv in (1, 2)
    ]
    names = ("conv_1", *stages, "output")
    event = replace(gradients((0.5,)), norms={"bias": (0.5,), "kernel": (1.0, *[1e-3] * 36, *[1e-2] * 36, *[0.1] * 37)})
    shown = display()
    shown(replace(started(count=1), layers=tuple(enumerate(names, start=1))))
    shown(event)
    lines = picture(shown)
    (heading,) = [line for line in lines if "over 1,000" in line]
    assert heading.startswith("‖∂L/∂W‖") and heading.endswith("geometric means")
    rows = [line.split() for line in lines[lines.index(heading) + 1 : -1]]
    assert [(row[0], row[1], row[-1]) for row in rows] == [
        ("1", "conv_1", "1.0e+00"),
        ("2-37", "stage_1", "1.0e-03"),
        ("38-73", "stage_2", "1.0e-02"),
        ("74-109", "stage_3", "1.0e-01"),
        ("110", "output", "1.0e-01"),
    ]


def test_accuracies_and_progress() -> None:
    shown = display()
    events = list(trial(epochs=4))
    for event in events[:-1]:
        shown(event)
    lines = picture(shown)
    assert lines[0].startswith("trials  0/4")
    assert "model.depth=2 seed=0  train epoch 4/4" in lines[1]
    assert lines[2] == "accuracy train 90.00 %, val 89.00 %; loss train 0.1, val 0.2"
    shown(events[-1])
    assert picture(shown)[0].startswith("trials  1/4")


def test_trials_side_by_side_do_not_take_turns() -> None:
    shown = display()
    for name in "abcdef":
        shown(started(name, label=f"seed={name}"))
    shown(gradients((0.1, 0.1, 0.1), "a"))
    shown(gradients((0.2, 0.2, 0.2), "b"))
    lines = picture(shown)
    assert [line.split()[0] for line in lines[1:5]] == ["seed=a", "seed=b", "seed=c", "seed=d"]
    assert lines[5] == "and 2 more"
    assert any(line.endswith("1.0e-01") for line in lines)
    shown(TrialEnded("a", "seed=a", "done"))
    assert any(line.endswith("2.0e-01") for line in picture(shown))


def test_trials_that_went_wrong_stay_on_screen_with_their_reason() -> None:
    shown = display()
    with shown:
        shown(started())
        shown(TrialEnded("a", "seed=0", "failed", "out of memory", "results/x/log.txt"))
        shown(Note("optimizer adam: learning_rate set to its default"))
    written = shown._console.file.getvalue()  # type: ignore[attr-defined]
    assert "seed=0: failed: out of memory (log: results/x/log.txt)" in written
    assert "note: optimizer adam: learning_rate set to its default" in written
    assert "1 failed" in picture(shown)[0]


def test_draws_are_limited_by_time_and_not_by_events(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    shown = display(clock=clock)
    drawn: list[float] = []
    monkeypatch.setattr(shown._live, "update", lambda *_args, **_options: drawn.append(clock.now))
    shown(started())
    for step in range(10_000):  # ten seconds of events, a millisecond apart
        clock.now = 100 + step / 1000
        shown(StepsDone("a", "train", 1, 1, step, 10_000))
    assert 5 * REFRESHES_PER_SECOND < len(drawn) <= 10 * REFRESHES_PER_SECOND + 1


def test_an_estimate_of_the_time_left() -> None:
    clock = Clock()
    shown = display(total=2, clock=clock)
    shown(started(epochs=4))
    shown(StepsDone("a", "train", 2, 4, 10, 10))  # a quarter of two trials
    clock.now += 30
    assert picture(shown)[0].endswith("0:30, about 1:30 left")


def test_a_terminal_without_unicode() -> None:
    class Latin(Terminal):
        encoding = "latin-1"

    console = Console(file=Latin(), force_terminal=True, width=80, height=24, color_system=None)
    shown = LiveDisplay(1, console)
    shown(started())
    shown(gradients((0.1, 0.2, 0.3)))
    lines = picture(shown)
    assert "|dL/dbias| over 1,000 training examples (before training)" in lines
    assert all(line.isascii() for line in lines)


@pytest.mark.parametrize(
    ("environment", "terminal", "quiet", "kind"),
    [
        ({"TERM": "xterm"}, True, False, LiveDisplay),
        ({"TERM": "dumb"}, True, False, PlainDisplay),
        ({"TERM": "xterm", "CI": "true"}, True, False, PlainDisplay),
        ({"TERM": "xterm"}, False, False, PlainDisplay),
        ({"TERM": "xterm"}, True, True, QuietDisplay),
    ],
)
def test_which_display(environment: dict[str, str], terminal: bool, quiet: bool, kind: type) -> None:
    stream = Terminal() if terminal else io.StringIO()
    assert isinstance(choose(1, stream, quiet=quiet, environment=environment), kind)


def test_no_colour_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    console = Console(file=stream, force_terminal=True, width=80, height=24)
    shown = LiveDisplay(1, console)
    console.print(shown.render())
    assert "\x1b[3" not in stream.getvalue()


def test_scale_holds_whole_decades() -> None:
    assert scale(None) == (-4, 0)
    assert scale((0.02, 0.3)) == (-4, 0)
    assert scale((3e-7, 0.3)) == (-7, 0)
    assert scale((1e-300, 20.0)) == (-10, 2)


def test_heights() -> None:
    assert height_on(1e-2, -4, 0) == pytest.approx(0.5)
    assert height_on(1e-9, -4, 0) == 0.0
    assert height_on(7.0, -4, 0) == 1.0


def test_ends() -> None:
    assert ends(3, 3) == [0, 1, 2]
    assert ends(10, 5) == [0, 1, None, 8, 9]
    assert ends(10, 4) == [0, None, 8, 9]
