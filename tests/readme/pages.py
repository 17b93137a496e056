"""The pages of this repository: their code blocks and tables, and a way to run the blocks as printed."""

import ast
import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
MAP = ROOT / "asyncsdk" / "README.md"
VENDORS = ROOT / "asyncsdk/vendors/README.md"
INTEGRATIONS = ROOT / "asyncsdk/integrations/README.md"
OPENFEATURE = ROOT / "asyncsdk/integrations/openfeature/README.md"
COMING_FROM = ROOT / "asyncsdk/vendors/COMING_FROM.md"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(page for name in ("asyncsdk", "benchmarks", "tests") for page in (ROOT / name).rglob("*.md")),
    ]
)

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")

Names = dict[str, Any]


def blocks(page: Path, language: str = "python") -> list[str]:
    """Give the code blocks of a language, in order."""
    return [text for name, text in _BLOCK.findall(page.read_text()) if name == language]


def section(page: Path, title: str) -> str:
    """Give what stands under a heading, up to the next one of any level."""
    _, _, rest = page.read_text().partition(f" {title}\n")
    assert rest, f"{page.name} has no heading {title!r}"
    return re.split(r"^#+ ", rest, flags=re.MULTILINE)[0]


def table(page: Path, title: str, number: int = 0) -> list[list[str]]:
    """Give the cells of a table under a heading, without its head."""
    tables = re.findall(r"(?:^\|.*\n)+", section(page, title), re.MULTILINE)
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in tables[number].splitlines()]
    return rows[2:]


def spans(cell: str) -> list[str]:
    """Give what stands in backticks."""
    return _SPAN.findall(cell)


async def run(block: str, names: Names) -> None:
    """Run a block as `python -m asyncio` does; one that runs a loop of its own gets a thread for it."""
    code = compile(block, "<page>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        await eval(code, names)  # noqa: S307 -- our own pages
    else:
        await asyncio.to_thread(exec, code, names)
