//! A secret given by command, file or environment variable. It is read when it is needed, not here.

use super::reader::Section;
use crate::fetch::mailbox::Secret;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// The three keys of a secret.
pub(super) struct SecretKeys {
    command: &'static str,
    file: &'static str,
    env: &'static str,
}

/// `password_*`.
pub(super) const PASSWORD: SecretKeys =
    SecretKeys { command: "password_command", file: "password_file", env: "password_env" };
/// `token_*`.
pub(super) const TOKEN: SecretKeys = SecretKeys { command: "token_command", file: "token_file", env: "token_env" };
/// `url_*`.
pub(super) const URL: SecretKeys = SecretKeys { command: "url_command", file: "url_file", env: "url_env" };
/// `client_secret_*`.
pub(super) const CLIENT_SECRET: SecretKeys =
    SecretKeys { command: "client_secret_command", file: "client_secret_file", env: "client_secret_env" };
/// `refresh_token_*`.
pub(super) const REFRESH_TOKEN: SecretKeys =
    SecretKeys { command: "refresh_token_command", file: "refresh_token_file", env: "refresh_token_env" };

impl SecretKeys {
    /// Whether any of the keys exists: one with a wrong value already has its own error.
    pub(super) fn are_in(&self, section: &Section<'_>) -> bool {
        [self.command, self.file, self.env].iter().any(|key| section.has(key))
    }

    /// The keys as named in messages.
    pub(super) fn names(&self) -> String {
        format!("{}, {} or {}", self.command, self.file, self.env)
    }
}

/// Reads the keys of a secret; more than one is an error.
pub(super) fn read(section: &mut Section<'_>, keys: &SecretKeys, folder: &Path) -> Option<Secret> {
    let found = [
        section.texts(keys.command).map(Secret::Command),
        section.path(keys.file, folder).map(Secret::File),
        section.text(keys.env).map(|name| Secret::Variable(name.to_owned())),
    ];
    let named = [keys.command, keys.file, keys.env].into_iter().filter(|key| section.has(key));
    if let [_, second, ..] = *named.collect::<Vec<_>>() {
        section.fault(second, &format!("expected only one of {}, found several", keys.names()));
    }
    found.into_iter().flatten().next()
}

/// A warning about a secret, if a problem is visible without reading it.
pub(crate) fn warning(secret: &Secret) -> Option<String> {
    let Secret::File(path) = secret else { return None };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Some(format!(
                "{}: this file does not exist; write the password or token into it, and run chmod 600 on it",
                path.display()
            ));
        }
        Err(error) => return Some(format!("{}: cannot be read: {error}", path.display())),
    };
    // A file of another owner, such as root, may be readable by the group that the program runs as.
    let others = if metadata.uid() == nix::unistd::geteuid().as_raw() { 0o077 } else { 0o007 };
    let mode = metadata.permissions().mode() & 0o777;
    (mode & others != 0)
        .then(|| format!("{}: others can read this file (mode {mode:04o}); run chmod 600 on it", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{Secret, warning};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_that_others_may_read_or_that_is_missing_is_warned_of() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let secret = Secret::File(file.path().to_owned());
        assert_eq!(warning(&secret), None);
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(warning(&secret).unwrap().contains("(mode 0644)"));
        drop(file);
        assert!(warning(&secret).unwrap().contains("this file does not exist"));
    }
}
