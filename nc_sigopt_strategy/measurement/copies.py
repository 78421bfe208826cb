"""Copies of this process that a user's function forked, kept from going on as the run."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator

# As BSD's sysexits.h has it for an error inside of a program.
_EX_SOFTWARE = 70


@contextlib.contextmanager
def copies_end(what: str) -> Iterator[None]:
    """Inside, a user's function runs; a copy of the process that comes out of it ends here.

    ``os.fork`` and an exit, or none, is how some functions do work beside them. Their copy has all
    that the run has, its open trial, its locks and its store, and would go on with them: trials
    would be observed twice, and the budget exceeded. It is ended without any clean-up, which would
    be that of the run.

    Args:
        what: The function, for the message.
    """
    owner = os.getpid()
    try:
        yield
    except BaseException as error:
        if os.getpid() != owner:
            _end(what, owner, error)
        raise
    if os.getpid() != owner:
        _end(what, owner, None)


def _end(what: str, owner: int, error: BaseException | None) -> None:
    code = _EX_SOFTWARE
    # Logging and streams may be locked by a thread that was not copied.
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        said = ""
    elif error is not None:
        said = "".join(traceback.format_exception(error))
    else:
        said = (
            f"nc_sigopt_strategy: process {os.getpid()}, a copy that {what} forked, came back "
            f"from it and is ended: the run is process {owner}'s. End it there, with "
            "os._exit(0).\n"
        )
    with contextlib.suppress(Exception):
        os.write(2, said.encode(errors="backslashreplace"))
        for stream in (sys.stdout, sys.stderr):
            if isinstance(error, SystemExit) and stream is not None:
                stream.flush()
    os._exit(code & 0xFF)
