"""Statsig's hashing, bit for bit (checked against statsig-python-core 0.24.0).

| use | text that is hashed | taken |
|---|---|---|
| pass percentage | `{spec salt}.{rule salt or rule id}.{unit id}` | first 8 bytes of SHA-256, big-endian, mod 10,000 |
| bucket condition | `{salt}.{unit id}` | the same, mod 1,000 |
| bandit | `{bandit salt}.{unit id}` | the same, mod 10,000 |
| ID list entry | `{unit id}` | first 8 characters of the digest in base64 |
| names in a client's response | the name | djb2, or the digest in base64, or plain |
"""

from base64 import b64encode
from binascii import b2a_base64
from collections.abc import Callable
from hashlib import sha256
from struct import Struct

from asyncsdk._model.users import User
from asyncsdk._rules.language.values import as_text

_FIRST_8 = Struct(">Q").unpack_from
_NOTHING_HASHED = sha256().copy  # a copy comes faster than a new one


def to_utf8(text: str) -> bytes:
    """Give UTF-8 that exists for every text: a lone surrogate, which UTF-8 cannot hold, becomes `?`."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def bucketer(salt: str, size: int) -> Callable[[object], int]:
    """Make the function that puts a unit id, as text, into one of `size` buckets under `salt`.

    The salt is hashed once, here; that spares a quarter of the work where it fills a whole SHA-256 block.
    """
    salted, encode = sha256(to_utf8(salt + ".")).copy, str.encode

    def bucket(unit: object) -> int:
        state = salted()
        try:
            state.update(encode(unit))  # type: ignore[arg-type]
        except (TypeError, UnicodeEncodeError):
            state.update(to_utf8(as_text(unit) or ""))
        return _FIRST_8(state.digest())[0] % size  # type: ignore[no-any-return]

    return bucket


def user_id_bucketer(salt: str, size: int) -> Callable[[User], int]:
    """Make `bucketer` for user ids: the same in one call instead of two, for most buckets are of user ids."""
    salted, encode, other = sha256(to_utf8(salt + ".")).copy, str.encode, bucketer(salt, size)

    def bucket(user: User) -> int:
        state = salted()
        try:
            state.update(encode(user.user_id))  # type: ignore[arg-type]
        except (TypeError, UnicodeEncodeError):
            return other(user.user_id)
        return _FIRST_8(state.digest())[0] % size  # type: ignore[no-any-return]

    return bucket


def id_list_entry(unit: str) -> str:
    """Give the form in which an ID list holds a unit id."""
    state = _NOTHING_HASHED()
    try:
        state.update(unit.encode())
    except UnicodeEncodeError:
        state.update(to_utf8(unit))
    return b2a_base64(state.digest())[:8].decode()


def sha256_name(name: str) -> str:
    """Hash a name to the base64 of its SHA-256."""
    return b64encode(sha256(to_utf8(name)).digest()).decode()


def djb2(name: str) -> int:
    """Hash a name to 32 bits; the `djb2` of Statsig starts at 0."""
    value = 0
    for character in name:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value
