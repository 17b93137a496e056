"""Runs the command as a shell does."""

import json
from typing import Any

import pytest

from asyncsdk.cli import main

Results = tuple[int, dict[str, dict[str, Any]]]


def doctor(capsys: pytest.CaptureFixture[str], *arguments: str) -> Results:
    """Return the exit code, and the findings by check."""
    code = main(["doctor", "--json", *arguments])
    body = json.loads(capsys.readouterr().out)
    assert body["exit_code"] == code
    return code, {finding["check"]: finding for finding in body["checks"]}


def states(results: Results, *checks: str) -> list[str]:
    return [results[1][check]["state"] for check in checks]
