"""Users from a file or from the command line, with Python's names for their fields or Statsig's."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import orjson

from asyncsdk import User
from asyncsdk._model.user_names import FIELD_OF
from asyncsdk._model.user_view import FIELDS, fault_of
from asyncsdk._model.users import as_user


class UsersError(Exception):
    """Raised if users cannot be read; the text says where, and what is wrong."""


@attrs.frozen
class NamedUser:
    """A user, and how a report calls it.

    Attributes:
        label: The user's id, its name in the file, or its line.
        user: The user.
    """

    label: str
    user: User


def read_user(value: object) -> User:
    """Build a user from its fields, in Python's names (`user_id`) or in Statsig's (`userID`).

    Raises:
        UsersError: It has a field that a user does not have, or one of a wrong type.
    """
    if not isinstance(value, Mapping):
        msg = 'a user is an object of its fields, such as {"userID": "u1", "country": "NL"}'
        raise UsersError(msg)
    unknown = [name for name in value if name not in FIELD_OF]
    if unknown:
        msg = f"a user has no field {unknown[0]!r}; custom fields belong in `custom`. Fields: {', '.join(FIELDS)}"
        raise UsersError(msg)
    user = as_user(value)
    if fault := fault_of(user):
        msg = f"this is not a user: {fault}"
        raise UsersError(msg)
    return user


def parse_user(text: str) -> User:
    """Build a user from JSON, or from a bare user id.

    Raises:
        UsersError: It is neither.
    """
    if not text.lstrip().startswith("{"):
        return User(text)
    try:
        return read_user(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        msg = f"--user is not JSON: {error}"
        raise UsersError(msg) from error


def read_users(path: str) -> list[NamedUser]:
    """Return the users of a file.

    Args:
        path: JSON lines, a JSON list, or an object of users by name as `asyncsdk dev --users` has it; `-` is the
            standard input.

    Raises:
        UsersError: It cannot be read, or has no users.
    """
    try:
        body = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        msg = f"{path}: {error.strerror or type(error).__name__}"
        raise UsersError(msg) from error
    users = []
    for place, name, value in _values(path, body.removeprefix(b"\xef\xbb\xbf")):
        try:
            user = read_user(value)
        except UsersError as error:
            msg = f"{place}: {error}"
            raise UsersError(msg) from error
        users.append(NamedUser(name or _label(user, place), user))
    if not users:
        msg = f"{path}: it has no users"
        raise UsersError(msg)
    return users


def _values(path: str, body: bytes) -> Iterator[tuple[str, str, object]]:
    """Yield the place, name or "", and fields of each user."""
    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError:
        whole = None  # more than one line, or not JSON, which the lines will say
    if isinstance(whole, list):
        yield from ((f"{path}, user {number}", "", value) for number, value in enumerate(whole, 1))
    elif (
        isinstance(whole, dict)
        and whole
        and all(isinstance(value, dict) for value in whole.values())
        and not _is_user(whole)
    ):
        yield from ((f"{path}, {name}", name, value) for name, value in whole.items())
    else:
        for number, line in enumerate(body.split(b"\n"), 1):
            if line.strip():
                yield f"{path}:{number}", "", _parse_line(f"{path}:{number}", line)


def _is_user(value: Mapping[str, Any]) -> bool:
    return all(name in FIELD_OF for name in value)


def _parse_line(place: str, line: bytes) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        msg = f"{place}: not JSON: {error}"
        raise UsersError(msg) from error


def _label(user: User, place: str) -> str:
    ids = (user.user_id, user.anonymous_id, user.device_id, *(user.custom_ids or {}).values())
    return next((str(one) for one in ids if one), place)
