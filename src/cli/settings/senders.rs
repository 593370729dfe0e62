//! The user's own list of mail services, in a separate file: `senders = "senders.toml"` in the settings.

use super::reader::{self, Section};
use crate::analyze::Service;
use crate::cli::terminal::fault::Several;
use crate::model::Text;

/// Parses the file; `name` is its name in errors.
pub(crate) fn parse(text: &str, name: &str) -> anyhow::Result<Vec<Service>> {
    let (services, faults) = reader::read(text, name, |root| {
        let mut services = Vec::new();
        root.tables("sender", |section| services.extend(service(section)));
        services
    });
    if faults.is_empty() { Ok(services) } else { Err(Several(faults).into()) }
}

fn service(section: &mut Section<'_>) -> Option<Service> {
    let name = section.needed_text("name", "what the service is called").map(Text::from);
    let mut domains = |key| -> Vec<Text> {
        let texts = section.text_or_texts(key).into_iter();
        texts.map(|text| text.trim().trim_end_matches('.').to_lowercase().into()).collect()
    };
    let (dkim, bounce, alias) = (domains("dkim"), domains("bounce"), domains("alias"));
    let (ptr, spf) = (domains("ptr"), domains("spf"));
    if [&dkim, &bounce, &alias, &ptr, &spf].iter().all(|domains| domains.is_empty()) {
        section.fault("name", "expected at least one of dkim, bounce, alias, ptr and spf, found none");
    }
    let mut words = |key| section.text(key).map(|text| Text::from(text.replace(char::is_control, " ")));
    let (fix, help) = (words("fix"), words("help"));
    let name_servers = alias.clone();
    name.map(|name| Service { name, dkim, bounce, alias, name_servers, ptr, spf, fix, help })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_sender_has_a_name_and_one_kind_of_domain_or_more() {
        let services = parse(
            "[[sender]]\nname = \"Our CRM\"\ndkim = [\"CRM.example.\"]\nptr = \"mta.crm.example\"\n\
             [[sender]]\nname = \"Shop\"\nbounce = [\"shop.example\"]\n",
            "s.toml",
        )
        .unwrap();
        assert_eq!(services.len(), 2);
        assert_eq!((services[0].dkim[0].as_str(), services[0].ptr[0].as_str()), ("crm.example", "mta.crm.example"));
        assert_eq!((services[1].name.as_str(), services[1].dkim.len()), ("Shop", 0));
        assert_eq!(parse("", "s.toml").unwrap(), []);
    }

    #[test]
    fn faults_name_the_line_and_the_sender() {
        let told = |text: &str| format!("{:#}", parse(text, "s.toml").unwrap_err());
        let fault = told("[[sender]]\nname = \"x\"\n");
        assert!(
            fault.contains("s.toml line 2: sender 1: name: expected at least one of dkim, bounce, alias, ptr and spf"),
            "{fault}"
        );
        let fault = told("[[sender]]\ndkim = [\"a.example\"]\ncolor = 1\n");
        assert!(
            fault.contains("sender 1: name: expected what the service is called") && fault.contains("color"),
            "{fault}"
        );
    }
}
