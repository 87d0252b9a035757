//! What a plugin gets: what it asks for, cut by what its operator allows.

use super::ask::{Ask, Wanted};
use super::policy::Policy;
use super::rule::Rule;
use super::{Access, Clocks, Directory, Grants, Randomness};
use std::fmt;
use std::fs::File;
use std::sync::{Arc, OnceLock};

/// What a plugin gets.
///
/// Its text lists it: `println!("{effective}")`.
#[derive(Clone)]
pub struct Effective {
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) directories: Vec<Directory>,
    /// Those directories, once they are opened: this is of one load.
    pub(crate) opened: Arc<OnceLock<Vec<File>>>,
    pub(crate) network: Policy,
    pub(crate) clocks: Clocks,
    pub(crate) random: Randomness,
    pub(crate) waiting: bool,
    pub(crate) output_bytes: usize,
    refused: Vec<Refused>,
}

/// Something that a plugin names and doesn't get.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// A variable.
    Environment(String),
    /// A directory, or that it may be written to.
    Directory {
        /// The path that the plugin knows it by.
        guest: String,
        /// What it would do with it.
        access: Access,
    },
    /// A host to connect to.
    Network(Rule),
    /// UDP.
    Udp,
    /// Real clocks.
    Clocks,
    /// Real random numbers.
    Random,
    /// Waiting.
    Waiting,
}

impl Grants {
    /// What a plugin gets of these.
    #[must_use]
    pub fn cut(&self, ask: &Ask) -> Effective {
        let mut refused = Vec::new();
        let rules = self.cut_rules(&ask.network, &mut refused);
        let udp = ask.udp && self.udp && !rules.is_empty();
        let clocks = if ask.clocks { self.clocks } else { Clocks::default() };
        let random = if ask.random { self.random } else { Randomness::default() };
        let effective = Effective {
            environment: self.cut_environment(&ask.environment, &mut refused),
            directories: self.cut_directories(&ask.directories, &mut refused),
            opened: Arc::default(),
            network: Policy {
                rules: rules.into(),
                udp,
                resolver: self.resolver.clone(),
                lookups: Arc::default(),
            },
            clocks,
            random,
            // Virtual time is never waited for.
            waiting: ask.waiting && self.waiting && clocks == Clocks::Real,
            output_bytes: self.output_bytes,
            refused,
        };
        effective.with_refused_switches(ask)
    }

    fn cut_environment(
        &self,
        wanted: &Wanted<String>,
        refused: &mut Vec<Refused>,
    ) -> Vec<(String, String)> {
        let Wanted::Only(names) = wanted else {
            return self.environment.clone().into_iter().collect();
        };
        let mut given = Vec::new();
        for name in names {
            match self.environment.get(name) {
                Some(value) => given.push((name.clone(), value.clone())),
                None => refused.push(Refused::Environment(name.clone())),
            }
        }
        given
    }

    fn cut_directories(
        &self,
        wanted: &Wanted<super::ask::WantedDirectory>,
        refused: &mut Vec<Refused>,
    ) -> Vec<Directory> {
        let Wanted::Only(wanted) = wanted else { return self.directories.clone() };
        let mut given = Vec::new();
        for want in wanted {
            let granted = self.directories.iter().find(|one| one.guest == want.guest);
            if let Some(granted) = granted {
                let access = granted.access.min(want.access);
                given.push(Directory { access, ..granted.clone() });
            }
            if granted.is_none_or(|granted| granted.access < want.access) {
                refused.push(Refused::Directory { guest: want.guest.clone(), access: want.access });
            }
        }
        given
    }

    /// The rules that both sides have: of two that overlap, the narrower.
    fn cut_rules(&self, wanted: &Wanted<Rule>, refused: &mut Vec<Refused>) -> Vec<Rule> {
        let Wanted::Only(wanted) = wanted else { return self.rules.clone() };
        let mut given = Vec::new();
        for want in wanted {
            if self.rules.iter().any(|granted| granted.covers(want)) {
                given.push(want.clone());
                continue;
            }
            let within = self.rules.iter().filter(|granted| want.spans(granted)).cloned();
            given.extend(within);
            refused.push(Refused::Network(want.clone()));
        }
        given
    }
}

impl Effective {
    /// Whether a call into the plugin may wait, so that it has to run on a thread for that, and
    /// asynchronously: it has files, connections, or real time to wait for.
    #[must_use]
    pub fn needs_runner(&self) -> bool {
        !self.directories.is_empty() || !self.network.rules.is_empty() || self.waiting
    }

    /// What the plugin names and doesn't get. A plugin that names nothing is refused nothing.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    fn with_refused_switches(mut self, ask: &Ask) -> Self {
        if !ask.stated {
            return self;
        }
        let switches = [
            (ask.udp && !self.network.udp, Refused::Udp),
            (ask.clocks && self.clocks != Clocks::Real, Refused::Clocks),
            (ask.random && self.random != Randomness::Real, Refused::Random),
            (ask.waiting && !self.waiting, Refused::Waiting),
        ];
        self.refused.extend(switches.into_iter().filter(|(is, _)| *is).map(|(_, what)| what));
        self
    }
}

impl fmt::Debug for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text names variables without their values.
        f.debug_tuple("Effective").field(&self.to_string()).finish()
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, _) in &self.environment {
            writeln!(f, "env {name}")?;
        }
        for directory in &self.directories {
            writeln!(f, "{} {} ({})", directory.access, directory.guest, directory.host.display())?;
        }
        for rule in self.network.rules.iter() {
            writeln!(f, "net {rule}{}", if self.network.udp { " (tcp and udp)" } else { "" })?;
        }
        f.write_str(match self.clocks {
            Clocks::Virtual => "clocks: virtual\n",
            Clocks::Real if self.waiting => "clocks: real, and it may wait\n",
            Clocks::Real => "clocks: real\n",
        })?;
        match self.random {
            Randomness::Seeded(seed) => writeln!(f, "random: seeded with {seed}")?,
            Randomness::Real => writeln!(f, "random: real")?,
        }
        for refused in &self.refused {
            writeln!(f, "refused: {refused}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "env {name}"),
            Self::Directory { guest, access } => write!(f, "{access} {guest}"),
            Self::Network(rule) => write!(f, "net {rule}"),
            Self::Udp => f.write_str("udp"),
            Self::Clocks => f.write_str("clocks"),
            Self::Random => f.write_str("random"),
            Self::Waiting => f.write_str("waiting"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants() -> Grants {
        Grants::new()
            .env("A", "1")
            .env("B", "2")
            .directory("/srv/a", "/a", Access::Write)
            .directory("/srv/b", "/b", Access::Read)
            .network("api.example.com:443".parse().unwrap())
            .network("10.0.0.0/8:5432".parse().unwrap())
            .clocks(Clocks::Real)
    }

    #[test]
    fn nothing_granted_is_nothing_whatever_is_asked() {
        let effective = Grants::new().cut(&Ask::anything());
        assert!(effective.environment.is_empty() && effective.directories.is_empty());
        assert!(effective.network.rules.is_empty() && !effective.network.udp);
        assert_eq!(effective.clocks, Clocks::Virtual);
        assert_eq!(effective.random, Randomness::Seeded(0));
        assert!(!effective.needs_runner() && effective.refused().is_empty());
    }

    #[test]
    fn nothing_asked_is_nothing_whatever_is_granted() {
        let effective = grants().waiting().udp().cut(&Ask::nothing());
        assert!(effective.environment.is_empty() && effective.directories.is_empty());
        assert!(effective.network.rules.is_empty() && !effective.network.udp);
        assert_eq!(effective.clocks, Clocks::Virtual);
        assert!(!effective.needs_runner());
    }

    #[test]
    fn a_plugin_gets_what_both_sides_name() {
        let ask = Ask::parse(
            b"env A\nenv C\nread /a\nwrite /b\nread /c\nnet api.example.com:443\n\
              net 10.1.0.0/16:5432\nnet other.example:1\nclocks\nrandom",
        )
        .unwrap();
        let effective = grants().cut(&ask);
        assert_eq!(effective.environment, [("A".to_owned(), "1".to_owned())]);
        let directories: Vec<_> =
            effective.directories.iter().map(|one| (one.guest.as_str(), one.access)).collect();
        assert_eq!(directories, [("/a", Access::Read), ("/b", Access::Read)]);
        let rules: Vec<_> = effective.network.rules.iter().map(ToString::to_string).collect();
        assert_eq!(rules, ["api.example.com:443", "10.1.0.0/16:5432"]);
        assert_eq!(effective.clocks, Clocks::Real);
        let refused: Vec<_> = effective.refused().iter().map(ToString::to_string).collect();
        assert_eq!(refused, ["net other.example:1", "env C", "write /b", "read /c", "random"]);
        assert!(effective.needs_runner());
    }

    #[test]
    fn of_a_wider_wish_the_granted_part_is_given() {
        let ask = Ask::parse(b"net 0.0.0.0/0:*").unwrap();
        let effective = grants().cut(&ask);
        let rules: Vec<_> = effective.network.rules.iter().map(ToString::to_string).collect();
        assert_eq!(rules, ["10.0.0.0/8:5432"]);
        assert_eq!(effective.refused().len(), 1);
    }

    #[test]
    fn a_wish_does_not_open_what_a_wide_block_leaves_closed() {
        let grants = Grants::new()
            .network("0.0.0.0/0:*".parse().unwrap())
            .network("[::/0]:*".parse().unwrap());
        for wish in ["127.0.0.1:*", "127.0.0.0/8:80", "169.254.169.254:80", "[::1]:*"] {
            let effective = grants.cut(&Ask::parse(format!("net {wish}").as_bytes()).unwrap());
            assert!(effective.network.rules.is_empty(), "{wish} is given: {effective}");
            assert_eq!(effective.refused(), [Refused::Network(wish.parse().unwrap())]);
        }
        let effective = grants.cut(&Ask::parse(b"net 1.1.1.1:443").unwrap());
        assert_eq!(effective.network.rules.len(), 1, "the internet is granted");
    }

    #[test]
    fn waiting_takes_a_real_clock() {
        assert!(!Grants::new().waiting().cut(&Ask::anything()).needs_runner());
        let real = Grants::new().waiting().clocks(Clocks::Real).cut(&Ask::anything());
        assert!(real.needs_runner());
    }

    #[test]
    fn values_of_variables_are_not_shown() {
        let grants = Grants::new().env("TOKEN", "secret");
        assert!(!format!("{grants:?}").contains("secret"));
        assert!(!format!("{:?}", grants.cut(&Ask::anything())).contains("secret"));
        assert!(!grants.cut(&Ask::anything()).to_string().contains("secret"));
    }
}
