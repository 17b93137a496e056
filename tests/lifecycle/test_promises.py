"""The README's table of promises on real servers: each row names a test of this folder, and each test is in a row."""

import ast
from collections.abc import Iterator
from pathlib import Path

from readme.pages import ROOT, spans, table

PROMISES = ROOT / "asyncsdk/integrations/README.md"
HERE = Path(__file__)


def names_of_tests() -> Iterator[str]:
    """Yield the ids of the tests of this folder."""
    for path in HERE.parent.glob("test_*.py"):
        if path != HERE:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                    yield f"{path.relative_to(ROOT)}::{node.name}"


def test_every_promise_is_shown_by_a_test_and_every_test_shows_one() -> None:
    shown_by = [name for row in table(PROMISES, "On real servers") for name in spans(row[2])]

    assert sorted(shown_by) == sorted(names_of_tests())
