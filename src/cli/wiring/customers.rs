//! The customer options, and suggestions for unknown names.

use crate::analyze::Question;
use crate::cli::settings::file::Settings;
use crate::cli::settings::near::near;
use crate::cli::settings::{self, Customer};
use crate::cli::terminal::fault::Hint as _;
use crate::cli::terminal::output::Console;
use crate::model::{Owners, Text, WithheldNames};
use crate::store::{Filter, Store};
use anyhow::anyhow;
use std::collections::BTreeSet;
use std::sync::Arc;

/// `--customer` and `--each-customer`.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct CustomerChoice {
    /// Only this customer of the settings; the output has nothing of any other customer
    #[arg(long, value_name = "NAME", help_heading = "Customers", conflicts_with = "each_customer")]
    pub(crate) customer: Option<String>,
    /// Run once for each customer of the settings, each into its own folder below --out
    #[arg(long, help_heading = "Customers")]
    pub(crate) each_customer: bool,
}

impl CustomerChoice {
    /// The requested customers, by their numbers in the settings; `None`: no customer was requested.
    pub(crate) fn chosen(&self, settings: &Settings) -> anyhow::Result<Option<Vec<usize>>> {
        if let Some(name) = &self.customer {
            return find(settings, name).map(|number| Some(vec![number]));
        }
        if !self.each_customer {
            return Ok(None);
        }
        if settings.customers.is_empty() {
            return Err(anyhow!("--each-customer: the settings name no customer")
                .hint("add a [[customer]] with its name and domains, see docs/customers.md"));
        }
        Ok(Some((0..settings.customers.len()).collect()))
    }
}

/// Finds a customer by name, in any case, or by folder name.
pub(crate) fn find(settings: &Settings, name: &str) -> anyhow::Result<usize> {
    let same = |customer: &Customer| {
        customer.name == name || customer.folder == name || customer.name.to_lowercase() == name.to_lowercase()
    };
    if let Some(found) = settings.customers.iter().position(same) {
        return Ok(found);
    }
    let names = || settings.customers.iter().map(|customer| customer.name.as_str());
    let error = anyhow!("--customer: the settings name no customer {name:?}");
    let some: Vec<&str> = names().take(10).collect();
    Err(match near(name, names()) {
        Some(near) => error.hint(format!("did you mean {near:?}?")),
        None if some.is_empty() => error.hint("add a [[customer]] with its name and domains, see docs/customers.md"),
        None if names().count() > some.len() => error.hint(format!("the first of them are {}", some.join(", "))),
        None => error.hint(format!("there is {}", some.join(", "))),
    })
}

/// The known policy domains: those in the settings and those in reports.
pub(crate) struct KnownDomains {
    named: Vec<String>,
    reported: BTreeSet<String>,
}

impl KnownDomains {
    /// Domains in the settings and in a store.
    pub(crate) fn of_store(settings: &Settings, store: &Store) -> anyhow::Result<Self> {
        let mut reported: BTreeSet<String> = store.domains()?.into_iter().map(|domain| domain.policy_domain).collect();
        store.tls_policies(&Filter::default(), &mut |row| {
            reported.extend(row.policy.policy_domain.map(|domain| domain.as_str().to_owned()));
        })?;
        Ok(Self { named: settings.named_domains(), reported })
    }

    /// Domains in the settings, and in a customer's reports.
    pub(crate) fn of_customer(&self, owners: &Owners, owner: usize, settings: &Settings) -> Vec<String> {
        let own = self.reported.iter().filter(|domain| owners.owner_of(domain) == Some(owner));
        let all: BTreeSet<&String> = own.chain(&settings.customers[owner].domains).collect();
        all.into_iter().cloned().collect()
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        self.named.iter().chain(&self.reported).map(String::as_str)
    }

    /// Warns of unknown domains. One that is similar to a known one is an error.
    pub(crate) fn check(&self, domains: &[String], console: &Console) -> anyhow::Result<()> {
        let unknown: Vec<&String> = domains.iter().filter(|domain| !self.all().any(|known| known == *domain)).collect();
        for domain in &unknown {
            if let Some(near) = near(domain, self.all()) {
                return Err(anyhow!("--domain: no report is about {domain}, and the settings do not name it")
                    .hint(format!("did you mean {near}?")));
            }
        }
        for domain in unknown {
            console.warning(&format!("{domain}: no report is about it, and the settings do not name it"));
        }
        Ok(())
    }
}

/// Fails if a requested domain is not the customer's.
pub(crate) fn check_owned(domains: &[String], settings: &Settings, owner: usize) -> anyhow::Result<()> {
    let (owners, name) = (settings.owners(), &settings.customers[owner].name);
    match domains.iter().find(|domain| owners.owner_of(domain) != Some(owner)) {
        Some(domain) => Err(anyhow!("--domain {domain}: expected a domain of {name:?}, found one that is not")
            .hint(format!("its domains are {}", settings.customers[owner].domains.join(", ")))),
        None => Ok(()),
    }
}

/// The names of sources that each customer does not see.
pub(crate) fn withheld(settings: &Settings) -> impl Fn(usize) -> Arc<WithheldNames> {
    let (owners, organizations) = (Arc::new(settings.owners()), Arc::new(settings.organizations()));
    move |customer| {
        let own = settings::organizations([&settings.customers[customer]]);
        Arc::new(WithheldNames { customer, owners: owners.clone(), organizations: organizations.clone(), own })
    }
}

/// The question for one customer, without statements of the settings about others, and without names of sources that
/// are domains of customers: an earlier version stored such names, and a customer may be new.
pub(crate) fn question_of(question: &Question, withheld: Arc<WithheldNames>) -> Question {
    let own = |domain: &str| withheld.owners.owner_of(domain) == Some(withheld.customer);
    let mut question = question.clone();
    question.own.retain(|domain| own(domain));
    question.confirmed.retain(|said| said.domain.as_ref().is_none_or(|domain: &Text| own(domain)));
    question.withheld = Some(withheld);
    question
}
