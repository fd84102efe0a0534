"""Trials on one and on two devices, on one engine: ``python -m tests.training.several_devices ENGINE FOLDER``.

The processor is taken for two devices. Leaves results in FOLDER/<devices>, and what was said
of trials that could not be trained so in FOLDER/said.json.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

COMMON = """
dataset: {name: digits, train_limit: 52, validation: 41}
probes: {activations: null, gradients: {sample: 31}}
"""
NETS = {
    # 41 and 31 examples and a last batch of 4 divide by two or not, and none is left out.
    "normalised": COMMON
    + """
model: {name: cnn, blocks: [{filters: 3, normalization: batch, pool: max}], dense: [8]DROPOUT}
training: {optimizer: {name: sgd, learning_rate: 0.05, momentum: 0.9}, l2: 1e-3, batch_size: 12, epochs: 2}
""",
    "half": COMMON
    + """
model: {name: mlp, hidden: [12], normalization: batch}
training: {optimizer: sgd, batch_size: 12, epochs: 1, precision: mixed_bfloat16, reduction: sum}
""",
    # Eight normalised layers and steps that are sums over examples: rounding grows, and a ReLU whose input is all but 0
    # would turn it into a jump, of one device's weights moved by 3e-7 just as of two devices. Nothing jumps in tanh.
    "residual": COMMON
    + """
model: {name: cifar_resnet, depth: 8, width: 4, activation: tanh}
training: {optimizer: {name: sgd, learning_rate: 0.05}, batch_size: 12, epochs: 1, reduction: sum}
""",
}
RANDOM = {
    "random": COMMON
    + """
model: {name: mlp, hidden: [20], dropout: 0.5}
training: {batch_size: 26, epochs: 1}
""",
}
CHAINS = """
dataset: {name: digits, train_limit: 40}
probes: {activations: null, gradients: null}
model: {name: mlp, hidden: [8], activation: sigmoid}
pretraining: {method: rbm, epochs: 1, persistent: true}
training: {batch_size: 20, epochs: 0}
"""


def main(engine: str, folder: Path) -> None:
    """Train what there is, and whatever is to be refused."""
    os.environ |= {"KERAS_BACKEND": engine, "DLX_VIRTUAL_DEVICES": "2"}
    from dlx.errors import DlxError
    from dlx.events import Event, StepsDone, ignore
    from dlx.interruption import Stop
    from dlx.schedule import Options, Outcome, run
    from dlx.spec import load_text
    from dlx.worker import Runtime

    def train(place: str, name: str, text: str, devices: int | None, **more: object) -> Outcome:
        runtime = Runtime(engine, threads=2, devices=devices)
        options = Options(folder / place, runtime, executor="inline", **more)  # type: ignore[arg-type]
        return run(load_text(text, name=name), options, ignore, Stop())

    def begin(place: str, name: str, text: str) -> Outcome:
        """Stop in the middle of the second epoch."""
        stop = Stop()

        def observe(event: Event) -> None:
            if isinstance(event, StepsDone) and event.epoch == 2:
                stop.request("enough for now", 130)

        return run(load_text(text, name=name), Options(folder / place, Runtime(engine, 2)), observe, stop)

    # What JAX draws at random is the same on any number of devices, and is compared with the rest.
    nets = {**NETS, **RANDOM} if engine == "tensorflow" else dict(NETS)
    nets["normalised"] = nets["normalised"].replace("DROPOUT", ", dropout: 0.5" if engine == "jax" else "")
    for name, text in nets.items():
        for devices in (1, 2):
            assert train(str(devices), name, text, devices).exit_code() == 0, name

    said: dict[str, str] = {}
    text = nets["normalised"].replace("l2:", "devices: 2, l2:")  # as the spec says, not the command
    assert begin("again", "normalised", text).exit_code() == 130
    said["changed"] = str(train("again", "normalised", text, 1).endings[0].status.reason)
    assert train("again", "normalised", text, None).exit_code() == 0
    if engine == "tensorflow":
        said["chains"] = str(train("chains", "chains", CHAINS, 2).endings[0].status.reason)
    refused = {
        "odd": {"text": NETS["half"], "devices": 3},
        "batch": {"text": NETS["half"].replace("batch_size: 12", "batch_size: 13"), "devices": 2},
        "pack": {"text": NETS["half"], "devices": 2, "pack": 4},
    }
    for name, given in refused.items():
        try:
            train("refused", name, **given)  # type: ignore[arg-type]
            said[name] = "trained"
        except DlxError as error:
            said[name] = str(error)
    (folder / "said.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
