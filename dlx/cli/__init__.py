"""The command line: one thin module per command, which imports what it runs when it runs."""
