"""Requests for rules, their responses, and the settings of rules."""

from datetime import date
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest

from asyncsdk._model.events import Track
from asyncsdk._model.users import User
from asyncsdk.errors import ConfigurationError
from asyncsdk.stores.memory import MemoryCache
from asyncsdk.vendors._base import ListFile, Refusal, Response, RulesSource
from asyncsdk.vendors.statsig import Rules, Statsig
from asyncsdk.vendors.statsig.ruleset import RulesAnswer, read_response

NOW = 1_700_000_000_000
STATSIG = Statsig("secret-key", session_id="session-1")
FILE = ListFile("vips", "https://lists.example.com/vips?sig=1", "g", 1, 270, start=10)


# --- requests ----------------------------------------------------------------------------------------------------


def test_statsig_is_a_source_of_rules() -> None:
    source: RulesSource = STATSIG

    assert source.build_rules_request(0, "", NOW).method == "GET"


@pytest.mark.parametrize(
    ("time_ms", "checksum", "query"),
    [(0, "", ""), (7, "", "?sinceTime=7"), (7, "a b&c", "?sinceTime=7&checksum=a+b%26c"), (0, "9", "?checksum=9")],
)
def test_rules_are_requested_from_statsig_s_own_address(time_ms: int, checksum: str, query: str) -> None:
    asked = STATSIG.build_rules_request(time_ms, checksum, NOW)

    assert asked.url == f"https://api.statsigcdn.com/v2/download_config_specs/secret-key.json{query}"
    assert asked.canonical_path == f"/v2/download_config_specs/secret-key.json{query}"
    assert asked.body == b""


@pytest.mark.parametrize("base", ["https://proxy.example.com/v1/specs", "https://proxy.example.com/v1/specs/"])
def test_rules_are_requested_from_a_proxy(base: str) -> None:
    asked = Statsig("secret-key", rules=Rules(specs_url=base)).build_rules_request(0, "", NOW)

    assert asked.url == "https://proxy.example.com/v1/specs/secret-key.json"
    assert asked.canonical_path == "/v2/download_config_specs/secret-key.json"


def test_a_proxy_can_be_bypassed() -> None:
    proxied = Statsig("secret-key", rules=Rules(specs_url="https://proxy.example.com"))

    assert proxied.build_rules_request(0, "", NOW, bypass_proxy=True).url == STATSIG.build_rules_request(0, "", NOW).url


def test_every_request_identifies_the_client() -> None:
    for asked in (
        STATSIG.build_rules_request(0, "", NOW),
        STATSIG.build_manifest_request(NOW),
        STATSIG.build_list_request(attrs.evolve(FILE, url="https://api.statsigcdn.com/vips"), NOW),
    ):
        assert asked.headers["STATSIG-API-KEY"] == "secret-key"
        assert asked.headers["STATSIG-CLIENT-TIME"] == str(NOW)
        assert asked.headers["STATSIG-SERVER-SESSION-ID"] == "session-1"
        assert asked.headers["STATSIG-SDK-TYPE"] == "asyncsdk"


def test_a_key_with_special_characters_is_one_segment_of_the_path() -> None:
    odd = Statsig("secret-a/b?c")

    assert odd.build_rules_request(0, "", NOW).url.endswith("/secret-a%2Fb%3Fc.json")
    assert odd.build_manifest_request(NOW).url.endswith("/secret-a%2Fb%3Fc.json")


def test_the_manifest_is_a_get_to_statsig_and_a_post_elsewhere() -> None:
    own = STATSIG.build_manifest_request(NOW)
    other = Statsig("secret-key", rules=Rules(id_lists_url="https://proxy.example.com/lists")).build_manifest_request(
        NOW
    )

    assert (own.method, own.url) == ("GET", "https://api.statsigcdn.com/v1/get_id_lists/secret-key.json")
    assert (other.method, other.url, other.body) == ("POST", "https://proxy.example.com/lists", b"")
    assert own.canonical_path == other.canonical_path == "/v1/get_id_lists/secret-key.json"


def test_a_file_is_requested_from_an_offset() -> None:
    asked = STATSIG.build_list_request(FILE, NOW)

    assert (asked.url, asked.canonical_path) == (FILE.url, "/vips?sig=1")
    assert asked.headers["Range"] == "bytes=10-"
    assert asked.headers["statsig-id-list-file-size"] == "270"
    assert asked.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(("url", "asked"), [("/a", "/a?range=10-"), ("/a?b=c", "/a?b=c&range=10-")])
def test_statsig_s_own_files_have_the_range_in_the_query(url: str, asked: str) -> None:
    request = STATSIG.build_list_request(attrs.evolve(FILE, url=f"https://api.statsigcdn.com{url}"), NOW)

    assert (request.url, request.canonical_path) == (f"https://api.statsigcdn.com{asked}", asked)
    assert "Range" not in request.headers


HOSTS = {"specs_url": "https://specs.example.com", "id_lists_url": "https://lists.example.com:8443/lists"}


@pytest.mark.parametrize(
    ("url", "is_trusted"),
    [
        ("https://api.statsigcdn.com/a", True),
        ("https://API.statsigcdn.com:443/a", True),
        ("https://statsigapi.net/a", True),
        ("https://specs.example.com/a", True),
        ("https://lists.example.com:8443/a", True),
        ("https://events.example.com/a", True),
        ("https://lists.example.com/a", False),
        ("http://lists.example.com:8443/a", False),
        ("http://api.statsigcdn.com/a", False),
        ("https://api.statsigcdn.com.example.org/a", False),
        ("https://api.statsigcdn.com./a", False),
        ("https://bucket.s3.amazonaws.com/a?range=1", False),
        ("https://example.org/https://api.statsigcdn.com/", False),
    ],
)
def test_a_file_at_another_origin_is_requested_without_the_key(url: str, is_trusted: bool) -> None:
    source = Statsig("secret-key", rules=Rules(**HOSTS), log_event_url="https://events.example.com")

    request = source.build_list_request(attrs.evolve(FILE, url=url), NOW)

    assert ("secret-key" in str(request.headers)) is is_trusted
    assert ("STATSIG-SERVER-SESSION-ID" in request.headers) is is_trusted


def test_without_rules_requests_go_to_statsig() -> None:
    events_only = Statsig("secret-key", rules=None)

    assert events_only.build_rules_request(0, "", NOW).url == STATSIG.build_rules_request(0, "", NOW).url
    assert events_only.build_manifest_request(NOW).url == STATSIG.build_manifest_request(NOW).url


def test_the_cache_key_is_that_of_statsig_s_sdks_without_the_secret_key() -> None:
    # base64 of the SHA-256 of "secret-key", as statsig-python-core 0.24.0 names its data store's entry
    assert STATSIG.cache_key == (
        "statsig|/v2/download_config_specs|plain_text|hdvhXXXvkwjHrg8zx6MkzG9L9Rmi7S8wJ70zwUCk+ao="
    )


# --- responses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (Response(200, body=b"{}"), RulesAnswer(b"{}")),
        (Response(206, body=b"x"), RulesAnswer(b"x")),
        (Response(200), RulesAnswer()),
        (Response(204), RulesAnswer()),
        (Response(304, body=b"x"), RulesAnswer()),
        (Response(503), RulesAnswer(reason="status 503", may_be_stray=True)),
        (Response(500, {"retry-after": "7"}), RulesAnswer(reason="status 500", retry_after=7, may_be_stray=True)),
        (Response(429, {"retry-after": "7"}), RulesAnswer(reason="status 429", retry_soon=False, retry_after=7)),
        (Response(0, error="timeout"), RulesAnswer(reason="timeout", may_be_stray=True)),
        (Response(0, error="certificate"), RulesAnswer(reason="certificate", retry_soon=False, may_be_stray=True)),
        (Response(0), RulesAnswer(reason="no answer", may_be_stray=True)),
    ],
)
def test_a_response_has_rules_or_nothing_new_or_a_reason(response: Response, answer: RulesAnswer) -> None:
    assert read_response(response) == answer


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 404, 405, 413, 429, 501])
def test_a_status_that_no_retry_can_fix_waits_for_the_next_poll(status: int) -> None:
    assert not read_response(Response(status)).retry_soon


@pytest.mark.parametrize(("status", "refused"), [(401, True), (403, True), (400, False), (404, False), (503, False)])
def test_a_refused_key_is_distinguished_from_other_failures(status: int, refused: bool) -> None:
    assert read_response(Response(status)).refused is refused


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 522])
def test_a_temporary_status_is_retried_soon(status: int) -> None:
    assert read_response(Response(status)).retry_soon


@pytest.mark.parametrize(
    ("settings", "failures", "is_first", "expected"),
    [
        ({"fallback": True, "specs_url": "https://p.example.com"}, 1, True, True),
        ({"fallback": True, "specs_url": "https://p.example.com"}, 1, False, False),
        ({"fallback": True, "specs_url": "https://p.example.com"}, 5, False, True),
        ({"fallback": True, "specs_url": "https://p.example.com"}, 6, False, False),
        ({"specs_url": "https://p.example.com"}, 5, True, False),
        ({"fallback": True}, 5, True, False),
        ({"fallback": True, "specs_url": "https://api.statsigcdn.com/v2/download_config_specs/"}, 5, True, False),
    ],
)
def test_when_a_failing_proxy_is_bypassed(settings: Any, failures: int, is_first: bool, expected: bool) -> None:
    assert Rules(**settings).bypasses(failures, is_first=is_first) is expected


# --- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"poll_interval": 0.9},
        {"poll_interval": 0},
        {"poll_interval": float("nan")},
        {"poll_interval": "10"},
        {"poll_interval": True},
        {"id_lists_interval": 0.5},
        {"specs_url": "ftp://example.com"},
        {"specs_url": None},
        {"id_lists_url": "https://user:password@example.com"},
        {"bootstrap": "rules.json"},
        {"bootstrap": 7},
        {"bootstrap": {"a": 1j}},
    ],
    ids=repr,
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Rules(**wrong)


def test_bootstrap_rules_become_bytes_and_a_path_stays_a_path() -> None:
    assert Rules(bootstrap={"time": 1}).bootstrap == b'{"time":1}'
    assert Rules(bootstrap=' {"time":1}').bootstrap == b' {"time":1}'
    assert Rules(bootstrap=b"{}").bootstrap == b"{}"
    assert Rules(bootstrap=Path("rules.json")).bootstrap == Path("rules.json")
    assert Rules().bootstrap is None


def test_the_repr_of_settings_shows_no_rules_and_no_users() -> None:
    shown = repr(Rules(bootstrap=b'{"a":1}', global_custom={"plan": "pro"}, cache=MemoryCache()))

    assert '"a"' not in shown
    assert "pro" not in shown


def test_global_custom_fields_are_copied_in_their_json_form() -> None:
    given = {"since": date(2026, 1, 2), "tags": ["a"]}
    rules = Rules(global_custom=given)
    given["tags"].append("b")  # type: ignore[attr-defined] # it is a list

    assert rules.global_custom == {"since": "2026-01-02", "tags": ["a"]}


@pytest.mark.parametrize("wrong", [5, {"x": object()}])
def test_global_custom_fields_must_have_a_json_form(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="global_custom"):
        Rules(global_custom=wrong)


def test_global_custom_fields_are_sent_and_the_user_s_own_override_them() -> None:
    statsig = Statsig("secret-key", rules=Rules(global_custom={"region": "eu", "plan": "free"}))
    shown = []
    for user in (User("ada"), User("bob", custom={"plan": "pro"})):
        chunk = statsig.encode(Track(user, "a"), "id", NOW)
        assert isinstance(chunk, bytes)
        shown.append(orjson.loads(chunk + b"}")["user"]["custom"])

    assert shown == [{"region": "eu", "plan": "free"}, {"region": "eu", "plan": "pro"}]


def test_offline_events_are_skipped() -> None:
    offline = Statsig("secret-key", offline=True)

    assert offline.encode(Track(User("bob"), "a"), "id", NOW) == Refusal("skipped", "offline")


def test_a_page_instead_of_rules_is_named_with_its_host_and_first_words() -> None:
    answer = read_response(Response(200, body=b"\n<title>Sign in</title>", host="proxy.example"))

    assert answer.reason == "an HTML page instead of an answer from proxy.example (Sign in)"
    assert answer.body is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://proxy.example.com", "https://proxy.example.com/v2/download_config_specs/secret-key.json?"),
        ("https://proxy.example.com/", "https://proxy.example.com/v2/download_config_specs/secret-key.json?"),
        ("https://proxy.example.com?a=b", "https://proxy.example.com/v2/download_config_specs/secret-key.json?a=b&"),
        ("https://proxy.example.com/mine", "https://proxy.example.com/mine/secret-key.json?"),
        ("https://proxy.example.com/mine/?a=b&c", "https://proxy.example.com/mine/secret-key.json?a=b&c&"),
    ],
)
def test_an_address_without_a_path_gets_the_vendor_s_and_keeps_its_query(url: str, expected: str) -> None:
    source = Statsig("secret-key", rules=Rules(specs_url=url))

    assert source.build_rules_request(5, "", NOW).url == expected + "sinceTime=5"
    assert source.build_rules_request(0, "", NOW).url == expected[:-1]
    assert source.build_rules_request(5, "", NOW).canonical_path == (
        "/v2/download_config_specs/secret-key.json?sinceTime=5"
    )


def test_a_manifest_address_without_a_path_gets_the_vendor_s() -> None:
    source = Statsig("secret-key", rules=Rules(id_lists_url="https://proxy.example.com?a=b"))

    assert source.build_manifest_request(NOW).url == "https://proxy.example.com/v1/get_id_lists?a=b"
