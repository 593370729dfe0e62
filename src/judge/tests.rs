//! The rules of `docs/standards.md` section 4 and the causes of `docs/summary.md`, one test each.

use super::*;
use crate::limits::Limits;
use crate::model::Cause;
use crate::normalize::{Context, Read, reports};

/// A record's parts as XML.
#[derive(Clone, Copy)]
struct Row {
    evaluated: &'static str,
    identifiers: &'static str,
    results: &'static str,
}

const FROM: &str = "<header_from>example.com</header_from>";
const FAILED: &str = "<dkim>fail</dkim><spf>fail</spf>";

/// A row of `example.com` that the reporter failed, with these results.
fn failed(results: &'static str) -> Row {
    Row { evaluated: FAILED, identifiers: FROM, results }
}

fn judged(policy: &str, row: Row) -> (Verdict, Vec<Finding>) {
    let Row { evaluated, identifiers, results } = row;
    let xml = format!(
        "<feedback><report_metadata><org_name>receiver.example</org_name><report_id>1</report_id><date_range>\
         <begin>1772496000</begin><end>1772582399</end></date_range></report_metadata><policy_published>\
         <domain>example.com</domain>{policy}</policy_published><record><row><source_ip>192.0.2.7</source_ip>\
         <count>3</count><policy_evaluated>{evaluated}</policy_evaluated></row><identifiers>{identifiers}\
         </identifiers><auth_results>{results}</auth_results></record></feedback>"
    );
    let arrival = "2026-03-04T02:00:00Z".parse().expect("a timestamp");
    let read = reports(xml.as_bytes(), &Context { attachment: None, arrival }, &Limits::default());
    let [Read::Report { report, .. }] = &read[..] else { panic!("one report, not {read:?}") };
    let (mut verdicts, findings) = judge(report);
    (verdicts.remove(0), findings)
}

fn verdict_of(row: Row) -> Verdict {
    judged("", row).0
}

fn cause_of(row: Row) -> &'static str {
    verdict_of(row).cause.as_str()
}

#[test]
fn relaxed_alignment_is_by_organizational_domain_and_the_default() {
    let row = failed(
        "<dkim><domain>mail.example.com</domain><result>pass</result></dkim>\
         <spf><domain>bounce.example.net</domain><result>pass</result></spf>",
    );
    let verdict = verdict_of(row);
    assert_eq!((verdict.recomputed_dkim, verdict.recomputed_spf), (Some(true), Some(false)));
    let sibling = Row { identifiers: "<header_from>news.example.com</header_from>", ..row };
    assert_eq!(verdict_of(sibling).recomputed_dkim, Some(true));
}

#[test]
fn strict_alignment_is_by_the_same_domain_and_each_side_has_its_own_mode() {
    let row = failed(
        "<dkim><domain>mail.example.com</domain><result>pass</result></dkim>\
         <spf><domain>mail.example.com</domain><result>pass</result></spf>",
    );
    for (policy, aligned) in [
        ("<adkim>s</adkim>", (false, true)),
        ("<aspf>S</aspf>", (true, false)),
        ("<adkim>strict</adkim><aspf>unknown</aspf>", (false, true)),
    ] {
        let verdict = judged(policy, row).0;
        assert_eq!((verdict.recomputed_dkim, verdict.recomputed_spf), (Some(aligned.0), Some(aligned.1)), "{policy}");
    }
}

#[test]
fn only_a_pass_aligns() {
    for result in ["fail", "softfail", "neutral", "none", "temperror", "permerror", "policy"] {
        let results = format!(
            "<dkim><domain>example.com</domain><result>{result}</result></dkim>\
             <spf><domain>example.com</domain><result>{result}</result></spf>"
        );
        let verdict = verdict_of(failed(results.leak()));
        assert_eq!((verdict.recomputed_dkim, verdict.recomputed_spf), (Some(false), Some(false)), "{result}");
    }
}

#[test]
fn a_helo_result_counts_for_a_null_return_path_only() {
    const HELO: &str = "<spf><domain>example.com</domain><scope>helo</scope><result>pass</result></spf>";
    const BOTH: &str = "<spf><domain>example.com</domain><scope>helo</scope><result>pass</result></spf>\
                        <spf><domain>example.org</domain><scope>mfrom</scope><result>fail</result></spf>";
    for (envelope_from, results, aligned) in [
        ("<envelope_from></envelope_from>", HELO, true),
        ("<envelope_from>&lt;&gt;</envelope_from>", BOTH, true),
        ("<envelope_from>bounce.example.com</envelope_from>", HELO, false),
        // Not said: a MAIL FROM result beside it shows that there was one.
        ("", HELO, true),
        ("", BOTH, false),
    ] {
        let identifiers = format!("{FROM}{envelope_from}").leak();
        let row = Row { identifiers, ..failed(results) };
        assert_eq!(verdict_of(row).recomputed_spf, Some(aligned), "{envelope_from} {results}");
    }
}

#[test]
fn the_reporters_evaluation_is_what_counts() {
    let row = Row {
        evaluated: "<dkim>pass</dkim><spf>Fail</spf>",
        ..failed("<spf><domain>example.com</domain><result>pass</result></spf>")
    };
    let verdict = verdict_of(row);
    assert_eq!((verdict.dkim_aligned, verdict.spf_aligned, verdict.dmarc_pass), (Some(true), Some(false), true));
    assert_eq!(verdict.mismatch, Some(Mismatch::PassWithoutEvidence));
}

#[test]
fn a_word_other_than_pass_does_not_pass() {
    let verdict = verdict_of(Row { evaluated: "<dkim>none</dkim><spf>softfail</spf>", ..failed("") });
    assert_eq!((verdict.dkim_aligned, verdict.spf_aligned, verdict.dmarc_pass), (Some(false), Some(false), false));
}

#[test]
fn without_an_evaluation_alignment_is_recomputed_with_a_finding() {
    let row = Row {
        evaluated: "<disposition>none</disposition>",
        ..failed("<dkim><domain>example.com</domain><result>pass</result></dkim>")
    };
    let (verdict, findings) = judged("", row);
    assert_eq!((verdict.dkim_aligned, verdict.spf_aligned, verdict.dmarc_pass), (Some(true), Some(false), true));
    assert_eq!((verdict.mismatch, verdict.cause), (Some(Mismatch::NotEvaluated), Cause::PassDkimOnly));
    assert_eq!(findings[0].code, FindingCode::ROW_NOT_EVALUATED);
    let nothing = verdict_of(Row { results: "", ..row });
    assert_eq!((nothing.dkim_aligned, nothing.dmarc_pass, nothing.cause), (None, false, Cause::Unknown));
}

#[test]
fn mismatches_are_named() {
    let aligned = "<dkim><domain>example.com</domain><result>pass</result></dkim>";
    assert_eq!(verdict_of(failed(aligned)).mismatch, Some(Mismatch::FailButAligned));
    let passed = Row { evaluated: "<dkim>pass</dkim><spf>fail</spf>", ..failed("") };
    assert_eq!(verdict_of(passed).mismatch, Some(Mismatch::PassWithoutEvidence));
    assert_eq!(verdict_of(Row { results: aligned, ..passed }).mismatch, None);
    // Nothing to compare with.
    assert_eq!(verdict_of(Row { identifiers: "", ..passed }).mismatch, None);
}

#[test]
fn the_signature_that_decides_is_an_aligned_pass_else_a_pass_else_the_first() {
    const FAIL: &str = "<dkim><domain>example.com</domain><result>fail</result></dkim>";
    const OTHER: &str = "<dkim><domain>example.net</domain><result>pass</result></dkim>";
    const OWN: &str = "<dkim><domain>example.com</domain><result>pass</result></dkim>";
    for (results, deciding) in [
        (format!("{FAIL}{OTHER}{OWN}"), Some(2)),
        (format!("{FAIL}{OTHER}"), Some(1)),
        (format!("{FAIL}{FAIL}"), Some(0)),
        (String::new(), None),
    ] {
        assert_eq!(verdict_of(failed(results.leak())).deciding_dkim, deciding);
    }
}

#[test]
fn the_spf_result_that_decides_is_one_of_mail_from() {
    let row = failed(
        "<spf><domain>example.com</domain><scope>helo</scope><result>pass</result></spf>\
         <spf><domain>example.org</domain><scope>mfrom</scope><result>fail</result></spf>",
    );
    assert_eq!(verdict_of(row).deciding_spf, Some(1));
}

#[test]
fn class_1_a_pass_is_a_pass_whatever_else_is_reported() {
    for (evaluated, cause) in [
        ("<dkim>pass</dkim><spf>pass</spf>", "pass_both"),
        ("<dkim>pass</dkim><spf>fail</spf><reason><type>forwarded</type></reason>", "pass_dkim_only"),
        ("<dkim>fail</dkim><spf>pass</spf>", "pass_spf_only"),
    ] {
        assert_eq!(cause_of(Row { evaluated, ..failed("") }), cause);
    }
}

#[test]
fn class_2_an_own_temporary_error_is_transient_before_any_reason() {
    let evaluated = "<dkim>fail</dkim><spf>fail</spf><reason><type>forwarded</type></reason>";
    for results in [
        "<dkim><domain>mail.example.com</domain><result>temperror</result></dkim>",
        "<spf><domain>example.com</domain><result>temperror</result></spf>",
    ] {
        assert_eq!(cause_of(Row { evaluated, ..failed(results) }), "transient");
    }
    let other = "<dkim><domain>example.net</domain><result>temperror</result></dkim>";
    assert_eq!(cause_of(failed(other)), "unauthenticated");
}

#[test]
fn classes_3_and_4_are_what_the_receiver_declares() {
    for (reason, cause) in [
        ("<type>forwarded</type>", "forwarded_declared"),
        ("<type>mailing_list</type>", "forwarded_declared"),
        ("<type>trusted_forwarder</type>", "forwarded_declared"),
        ("<type>local_policy</type><comment>ARC=pass as[1]</comment>", "forwarded_declared"),
        ("<type>local_policy</type><comment>arc=fail</comment>", "unauthenticated"),
        ("<type>other</type>", "unauthenticated"),
    ] {
        let evaluated = format!("{FAILED}<reason>{reason}</reason>").leak();
        let results = "<spf><domain>example.com</domain><result>fail</result></spf>";
        assert_eq!(cause_of(Row { evaluated, ..failed(results) }), cause, "{reason}");
    }
}

#[test]
fn classes_5_to_9_are_what_the_results_say() {
    const BROKEN: &str = "<dkim><domain>example.com</domain><result>fail</result></dkim>";
    const NO_KEY: &str = "<dkim><domain>example.com</domain><result>permerror</result></dkim>";
    const OTHER: &str = "<spf><domain>lists.example.net</domain><result>pass</result></spf>";
    const NOTHING: &str = "<spf><domain>example.com</domain><result>softfail</result></spf>";
    for (results, cause) in [
        (format!("{BROKEN}{OTHER}"), "list_or_modifying_forwarder"),
        (format!("{BROKEN}{NOTHING}"), "own_signing_broken"),
        (format!("{NO_KEY}{OTHER}"), "own_signing_broken"),
        (OTHER.to_owned(), "authenticated_unaligned"),
        (NOTHING.to_owned(), "unauthenticated"),
        (String::new(), "unknown"),
    ] {
        assert_eq!(cause_of(failed(results.leak())), cause);
    }
}

#[test]
fn an_own_pass_that_strict_alignment_refuses_is_a_class_of_its_own_and_one_that_the_reporter_refuses_is_class_7() {
    let row = failed("<dkim><domain>mail.example.com</domain><result>pass</result></dkim>");
    assert_eq!(judged("<adkim>s</adkim>", row).0.cause, Cause::StrictAlignment);
    assert_eq!(judged("<aspf>s</aspf>", row).0.cause, Cause::AuthenticatedUnaligned);
    for reason in ["sampled_out", "policy_test_mode"] {
        let evaluated = format!("{FAILED}<reason><type>{reason}</type></reason>").leak();
        assert_eq!(judged("<adkim>s</adkim>", Row { evaluated, ..row }).0.cause, Cause::StrictAlignment, "{reason}");
    }
}

#[test]
fn without_a_header_from_a_failing_row_is_unknown() {
    let results = "<spf><domain>example.com</domain><result>pass</result></spf>";
    let verdict = verdict_of(Row { identifiers: "", ..failed(results) });
    assert_eq!((verdict.cause, verdict.org_domain, verdict.recomputed_spf), (Cause::Unknown, None, None));
}
