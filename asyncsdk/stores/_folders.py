"""The folder of a store, as its user names it."""

import os
from pathlib import Path

from asyncsdk.errors import ConfigurationError


def absolute_folder(folder: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a folder: a program that changes its working directory keeps its store.

    `~` at its start is the home folder: shells expand it, but not in a quoted text or a file of settings. Links in it
    are followed when it is used, so that a path like `/srv/current/spool` may move.

    Raises:
        ConfigurationError: It is not a path, it is relative and the working directory was deleted, or there is no such
            home folder.
    """
    try:
        path = Path(folder)
        is_valid = b"\0" not in os.fsencode(path)
    except (TypeError, UnicodeError):
        is_valid = False
    if not is_valid:
        msg = f"a folder must be a path, such as '/var/lib/shop/asyncsdk', not {folder!r}"
        raise ConfigurationError(msg)
    try:
        path = path.expanduser()
    except RuntimeError as error:
        msg = f"the folder {str(path)!r} begins with `~`, and there is no such home folder: pass an absolute path"
        raise ConfigurationError(msg) from error
    try:
        return path.absolute()
    except OSError as error:
        msg = f"the folder {str(path)!r} is relative, and the working directory was deleted: pass an absolute path"
        raise ConfigurationError(msg) from error
