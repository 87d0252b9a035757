//! What a plugin has to export, and what the host offers it: `wit/`, as the inspection sees it.

use super::name::{InterfaceName, Version};

/// A package of ours, and the newest version of it that this host knows.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) version: Version,
    /// What a plugin may import.
    pub(crate) imports: &'static [Interface],
    /// What a plugin may export.
    pub(crate) exports: &'static [Interface],
}

/// An interface of the contract, with its functions.
pub(crate) struct Interface {
    pub(crate) name: &'static str,
    pub(crate) functions: &'static [Function],
}

/// A function, and its type as [`super::signature`] writes it.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) signature: &'static str,
}

/// The cases of `status`, in their order.
pub(crate) const STATUS: [&str; 7] =
    ["ok", "err", "invalid", "unsupported", "stream-end", "panic", "backpressure"];

pub(crate) const BASE: &str = "nylon:ring";
pub(crate) const GUEST: &str = "guest";

const fn interface(name: &'static str, functions: &'static [Function]) -> Interface {
    Interface { name, functions }
}

const fn function(name: &'static str, signature: &'static str) -> Function {
    Function { name, signature }
}

pub(crate) const PACKAGES: [Package; 2] = [
    Package {
        name: BASE,
        version: Version::new(1, 0, 0),
        imports: &[
            interface("types", &[]),
            interface("host", &[function("send-result", "func(u64, status, list<u8>)")]),
        ],
        exports: &[interface(
            GUEST,
            &[
                function("init", "func() -> status"),
                function("handle", "func(u64, request, list<u8>) -> status"),
                function("shutdown", "func()"),
            ],
        )],
    },
    Package {
        name: "nylon:ring-ext",
        version: Version::new(0, 1, 0),
        imports: &[
            interface("frames", &[function("send-frame", "func(u64, status, list<u8>) -> status")]),
            interface("timers", &[function("wake-after", "func(u64, u64) -> status")]),
            interface(
                "log",
                &[function("write", "func(enum { error, warn, info, debug, trace }, string)")],
            ),
            interface(
                "state",
                &[
                    function("set", "func(u64, string, list<u8>) -> status"),
                    function("get", "func(u64, string) -> option<list<u8>>"),
                ],
            ),
        ],
        exports: &[
            interface(
                "entries",
                &[
                    function("resolve-entry", "func(string) -> option<u32>"),
                    function("handle-entry", "func(u32, u64, list<u8>) -> status"),
                ],
            ),
            interface(
                "data",
                &[
                    function("stream-data", "func(u64, list<u8>) -> status"),
                    function("stream-close", "func(u64) -> status"),
                ],
            ),
            interface("cancellation", &[function("cancel", "func(u64)")]),
            interface("wakeable", &[function("wake", "func(u64)")]),
        ],
    },
];

/// Whether this host has what a name asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It has.
    Known,
    /// A later version of the package, and the one that is known.
    Newer { found: Version, known: Version },
    /// Of the package, but not in it; or of no version.
    NotInIt,
}

impl Package {
    pub(crate) fn of(name: &InterfaceName<'_>) -> Option<&'static Self> {
        PACKAGES.iter().find(|package| package.name == name.package)
    }

    /// Whether the host has this version: the same major; before 1.0, the same minor. A later minor
    /// adds functions, and whether any of them is needed shows in the functions.
    fn fit(&self, found: Option<Version>) -> Fit {
        let known = self.version;
        match found {
            None => Fit::NotInIt,
            Some(found) if found.breaking() == known.breaking() => Fit::Known,
            Some(found) if found > known => Fit::Newer { found, known },
            Some(_) => Fit::NotInIt,
        }
    }

    /// What the host has under a name that a plugin imports.
    pub(crate) fn import(&self, name: &InterfaceName<'_>) -> (Fit, Option<&'static Interface>) {
        self.find(self.imports, name)
    }

    /// What the host knows under a name that a plugin exports.
    pub(crate) fn export(&self, name: &InterfaceName<'_>) -> (Fit, Option<&'static Interface>) {
        self.find(self.exports, name)
    }

    fn find(
        &self,
        interfaces: &'static [Interface],
        name: &InterfaceName<'_>,
    ) -> (Fit, Option<&'static Interface>) {
        let known = interfaces.iter().find(|one| one.name == name.interface);
        match (self.fit(name.version), known) {
            (Fit::Known, None) => (Fit::NotInIt, None),
            (fit @ Fit::Known, known) => (fit, known),
            (fit, _) => (fit, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(name: &str) -> Fit {
        let name = InterfaceName::parse(name).unwrap();
        Package::of(&name).unwrap().export(&name).0
    }

    #[test]
    fn compatible_versions_fit_and_later_ones_do_not() {
        assert_eq!(fit("nylon:ring/guest@1.0.0"), Fit::Known);
        assert_eq!(fit("nylon:ring/guest@1.0.9"), Fit::Known);
        assert_eq!(fit("nylon:ring-ext/data@0.1.7"), Fit::Known);
        assert_eq!(fit("nylon:ring/guest@1.1.0"), Fit::Known);
        assert!(matches!(fit("nylon:ring/guest@2.0.0"), Fit::Newer { .. }));
        assert!(matches!(fit("nylon:ring-ext/data@0.2.0"), Fit::Newer { .. }));
        assert_eq!(fit("nylon:ring-ext/data@0.0.3"), Fit::NotInIt);
        assert_eq!(fit("nylon:ring/guest@0.9.0"), Fit::NotInIt);
        assert_eq!(fit("nylon:ring/guest"), Fit::NotInIt);
    }
}
