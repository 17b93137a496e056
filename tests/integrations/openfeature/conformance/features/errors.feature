Feature: Errors
  Appendix B, error handling and provider status; appendix F, errors. Each returns the default with an error
  code, and does not raise.

  Scenario Outline: An unknown flag
    Given a provider with rules
    When the <type> flag "missing-flag" is resolved, else <default>
    Then the value is <default>
    And the reason is ERROR
    And the error is FLAG_NOT_FOUND: flag missing-flag not found

    Examples:
      | type    | default  |
      | boolean | false    |
      | string  | "bye"    |
      | integer | 1        |
      | float   | 0.1      |
      | object  | {"a": 1} |

  Scenario Outline: A value of another type
    Given a provider with rules
    When the <type> flag "<key>" is resolved, else <default>
    Then the value is <default>
    And the reason is ERROR
    And the error is TYPE_MISMATCH

    Examples: Text
      | key         | type    | default |
      | string-flag | boolean | false   |
      | string-flag | integer | 1       |
      | string-flag | float   | 0.1     |
      | string-flag | object  | {}      |
      | wrong-flag  | boolean | false   |
      | wrong-flag  | integer | 13      |

    Examples: True or false
      | key          | type    | default |
      | boolean-flag | string  | "bye"   |
      | boolean-flag | integer | 1       |
      | boolean-flag | float   | 0.1     |
      | boolean-flag | object  | {}      |

    Examples: Numbers, also if a fraction would be lost
      | key          | type    | default    |
      | integer-flag | boolean | false      |
      | integer-flag | string  | "fallback" |
      | float-flag   | boolean | false      |
      | float-flag   | string  | "fallback" |
      | float-flag   | integer | 1          |

    Examples: Objects
      | key         | type    | default    |
      | object-flag | boolean | false      |
      | object-flag | string  | "fallback" |
      | object-flag | integer | 1          |
      | object-flag | float   | 0.1        |

  Scenario Outline: Rules that have not arrived yet
    Given a provider without rules
    When the <type> flag "<key>" is resolved, else <default>
    Then the value is <default>
    And the reason is ERROR
    And the error is PROVIDER_NOT_READY

    Examples:
      | type    | key          | default  |
      | boolean | boolean-flag | false    |
      | string  | string-flag  | "bye"    |
      | integer | integer-flag | 1        |
      | float   | float-flag   | 0.1      |
      | object  | object-flag  | {"a": 1} |

  Scenario Outline: Rules that cannot arrive
    Given a provider whose key is rejected
    When the <type> flag "<key>" is resolved, else <default>
    Then the value is <default>
    And the reason is ERROR
    And the error is PROVIDER_FATAL

    Examples:
      | type    | key          | default  |
      | boolean | boolean-flag | false    |
      | string  | string-flag  | "bye"    |
      | integer | integer-flag | 1        |
      | float   | float-flag   | 0.1      |
      | object  | object-flag  | {"a": 1} |
