"""A trial's id: what determines what is trained, as canonical JSON, hashed.

The JSON has sorted keys, no spaces and shortest floats. It holds dataset (with its
digest), model, training, pretraining or the list of stages where there is one, the fold where there are any, and seed,
each without the fields at their defaults, each member with its name and revision; not the name,
description, probes, records or checkpoints, which change nothing that is trained.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from dlx import losses
from dlx.members import canonical
from dlx.spec.pretraining import NO_PRETRAINING
from dlx.spec.schema import Setting
from dlx.spec.seeds import Seed

DIGITS = 12


def identity(setting: Setting, seed: Seed) -> dict[str, Any]:
    """What determines what is trained, as plain values."""
    return {**_of_setting(setting), "seed": seed.plain()}


def trial_id(setting: Setting, seed: Seed) -> str:
    """The first 12 hex digits of the SHA-256 of the canonical JSON."""
    return Fingerprint(setting).trial_id(seed)


class Fingerprint:
    """The ids of one setting's trials, its own part written once."""

    def __init__(self, setting: Setting) -> None:
        parts = {name: f'"{name}":{_json(part)}' for name, part in sorted(_of_setting(setting).items())}
        self._head = "{" + ",".join(part for name, part in parts.items() if name < "seed") + ',"seed":'
        self._tail = "".join(f",{part}" for name, part in parts.items() if name > "seed") + "}"

    def trial_id(self, seed: Seed) -> str:
        """The id with a seed."""
        text = self._head + _json(seed.plain()) + self._tail
        return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _of_setting(setting: Setting) -> dict[str, Any]:
    task = setting.task
    model, training = canonical(setting.model), canonical(setting.training)
    training.pop("checkpoint", None)
    training.pop("devices", None)
    # Written in by the loss or the task where the spec says nothing: the same trial either way.
    if training.get("loss") == losses.default_for(task):
        del training["loss"]
    if setting.model.output_activation == setting.loss.activation(None, task):
        model.pop("output_activation", None)
    dataset = {**canonical(setting.dataset), "digest": setting.dataset.digest()}
    for field in setting.dataset.path_fields:
        dataset.pop(field, None)  # what is in a file counts, not where it is
    if (given := setting.model.weights_file(setting.dataset.info().input_shape, setting.outputs)) is not None:
        file, _ = given
        model["weights_digest"] = file.hash or file.url  # of a file without one Keras does not say what it is to hold
    stages = {"stages": canonical(setting.stages)} if setting.stages else {}
    pretraining = canonical(setting.pretraining)
    before = {"pretraining": pretraining} if pretraining != canonical(NO_PRETRAINING) else {}
    held = setting.dataset.fold
    fold = {"fold": held.identity(setting.dataset.info().task)} if held is not None else {}
    return {"dataset": dataset, **fold, "model": model, **before, "training": training, **stages}


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
