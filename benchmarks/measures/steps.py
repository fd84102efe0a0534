"""Step rate: against ``fit`` without any recording, and against a JAX loop that accumulates the same norms."""

from __future__ import annotations

import math
from importlib.util import find_spec

from benchmarks.duel import Rounds, ratio, take_turns
from benchmarks.measures import STEPS, Setup
from benchmarks.report import Bound, Figure

GROUP = "step rate"
SMALLEST, DEEP, LENET5 = "30-30", "30-30-30-30", "lenet5"


class DisagreementError(Exception):
    """Two contenders that should compute the same do not."""


def measure(setup: Setup) -> list[Figure]:
    """Seconds per step with the norms of every step on record, compilation excluded."""
    return [
        *_compare(setup, SMALLEST, 10, 10.0, epochs=(3, 1, 3), rounds=setup.rounds, scan_target=1.7),
        *_compare(setup, DEEP, 128, 4.0, epochs=(4, 1, 4), rounds=3 * setup.rounds),
        *_compare(setup, LENET5, 128, 1.3, epochs=(1, 1, 0), rounds=setup.rounds),
    ]


def _compare(
    setup: Setup,
    network: str,
    batch_size: int,
    fit_target: float,
    *,
    epochs: tuple[int, int, int],
    rounds: int,
    scan_target: float | None = None,
) -> list[Figure]:
    """``epochs`` per round: of dlx, of fit, of the scan (0: none)."""
    what = f"{_title(network)}, batch {batch_size}"
    setup.tell(what)
    contenders = {
        "dlx": setup.trial(f"steps-{network}", network=network, batch_size=batch_size, epochs=epochs[0], probes=STEPS),
        "fit": setup.fit(network=network, batch_size=batch_size, epochs=epochs[1]),
    }
    if epochs[2] and find_spec("jax") is not None:
        contenders["scan"] = setup.jax(network=network, batch_size=batch_size, epochs=epochs[2])
    if network != LENET5:
        common = {"network": network, "batch_size": batch_size, "epochs": epochs[0], "probes": STEPS}
        contenders["one thread"] = setup.trial(f"steps-{network}-one", threads=1, **common)  # type: ignore[arg-type]
    heard = take_turns(contenders, rounds, setup.tell)
    dlx, fit = heard["dlx"], heard["fit"]
    compiled = ", ".join(f"{name} {rounds.compilation:.1f} s" for name, rounds in heard.items())
    figures = [faster(what, dlx, fit, fit_target, f"{what}: compilation, left out of these figures: {compiled}.")]
    if scan := heard.get("scan"):
        if batch_size == 10:  # the scan leaves out an incomplete last batch, and 128 is no divisor of 50,000
            agree(dlx, scan)
        figures.append(slower(what, dlx, scan, scan_target))
    if single := heard.get("one thread"):
        figures.append(faster(f"{what}, --threads 1", single, fit, None))
    return figures


def faster(what: str, dlx: Rounds, fit: Rounds, target: float | None, note: str = "") -> Figure:
    """How many times the step rate of ``fit``."""
    times = dlx.text(), f"Keras fit, nothing recorded: {fit.text()}"
    bound: Bound | None = "≥" if target else None
    return Figure(GROUP, f"{what}: step rate over fit's", *times, ratio(fit, dlx), "×", bound, target, note)


def slower(what: str, dlx: Rounds, scan: Rounds, target: float | None) -> Figure:
    """How many times the time of the loop written by hand."""
    times = dlx.text(), f"JAX scan, same norms: {scan.text()}"
    return Figure(
        GROUP, f"{what}: time of a step over JAX's", *times, ratio(dlx, scan), "×", "≤" if target else None, target
    )


def agree(dlx: Rounds, scan: Rounds) -> None:
    """Both started from the same weights and saw the same batches."""
    pairs = list(zip(dlx.first["norms"], scan.first["norms"], strict=True))
    if not all(math.isclose(ours, theirs, rel_tol=1e-3) for ours, theirs in pairs):
        raise DisagreementError(f"gradient norms of dlx and JAX differ: {pairs}")


def _title(network: str) -> str:
    return "LeNet-5" if network == LENET5 else f"784-{network}-10"
