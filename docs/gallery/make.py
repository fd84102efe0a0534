"""Draws the gallery: trains what ``specs/`` say, draws a picture of each kind, writes ``README.md``.

``python docs/gallery/make.py [RESULTS]``; a minute on two cores. With a results directory,
what is trained there already is not trained again. ``--page`` writes the page alone.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dlx.cli.main import main

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


@dataclass(frozen=True)
class Picture:
    """One picture: its file, the rest of its command (from the top of the repository), and what one sees."""

    file: str
    arguments: str
    says: str

    @property
    def kind(self) -> str:
        """The kind of chart."""
        return shlex.split(self.arguments)[0]

    @property
    def command(self) -> str:
        """What a person would type."""
        return f"dlx plot {self.arguments} -o {self.file}"


PICTURES = (
    Picture(
        "learning-speed.svg",
        "learning-speed depth",
        "Before training, the gradient of a sigmoid net falls by about a factor of four from each layer to the one "
        "before; that of a ReLU net does not.",
    ),
    Picture("gradients.svg", "gradients depth", "The same, layer by layer, at three moments."),
    Picture("accuracy.svg", "accuracy depth", "The deeper the sigmoid net, the later it gets off the ground."),
    Picture(
        "sweep.svg", "sweep depth", "In fifteen epochs depth costs a sigmoid net its accuracy, and a ReLU net nothing."
    ),
    Picture(
        "activations.svg",
        "activations depth",
        "How much of each sigmoid layer is saturated, how many ReLU units are dead.",
    ),
    Picture("units.svg", "units perceptron", "The error of each unit before training: smaller, the nearer the input."),
    Picture("architecture.svg", "architecture lenet5", "A registered model; a spec or a trial does as well."),
    Picture("network.svg", "architecture docs/gallery/specs/plane.yaml", "A small dense net as circles."),
    Picture("examples.svg", "examples digits --units 12", "The embedded digits, by class."),
    Picture("mistakes.svg", "examples convolutions --mistakes", "What a net gets wrong, the surest mistakes first."),
    Picture("filters.svg", "filters perceptron", "The weights of thirty units, in the shape of the input."),
    Picture("feature-maps.svg", "feature-maps convolutions --example 3", "What each convolution makes of a digit."),
    Picture(
        "hidden.svg",
        "hidden convolutions --method tsne --set most=300",
        "The last hidden layer's view of the test set.",
    ),
    Picture("reconstructions.svg", "reconstructions autoencoder", "Digits through a code of eight units, and back."),
    Picture("confusion.svg", "confusion convolutions", "Which digits are taken for which."),
    Picture(
        "fit.svg",
        "fit waves",
        "Sixty noisy samples of a sine: four tanh units are too few for it, eight find it, and 256 bend after single "
        "samples.",
    ),
    Picture(
        "boundary.svg",
        "boundary plane --set most=150",
        "Four lines fence one class in. As `boundary.html` it has a slider over the epochs.",
    ),
)

HEAD = """# Gallery

Drawn by `python docs/gallery/make.py` from the embedded data sets: `dlx run docs/gallery/specs/*.yaml`, then the
command under each picture. `-o` also takes `.png`, `.pdf` and `.html` (interactive, works without a network),
`--theme paper` and `--width 3.25in` make a figure for a column, `--data fig.csv` writes the numbers, `--lang es`
speaks Spanish. `dlx plot kinds` lists the kinds, `dlx plot KIND --options` what a kind takes.

The figures of the course, topic by topic, with the commands that make them, published against reached:
[worked by hand](course/worked.md), [the vanishing gradient](course/vanishing-gradient.md),
[representations](course/representations.md), [optimisation](course/optimisation.md),
[regularisation](course/regularisation.md), [shallow or deep](course/shallow-or-deep.md).
"""


def page() -> str:
    """``README.md``."""
    sections = (
        f"\n## {picture.kind}\n\n{picture.says}\n\n![{picture.says}]({picture.file})\n\n"
        f"```console\n$ {picture.command}\n```\n"
        for picture in PICTURES
    )
    return HEAD + "".join(sections)


def draw(results: Path) -> None:
    """Train what is not trained yet, and draw every picture."""
    specs = sorted(map(str, (HERE / "specs").glob("*.yaml")))
    if code := main(["run", *specs, "--results", str(results), "--quiet"]):
        sys.exit(code)
    for picture in PICTURES:
        arguments = shlex.split(picture.arguments)
        if (ROOT / arguments[1]).exists():
            arguments[1] = str(ROOT / arguments[1])
        output = ["-o", str(HERE / picture.file), "--results", str(results)]
        if code := main(["plot", *arguments, *output]):
            sys.exit(code)


if __name__ == "__main__":
    given = sys.argv[1:]
    (HERE / "README.md").write_text(page(), encoding="utf-8", newline="\n")
    if given and given != ["--page"]:
        draw(Path(given[0]))
    elif not given:
        with tempfile.TemporaryDirectory(prefix="dlx-gallery-") as scratch:
            draw(Path(scratch))
