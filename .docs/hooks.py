"""Collects the repository's pages for the site, and writes the pages of the reference."""

import ast
import re
from collections import Counter
from inspect import isfunction
from pathlib import Path, PurePosixPath
from posixpath import relpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import asyncsdk

ROOT = Path(__file__).parents[1]
HOME = "https://github.com/asyncsdk/asyncsdk/blob/main/"
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted(ROOT.glob("asyncsdk/**/*.md")),
    ROOT / "benchmarks/README.md",
]

# The public names of `asyncsdk`, one page per subject. A name that is on no page, or on two, ends the build.
SUBJECTS = {
    "client": ("Client", ["Client", "SpoolLike", "UserLike"]),
    "destinations": (
        "Destinations",
        ["Statsig", "Rules", "RudderStack", "Amplitude", "Limits", "HttpSettings", "Destination"],
    ),
    "lookups": (
        "Lookups",
        [
            *("Flags", "FeatureGate", "DynamicConfig", "Experiment", "Layer", "ParameterStore", "Details"),
            *("LookupResult", "Explanation", "AllResults", "Names", "ExperimentGroups", "ExperimentGroup"),
        ],
    ),
    "users_and_events": (
        "Users and events",
        [
            *("User", "Event", "Track", "IdentifyEvent", "Page", "Screen", "Group", "Alias", "LogEvent", "RawEvent"),
            *("Identify", "Revenue", "Plan", "IngestionMetadata", "EventObject", "EventOptions"),
        ],
    ),
    "outcomes": (
        "Outcomes and health",
        [
            *("Receipt", "Delivery", "Report", "DestinationReport", "StartReport", "Health", "DestinationHealth"),
            *(
                "RulesHealth",
                "SpoolHealth",
                "AssignmentsHealth",
                "OverridesHealth",
                "EngineHealth",
                "RulesetChange",
                "RequestInfo",
            ),
        ],
    ),
    "middleware": ("Middleware", ["Payload", "Next", "Middleware", "map_events", "redact", "sample"]),
    "errors": (
        "Errors",
        [
            *("AsyncSDKError", "ConfigurationError", "StartError", "InvalidEventError", "QueueFullError"),
            *("ClientClosedError", "WrongEventLoopError", "ForkedProcessError", "TransactionError"),
        ],
    ),
}
# Shown with their settings only: `Destination` documents the methods, which a client calls.
SETTINGS_ONLY = {"Statsig", "Rules", "RudderStack", "Amplitude", "Limits"}
MODULES = [
    "asyncsdk.vendors",
    "asyncsdk.stores",
    "asyncsdk.engines",
    "asyncsdk.relay",
    "asyncsdk.dev",
    "asyncsdk.testing",
    "asyncsdk.integrations",
    "asyncsdk.integrations.aiohttp",
    "asyncsdk.integrations.starlette",
    "asyncsdk.integrations.fastapi",
    "asyncsdk.integrations.openfeature",
    "asyncsdk.integrations.opentelemetry",
]

_LINK = re.compile(r"(\]\(|^\[[^\]\n]+\]: )(?!#)([^)\s#]+)(#[^)\s]*)?", re.MULTILINE)


def public_names(module: str) -> list[str]:
    """Return the `__all__` of a module, read from its source."""
    file = ROOT / module.replace(".", "/")
    file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return list(ast.literal_eval(node.value))
    message = f"{module} has no __all__"
    raise PluginError(message)


def reference() -> dict[str, tuple[str, str]]:
    """Return the pages of the reference: their path, title and Markdown."""
    public = {*public_names("asyncsdk")} - {"__version__"}
    placed = [name for _, names in SUBJECTS.values() for name in names]
    wrong = sorted(Counter(placed) - Counter(public)) + sorted(public - set(placed))
    if wrong:
        message = f"SUBJECTS in .docs/hooks.py must have each public name of asyncsdk once: {', '.join(wrong)}"
        raise PluginError(message)
    pages = {}
    for subject, (title, names) in SUBJECTS.items():
        text = _client_page() if subject == "client" else _page(title, "asyncsdk", "", names)
        pages[f"reference/{subject}.md"] = title, text
    for module in MODULES:
        others = [name for name in public_names(module) if name not in placed]
        elsewhere = [f"[`{name}`][asyncsdk.{name}]" for name in public_names(module) if name in placed]
        intro = f"::: {module}\n    options: {{members: false, show_root_heading: false, show_root_toc_entry: false}}\n"
        intro += f"\nAlso exported: {', '.join(elsewhere)}.\n" if elsewhere else ""
        pages[f"reference/{module}.md"] = module.removeprefix("asyncsdk."), _page(f"`{module}`", module, intro, others)
    return pages


def _page(title: str, module: str, intro: str, names: list[str]) -> str:
    return f"# {title}\n\n{intro}\n" + "\n".join(
        f"::: {module}.{name}\n" + ("    options: {members: false}\n" if name in SETTINGS_ONLY else "")
        for name in names
    )


def _client_page() -> str:
    """Return the page of `Client`: its own methods first, then those of each base under a heading of their own."""
    text = "# Client\n\n::: asyncsdk.Client\n    options: {inherited_members: false}\n"
    titles = ("Start and close", "Event verbs", "Lookups", "Overrides", "Middleware and hooks")
    for title, base in zip(titles, asyncsdk.Client.__bases__, strict=True):
        functions = [item for kind in base.__mro__ for item in vars(kind).items()]
        names = [name for name, value in functions if name[0] != "_" and isfunction(value)]
        own = [name for name in names if name not in vars(asyncsdk.Client)]
        text += f"\n## {title}\n\n" + "\n".join(
            f"::: asyncsdk.Client.{name}\n    options: {{heading_level: 3}}\n" for name in own
        )
    return (
        text
        + "\n## Types\n\n"
        + "\n".join(f"::: asyncsdk.{name}\n    options: {{heading_level: 3}}\n" for name in SUBJECTS["client"][1][1:])
    )


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the reference into the navigation."""
    entries: list[Any] = [{title: path} for path, (title, _) in reference().items()]
    for section in config.nav or []:
        if "Reference" in section:
            section["Reference"] = entries
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the repository's pages, under the paths that they have there, and those of the reference."""
    for page in PAGES:
        files.append(File.generated(config, str(page.relative_to(ROOT)), abs_src_path=str(page)))
    for path, (_, text) in reference().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Turn links to the repository into links between pages, and links to other files into links to the repository."""
    folder = PurePosixPath(page.file.src_uri).parent

    def link(found: re.Match[str]) -> str:
        start, target, anchor = found.group(1), found.group(2), found.group(3) or ""
        path = target.removeprefix(HOME) if target.startswith(HOME) else relpath(str(folder / target), ".")
        # A picture of the site, which the README shows from the repository.
        path = path.removesuffix("?raw=true").removeprefix(".docs/pages/")
        if files.get_file_from_path(path) is not None:
            return f"{start}{relpath(path, str(folder))}{anchor}"
        return f"{start}{HOME}{path}{anchor}" if (ROOT / path).exists() else found.group()

    return _LINK.sub(link, markdown)
