"""``dlx predict``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dlx.cli.columns import aligned
from dlx.cli.options import DataDir, Engine, Json, Plugins, Results
from dlx.errors import UsageError

if TYPE_CHECKING:
    from dlx.inputs import Examples
    from dlx.trained import Trained


def predict(
    selector: Annotated[
        str, typer.Argument(metavar="SELECTOR", help="A trial: its directory, id, NAME:depth=2, best@NAME.")
    ],
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", help="Images or folders of them, .npy, .npz, .csv.")],
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Average the probabilities of all trials that SELECTOR names.")
    ] = False,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Classes to name.")] = 3,
    resize: Annotated[bool, typer.Option("--resize", help="Bring images to the size that the network takes.")] = False,
    invert: Annotated[bool, typer.Option("--invert", help="Dark on light becomes light on dark, as in MNIST.")] = False,
    weights: Annotated[
        Literal["last", "best"] | None,
        typer.Option("--weights", metavar="WHICH", help="last or best.  [default: those that the trial ended with]"),
    ] = None,
    results: Results = None,
    data_dir: DataDir = None,
    plugins: Plugins = None,
    engine: Engine = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print every probability, as CSV.")] = False,
    as_json: Json = False,
) -> None:
    """Predict with a trained network.

    Images are PNG or JPEG: photographs of any size where the network was trained on photographs (dataset.resize), else
    of the size that it takes. An .npy or .npz holds examples as the data set stores them; the rows of a CSV have the
    columns of the training file, or a number for every input. Nothing is trained.

    Example: dlx predict best@quickstart digits.npy
    """
    from dlx.cli.trials import described, networks
    from dlx.evaluation import answers_and_labels, check_together
    from dlx.inputs import read

    if as_csv and as_json:
        raise UsageError("--csv and --json are two forms of the same: one of them")
    found = networks([selector], results, weights, engine, data_dir, plugins, several=ensemble)
    check_together(found)
    examples = read(found[0], inputs, resize=resize, invert=invert)
    for note in examples.notes:
        print(f"dlx: {note}", file=sys.stderr)
    given, decided = answers_and_labels(found, examples)
    labels = None if found[0].info.task == "regression" else decided
    if as_csv:
        _print_csv(found[0], examples, given, labels)
        return
    rows = [_prediction(found[0], *row, top) for row in zip(examples.names, given, _each(labels, given), strict=True)]
    if as_json:
        from dlx import objects

        print(objects.text("predict", {"networks": [described(one) for one in found], "predictions": rows}))
        return
    print("\n".join(aligned([(row["input"], _words(row)) for row in rows])))


def _each(labels: Any, given: Any) -> Any:
    return [None] * len(given) if labels is None else labels.tolist()


def _prediction(network: Trained, name: str, answer: Any, label: int | None, top: int) -> dict[str, Any]:
    if label is None:
        return {"input": name, "values": [float(value) for value in answer]}
    # The class decided for comes first, whatever rounding made of its probability.
    order = sorted(range(len(answer)), key=lambda one: (one != label, -float(answer[one]), one))[:top]
    names = network.class_names
    return {
        "input": name,
        "predicted": label,
        "name": names[label],
        "top": [{"label": one, "name": names[one], "probability": float(answer[one])} for one in order],
    }


def _words(row: dict[str, Any]) -> str:
    if "values" in row:
        return "  ".join(f"{value:.6g}" for value in row["values"])
    return ", ".join(f"{one['name']} {one['probability']:.1%}" for one in row["top"])


def _print_csv(network: Trained, examples: Examples, given: Any, labels: Any) -> None:
    """As ``predictions.csv``: id, predicted, then the class's name and every probability; or every value."""
    import csv

    from dlx.records.cells import format_cell

    count = given.shape[1]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if labels is None:
        writer.writerow(["id", *(f"predicted_{number}" for number in range(count))])
    else:
        writer.writerow(["id", "predicted", "name", *(f"probability_{number}" for number in range(count))])
    for name, answer, label in zip(examples.names, given, _each(labels, given), strict=True):
        cells = [format_cell(value) for value in answer]
        writer.writerow([name, *([] if label is None else [label, network.class_names[label]]), *cells])
