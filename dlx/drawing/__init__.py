"""What the kinds of charts share: tidy tables, themes, colours, axes, and how a picture becomes a file.

Below :mod:`dlx.charts`. Altair is imported where it is used.
"""
