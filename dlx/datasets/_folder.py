"""A folder of images, gone through once: what is in it, what of it can be read, and the digest of that.

Every image is read whole and decoded the first time (its SHA-256 enters the folder's digest,
and what is damaged must be known before an example has a number). What was found is kept in
the cache folder by path, size and time, so that later looks cost a ``stat`` of each file.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import secrets
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from dlx.datasets._places import Places
from dlx.errors import FieldError

TRAIN, VALIDATION, TEST = ("train", "training"), ("val", "validation", "valid"), ("test", "testing")
"""What the folders of parts may be called."""

_HEAD = "dlx listing 1"
_SETTLED_S = 2.0
"""Younger files may be written again within the same tick of the clock that dates them."""

_AT_ONCE = 4096
"""Files that are gone through between two records of what was found: as many are lost where somebody stops it."""


class Seen(NamedTuple):
    """What was found out about a file: its kind (empty for one that cannot be read) or its trouble."""

    size: int
    time: int
    sha256: str
    kind: str
    height: int
    width: int
    trouble: str


@dataclass
class Part:
    """The readable images of a part: paths relative to the folder, in the order of their classes and names.

    ``labels``: the number of each one's class. ``unreadable``: (path, reason) of the others.
    """

    classes: tuple[str, ...]
    paths: list[str] = field(default_factory=list)
    labels: array[int] = field(default_factory=lambda: array("i"))
    counts: tuple[int, ...] = ()
    kinds: Counter[str] = field(default_factory=Counter)
    sides: Counter[int] = field(default_factory=Counter)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    empty: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing:
    """A folder of images: ``parts`` by what they are for (train, validation, test); train alone where it has none.

    ``loose``: images that lie in no folder of a class; ``beside``: folders that are neither of a part nor of a class.
    """

    root: Path
    parts: dict[str, Part]
    digest: str
    folders: tuple[tuple[str, int], ...]
    loose: int
    beside: tuple[str, ...]


def look(path: str) -> Listing:
    """What is in a folder of images; raises :class:`~dlx.errors.FieldError` at ``path``.

    Within a process it is looked through again when a file was added, removed or renamed.
    """
    kept = _looked().get(path)
    if kept is None or not _unchanged(kept.folders):
        kept = _looked()[path] = _look(Path(path))
    return kept


def digest(path: str) -> str:
    """The SHA-256 of the sorted relative paths of the readable images, each with the SHA-256 of its bytes."""
    return look(path).digest


def forget() -> None:
    """Look through folders anew from now on, as another process would."""
    _looked().clear()


@cache
def _looked() -> dict[str, Listing]:
    return {}


def _unchanged(folders: Sequence[tuple[str, int]]) -> bool:
    with contextlib.suppress(OSError):
        return all(Path(path).stat().st_mtime_ns == time for path, time in folders)
    return False


def _look(root: Path) -> Listing:
    try:
        tops = _folders(root)
    except OSError as error:
        if root.is_file():
            raise _wrong(f"{root} is a file: a folder is wanted, with a folder for the images of each class") from None
        raise _wrong(f"cannot read {root}: {error.strerror or error}") from None
    folders: dict[str, int] = {str(root): root.stat().st_mtime_ns}
    found: dict[str, dict[str, list[str]]] = {}
    places = _parts(root, tops)
    for part, top in places.items():
        folders[str(top)] = top.stat().st_mtime_ns
        found[part] = {name: _images(root, top / name, folders) for name in _folders(top)}
        if not found[part]:
            raise _without_classes(top)
    files = _gone_through(root, [path for classes in found.values() for paths in classes.values() for path in paths])
    parts = {part: _part(classes, files) for part, classes in found.items()}
    readable = sorted(path for part in parts.values() for path in part.paths)
    content = hashlib.sha256()
    for path in readable:
        content.update(f"{path} {files[path].sha256}\n".encode("utf-8", "surrogateescape"))
    loose = sum(_directly(folder) for folder in {root, *places.values()})
    beside = () if root in places.values() else tuple(name for name in tops if root / name not in places.values())
    return Listing(root, parts, content.hexdigest(), tuple(folders.items()), loose, beside)


def _parts(root: Path, tops: Sequence[str]) -> dict[str, Path]:
    """The folders of the parts, where there are any; a ``train`` that holds images itself is a class of that name."""

    def called(names: Sequence[str]) -> Path | None:
        found = [name for name in tops if name.lower() in names]
        if len(found) > 1:
            raise _wrong(f"{root} has {' and '.join(found)}: which of them is it?")
        return root / found[0] if found and _folders(root / found[0]) else None

    train, validation, test = called(TRAIN), called(VALIDATION), called(TEST)
    if train is None:
        if validation is not None and validation.name.lower() in VALIDATION:
            raise _wrong(f"{root} has {validation.name} and no train: there is nothing to train on")
        return {"train": root}
    named = {"train": train, "validation": validation, "test": test}
    return {part: folder for part, folder in named.items() if folder is not None}


def _folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith((".", "__")))


def _images(root: Path, folder: Path, folders: dict[str, int]) -> list[str]:
    """The image files of a class, those in folders within included, in the order of their names."""
    from dlx.images import SUFFIXES

    found = []
    for place, inside, names in os.walk(folder):
        inside.sort()
        folders[place] = Path(place).stat().st_mtime_ns
        below = Path(place).relative_to(root)
        found += [
            (below / name).as_posix()
            for name in sorted(names)
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    return found


def _directly(folder: Path) -> int:
    """How many images lie in a folder itself."""
    from dlx.images import SUFFIXES

    with os.scandir(folder) as entries:
        return sum(entry.name.lower().endswith(SUFFIXES) and not entry.name.startswith(".") for entry in entries)


def _without_classes(top: Path) -> FieldError:
    images = _directly(top)
    what = f"{images:,} images lie in it directly" if images else "it holds no folder at all"
    return _wrong(f"{top} has no classes: {what}, and a folder for the images of each class is wanted")


def _part(classes: dict[str, list[str]], files: dict[str, Seen]) -> Part:
    names = tuple(name for name, paths in classes.items() if paths)
    part = Part(names, empty=tuple(name for name, paths in classes.items() if not paths))
    counts = []
    for label, name in enumerate(names):
        before = len(part.paths)
        for path in classes[name]:
            seen = files[path]
            if seen.trouble:
                part.unreadable.append((path, seen.trouble))
                continue
            part.paths.append(path)
            part.labels.append(label)
            part.kinds[seen.kind] += 1
            part.sides[min(seen.height, seen.width)] += 1
        counts.append(len(part.paths) - before)
    part.counts = tuple(counts)
    return part


def _gone_through(root: Path, paths: Sequence[str]) -> dict[str, Seen]:
    """What is known of each file, from the cache folder or by reading it."""
    from dlx.images import in_parallel

    kept = _kept_at(root)
    known = _read(kept) if kept else {}
    found: dict[str, Seen] = {}
    new = []
    for path in paths:
        before = known.get(path)
        with contextlib.suppress(OSError):  # of a link to nowhere, say: why is told when it is read
            about = (root / path).stat()
            if before is not None and (before.size, before.time) == (about.st_size, about.st_mtime_ns):
                found[path] = before
                continue
        new.append(path)
    for start in range(0, len(new), _AT_ONCE):
        batch = new[start : start + _AT_ONCE]
        found |= dict(zip(batch, in_parallel(_seen, (root / path for path in batch)), strict=True))
        if kept:
            _write(kept, found)
    return found


def _seen(path: Path) -> Seen:
    from dlx.images import Unreadable, kind_of

    try:
        about = path.stat()
        content = path.read_bytes()
    except OSError as error:
        return Seen(-1, -1, "", "", 0, 0, f"cannot be read: {error.strerror or error}")
    at = about.st_size, about.st_mtime_ns
    try:
        kind, height, width = kind_of(content)
    except Unreadable as error:
        reason = " ".join(str(error).split())
        return Seen(*at, "", "", 0, 0, reason)
    return Seen(*at, hashlib.sha256(content).hexdigest(), kind, height, width, "")


def _kept_at(root: Path) -> Path | None:
    folder = Places.here().cache
    if folder is None:
        return None
    name = hashlib.sha256(os.path.abspath(root).encode("utf-8", "surrogateescape")).hexdigest()  # noqa: PTH100
    return folder / "listings" / f"{name[:32]}.tsv"


def _read(path: Path) -> dict[str, Seen]:
    """Only a convenience: whatever is wrong with it means going through the files again."""
    found = {}
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
            if next(lines, "").rstrip("\n") != _HEAD:
                return {}
            for line in lines:
                name, size, date, sha256, kind, height, width, trouble = line.rstrip("\n").split("\t")
                found[name] = Seen(int(size), int(date), sha256, kind, int(height), int(width), trouble)
    except (OSError, ValueError):
        return {}
    return found


def _write(path: Path, found: dict[str, Seen]) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            file.writelines(itertools.chain([f"{_HEAD}\n"], _lines(found)))
        aside.replace(path)


def _lines(found: dict[str, Seen]) -> Iterator[str]:
    settled = time.time_ns() - int(_SETTLED_S * 1e9)
    for name, seen in found.items():
        if 0 <= seen.time < settled and not {"\t", "\n"} & set(name):
            yield "\t".join(map(str, (name, *seen))) + "\n"


def _wrong(message: str) -> FieldError:
    return FieldError(message, ("path",))
