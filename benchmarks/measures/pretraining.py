"""One layer without labels: step rates against a Keras ``train_step`` and scikit-learn's BernoulliRBM."""

from __future__ import annotations

from typing import Any

from benchmarks.duel import Contender, Rounds, ratio, take_turns
from benchmarks.measures import NOTHING, Setup
from benchmarks.report import Figure

GROUP = "pretraining"
UNITS = 100
BATCH = 10


def measure(setup: Setup) -> list[Figure]:
    """An autoencoder and CD-1 beside Keras, PCD beside scikit-learn: 784 inputs, 100 hidden units, batch 10."""
    figures = []
    for kind, settings in (("autoencoder", ""), ("rbm", "")):
        what = f"784-{UNITS} {'tied autoencoder' if kind == 'autoencoder' else 'RBM, CD-1'}, batch {BATCH}"
        heard = _turns(setup, what, _stage(setup, kind, settings), _rival(setup, kind))
        figures.append(_faster(f"{what}: step rate over fit's", heard, "Keras fit with a train_step", 5.0))
    for persistent in ("false", "true"):
        what = f"784-{UNITS} RBM, {'PCD' if persistent == 'true' else 'CD-1'}, batch {BATCH}"
        stage = _stage(setup, "rbm", f", persistent: {persistent}")
        heard = _turns(setup, what, stage, _rival(setup, "sklearn"))
        figures.append(_faster(f"{what}: step rate over scikit-learn's", heard, "BernoulliRBM", 2.0))
    return figures


def _turns(setup: Setup, what: str, ours: Contender, theirs: Contender) -> dict[str, Rounds]:
    setup.tell(what)
    return take_turns({"dlx": ours, "other": theirs}, setup.rounds, setup.tell)


def _faster(what: str, heard: dict[str, Rounds], other: str, target: float) -> Figure:
    times = heard["dlx"].text(), f"{other}: {heard['other'].text()}"
    return Figure(GROUP, what, *times, ratio(heard["other"], heard["dlx"]), "×", "≥", target)


def _stage(setup: Setup, kind: str, settings: str) -> Contender:
    stages = f"[{{name: {kind}, layer: 1, epochs: 100000{settings}}}, {{name: supervised, epochs: 0}}]"
    name, task = setup.trial(
        f"pretraining-{kind}{settings.strip(', :').replace(': ', '-')}",
        network=str(UNITS), batch_size=BATCH, epochs=1, probes=NOTHING,
    )  # fmt: skip
    return name, {**task, "spec": f"{task['spec']}\nstages: {stages}"}


def _rival(setup: Setup, kind: str) -> Contender:
    task: dict[str, Any] = {"kind": kind, "units": UNITS, "batch_size": BATCH, "synthetic": setup.synthetic}
    return "pretraining", task
