"""The live display: how far the trials are, how accurate the net is, and how fast each layer learns."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from typing import Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from dlx.blocks import Together, grouped
from dlx.cli.amounts import duration
from dlx.cli.plain import PlainDisplay, QuietDisplay, ending
from dlx.cli.progress import (
    GRADIENT_SYMBOLS,
    ExperimentProgress,
    TrialProgress,
    ends,
    gradient_parameter,
    metrics_line,
    scientific,
)
from dlx.events import Event, Note, TrialEnded, TrialStarted

REFRESHES_PER_SECOND = 6
MOST_LAYERS = 16
MOST_BESIDE = 3
DECADES = 4  # the least that the scale of the bars spans
DEEPEST = 12  # and the most: what is below is as good as nothing
EIGHTHS = " ▏▎▍▌▋▊▉█"


def choose(
    total: int,
    stream: TextIO,
    *,
    quiet: bool = False,
    examples: str = "examples",
    environment: Mapping[str, str] = os.environ,
) -> PlainDisplay | QuietDisplay | LiveDisplay:
    """The display that suits a stream: live on a terminal that can, lines elsewhere, silence when asked."""
    if quiet:
        return QuietDisplay(stream)
    able = stream.isatty() and environment.get("TERM") not in ("dumb", "unknown") and not environment.get("CI")
    return LiveDisplay(total, Console(file=stream), examples=examples) if able else PlainDisplay(total, stream)


class LiveDisplay:
    """Redraws on events, at most ``REFRESHES_PER_SECOND`` times a second; no thread, nothing between events.

    ``examples`` is what the data set consists of, for the heading of the bars: ``images``.
    """

    def __init__(
        self,
        total: int,
        console: Console,
        *,
        examples: str = "examples",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._progress = ExperimentProgress(total)
        self._examples = examples
        self._clock = clock
        self._began = clock()
        self._training_since: float | None = None
        self._drawn = -math.inf
        self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)

    def __enter__(self) -> Self:
        self._live.start()
        self._live.update(self.render(), refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        self._progress.update(event)
        if isinstance(event, TrialStarted) and self._training_since is None:
            self._training_since = self._clock()
        if isinstance(event, Note):
            self._say(Text(f"note: {event.message}", style="dim"))
        elif isinstance(event, TrialEnded) and event.state != "done":
            self._say(Text(ending(event), style="red" if event.state in ("failed", "diverged") else "yellow"))
        now = self._clock()
        if now - self._drawn >= 1 / REFRESHES_PER_SECOND:
            self._drawn = now
            self._live.update(self.render(), refresh=True)

    def _say(self, line: Text) -> None:
        """A line that stays, above the part that is redrawn."""
        self._console.print(line, soft_wrap=True)

    def render(self) -> Group:
        """The picture of this moment, as wide and as high as the terminal allows."""
        width, height = self._console.size
        lines = [self._overall(width)]
        trial = self._progress.focus
        if trial is None:
            lines.append(Text("starting", style="dim"))
        else:
            lines.append(self._trial(trial, width))
            lines += self._beside(trial, width, min(MOST_BESIDE, max(0, height - 14)))
            if trial.metrics:
                lines.append(Text(metrics_line(trial.metrics)))
            if trial.gradients is not None:
                lines += [Text(), *self._gradients(trial, width, height - len(lines) - 4)]
        for line in lines:
            line.no_wrap = True
            line.overflow = "ellipsis"
        return Group(*lines)

    @property
    def _unicode(self) -> bool:
        return self._console.encoding.lower().startswith("utf")

    def _bar(self, fraction: float, width: int) -> str:
        """``fraction`` of ``width`` columns, in eighths of a column where the terminal has the characters."""
        if not self._unicode:
            return "#" * round(fraction * width)
        whole, eighths = divmod(round(fraction * width * 8), 8)
        return EIGHTHS[8] * whole + (EIGHTHS[eighths] if eighths else "")

    def _meter(self, fraction: float, width: int) -> Text:
        full, empty = ("━", "╌") if self._unicode else ("=", "-")
        filled = round(fraction * width)
        return Text.assemble((full * filled, "green"), (empty * (width - filled), "bright_black"))

    def _overall(self, width: int) -> Text:
        progress = self._progress
        total = max(progress.total, progress.count)
        now = self._clock()
        head = f"trials  {progress.count}/{total} "
        ended = [f"{number} {state}" for state, number in sorted(progress.ended.items()) if state != "done"]
        tail = " ".join(["", *ended, duration(now - self._began)])
        # the start-up of the backend comes once and says nothing about the trials
        if self._training_since is not None and 0.02 < progress.fraction < 1:
            tail += f", about {duration((now - self._training_since) * (1 / progress.fraction - 1))} left"
        return Text.assemble((head, "bold"), self._meter(progress.fraction, _meter_width(width, head, tail)), tail)

    def _trial(self, trial: TrialProgress, width: int) -> Text:
        stage = f"{trial.stage} epoch {trial.epoch}/{trial.epochs}" if trial.stage else "starting"
        head = f"{trial.started.label or trial.started.trial}  {stage} "
        return Text.assemble(head, self._meter(trial.epoch_fraction, _meter_width(width, head, "")))

    def _beside(self, focus: TrialProgress, width: int, most: int) -> list[Text]:
        """A line for each of the trials that run at the same time, as far as there is room for them."""
        others = [trial for trial in self._progress.running.values() if trial is not focus]
        lines = [self._trial(trial, width) for trial in others[:most]]
        if len(others) > most:
            lines.append(Text(f"and {len(others) - most} more"))
        for line in lines:
            line.stylize("dim")
        return lines

    def _gradients(self, trial: TrialProgress, width: int, rows: int) -> list[Text]:
        event = trial.gradients
        parameter = gradient_parameter(event) if event is not None else None
        if event is None or parameter is None:
            return []
        symbol = GRADIENT_SYMBOLS[parameter] if self._unicode else f"|dL/d{parameter}|"
        when = f"epoch {event.epoch}" if event.epoch else "before training"
        heading = f"{symbol} over {event.sample:,} training {self._examples} ({when})"
        names = dict(trial.started.layers)
        norms = event.norms[parameter]
        groups = grouped([names.get(number, "") for number in range(1, len(norms) + 1)], min(MOST_LAYERS, max(3, rows)))
        low, high = scale(trial.extremes)

        value_width = 8
        numbers = [_numbers(group) for group in groups]
        number_width = max(map(len, numbers), default=0)
        name_width = min(22, max((len(group.name) for group in groups), default=0)) if width >= 50 else 0
        bar_width = max(4, width - number_width - value_width - (name_width + 2 if name_width else 0) - 4)

        if len(groups) < len(norms):
            heading += ", geometric means"
        lines = [Text(heading, style="bold")]
        for position in ends(len(groups), min(MOST_LAYERS, max(3, rows))):
            if position is None:
                lines.append(Text(f"{'':>{number_width}}  {'⋮' if self._unicode else ':'}", style="dim"))
                continue
            norm = groups[position].mean(norms)
            name = f"{groups[position].name[:name_width]:<{name_width}}  " if name_width else ""
            bar = self._bar(height_on(norm, low, high), bar_width)
            lines.append(
                Text.assemble(
                    (f"{numbers[position]:>{number_width}}  ", "dim"),
                    name,
                    (f"{bar:<{bar_width}}", "cyan"),
                    (f"  {scientific(norm):>{value_width}}", "" if math.isfinite(norm) else "bold red"),
                )
            )
        indent = " " * (number_width + 2 + (name_width + 2 if name_width else 0))
        left, right = f"1e{low:+03}", f"1e{high:+03} (log scale)"
        lines.append(Text(f"{indent}{left}{right:>{max(0, bar_width - len(left))}}", style="dim"))
        return lines


def _numbers(group: Together) -> str:
    """``3`` of a layer, ``3-7`` of layers that are shown together."""
    first, last = group.positions[0] + 1, group.positions[-1] + 1
    return str(first) if first == last else f"{first}-{last}"


def scale(extremes: tuple[float, float] | None) -> tuple[int, int]:
    """The powers of ten between which bars are drawn: whole decades that hold all norms, four at least."""
    if extremes is None:
        return -DECADES, 0
    high = math.ceil(math.log10(extremes[1]))
    low = math.floor(math.log10(extremes[0]))
    return max(min(low, high - DECADES), high - DEEPEST), high


def height_on(norm: float, low: int, high: int) -> float:
    """Where a norm stands on a log scale from 10^low (0) to 10^high (1); nothing for zero, NaN and infinity."""
    if not math.isfinite(norm) or norm <= 0:
        return 0.0
    return min(1.0, max(0.0, (math.log10(norm) - low) / (high - low)))


def _meter_width(width: int, head: str, tail: str) -> int:
    return max(4, min(40, width - len(head) - len(tail) - 1))
