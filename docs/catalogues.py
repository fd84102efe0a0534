"""Keeps the catalogues of translations: gathers the sentences that are marked, and compiles what is translated.

    python docs/catalogues.py            new sentences into every .po, empty; gone ones out; .mo compiled
    python docs/catalogues.py --check    say what is stale or not translated

To add a language, make ``dlx/locale/CODE/LC_MESSAGES/dlx.po`` with a header and run this.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "dlx"
CATALOGUES = sorted((PACKAGE / "locale").glob("*/LC_MESSAGES/dlx.po"))
_METHODS = [("**.py", "python"), ("**/page.html", "jinja2")]
_KEYWORDS = {"_": None, "plural": (1, 2)}


def marked() -> Catalog:
    """Every sentence that ``_`` or ``plural`` is given, with the files it stands in."""
    catalog = Catalog()
    found = extract_from_dir(str(PACKAGE), _METHODS, keywords=_KEYWORDS)
    for name, _line, sentence, _comments, _context in sorted(found, key=lambda one: (one[0], one[1])):
        catalog.add(sentence, locations=[(f"dlx/{Path(name).as_posix()}", None)])
    return catalog


def read(path: Path) -> Catalog:
    """A catalogue as it is written."""
    with path.open("rb") as file:
        return read_po(file)


def compiled(catalog: Catalog) -> bytes:
    """The ``.mo`` of a catalogue."""
    content = io.BytesIO()
    write_mo(content, catalog)
    return content.getvalue()


def renewed(path: Path) -> bytes:
    """A catalogue's ``.po`` with the sentences that are marked now, and their translations as far as there are any."""
    catalog, template = read(path), marked()
    template.creation_date = catalog.creation_date
    catalog.update(template, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    content = io.BytesIO()
    write_po(content, catalog, width=110, omit_header=False, sort_output=False)
    return content.getvalue()


def problems() -> list[str]:
    """What is wrong with the catalogues, a line each."""
    found = []
    for path in CATALOGUES:
        name = path.relative_to(ROOT).as_posix()
        if renewed(path) != path.read_bytes():
            found.append(f"{name} is stale")
        if path.with_suffix(".mo").read_bytes() != compiled(read(path)):
            found.append(f"{name} is not what its .mo was compiled of")
        for message in read(path):
            texts = message.string if isinstance(message.string, tuple) else (message.string,)
            if message.id and not all(texts):
                found.append(f"{name}: not translated: {message.id}")
    return found


if __name__ == "__main__":
    if sys.argv[1:] != ["--check"]:
        for place in CATALOGUES:
            place.write_bytes(renewed(place))
            place.with_suffix(".mo").write_bytes(compiled(read(place)))
    print("\n".join(problems()))
    sys.exit(bool(problems()))
