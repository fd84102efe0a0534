"""Where data are looked for, and where they are put: the runtime's business, never the spec's."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[str, int, int], None]
"""Called as ``progress(file name, bytes so far, bytes in all)`` while a file is fetched."""


@dataclass(frozen=True)
class Places:
    """The folders that may hold data sets, in the order in which they are searched.

    ``data_dir`` is ``--data-dir``, ``environment`` is ``DLX_DATA``, ``cache`` the
    platform's cache folder (None where there is no home to hold one). ``download`` allows
    fetching what none of them holds; ``progress`` hears of it.
    """

    data_dir: Path | None = None
    environment: Path | None = None
    cache: Path | None = None
    download: bool = True
    progress: Progress | None = None

    @classmethod
    def here(
        cls, data_dir: Path | str | None = None, *, download: bool = True, progress: Progress | None = None
    ) -> Places:
        """The places of this process: ``data_dir``, then ``DLX_DATA``, then the platform's cache folder."""
        import platformdirs

        environment = os.environ.get("DLX_DATA")
        cache = Path(platformdirs.user_cache_dir("dlx", appauthor=False)) / "datasets"
        return cls(
            data_dir=_expanded(data_dir) if data_dir is not None else None,
            environment=_expanded(environment) if environment else None,
            cache=cache if cache.is_absolute() else None,
            download=download,
            progress=progress,
        )

    def folders(self) -> list[tuple[str, Path]]:
        """(what names it, folder) in search order, whether or not the folder exists."""
        named = [("--data-dir", self.data_dir), ("DLX_DATA", self.environment), ("cache", self.cache)]
        return [(label, folder) for label, folder in named if folder is not None]

    def for_downloads(self) -> list[Path]:
        """Folders that may receive a download, best first.

        ``DLX_DATA`` is not among them: it is usually shared, and somebody else's to fill.
        """
        return [folder for folder in (self.data_dir, self.cache) if folder is not None]


def _expanded(folder: Path | str) -> Path:
    try:
        return Path(folder).expanduser()
    except RuntimeError:  # nobody's home: the folder is not there, which is told where it matters
        return Path(folder)
