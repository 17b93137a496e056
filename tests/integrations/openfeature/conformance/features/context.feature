Feature: The context that rules see
  Appendix B, context merging: a level overrides those before it. The vendor receives the user that the rules see.

  Background:
    Given a provider with rules

  Scenario Outline: One level
    Given "key" is "value" on level <level>
    When the string flag "string-flag" is resolved, else "bye"
    Then the rules saw "key" as "value"

    Examples:
      | level        |
      | api          |
      | transaction  |
      | client       |
      | invocation   |
      | before hooks |

  Scenario: All levels
    Given "a" is "1" on level api
    And "t" is "2" on level transaction
    And "c" is "3" on level client
    And "i" is "4" on level invocation
    And "h" is "5" on level before hooks
    When the string flag "string-flag" is resolved, else "bye"
    Then the rules saw "a" as "1"
    And the rules saw "t" as "2"
    And the rules saw "c" as "3"
    And the rules saw "i" as "4"
    And the rules saw "h" as "5"

  Scenario Outline: A level overrides those before it
    Given "key" is its level's name, up to level <level>
    When the string flag "string-flag" is resolved, else "bye"
    Then the rules saw "key" as "<level>"

    Examples:
      | level        |
      | api          |
      | transaction  |
      | client       |
      | invocation   |
      | before hooks |
