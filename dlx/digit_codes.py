"""The ten digits drawn 7 wide, 12 high: LeNet-5's target codes, values ±1.

LeCun et al. 1998, section II.B: the parameters of the output layer were "designed to
represent a stylized image of the corresponding character class drawn on a 7x12 bitmap".
The paper shows its bitmaps in figure 3 without listing them; these are drawn after it.
"""

from __future__ import annotations

_DIGITS = (
    """
    ..###..
    .##.##.
    ##...##
    ##...##
    ##...##
    ##...##
    ##...##
    ##...##
    ##...##
    .##.##.
    ..###..
    .......
    """,
    """
    ...##..
    ..###..
    .####..
    ...##..
    ...##..
    ...##..
    ...##..
    ...##..
    ...##..
    ...##..
    .######
    .......
    """,
    """
    .#####.
    ##...##
    ##...##
    .....##
    ....##.
    ...##..
    ..##...
    .##....
    ##.....
    ##.....
    #######
    .......
    """,
    """
    #######
    .....##
    ....##.
    ...##..
    ..###..
    ....##.
    .....##
    .....##
    .....##
    ##...##
    .#####.
    .......
    """,
    """
    ....##.
    ...###.
    ..####.
    .##.##.
    ##..##.
    ##..##.
    #######
    #######
    ....##.
    ....##.
    ....##.
    .......
    """,
    """
    #######
    ##.....
    ##.....
    ##.....
    ##.###.
    ###..##
    .....##
    .....##
    .....##
    ##...##
    .#####.
    .......
    """,
    """
    ..####.
    .##....
    ##.....
    ##.....
    ##.###.
    ###..##
    ##...##
    ##...##
    ##...##
    .##..##
    ..####.
    .......
    """,
    """
    #######
    #....##
    .....##
    ....##.
    ....##.
    ...##..
    ...##..
    ..##...
    ..##...
    .##....
    .##....
    .......
    """,
    """
    .#####.
    ##...##
    ##...##
    ##...##
    .#####.
    .#####.
    ##...##
    ##...##
    ##...##
    ##...##
    .#####.
    .......
    """,
    """
    .#####.
    ##...##
    ##...##
    ##...##
    ##...##
    .######
    .....##
    .....##
    .....##
    ....##.
    .####..
    .......
    """,
)

WIDTH, HEIGHT = 7, 12


def codes(classes: int) -> list[list[float]]:
    """The codes of the first ``classes`` digits, (classes, 84), rows of the bitmap one after the other."""
    return [[1.0 if mark == "#" else -1.0 for mark in "".join(digit.split())] for digit in _DIGITS[:classes]]
