"""The spec language: from a YAML file to an experiment and its trials.

``load`` reads a spec, ``load_trial`` one trial's resolved setting, ``json_schema`` says
what editors need to know. Nothing here imports NumPy, Keras or any member of an open set
that a spec does not name.
"""

from __future__ import annotations

from typing import Any

from dlx.spec.axes import SHORT as SHORT_AXES
from dlx.spec.expand import Trial
from dlx.spec.load import CAP, Experiment, load, load_text
from dlx.spec.schema import Checkpoint, EarlyStopping, Records, Setting, Training
from dlx.spec.seeds import Seed
from dlx.spec.trialfile import load_trial, resolved, settings

__all__ = [
    "CAP",
    "SHORT_AXES",
    "Checkpoint",
    "EarlyStopping",
    "Experiment",
    "Records",
    "Seed",
    "Setting",
    "Training",
    "Trial",
    "json_schema",
    "load",
    "load_text",
    "load_trial",
    "resolved",
    "settings",
]


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a spec, every member of every open set included: all of them are imported."""
    from dlx.spec.jsonschema import json_schema as whole

    return whole()
