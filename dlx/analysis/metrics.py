"""The metric language: one number of a trial, as a person would name it.

=============================================  =====================================================
``test_accuracy`` (``test_accuracy@last``)     a column of ``metrics.csv``, after the last epoch
``test_accuracy@best``                         in the epoch of the best validation value of its kind
``train_loss@epoch:10``                        after epoch 10
``val_loss@mean:5``                            the mean of the last 5 epochs
``test_accuracy@init``                         before training (epoch 0)
``epochs_to(val_accuracy>=0.95)``              the first epoch in which that holds
``share(train_accuracy@last>=1)``              1 if it holds of the trial, else 0: pooled, the share
``grad_norm[1]``                               ‖∂L/∂b‖ of layer 1 over the probe sample, before training
``grad_ratio``                                 that of the first hidden layer over the last hidden's
``grad_norm[block=stage_2]``                   of the kernels of a stage or block, the geometric mean
``activations.saturated[2]@last``              any probe's table, column and layer
``gradients.update_ratio[-1,kernel]@epoch:3``  the last layer; words and ``column=value`` pick rows
``parameters``                                 a number of the whole trial; also multiply_adds, seconds
=============================================  =====================================================

In brackets a number is the layer (negative: from the end), a word the cell of any text column
(``kernel``, ``train``, ``dense_1``), ``column=value`` the cell of that one. Of a trial in
several stages the last one that the table has is meant, unless ``stage=…`` says otherwise.
Of ``gradients`` the bias is meant, and the probe sample (``train`` for ``update_ratio``),
unless said; ``grad_norm`` and ``grad_ratio`` are those before training unless ``@`` says when.

:func:`parse` once, then :meth:`Metric.measure` per trial::

    metric = parse("test_accuracy@best")
    value = metric.measure(Tables(directory)).value      # nan where the trial does not have it
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from dlx.analysis.conditions import COMPARISONS
from dlx.analysis.series import Absent, Series, parse_series
from dlx.analysis.trials import End, Tables
from dlx.errors import UsageError, nearest

Kind = Literal["last", "best", "init", "epoch", "mean"]
KINDS = ("last", "best", "init", "epoch:N", "mean:N")
FACTS = ("parameters", "multiply_adds", "seconds")
FUNCTIONS = ("epochs_to", "share")


@dataclass(frozen=True)
class Measured:
    """A metric of one trial; ``why`` says why ``value`` is not a number where the trial does not have it."""

    value: float
    why: str | None = None

    @property
    def missing(self) -> bool:
        """Whether there is no such number, rather than one that is NaN because training went wrong."""
        return self.why is not None


@dataclass(frozen=True)
class Metric(ABC):
    """One number of a trial. ``text`` is how it is written in full, by which it is known."""

    text: str

    @property
    @abstractmethod
    def better(self) -> int:
        """1 where more is better, -1 where less is, 0 where neither."""

    @property
    @abstractmethod
    def tables(self) -> tuple[str, ...]:
        """The names of the files it depends on, without ``.csv``."""

    @abstractmethod
    def measure(self, tables: Tables) -> Measured:
        """Its value in a trial.

        Raises :class:`~dlx.errors.ResultsError` for a damaged table,
        :class:`~dlx.errors.UsageError` where it names several rows.
        """


@dataclass(frozen=True)
class When:
    """The point of training: ``number`` is the epoch of ``epoch``, the number of epochs of ``mean``."""

    kind: Kind
    number: int = 0

    def __str__(self) -> str:
        return f"{self.kind}:{self.number}" if self.kind in ("epoch", "mean") else self.kind


@dataclass(frozen=True)
class At(Metric):
    """A column at a point of training."""

    series: Series
    when: When

    @property
    def better(self) -> int:
        return direction(self.series.column) if self.series.table in ("metrics", "timing") else 0

    @property
    def tables(self) -> tuple[str, ...]:
        return (self.series.table, "metrics") if self.when.kind == "best" else (self.series.table,)

    def measure(self, tables: Tables) -> Measured:
        try:
            return self._at(tables)
        except Absent as absent:
            return Measured(math.nan, str(absent))

    def _at(self, tables: Tables) -> Measured:
        ends: dict[Kind, End] = {"init": "first", "last": "last"}
        epochs = self.series.by_epoch(tables, ends.get(self.when.kind))
        last = max(epochs)
        match self.when.kind:
            case "last":
                return Measured(epochs[last]())
            case "init" | "epoch":
                if self.when.number not in epochs:
                    if self.when.kind == "init":
                        raise Absent(f"{self.series.text} was not recorded before training")
                    raise Absent(
                        f"{self.series.text} was not recorded after epoch {self.when.number}: its last is epoch {last}"
                    )
                return Measured(epochs[self.when.number]())
            case "mean":
                trained = sorted(epoch for epoch in epochs if epoch > 0)[-self.when.number :]
                if len(trained) < self.when.number:
                    raise Absent(f"{self.series.text} has {len(trained)} of {self.when.number} epochs")
                return Measured(math.fsum(epochs[epoch]() for epoch in trained) / len(trained))
            case "best":
                best = best_epoch(tables, self.series)
                if best not in epochs:
                    raise Absent(f"{self.series.text} was not recorded in epoch {best}, which validated best")
                return Measured(epochs[best]())


@dataclass(frozen=True)
class EpochsTo(Metric):
    """The first epoch in which a column passes a threshold; one that never does has no value."""

    series: Series
    comparison: str
    threshold: float

    @property
    def better(self) -> int:
        return -1

    @property
    def tables(self) -> tuple[str, ...]:
        return (self.series.table,)

    def measure(self, tables: Tables) -> Measured:
        compare = COMPARISONS[self.comparison]
        try:
            epochs = self.series.by_epoch(tables)
            for epoch in sorted(epochs):
                value = epochs[epoch]()
                if not math.isnan(value) and compare(value, self.threshold):
                    return Measured(epoch)
        except Absent as absent:
            return Measured(math.nan, str(absent))
        return Measured(math.nan, NEVER)


NEVER = "never"
"""Why a trial has no ``epochs_to``: within its epochs it did not get there."""


@dataclass(frozen=True)
class Share(Metric):
    """Whether something holds of a trial: 1 or 0, whose mean over trials is the share of which it does."""

    of: Metric
    comparison: str
    threshold: float

    @property
    def better(self) -> int:
        return self.of.better * (1 if self.comparison in (">", ">=") else -1)

    @property
    def tables(self) -> tuple[str, ...]:
        return self.of.tables

    def measure(self, tables: Tables) -> Measured:
        measured = self.of.measure(tables)
        if measured.missing and measured.why != NEVER:
            return measured
        # A comparison with NaN is false: a trial that diverged has not reached anything.
        return Measured(float(COMPARISONS[self.comparison](measured.value, self.threshold)))


@dataclass(frozen=True)
class GradientRatio(Metric):
    """‖∂L/∂b‖ of the first hidden layer over that of the last hidden layer: how much the gradient vanishes."""

    when: When

    @property
    def better(self) -> int:
        return 0

    @property
    def tables(self) -> tuple[str, ...]:
        return ("gradients", "metrics") if self.when.kind == "best" else ("gradients",)

    def measure(self, tables: Tables) -> Measured:
        rows = tables.get("gradients", "first")
        if rows is None:
            return Measured(math.nan, tables.absence("gradients"))
        layers = [int(layer) for layer in set(rows.column("layer")) if layer.isdecimal()]
        hidden = max(layers, default=0) - 1
        if hidden < 1:
            return Measured(math.nan, "no hidden layer")
        norms = []
        for layer in (1, hidden):
            measured = parse(f"grad_norm[{layer}]@{self.when}").measure(tables)
            if measured.missing:
                return measured
            norms.append(measured.value)
        return Measured(norms[0] / norms[1] if norms[1] else math.nan)


@dataclass(frozen=True)
class Fact(Metric):
    """A number of the whole trial: ``parameters`` and ``multiply_adds`` of its net, ``seconds`` of training."""

    @property
    def better(self) -> int:
        return -1 if self.text == "seconds" else 0

    @property
    def tables(self) -> tuple[str, ...]:
        return ("timing",) if self.text == "seconds" else ("layers",)

    def measure(self, tables: Tables) -> Measured:
        rows = tables.get(self.tables[0])
        if rows is not None and self.text in rows.columns:
            return Measured(math.fsum(value for value in rows.floats(self.text) if value is not None))
        return Measured(math.nan, f"no {self.text} in {self.tables[0]}.csv")


def direction(column: str) -> int:
    """1 where more of a column is better (accuracies, recalls, R²), -1 where less is (losses, errors, time), else 0."""
    if column.endswith(("accuracy", "_r2")) or re.search(r"_recall_\d+$", column):
        return 1
    return -1 if column.endswith(("_loss", "_mae", "_rmse", "_error")) or column == "seconds" else 0


def best_epoch(tables: Tables, series: Series | None = None) -> int:
    """The epoch that validated best: by the validation column of the series' own kind, else accuracy, else loss.

    The first of equally good ones. The test set is never looked at. Raises :class:`Absent`
    without validation.
    """
    own = [f"val_{part[2]}"] if series and (part := re.fullmatch(r"(train|val|test)_(.+)", series.column)) else []
    stage = [pick for pick in series.picks if pick[0] == "stage"] if series and own else []
    for column in own or ["val_accuracy", "val_loss"]:
        validation = Series(column, "metrics", column, tuple(stage))
        try:
            epochs = validation.by_epoch(tables)
        except Absent:
            continue
        better = direction(column) or -1
        values = {epoch: value * better for epoch in sorted(epochs) if not math.isnan(value := epochs[epoch]())}
        if values:
            return max(values, key=lambda epoch: values[epoch])
    raise Absent("no validation set to choose the best epoch by: @last is what there is")


_WHEN = re.compile(r"(last|best|init|epoch|mean)(?::(\d{1,9}))?")
_FUNCTION = re.compile(r"(\w+)\s*\((.*)\)", re.DOTALL)
_COMPARED = re.compile(r"(.+?)\s*(<=|>=|<|>)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*", re.DOTALL)
_LONGEST = 1000


def parse(text: str) -> Metric:
    """The metric that a text names. Raises :class:`~dlx.errors.UsageError` saying what would be right.

    Whether trials have such a column is seen when it is measured: tables are an open set.
    """
    text = text.strip()
    if len(text) > _LONGEST:
        raise UsageError(f"a metric of {len(text):,} characters")
    if function := _FUNCTION.fullmatch(text):
        return _function(function[1], function[2], text)
    name, separator, moment = text.rpartition("@")
    if not separator or "]" in moment:  # an @ in the brackets is a cell's
        name, separator, moment = text, "", ""
    name = name.strip()
    if name in FACTS and not separator:
        return Fact(name)
    if name == "grad_ratio":
        when = _when(moment.strip(), text) if separator else When("init")
        return GradientRatio(f"grad_ratio@{when}", when)
    series, usual = parse_series(name, text, KNOWN)
    when = _when(moment.strip(), text) if separator else When(usual)
    return At(f"{series.text}@{when}", series, when)


KNOWN = ("grad_ratio", *FACTS, *(f"{function}(…)" for function in FUNCTIONS))


def _function(name: str, inside: str, text: str) -> Metric:
    if name not in FUNCTIONS:
        raise UsageError(f"metric {text!r}: no function {name!r}", hint=nearest(name, FUNCTIONS))
    compared = _COMPARED.fullmatch(inside.strip())
    if compared is None:
        example = "epochs_to(val_accuracy>=0.95)" if name == "epochs_to" else "share(train_accuracy@last>=1)"
        raise UsageError(
            f"metric {text!r}: {name} takes a metric, one of < <= >= > and a number", hint=f"as in {example}"
        )
    of, comparison, number = compared.groups()
    threshold = float(number)
    if name == "epochs_to":
        if "@" in of:
            raise UsageError(f"metric {text!r}: epochs_to looks at every epoch, so it takes no @", hint="leave it out")
        series, _ = parse_series(of, text, KNOWN)
        return EpochsTo(f"epochs_to({series.text}{comparison}{number})", series, comparison, threshold)
    inner = parse(of)
    if isinstance(inner, Share):
        raise UsageError(f"metric {text!r}: a share of shares")
    return Share(f"share({inner.text}{comparison}{number})", inner, comparison, threshold)


def _when(moment: str, text: str) -> When:
    found = _WHEN.fullmatch(moment)
    if found is None:
        raise UsageError(f"metric {text!r}: no point of training {moment!r}", hint=nearest(moment, KINDS))
    kind: Kind = found[1]  # type: ignore[assignment]  # what the pattern allows
    if (kind in ("epoch", "mean")) != (found[2] is not None):
        right = f"@{kind}:10" if kind in ("epoch", "mean") else f"@{kind}"
        raise UsageError(f"metric {text!r}: @{moment}", hint=f"write {right}")
    number = int(found[2] or 0)
    if kind == "mean" and number == 0:
        raise UsageError(f"metric {text!r}: the mean of no epochs")
    return When("init") if (kind, number) == ("epoch", 0) else When(kind, number)
