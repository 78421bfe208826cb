"""A listening socket that outlives a shortage of file descriptors."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import time
from typing import Any

_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_TOLD_EVERY_SECONDS = 60.0
_PAUSE_SECONDS = 0.01
_LOG = logging.getLogger(__name__)


class Listener(socket.socket):
    """Turns new clients away while the process may open no more files.

    asyncio would leave them in the queue, log each attempt with a traceback, thousands in a
    second, and try again later. Here one file is kept open for that moment: it is given up, the
    client is taken with its descriptor and closed, and the file is opened again.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._spare = _open_spare()
        self._told = -_TOLD_EVERY_SECONDS

    def accept(self) -> tuple[socket.socket, Any]:
        """The next client.

        Raises:
            BlockingIOError: There is none, or none can be taken at the moment.
        """
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in _SHORTAGES:
                raise
            self._tell(error)
        if not self._turn_one_away():
            # Somebody else took the descriptor; without a pause the loop would spin.
            time.sleep(_PAUSE_SECONDS)
        raise BlockingIOError

    def close(self) -> None:
        """Stop to listen."""
        super().close()
        self._give_up_spare()

    def _turn_one_away(self) -> bool:
        self._give_up_spare()
        try:
            client, _ = super().accept()
            client.close()
        except OSError:
            return False
        finally:
            self._spare = _open_spare()
        return True

    def _give_up_spare(self) -> None:
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    def _tell(self, error: OSError) -> None:
        now = time.monotonic()
        if now - self._told >= _TOLD_EVERY_SECONDS:
            self._told = now
            _LOG.warning("New connections are closed: %s (see ulimit -n)", error.strerror)


def _open_spare() -> int | None:
    with contextlib.suppress(OSError):
        return os.open(os.devnull, os.O_RDONLY)
    return None
