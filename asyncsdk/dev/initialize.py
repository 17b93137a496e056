"""What Statsig answers to a browser or mobile SDK that starts: everything about one user.

This is the one module of the dev server that uses asyncsdk's own evaluation (`asyncsdk._rules`): there is no other
to answer with. What it says proves nothing about asyncsdk; the vendor's packages are compared with it in the tests.
"""

import random
import time
from collections.abc import Container, Mapping
from typing import Literal

import attrs
import orjson

from asyncsdk._model.users import User
from asyncsdk._rules.bootstrap import client_response, client_view
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.loading import load_now
from asyncsdk._rules.ruleset import Ruleset, empty_ruleset
from asyncsdk.dev.messages import Json, Reply
from asyncsdk.dev.ruleset_versions import Version

_HASHES: Mapping[str, Literal["djb2", "sha256", "none"]] = {"djb2": "djb2", "none": "none"}
_TEXTS = {
    "userID": "user_id",
    "email": "email",
    "ip": "ip",
    "userAgent": "user_agent",
    "country": "country",
    "locale": "locale",
    "appVersion": "app_version",
}
_OBJECTS = {
    "custom": "custom",
    "customIDs": "custom_ids",
    "privateAttributes": "private_attributes",
    "statsigEnvironment": "statsig_environment",
}


@attrs.frozen(eq=False)
class Evaluator:
    """A version of a ruleset, ready to be asked about users."""

    _rules: Ruleset

    @classmethod
    def of(cls, version: Version, id_lists: Mapping[str, Container[str]]) -> "Evaluator":
        """Compile a version; `id_lists` has the hashed units by list, and may change later."""
        around = SharedContext(clock=lambda: int(time.time() * 1000), random=random.random, id_lists=id_lists)
        return cls(load_now(version.body("v2"), around) or empty_ruleset(around))

    def initialize(self, asked: Mapping[str, Json], client_key: str, now: float) -> Reply:
        """Answer with all that the rules say about a user.

        Args:
            asked: The request's body: `user`, and `hash` for the names.
            client_key: The client's SDK key, which may name its app.
            now: In seconds since the epoch.
        """
        hash_name = _HASHES.get(str(asked.get("hash")), "sha256")
        view = client_view(self._rules, hash=hash_name, client_key=client_key)
        body = client_response(view, user_of(asked.get("user")), {"sdkType": "asyncsdk-dev"}, int(now * 1000))
        return Reply(200, body, {"Content-Type": "application/json"})


def user_of(value: Json) -> User:
    """Read a user as SDKs send one; what is not of the right type is left out."""
    fields = value if isinstance(value, dict) else {}
    texts = {ours: fields[theirs] for theirs, ours in _TEXTS.items() if isinstance(fields.get(theirs), str)}
    if isinstance(fields.get("userID"), int | float):
        texts["user_id"] = orjson.dumps(fields["userID"]).decode()
    objects = {ours: fields[theirs] for theirs, ours in _OBJECTS.items() if isinstance(fields.get(theirs), dict)}
    return User(**texts, **objects)
