//! HTML and Markdown.

pub(crate) mod alert_forms;
pub(crate) mod html;
pub(crate) mod mail;
pub(crate) mod markdown;
pub(crate) mod overview;
