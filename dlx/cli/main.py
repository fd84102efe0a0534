"""The program ``dlx``: which commands there are, and how every run of it ends.

This is the only place that turns an exception into a message and an exit code.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer

from dlx import objects
from dlx.cli.commands import program
from dlx.errors import DlxError, Problem, SpecError, UsageError, dotted

INTERRUPTED = 130
PIPE_CLOSED = 141  # what a shell reports for a program that SIGPIPE ended

# the machine's faults, which are not defects of dlx: a full or read-only disk, missing permission, exhausted handles
_FAULTS_OF_THE_MACHINE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
}
# what no file system takes as a name of a file: somebody gave it
_FAULTS_OF_A_NAME = {errno.ENAMETOOLONG, errno.ELOOP}


def entry() -> None:
    """The installed script."""
    sys.exit(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; nothing that a user can cause escapes as an exception."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given[: given.index("--")] if "--" in given else "--json" in given
    try:
        commands = program()
        with commands.make_context("dlx", given or ["--help"]) as context:
            code = commands.invoke(context)
        sys.stdout.flush()
    except typer.Exit as stop:
        return stop.exit_code
    except DlxError as error:
        _report(error, as_json)
        return error.exit_code
    except typer.TyperException as error:
        _report(_usage(error), as_json)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return PIPE_CLOSED
    except OSError as error:
        if error.errno not in _FAULTS_OF_THE_MACHINE | _FAULTS_OF_A_NAME:
            return _defect(as_json)
        where = f": {error.filename}" if error.filename else ""
        fault = UsageError if error.errno in _FAULTS_OF_A_NAME else DlxError
        _report(fault(f"{error.strerror}{where}"), as_json)
        return fault.exit_code
    except Exception:
        return _defect(as_json)
    return code if isinstance(code, int) else 0


def _report(error: DlxError, as_json: bool) -> None:
    """The message on stderr: one object, or one line per problem (editors read ``file:line:column:``)."""
    if os.environ.get("DLX_DEBUG") and not isinstance(error, Defect):
        traceback.print_exception(error)
    if as_json:
        print(objects.text("error", error_object(error)), file=sys.stderr)
    elif isinstance(error, SpecError):
        print(error, file=sys.stderr)
    else:
        print(f"dlx: {error}", file=sys.stderr)


def error_object(error: DlxError) -> dict[str, Any]:
    """An error as ``dlx.error/1``: its kind, message and hint, and for a spec each problem with its place."""
    problems = error.problems if isinstance(error, SpecError) else ()
    return {
        "error": {
            "kind": type(error).__name__,
            "message": error.message,
            "hint": error.hint,
            "exit_code": error.exit_code,
            "problems": [_problem(problem) for problem in problems],
        },
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "path": dotted(problem.path),
        "message": problem.message,
    }


def _usage(error: typer.TyperException) -> UsageError:
    """A mistake on the command line as one sentence that says where to read on."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "dlx"
    message = error.format_message().replace("Value error, ", "", 1)  # pydantic's, of what a check has to say
    return UsageError(message[:1].lower() + message[1:].rstrip("."), hint=f"see: {command} --help")


class Defect(DlxError):
    """What nobody foresaw."""


def _defect(as_json: bool) -> int:
    """The whole traceback, and that it is not the user's fault."""
    traceback.print_exc()
    _report(Defect("this is a defect in dlx, not in your input; please report it with the lines above"), as_json)
    return Defect.exit_code


def _discard_output() -> None:
    """Send what is still buffered nowhere, or the interpreter complains about the closed pipe when it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
