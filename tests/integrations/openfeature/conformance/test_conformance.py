"""The provider does what OpenFeature's conformance suites ask: the scenarios are in `features`, the flags in `flags.py`."""

import json
import time
import uuid
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagEvaluationOptions, FlagType
from openfeature.hook import Hook, HookContext, HookHints
from openfeature.transaction_context import ContextVarsTransactionContextPropagator
from pytest_bdd import given, parsers, scenarios, then, when

from asyncsdk.dev import Fault
from integrations.openfeature.conformance.flags import Flag, ruleset
from integrations.openfeature.conformance.scenes import Pair, Scene

scenarios("features")

LEVELS = ("api", "transaction", "client", "invocation", "before hooks")
STAGES = ("before", "after", "error", "finally")


class Asking:
    """How flags are asked for in a scenario, and what came of it."""

    def __init__(self) -> None:
        self.client = api.get_client()
        self.user = uuid.uuid4().hex
        self.context = EvaluationContext()
        self.options = FlagEvaluationOptions()
        self.stages: list[str] = []
        self.seen: list[FlagEvaluationDetails[Any]] = []
        self.details: FlagEvaluationDetails[Any]


class Recorder(Hook):
    """Notes its stages; as a `before` hook it may add to the context."""

    def __init__(self, asking: Asking, name: str = "", adds: EvaluationContext | None = None) -> None:
        self._asking, self._name, self._adds = asking, name, adds

    def _note(self, stage: str) -> None:
        self._asking.stages.append(f"{stage} {self._name}")

    def before(self, hook_context: HookContext, hints: HookHints) -> EvaluationContext | None:
        self._note("before")
        return self._adds

    def after(self, hook_context: HookContext, details: FlagEvaluationDetails[Any], hints: HookHints) -> None:
        self._note("after")

    def error(self, hook_context: HookContext, exception: Exception, hints: HookHints) -> None:
        self._note("error")

    def finally_after(self, hook_context: HookContext, details: FlagEvaluationDetails[Any], hints: HookHints) -> None:
        self._note("finally")
        self._asking.seen.append(details)

    def supports_flag_value_type(self, flag_type: FlagType) -> bool:
        return True


@pytest.fixture
def asking() -> Asking:
    return Asking()


# --- providers ----------------------------------------------------------------------------------------------------


@given("a provider with rules")
def _with_rules(scene: Scene, shared: Pair) -> None:
    scene.begin(*shared)


@given("a provider of its own vendor")
def _of_its_own(scene: Scene) -> None:
    scene.begin_alone()


@given("a provider without rules")
def _without_rules(scene: Scene) -> None:
    scene.begin_alone(Fault(503), start_timeout=0.05)


@given("a provider whose vendor is unreachable")
def _unreachable(scene: Scene) -> None:
    scene.begin_alone(specs_url="http://127.0.0.1:9/v2/download_config_specs", start_timeout=0.05)


@given("a provider whose key is rejected")
def _refused(scene: Scene) -> None:
    scene.begin_alone(Fault(401))


@given("a provider whose vendor went away")
def _gone(scene: Scene) -> None:
    scene.begin_alone(stale_after=0.05)
    scene.service.run(scene.vendor.stop())
    scene.is_vendor_gone = True


@when("the vendor is well again")
def _well(scene: Scene) -> None:
    scene.vendor.clear_faults()
    if scene.is_vendor_gone:
        scene.service.run(scene.vendor.start())


@when(parsers.parse('the flag "{key}" is changed to "{value}"'))
def _changed(scene: Scene, key: str, value: str) -> None:
    scene.vendor.set_ruleset(ruleset(2000, **{key: Flag(value, value)}))


@when("it is shut down")
def _shut_down(scene: Scene) -> None:
    began = time.perf_counter()
    api.shutdown()
    assert time.perf_counter() - began < 1


@when("it is set up again")
def _set_up(scene: Scene) -> None:
    scene.set_up()


@then(parsers.parse("the status becomes {status}"))
def _status(asking: Asking, status: str) -> None:
    deadline = time.monotonic() + 5
    while asking.client.get_provider_status().name != status:
        assert time.monotonic() < deadline, asking.client.get_provider_status()
        time.sleep(0.001)


@then(parsers.parse('its name is "{name}"'))
def _name(name: str) -> None:
    assert api.get_provider_metadata().name == name


@then(parsers.re(r"(?P<event>PROVIDER_\w+) is emitted"))
def _emitted(scene: Scene, event: str) -> None:
    scene.recorder.wait_for(ProviderEvent[event])


@then(parsers.re(r'(?P<event>PROVIDER_\w+) is emitted for "(?P<key>.+)"'))
def _emitted_for(scene: Scene, event: str, key: str) -> None:
    assert scene.recorder.wait_for(ProviderEvent[event]).flags_changed == [key]


# --- who asks -----------------------------------------------------------------------------------------------------


@given(parsers.parse('a context of "{key}"'))
def _of(asking: Asking, key: str) -> None:
    asking.context = EvaluationContext(key)


@given(parsers.re(r"a context with (?P<attributes>{.*})"))
def _with(asking: Asking, attributes: str) -> None:
    asking.context = EvaluationContext(attributes=json.loads(attributes))


@given(parsers.re(r'"(?P<name>\w+)" is "(?P<value>\w+)" on level (?P<level>.+)'))
def _on_level(asking: Asking, name: str, value: str, level: str) -> None:
    entry = EvaluationContext(asking.user, {name: value})
    match level:
        case "api":
            api.set_evaluation_context(entry)
        case "transaction":
            api.set_transaction_context_propagator(ContextVarsTransactionContextPropagator())
            api.set_transaction_context(entry)
        case "client":
            asking.client.context = entry
        case "invocation":
            asking.context = entry
        case "before hooks":
            asking.client.add_hooks([Recorder(asking, adds=entry)])


@given(parsers.re(r'"(?P<name>\w+)" is its level\'s name, up to level (?P<level>.+)'))
def _up_to(asking: Asking, name: str, level: str) -> None:
    for own in LEVELS[: LEVELS.index(level) + 1]:
        _on_level(asking, name, own, own)


@given("hooks of the api, the client and the invocation")
def _hooks(asking: Asking) -> None:
    api.add_hooks([Recorder(asking, "api")])
    asking.client.add_hooks([Recorder(asking, "client")])
    asking.options = FlagEvaluationOptions(hooks=[Recorder(asking, "invocation")])


# --- flags --------------------------------------------------------------------------------------------------------


@when(parsers.re(r'the (?P<kind>\w+) flag "(?P<key>.+)" is resolved, else (?P<default>.+)'))
def _resolved(scene: Scene, asking: Asking, kind: str, key: str, default: str) -> None:
    arguments = (key, json.loads(default), asking.context, asking.options)
    asking.details = getattr(asking.client, f"get_{kind}_details")(*arguments)
    stages = asking.stages.copy()
    later = scene.service.run(getattr(asking.client, f"get_{kind}_details_async")(*arguments))
    asking.stages = stages
    assert later == asking.details


@then(parsers.re(r"the value is (?P<value>.+)"))
def _value(asking: Asking, value: str) -> None:
    wanted = json.loads(value)
    assert asking.details.value == wanted
    assert type(asking.details.value) is type(wanted)


@then(parsers.re(r"the reason is (?P<reason>\w+)"))
def _reason(asking: Asking, reason: str) -> None:
    assert asking.details.reason == reason


@then(parsers.parse('the variant is "{variant}"'))
def _variant(asking: Asking, variant: str) -> None:
    assert asking.details.variant == variant


@then("there is no error")
def _no_error(asking: Asking) -> None:
    assert (asking.details.error_code, asking.details.error_message) == (None, None)


@then(parsers.re(r"the error is (?P<code>\w+)(: (?P<message>.+))?"))
def _error(asking: Asking, code: str, message: str | None) -> None:
    assert asking.details.error_code is not None
    assert asking.details.error_code.value == code
    assert message in (None, asking.details.error_message)


@then(parsers.re(r"the metadata are (?P<metadata>.+)"))
def _metadata(asking: Asking, metadata: str) -> None:
    assert asking.details.flag_metadata == json.loads(metadata)


@then("the context is as it was")
def _untouched(asking: Asking) -> None:
    assert asking.context == EvaluationContext(asking.context.targeting_key)


@then(parsers.re(r"the hooks ran: (?P<stages>.+)"))
def _ran(asking: Asking, stages: str) -> None:
    assert asking.stages == stages.split(", ")


@then(parsers.re(r"they saw (?P<details>.+)"))
def _saw(asking: Asking, details: str) -> None:
    wanted = json.loads(details)
    for seen in asking.seen:
        assert {name: getattr(seen, name) for name in wanted} == wanted


@then(parsers.re(r'the rules saw "(?P<name>\w+)" as "(?P<value>.+)"'))
def _rules_saw(scene: Scene, asking: Asking, name: str, value: str) -> None:
    scene.service.run(scene.client.flush())
    (exposure,) = [event for event in scene.vendor.accepted("statsig") if event.user == asking.user]
    assert exposure.body["user"]["custom"][name] == value


# --- events -------------------------------------------------------------------------------------------------------


@when(parsers.re(r'"(?P<name>.*)" is tracked'))
def _tracked(scene: Scene, asking: Asking, name: str) -> None:
    asking.client.track(name, asking.context)
    scene.service.run(scene.client.flush())


@then(parsers.parse('the vendor received "{name}" of "{user}"'))
def _received(scene: Scene, name: str, user: str) -> None:
    assert [event.name for event in scene.vendor.accepted("statsig") if event.user == user] == [name]


@then(parsers.parse('the vendor received nothing of "{user}"'))
def _received_nothing(scene: Scene, user: str) -> None:
    assert not [event for event in scene.vendor.accepted("statsig") if event.user == user]
