"""Where asyncsdk differs from statsig-python-core 0.24.0 on purpose, each with the test that holds it.

| what | core | here | test |
|---|---|---|---|
| unknown condition after one that passed | the gate's boolean stays true, rule id "" | false | test_a_gate_with_an_unknown_condition_is_closed |
| rule id of an unsupported evaluation | that of a gate it looked at before | "" | test_cyclic_and_unknown_rules_end_alike |
| unknown condition before an endless gate in one rule | the depth is the reason | the unknown condition is | same |
| the same in a client response | the rule's value, as if the condition held | false or {} | test_a_client_response_closes_gates_it_cannot_decide |
| value of an unsupported config in a client response | null | {} | same |
| a spec that is not understood | unknown name | unsupported; others as in core | test_a_malformed_spec_costs_itself_only |
| a condition that is not understood | the whole ruleset is refused | its specs are unsupported | test_a_malformed_condition_costs_its_rules_only |
| duplicates among secondary exposures of events | kept | removed, first one kept | test_exposures_name_each_gate_once |
| merging layer, an experiment that is ignored | its exposures leak into the next rule's | not exposed | test_an_ignored_experiment_leaves_no_exposure |
| allocated experiment of a layer whose experiment is unsupported | named | none, there is no value either | test_a_layer_cannot_say_more_than_its_experiment |
| merging layer whose experiment is unsupported | what it has so far, reason Unsupported | {} | test_cyclic_and_unknown_rules_end_alike |
| override by a group that does not exist | value {} | the rules answer | test_an_override_by_an_unknown_group_is_ignored |
| override by group | no group name | the group's name | test_an_override_by_group_takes_the_groups_value |
| name in the exposure of an endless evaluation | "" | the gate | test_an_endless_gate_is_exposed_by_name |
| one endless spec in a client response | the whole response is blank | the others are there | test_an_endless_gate_leaves_the_response |
| client response without a ruleset | has_updates true | has_updates false | test_no_ruleset_has_no_updates |
| manual exposure after an automatic one | swallowed by some SDKs | reported | test_a_manual_exposure_is_no_repetition |
| reason while the client starts | `Loading:Unrecognized` | awaited lookups wait; others say `Uninitialized` | test_the_sdks_own_expectations_of_reasons |
| reason of ID list conditions | suffix `:IdListInMemory` | none | test_reasons_name_source_and_outcome |
| patterns that may backtrack without end | linear-time engine | refused, or short texts only | test_a_pattern_that_could_hold_the_loop_is_refused |
| more than 5,000 rules and conditions in a spec, groups in a bandit, mappings of a name | computed with | unsupported; no mapping | test_a_spec_of_endless_rules_is_unsupported |
| target `inf` or `nan` of an operator of time | the nearest 64-bit integer | false | test_what_is_no_instant_is_neither_before_nor_after |
| instants past 64 bits | the nearest 64-bit integer, or a panic | no instant of a user, exact as a target | test_an_instant_past_64_bits_is_no_users_but_may_be_a_target |
| int where a bool is wanted, in typed getters | given | the fallback | test_a_number_is_no_bool |
| IPv4 parts above 255 | computed with | no country | test_an_impossible_address_has_no_country |
| experiments exposed by hand or through a parameter store | without `rulePassed` | with it | test_events_are_those_of_the_vendors_package_field_by_field |
| `statsig::identify`, `statsig::diagnostics`, `statsig::non_exposed_checks` | sent | not sent | same |
| sticky: key of a unit without id | `:userID`, which all such users share | none, and nothing is sticky | test_a_storage_key_names_unit_and_type |
| sticky: a lookup for whom nothing was loaded | deletes what is kept under the name | is not sticky, and changes nothing | test_a_user_that_is_not_loaded_is_not_sticky_and_keeps_its_entries |
| sticky: a config mapping answers | kept under the new name, never read again | not sticky | test_what_overrides_mappings_and_bandits_answer_is_not_sticky |
| sticky: an entry that is not understood | all entries of the unit count as absent | that one does | test_an_entry_that_cannot_answer_is_replaced |
| sticky: version of an entry | `config_version` only | also `configVersion`, which Node's SDK writes | test_what_was_saved_answers |
"""
