"""Hash units and names as Statsig does, bit for bit (checked against statsig-python-core 0.24.0).

| use | text that is hashed | result |
|---|---|---|
| pass percentage | `{spec salt}.{rule salt or rule id}.{unit id}` | first 8 bytes of SHA-256, big-endian, mod 10,000 |
| bucket condition | `{salt}.{unit id}` | the same, mod 1,000 |
| bandit | `{bandit salt}.{unit id}` | the same, mod 10,000 |
| ID list entry | `{unit id}` | first 6 bytes of the SHA-256: 8 characters of base64 |
| names in a client's response | the name | djb2, or the SHA-256 in base64, or plain |
"""

from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from struct import Struct

from asyncsdk._model.users import User
from asyncsdk._rules.language.values import as_text

_FIRST_8 = Struct(">Q").unpack_from
_new_sha256 = sha256().copy  # copying a hash is faster than creating one


def to_utf8(text: str) -> bytes:
    """Encode any text as UTF-8; a lone surrogate, which UTF-8 cannot represent, becomes `?`."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def bucketer(salt: str, size: int) -> Callable[[object], int]:
    """Return the function that hashes a unit id into one of `size` buckets under `salt`.

    The function converts the unit id to text. The salt is hashed once, here: that saves a quarter of the time if it
    fills a whole SHA-256 block (64 bytes).
    """
    salted, encode = sha256(to_utf8(salt + ".")).copy, str.encode

    def bucket(unit: object) -> int:
        state = salted()
        try:
            # `str.encode` as a function raises for what is not a str, which saves the check.
            state.update(encode(unit))  # type: ignore[arg-type]
        except (TypeError, UnicodeEncodeError):
            state.update(to_utf8(as_text(unit) or ""))
        return _FIRST_8(state.digest())[0] % size  # type: ignore[no-any-return]

    return bucket


def user_id_bucketer(salt: str, size: int) -> Callable[[User], int]:
    """Return `bucketer` for the user id of a user: one call instead of two for the most common unit."""
    salted, encode, other = sha256(to_utf8(salt + ".")).copy, str.encode, bucketer(salt, size)

    def bucket(user: User) -> int:
        state = salted()
        try:
            state.update(encode(user._user_id))  # type: ignore[arg-type]
        except (TypeError, UnicodeEncodeError):
            return other(user._user_id)
        return _FIRST_8(state.digest())[0] % size  # type: ignore[no-any-return]

    return bucket


def id_list_key(unit: str) -> bytes:
    """Return the form in which an ID list contains a unit id."""
    state = _new_sha256()
    try:
        state.update(unit.encode())
    except UnicodeEncodeError:
        state.update(to_utf8(unit))
    return state.digest()[:6]


def sha256_name(name: str) -> str:
    """Return the SHA-256 of a name in base64."""
    return b64encode(sha256(to_utf8(name)).digest()).decode()


def djb2(name: str) -> int:
    """Return the 32-bit djb2 hash of a name. Statsig's variant starts at 0, not at 5381, and multiplies by 31."""
    value = 0
    for character in name:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value
