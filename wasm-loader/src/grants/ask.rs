//! What a plugin asks for.

use super::rule::Rule;
use crate::inspect::{Capability, Import, InspectError, Provider};
use std::fmt;

/// How much of something a plugin asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted<T> {
    /// It doesn't say: whatever there is.
    Anything,
    /// These and no others.
    Only(Vec<T>),
}

/// A directory that a plugin asks for, by the path that it knows it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedDirectory {
    pub(crate) guest: String,
    pub(crate) access: Access,
}

/// What may be done with a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Its files may be read.
    Read,
    /// They may be read, written, made and removed.
    Write,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
        })
    }
}

/// What a plugin asks for: what its imports could use, and of that what it says itself.
///
/// A plugin that says nothing may use all that it is granted. One that does has a custom section
/// `ringbox:ask` of UTF-8 lines, and gets no more than it names, whatever it is granted:
///
/// ```text
/// # comment
/// env GREETING
/// read /data
/// write /cache
/// net api.example.com:443
/// udp
/// clocks
/// random
/// waiting
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Whether the plugin has said any of it itself.
    pub(crate) stated: bool,
    pub(crate) environment: Wanted<String>,
    pub(crate) directories: Wanted<WantedDirectory>,
    pub(crate) network: Wanted<Rule>,
    pub(crate) udp: bool,
    pub(crate) clocks: bool,
    pub(crate) random: bool,
    pub(crate) waiting: bool,
}

impl Default for Ask {
    fn default() -> Self {
        Self::anything()
    }
}

/// A section this long is no list of what a plugin needs.
const MOST_BYTES: usize = 64 << 10;

impl Ask {
    /// Whatever there is.
    #[must_use]
    pub fn anything() -> Self {
        Self {
            stated: false,
            environment: Wanted::Anything,
            directories: Wanted::Anything,
            network: Wanted::Anything,
            udp: true,
            clocks: true,
            random: true,
            waiting: true,
        }
    }

    /// Nothing at all.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            stated: true,
            environment: Wanted::Only(Vec::new()),
            directories: Wanted::Only(Vec::new()),
            network: Wanted::Only(Vec::new()),
            udp: false,
            clocks: false,
            random: false,
            waiting: false,
        }
    }

    /// Reads what a plugin says of itself.
    ///
    /// # Errors
    ///
    /// [`InspectError::BadAsk`] for a line that isn't understood: a plugin that asks for something
    /// that this host has never heard of should not run without it.
    pub fn parse(section: &[u8]) -> Result<Self, InspectError> {
        let bad = |line, message| InspectError::BadAsk { line, message };
        if section.len() > MOST_BYTES {
            return Err(bad(1, "it is longer than 64 KiB"));
        }
        let text = std::str::from_utf8(section).map_err(|_| bad(1, "it is not UTF-8"))?;
        let mut ask = Self::nothing();
        for (at, line) in text.lines().enumerate() {
            ask.line(line.trim()).map_err(|message| bad(at + 1, message))?;
        }
        Ok(ask)
    }

    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let (word, rest) =
            line.split_once(' ').map_or((line, ""), |(word, rest)| (word, rest.trim()));
        let mut directory = |access| {
            if !rest.starts_with('/') {
                return Err("a directory's path begins with `/`");
            }
            push(&mut self.directories, WantedDirectory { guest: rest.to_owned(), access });
            Ok(())
        };
        match (word, rest.is_empty()) {
            ("env", false) => push(&mut self.environment, rest.to_owned()),
            ("read", false) => directory(Access::Read)?,
            ("write", false) => directory(Access::Write)?,
            ("net", false) => {
                let rule = rest.parse().map_err(|_| "after `net` comes `host:port`")?;
                push(&mut self.network, rule);
            }
            ("udp", true) => self.udp = true,
            ("clocks", true) => self.clocks = true,
            ("random", true) => self.random = true,
            ("waiting", true) => self.waiting = true,
            _ => {
                return Err("a line is `env NAME`, `read PATH`, `write PATH`, `net HOST:PORT`, \
                            `udp`, `clocks`, `random` or `waiting`");
            }
        }
        Ok(())
    }

    /// The same without what the imports have no use for.
    pub(crate) fn imported(mut self, imports: &[Import]) -> Self {
        let has = |wanted: Capability| {
            imports.iter().any(|import| import.provider == Provider::Wasi(wanted))
        };
        if !has(Capability::Environment) {
            self.environment = Wanted::Only(Vec::new());
        }
        if !has(Capability::Files) {
            self.directories = Wanted::Only(Vec::new());
        }
        if !has(Capability::Network) {
            self.network = Wanted::Only(Vec::new());
            self.udp = false;
        }
        self.clocks &= has(Capability::Clocks);
        self.waiting &= has(Capability::Clocks);
        self.random &= has(Capability::Random);
        self
    }
}

fn push<T>(wanted: &mut Wanted<T>, item: T) {
    match wanted {
        Wanted::Only(items) => items.push(item),
        Wanted::Anything => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_read_line_by_line() {
        let ask =
            Ask::parse(b"# why\n\nenv A\nread /data\nwrite /w x\nnet a.example:443\nclocks\n")
                .unwrap();
        assert_eq!(ask.environment, Wanted::Only(vec!["A".to_owned()]));
        let Wanted::Only(directories) = &ask.directories else { panic!("{ask:?}") };
        assert_eq!(directories[0].access, Access::Read);
        assert_eq!(directories[1].guest, "/w x");
        assert!(ask.clocks && !ask.random && !ask.udp && !ask.waiting);
    }

    #[test]
    fn what_is_not_understood_names_its_line() {
        for text in ["env", "read data", "net nowhere", "udp yes", "files", "\u{1}"] {
            let text = format!("random\n{text}\n");
            let error = Ask::parse(text.as_bytes()).unwrap_err();
            assert!(matches!(error, InspectError::BadAsk { line: 2, .. }), "{text}: {error}");
        }
        assert!(Ask::parse(b"\xff").is_err());
        assert!(Ask::parse(&[b'\n'; MOST_BYTES + 1]).is_err());
    }
}
