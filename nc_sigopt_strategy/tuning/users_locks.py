"""Where the locks of one user on one machine lie: in a folder that nobody else can write to.

The folder for temporary files is shared by all users. A file there can be made by anybody, and one
that somebody else made can neither be opened nor deleted.
"""

from __future__ import annotations

import contextlib
import os
import platform
import stat
import tempfile
from pathlib import Path

from nc_sigopt_strategy.errors import StoreError

_PRIVATE = 0o700


def users_lock_folder() -> Path:
    """The folder for this user's lock files on this machine; it is made if it is not there.

    All processes of the user come to the same one: in the folder for temporary files, or where
    somebody else has taken the name there, in the user's cache.

    Raises:
        StoreError: There is no such folder and none can be made.
    """
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    shared = Path(tempfile.gettempdir()) / f"nc-sigopt-{user}"
    if _is_ours(shared):
        return shared
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    with contextlib.suppress(RuntimeError):  # no home
        # A home may be shared by machines, and the lock is one machine's.
        own = Path(base).expanduser() / "nc-sigopt-strategy" / f"locks-{platform.node()}"
        if _is_ours(own):
            return own
    raise StoreError(
        f"There is no folder for locks: {shared} cannot be made or is another user's.",
        "Set TMPDIR to a folder of your own, or one_trial_per_machine=False.",
    )


def _is_ours(folder: Path) -> bool:
    """Make a folder if it is not there; whether it is this user's and nobody else can write."""
    try:
        folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        # Not through a link, which somebody else may have made.
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode):
            return False
        if hasattr(os, "getuid") and found.st_uid != os.getuid():
            return False
        if stat.S_IMODE(found.st_mode) & 0o077:
            folder.chmod(_PRIVATE)
        return os.access(folder, os.W_OK)
    except OSError:
        return False
