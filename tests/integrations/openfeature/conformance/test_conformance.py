"""OpenFeature's conformance suites: the scenarios are in `features`, the flags in `flags.py`."""

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


class Evaluation:
    """The parameters and results of the evaluations in a scenario."""

    def __init__(self) -> None:
        self.client = api.get_client()
        self.user = uuid.uuid4().hex
        self.context = EvaluationContext()
        self.options = FlagEvaluationOptions()
        self.stages: list[str] = []
        self.seen: list[FlagEvaluationDetails[Any]] = []
        self.details: FlagEvaluationDetails[Any]


class Recorder(Hook):
    """A hook that records its stages; its `before` stage may add to the context."""

    def __init__(self, evaluation: Evaluation, name: str = "", adds: EvaluationContext | None = None) -> None:
        self._evaluation, self._name, self._adds = evaluation, name, adds

    def _record(self, stage: str) -> None:
        self._evaluation.stages.append(f"{stage} {self._name}")

    def before(self, hook_context: HookContext, hints: HookHints) -> EvaluationContext | None:
        self._record("before")
        return self._adds

    def after(self, hook_context: HookContext, details: FlagEvaluationDetails[Any], hints: HookHints) -> None:
        self._record("after")

    def error(self, hook_context: HookContext, exception: Exception, hints: HookHints) -> None:
        self._record("error")

    def finally_after(self, hook_context: HookContext, details: FlagEvaluationDetails[Any], hints: HookHints) -> None:
        self._record("finally")
        self._evaluation.seen.append(details)

    def supports_flag_value_type(self, flag_type: FlagType) -> bool:
        return True


@pytest.fixture
def evaluation() -> Evaluation:
    return Evaluation()


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


@when("the vendor recovers")
def _recovers(scene: Scene) -> None:
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
def _status(evaluation: Evaluation, status: str) -> None:
    deadline = time.monotonic() + 5
    while evaluation.client.get_provider_status().name != status:
        assert time.monotonic() < deadline, evaluation.client.get_provider_status()
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


# --- contexts -----------------------------------------------------------------------------------------------------


@given(parsers.parse('a context of "{key}"'))
def _of(evaluation: Evaluation, key: str) -> None:
    evaluation.context = EvaluationContext(key)


@given(parsers.re(r"a context with (?P<attributes>{.*})"))
def _with(evaluation: Evaluation, attributes: str) -> None:
    evaluation.context = EvaluationContext(attributes=json.loads(attributes))


@given(parsers.re(r'"(?P<name>\w+)" is "(?P<value>\w+)" on level (?P<level>.+)'))
def _on_level(evaluation: Evaluation, name: str, value: str, level: str) -> None:
    entry = EvaluationContext(evaluation.user, {name: value})
    match level:
        case "api":
            api.set_evaluation_context(entry)
        case "transaction":
            api.set_transaction_context_propagator(ContextVarsTransactionContextPropagator())
            api.set_transaction_context(entry)
        case "client":
            evaluation.client.context = entry
        case "invocation":
            evaluation.context = entry
        case "before hooks":
            evaluation.client.add_hooks([Recorder(evaluation, adds=entry)])


@given(parsers.re(r'"(?P<name>\w+)" is its level\'s name, up to level (?P<level>.+)'))
def _up_to(evaluation: Evaluation, name: str, level: str) -> None:
    for own in LEVELS[: LEVELS.index(level) + 1]:
        _on_level(evaluation, name, own, own)


@given("hooks of the api, the client and the invocation")
def _hooks(evaluation: Evaluation) -> None:
    api.add_hooks([Recorder(evaluation, "api")])
    evaluation.client.add_hooks([Recorder(evaluation, "client")])
    evaluation.options = FlagEvaluationOptions(hooks=[Recorder(evaluation, "invocation")])


# --- flags --------------------------------------------------------------------------------------------------------


@when(parsers.re(r'the (?P<kind>\w+) flag "(?P<key>.+)" is resolved, else (?P<default>.+)'))
def _resolved(scene: Scene, evaluation: Evaluation, kind: str, key: str, default: str) -> None:
    arguments = (key, json.loads(default), evaluation.context, evaluation.options)
    evaluation.details = getattr(evaluation.client, f"get_{kind}_details")(*arguments)
    stages = evaluation.stages.copy()
    later = scene.service.run(getattr(evaluation.client, f"get_{kind}_details_async")(*arguments))
    evaluation.stages = stages
    assert later == evaluation.details


@then(parsers.re(r"the value is (?P<value>.+)"))
def _value(evaluation: Evaluation, value: str) -> None:
    wanted = json.loads(value)
    assert evaluation.details.value == wanted
    assert type(evaluation.details.value) is type(wanted)


@then(parsers.re(r"the reason is (?P<reason>\w+)"))
def _reason(evaluation: Evaluation, reason: str) -> None:
    assert evaluation.details.reason == reason


@then(parsers.parse('the variant is "{variant}"'))
def _variant(evaluation: Evaluation, variant: str) -> None:
    assert evaluation.details.variant == variant


@then("there is no error")
def _no_error(evaluation: Evaluation) -> None:
    assert (evaluation.details.error_code, evaluation.details.error_message) == (None, None)


@then(parsers.re(r"the error is (?P<code>\w+)(: (?P<message>.+))?"))
def _error(evaluation: Evaluation, code: str, message: str | None) -> None:
    assert evaluation.details.error_code is not None
    assert evaluation.details.error_code.value == code
    assert message in (None, evaluation.details.error_message)


@then(parsers.re(r"the metadata are (?P<metadata>.+)"))
def _metadata(evaluation: Evaluation, metadata: str) -> None:
    assert evaluation.details.flag_metadata == json.loads(metadata)


@then("the context is as it was")
def _untouched(evaluation: Evaluation) -> None:
    assert evaluation.context == EvaluationContext(evaluation.context.targeting_key)


@then(parsers.re(r"the hooks ran: (?P<stages>.+)"))
def _ran(evaluation: Evaluation, stages: str) -> None:
    assert evaluation.stages == stages.split(", ")


@then(parsers.re(r"they saw (?P<details>.+)"))
def _saw(evaluation: Evaluation, details: str) -> None:
    wanted = json.loads(details)
    for seen in evaluation.seen:
        assert {name: getattr(seen, name) for name in wanted} == wanted


@then(parsers.re(r'the rules saw "(?P<name>\w+)" as "(?P<value>.+)"'))
def _rules_saw(scene: Scene, evaluation: Evaluation, name: str, value: str) -> None:
    scene.service.run(scene.client.flush())
    (exposure,) = [event for event in scene.vendor.accepted("statsig") if event.user == evaluation.user]
    assert exposure.body["user"]["custom"][name] == value


# --- events -------------------------------------------------------------------------------------------------------


@when(parsers.re(r'"(?P<name>.*)" is tracked'))
def _tracked(scene: Scene, evaluation: Evaluation, name: str) -> None:
    evaluation.client.track(name, evaluation.context)
    scene.service.run(scene.client.flush())


@then(parsers.parse('the vendor received "{name}" of "{user}"'))
def _received(scene: Scene, name: str, user: str) -> None:
    assert [event.name for event in scene.vendor.accepted("statsig") if event.user == user] == [name]


@then(parsers.parse('the vendor received nothing of "{user}"'))
def _received_nothing(scene: Scene, user: str) -> None:
    assert not [event for event in scene.vendor.accepted("statsig") if event.user == user]
