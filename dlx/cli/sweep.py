"""``dlx sweep``."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlx.cli.flags import Flags, with_flags
from dlx.errors import SpecError, UsageError, nearest

if TYPE_CHECKING:
    from dlx.spec import Experiment

DEFAULT_SEEDS = 3


@with_flags
def sweep(
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="AXIS[=VALUES]|SPEC",
            help="What is varied: depth, width, activation, initializer, optimizer, learning-rate, batch-size, "
            "dropout, normalization, pretraining, each with usual values, or any path of a spec with its VALUES: "
            "relu,tanh or 1..8 or log(1e-4,1e-1,7). Last, a spec; without one, a small study that comes with dlx.",
            show_default=False,
        ),
    ],
    flags: Flags,
    random: Annotated[
        int | None,
        typer.Option("--random", metavar="N", min=1, help="Draw N combinations of the axes instead of taking all."),
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="Write the spec that this amounts to, with all axes.")
    ] = None,
) -> int:
    """Vary settings of a net: every combination of the axes, with several seeds.

    An axis takes the place of the spec's of that name; the spec's other axes stay. Three seeds, unless --seeds or the
    spec says otherwise. A combination that is done is not run again, so axes and seeds can grow. Otherwise as dlx run.

    Example: dlx sweep depth=1..2 --seeds 1
    """
    from dlx.cli.loading import checked
    from dlx.cli.run import carry_out

    axes, spec = tell_apart(arguments)
    experiment = checked(load(axes, spec, flags, random))
    if save is not None:
        _save(experiment, arguments, save)
    settings = {repr(sorted(trial.parameters.items())) for trial in experiment.trials}
    return carry_out("sweep", [experiment], flags, pooled=len(settings) < len(experiment.trials))


def tell_apart(arguments: Sequence[str]) -> tuple[dict[str, str | None], Path | None]:
    """The axes with their values, None for the usual ones, and the spec if there is one.

    Raises :class:`~dlx.errors.UsageError` for two specs, an axis that is given twice or that
    needs values, and :class:`~dlx.errors.SpecError` for one that there is not.
    """
    from dlx import shipped
    from dlx.spec.axes import SHORT, USUAL, axis_path
    from dlx.spec.document import Place

    axes: dict[str, str | None] = {}
    spec: Path | None = None
    seen: dict[tuple[str, ...], str] = {}
    for argument in arguments:
        name, equals, values = argument.partition("=")
        usual = name.strip().replace("_", "-")
        if not equals and usual not in SHORT and _is_file(argument):
            if spec is not None:
                raise UsageError(f"two specs, {spec} and {argument}: a sweep takes one")
            spec = shipped.place(argument)
            continue
        try:
            path = axis_path(name.strip(), Place(argument))
        except SpecError:
            if equals:
                raise
            known = [*SHORT, *shipped.experiments(), *(str(file) for file in sorted(Path().glob("*.y*ml")))]
            message = f"{argument} is neither an axis nor the file of a spec"
            raise UsageError(message, hint=nearest(argument, known)) from None
        if path in seen:
            raise UsageError(f"{argument}: the axis {seen[path]} is given twice")
        if not equals and usual not in USUAL:
            raise UsageError(f"{argument} needs values", hint=f"for instance {argument}=1,2,3")
        seen[path] = usual
        axes[usual if usual in SHORT else name.strip()] = values if equals else None
    return axes, spec


def load(axes: Mapping[str, str | None], spec: Path | None, flags: Flags, random: int | None = None) -> Experiment:
    """The experiment that the command line asks for; raises :class:`~dlx.errors.SpecError`."""
    import dlx.spec
    from dlx.spec.axes import USUAL
    from dlx.spec.document import read
    from dlx.studies import study

    sets = flags.sets or []
    if spec is None and not axes:
        raise UsageError("nothing to vary", hint="see: dlx sweep --help")

    def loaded(axes: Mapping[str, str], seeds: str | None, random: int | None) -> Experiment:
        if spec is not None:
            return dlx.spec.load(
                spec, sets, axes, seeds, random=random, default_seeds=DEFAULT_SEEDS, cap=flags.cap, smoke=flags.smoke,
            )  # fmt: skip
        return dlx.spec.load_text(
            read(place)[0], sets, axes, seeds,
            name=_folder(axes), file=str(place), random=random, default_seeds=DEFAULT_SEEDS, cap=flags.cap,
            smoke=flags.smoke,
        )  # fmt: skip

    place = study(axes)
    values = {name: USUAL[name] if one is None else one for name, one in axes.items()}
    if "depth" in axes and axes["depth"] is None:
        # Without the axes it is as good as certain that the spec can be read, and which model it is about.
        with contextlib.suppress(SpecError):
            models = {type(trial.setting.model) for trial in loaded({}, None, None).trials}
            depths = {model.depths for model in models if model.depths}
            values["depth"] = depths.pop() if len(depths) == 1 else values["depth"]
    return loaded(values, flags.seeds, random)


def _is_file(argument: str) -> bool:
    """Whether an argument without ``=`` is meant as a spec, there or not."""
    from dlx.shipped import named

    looks_so = argument.lower().endswith((".yaml", ".yml")) or os.sep in argument or "/" in argument
    return looks_so or Path(argument).is_file() or named(argument) is not None


def _folder(axes: Mapping[str, str]) -> str:
    """``depth``, ``depth-activation``: the name of a study that comes with dlx."""
    names = [re.sub(r"[^A-Za-z0-9]+", "-", name.rsplit(".", 1)[-1]).strip("-") for name in axes]
    return "-".join(names)[:100].strip("-") or "sweep"


def _save(experiment: Experiment, arguments: Sequence[str], place: Path) -> None:
    """Write the spec; raises :class:`~dlx.errors.UsageError` where another file is in its place."""
    from dlx.errors import ResultsError
    from dlx.records import atomic

    said = " ".join(" ".join(arguments).split())
    text = f"# What `dlx sweep {said}` amounts to.\n{experiment.source}"
    if place.exists() and not (place.is_file() and place.read_bytes() == text.encode()):
        raise UsageError(f"--save {place}: there is something else of that name already")
    atomic.write_text(place, text, error=ResultsError)
