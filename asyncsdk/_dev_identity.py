"""What a client in dev mode says of itself to the dev server, in headers and in its reports."""

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

from asyncsdk._version import __version__

RUN, NAME = "ASYNCSDK_DEV_RUN", "ASYNCSDK_DEV_NAME"


def client_name() -> str:
    """Return the name of this program: that of the environment, else of its script."""
    script = Path(sys.argv[0] if sys.argv else "").name.removesuffix(".py")
    return os.environ.get(NAME) or (script if script not in ("", "-c", "-m", "__main__") else "python")


def identity() -> dict[str, str | int]:
    """Return name, SDK, Python, process and run id."""
    return {
        "name": client_name(),
        "sdk": f"asyncsdk {__version__}",
        "python": platform.python_version(),
        "pid": os.getpid(),
        "run": os.environ.get(RUN, ""),
    }


def headers() -> Mapping[str, str]:
    """Return the headers by which the dev server tells the clients, and parallel tests, apart."""
    given = {"Asyncsdk-Client": client_name(), "Asyncsdk-Run": os.environ.get(RUN, "")}
    return {name: value for name, value in given.items() if value and value.isascii() and value.isprintable()}
