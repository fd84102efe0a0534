"""Draws the course: a page per topic of ``experiments/``, from real runs.

``python docs/gallery/course/make.py RESULTS [TOPIC…]`` runs what is not there yet (``RESULTS/TOPIC/NAME``) and draws
every picture; without RESULTS it writes the pages alone. What a page says of an experiment, its question, its
commands, the published figures and those reached, is what its spec opens with.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlx import shipped
from dlx.cli.main import main
from dlx.spec import load

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Picture:
    """A picture of an experiment: its file, the rest of its command, and what one sees."""

    experiment: str
    file: str
    arguments: str
    says: str

    @property
    def command(self) -> str:
        """What a person would type."""
        return f"dlx plot {self.arguments} -o {self.file}"


TOPICS = {
    "worked": "Worked by hand",
    "vanishing-gradient": "The vanishing gradient",
    "representations": "Representations",
    "optimisation": "Optimisation",
    "regularisation": "Regularisation",
    "shallow-or-deep": "Shallow or deep",
}

PICTURES = (
    Picture(
        "worked/photograph",
        "photograph.svg",
        "feature-maps photograph --example 2 --set each=true",
        "From left to right: the mean of nine pixels blurs; Sobel's kernels leave what changes from left to right and "
        "from top to bottom; Laplace's leaves every fine detail.",
    ),
    Picture(
        "vanishing-gradient/speeds",
        "speeds.svg",
        "gradients speeds --epoch 0",
        "The lines are straight on a logarithmic axis and parallel: from each layer to the one before the speed falls "
        "by the same factor, whatever the depth.",
    ),
    Picture(
        "vanishing-gradient/curves",
        "curves.svg",
        "learning-speed curves",
        "The hidden layers keep their order all the way: of four, the first ends a hundred times slower.",
    ),
    Picture(
        "vanishing-gradient/units",
        "units.svg",
        "units units --set layers=1,2",
        "The bars of the second hidden layer are longer, almost all of them, than those of the first.",
    ),
    Picture(
        "vanishing-gradient/exploding",
        "exploding.svg",
        "gradients exploding --epoch 0",
        "One straight line for each size of the weights: falling towards the input, level, and rising twice.",
    ),
    Picture(
        "representations/playground",
        "playground.svg",
        "boundary 221f86fab05d",
        "The lines of the first layer's units, and what the second layer makes of them: two arms about each other.",
    ),
    Picture(
        "representations/features",
        "features.svg",
        "boundary debeaee96cf9",
        "A linear classifier of x², y² and xy draws an ellipse.",
    ),
    Picture(
        "representations/xor",
        "xor.svg",
        "boundary 51337f9fef4a",
        "Each hidden unit draws one of the two lines; in the space of the two units one line is enough.",
    ),
    Picture(
        "representations/autoencoder-two",
        "autoencoder-two.svg",
        "hidden 2b78f445af10 --set beside=pca",
        "The two numbers of each digit of the test set, coloured by its class, which the net was never told: on the "
        "left those of the deep autoencoder, on the right the first two principal components of the pixels.",
    ),
    Picture(
        "representations/approximation",
        "fit.svg",
        "fit approximation --set most=40",
        "One unit is a step; two and four find one of the periods, if their first weights are good; from eight on the "
        "curve lies on the sine.",
    ),
    Picture(
        "representations/approximation",
        "approximation.svg",
        "sweep approximation --metric test_rmse",
        "The error falls with the number of units, most of all between two and eight.",
    ),
    Picture(
        "optimisation/equal-epochs",
        "equal-epochs.svg",
        "accuracy equal-epochs",
        "Batches of one and of five are done while full gradient descent has hardly begun.",
    ),
    Picture(
        "optimisation/saturation",
        "saturation.svg",
        "accuracy saturation --metric loss",
        "Under the quadratic loss hardly anything happens for 150 steps, under cross-entropy the first steps are the "
        "steepest.",
    ),
    Picture(
        "optimisation/initial-weights",
        "initial-weights.svg",
        "accuracy initial-weights --set from_epoch=1",
        "Scaled weights start five points ahead after an epoch.",
    ),
    Picture(
        "regularisation/capacity",
        "capacity.svg",
        "sweep capacity --metric test_accuracy",
        "What is recognised grows with the number of units up to eight, and stays well below what is known by heart.",
    ),
    Picture(
        "shallow-or-deep/by-parameters",
        "by-parameters.svg",
        "sweep by-parameters --metric test_accuracy",
        "The convolutional net is ahead on average; of 10,000 parameters three seeds make sure of it.",
    ),
)


@dataclass(frozen=True)
class Opening:
    """What a spec opens with: its question, its commands, and the rest, paragraph by paragraph."""

    question: str
    commands: tuple[str, ...]
    rest: str


def opening(path: Path) -> Opening:
    """The comment at the head of a spec."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line[1:].removeprefix(" ").rstrip())
    commands = tuple(line.strip() for line in lines if re.match(r"\s{2,}(DLX_\w+=\S+ )?dlx ", line))
    rest = "\n".join(line for line in lines[1:] if line.strip() not in commands)
    return Opening(lines[0], commands, rest.strip("\n"))


def page(topic: str) -> str:
    """A topic's page."""
    return "".join(_page(topic))


def _page(topic: str) -> Iterator[str]:
    yield f"# {TOPICS[topic]}\n\nMade by `python docs/gallery/course/make.py` of the specs in `experiments/{topic}/`.\n"
    for name, path in shipped.experiments().items():
        if not name.startswith(f"{topic}/"):
            continue
        opened, pictures = opening(path), [one for one in PICTURES if one.experiment == name]
        commands = [*opened.commands, *(one.command for one in pictures if one.command not in opened.commands)]
        yield f"\n## {name.partition('/')[2]}\n\n{opened.question}\n\n```console\n"
        yield "".join(f"$ {command}\n" for command in commands) + "```\n"
        for picture in pictures:
            yield f"\n![{picture.says}]({picture.file})\n\n{picture.says}\n"
        yield f"\n```text\n{opened.rest}\n```\n"


def draw(results: Path, topics: Sequence[str]) -> None:
    """Run what has no results yet, and draw every picture of the topics."""
    for picture in PICTURES:
        topic = picture.experiment.partition("/")[0]
        if topic not in topics:
            continue
        place = results / topic
        if not (place / load(shipped.get(picture.experiment)).name / "trials.csv").exists():
            main(["run", picture.experiment, "--results", str(place), "--quiet"])
        output = ["-o", str(HERE / picture.file), "--results", str(place)]
        if code := main(["plot", *shlex.split(picture.arguments), *output]):
            sys.exit(code)


if __name__ == "__main__":
    for one in TOPICS:
        (HERE / f"{one}.md").write_text(page(one), encoding="utf-8", newline="\n")
    if sys.argv[1:]:
        draw(Path(sys.argv[1]), sys.argv[2:] or list(TOPICS))
