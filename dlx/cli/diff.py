"""``dlx diff``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlx.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlx.analysis.diff import Difference, Different, Gap, Parting, TableDifference
    from dlx.analysis.trials import Trial

MOST_LAYERS = 6
MOST_PATHS = 40


def diff(
    a: Annotated[str, typer.Argument(metavar="A", help="A trial: an id, NAME:depth=4,seed=0, best@NAME, a directory.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The trial to compare it with.")],
    tolerance: Annotated[
        float, typer.Option("--tolerance", metavar="X", min=0.0, help="Relative difference that counts as none.")
    ] = 0.0,
    results: Annotated[
        Path, typer.Option("--results", metavar="DIR", envvar="DLX_RESULTS", help="Where experiments are looked up.")
    ] = Path("results"),
    as_json: Json = False,
) -> int:
    """What tells two trials apart: settings, surroundings, and where their curves part.

    Settings are compared path by path, then what the trials ran with (versions, device, threads, commit). Of each table
    that both have, the first epoch in which a number differs is told, with the layers concerned, and how its columns
    end. Across engines and devices numbers differ by rounding: --tolerance 1e-4 passes over that.

    Example: dlx diff quickstart:depth=1 quickstart:depth=2
    """
    from dlx.analysis.diff import diff as compare
    from dlx.analysis.selectors import one

    found = compare(one(a, results), one(b, results), tolerance)
    if as_json:
        _print_json(found, tolerance)
    else:
        print("\n".join(lines(found, tolerance)))
    return 0


def lines(found: Difference, tolerance: float) -> list[str]:
    """What is printed."""
    output = [f"A  {_named(found.a)}", f"B  {_named(found.b)}", ""]
    output += _section("setting", found.setting, "the same")
    output += _section("environment", found.environment, "the same")
    within = f" within {tolerance:g}" if tolerance else ""
    for table in found.tables:
        output += ["", *_table(table, within)]
    for name, tables in (("A", found.only_a), ("B", found.only_b)):
        if tables:
            output.append(f"only {name} has {', '.join(f'{table}.csv' for table in tables)}")
    return output + [f"not compared: {sentence}" for sentence in found.damaged]


def _named(trial: Trial) -> str:
    standing = "" if trial.state == "done" else f", {trial.state}"
    return f"{trial.experiment} {trial.id} (seed {trial.seed}{standing})"


def _section(title: str, differences: Sequence[Different], same: str) -> list[str]:
    if not differences:
        return [f"{title}: {same}"]
    decisive = [one for one in differences if one.decides]
    others = [one for one in differences if not one.decides]
    output = [f"{title}:" if decisive else f"{title}: {same} in what decides the numbers"]
    for group in (decisive, others):
        width = max((len(one.path) for one in group), default=0)
        output += [f"  {one.path:<{width}}  {_shown(one.a)} → {_shown(one.b)}" for one in group[:MOST_PATHS]]
        if len(group) > MOST_PATHS:
            output.append(f"  and {len(group) - MOST_PATHS} more")
    return output


def _shown(value: Any) -> str:
    from dlx.analysis.settings import shown

    text = shown(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _table(table: TableDifference, within: str) -> list[str]:
    rows = f"{table.shared:,} rows"
    if table.parting is None:
        output = [f"{table.name}: the same{within} in all {rows} that both have"]
    else:
        output = [f"{table.name}: parts {_when(table.parting)}{_layers(table.parting)}"]
        output += [f"  {line}" for line in _gap_lines(table.parting)]
    if table.only_a or table.only_b:
        output.append(f"  only A has {table.only_a:,} rows more, only B {table.only_b:,}")
    if table.last and table.parting is not None:
        differing = [gap for gap in table.last if gap.a != gap.b]
        output.append("  at the last epoch that both have:")
        output += [f"  {line}" for line in _aligned(differing)]
    return output


def _when(parting: Parting) -> str:
    stage = "" if parting.stage in ("", "train") else f" of stage {parting.stage}"
    if parting.epoch == 0 and not parting.step:
        return f"before training{stage}"
    return f"in epoch {parting.epoch}{stage}"


def _layers(parting: Parting) -> str:
    layers = parting.layers
    if not layers:
        return ""
    if len(layers) > MOST_LAYERS:
        layers = (*layers[: MOST_LAYERS - 1], "…", layers[-1])
    return f", in {', '.join(layers)}"


def _gap_lines(parting: Parting) -> list[str]:
    """Each column of a table without layers; of one with layers the first layer's, and what differs most."""
    if not parting.layers:
        return _aligned(parting.gaps)
    first = parting.gaps[0]
    widest = parting.widest
    return [f"first: {_gap(first)}", *([f"most:  {_gap(widest)}"] if widest is not first else [])]


def _gap(gap: Gap) -> str:
    where = ", ".join(gap.where[key] for key in ("name", "parameter", "source", "unit", "quantity") if key in gap.where)
    return f"{where}: {gap.column} {_number(gap.a)} → {_number(gap.b)}{_relative(gap)}"


def _aligned(gaps: Sequence[Gap]) -> list[str]:
    width = max((len(gap.column) for gap in gaps), default=0)
    return [f"  {gap.column:<{width}}  {_number(gap.a)} → {_number(gap.b)}{_relative(gap)}" for gap in gaps]


def _relative(gap: Gap) -> str:
    import math

    return f"  ({gap.relative:.1e} of it)" if math.isfinite(gap.relative) and gap.relative < 0.001 else ""


def _number(value: float) -> str:
    return f"{value:.7g}"


def _print_json(found: Difference, tolerance: float) -> None:
    from dlx import objects

    content = {
        "tolerance": tolerance,
        "a": _trial(found.a),
        "b": _trial(found.b),
        "setting": [_different(one) for one in found.setting],
        "environment": [_different(one) for one in found.environment],
        "tables": [
            {
                "table": table.name,
                "rows": table.shared,
                "rows_only_a": table.only_a,
                "rows_only_b": table.only_b,
                "parting": _parting(table.parting),
                "last": [_gap_object(gap) for gap in table.last],
            }
            for table in found.tables
        ],
        "tables_only_a": list(found.only_a),
        "tables_only_b": list(found.only_b),
        "damaged": list(found.damaged),
    }
    print(objects.text("diff", content))


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "id": trial.id,
        "experiment": trial.experiment,
        "directory": str(trial.path),
        "state": trial.state,
        "seed": trial.seed,
    }


def _different(one: Different) -> dict[str, Any]:
    from dlx.analysis.settings import ABSENT

    sides = {name: value for name, value in (("a", one.a), ("b", one.b)) if value is not ABSENT}
    return {"path": one.path, **sides, "decides": one.decides}


def _parting(parting: Parting | None) -> dict[str, Any] | None:
    if parting is None:
        return None
    return {
        "stage": parting.stage,
        "epoch": parting.epoch,
        "step": parting.step,
        "layers": list(parting.layers),
        "gaps": [_gap_object(gap) for gap in parting.gaps],
    }


def _gap_object(gap: Gap) -> dict[str, Any]:
    return {"column": gap.column, **gap.where, "a": gap.a, "b": gap.b, "relative": gap.relative}
