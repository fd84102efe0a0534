"""``dlx evaluate``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dlx.cli.columns import aligned
from dlx.cli.options import DataDir, Engine, Json, Plugins, Results
from dlx.errors import UsageError

if TYPE_CHECKING:
    from dlx.evaluation import Scores
    from dlx.inputs import Examples
    from dlx.trained import Trained

MOST_CLASSES = 20


def evaluate(
    selector: Annotated[
        str, typer.Argument(metavar="SELECTOR", help="Trials: a directory, an id, NAME, NAME:depth=2, best@NAME.")
    ],
    dataset: Annotated[
        str | None,
        typer.Argument(metavar="DATASET", help="Another data set, a folder of images, a CSV.  [default: its own]"),
    ] = None,
    part: Annotated[
        Literal["train", "validation", "test"], typer.Option("--part", metavar="PART", help="train, validation, test.")
    ] = "test",
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="All trials together too: their probabilities averaged.")
    ] = False,
    shift: Annotated[float | None, typer.Option("--shift", metavar="PIXELS", help="Also moved to four sides.")] = None,
    rotate: Annotated[float | None, typer.Option("--rotate", metavar="DEGREES", help="Also turned both ways.")] = None,
    scale: Annotated[float | None, typer.Option("--scale", metavar="FACTOR", help="Also larger or smaller.")] = None,
    brightness: Annotated[
        float | None, typer.Option("--brightness", metavar="FACTOR", help="Also brighter or darker.")
    ] = None,
    occlude: Annotated[
        float | None, typer.Option("--occlude", metavar="PIXELS", help="Also with a square hidden, at five places.")
    ] = None,
    weights: Annotated[
        Literal["last", "best"] | None,
        typer.Option("--weights", metavar="WHICH", help="last or best.  [default: those that the trial ended with]"),
    ] = None,
    results: Results = None,
    data_dir: DataDir = None,
    plugins: Plugins = None,
    engine: Engine = None,
    as_json: Json = False,
) -> None:
    """Say how good trained networks are: overall, class by class, and on images that are moved, turned or dimmed.

    On its own test part a network has the accuracy that its trial recorded. Balanced accuracy is the mean over classes
    of the share that is recognised. An autoencoder has the error of its reconstructions, on other data beside that on
    its own. Nothing is trained.

    Example: dlx evaluate best@quickstart --shift 1 --rotate 15
    """
    from dlx.cli.trials import described, networks
    from dlx.evaluation import check_together
    from dlx.evaluation import evaluate as score

    wanted = {"shift": shift, "rotate": rotate, "scale": scale, "brightness": brightness, "occlude": occlude}
    perturbations = {name: strength for name, strength in wanted.items() if strength is not None}
    found = networks([selector], results, weights, engine, data_dir, plugins, several=True)
    if len(found) > 1 or ensemble:
        check_together(found)
    sets = [_examples(network, dataset, part) for network in found]
    for note in sets[0].notes:
        print(f"dlx: {note}", file=sys.stderr)
    rows = [([network], score([network], one, perturbations)) for network, one in zip(found, sets, strict=True)]
    if ensemble:
        digests = {network.trial.setting.dataset.digest() for network in found}
        if dataset is None and len(digests) > 1:
            raise UsageError(
                "the trials were trained on different data", hint="say on which they are evaluated: DATASET"
            )
        rows.append((found, score(found, sets[0], perturbations)))
    own = [
        score(together, _examples(together[0], None, part)).metrics
        if dataset is not None and together[0].trial.setting.model.reconstructs
        else None
        for together, _ in rows
    ]
    if as_json:
        from dlx import objects

        evaluated = [
            {"networks": [described(one) for one in together], **_as_dict(scores), "own": metrics and dict(metrics)}
            for (together, scores), metrics in zip(rows, own, strict=True)
        ]
        print(objects.text("evaluate", {"dataset": dataset, "part": part, "evaluations": evaluated}))
        return
    of = dataset or f"the {part} part of {found[0].trial.setting.dataset.name}"
    print(f"{rows[0][1].examples:,} examples of {of}\n")
    print("\n".join(_table(rows, perturbations)))
    for metrics, (together, scores) in zip(own, rows, strict=True):
        if metrics is not None:
            print("\n" + _beside(metrics["reconstruction_error"], scores, together[0], part))
    if len(rows) == 1 and rows[0][1].classes:
        print("\n" + "\n".join(_classes(rows[0][1])))


def _examples(network: Trained, dataset: str | None, part: str) -> Examples:
    """What is evaluated on: a part of the network's own data, of another set, or the rows of a file."""
    import numpy as np

    from dlx.inputs import Examples, read_folder, read_labelled

    if dataset is not None and Path(dataset).is_dir():
        return read_folder(network, Path(dataset), part)
    if dataset is not None and dataset.lower().endswith((".csv", ".tsv")):
        return read_labelled(network, Path(dataset))
    splits = network.splits if dataset is None else _other(network, dataset)
    source = getattr(splits, part)
    if source is None:
        there = [name for name in ("train", "validation", "test") if getattr(splits, name) is not None]
        of = dataset or f"{network.trial.setting.dataset.name} as trial {network.trial.id} divides it"
        raise UsageError(f"{of} has no {part} part, but {' and '.join(there)}", hint=f"add --part {there[-1]}")
    if dataset is None or splits.info.largest == network.info.largest:
        return Examples.of(source)
    inputs, targets = source.read(np.arange(len(source)))
    inputs = inputs.astype(np.float32) * np.float32(network.info.largest / splits.info.largest)
    return Examples(inputs, tuple(map(str, source.ids.tolist())), targets)


def _other(network: Trained, text: str) -> Any:
    """Another data set, by its name or as YAML, divided as it says; it must suit the network."""
    from dlx.errors import SpecError
    from dlx.spec.document import Place, parse_value
    from dlx.spec.sections import check_section

    place = Place(text)
    dataset, problems = check_section("dataset", parse_value(text, place), place)
    if problems:
        raise SpecError(problems)
    info, own = dataset.info(), network.info
    asked = [("examples of shape", " × ".join(map(str, own.input_shape)), " × ".join(map(str, info.input_shape)))]
    if not network.trial.setting.model.reconstructs:  # to which labels are nothing
        asked += [("outputs:", str(own.outputs), str(info.outputs)), ("task:", own.task, info.task)]
    for what, one, other in asked:
        if one != other:
            raise UsageError(
                f"{text} does not suit trial {network.trial.id}, whose network has {what} {one}, not {other}"
            )
    return network.worker.load(dataset)


def _as_dict(scores: Scores) -> dict[str, Any]:
    def number(value: float) -> float | None:
        return value if value == value else None

    return {
        "examples": scores.examples,
        "metrics": {name: number(value) for name, value in scores.metrics.items()},
        "perturbed": dict(scores.perturbed),
        "classes": [
            {"label": one.label, "name": one.name, "examples": one.examples, "recall": number(one.recall)}
            for one in scores.classes
        ],
    }


def _table(rows: Sequence[tuple[Sequence[Trained], Scores]], perturbations: Mapping[str, float]) -> list[str]:
    heads = ["trial", *(name.replace("_", " ") for name in rows[0][1].metrics)]
    heads += [f"{name} {strength:g}" for name, strength in perturbations.items()]
    lines = [heads]
    for networks, scores in rows:
        name = networks[0].trial.id if len(networks) == 1 else f"all {len(networks)}"
        values = [*scores.metrics.items(), *((f"{kind}_accuracy", value) for kind, value in scores.perturbed.items())]
        lines.append([name, *(f"{v:.2%}" if "accuracy" in n else f"{v:.6g}" for n, v in values)])
    return aligned(lines, right=range(len(heads)))


def _beside(own: float, scores: Scores, network: Trained, part: str) -> str:
    """The error on other data beside that on an autoencoder's own."""
    error = scores.metrics["reconstruction_error"]
    times = f", {error / own:.3g} times as much here" if own else ""
    return (
        f"trial {network.trial.id}: reconstruction error {own:.6g} on the {part} part of its own data, "
        f"{network.trial.setting.dataset.name}{times}"
    )


def _classes(scores: Scores) -> list[str]:
    """The recall of each class, the worst of many first."""
    shown = [one for one in scores.classes if one.examples]
    lines = ["recall of each class"]
    if len(shown) > MOST_CLASSES:
        shown = sorted(shown, key=lambda one: one.recall)[:MOST_CLASSES]
        lines = [f"the {MOST_CLASSES} classes recognised least (--json has all)"]
    width = max(len(one.name) for one in shown)
    return lines + [f"  {one.name:<{width}}  {one.recall:7.2%} of {one.examples:,}" for one in shown]
