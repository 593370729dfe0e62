//! What a run and its answers cost follows the size of what is read.

use crate::workdir::WorkDir;

fn report(id: &str, rows: &str, domain: &str) -> String {
    format!(
        "<feedback><report_metadata><org_name>receiver.example</org_name><email>d@receiver.example</email><report_id>{id}\
         </report_id><date_range><begin>1794787200</begin><end>1794873599</end></date_range></report_metadata>\
         <policy_published><domain>{domain}</domain><p>none</p></policy_published>{rows}</feedback>"
    )
}

fn row(address: &str, domain: &str, result: &str) -> String {
    format!(
        "<record><row><source_ip>{address}</source_ip><count>1</count><policy_evaluated><disposition>none</disposition>\
         <dkim>{result}</dkim><spf>{result}</spf></policy_evaluated></row><identifiers><header_from>{domain}</header_from>\
         </identifiers><auth_results><spf><domain>{domain}</domain><result>{result}</result></spf></auth_results></record>"
    )
}

#[test]
fn made_up_domains_do_not_drown_the_summary() {
    let work = WorkDir::new();
    let of = |number: usize| format!("d{number}.example");
    let forged: String = (0..400)
        .map(|number| report(&format!("f{number}"), &row("192.0.2.1", &of(number), "fail"), &of(number)))
        .collect();
    work.write("in/forged.xml", forged);
    work.write("in/own.xml", report("own", &row("192.0.2.9", "example.com", "pass"), "example.com"));
    work.write("in/parked.xml", report("parked", &row("192.0.2.9", "example.net", "fail"), "example.net"));
    work.write("settings.toml", "domains = [\"example.net\"]\n");
    work.run(["ingest", "in"]);
    let summary = |format: &str| {
        let done = work.run(["--config", "settings.toml", "summary", "--week", "2026-W47", "--format", format]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        done
    };
    for format in ["text", "markdown", "html"] {
        let page = summary(format).stdout;
        let made_up = (0..400).filter(|number| page.contains(&of(*number))).count();
        assert!(made_up < 40, "{format}: {made_up} of 400 are told");
        assert!(page.contains("example.com") && page.contains("example.net"), "{format}");
        assert!(page.contains("380 more domains"), "{format}: {page}");
    }
    let all = summary("json").json();
    assert_eq!(all["domains"].as_array().map(Vec::len), Some(402));
    assert_eq!(all["totals"]["messages"], 402);
}
