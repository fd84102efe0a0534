"""Writes experiments/REPRODUCED.md: published figures (docs/published.yaml) beside what the finished tables hold.

python docs/reproduced.py
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from scipy.special import stdtrit

from dlx import shipped
from dlx.analysis.metrics import Metric, parse
from dlx.analysis.selectors import find
from dlx.analysis.trials import Tables
from dlx.analysis.writing import scale

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED = ROOT / "docs" / "published.yaml"
PAGE = ROOT / "experiments" / "REPRODUCED.md"

OPENING = """\
# What is published, and what dlx obtains

Written by `python docs/reproduced.py` from the tables that come with dlx; a test fails while it is stale. Each row is a
published figure, its source, and the mean, standard deviation and number of trials of the recipe here. *Inside* says
whether the published value lies where dlx would expect it: in the 95 % prediction interval of the mean of as many runs
as the figure rests on, from the scatter of the trials here (of gradient norms and their ratios, which scatter by
factors, in the logarithm; a single trial has no scatter, and of it nothing is said). What lies outside is explained,
not left out. Accuracies are in per cent.

`dlx compare experiment:NAME` shows the tables, `dlx run NAME` makes them again.
"""


@dataclass(frozen=True)
class Figure:
    """A published figure and what was obtained: values by trial id."""

    what: str
    metric: Metric
    value: float
    runs: int
    source: str
    why: str
    values: dict[str, float]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values.values())

    @property
    def std(self) -> float | None:
        """Over the trials; None of a single one."""
        return statistics.stdev(self.values.values()) if len(self.values) > 1 else None

    @property
    def factors(self) -> bool:
        """Whether it scatters by factors."""
        return self.metric.text.startswith(("grad_norm", "grad_ratio"))

    def interval(self) -> tuple[float, float] | None:
        """Where the mean of so many more runs lies with a probability of 95 %; None of a single trial."""
        if len(self.values) == 1:
            return None
        values = [math.log(value) if self.factors else value for value in self.values.values()]
        n = len(values)
        half = float(stdtrit(n - 1, 0.975)) * statistics.stdev(values) * math.sqrt(1 / n + 1 / self.runs)
        ends = statistics.fmean(values) - half, statistics.fmean(values) + half
        return (math.exp(ends[0]), math.exp(ends[1])) if self.factors else ends

    @property
    def inside(self) -> bool | None:
        """Whether the published value lies in the interval; None where there is none."""
        interval = self.interval()
        return None if interval is None else interval[0] <= self.value <= interval[1]

    def row(self) -> list[str]:
        written = scale(self.metric)
        published, mean = (f"{100 * one:.2f}" if written.percent else f"{one:.3g}" for one in (self.value, self.mean))
        std = interval = "–"
        if self.std is not None:
            std = f"{100 * self.std:.2f}" if written.percent else f"{self.std:.2g}"
        if (ends := self.interval()) is not None:
            interval = " to ".join(f"{100 * end:.2f}" if written.percent else f"{end:.2g}" for end in ends)
        said = {True: "yes", False: "**no**", None: "–"}[self.inside]
        obtained = mean if self.std is None else f"{mean} ± {std}"
        return [self.what, published, obtained, str(len(self.values)), interval, said, self.source]


def figures(entry: dict[str, Any]) -> Iterator[Figure]:
    """The figures of one experiment; raises UsageError where its tables have no such trials."""
    for one in entry["figures"]:
        trials = find([f"experiment:{entry['experiment']}:{one['at']}"]).trials
        metric = parse(one["metric"])
        values = {trial.id: metric.measure(Tables(trial.path)).value for trial in trials if trial.state == "done"}
        yield Figure(one["what"], metric, one["value"], one.get("runs", 1), one["source"], one.get("why", ""), values)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as a Markdown table, the first being its heading."""
    heading, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return [heading, "|" + "---|" * len(rows[0]), *rest]


def section(entry: dict[str, Any]) -> list[str]:
    """An experiment's part of the page."""
    name = entry["experiment"]
    lines = ["", f"## {name}", ""]
    if name not in shipped.finished():
        rows = [[one["what"], _plain(one), one["source"]] for one in entry["figures"]]
        said = f"Its tables do not come with dlx: `dlx run {name}` makes them. Published:"
        return [*lines, said, "", *table([["figure", "published", "source"], *rows])]
    found = list(figures(entry))
    heading = ["figure", "published", "obtained", "n", "expected of the published", "inside", "source"]
    lines += table([heading, *(figure.row() for figure in found)])
    for figure in found:
        if figure.why:
            lines += ["", f"*{figure.what} ({figure.source})*: {figure.why}"]
    ids = dict.fromkeys(trial for figure in found for trial in figure.values)
    return [*lines, "", f"Trials: {', '.join(f'`{trial}`' for trial in ids)}."]


def _plain(one: dict[str, Any]) -> str:
    return f"{100 * one['value']:.2f}" if scale(parse(one["metric"])).percent else f"{one['value']:.3g}"


def page() -> str:
    """The whole page."""
    entries = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))
    sources = entries.pop()["sources"]
    lines = [OPENING.rstrip("\n")]
    for entry in entries:
        lines += section(entry)
    lines += ["", "## Sources", "", *(f"- {name}: {text}" for name, text in sources.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
    print(PAGE.relative_to(ROOT))
