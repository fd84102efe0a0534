"""``dlx schema``."""

from __future__ import annotations


def schema() -> None:
    """Print the JSON Schema of specs.

    Editors that know it complete and check a spec while it is written.

    Example: dlx schema
    """
    import json

    from dlx.spec import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
