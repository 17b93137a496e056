"""What `mypy` checks of the public surface (`tests/typing`) is all of it."""

import re
from pathlib import Path

import asyncsdk


def test_every_public_name_is_used_as_a_user_would() -> None:
    used = set(re.findall(r"\w+", (Path(__file__).parent / "typing/api.py").read_text()))

    assert set(asyncsdk.__all__) - used == {"__version__"}
