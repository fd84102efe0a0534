"""Open sets: folders in which each module is one member, and packages that add more.

A member is a module with a class ``Spec`` (its settings and the code that builds it).
Its name is the module's file name, or the name of the entry point through which another
package registers it. Looking up names imports nothing; asking for a member imports that
member alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from functools import cached_property
from typing import Any, Generic, TypeVar

from dlx.errors import UsageError, nearest

Member = TypeVar("Member")


class UnknownMember(UsageError):
    """A name that is in no folder and no entry point; the message names the nearest ones."""


class OpenSet(Generic[Member]):
    """The members of one open set by name.

    ``kind`` is the noun used in messages (``model``), ``package`` the folder's import name
    and also the entry point group (``dlx.models``), ``contract`` the class that every
    member's ``Spec`` derives from.
    """

    def __init__(self, kind: str, package: str, contract: type[Member]) -> None:
        self.kind = kind
        self.package = package
        self.contract = contract
        self._loaded: dict[str, type[Member]] = {}

    @cached_property
    def _folder(self) -> dict[str, str]:
        search = importlib.util.find_spec(self.package)
        assert search is not None and search.submodule_search_locations is not None
        modules = pkgutil.iter_modules(list(search.submodule_search_locations))
        return {module.name: f"{self.package}.{module.name}" for module in modules if not module.name.startswith("_")}

    @cached_property
    def _entry_points(self) -> dict[str, Any]:
        from importlib.metadata import entry_points

        return {point.name: point for point in entry_points(group=self.package)}

    def names(self) -> list[str]:
        """All member names, sorted; no member is imported."""
        return sorted({**self._entry_points, **self._folder, **self._loaded})

    def add(self, name: str, member: type[Member]) -> None:
        """Register a member that is in no folder and no package; raises :class:`~dlx.errors.UsageError`."""
        if name in self.names():
            raise UsageError(f"there is a {self.kind} {name!r} already")
        self._loaded[name] = member

    def get(self, name: str) -> type[Member]:
        """The ``Spec`` class of a member.

        Raises :class:`UnknownMember` for a name nobody registered, and
        :class:`~dlx.errors.UsageError` for another package's member that does not load.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> type[Member]:
        if name in self._folder:
            found = importlib.import_module(self._folder[name]).Spec
        elif name in self._entry_points:
            point = self._entry_points[name]
            try:
                found = point.load()
            except Exception as error:  # another package's code: whatever it raises, it is that package's fault
                raise UsageError(f"{self.kind} {name!r} of {point.value} does not load: {error}") from error
            found = getattr(found, "Spec", found)
        else:
            raise UnknownMember(f"unknown {self.kind} {name!r}", hint=nearest(name, self.names()))
        if not (isinstance(found, type) and issubclass(found, self.contract)):
            raise UsageError(f"{self.kind} {name!r} is not a {self.contract.__name__}: {found!r}")
        return found
