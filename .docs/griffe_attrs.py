"""Shows the parameters of attrs classes, whose `__init__` is written at run time and so not in the source."""

import importlib
from typing import Any

import attrs
from griffe import Class, Extension, Function, GriffeLoader, Parameter, ParameterKind, Parameters

# Not imported: the reference has none of their classes, and they need packages of their own.
PROGRAMS = ("asyncsdk.cli.", "asyncsdk.examples.")


class Attrs(Extension):
    """Adds `__init__` to attrs classes, with the annotations of the source and the defaults of the class."""

    def on_class(self, *, cls: Class, loader: GriffeLoader, **_: Any) -> None:
        """Add `__init__`, unless the class has one in the source."""
        if not cls.path.startswith("asyncsdk.") or cls.path.startswith(PROGRAMS) or "__init__" in cls.members:
            return
        owner = getattr(importlib.import_module(cls.module.path), cls.name, None)
        if not (isinstance(owner, type) and attrs.has(owner)):
            return
        fields = [field for field in attrs.fields(owner) if field.init]
        parameters = [Parameter("self", kind=ParameterKind.positional_or_keyword)]
        parameters += [_parameter(cls, field, loader) for field in sorted(fields, key=lambda field: field.kw_only)]
        cls.set_member("__init__", Function("__init__", parameters=Parameters(*parameters), lineno=cls.lineno))


def _parameter(cls: Class, field: "attrs.Attribute[Any]", loader: GriffeLoader) -> Parameter:
    return Parameter(
        field.alias or field.name,
        annotation=_annotation(cls, field, loader),
        kind=ParameterKind.keyword_only if field.kw_only else ParameterKind.positional_or_keyword,
        default=_default(field.default),
    )


def _annotation(cls: Class, field: "attrs.Attribute[Any]", loader: GriffeLoader) -> Any:
    """Return what a field accepts: the type that its converter takes, if it has one, else its own."""
    try:
        converter = loader.modules_collection[f"{field.converter.__module__}.{field.converter.__qualname__}"]  # type: ignore[union-attr]
        return converter.parameters[0].annotation
    except (AttributeError, KeyError):
        return getattr(cls.members.get(field.name), "annotation", None)


def _default(default: Any) -> str | None:
    if default is attrs.NOTHING:
        return None
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        if default.takes_self:
            return "..."
        default = default.factory()
        if isinstance(default, str):  # a random id
            return "..."
    # The repr of settings lists all of them.
    return f"{type(default).__name__}()" if attrs.has(type(default)) else repr(default)
