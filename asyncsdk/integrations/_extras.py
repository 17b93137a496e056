"""What an integration says if the package that it integrates is not installed."""

from collections.abc import Iterator
from contextlib import contextmanager

# The packages of each extra in pyproject.toml, by the name that Python imports.
PACKAGES = {
    "starlette": ("starlette",),
    "fastapi": ("fastapi", "starlette"),
    "openfeature": ("openfeature",),
    "otel": ("opentelemetry",),
}


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Import the packages of an extra, inside the block.

    Args:
        extra: Its name.

    Raises:
        ModuleNotFoundError: One of them is not installed; the message has the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in PACKAGES[extra]:
            raise
        msg = f"{package} is not installed: pip install 'asyncsdk[{extra}]'"
        raise ModuleNotFoundError(msg, name=error.name, path=error.path) from None
