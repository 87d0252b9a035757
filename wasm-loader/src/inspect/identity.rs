//! What a component says its name and its version are.

use super::error::InspectError;

/// A name or a version this long is neither.
const MOST_BYTES: usize = 256;

/// A plugin's name and version, where it says them, in a custom section [`SECTION`] of UTF-8 lines:
///
/// ```text
/// name greeter
/// version 0.1.0
/// ```
///
/// A line that begins with another word says something that this host has no use for.
///
/// [`SECTION`]: super::PLUGIN_SECTION
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Identity {
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
}

impl Identity {
    pub(super) fn parse(section: &[u8]) -> Result<Self, InspectError> {
        let bad = |message| InspectError::BadIdentity { message };
        let text = std::str::from_utf8(section).map_err(|_| bad("it is not UTF-8"))?;
        let mut identity = Self::default();
        for line in text.lines() {
            let (word, said) = line.split_once(' ').unwrap_or((line, ""));
            let place = match word {
                "name" => &mut identity.name,
                "version" => &mut identity.version,
                _ => continue,
            };
            if said.is_empty() {
                return Err(bad("it is empty"));
            }
            if said.len() > MOST_BYTES {
                return Err(bad("it is longer than 256 bytes"));
            }
            // It goes into logs and onto terminals.
            if said.contains(char::is_control) {
                return Err(bad("it has control characters"));
            }
            if place.replace(said.to_owned()).is_some() {
                return Err(bad("it is said twice"));
            }
        }
        Ok(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(Option<String>, Option<String>), InspectError> {
        Identity::parse(text.as_bytes()).map(|identity| (identity.name, identity.version))
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_name_and_a_version_are_read_as_they_are() {
        assert_eq!(parse("").unwrap(), (None, None));
        assert_eq!(parse("name größe 2\n").unwrap(), (some("größe 2"), None));
        let both = parse("version 0.1.0\nlicense MIT\nname a").unwrap();
        assert_eq!(both, (some("a"), some("0.1.0")));
        let longest = "x".repeat(MOST_BYTES);
        assert_eq!(parse(&format!("name {longest}")).unwrap(), (some(&longest), None));
    }

    #[test]
    fn what_is_no_name_is_refused_with_a_reason() {
        let long = format!("version {}", "x".repeat(MOST_BYTES + 1));
        for (text, reason) in [
            ("name", "empty"),
            ("name \nversion 1", "empty"),
            (&*long, "256"),
            ("name a\u{1b}[31mb", "control"),
            ("name a\nname a", "twice"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
        let error = Identity::parse(b"name \xff").unwrap_err().to_string();
        assert!(error.contains("UTF-8"), "{error}");
    }
}
