//! The exit codes.

use std::process::ExitCode;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Success.
    Handled,
    /// Finished, but something new could not be read; or, for monitoring, something needs attention.
    Attention,
    /// Could not run or finish: usage, settings, server, disk. Committed data is safe.
    Failed,
    /// For monitoring: the state is unknown.
    Unknown,
}

impl Exit {
    /// How a check ended that gives this code: 0, 1, or 2 for all others.
    pub(crate) const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Handled,
            1 => Self::Attention,
            _ => Self::Failed,
        }
    }

    /// The exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Handled => 0,
            Self::Attention => 1,
            Self::Failed => 2,
            Self::Unknown => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::Exit;

    #[test]
    fn the_exit_codes_are_the_documented_ones() {
        let table = [(Exit::Handled, 0), (Exit::Attention, 1), (Exit::Failed, 2), (Exit::Unknown, 3)];
        for (exit, code) in table {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }

    #[test]
    fn of_two_ends_the_worse_one_counts() {
        assert_eq!(Exit::Handled.max(Exit::Attention), Exit::Attention);
        assert_eq!(Exit::Attention.max(Exit::Failed), Exit::Failed);
    }
}
