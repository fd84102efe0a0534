"""``python -m dlx``: the command line without the installed script."""

from dlx.cli.main import entry

entry()
