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
CLIENT = ROOT / "asyncsdk/_client/README.md"
CONFIGURATION = ROOT / "asyncsdk/_client/CONFIGURATION.md"
SCRIPTS = ROOT / "asyncsdk/_client/SCRIPTS_AND_WORKERS.md"
DOCTOR = ROOT / "asyncsdk/cli/doctor/README.md"
LOOKUPS = ROOT / "asyncsdk/_lookups/README.md"
EVENTS = ROOT / "asyncsdk/_events/README.md"
RULES = ROOT / "asyncsdk/_rules/README.md"
VENDORS = ROOT / "asyncsdk/vendors/README.md"
INTEGRATIONS = ROOT / "asyncsdk/integrations/README.md"
TESTING = ROOT / "asyncsdk/testing/README.md"
OPENFEATURE = ROOT / "asyncsdk/integrations/openfeature/README.md"
CODEGEN = ROOT / "asyncsdk/cli/codegen/README.md"
ENGINES = ROOT / "asyncsdk/engines/README.md"
COMING_FROM = ROOT / "asyncsdk/vendors/COMING_FROM.md"
COMING_FROM_PYTHON = ROOT / "asyncsdk/vendors/COMING_FROM_PYTHON.md"
# What a link to the repository's home begins with: README has such links because PyPI shows it, too.
HOME = "https://github.com/asyncsdk/asyncsdk/blob/main/"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(page for name in ("asyncsdk", "benchmarks", "tests") for page in (ROOT / name).rglob("*.md")),
    ]
)

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"^```.*?^```$|`[^`\n]+`(?!\])", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")

Names = dict[str, Any]


def blocks(page: Path, language: str = "python") -> list[str]:
    """Return the code blocks of a language, in order."""
    return [text for name, text in _BLOCK.findall(page.read_text()) if name == language]


def section(page: Path, title: str) -> str:
    """Return the text under a heading, up to the next heading of any level."""
    _, _, rest = page.read_text().partition(f" {title}\n")
    assert rest, f"{page.name} has no heading {title!r}"
    return re.split(r"^#+ ", rest, flags=re.MULTILINE)[0]


def table(page: Path, title: str, number: int = 0) -> list[list[str]]:
    """Return the cells of a table under a heading, without its header."""
    tables = re.findall(r"(?:^\|.*\n)+", section(page, title), re.MULTILINE)
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in tables[number].splitlines()]
    return rows[2:]


def spans(cell: str) -> list[str]:
    """Return the texts in backticks."""
    return _SPAN.findall(cell)


def links(page: Path) -> list[tuple[Path, str]]:
    """Return the file and the anchor of each link into the repository."""
    text = _CODE.sub("", page.read_text())
    targets = [*re.findall(r"\]\(([^)]+)\)", text), *re.findall(r"^\[[^\]]+\]: (\S+)$", text, re.MULTILINE)]
    found = []
    for target in targets:
        file, _, anchor = target.partition("#")
        if file.startswith(HOME):
            found.append((ROOT / file.removeprefix(HOME).removesuffix("?raw=true"), anchor))
        elif not re.match(r"https?:", file):
            found.append((page.parent / file if file else page, anchor))
    return found


async def run(block: str, names: Names) -> None:
    """Run a block as `python -m asyncio` does; in a thread if it runs an event loop of its own."""
    code = compile(block, "<page>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        await eval(code, names)  # noqa: S307 -- our own pages
    else:
        await asyncio.to_thread(exec, code, names)
