//! All printing: data to standard output, messages to standard error, cleaned for the terminal.
//!
//! Nothing else in the crate prints.

use super::fault::{self, Several, StdoutClosed, hint_of};
use crate::fetch::FetchError;
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

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

/// The talk of one run: how much, to what kind of stream.
#[derive(Debug, Clone)]
pub(crate) struct Talk {
    verbose: u8,
    quiet: bool,
    color: bool,
    terminal: bool,
}

impl Talk {
    /// Find out what standard error is.
    pub(crate) fn new(verbose: u8, quiet: bool, color: Color) -> Self {
        let terminal = io::stderr().is_terminal();
        Self { verbose, quiet, color: color.on(terminal), terminal }
    }

    /// Whether somebody asked for the story.
    pub(crate) const fn is_verbose(&self) -> bool {
        self.verbose > 0 && !self.quiet
    }

    /// Whether nothing but errors is to be said.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether a run without news still says how it went: somebody looks, or asked.
    pub(crate) fn wants_tally(&self) -> bool {
        !self.quiet && (self.verbose > 0 || io::stdout().is_terminal())
    }

    /// An error, then its next step.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        if let Some(Several(errors)) = error.downcast_ref() {
            return errors.iter().for_each(|error| self.error(error));
        }
        self.line("error", "\x1b[1;31m", &super::fault::told(error));
        if let Some(hint) = hint_of(error) {
            self.line("hint", "\x1b[1;36m", &hint);
        }
    }

    /// A fault of a source, when it comes up.
    pub(crate) fn fault(&self, fault: &FetchError) {
        self.line("error", "\x1b[1;31m", &fault.to_string());
        if let Some(hint) = fault::of_source(fault) {
            self.line("hint", "\x1b[1;36m", hint);
        }
    }

    /// Something that could not be read, said as an error although the run goes on.
    pub(crate) fn unreadable(&self, origin: &str, reason: &str) {
        self.line("error", "\x1b[1;31m", &format!("{origin}: {reason}"));
    }

    /// Something a person should know, now.
    pub(crate) fn warning(&self, message: &str) {
        if self.quiet {
            return;
        }
        self.line("warning", "\x1b[1;33m", message);
    }

    /// A next step on its own.
    pub(crate) fn hint(&self, message: &str) {
        if !self.quiet {
            self.line("hint", "\x1b[1;36m", message);
        }
    }

    /// Say something worth knowing that is no fault, unless silence is asked for.
    pub(crate) fn note_always(&self, message: &str) {
        if !self.is_quiet() {
            // A closed standard error cannot be told of anywhere.
            let _ = writeln!(io::stderr(), "{}", clean(message));
        }
    }

    /// A line of plain talk, for whoever looks on: not in cron, not with `--quiet`.
    pub(crate) fn note(&self, message: &str) {
        if !self.quiet && (self.terminal || self.verbose > 0) {
            // A closed standard error cannot be told of anywhere.
            let _ = writeln!(io::stderr(), "{}", clean(message));
        }
    }

    fn line(&self, label: &str, paint: &str, message: &str) {
        let message = clean(message);
        let _ = if self.color {
            writeln!(io::stderr(), "{paint}{label}:\x1b[0m {message}")
        } else {
            writeln!(io::stderr(), "{label}: {message}")
        };
    }

    /// A bar that counts items; one that draws nothing where nobody looks.
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

    /// Start the log on standard error: nothing by default, the story with `--verbose`, more with two.
    ///
    /// Only our own lines: other crates' logs may hold what a server or a mail says, or a secret.
    pub(crate) fn start_log(&self) {
        let level = match self.verbose {
            0 => return,
            1 => "dmarquet=info",
            _ => "dmarquet=debug",
        };
        // A second start in one process (tests) keeps the first.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::new(level))
            .with_writer(io::stderr)
            .with_ansi(self.color)
            .with_target(false)
            .without_time()
            .try_init();
    }
}

/// Write to standard output; a reader that went away ends the program quietly.
pub(crate) fn data(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    written(out.write_all(bytes).and_then(|()| out.flush()))
}

/// Write to standard output, buffered, by something that writes itself.
pub(crate) fn stream<E: Into<anyhow::Error>>(
    write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> anyhow::Result<()> {
    let mut out = WatchedOutput { out: io::BufWriter::with_capacity(1 << 16, io::stdout().lock()), closed: false };
    let result = write(&mut out).map_err(Into::into);
    let result = result.and_then(|()| out.flush().context("standard output"));
    if out.closed { Err(StdoutClosed.into()) } else { result }
}

/// Standard output that remembers whether its reader went away: the error itself may get lost on its way up.
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

/// The same for a result of many writes.
pub(crate) fn written(result: io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(StdoutClosed.into()),
        other => other.context("standard output"),
    }
}

/// A value as indented JSON with a final line end.
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).context("writing JSON")?;
    bytes.push(b'\n');
    data(&bytes)
}

/// A stranger's text made harmless for a terminal: control and bidi characters become visible escapes. Line ends too,
/// or a name could forge a line of ours.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            _ if character.is_control() || is_bidi(character) => out.extend(character.escape_unicode()),
            _ => out.push(character),
        }
    }
    out
}

/// The same for a text of several lines of our own.
pub(crate) fn clean_lines(text: &str) -> String {
    text.lines().map(|line| clean(line) + "\n").collect()
}

/// Characters that reorder or hide the text around them.
const fn is_bidi(character: char) -> bool {
    matches!(character, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::{Color, clean};

    #[test]
    fn escapes_and_bidi_controls_never_reach_a_terminal_raw() {
        assert_eq!(clean("a\x1b[31mb\u{202e}c\u{9b}\r"), "a\\u{1b}[31mb\\u{202e}c\\u{9b}\\u{d}");
        assert_eq!(clean("grüße 日本\nerror: forged"), "grüße 日本\\u{a}error: forged");
    }

    #[test]
    fn color_is_for_terminals_unless_asked() {
        assert!(!Color::Auto.on(false));
        assert!(Color::Always.on(false));
        assert!(!Color::Never.on(true));
    }
}
