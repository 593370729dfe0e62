//! What people read: the summary in every form, the site, alerts, simulations.

mod alerts;
mod customer_names;
mod customers;
mod renderings;
mod simulate;
mod site;
mod tls;
