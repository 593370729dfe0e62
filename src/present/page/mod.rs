//! The page that text, Markdown and HTML all show: the summary put into words and tables, in reading order. In: a
//! [`Summary`]. Out: a [`Page`] of cleaned strings. A writer lays it out and escapes it, and has no words of its own.

mod answers;
mod changes;
mod domains;
mod doubts;
mod quality;
mod senders;
pub(crate) mod summary;

#[cfg(test)]
mod tests;
