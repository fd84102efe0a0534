"""Files and folders of one's own: known by the digest of their bytes, found where a spec or an old trial says.

Or elsewhere, where that has the same digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from dlx.datasets import _folder
from dlx.datasets._places import Places
from dlx.errors import FieldError

LARGE = 64 << 20
"""Bytes of a file whose content is not kept in memory between a look at it and the training."""

_WORTH_KEEPING = 8 << 20
_SETTLED_S = 2.0
"""Younger files may be written again within the same tick of the clock that dates them."""


@cache
def _known() -> dict[tuple[str, int, int], str]:
    return {}


def version(path: str, field: str = "path") -> tuple[str, int, int]:
    """Path, size and time of a file, which stand for its content within a process.

    Raises :class:`~dlx.errors.FieldError` where there is no such file, at ``field``.
    """
    try:
        found = Path(path).stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FieldError(f"cannot read {path}: {reason}", (field,)) from None
    if not os.path.isfile(path):  # noqa: PTH113  # as stat: a path that pathlib cannot make sense of is no file
        raise FieldError(f"{path} is not a file", (field,))
    return str(path), found.st_size, found.st_mtime_ns


def digest(path: str, field: str = "path") -> str:
    """The SHA-256 of a file's bytes, computed once for each size and time of it; of a folder, that of its images.

    Of large files it is kept in the cache folder. Raises :class:`~dlx.errors.FieldError`.
    """
    if os.path.isdir(path):  # noqa: PTH112  # as in `version`
        return _folder.digest(path)
    at = version(path, field)
    if at not in _known():
        kept = _kept(at)
        content = _read(kept) if kept else None
        if content is None:
            try:
                with Path(path).open("rb") as stream:
                    content = hashlib.file_digest(stream, "sha256").hexdigest()
            except OSError as error:
                raise FieldError(f"cannot read {path}: {error.strerror or error}", (field,)) from None
            if kept and time.time() - at[2] / 1e9 > _SETTLED_S:
                _write(kept, content)
        _known()[at] = content
    return _known()[at]


def digest_of_several(paths: Mapping[str, str | None]) -> str:
    """One digest for files by field: that of the bytes where there is one file, else of the digests."""
    found = {field: digest(path, field) for field, path in paths.items() if path is not None}
    if len(found) == 1:
        return next(iter(found.values()))
    return hashlib.sha256("".join(f"{field} {each}\n" for field, each in found.items()).encode()).hexdigest()


def resolve(path: str, folder: Path) -> str:
    """A path of a spec as an absolute one: relative to ``folder``, else below ``DLX_DATA`` where only that has it."""
    with contextlib.suppress(RuntimeError):  # nobody's home
        path = str(Path(path).expanduser())
    place = Path(os.path.abspath(folder / path))  # noqa: PTH100  # links are the person's: resolve() would follow them
    environment = Places.here().environment
    if not place.exists() and environment is not None and (environment / path).exists():
        return os.path.abspath(environment / path)  # noqa: PTH100
    return str(place)


def find_again(paths: Mapping[str, str], wanted: str, trial: Path) -> dict[str, str] | None:
    """Files of an old trial by field, wherever they are now; None where nothing has the digest ``wanted``.

    Looked for where they were, then by the end of that path below the folders above
    ``trial`` (a project that was moved or copied as a whole), then by name in ``DLX_DATA``
    and the cache folder.
    """
    candidates = [list(_candidates(path, trial)) for path in paths.values()]
    for chosen in itertools.product(*candidates):
        found = dict(zip(paths, map(str, chosen), strict=True))
        with contextlib.suppress(FieldError):
            if digest_of_several(found) == wanted:
                return found
    return None


def _candidates(path: str, trial: Path) -> Iterator[Path]:
    given = Path(path)
    tails = [Path(*given.parts[-length:]) for length in range(1, min(len(given.parts), 8))]
    places = [given]
    places += [folder / tail for folder in Path(os.path.abspath(trial)).parents for tail in reversed(tails)]  # noqa: PTH100
    places += [folder / tail for _, folder in Places.here().folders() for tail in reversed(tails)]
    # Folders are only gone through where one may be meant.
    files = given.is_file() or given.suffix.lower() in (".csv", ".tsv", ".txt", ".npz")
    return (place for place in dict.fromkeys(places) if (place.is_file() if files else place.exists()))


def _kept(at: tuple[str, int, int]) -> Path | None:
    """Where the digest of a large file is kept."""
    cache_folder = Places.here().cache
    if at[1] < _WORTH_KEEPING or cache_folder is None:
        return None
    name = hashlib.sha256(json.dumps([os.path.abspath(at[0]), *at[1:]]).encode()).hexdigest()  # noqa: PTH100
    return cache_folder / "digests" / name


def _read(path: Path) -> str | None:
    try:
        text = path.read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    return text if len(text) == 64 and set(text) <= set("0123456789abcdef") else None


def _write(path: Path, content: str) -> None:
    """Only a convenience: where it cannot be kept, the file is read again."""
    aside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(content, "ascii")
        aside.replace(path)
