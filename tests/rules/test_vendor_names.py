"""Each public name of the vendor's package has a counterpart here, or a reason for having none."""

import inspect
from importlib import import_module
from typing import Any

import attrs
import pytest

import asyncsdk
from rules.vendor_names import VENDOR_NAMES

core = pytest.importorskip("statsig_python_core")
pytestmark = pytest.mark.oracle
_FOREIGN = ("typing", "dataclasses")


def public_names() -> set[str]:
    """Return the names of the package, and `Class.name` for what its classes define."""
    found = set()
    for name, value in vars(core).items():
        is_foreign = (getattr(value, "__module__", None) or "").startswith(_FOREIGN)
        if name.startswith("_") or inspect.ismodule(value) or is_foreign:
            continue
        found.add(name)
        if inspect.isclass(value):
            members = {*vars(value), *getattr(value, "__annotations__", {})}
            found |= {f"{name}.{member}" for member in members if not member.startswith("_")}
    return found


def test_the_table_has_each_public_name_of_the_package_and_no_other() -> None:
    assert public_names() == {*VENDOR_NAMES}


def resolve(path: str) -> Any:
    """Return what a path in `asyncsdk` names: an attribute, a field of an attrs class, or a member of a module."""
    found: Any = asyncsdk
    *modules, last = path.split(".")
    for name in (*modules, last):
        if inspect.isclass(found) and attrs.has(found) and name in attrs.fields_dict(found):
            return attrs.fields_dict(found)[name]
        if inspect.ismodule(found) and not hasattr(found, name):
            import_module(f"{found.__name__}.{name}")
        found = getattr(found, name)
    return found


@pytest.mark.parametrize("counterpart", sorted({one for one in VENDOR_NAMES.values() if not one.startswith("no: ")}))
def test_a_counterpart_exists(counterpart: str) -> None:
    path, _, parameter = counterpart.removesuffix(")").partition("(")

    found = resolve(path)
    assert not parameter or parameter in inspect.signature(found).parameters
