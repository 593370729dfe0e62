//! The terminal: its width, whether it can show more than ASCII, and a pager for long text.

use super::output::{self, Color};
use crate::present::Style;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::{Command, Stdio};

/// Columns without a terminal.
const PLAIN_WIDTH: u16 = 80;

/// The columns and lines of the terminal, if standard output is one.
fn size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// How text looks: as wide as the terminal, else 80 columns, and in ASCII if the locale has no more.
pub(crate) fn style(color: Color) -> Style {
    let names = ["LC_ALL", "LC_CTYPE", "LANG"].map(|name| std::env::var(name).unwrap_or_default());
    Style {
        width: size().map_or(PLAIN_WIDTH, |(columns, _)| columns),
        ascii: needs_ascii(&names),
        color: color.on(io::stdout().is_terminal()),
    }
}

/// Whether the locale is limited to ASCII: the first variable that is set decides.
fn needs_ascii(names: &[String]) -> bool {
    let locale = names.iter().find(|value| !value.is_empty()).map(|value| value.to_lowercase());
    !locale.is_some_and(|locale| locale.contains("utf-8") || locale.contains("utf8"))
}

/// Shows a text: through a pager if the terminal is too short for it, else directly.
pub(crate) fn show(text: &str) -> anyhow::Result<()> {
    let fits = size().is_none_or(|(_, rows)| text.lines().count() < usize::from(rows));
    if fits || !io::stdout().is_terminal() {
        return output::data(text.as_bytes());
    }
    match pager().filter(|pager| !pager.is_empty() && pager != "cat") {
        Some(pager) => through(pager, text),
        None => output::data(text.as_bytes()),
    }
}

/// The pager: `DMARQUET_PAGER`, else `PAGER`, else less.
fn pager() -> Option<OsString> {
    std::env::var_os("DMARQUET_PAGER").or_else(|| std::env::var_os("PAGER")).or_else(|| Some("less".into()))
}

fn through(pager: OsString, text: &str) -> anyhow::Result<()> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(pager).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", "FRX"); // colors; no pager for what fits after all
    }
    let Ok(mut child) = command.spawn() else { return output::data(text.as_bytes()) };
    if let Some(mut stdin) = child.stdin.take() {
        // Quitting the pager early is no error.
        let _ = stdin.write_all(text.as_bytes());
    }
    match child.wait() {
        // 127: the shell did not find the pager.
        Ok(status) if status.code() == Some(127) => output::data(text.as_bytes()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::needs_ascii;

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        for (names, ascii) in [
            (["", "", "en_GB.UTF-8"], false),
            (["C", "", "en_GB.UTF-8"], true),
            (["", "de_DE.utf8", "C"], false),
            (["", "", "POSIX"], true),
            (["", "", ""], true),
        ] {
            assert_eq!(needs_ascii(&names.map(str::to_owned)), ascii, "{names:?}");
        }
    }
}
