//! What the documents promise about safety, and the tests that hold the program to it. A promise that is reworded, a new one
//! and a test that is renamed or removed all fail here, so that no promise stands without a test.

use crate::workdir::{files_below, repository};
use dmarquet::limits::Limits;
use std::collections::BTreeSet;

/// Words of a promise, and tests that fail where it is broken.
type Claim = (&'static str, &'static [&'static str]);

/// Each bullet, paragraph and row of `SECURITY.md` above its section on dependencies holds one of these or more.
const SECURITY: &[Claim] = &[
    ("reads what strangers send", &["hostile_answers_for_one_mail_do_not_cost_the_others"]),
    ("Every input is bounded", &["a_gzip_of_a_thousand_to_one", "a_hundred_thousand_parts", "a_report_at_the_limits"]),
    (
        "XML documents with a DOCTYPE",
        &["a_document_type_is_hostile_where_it_says_more_than_a_name", "floods_of_entities"],
    ),
    ("Only XML's own entities", &["entities_xml_does_not_know_are_kept_as_written_with_a_finding"]),
    ("never used as paths", &["a_name_that_leaves_its_folder_is_a_finding_and_never_a_path"]),
    (
        "Links inside folders are not followed",
        &["a_link_in_a_folder_is_not_followed_and_is_reported", "an_export_writes_through_no_link"],
    ),
    (
        "Text from reports is made safe",
        &[
            "no_character_is_invisible_or_changes_the_direction_of_text",
            "formulas_of_strangers_stay_text",
            "names_with_every_control_character",
        ],
    ),
    ("`sender_auth` says", &["an_authentic_report_counts_whichever_came_first_in_one_run_or_in_two"]),
    (
        "needs the reporter's own domain",
        &["a_pass_needs_the_reporters_domain_and_a_signature_on_everything_read", "only_a_trusted_servers_pass_counts"],
    ),
    ("A known reporter's name from another domain", &["a_known_reporters_name_is_its_own"]),
    ("anyone can have a mailbox", &["a_domain_of_mailboxes_speaks_for_nobody_but_the_operators_own_hosts_do"]),
    ("judged by that mail's own signature", &["an_attached_mail_is_judged_by_its_own_signature"]),
    ("say why a result is `none`", &["what_is_none_says_why"]),
    (
        "TLS certificates are always verified",
        &[
            "a_certificate_that_no_authority_signed_is_refused",
            "login_works_over_stls_and_by_token_and_not_with_a_wrong_certificate",
            "login_works_over_tls_and_starttls_with_every_mechanism",
        ],
    ),
    (
        "removed from what servers echo",
        &[
            "a_login_that_the_server_repeats_is_not_shown",
            "a_refused_login_is_tried_once_and_repeats_no_secret",
            "a_repeated_secret_is_not_shown",
            "a_token_endpoint_that_repeats_what_it_was_sent_shows_no_secret",
            "no_text_panics_and_no_secret_is_left",
        ],
    ),
    (
        "private whatever the umask",
        &[
            "only_its_owner_can_read_a_store_whatever_the_umask",
            "a_store_of_an_older_version_is_made_private_by_the_next_write",
        ],
    ),
    ("`unsafe` code is forbidden", &["unsafe_code_is_forbidden"]),
    ("holds the program to them", &["the_bounds_of_the_page_are_those_of_the_program"]),
    ("a mail, or a file that is not a mailbox", &["files_over_the_limit_are_named_and_not_read"]),
    ("inflates or decodes to", &["nested_archives_share_one_allowance"]),
    ("one compressed stream", &["a_bomb_is_stopped_while_it_inflates"]),
    ("archive members", &["a_million_empty_members_are_not_listed", "archives_nest_no_deeper_than_the_limit"]),
    (
        "MIME parts",
        &["a_hundred_thousand_parts_are_not_walked", "a_thousand_levels_of_multiparts_or_mails_are_not_entered"],
    ),
    ("records of a report", &["ten_million_records", "results_past_the_limit_are_dropped_with_a_finding"]),
    ("policies of a TLS report", &["more_than_the_limit_is_dropped_with_a_finding"]),
    ("unmatched tags", &["stray_tags_past_all_bounds_stop_the_pass"]),
    ("a text value", &["an_element_of_a_hundred_megabytes", "findings_beyond_the_limit_are_counted_in_a_last_one"]),
    ("a compressed mailbox file", &["a_mailbox_of_countless_mails_in_a_gzip_is_one_rejection_more"]),
    (
        "an IMAP response",
        &[
            "a_greeting_capabilities_and_answers_without_end_are_refused_early",
            "a_literal_over_the_limit_is_refused_before_it_is_read",
        ],
    ),
    (
        "`rejected/`, and separately",
        &[
            "a_flood_of_junk_hides_no_report_and_costs_bounded_disk",
            "the_quota_holds_at_every_step_of_a_commit_and_after_a_kill",
        ],
    ),
    ("findings and rejected items named by a run", &["a_flood_of_findings_is_counted_and_not_kept"]),
    ("memory that large items", &["large_items_wait_for_each_other_but_the_next_one_for_nobody"]),
    ("items that a run has read", &["the_source_is_read_only_a_little_ahead_of_the_workers"]),
    ("sources that a summary lists", &["beyond_the_bounds_names_are_folded_and_every_sum_stays_exact"]),
    (
        "addresses that a summary tells apart",
        &["beyond_the_bound_addresses_count_as_the_unknown_source_and_no_message_is_lost"],
    ),
    (
        "names and addresses that the rules of alerts tell apart",
        &[
            "addresses_beyond_the_room_are_two_and_no_message_is_lost",
            "made_up_names_take_bounded_room_and_change_no_event",
        ],
    ),
    (
        "what a report takes in memory while it is read",
        &[
            "a_report_that_takes_too_much_memory_is_rejected_whole",
            "text_that_grows_too_long_is_not_decoded_and_what_just_fits_is_the_same_as_ever",
        ],
    ),
    ("was stored and summarized in", &["a_report_at_the_limits"]),
    (
        "An item that was being read when a run died",
        &[
            "an_item_that_ends_the_program_ends_it_once",
            "an_item_whose_process_was_killed_from_outside_is_left_for_the_next_run",
            "an_item_that_survives_its_trial_and_ends_the_run_all_the_same_is_stored_by_another_process",
        ],
    ),
    ("Not bounded", &["every_item_ends_in_exactly_one_place"]),
    (
        "anyone who can send mail",
        &[
            "an_authentic_report_counts_whichever_came_first_in_one_run_or_in_two",
            "a_flood_of_junk_hides_no_report_and_costs_bounded_disk",
            "a_flood_of_other_reports_under_one_key_costs_bounded_disk",
        ],
    ),
    (
        "the mail server",
        &[
            "whatever_breaks_at_whatever_command_every_mail_is_given_once",
            "a_password_is_never_sent_if_the_server_forbids_it",
            "unacknowledged_mails_are_not_touched",
            "without_tls_only_a_loopback_address_is_connected_to",
        ],
    ),
    ("DNS (`check`", &["without_dns_every_report_is_stored_and_the_run_ends_soon"]),
    ("databases given with `geoip`", &["an_installed_database_is_used_and_a_missing_one_reported_only_if_requested"]),
    (
        "whoever can write to the data folder",
        &["a_file_flipped_cut_or_gone_is_named_by_verify_and_never_the_end_of_the_program"],
    ),
    ("whoever can write the settings", &["settings_that_are_wrong_stop_the_run_with_file_line_and_expectation"]),
    ("whoever reads a summary", &["escapes_and_bidi_controls_never_reach_a_terminal_raw"]),
    ("needs to read its settings", &["a_store_that_cannot_be_written_is_read_all_the_same"]),
];

/// Each paragraph, bullet and step of these sections of `docs/design.md` holds one of these or more: the commit protocol to
/// the contracts.
const DESIGN: &[Claim] = &[
    ("committed in three steps", &["a_kill_at_any_step_loses_nothing_and_doubles_nothing"]),
    ("records an *intent*", &["a_kill_at_any_step_loses_nothing_and_doubles_nothing"]),
    ("A rename never replaces a file", &["a_rename_replaces_nothing"]),
    ("ends the intent", &["a_cursor_follows_its_batch_and_messages_stay_pending_until_acknowledged"]),
    (
        "Only then may a mail be flagged",
        &["messages_are_acknowledged_only_after_their_batch_and_by_their_fate", "unacknowledged_mails_are_not_touched"],
    ),
    (
        "is reported and kept",
        &[
            "files_that_the_ledger_does_not_list_are_counted",
            "a_ledger_older_than_its_files_is_reported_and_costs_no_file",
        ],
    ),
    ("a merge copies and verifies them first", &["a_merge_refuses_to_spread_damage"]),
    (
        "one writer at a time",
        &[
            "a_second_writer_learns_who_holds_the_store",
            "a_displaced_writer_is_refused_and_the_new_one_continues",
            "a_writer_counts_as_dead_only_if_that_is_certain",
            "a_writer_that_ended_is_dead_although_nobody_waited_for_it",
        ],
    ),
    ("refuses to write", &["where_the_file_system_does_not_lock_nobody_writes"]),
    ("Readers take no lock", &["a_backup_beside_a_run_is_of_one_instant"]),
    ("exchanged under an intent", &["a_kill_at_any_step_of_a_compaction_changes_no_answer"]),
    ("rewritten a bounded number of times", &["a_row_is_rewritten_at_most_once_in_each_class"]),
    (
        "Two reports are the same if",
        &["reporter_id_domain_and_period_each_change_the_key", "twice_equals_once_and_another_content_is_a_conflict"],
    ),
    (
        "an authentic report replaces one",
        &[
            "an_authentic_report_counts_whichever_came_first_in_one_run_or_in_two",
            "between_equals_only_the_whole_replaces_a_part",
            "a_promoted_report_counts_and_nothing_else_replaces_it",
        ],
    ),
    ("Later runs try it again", &["reports_rejected_because_of_a_wrong_clock_are_read_by_a_later_run"]),
    (
        "an older program refuses a newer one",
        &[
            "a_store_of_a_newer_program_is_refused_in_a_sentence",
            "a_store_of_version_2_is_read_and_upgraded_and_nothing_is_lost",
            "a_store_of_version_2_grows_the_tables_of_today_and_is_rebuilt_with_them",
        ],
    ),
    ("**Exit codes**", &["the_exit_codes_are_the_documented_ones"]),
    ("**The tally**", &["every_item_ends_in_exactly_one_place", "the_json_has_exactly_the_keys_of_the_design"]),
    ("**The sums**", &["counts_whose_sum_overflows_break_no_command_and_are_reported"]),
    (
        "**Counting**",
        &[
            "the_day_is_the_midpoints_whether_the_end_is_inclusive_or_exclusive",
            "sums_never_wrap_and_shares_count_whole_messages",
        ],
    ),
];

/// What the README says of loss; its other promises are those of the pages it links to.
const README: &[Claim] = &[
    (
        "Nothing is lost: a report that cannot be read is kept",
        &["an_unreadable_item_is_named_once_and_can_be_shown_and_retried"],
    ),
    (
        "only after its reports are safe on disk",
        &["messages_are_acknowledged_only_after_their_batch_and_by_their_fate"],
    ),
    (
        "nothing is lost and nothing is stored twice",
        &[
            "whatever_call_fails_the_next_run_has_every_report_once",
            "a_program_killed_at_random_moments_has_every_report_once_in_the_end",
        ],
    ),
    (
        "recreates all tables from `originals/`",
        &["a_rebuild_needs_no_ledger", "a_damaged_or_lost_ledger_is_said_and_rebuilt_from_the_originals"],
    ),
    ("Any program can read the Parquet files", &["other_programs_read_the_types_and_add_up_to_the_same_sums"]),
    ("A run prints nothing if all is well", &["cron_reports_unreadable_items_once_and_nothing_else"]),
];

/// A page as its paragraphs, bullets, steps and rows, each on one line without a table's head.
fn units(text: &str) -> Vec<String> {
    let mut units: Vec<String> = Vec::new();
    let (mut fenced, mut open) = (false, false);
    for line in text.lines().map(str::trim) {
        let fence = line.starts_with("```");
        fenced ^= fence;
        if fence || fenced || line.is_empty() || line.starts_with(['#', '!']) || line.starts_with("|---") {
            // What stands above the line of hyphens is a table's head.
            if line.starts_with("|---") {
                units.pop();
            }
            open = false;
            continue;
        }
        let begins = line.starts_with("- ") || line.starts_with('|') || line.as_bytes().get(1..3) == Some(b". ");
        match units.last_mut() {
            Some(unit) if open && !begins => *unit = format!("{unit} {line}"),
            _ => units.push(line.to_owned()),
        }
        open = true;
    }
    units
}

fn page(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).expect("a page of the repository")
}

/// The part of a page from one heading to another.
fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let (_, rest) = text.split_once(from).expect("the heading");
    rest.split_once(to).expect("the next heading").0
}

fn tests() -> BTreeSet<String> {
    let files = ["src", "tests/it"].iter().flat_map(|folder| files_below(&repository().join(folder)));
    let sources = files.filter(|path| path.extension().is_some_and(|ending| ending == "rs"));
    let mut names = BTreeSet::new();
    for source in sources {
        let text = std::fs::read_to_string(source).expect("a source file is UTF-8");
        for test in text.split("#[test]").skip(1) {
            let name = test.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
            names.extend(name.map(str::to_owned));
        }
    }
    names
}

#[test]
fn every_promise_of_safety_has_a_test() {
    let (security, design, readme) = (page("SECURITY.md"), page("docs/design.md"), page("README.md"));
    let pages = [
        ("SECURITY.md", security.split_once("## Dependencies").expect("the section").0, SECURITY, true),
        ("docs/design.md", between(&design, "### Commit protocol", "## Bounds"), DESIGN, true),
        ("README.md", &readme, README, false),
    ];
    let tests = tests();
    let mut faults = Vec::new();
    for (name, text, claims, all) in pages {
        let units = units(text);
        for (words, proofs) in claims {
            if !units.iter().any(|unit| unit.contains(words)) {
                faults.push(format!("{name} does not say any more: {words}"));
            }
            let gone = proofs.iter().filter(|proof| !tests.contains(**proof));
            faults.extend(gone.map(|proof| format!("no test {proof} for {name}: {words}")));
        }
        let unproven = units.iter().filter(|unit| all && !claims.iter().any(|(words, _)| unit.contains(words)));
        faults.extend(unproven.map(|unit| format!("{name}: no test is named for: {unit}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn unsafe_code_is_forbidden() {
    assert!(page("Cargo.toml").contains("unsafe_code = \"forbid\""));
}

#[test]
fn the_bounds_of_the_page_are_those_of_the_program() {
    let limits = Limits::default();
    let text = page("SECURITY.md");
    let bounds = between(&text, "## Bounds", "## Who may do what");
    let grouped = |number: u64| {
        let digits = number.to_string();
        let mut text = String::new();
        for (at, digit) in digits.char_indices() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        text
    };
    let mebibytes = |bytes: u64| format!("{} MiB", bytes >> 20);
    let kibibytes = |bytes: u32| format!("{} KiB", bytes >> 10);
    let number = |number: u32| grouped(number.into());
    let rows = [
        ("a mail, or a file that is not a mailbox", mebibytes(limits.item_bytes)),
        ("inflates or decodes to", mebibytes(limits.inflated_bytes)),
        ("one compressed stream", format!("{} times", grouped(limits.ratio))),
        ("archive members", format!("{}; {}", number(limits.members), limits.archive_depth)),
        ("MIME parts", format!("{}; {}", number(limits.mail_parts), limits.mail_depth)),
        ("records of a report", format!("{}; {}", number(limits.records), limits.results)),
        ("policies of a TLS report", format!("{}; {}", number(limits.tls_policies), number(limits.tls_failures))),
        (
            "a text value",
            format!("{}, cut; {}; {} and", kibibytes(limits.text_bytes), limits.element_depth, limits.findings),
        ),
        ("a compressed mailbox file", format!("{} times", Limits::MAILBOX_RATIO)),
    ];
    for (row, value) in rows {
        let line = bounds.lines().find(|line| line.contains(row)).unwrap_or_else(|| panic!("no row {row}"));
        assert!(line.contains(&value), "expected {value} in {line}");
    }
}
