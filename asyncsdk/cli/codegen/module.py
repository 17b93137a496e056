"""The text of a generated module: statements that are formatted as ruff does, and the imports that they need.

Each statement is broken into its smallest parts, with trailing commas, so that it is formatted at any line length. One
with a long line, which ruff would break at some length and not at another, is marked `# fmt: skip`.
"""

import re
from collections.abc import Iterable, Sequence

from asyncsdk.cli.codegen.identifiers import is_plain, literal

_SAFE_WIDTH = 70
_INDENT = "    "

STANDARD = {
    "collections.abc": ("Mapping",),
    "datetime": ("date", "datetime"),
    "typing": ("Any", "Literal", "Never", "NotRequired", "Self", "TypedDict", "TypeVar", "Unpack", "overload"),
    "uuid": ("UUID",),
}
RESULTS = ("DynamicConfig", "Experiment", "ExperimentGroups", "Explanation", "FeatureGate", "Layer", "ParameterStore")
ARGUMENTS = ("EventObject", "EventOptions", "Receipt", "Revenue", "UserLike")
RESERVED = frozenset(
    [
        *(name for names in STANDARD.values() for name in names),
        *RESULTS,
        *ARGUMENTS,
        *("TYPE_CHECKING", "Client", "Flags", "AppClient", "AppFlags"),
        *("bool", "dict", "float", "int", "list", "object", "property", "str", "None", "True", "False"),
    ]
)
"""Identifiers that a generated module uses itself."""


def statement(lines: Iterable[str], level: int = 1) -> str:
    """Return a statement at a level of indentation, marked if its lines could be broken elsewhere."""
    indented = [f"{_INDENT * level}{line}" if line else "" for line in lines]
    if any(len(line) > _SAFE_WIDTH for line in indented):
        last = max(number for number, line in enumerate(indented) if line)
        indented[last] += "  # fmt: skip"
    return "\n".join(indented)


def literal_of(names: Sequence[str], start: str) -> list[str]:
    """Return the lines of an expression: `Literal` of names, or `Never` if there are none.

    Args:
        names: The names.
        start: What comes before it in its line.
    """
    if len(names) < 2:
        return [f"{start}{inline_literal(names)}"]
    return [f"{start}Literal[", *(f"{_INDENT}{literal(name)}," for name in names), "]"]


def inline_literal(names: Sequence[str]) -> str:
    """Return `Literal` of names in one line, or `Never` if there are none."""
    return f"Literal[{', '.join(map(literal, names))}]" if names else "Never"


def function(
    name: str, parameters: Sequence[str], result: str, *, is_async: bool = False, overload: bool = False
) -> str:
    """Return a method without a body.

    Args:
        name: Its name.
        parameters: Its parameters after `self`, with types and defaults.
        result: Its result's type.
        is_async: Whether it is awaited.
        overload: Whether it is one of several.
    """
    define = "async def" if is_async else "def"
    lines = [f"{define} {name}(", f"{_INDENT}self,", *(f"{_INDENT}{one}," for one in parameters), f") -> {result}: ..."]
    return statement((["@overload"] if overload else []) + lines, 2)


def implementation(name: str, *, is_async: bool = False) -> str:
    """Return what follows a method's overloads."""
    return statement([f"{'async def' if is_async else 'def'} {name}(self, *args: Any, **kwargs: Any) -> Any: ..."], 2)


def typed_keys(name: str, keys: Sequence[tuple[str, str]], *, total: bool = True) -> str:
    """Return a `TypedDict` class.

    Args:
        name: Its name.
        keys: Its keys, each with its annotation.
        total: Whether keys are required that are not marked otherwise.
    """
    # A key `date: date` would hide the type from the keys after it.
    if is_plain(key for key, _ in keys) and RESERVED.isdisjoint(key for key, _ in keys):
        head = f"class {name}(TypedDict):" if total else f"class {name}(TypedDict, total=False):"
        body = [statement([f"{key}: {annotation}"], 2) for key, annotation in keys]
        return "\n".join([statement([head]), *body])
    entries = [f"{_INDENT * 2}{literal(key)}: {annotation}," for key, annotation in keys]
    end = [] if total else [f"{_INDENT}total=False,"]
    return statement(
        [f"{name} = TypedDict(", f'{_INDENT}"{name}",', f"{_INDENT}{{", *entries, f"{_INDENT}}},", *end, ")"]
    )


def imports(module: str, names: Iterable[str], used_in: str, level: int = 0) -> str:
    """Return the import of those names of a module that a text uses; "" if it uses none."""
    used = sorted(
        (name for name in names if re.search(rf"\b{name}\b", used_in)), key=lambda name: (name.islower(), name)
    )
    return "\n".join(
        [
            f"{_INDENT * level}from {module} import (",
            *(f"{_INDENT * (level + 1)}{name}," for name in used),
            f"{_INDENT * level})",
        ]
        if used
        else []
    )
