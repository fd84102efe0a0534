"""What the pages show can be done: every command of the documentation is run or read, every YAML block is checked.

Commands stand in consoles and between backquotes. What trains is read by ``--dry-run``, and what only names a command
by its flags; of what is left every one is run, on tiny trials in place of the reader's. One that a page adds is
taken up by itself, and fails where it cannot be run.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from typer import TyperException

from dlx import datasets
from dlx.cli import commands
from dlx.cli.loading import checked
from dlx.cli.main import main
from dlx.errors import DlxError
from dlx.executors import executor
from dlx.executors._settings import options
from dlx.language import speak
from dlx.spec import load
from dlx.spec.schema import Spec
from dlx.spec.search import load_search
from tests.photographs import fill, picture

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    str(page.relative_to(ROOT).as_posix())
    for page in [*ROOT.glob("README*.md"), *ROOT.glob("docs/*.md"), ROOT / "benchmarks/README.md"]
    if page.name != "commands.md"  # made from the commands themselves; their examples run in test_docs.py
)

STAND_INS = {
    "results/*": "results/q*",
    "results": "results/depth",
    "NAME-tune": "depth",
    "NAME": "belief",
    "KIND": "accuracy",
    "SELECTOR": "best@flowers",
    "FOLDER": "flowers/val",
    "SPEC": "spec.yaml",
    "DIR": "plugins",
    "A": "depth:depth=2,seed=0",
    "B": "quickstart:depth=2",
    "fashion_mnist": "digits",
    "…": "",
}
"""What the reader fills in, and what would have to be fetched."""

ELSEWHERE = ("--download", "--devices", "--shard")
"""Flags that ask for a network, several GPUs or a job array: such a command is read, and not run."""

MISSING = {
    "slurm:": "",
    "imagenet|picture": "dataset: {name: image_folder, path: flowers, resize: 64}\nmodel: cnn\n",
    "pretraining:": "model: {name: mlp, depth: 2, activation: sigmoid}\n",
    "expect:": "model: mlp\nsweep: {depth: [1, 2], activation: [relu], learning-rate: [0.1, 10.0]}\n",
    "": "model: cnn\n",
}
"""The sections that go with a fragment in which there is such a thing: of the first that there is."""

SPECS = {
    "depth": """
        model: {name: mlp, width: 30, activation: sigmoid}
        dataset: {name: digits, train_limit: 100}
        training: {optimizer: {name: sgd, learning_rate: 0.1}, epochs: 1}
        seeds: 2
        sweep: {model.depth: [2, 4]}
        expect: [{metric: grad_ratio, decreasing_over: model.depth}]
    """,
    "quickstart": """
        model: {name: mlp, width: 30, activation: sigmoid}
        dataset: {name: digits, train_limit: 100}
        training: {optimizer: {name: sgd, learning_rate: 0.1}, epochs: 2}
        sweep: {model.depth: [2, 4]}
    """,
    "belief": """
        model: {name: mlp, hidden: [8], activation: sigmoid}
        pretraining: {method: rbm, epochs: 1, output_epochs: 0}
        training: {epochs: 1}
        probes: {gradients: null, activations: null}
    """,
    "clothes": """
        name: mine
        dataset: {name: digits, train_limit: 100}
        model: {name: autoencoder, hidden: [4]}
        training: {epochs: 1}
        probes: {gradients: null, activations: null}
    """,
    "uneven": """
        dataset: {name: digits, train_limit: 300, imbalance: {3: 0.5}, rebalance: {method: rbm, epochs: 1, hidden: 4}}
        model: {name: mlp, hidden: [8]}
        training: {epochs: 1}
        probes: {gradients: null, activations: null}
    """,
    "flowers": """
        dataset: {name: image_folder, path: flowers, resize: 12}
        model: {name: cnn, blocks: [{filters: 2, pool: max}], dense: []}
        training: {epochs: 1}
        probes: {gradients: null, activations: null}
    """,
    "wines": """
        dataset: {name: csv, path: wines.csv, label: kind}
        model: {name: mlp, hidden: [4]}
        training: {epochs: 1}
        probes: {gradients: null, activations: null}
    """,
    "spec": "{model: {name: mlp, depth: 2}, training: {epochs: 1}}",
}
"""The experiments that the pages speak of, in small; the first seven are trained, most without probes to be quick."""

NAMES = [name for names in commands.PANELS.values() for name in names]

OTHERS = {"--array"}
"""Flags of other programs."""

PACKAGED = {"dataset: {name: parity, bits: 6}", "stages: [sign_descent]", "probes: {spread: {}}"}
"""Shown, and of members that a package brings: tests/plugins installs it."""


@cache
def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, *languages: str) -> list[str]:
    """The fenced blocks of a page in these languages."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)
    return [block for language, block in fenced if language in languages]


def spans(page: str) -> list[str]:
    """What stands between backquotes in a page's sentences, each in one line."""
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", prose)]


COMMAND = re.compile(r"""(?<![\w./"'-])dlx (?=[a-z-])((?:'[^']*'|"[^"]*"|[^\n#>&;|'"])+)""")


def commands_of(page: str) -> Iterator[tuple[str, bool]]:
    """Each command line of a page without its ``dlx``, and whether it is whole: in a console, and no mere mention."""
    for block in blocks(page, "console", "bash", ""):
        yield from ((line.strip(), True) for line in COMMAND.findall(block))
    for span in spans(page):
        yield from ((line.strip(), False) for line in COMMAND.findall(span) if span.startswith("dlx "))


def stood_in(line: str) -> list[str]:
    """The arguments, with what the reader fills in filled in."""
    words = "|".join(map(re.escape, STAND_INS))
    return shlex.split(re.sub(rf"(?<![\w-])(?:{words})(?![\w-])", lambda found: STAND_INS[found[0]], line))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the files that the pages name, which is the working one."""
    place = tmp_path_factory.mktemp("reader")
    for name in ("experiments", "docs"):
        (place / name).symlink_to(ROOT / name)
    for name, text in SPECS.items():
        (place / f"{name}.yaml").write_text(text, encoding="utf-8")
    for name in ("best", "imagenet", "mine", "photos"):
        (place / f"{name}.yaml").write_text(SPECS["spec"], encoding="utf-8")
    (place / "my.yaml").write_text("model: wide", encoding="utf-8")
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{kind}" for kind in ("barolo", "barbera") for a, b in rng.normal(size=(12, 2))]
    wines = "\n".join(["alcohol,hue,kind", *rows])
    (place / "wines.csv").write_text(wines)
    (place / "labelled.csv").write_text(wines)
    (place / "new.csv").write_text("alcohol,hue\n1,2\n")
    iris = [f"{n % 9},{n % 7},{('setosa', 'versicolor', 'virginica')[n % 3]}" for n in range(150)]
    (place / "iris.csv").write_text("\n".join(["length,width,species", *iris]))
    houses = [f"{n},{n % 5},{n % 50 or ''},{('flat', 'house')[n % 2]},{48000 + n % 3},{n * 1000}" for n in range(200)]
    (place / "houses.csv").write_text("\n".join(["id,rooms,age,kind,zip,price", *houses]))
    np.savez(place / "mine.npz", x=np.zeros((60, 4, 4), np.uint8), y=np.arange(60) % 3)
    for part in ("train", "val"):
        fill(place / "flowers" / part, classes={"daisy": (200, 200, 30), "roses": (210, 15, 25)})
    for name in ("three.png", "seven.png"):
        picture((90, 90, 90), 0, (8, 8)).convert("L").save(place / name)
    for name in ("holiday.jpg", "garden.png"):
        picture((200, 200, 30), 0).save(place / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.delenv("DLX_RESULTS", raising=False)
        patch.delenv("DLX_DATA", raising=False)
        yield place
    speak("en")


def test_the_commands_of_the_pages_work(
    folder: Path, dlx: Callable[..., subprocess.CompletedProcess[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    trained = [f"{name}.yaml" for name in list(SPECS)[:7]]
    assert main(["run", *trained, "--executor", "inline", "--threads", "2", "--quiet"]) == 0
    assert main(["new", "model", "wide"]) == 0
    lines: dict[tuple[str, bool], str] = {}
    for page in PAGES:
        for one in commands_of(page):
            lines.setdefault(one, page)
    ran: list[list[str]] = [[]]
    failures = []
    for (line, whole), page in lines.items():
        try:
            wanted = to_run(stood_in(line), whole)
        except (TyperException, DlxError) as error:
            failures.append(f"{page}: dlx {line}: {error}")
            continue
        if wanted in ran:
            continue
        ran.append(wanted)
        if "--plugins" in wanted:  # in a process of its own: what a folder registers stays
            ended = dlx(*wanted, cwd=folder)
            code, said = ended.returncode, ended.stderr
        else:
            code, said = main(wanted), capsys.readouterr().err
        if code:
            failures.append(f"{page}: dlx {shlex.join(wanted)}: exit code {code}: {said}")
    assert not failures, "\n".join(failures)
    assert len(ran) > 80


def to_run(arguments: list[str], whole: bool) -> list[str]:
    """What is run for a command; nothing where reading it is all, and it has been read.

    Raises what reading it raises. A sentence may leave out arguments: ``dlx predict``.
    """
    name, *rest = arguments
    if name.startswith("-") or "--plugins" in rest:
        return arguments if name not in ("run", "sweep") else [*arguments, "--dry-run"]
    if name not in NAMES:
        raise DlxError("there is no such command")
    try:
        given = commands.load(name).make_context(name, list(rest)).params
    except TyperException as error:
        if whole or type(error).__name__ != "MissingParameter":
            raise
        return []
    if (not rest and not whole) or set(ELSEWHERE) & set(rest):
        return []
    if name in ("run", "sweep"):
        return [name, *(one for one in rest if one != "--estimate"), "--dry-run"]
    if name == "tune":
        load_search(given["spec"], given["sets"] or [])
        return []
    if "-o" in rest and name in ("new", "experiments"):  # beside the files that are there, as often as pages say so
        at = arguments.index("-o") + 1
        return [*arguments[:at], f"made/{arguments[at]}", *arguments[at + 1 :], "--force"]
    if name == "new":
        return [*arguments, "--force"]
    return [one for one in arguments if one != "--open"]


@pytest.mark.parametrize("page", PAGES)
def test_the_specs_of_a_page_are_valid(page: str, folder: Path) -> None:
    """Whole ones and fragments, in blocks and in sentences."""
    keys = "|".join(Spec.model_fields)
    shown = [span for span in spans(page) if re.match(rf"(?:{keys}): [^…]+$", span)]
    for text in {*blocks(page, "yaml"), *shown} - PACKAGED:
        (folder / "shown.yaml").write_text(completed(text), encoding="utf-8")
        if text.startswith("slurm:"):
            assert executor("slurm", options("slurm", folder, folder / "shown.yaml"))
            continue
        try:
            experiment = checked(load(folder / "shown.yaml"))
        except DlxError as error:
            pytest.fail(f"{completed(text)}\n{error}")
        assert experiment.trials and experiment.trials[0].setting.dataset.sizes()["train"] > 0


def completed(text: str) -> str:
    """A fragment with the sections that it goes with."""
    more = next(sections for words, sections in MISSING.items() if re.search(words, text)).splitlines()
    return "\n".join([text, *(line for line in more if not re.search(rf"^{line.partition(':')[0]}:", text, re.M))])


@pytest.mark.parametrize("page", PAGES)
def test_flags_in_sentences_exist(page: str) -> None:
    known = {option for name in NAMES for param in commands.load(name).params for option in param.opts}
    of_dlx = " ".join(span for span in spans(page) if span.startswith(("dlx ", "--")) and span != "dlx --help")
    named = set(re.findall(r"(?<!\S)--[a-z][a-z-]*", of_dlx))
    assert not named - known - OTHERS


def test_every_page_is_looked_at() -> None:
    """The extraction finds what is there: every command is shown somewhere, and pages have specs."""
    found = {stood_in(line)[0] for page in PAGES for line, _ in commands_of(page)}
    assert set(NAMES) <= found
    assert len(PAGES) > 18 and sum(len(blocks(page, "yaml")) for page in PAGES) > 25


def test_every_way_of_making_data_is_named() -> None:
    for member, field in (("points", "shape"), ("function", "function")):
        for name in datasets.registry.get(member).model_fields[field].annotation.__args__:
            assert f"`{name}`" in text_of("docs/data.md")
