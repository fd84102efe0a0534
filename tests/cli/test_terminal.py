"""What a person sees: the program in a real terminal (tmux), read off its screen."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.waiting import until

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")


class Terminal:
    """A tmux session of its own, 80 × 24, with a shell command running in it."""

    def __init__(self, socket: str, command: str, cwd: Path) -> None:
        self._tmux = ["tmux", "-L", socket, "-f", os.devnull]
        # the screen outlives the command, so that its end can be read too
        script = f"{command}; echo exit code $?; sleep 3600"
        environment = ["-e", f"PYTHONPATH={ROOT}", "-e", "CI=", "-e", "LC_ALL=C.UTF-8"]
        size = ["-x", "80", "-y", "24", "-c", str(cwd)]
        subprocess.run([*self._tmux, "-u", "new-session", "-d", *size, *environment, script], check=True)

    def screen(self) -> str:
        return subprocess.run(
            [*self._tmux, "capture-pane", "-p"], check=True, capture_output=True, text=True, encoding="utf-8"
        ).stdout

    def press(self, key: str) -> None:
        subprocess.run([*self._tmux, "send-keys", key], check=True)

    def wait_for(self, *texts: str) -> str:
        """The screen as soon as all of the texts are on it."""
        screen = ""

        def are_there() -> bool:
            nonlocal screen
            screen = self.screen()
            return all(text in screen for text in texts)

        until(are_there, every=0.1, what=lambda: f"{texts} on the screen\n{screen}")
        return screen

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        command = shlex.join([sys.executable, "-m", "dlx", *arguments])
        opened.append(Terminal(f"dlx-{uuid.uuid4().hex[:8]}", command, tmp_path))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def test_vanishing_is_something_one_sees_and_interruption_loses_nothing(
    terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    spec = str(ROOT / "experiments" / "quickstart.yaml")
    arguments = ["run", spec, "--set", "model.depth=3"]
    first = terminal(*arguments, "--set", "training.epochs=100000")
    screen = first.wait_for("‖∂L/∂b‖ over 1,000 training images", "accuracy train", "(log scale)", "epoch")
    layers = [line for line in screen.splitlines() if line.startswith(("1  dense_1", "2  dense_2", "3  dense_3"))]
    assert len(layers) == 3
    assert "trials  0/1" in screen

    first.press("C-c")
    screen = first.wait_for("exit code 130")
    assert "the same command goes on from there" in screen
    assert "(log scale)" not in screen, "the display leaves when it is over"
    assert "interrupted" in screen

    again = terminal(*arguments, "--set", "training.epochs=100000", "--max-time", "1s")
    screen = again.wait_for("exit code 143")
    assert "interrupted" in screen
    assert len(list((tmp_path / "results" / "quickstart" / "trials").iterdir())) == 1


def test_the_table_of_nets_is_cut_to_the_terminal(terminal: Callable[..., Terminal]) -> None:
    screen = terminal("models", "vgg", "--table").wait_for("exit code 0").splitlines()
    assert screen[0].split() == ["net", "year", "parameters", "multiply-adds", "FLOPs", "top-1%", "top-5%"]
    figures = ["138,357,544", "15,470,264,320", "30,940,528,640", "71.3", "90.1"]
    assert screen[2].split() == ["VGG-16", "2014", *figures]
    assert screen[3].startswith("  224x224x3: 3x3 convolutions alone; published: parameters 138 million;")
