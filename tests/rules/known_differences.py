"""Intended differences between asyncsdk and statsig-python-core 0.24.2, each with the test that covers it.

| subject | core | asyncsdk | test |
|---|---|---|---|
| unknown condition after one that passed | the value stays true, rule id "" | false | test_a_gate_with_an_unknown_condition_is_closed |
| rule id of an unsupported evaluation | that of a gate visited before | "" | test_cyclic_and_unknown_rules_end_alike |
| unknown condition before a cyclic gate in one rule | the reason is the depth | the unknown condition | same |
| the same in a client response | the rule's value, as if the condition held | false or {} | test_a_gate_that_cannot_be_decided_is_closed |
| value of an unsupported config in a client response | null | {} | same |
| malformed spec | unknown name | unsupported; absent for specs that refer to it, as in core | test_a_malformed_spec_does_not_affect_other_names |
| spec without a field that core requires, such as `type` or `salt` | unknown name | the field's default | test_fields_of_a_spec_may_be_missing |
| malformed condition | the whole ruleset is rejected | its specs are unsupported | test_a_malformed_condition_affects_only_the_specs_that_use_it |
| malformed override rule or mapping | the whole ruleset is rejected | it does not apply | test_a_mapping_that_does_not_apply_changes_nothing |
| malformed bandit | the whole ruleset is rejected | unsupported | test_a_malformed_bandit_is_unsupported |
| malformed parameter store | the whole ruleset is rejected | its parameters have no value | test_an_unknown_or_broken_store_has_no_values |
| duplicates among secondary exposures of events | kept | removed, the first is kept | test_exposures_name_each_gate_once |
| value that is not an object, in a client response | null, or the bool | {} | test_a_config_whose_value_is_no_object_is_empty |
| version of a spec that has none | that of the first spec it refers to | none | test_a_spec_without_a_version_has_none |
| group of a user whom a bandit's targeting gate excludes | that of the gate's rule | none | test_an_excluded_user_has_no_group |
| id type and version of an evaluation that is nested too deeply | none | the spec's | test_an_evaluation_that_is_nested_too_deeply_has_the_specs_version |
| bandit whose targeting gate is nested too deeply | the user is excluded | depth exceeded | test_a_bandit_with_a_cyclic_targeting_gate_ends |
| rule id of a bandit's absent targeting gate | that of a gate visited before | "" | test_a_bandit_may_have_a_targeting_gate |
| exposures of a layer over a bandit whose targeting gate is absent or mapped | some are lost | all | test_a_layer_over_a_bandit_that_is_mapped_in_vain_has_its_exposures |
| rule id of a merging layer over a bandit that explores | with the suffix `:explore` | without | test_the_rule_of_a_merging_layer_has_no_suffix |
| session replay whose targeting gate is absent, or after an unsupported spec | the value of the spec visited before | not recorded | test_a_session_is_not_recorded_if_blocked_untargeted_or_unsampled |
| `eq` with a target list in which elements differ only in case | panics if the user's list has as many as are left | not equal | test_a_list_equals_a_target_without_doubles |
| an experiment's group in a condition, if gates below it are nested too deeply | no group; ends the process in a cycle | depth exceeded | test_a_cycle_through_an_experiments_group_ends |
| parameter store: numbers with a fraction in an array | 0 | the numbers | test_a_stores_array_keeps_fractions |
| exposure of an unknown name that was asked as a gate and as a config | swallowed | sent | test_unknown_names_are_exposed_once_per_kind |
| experiment whose group was tested before an unknown condition | exposed | not exposed | test_an_unsupported_gate_exposes_no_experiment |
| `overrideConfigName` of an exposure | also that of a mapped gate below it; none if what answers is mapped in vain itself | the spec that answers instead | test_a_mapping_below_a_gate_is_not_the_gates |
| exposure of an experiment whose group a condition tests | without `rulePassed` | with it | test_a_consulted_experiment_is_exposed_with_rule_passed |
| merging layer, an experiment that is ignored | its exposures leak into the next rule's | not exposed | test_an_ignored_experiment_leaves_no_exposure |
| allocated experiment of a layer whose experiment is unsupported | its name | none, as there is no value | test_a_layer_with_an_unsupported_experiment_is_unsupported |
| merging layer whose experiment is unsupported | the parameters so far, reason Unsupported | {} | test_cyclic_and_unknown_rules_end_alike |
| override by a group that does not exist | value {} | the rules decide | test_an_override_by_an_unknown_group_is_ignored |
| override by group | no group name | the group's name | test_an_override_by_group_takes_the_groups_value |
| name in the exposure of a cyclic evaluation | "" | the gate | test_a_gate_that_refers_to_itself_is_exposed_by_name |
| one cyclic spec in a client response | the whole response is empty | only that spec is omitted | test_a_gate_that_refers_to_itself_is_omitted |
| local overrides in a client response | on request | included, unless `include_local_overrides=False` | test_lookups_and_the_browser_agree_under_overrides_and_sticky_groups |
| overridden name without a spec in a client response | absent | included | same |
| overridden parameter store in a client response | not overridden | static parameters | test_the_browser_reads_an_overridden_parameter_store |
| override of a dynamic config as an experiment, or the other way round, in a client response | ignored | applies, if it is the only one | test_a_name_overridden_as_the_other_kind_is_read_so_by_the_browser |
| sticky assignments in a client response | ignored | included for a loaded user; none is assigned | test_lookups_and_the_browser_agree_under_overrides_and_sticky_groups |
| list of autotunes | without contextual bandits | with them | test_the_lists_of_names_are_those_of_the_package_but_for_bandits |
| list of names | without names that are only overridden | with them | test_all_results_and_names_include_overrides |
| client response without a ruleset | has_updates true | has_updates false | test_without_rules_there_are_no_updates |
| custom ids that are whole numbers | numbers in events and responses, rounded beyond 2^53 in rules | their text | test_a_user_id_is_one_text_everywhere |
| manual exposure after an automatic one | dropped by some SDKs | reported | test_a_manual_exposure_is_deduplicated_separately |
| reason while the client starts | `Loading:Unrecognized` | awaited lookups wait; others have `Uninitialized` | test_the_sdks_own_expectations_of_reasons |
| reason of ID list conditions | suffix `:IdListInMemory` | no suffix | test_reasons_name_source_and_outcome |
| patterns that may take exponential time in `re`, without the extra `re2` | linear-time engine | unsupported | test_without_re2_a_pattern_that_could_block_the_loop_is_unsupported |
| texts for which a pattern may take more than 2 million steps in `re` | matched | unsupported | test_a_text_too_long_for_a_pattern_is_unsupported_not_false |
| patterns with conditions, calls of groups, references in loops or that ignore case, lookbehinds without a maximum width, `\\p{Emoji}`, `\\p{Alphabetic}`, `\\p{scx=Greek}` | matched | unsupported | test_patterns_match_alike_with_re2 |
| patterns with a script such as `\\p{Greek}`, without the extra `re2` | matched | unsupported | test_patterns_match_alike_without_re2 |
| letters with a case or category since a Unicode later than this Python's | Unicode 16 | as this Python has them | test_letters_are_those_of_this_pythons_unicode |
| more than 5,000 rules and conditions in a spec, groups in a bandit, or mappings of a name | evaluated | unsupported; no mapping | test_a_spec_with_too_many_rules_is_unsupported |
| target `inf` or `nan` of a time operator | the nearest 64-bit integer | false | test_a_target_that_is_not_an_instant_is_neither_before_nor_after |
| instants past 64 bits | the nearest 64-bit integer, or a panic | invalid for a user, exact as a target | test_an_instant_beyond_64_bits_is_valid_only_as_a_target |
| versions of more than 20,000 characters | compared | no version | test_a_version_of_very_many_parts_is_no_version |
| int where a bool is wanted, in typed getters | returned | the fallback | test_a_number_is_not_a_bool |
| IPv4 addresses out of range, such as `300.1.1.1` | panics | no country | test_an_address_out_of_range_has_no_country |
| whole numbers beyond 64 bits in a list as text | rounded to a double | exact | test_a_whole_number_beyond_64_bits_is_exact_in_a_list |
| experiments exposed manually or through a parameter store | without `rulePassed` | with it | test_events_are_those_of_the_vendors_package_field_by_field |
| `statsig::identify`, `statsig::diagnostics`, `statsig::non_exposed_checks` | sent | not sent | same |
| sticky: key of a unit without id | `:userID`, shared by all such users | none; nothing is sticky | test_a_storage_key_names_unit_and_type |
| sticky: a lookup for a user whose entries were not loaded | deletes the entry of the name | not sticky, no change | test_a_user_that_is_not_loaded_is_not_sticky_and_keeps_its_entries |
| sticky: a config mapping applies | saved under the new name, never read again | not sticky | test_answers_of_overrides_mappings_and_bandits_are_not_sticky |
| sticky: malformed entry | all entries of the unit are ignored | that one is | test_an_entry_that_cannot_answer_is_replaced |
| sticky: version of an entry | `config_version` only | also `configVersion`, as Node's SDK writes it | test_a_saved_assignment_answers |
"""
