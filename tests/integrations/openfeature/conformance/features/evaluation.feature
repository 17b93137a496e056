Feature: Resolving flags
  Appendix B, flag evaluations; appendix F, evaluation and reasons. Values are written as JSON. Each flag is resolved
  twice, by the plain and by the async method, and both must agree.

  Background:
    Given a provider with rules

  Scenario Outline: A flag has the value of its type
    When the <type> flag "<key>" is resolved, else <default>
    Then the value is <value>
    And the reason is STATIC
    And the variant is "<variant>"
    And there is no error

    Examples:
      | type    | key                | default    | value                                                                              | variant   |
      | boolean | boolean-flag       | false      | true                                                                               | on        |
      | string  | string-flag        | "bye"      | "hi"                                                                               | greeting  |
      | integer | integer-flag       | 1          | 10                                                                                 | ten       |
      | float   | float-flag         | 0.1        | 0.5                                                                                | half      |
      | object  | object-flag        | {}         | {"showImages": true, "title": "Check out these pics!", "imagesPerPage": 100}       | template  |
      | integer | large-integer-flag | 1          | 2147483647                                                                         | max-int32 |
      | integer | huge-integer-flag  | 1          | 9007199254740991                                                                   | max-safe  |

  Scenario Outline: Zero values are values
    When the <type> flag "<key>" is resolved, else <default>
    Then the value is <value>
    And the reason is STATIC
    And the variant is "zero"

    Examples:
      | type    | key               | default  | value |
      | boolean | boolean-zero-flag | true     | false |
      | string  | string-zero-flag  | "hi"     | ""    |
      | integer | integer-zero-flag | 1        | 0     |
      | float   | float-zero-flag   | 0.1      | 0.0   |
      | object  | object-zero-flag  | {"a": 1} | {}    |

  Scenario Outline: A rule may have a zero value
    Given a context with {"email": "ballmer@macrosoft.com"}
    When the <type> flag "<key>" is resolved, else <default>
    Then the value is <value>
    And the reason is TARGETING_MATCH

    Examples:
      | type    | key                        | default  | value |
      | boolean | boolean-targeted-zero-flag | true     | false |
      | string  | string-targeted-zero-flag  | "hi"     | ""    |
      | integer | integer-targeted-zero-flag | 1        | 0     |
      | float   | float-targeted-zero-flag   | 0.1      | 0.0   |
      | object  | object-targeted-zero-flag  | {"a": 1} | {}    |

  Scenario Outline: If no rule matches, the default of the rules is used
    Given a context with <context>
    When the <type> flag "<key>" is resolved, else <default>
    Then the value is <value>
    And the reason is DEFAULT
    And there is no error

    Examples: An attribute that does not match
      | context                     | type    | key                        | default  | value |
      | {"email": "ballmer@none.com"} | boolean | boolean-targeted-zero-flag | true     | false |
      | {"email": "ballmer@none.com"} | string  | string-targeted-zero-flag  | "hi"     | ""    |
      | {"email": "ballmer@none.com"} | integer | integer-targeted-zero-flag | 1        | 0     |
      | {"email": "ballmer@none.com"} | float   | float-targeted-zero-flag   | 0.1      | 0.0   |
      | {"email": "ballmer@none.com"} | object  | object-targeted-zero-flag  | {"a": 1} | {}    |

    Examples: An attribute that is null
      | context         | type    | key                        | default  | value |
      | {"email": null} | boolean | boolean-targeted-zero-flag | true     | false |
      | {"email": null} | string  | string-targeted-zero-flag  | "str"    | ""    |
      | {"email": null} | integer | integer-targeted-zero-flag | 1        | 0     |
      | {"email": null} | float   | float-targeted-zero-flag   | 1.0      | 0.0   |
      | {"email": null} | object  | object-targeted-zero-flag  | {"a": 1} | {}    |

    Examples: No attributes
      | context | type    | key                        | default  | value |
      | {}      | boolean | boolean-targeted-zero-flag | true     | false |
      | {}      | string  | string-targeted-zero-flag  | "str"    | ""    |
      | {}      | integer | integer-targeted-zero-flag | 1        | 0     |
      | {}      | float   | float-targeted-zero-flag   | 1.0      | 0.0   |
      | {}      | object  | object-targeted-zero-flag  | {"a": 1} | {}    |
      | {}      | string  | context-aware              | "none"   | "EXTERNAL" |

  Scenario: One attribute of many decides
    Given a context with {"email": "ballmer@macrosoft.com", "role": "admin", "age": 65, "customer": false}
    When the string flag "context-aware" is resolved, else "none"
    Then the value is "INTERNAL"
    And the reason is TARGETING_MATCH

  Scenario Outline: The targeting key decides
    Given a context of "<key>"
    When the string flag "targeting-key-flag" is resolved, else "fallback"
    Then the value is "<value>"
    And the reason is <reason>
    And there is no error

    Examples:
      | key                                  | value | reason          |
      | 5c3d8535-f81a-4478-a6d3-afaa4d51199e | hit   | TARGETING_MATCH |
      | f20bd32d-703b-48b6-bc8e-79d53c85134a | miss  | DEFAULT         |

  Scenario: A rule on the targeting key works without one
    When the string flag "targeting-key-flag" is resolved, else "fallback"
    Then the value is "miss"
    And there is no error

  Scenario: A context does not affect a flag whose rules do not use it
    Given a context of "f20bd32d-703b-48b6-bc8e-79d53c85134a"
    When the string flag "string-flag" is resolved, else "bye"
    Then the value is "hi"
    And there is no error
    And the context is as it was

  Scenario Outline: Numbers are converted if that is exact
    When the <type> flag "<key>" is resolved, else <default>
    Then the value is <value>
    And there is no error

    Examples:
      | type    | key                 | default | value |
      | integer | integral-float-flag | 1       | 10    |
      | float   | integer-flag        | 0.1     | 10.0  |

  Scenario Outline: A disabled flag leaves the default
    When the <type> flag "<key>" is resolved, else <default>
    Then the value is <default>
    And the reason is DISABLED
    And there is no error

    Examples:
      | type    | key                   | default |
      | boolean | disabled-boolean-flag | false   |
      | string  | disabled-string-flag  | "bye"   |
      | integer | disabled-integer-flag | 1       |
      | float   | disabled-float-flag   | 0.1     |

  @caching
  Scenario: A resolved value is cached
    When the boolean flag "boolean-flag" is resolved, else false
    Then the reason is CACHED
