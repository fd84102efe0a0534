"""How every run of the program ends: messages, exit codes, pipes."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from dlx.cli import commands
from dlx.cli import main as program
from dlx.cli.main import main
from dlx.cli.options import Json
from dlx.errors import DataError, Problem, SpecError, TrialError

Raising = Callable[[BaseException], None]

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Raising:
    """Make ``dlx doctor`` raise what is given."""

    def install(error: BaseException) -> None:
        def doctor(as_json: Json = False) -> None:
            """Look."""
            raise error

        def load(name: str) -> object:
            app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
            app.command("doctor")(doctor)
            return typer.main.get_command(app)

        monkeypatch.setattr(commands, "load", load)

    return install


def test_help_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    for panel, names in commands.PANELS.items():
        assert f"{panel}:" in printed
        for name in names:
            assert f"\n  {name} " in printed


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from dlx import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"dlx {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rum"], "dlx: no command 'rum' (did you mean 'run'?)\n"),
        (["zzz"], "dlx: no command 'zzz' (available: check, "),
        (["doctor", "--jsn"], "dlx: no such option: --jsn"),
        (["run"], "dlx: missing argument 'SPEC' (see: dlx run --help)\n"),
        (["--bogus"], "dlx: no such option: --bogus (see: dlx --help)\n"),
        (["compare", "--format", "word"], "dlx: invalid value for '--format': 'word' is not one of 'table', 'csv'"),
    ],
)
def test_bad_usage_is_one_message(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(message)
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_problems_of_a_spec_are_lines_that_editors_read(raising: Raising, capsys: pytest.CaptureFixture[str]) -> None:
    problems = [
        Problem("unknown key 'deph' (did you mean 'depth'?)", ("model", "deph"), "a.yaml", 3, 5),
        Problem("must be ≥ 1", ("training", "epochs"), "a.yaml", 9, 11),
    ]
    raising(SpecError(problems))
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "a.yaml:3:5: model.deph: unknown key 'deph' (did you mean 'depth'?)",
        "a.yaml:9:11: training.epochs: must be ≥ 1",
    ]


def test_errors_as_json(raising: Raising, capsys: pytest.CaptureFixture[str]) -> None:
    raising(SpecError([Problem("must be ≥ 1", ("model", "blocks", 2), "a.yaml", 9, 11)]))
    assert main(["doctor", "--json"]) == 2
    given = json.loads(capsys.readouterr().err)
    assert given["schema"] == "dlx.error/1"
    assert given["error"]["problems"] == [
        {"file": "a.yaml", "line": 9, "column": 11, "path": "model.blocks[2]", "message": "must be ≥ 1"}
    ]
    assert given["error"]["exit_code"] == 2


def test_usage_errors_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--json"]) == 2
    assert json.loads(capsys.readouterr().err)["error"]["message"] == "missing argument 'SPEC'"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("mnist is not here", hint="dlx datasets mnist --download"), 2),
        (TrialError("out of memory"), 1),
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "No space left on device", "results/x"), 1),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a" * 300), 2),
    ],
)
def test_exit_codes(raising: Raising, error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    raising(error)
    assert main(["doctor"]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_faults_of_the_machine_name_the_file(raising: Raising, capsys: pytest.CaptureFixture[str]) -> None:
    raising(OSError(errno.ENOSPC, "No space left on device", "results/x"))
    main(["doctor"])
    assert capsys.readouterr().err == "dlx: No space left on device: results/x\n"


@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "--json"]])
def test_a_defect_is_called_one(raising: Raising, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    raising(ZeroDivisionError("division by zero"))
    assert main(arguments) == 1
    written = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in written
    assert "this is a defect in dlx" in written.splitlines()[-1]


def test_tracebacks_of_expected_errors_on_request(
    raising: Raising, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DLX_DEBUG", "1")
    raising(DataError("mnist is not here"))
    assert main(["doctor"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="pipes close differently there")
def test_a_reader_that_leaves_early_is_no_error() -> None:
    script = "import sys; from dlx.cli.main import entry; sys.argv = ['dlx', 'schema']; entry()"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    writer = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None and writer.stderr is not None
    writer.stdout.close()
    errors = writer.stderr.read()
    writer.stderr.close()
    assert writer.wait() == program.PIPE_CLOSED
    assert errors == ""
