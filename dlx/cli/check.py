"""``dlx check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlx.cli.options import DataDir, Json, Plugins, Sets, Smoke, Specs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlx.datasets import Places
    from dlx.spec import Experiment, Trial

_BYTES = 4
"""Of a weight, in a file."""


def check(
    specs: Specs,
    sets: Sets = None,
    smoke: Smoke = False,
    data_dir: DataDir = None,
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """Validate specs and say what they would run.

    Every mistake is reported at once, as FILE:LINE:COLUMN: PATH: what is wrong, with exit code 2. Data sets and weights
    (model.weights) that are not here but can be downloaded are a note. Nothing is created and nothing is imported that
    trains.

    Example: dlx check experiments/quickstart.yaml
    """
    from dlx.cli.amounts import counted
    from dlx.cli.loading import load_all
    from dlx.datasets import Places

    places = Places.here(data_dir, download=False)
    experiments = load_all(specs, sets or [], smoke=smoke)
    if as_json:
        from dlx import objects

        checked = [
            {
                "file": str(path),
                "name": experiment.name,
                "trials": [
                    {
                        "id": trial.id,
                        "seed": trial.seed.plain(),
                        **held_out(trial),
                        "parameters": dict(trial.parameters),
                    }
                    for trial in experiment.trials
                ],
                "notes": notes(experiment, places),
            }
            for path, experiment in experiments
        ]
        print(objects.text("check", {"specs": checked}))
        return
    for path, experiment in experiments:
        settings = {repr(sorted(trial.parameters.items())) for trial in experiment.trials}
        of = f" of {counted(len(settings), 'setting')}" if 1 < len(settings) < len(experiment.trials) else ""
        noted = notes(experiment, places)
        print(f"{path}: {experiment.name}: {counted(len(experiment.trials), 'trial')}{of}")
        for note in noted:
            print(f"  note: {note}")


def held_out(trial: Trial) -> dict[str, int | None]:
    """Repeat and fold of a trial that has them."""
    return {"repeat": trial.fold.repeat, "fold": trial.fold.fold} if trial.fold is not None else {}


def notes(experiment: Experiment, places: Places) -> list[str]:
    """What is not a mistake, but good to know before the experiment runs."""
    found = list(experiment.notes)
    datasets = {trial.setting.dataset.name: trial.setting.dataset for trial in experiment.trials}
    for name, dataset in datasets.items():
        if dataset.download_bytes() and dataset.find(places) is None:
            found.append(f"{name} is not here; the first run downloads {dataset.download_bytes() / 1e6:.0f} MB")
    return found + list(dict.fromkeys(_of_weights(experiment, places)))


def _of_weights(experiment: Experiment, places: Places) -> Iterator[str]:
    """Of each file of weights that trials begin with, where it is or would come from."""
    settings = {repr(sorted(trial.parameters.items())): trial.setting for trial in experiment.trials}
    for setting in settings.values():
        shape = setting.dataset.info().input_shape
        given = setting.model.weights_file(shape, setting.outputs)
        if given is not None:
            from dlx.applications import weights

            file, absent = given
            layers = [row for row in setting.network().rows() if row.name not in absent]
            yield weights.note(file, _BYTES * sum(row.parameters for row in layers), places)
