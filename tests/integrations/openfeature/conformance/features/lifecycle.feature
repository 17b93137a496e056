Feature: Lifecycle of the provider
  Appendix B, provider status and events; appendix F, lifecycle, events and metadata.

  Scenario Outline: It has a status
    Given a provider <state>
    Then the status becomes <status>

    Examples:
      | state                       | status |
      | with rules                  | READY  |
      | without rules               | ERROR  |
      | whose key is rejected       | FATAL  |
      | whose vendor is unreachable | ERROR  |
      | whose vendor went away      | STALE  |

  Scenario: It has a name
    Given a provider with rules
    Then its name is "asyncsdk"

  Scenario: It is ready when it has rules
    Given a provider with rules
    Then PROVIDER_READY is emitted

  Scenario: It emits an error if it cannot reach its vendor, and returns defaults
    Given a provider whose vendor is unreachable
    Then PROVIDER_ERROR is emitted
    When the boolean flag "boolean-flag" is resolved, else false
    Then the value is false
    And the reason is ERROR

  Scenario: It becomes ready when the vendor can be reached
    Given a provider without rules
    When the vendor recovers
    Then PROVIDER_READY is emitted
    And the status becomes READY

  Scenario: A change is emitted, and applied
    Given a provider of its own vendor
    When the string flag "changing-flag" is resolved, else "unset"
    Then the value is "foo"
    When the flag "changing-flag" is changed to "bar"
    Then PROVIDER_CONFIGURATION_CHANGED is emitted for "changing-flag"
    When the string flag "changing-flag" is resolved, else "unset"
    Then the value is "bar"

  Scenario: It is stale while the vendor is away, and ready again afterwards
    Given a provider whose vendor went away
    Then PROVIDER_STALE is emitted
    And the status becomes STALE
    When the boolean flag "boolean-flag" is resolved, else false
    Then the value is true
    And the reason is STALE
    When the vendor recovers
    Then PROVIDER_READY is emitted
    And the status becomes READY

  Scenario Outline: It can be shut down twice in any state, and set up again
    Given a provider <state>
    When it is shut down
    And it is shut down
    And it is set up again
    Then the status becomes <status>

    Examples:
      | state                       | status |
      | with rules                  | READY  |
      | whose vendor is unreachable | ERROR  |

  Scenario: An event is tracked
    Given a provider with rules
    And a context of "ada"
    When "the-event" is tracked
    Then the vendor received "the-event" of "ada"

  Scenario: An event without a name is not
    Given a provider with rules
    And a context of "eve"
    When "" is tracked
    Then the vendor received nothing of "eve"
