"""``dlx step``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlx.cli.options import DataDir, Json, Plugins, Sets, TrainingEngine

if TYPE_CHECKING:
    import numpy as np

    from dlx.blackboard import Part, Quantity, Step

MOST_TRIALS = 12
MOST_TERMS = 9
"""Products in a sum that is written out: a 3×3 kernel's."""
MOST_LINES = 6
"""Sums or updates of a layer that are written out."""
DIGITS = 6
MOST_TITLE = 60

HEADINGS: Mapping[Part, str] = {
    "given": "Given",
    "forward": "Forward",
    "backward": "Backward",
    "update": "New weights",
    "after": "With the new weights",
}


def step(
    spec: Annotated[
        Path, typer.Argument(metavar="SPEC", help="A YAML spec of a tiny network, or a name of `dlx experiments`.")
    ],
    number: Annotated[int, typer.Option("--step", metavar="N", min=1, help="Which step, from 1.")] = 1,
    digits: Annotated[
        int, typer.Option("--digits", metavar="N", min=1, max=9, help="Significant digits of what is printed.")
    ] = DIGITS,
    sets: Sets = None,
    data_dir: DataDir = None,
    plugins: Plugins = None,
    engine: TrainingEngine = None,
    as_json: Json = False,
) -> None:
    """Write out one training step of a tiny network, as on a blackboard.

    Inputs, weighted sums, activations, loss, error terms, gradients, new weights, new prediction, every number in turn
    as the engine computes it. The steps before are trained. Of a sweep, every setting. No file is written.

    Example: dlx step worked/backpropagation
    """
    from dlx import blackboard
    from dlx.cli.configuration import engine as configured
    from dlx.cli.loading import fetch_absent, load_all
    from dlx.errors import UsageError
    from dlx.worker import Runtime, Worker

    ((_, experiment),) = load_all([spec], sets or [])
    trials = list({id(trial.setting): trial for trial in reversed(experiment.trials)}.values())[::-1]
    if len(trials) > MOST_TRIALS:
        raise UsageError(
            f"{experiment.name} has {len(trials)} settings, and {MOST_TRIALS} are shown at most",
            hint="choose one with --set",
        )
    for trial in trials:
        blackboard.check(trial.setting, number)
    fetch_absent(trials, data_dir, quiet=as_json)
    worker = Worker(Runtime(engine or configured(), None, data_dir, plugins=plugins))
    steps = [blackboard.step(trial, worker, number) for trial in trials]
    if as_json:
        from dlx import objects

        print(objects.text("step", {"name": experiment.name, "steps": [as_dict(one) for one in steps]}))
        return
    print("\n\n".join("\n".join(lines(experiment.name, one, digits)) for one in steps))


def as_dict(shown: Step) -> dict[str, Any]:
    """A step as plain values."""
    return {
        "trial": shown.trial.id,
        "parameters": dict(shown.trial.parameters),
        "step": shown.number,
        "steps": shown.steps,
        "examples": list(shown.ids),
        "learning_rate": shown.rate,
        "quantities": [
            {
                "part": one.part,
                "quantity": one.name,
                "symbol": one.symbol,
                "layer": one.layer,
                "values": one.values.tolist(),
            }
            for one in shown.quantities
        ],
    }


def lines(name: str, shown: Step, digits: int = DIGITS) -> Iterator[str]:
    """The blackboard."""
    named = [f"{path}={value}" for path, value in shown.trial.parameters.items()]
    # What is written out below need not be in the heading; that something is, tells settings apart.
    varied = ", ".join([one for one in named if len(one) <= MOST_TITLE] or [one[:MOST_TITLE] + "…" for one in named])
    examples = f"example{'s' * (len(shown.ids) > 1)} {', '.join(map(str, shown.ids))}"
    yield f"{name}{f' with {varied}' if varied else ''}: step {shown.number} of {shown.steps}, {examples}"
    before: tuple[Part, str | None] | None = None
    for quantity in shown.quantities:
        if before is None or quantity.part != before[0]:
            yield f"\n{HEADINGS[quantity.part]}"
        if quantity.layer and (quantity.part, quantity.layer) != before:
            yield f"  {quantity.layer}"
        before = quantity.part, quantity.layer
        yield from (f"    {line}".rstrip() for line in _written(quantity, digits))
        yield from (f"      {line}" for line in _reckoned(quantity, shown, digits))


def _written(quantity: Quantity, digits: int) -> Iterator[str]:
    """A quantity's name, symbol and values."""
    symbol = f"{quantity.symbol:<7}"
    blocks = list(_blocks(quantity))
    for number, (title, rows) in enumerate(blocks):
        head = f"{quantity.name if number == 0 else '':<22}{symbol if number == 0 else ' ' * 7}"
        if title:
            head = f"{head}{title:<22}"
        cells = [[_number(value, digits) for value in row] for row in rows]
        width = max((len(cell) for row in cells for cell in row), default=0)
        for at, row in enumerate(cells):
            yield (head if at == 0 else " " * len(head)) + "  ".join(cell.rjust(width) for cell in row)


def _blocks(quantity: Quantity) -> Iterator[tuple[str, Sequence[Sequence[float]]]]:
    """What is written as a table: of images, one for each example and map; of a kernel, for each pair of maps."""
    values = quantity.values
    weights = quantity.symbol in ("W", "b", "∂L/∂W", "∂L/∂b") or quantity.part == "update"
    if values.ndim == 4 and weights:
        for channel, filter in itertools.product(*map(range, values.shape[2:])):
            yield (
                _title(("channel", channel, values.shape[2]), ("filter", filter, values.shape[3])),
                values[:, :, channel, filter].tolist(),
            )
    elif values.ndim == 4:
        for example, channel in itertools.product(range(values.shape[0]), range(values.shape[3])):
            yield (
                _title(("example", example, values.shape[0]), ("map", channel, values.shape[3])),
                values[example, :, :, channel].tolist(),
            )
    elif values.ndim == 2:
        yield "", values.tolist()
    elif quantity.name in ("targets", "loss"):
        yield "", values.reshape(-1, 1).tolist()
    else:
        yield "", [values.reshape(-1).tolist()]


def _title(*parts: tuple[str, int, int]) -> str:
    return ", ".join(f"{name} {at + 1}" for name, at, count in parts if count > 1)


def _reckoned(quantity: Quantity, shown: Step, digits: int) -> Iterator[str]:
    """How the first values come about, where that can be written in a line."""
    if quantity.name == "weighted sums" and len(shown.ids) == 1:
        yield from itertools.islice(_sums(quantity, shown, digits), MOST_LINES)
    elif quantity.part == "update" and shown.rate is not None and quantity.values.size <= MOST_LINES:
        old = shown.of("forward", quantity.name, quantity.layer).reshape(-1).tolist()
        gradient = shown.of("backward", f"{quantity.name} gradient", quantity.layer).reshape(-1).tolist()
        for one, slope, new in zip(old, gradient, quantity.values.reshape(-1).tolist(), strict=True):
            rate, before, after = (_number(value, digits) for value in (shown.rate, one, new))
            yield f"{before} - {rate}·{_bracketed(slope, digits)} = {after}"


def _sums(quantity: Quantity, shown: Step, digits: int) -> Iterator[str]:
    """``z = w·x + … + b``, unit by unit; of a convolution at the first position, channel by channel."""
    part, layer = quantity.part, quantity.layer
    named = {one.name: one.values for one in shown.quantities if (one.part, one.layer) == (part, layer)}
    kernel, bias = named["kernel"], named.get("bias")
    shares = [values for name, values in named.items() if name.startswith("sums over channel")]
    sums = quantity.values[0]
    into = _into(quantity, shown)
    for unit in range(kernel.shape[-1]):
        at: tuple[int, ...] = (0, 0, unit) if kernel.ndim == 4 else (unit,)
        if shares:
            terms = [_number(float(share[(0, *at)]), digits) for share in shares]
        elif kernel.ndim == 2 and into is not None and kernel.shape[0] <= MOST_TERMS:
            pairs = zip(kernel[:, unit].tolist(), into.reshape(-1).tolist(), strict=True)
            terms = [f"{_bracketed(w, digits)}·{_bracketed(x, digits)}" for w, x in pairs]
        else:
            return
        if bias is not None and (shares or bias.any()):
            terms.append(_number(float(bias[unit]), digits))
        yield f"{' + '.join(terms).replace('+ -', '- ')} = {_number(float(sums[at]), digits)}"


def _into(quantity: Quantity, shown: Step) -> np.ndarray | None:
    """What goes into a layer: the last thing written before its weights."""
    found = None
    for one in shown.quantities:
        if one is quantity:
            break
        if one.name == "inputs" or (one.part == quantity.part and one.symbol in ("a", "z")):
            found = one.values[0]
    return found


def _bracketed(value: float, digits: int) -> str:
    text = _number(value, digits)
    return f"({text})" if text.startswith("-") else text


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}g}"
    return "0" if text == "-0" else text
