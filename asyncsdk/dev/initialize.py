"""Statsig's reply to a browser or mobile SDK that initialises: all evaluations for one user.

This module and `control/decisions.py` use asyncsdk's own evaluation (`asyncsdk._rules`). Its replies are
therefore no evidence that asyncsdk is correct; tests compare them with those of the vendor's packages instead.
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
from asyncsdk.dev.messages import Reply
from asyncsdk.dev.received_event import Json
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
    """A compiled version of a ruleset, which evaluates users.

    Attributes:
        rules: The ruleset.
    """

    rules: Ruleset

    @classmethod
    def of(cls, version: Version, id_lists: Mapping[str, Container[bytes]]) -> "Evaluator":
        """Compile a version.

        Args:
            version: The ruleset.
            id_lists: Hashed units by list. It is read at each evaluation, so it may change later.
        """
        return cls.of_body(version.body("v2"), id_lists)

    @classmethod
    def of_body(cls, body: bytes, id_lists: Mapping[str, Container[bytes]]) -> "Evaluator":
        """Compile the body of a download; the arguments are those of `of`."""
        shared_context = SharedContext(clock=lambda: int(time.time() * 1000), random=random.random, id_lists=id_lists)
        return cls(load_now(body, shared_context) or empty_ruleset(shared_context))

    def initialize(self, body: Mapping[str, Json], client_key: str, now: float) -> Reply:
        """Build the reply with all evaluations for a user.

        Args:
            body: The request's body: `user`, and `hash`, the algorithm that names are hashed with.
            client_key: The client's SDK key, which may select an app.
            now: Time of the request, in seconds since the epoch.
        """
        hash_name = _HASHES.get(str(body.get("hash")), "sha256")
        view = client_view(self.rules, hash=hash_name, client_key=client_key)
        response = client_response(view, user_of(body.get("user")), {"sdkType": "asyncsdk-dev"}, int(now * 1000))
        return Reply(200, response, {"Content-Type": "application/json"})


def user_of(value: Json) -> User:
    """Build a user from the JSON that SDKs send, leaving out fields of a wrong type."""
    fields = value if isinstance(value, dict) else {}
    texts = {ours: fields[theirs] for theirs, ours in _TEXTS.items() if isinstance(fields.get(theirs), str)}
    if isinstance(fields.get("userID"), int | float):
        # SDKs accept numbers as ids, and use their JSON text.
        texts["user_id"] = orjson.dumps(fields["userID"]).decode()
    objects = {ours: fields[theirs] for theirs, ours in _OBJECTS.items() if isinstance(fields.get(theirs), dict)}
    return User(**texts, **objects)
