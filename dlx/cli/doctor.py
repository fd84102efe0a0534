"""``dlx doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlx.cli.options import DataDir, Json

if TYPE_CHECKING:
    from dlx.doctor import Examination


def doctor(data_dir: DataDir = None, as_json: Json = False) -> int:
    """Versions, devices, data, and what is missing.

    Ends with exit code 1 if dlx cannot train here; an absent data set or extra is only told.

    Example: dlx doctor
    """
    from dlx.doctor import examine

    found = examine(data_dir)
    if as_json:
        import dataclasses

        from dlx import objects

        print(objects.text("doctor", dataclasses.asdict(found)))
    else:
        print("\n".join(_lines(found)))
    return 1 if found.broken else 0


def _lines(found: Examination) -> list[str]:
    def row(name: str, text: str) -> str:
        return f"  {name:<{width}}  {text}"

    extras = {f"{name} (extra {extra})": v for extra, names in found.extras.items() for name, v in names.items()}
    folders = {folder.label: folder for folder in found.folders}
    datasets = {dataset.name: dataset for dataset in found.datasets}
    width = max(map(len, [*found.packages, *extras, *folders, *datasets]))

    lines = [f"dlx {found.dlx}, Python {found.python}, {found.system}", "", "Packages"]
    lines += [row(name, version or "missing") for name, version in found.packages.items()]
    lines += [row(name, version or "not installed") for name, version in extras.items()]

    lines += ["", "Devices", row("CPU", f"{found.usable_cores} of {found.cores} cores")]
    lines += [row(f"GPU {i}", f"{gpu.name}, {gpu.memory / 2**30:.0f} GiB") for i, gpu in enumerate(found.gpus)]
    if not found.gpus:
        lines.append(row("GPU", "none"))

    lines += ["", "Data are looked for in"]
    for label, folder in folders.items():
        lines.append(row(label, f"{folder.path}{'' if folder.exists else ' (not there yet)'}"))
    lines.append("")
    for name, dataset in datasets.items():
        if dataset.path is not None:
            lines.append(row(name, str(dataset.path)))
        elif dataset.download_bytes:
            lines.append(row(name, f"absent; {dataset.download_bytes / 1e6:.0f} MB to download"))
        else:
            lines.append(row(name, "built in"))

    lines += (
        ["", "Missing", *(f"  {sentence}" for sentence in found.missing)]
        if found.missing
        else ["", "Nothing is missing."]
    )
    return lines
