"""``dlx sample``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dlx.cli.options import DataDir, Json, Results
from dlx.errors import ResultsError, UsageError

if TYPE_CHECKING:
    from dlx.sampling import BeliefNet


def sample(
    selector: Annotated[
        str, typer.Argument(metavar="SELECTOR", help="A trial: its directory, id, NAME:depth=2, best@NAME.")
    ],
    number: Annotated[int, typer.Option("--number", "-n", metavar="N", min=1, help="Examples to draw.")] = 100,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="A .png of images side by side, or an .npy of all values."),
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", metavar="N", min=1, help="Steps of Gibbs sampling in the topmost machine.")
    ] = 1000,
    start: Annotated[
        Literal["random", "test"], typer.Option("--start", help="Begin at random states, or at test examples.")
    ] = "random",
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of all that is drawn.")] = 0,
    results: Results = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Draw examples from a restricted Boltzmann machine or a deep belief net.

    The machines are those of the trial's pretraining as it left them: fine-tuning makes no machine of them. What is
    written are the means of the visible units. Nothing is trained.

    Example: dlx sample best@belief -n 25 -o digits.png
    """
    from dlx.analysis.selectors import one
    from dlx.records.trial_directory import TrialDirectory
    from dlx.sampling import belief_net

    net = belief_net(TrialDirectory(one(selector, results).path))
    output = output or Path(f"{net.trial.id}.png")
    if output.suffix not in (".png", ".npy"):
        raise UsageError(f"-o {output}: a .png or an .npy")
    if output.suffix == ".png" and len(net.input_shape) != 3:
        raise UsageError(f"examples of shape {net.input_shape} are not images", hint="-o FILE.npy writes their values")
    begin = None if start == "random" else _test_examples(net, number, data_dir)
    examples = net.draw(number, steps, seed, begin)
    _write(net, examples, output)
    if as_json:
        from dlx import objects

        content = {"trial": net.trial.id, "number": number, "steps": steps, "start": start, "seed": seed}
        machines = [list(layer.kernel.shape) for layer in net.layers]
        print(objects.text("sample", {**content, "machines": machines, "file": output}))
    else:
        print(f"{number} examples after {steps} steps: {output}")


def _test_examples(net: BeliefNet, number: int, data_dir: Path | None) -> Any:
    from dlx.datasets import Places

    splits = net.trial.setting.dataset.load(Places.here(data_dir))
    if splits.test is None or len(splits.test) < number:
        raise UsageError(f"there are {len(splits.test or ())} test examples to begin at, not {number}")
    inputs, _ = splits.test.read(range(number))
    return splits.scaling.apply(inputs).reshape(number, -1).astype("float64")


def _write(net: BeliefNet, examples: Any, output: Path) -> None:
    import io

    import numpy as np

    from dlx.records import atomic

    content = io.BytesIO()
    if output.suffix == ".npy":
        np.save(content, examples.astype(np.float32))
    else:
        from PIL import Image

        from dlx.sampling import sheet

        binary = net.layers[0].visible == "binary"
        low, high = (0.0, 1.0) if binary else (float(examples.min()), float(examples.max()))
        columns = int(np.ceil(np.sqrt(len(examples))))
        page = sheet(examples, columns, low, high)
        if page.shape[-1] not in (1, 3):
            raise UsageError(
                f"images of {page.shape[-1]} channels are not a picture", hint="-o FILE.npy writes their values"
            )
        Image.fromarray(page[..., 0] if page.shape[-1] == 1 else page).save(content, "PNG")
    atomic.write_bytes(output, content.getvalue(), error=ResultsError)
