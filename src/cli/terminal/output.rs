//! All printing: data to standard output, messages to standard error, cleaned for the terminal.
//!
//! No other module prints.

use super::fault::{self, Several, StdoutClosed, hint_of};
use super::format::OutputFormat;
use crate::fetch::FetchError;
use crate::present::wording::clean::is_shown;
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// When color is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether a stream gets color.
    pub(crate) fn on(self, terminal: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                terminal && !no_color && !dumb
            }
        }
    }
}

/// Messages of a run: how many, and whether to a terminal.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    verbose: u8,
    quiet: bool,
    color: bool,
    terminal: bool,
}

impl Console {
    /// Detects whether standard error is a terminal.
    pub(crate) fn new(verbose: u8, quiet: bool, color: Color) -> Self {
        let terminal = io::stderr().is_terminal();
        Self { verbose, quiet, color: color.on(terminal), terminal }
    }

    /// Whether `--verbose` was given.
    pub(crate) const fn is_verbose(&self) -> bool {
        self.verbose > 0 && !self.quiet
    }

    /// Whether to print errors only.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether a run without news still prints its counts: on a terminal or with `--verbose`.
    pub(crate) fn wants_tally(&self) -> bool {
        !self.quiet && (self.verbose > 0 || io::stdout().is_terminal())
    }

    /// Prints an error and its hint.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        if let Some(Several(errors)) = error.downcast_ref() {
            return errors.iter().for_each(|error| self.error(error));
        }
        self.line("error", "\x1b[1;31m", &super::fault::one_line(error));
        if let Some(hint) = hint_of(error) {
            self.line("hint", "\x1b[1;36m", &hint);
        }
    }

    /// Prints a fetch error as it occurs.
    pub(crate) fn fault(&self, fault: &FetchError) {
        self.line("error", "\x1b[1;31m", &fault.to_string());
        if let Some(hint) = fault::of_source(fault) {
            self.line("hint", "\x1b[1;36m", hint);
        }
    }

    /// Prints an item that could not be read as an error, although the run continues.
    pub(crate) fn unreadable(&self, origin: &str, reason: &str) {
        self.line("error", "\x1b[1;31m", &format!("{origin}: {reason}"));
    }

    /// Prints a warning.
    pub(crate) fn warning(&self, message: &str) {
        if !self.quiet {
            self.line("warning", "\x1b[1;33m", message);
        }
    }

    /// Prints a hint.
    pub(crate) fn hint(&self, message: &str) {
        if !self.quiet {
            self.line("hint", "\x1b[1;36m", message);
        }
    }

    /// Prints a note unless `--quiet` was given.
    pub(crate) fn note_always(&self, message: &str) {
        if !self.quiet {
            // If standard error is closed, there is nowhere to report it.
            let _ = writeln!(io::stderr(), "{}", clean(message));
        }
    }

    /// Prints a note on a terminal or with `--verbose`, not in cron or with `--quiet`.
    pub(crate) fn note(&self, message: &str) {
        if self.terminal || self.verbose > 0 {
            self.note_always(message);
        }
    }

    fn line(&self, label: &str, paint: &str, message: &str) {
        let message = clean(&without_error_numbers(message));
        let _ = if self.color {
            writeln!(io::stderr(), "{paint}{label}:\x1b[0m {message}")
        } else {
            writeln!(io::stderr(), "{label}: {message}")
        };
    }

    /// A progress bar; hidden without a terminal.
    pub(crate) fn progress(&self) -> ProgressBar {
        if self.quiet || !self.terminal {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {human_pos} items, {per_sec}  {wide_msg}")
            .expect("the template is a constant that a test draws");
        bar.set_style(style);
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    /// Starts the log on standard error: nothing by default, progress with `--verbose`, debug output with two.
    ///
    /// Only our own messages: those of other crates may contain untrusted text or a secret.
    pub(crate) fn start_log(&self) {
        let level = match self.verbose {
            0 => return,
            1 => LevelFilter::INFO,
            _ => LevelFilter::DEBUG,
        };
        let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(self.color);
        let lines = lines.with_target(false).without_time().with_filter(Targets::new().with_target("dmarquet", level));
        // A second start in one process (in tests) keeps the first.
        let _ = tracing_subscriber::registry().with(lines).try_init();
    }
}

/// Writes to standard output; if it was closed, the program ends quietly.
pub(crate) fn data(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(StdoutClosed.into()),
        other => other.context("standard output"),
    }
}

/// Gives `write` a buffered standard output.
pub(crate) fn stream<E: Into<anyhow::Error>>(
    write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> anyhow::Result<()> {
    let mut out = WatchedOutput { out: io::BufWriter::with_capacity(1 << 16, io::stdout().lock()), closed: false };
    let result = write(&mut out).map_err(Into::into);
    let result = result.and_then(|()| out.flush().context("standard output"));
    if out.closed { Err(StdoutClosed.into()) } else { result }
}

/// Standard output that remembers whether it was closed: the error itself may get lost on the way up.
struct WatchedOutput<W: Write> {
    out: W,
    closed: bool,
}

impl<W: Write> WatchedOutput<W> {
    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.closed |= matches!(&result, Err(error) if error.kind() == io::ErrorKind::BrokenPipe);
        result
    }
}

impl<W: Write> Write for WatchedOutput<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.out.write(bytes);
        self.note(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.out.flush();
        self.note(result)
    }
}

/// Writes an answer in the requested format.
pub(crate) fn answer(
    format: OutputFormat,
    value: &impl serde::Serialize,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    match format {
        OutputFormat::Text => data(text().as_bytes()),
        OutputFormat::Json => json(value),
    }
}

/// Writes a value as indented JSON with a final newline.
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).context("writing JSON")?;
    bytes.push(b'\n');
    data(&bytes)
}

/// Makes untrusted text harmless for a terminal: characters that may not be shown become visible escapes. Line breaks too,
/// or a name could forge a line of ours.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_shown(character) {
            out.push(character);
        } else {
            out.extend(character.escape_unicode());
        }
    }
    out
}

/// The same, keeping line breaks.
pub(crate) fn clean_lines(text: &str) -> String {
    text.lines().map(|line| clean(line) + "\n").collect()
}

/// Removes the numbers that the standard library adds to system errors, such as ` (os error 2)`: the text before says the
/// same in words.
fn without_error_numbers(message: &str) -> String {
    let mut pieces = message.split(" (os error ");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once(')') {
            Some((number, after)) if number.parse::<u32>().is_ok() => out.push_str(after),
            _ => out.extend([" (os error ", piece]),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Color, clean, without_error_numbers};

    #[test]
    fn system_errors_are_shown_without_their_number() {
        let shown = without_error_numbers("a: No such file or directory (os error 2); (os error x), b (os error 13)");
        assert_eq!(shown, "a: No such file or directory; (os error x), b");
    }

    #[test]
    fn escapes_and_bidi_controls_never_reach_a_terminal_raw() {
        assert_eq!(clean("a\x1b[31mb\u{202e}c\u{9b}\r"), "a\\u{1b}[31mb\\u{202e}c\\u{9b}\\u{d}");
        assert_eq!(clean("grüße 日本\nerror: forged"), "grüße 日本\\u{a}error: forged");
    }

    #[test]
    fn color_is_for_terminals_unless_requested() {
        assert!(!Color::Auto.on(false));
        assert!(Color::Always.on(false));
        assert!(!Color::Never.on(true));
    }
}
