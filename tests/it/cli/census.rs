//! `status --reporters`: who reports, with which software, and with which defects.

use crate::dns_servers::Scripted;
use crate::workdir::WorkDir;

const CONFIG: &str = "home/.config/dmarquet/config.toml";

/// A report about a domain, with additional metadata and policy elements.
fn report(reporter: &str, domain: &str, id: u32, (metadata, policy): (&str, &str), period: &str) -> String {
    format!(
        "<feedback><report_metadata><org_name>{reporter}</org_name><email>d@one.example</email><report_id>{id}</report_id>{metadata}\
         {period}</report_metadata><policy_published><domain>{domain}</domain>{policy}<p>none</p></policy_published><record><row>\
         <source_ip>192.0.2.7</source_ip><count>9</count><policy_evaluated><disposition>none</disposition><dkim>pass</dkim>\
         <spf>pass</spf></policy_evaluated></row><identifiers><header_from>{domain}</header_from></identifiers><auth_results><spf>\
         <domain>{domain}</domain><result>pass</result></spf></auth_results></record></feedback>"
    )
}

const PERIOD: &str = "<date_range><begin>1795392000</begin><end>1795478399</end></date_range>";
/// In milliseconds.
const ODD_PERIOD: &str = "<date_range><begin>1795392000000</begin><end>1795478399000</end></date_range>";

#[test]
fn reporters_are_reported_by_method_software_errors_and_defects() {
    let work = WorkDir::new();
    work.write(CONFIG, "domains = [\"shop.example.com\", \"other.example\"]\n");
    let psl = ("<generator>reportd 2.1</generator>", "<discovery_method>psl</discovery_method>");
    let walks = ("<error>no answer from \u{202e}ns1</error>", "<discovery_method>treewalk</discovery_method>");
    for (number, (reporter, domain, said, period)) in [
        ("one.example", "example.com", psl, PERIOD),
        ("two.example", "shop.example.com", walks, PERIOD),
        ("three.example", "other.example", ("", ""), ODD_PERIOD),
    ]
    .into_iter()
    .enumerate()
    {
        let id = u32::try_from(number).unwrap();
        work.write(format!("in/{number}.xml"), report(reporter, domain, id, said, period));
    }
    work.write("in/broken.example!other.example!1795392000!1795478399.xml", "<feedback><report_meta");
    work.run(["ingest", work.path("in").to_str().unwrap()]);
    // The record of the shop ends the walk; the suffix list finds that of the organization.
    let server = Scripted::start(
        "_dmarc.shop.example.com TXT v=DMARC1; p=none; psd=n\n_dmarc.example.com TXT v=DMARC1; p=reject\n\
         mail.shop.example.com TXT v=spf1 -all\nother.example TXT v=spf1 -all\n_dmarc.other.example TXT v=DMARC1; p=none\n",
    );
    work.write(CONFIG, "domains = [\"mail.shop.example.com\", \"other.example\"]\n");
    work.run(["check", "--all", "--server", &server.address.to_string(), "--now", "2026-11-25T06:00:00Z"]);

    let told = work.run(["status", "--reporters", "--format", "json"]).quiet();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["schema"], &told["reports"], &told["newest"]), (&1.into(), &3.into(), &"2026-11-23".into()));
    let of = |name: &str| {
        let reporters = told["reporters"].as_array().unwrap();
        reporters
            .iter()
            .find(|reporter| reporter["org_name"] == name)
            .unwrap_or_else(|| panic!("{name}: {told:#}"))
            .clone()
    };
    assert_eq!(of("one.example")["generators"][0]["text"], "reportd 2.1");
    assert_eq!(of("one.example")["discovery_methods"][0]["text"], "psl");
    assert_eq!(of("two.example")["errors"][0]["reports"], 1);
    let defects = of("three.example")["defects"].clone();
    assert_eq!((&defects[0]["text"], &defects[0]["newest"]), (&"period.unit".into(), &"2026-11-23".into()));
    assert!(of("one.example")["defects"].as_array().unwrap().is_empty());
    assert_eq!(
        told["walk_differs"],
        serde_json::json!([
            {"domain": "mail.shop.example.com", "by_treewalk": "shop.example.com", "by_psl": "example.com", "differs": "record"},
            {"domain": "shop.example.com", "by_treewalk": "shop.example.com", "by_psl": "example.com", "differs": "organization"},
        ])
    );
    let methods = told["methods"].as_array().unwrap();
    let psl: Vec<_> = methods.iter().filter(|method| method["method"] == "psl").collect();
    assert_eq!(
        (psl.len(), &psl[0]["org_name"], &psl[0]["policy_domain"]),
        (1, &"one.example".into(), &"example.com".into())
    );
    assert_eq!(
        (&told["unreadable"][0]["receiver"], &told["unreadable"][0]["items"]),
        (&"broken.example".into(), &1.into())
    );

    let text = work.run(["status", "--reporters"]).quiet();
    for line in [
        "3 reports from 3 reporters, the newest about 2026-11-23\n",
        "three.example: period.unit: The period was in milliseconds",
        "broken.example: 1 item\n",
        "two.example: \"no answer from \u{fffd}ns1\" (1 report, the newest about 2026-11-23)\n",
        "by the suffix list: one.example\n",
        "mail.shop.example.com: the record of shop.example.com by the tree walk, the record of example.com by the suffix list\n",
        "one.example still uses the suffix list for example.com (1 report, the newest about 2026-11-23)\n",
        "one.example: reportd 2.1 (1 report",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }

    let overview = work.run(["summary", "--overview", "--week", "2026-W48", "--format", "json"]).quiet();
    let overview: serde_json::Value = serde_json::from_str(&overview).unwrap();
    let rows = overview["domains"].as_array().unwrap();
    let row =
        |name: &str| rows.iter().find(|row| row["policy_domain"] == name).unwrap_or_else(|| panic!("{overview:#}"));
    assert!(row("other.example")["dns_fault"].is_null(), "{overview:#}");
    let server = Scripted::start("other.example TXT v=spf1 bogus -all\n_dmarc.other.example TXT v=DMARC1; p=none\n");
    work.run(["check", "--all", "--server", &server.address.to_string(), "--now", "2026-11-26T06:00:00Z"]);
    let overview = work.run(["summary", "--overview", "--week", "2026-W48"]).quiet();
    assert!(overview.contains("bogus"), "{overview}");
}

#[test]
fn a_customer_is_shown_its_own_reporters_only() {
    let work = WorkDir::new();
    work.write(CONFIG, "[[customer]]\nname = \"Shop\"\ndomains = [\"shop.example\"]\n[[customer]]\nname = \"Other\"\ndomains = [\"other.example\"]\n");
    work.write("in/1.xml", report("one.example", "shop.example", 1, ("<generator>mine</generator>", ""), PERIOD));
    work.write("in/2.xml", report("two.example", "other.example", 2, ("<generator>theirs</generator>", ""), PERIOD));
    work.write("in/x.example!other.example!1795392000!1795478399.xml", "<feedback><report_meta");
    work.run(["ingest", work.path("in").to_str().unwrap()]);
    let text = work.run(["status", "--reporters", "--customer", "Shop"]).quiet();
    assert!(
        text.contains("one.example: mine") && !text.contains("two.example") && !text.contains("x.example"),
        "{text}"
    );
    assert_eq!(work.run(["status", "--reporters", "--by-domain"]).code, Some(2));
}
