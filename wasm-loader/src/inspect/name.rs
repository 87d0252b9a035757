//! Names of interfaces: `nylon:ring/guest@1.0.0`.

use std::fmt;

/// A version, as far as it decides what fits what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// What breaks.
    pub major: u64,
    /// What is added; before 1.0, what breaks.
    pub minor: u64,
    /// What is mended.
    pub patch: u64,
}

impl Version {
    pub(crate) const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self { major, minor, patch }
    }

    /// What has to be the same for two versions to fit.
    pub(crate) fn breaking(self) -> (u64, u64) {
        if self.major == 0 { (0, self.minor) } else { (self.major, 0) }
    }

    /// Reads `1.2.3`. A pre-release (`0.2.0-rc-2023-12-05`) fits nothing but itself, so it is none.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| part.parse().ok());
        let version = Self::new(parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The name of an interface, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InterfaceName<'a> {
    /// `nylon:ring`.
    pub(crate) package: &'a str,
    /// `guest`.
    pub(crate) interface: &'a str,
    pub(crate) version: Option<Version>,
}

impl<'a> InterfaceName<'a> {
    /// Takes a name apart; none for one that is no interface's (`run`, `my-func`).
    pub(crate) fn parse(name: &'a str) -> Option<Self> {
        let (path, version) = match name.split_once('@') {
            Some((path, version)) => (path, Some(version)),
            None => (name, None),
        };
        let (package, interface) = path.split_once('/')?;
        package.split_once(':')?;
        Some(Self { package, interface, version: version.and_then(Version::parse) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_apart() {
        let name = InterfaceName::parse("nylon:ring/guest@1.2.3").unwrap();
        assert_eq!((name.package, name.interface), ("nylon:ring", "guest"));
        assert_eq!(name.version, Some(Version::new(1, 2, 3)));
    }

    #[test]
    fn what_is_no_interface_has_no_such_name() {
        assert_eq!(InterfaceName::parse("run"), None);
        assert_eq!(InterfaceName::parse("ring/guest@1.0.0"), None);
    }

    #[test]
    fn a_version_that_cannot_be_compared_is_none() {
        for name in ["a:b/c", "a:b/c@1.0", "a:b/c@1.0.0-rc.1", "a:b/c@1.0.0.0", "a:b/c@x.y.z"] {
            assert_eq!(InterfaceName::parse(name).unwrap().version, None, "{name}");
        }
    }
}
