"""Trials of an earlier dlx beside those of this one: fields that were added since stand at their defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlx.analysis.trials import Setting, Trial


def completed(trials: Sequence[Trial]) -> list[Trial]:
    """The trials, those of earlier versions with the fields that they did not have yet.

    Only then is the spec language loaded. A trial that this version would not train alike
    stays as it is, and is a setting of its own.
    """
    from dlx.analysis.settings import of_earlier_versions

    settings = list(dict.fromkeys(trial.setting for trial in trials))
    earlier = set(of_earlier_versions(settings))
    if not earlier:
        return list(trials)
    examples = {trial.setting: trial for trial in trials if trial.setting in earlier}
    now = {setting: _with_defaults(trial) for setting, trial in examples.items()}
    return [replace(trial, setting=now.get(trial.setting, trial.setting)) for trial in trials]


def _with_defaults(trial: Trial) -> Setting:
    from dlx import spec
    from dlx.analysis.trials import Setting, flatten
    from dlx.errors import DlxError

    try:
        loaded = spec.load_trial(trial.path / "trial.yaml")
    except DlxError:
        return trial.setting
    values = dict(flatten(spec.settings(loaded.setting)))
    return Setting({**values, **trial.setting})
