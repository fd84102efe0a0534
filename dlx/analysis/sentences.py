"""What a comparison shows, in words that can be read aloud; every number is one of the table's."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dlx.analysis.comparison import Comparison
from dlx.analysis.differences import Against
from dlx.analysis.metrics import Metric
from dlx.analysis.statistics import Difference
from dlx.analysis.writing import Scale, probability, scale
from dlx.language import _, plural

MOST = 12
"""Sentences per metric that are printed; ``--json`` has all."""


def sentences(comparison: Comparison, metric: int) -> list[str]:
    """One sentence for each row that was compared in a metric."""
    return [sentence(comparison, one) for one in comparison.against if one.metric == metric]


def sentence(comparison: Comparison, against: Against) -> str:
    """How a row compares with the baseline."""
    metric = comparison.metrics[against.metric]
    row, baseline, difference = against.row, against.baseline, against.difference
    if difference is None:
        return _why_not(metric, against)
    written = scale(metric)
    if difference.p is None:
        return _without_test(metric, against, difference, written)
    evidence = _evidence(difference, written, comparison.pairs)
    if difference.detected:
        better, worse = (row, baseline) if _first_is_better(metric, difference) else (baseline, row)
        pattern = _("{better} beats {worse} by {amount} ({evidence})") if metric.better else _(
            "{better} is above {worse} by {amount} ({evidence})"
        )  # fmt: skip
        amount = written.difference(difference.value, _spread(difference))
        return pattern.format(better=better.label, worse=worse.label, amount=amount, evidence=evidence)
    amount = written.difference(difference.value, _spread(difference))
    if difference.overlap:
        pattern = _("{one} and {other}: no detectable difference ({amount}, {evidence})")
        return pattern.format(one=row.label, other=baseline.label, amount=amount, evidence=evidence)
    return _("{one} and {other}: no detectable difference ({amount}, {evidence}); {seeds}").format(
        one=row.label, other=baseline.label, amount=amount, evidence=evidence, seeds=_seeds(against)
    )


def _first_is_better(metric: Metric, difference: Difference) -> bool:
    """Whether the row, rather than the baseline, is the better one; without better or worse, the higher."""
    return difference.value * (metric.better or 1) > 0


def _spread(difference: Difference) -> float | None:
    if difference.low is None or difference.high is None:
        return None
    return (difference.high - difference.low) / 4


def _evidence(difference: Difference, written: Scale, pairs: Sequence[str]) -> str:
    """The interval, p and what they rest on."""
    assert difference.low is not None and difference.high is not None and difference.holm is not None
    low, high = difference.low, difference.high
    if difference.value < 0:  # the sentence names the better one first, so the difference is written as positive
        low, high = -high, -low
    parts = [_("95 % CI {interval}").format(interval=written.from_to(low, high)), probability(difference.holm)]
    n, m = difference.n
    if difference.overlap:
        words = (
            plural("{n} paired fold", "{n} paired folds", n) if difference.kind == "paired" else _("{n} and {m} folds")
        )
        parts.append(words.format(n=n, m=m))
    elif difference.kind == "paired":
        if len(pairs) == 1:
            parts.append(plural("{n} paired seed", "{n} paired seeds", n).format(n=n))
        else:
            parts.append(_("{n} pairs of the same {parameters}").format(n=n, parameters=", ".join(pairs)))
    elif difference.kind == "shares":
        parts.append(_("{n} and {m} trials, Fisher").format(n=n, m=m))
    else:
        parts.append(_("{n} and {m} trials, Welch").format(n=n, m=m))
    if difference.effect is not None:
        symbol = "d_z" if difference.kind == "paired" else "g"
        size = abs(difference.effect)
        parts.append(f"{symbol} = {size:.0f}" if size >= 10 else f"{symbol} = {size:.2g}")
    return ", ".join(parts)


def _seeds(against: Against) -> str:
    needed = against.seeds_needed
    if needed is None:
        return _("more than a thousand seeds each would be needed to tell")
    return _("about {needed} seeds each would settle it").format(needed=needed)


def _without_test(metric: Metric, against: Against, difference: Difference, written: Scale) -> str:
    """One seed, or numbers that do not scatter: no interval is invented."""
    row, baseline = against.row, against.baseline
    amount = written.difference(difference.value)
    n = min(difference.n)
    if n < 2:
        if difference.value == 0:
            return _("{one} and {other} are equal, with one seed each to go by").format(
                one=row.label, other=baseline.label
            )
        first, second = (row, baseline) if difference.value > 0 else (baseline, row)
        return _(
            "{one} is {amount} above {other} with one seed to go by: whether that is chance, more seeds will tell"
        ).format(one=first.label, amount=amount, other=second.label)
    folds = bool(difference.overlap)
    if difference.value == 0:
        equal = _("{one} and {other} are equal in all {n} folds") if folds else _(
            "{one} and {other} are equal in all {n} seeds"
        )  # fmt: skip
        return equal.format(one=row.label, other=baseline.label, n=n)
    first, second = (row, baseline) if difference.value > 0 else (baseline, row)
    above = _("{one} is above {other} by {amount} in all {n} folds alike, so that no test applies") if folds else _(
        "{one} is above {other} by {amount} in all {n} seeds alike, so that no test applies"
    )  # fmt: skip
    return above.format(one=first.label, other=second.label, amount=amount, n=n)


def _why_not(metric: Metric, against: Against) -> str:
    row, baseline = against.row, against.baseline
    cells = (row.cells[against.metric], baseline.cells[against.metric])
    for one, which in zip(cells, (row, baseline), strict=True):
        if one.never:
            return _(
                "{setting}: {never} of {all} trials never get there, so means over the rest say little; rather {share}"
            ).format(
                setting=which.label,
                never=one.never,
                all=one.never + len(one.values),
                share=f"--metric 'share({metric.text}<=10)'",
            )
        if not one.values:
            if which.done:
                return _("{setting}: none of its trials has this to compare").format(setting=which.label)
            return _("{setting}: no finished trial to compare").format(setting=which.label)
        if not all(map(math.isfinite, one.values.values())):
            return _("{setting}: some of its values are not finite, so nothing can be compared").format(
                setting=which.label
            )
    return _("{one} and {other} cannot be compared").format(one=row.label, other=baseline.label)


def footnote(comparison: Comparison) -> str | None:
    """What the sentences assume; None where none needs it."""
    tested = [one for one in comparison.against if one.difference is not None and one.difference.p is not None]
    parts = []
    several = max((one.comparisons for one in tested), default=1)
    if several > 1:
        parts.append(_("p-values are corrected for {count} comparisons (Holm)").format(count=several))
    if any(cell.overlap for row in comparison.rows for cell in row.cells):
        sentence = _(
            "folds share training examples: intervals and p-values are corrected for it (Nadeau and Bengio 2003)"
        )
        parts.append(sentence)
    if any(one.seeds_needed for one in tested):
        parts.append(_("seeds needed: for a power of 80 % at 5 %, if the true difference and scatter are those seen"))
    return "; ".join(parts) + "." if parts else None
