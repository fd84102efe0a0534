"""Sets with a name that the world agrees on: found in any container, fetched if absent, verified by digest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from dlx.datasets import DatasetInfo, InMemory, Places
from dlx.datasets._containers import Container
from dlx.downloads import Remote, fetch_all
from dlx.errors import DataError

if TYPE_CHECKING:
    from dlx.sources import Official


def content_digest(official: Official) -> str:
    """The digest of the decoded arrays (:meth:`dlx.sources.Official.digest`)."""
    return official.digest()


@dataclass(frozen=True)
class Files:
    """Where a registered set comes from and how its content is known.

    ``containers`` in the order in which they are preferred; ``downloads`` are the official
    files, which together make up one of the containers. ``digest_of`` is what ``digest`` was
    computed with. ``slow`` marks sets that take seconds to decode: their arrays are kept in
    the cache folder once decoded.
    """

    containers: tuple[Container, ...]
    downloads: tuple[Remote, ...]
    digest: str
    digest_of: Callable[[Official], str] = content_digest
    slow: bool = False


@dataclass(frozen=True)
class _Found:
    container: Container
    path: Path
    shared: bool


class Registered(InMemory):
    """A published set with facts and a digest that are constants in the code.

    A set with several kinds of labels has ``whole`` and ``relabelled`` of its own.
    """

    about: ClassVar[DatasetInfo]
    files: ClassVar[Files]

    def whole(self) -> DatasetInfo:
        return self.about

    def relabelled(self, official: Official) -> Official:
        """The verified arrays with the labels that are asked for."""
        return official

    def digest(self) -> str:
        return self.files.digest

    @classmethod
    def wanted(cls) -> tuple[str, ...]:
        return tuple(container.wanted() for container in cls.files.containers)

    @classmethod
    def download_bytes(cls) -> int:
        return sum(remote.bytes for remote in cls.files.downloads)

    @classmethod
    def find(cls, places: Places) -> Path | None:
        return next((found.path for found in cls._found(places)), None)

    @classmethod
    def fetch(cls, places: Places) -> Path | None:
        return cls._fetched(places).path

    def official(self, places: Places) -> Official:
        from dlx.datasets import _decoded

        if self.files.slow and places.cache is not None:
            kept = _decoded.load(places.cache, self.name, self.files.digest, self.files.digest_of)
            if kept is not None:
                return self.relabelled(kept)
        official = self._read(places)
        if self.files.slow and places.cache is not None:
            _decoded.save(places.cache, self.name, self.files.digest, official)
        return self.relabelled(official)

    def _read(self, places: Places) -> Official:
        refused: DataError | None = None
        for found in self._found(places):
            try:
                return self._verified(found.container, found.path)
            except DataError as error:
                if not found.shared:
                    raise
                refused = refused or error  # perhaps another set of the same file names: look further
        if refused is not None:
            raise refused
        if not places.download:
            raise self._absent(places)
        fetched = self._fetched(places)
        return self._verified(fetched.container, fetched.path)

    @classmethod
    def _found(cls, places: Places) -> list[_Found]:
        found = []
        for _, folder in places.folders():
            for container in cls.files.containers:
                path = container.find(folder)
                if path is not None:
                    found.append(_Found(container, path, container.shared(path, folder)))
        return found

    @classmethod
    def _fetched(cls, places: Places) -> _Found:
        folder = fetch_all(cls.files.downloads, places.for_downloads(), places.progress)
        first = folder / cls.files.downloads[0].path
        for container in cls.files.containers:
            path = container.find(folder)
            if path in (first, first.parent):  # and not another container that has been there before
                return _Found(container, path, shared=False)
        raise AssertionError(f"{cls.__module__}: its downloads make up none of its containers")

    def _verified(self, container: Container, path: Path) -> Official:
        hint = f"move it away and fetch the official one: dlx datasets {self.name} --download"
        try:
            official = container.read(path, self.about)
        except DataError as error:
            raise DataError(error.message, hint=error.hint or hint) from error
        digest = self.files.digest_of(official)
        if digest != self.files.digest:
            raise DataError(
                f"{path} is not {self.facts.title}: the digest of its content is {digest[:12]}…, "
                f"not {self.files.digest[:12]}…",
                hint=f"it is damaged, or another data set under this name; {hint}",
            )
        return official

    def _absent(self, places: Places) -> DataError:
        looked = ", ".join(f"{label} {folder}" for label, folder in places.folders()) or "no folder"
        names = " or ".join(self.wanted())
        return DataError(
            f"{self.name} is not here: looked for {names} in {looked}",
            hint=f"dlx datasets {self.name} --download, or --data-dir DIR, or DLX_DATA",
        )
