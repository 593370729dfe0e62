//! A secret given by command, file or environment variable. It is read when it is needed, not here.

use super::reader::Section;
use crate::fetch::mailbox::Secret;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

/// The three keys of a secret: a command, a file and an environment variable that give it.
pub(super) struct SecretKeys([&'static str; 3]);

/// `password_*`.
pub(super) const PASSWORD: SecretKeys = SecretKeys(["password_command", "password_file", "password_env"]);
/// `token_*`.
pub(super) const TOKEN: SecretKeys = SecretKeys(["token_command", "token_file", "token_env"]);
/// `url_*`.
pub(super) const URL: SecretKeys = SecretKeys(["url_command", "url_file", "url_env"]);
/// `client_secret_*`.
pub(super) const CLIENT_SECRET: SecretKeys =
    SecretKeys(["client_secret_command", "client_secret_file", "client_secret_env"]);
/// `refresh_token_*`.
pub(super) const REFRESH_TOKEN: SecretKeys =
    SecretKeys(["refresh_token_command", "refresh_token_file", "refresh_token_env"]);

impl SecretKeys {
    /// Whether any of the keys exists: one with a wrong value already has its own error.
    pub(super) fn are_in(&self, section: &Section<'_>) -> bool {
        self.0.iter().any(|key| section.has(key))
    }

    /// The keys as named in messages.
    pub(super) fn names(&self) -> String {
        let [command, file, variable] = self.0;
        format!("{command}, {file} or {variable}")
    }
}

/// Reads the keys of a secret; more than one is an error.
pub(super) fn read(section: &mut Section<'_>, keys: &SecretKeys, folder: &Path) -> Option<Secret> {
    let [command, file, variable] = keys.0;
    let found = [
        section.texts(command).map(Secret::Command),
        section.path(file, folder).map(Secret::File),
        section.text(variable).map(|name| Secret::Variable(name.to_owned())),
    ];
    if let Some(second) = keys.0.iter().filter(|key| section.has(key)).nth(1) {
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
