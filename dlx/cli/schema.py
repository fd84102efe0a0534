"""``dlx schema``."""

from __future__ import annotations

from dlx.cli.options import Plugins


def schema(plugins: Plugins = None) -> None:
    """Print the JSON Schema of specs.

    Editors that know it complete and check a spec while it is written.

    Example: dlx schema
    """
    import json

    from dlx.spec import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
