Feature: Hooks and metadata of an evaluation
  Appendix B, hooks, evaluation options and metadata.

  Background:
    Given a provider with rules

  Scenario Outline: Hooks run in order, and see the details
    Given hooks of the api, the client and the invocation
    When the <type> flag "<key>" is resolved, else <default>
    Then the hooks ran: <stages>
    And they saw <details>

    Examples:
      | type    | key          | default | stages                                                                | details |
      | boolean | boolean-flag | false   | before api, before client, before invocation, after invocation, after client, after api, finally invocation, finally client, finally api | {"flag_key": "boolean-flag", "value": true, "variant": "on", "reason": "STATIC", "error_code": null} |
      | string  | missing-flag | "uh-oh" | before api, before client, before invocation, error invocation, error client, error api, finally invocation, finally client, finally api | {"flag_key": "missing-flag", "value": "uh-oh", "variant": null, "reason": "ERROR", "error_code": "FLAG_NOT_FOUND"} |
      | integer | wrong-flag   | 13      | before api, before client, before invocation, error invocation, error client, error api, finally invocation, finally client, finally api | {"flag_key": "wrong-flag", "value": 13, "variant": null, "reason": "ERROR", "error_code": "TYPE_MISMATCH"} |

  Scenario: Metadata describe the source of the value
    When the boolean flag "boolean-flag" is resolved, else false
    Then the metadata are {"kind": "gate", "ruleId": "on", "idType": "userID", "version": 3, "rulesetTime": 1000, "cause": "static"}

  @own-metadata
  Scenario: Metadata are those of the flag
    When the boolean flag "metadata-flag" is resolved, else true
    Then the metadata are {"string": "1.0.2", "integer": 2, "float": 0.1, "boolean": true}
