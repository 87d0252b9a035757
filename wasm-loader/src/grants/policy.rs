//! Whom a plugin may connect to, asked at each connection.

use super::net::Net;
use super::rule::{Rule, normal_name};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

/// How addresses are found for names. The system's way is [`SystemResolver`].
pub trait Resolver: Send + Sync {
    /// The addresses of a name. It may block: it is called on a thread for that.
    ///
    /// # Errors
    ///
    /// When there are none, or nobody can be asked.
    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// Asks the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok((name, 0).to_socket_addrs()?.map(|addr| addr.ip()).collect())
    }
}

/// The list of one plugin, and how names are looked up.
#[derive(Clone)]
pub(crate) struct Policy {
    pub(crate) rules: Arc<[Rule]>,
    pub(crate) udp: bool,
    pub(crate) resolver: Arc<dyn Resolver>,
    /// How many lookups are under way, in all of the plugin's instances.
    pub(crate) lookups: Arc<AtomicUsize>,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("rules", &self.rules).field("udp", &self.udp).finish()
    }
}

/// Why a name isn't looked up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoAddress {
    /// No rule names it.
    NotAllowed,
    /// It is no name.
    NoName,
    /// It has no address, or only such as may not be connected to.
    None,
    /// The plugin has as many names looked up already as it may.
    TooMany,
}

/// What has to be asked for a name's addresses.
#[derive(Debug)]
pub(crate) enum Question {
    /// Nothing: it is an address.
    Answered(IpAddr),
    Ask(Lookup),
}

/// A name that may be looked up. It counts as under way until it is dropped, which a thread that
/// hangs in the system's resolver doesn't do, whether anybody still waits for it or not.
#[derive(Debug)]
pub(crate) struct Lookup {
    name: String,
    count: Arc<AtomicUsize>,
}

impl Drop for Lookup {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Relaxed);
    }
}

/// How many names a plugin may have looked up at once: each takes one of the threads that the whole
/// process has for what blocks.
const MOST_LOOKUPS: usize = 16;

/// How many names with their addresses an instance is remembered to have asked for.
const MOST_LEARNED: usize = 256;

/// What one instance may do with the network, and which addresses it was given for which name.
///
/// A rule with a name allows the addresses that the name had when this plugin asked, and never one
/// that is not the public internet: whoever owns the name would otherwise choose which of the
/// operator's own machines the plugin talks to.
#[derive(Debug)]
pub(crate) struct Network {
    policy: Policy,
    learned: Mutex<VecDeque<(IpAddr, String)>>,
}

impl Network {
    pub(crate) fn new(policy: Policy) -> Self {
        Self { policy, learned: Mutex::default() }
    }

    /// Whether there may be any connection.
    pub(crate) fn has_rules(&self) -> bool {
        !self.policy.rules.is_empty()
    }

    pub(crate) fn allows_udp(&self) -> bool {
        self.policy.udp
    }

    /// Whether there may be a connection to an address: asked with the address itself, after all
    /// names are resolved.
    pub(crate) fn allows(&self, addr: SocketAddr) -> bool {
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        if self.policy.rules.iter().any(|rule| rule.allows(addr)) {
            return true;
        }
        let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        learned.iter().filter(|(ip, _)| *ip == addr.ip()).any(|(_, name)| {
            self.policy.rules.iter().any(|rule| rule.allows_name(name, addr.port()))
        })
    }

    /// What has to be asked for a name: nothing, if it is an address. Doesn't block.
    pub(crate) fn question(&self, name: &str) -> Result<Question, NoAddress> {
        let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        if let Ok(ip) = literal.unwrap_or(name).parse::<IpAddr>() {
            return Ok(Question::Answered(ip.to_canonical()));
        }
        let name = normal_name(name).ok_or(NoAddress::NoName)?;
        if !self.policy.rules.iter().any(|rule| rule.is_name(&name)) {
            return Err(NoAddress::NotAllowed);
        }
        let one_more = |count| (count < MOST_LOOKUPS).then_some(count + 1);
        match self.policy.lookups.fetch_update(Relaxed, Relaxed, one_more) {
            Ok(_) => Ok(Question::Ask(Lookup { name, count: self.policy.lookups.clone() })),
            Err(_) => Err(NoAddress::TooMany),
        }
    }

    /// The addresses of a name, as far as they may be used. Blocks.
    pub(crate) fn look_up(&self, lookup: &Lookup) -> Result<Vec<IpAddr>, NoAddress> {
        let name = &lookup.name;
        let found = self.policy.resolver.resolve(name).map_err(|_| NoAddress::None)?;
        let mut usable = Vec::new();
        for ip in found.into_iter().map(|ip| ip.to_canonical()) {
            if !Net::one(ip).is_special() {
                // These alone are opened by their name.
                self.learn(ip, name);
            } else if !self.policy.rules.iter().any(|rule| rule.allows_ip(ip)) {
                continue;
            }
            usable.push(ip);
        }
        if usable.is_empty() { Err(NoAddress::None) } else { Ok(usable) }
    }

    fn learn(&self, ip: IpAddr, name: &str) {
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        if learned.iter().any(|(known, of)| *known == ip && of == name) {
            return;
        }
        if learned.len() == MOST_LEARNED {
            learned.pop_front();
        }
        learned.push_back((ip, name.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers the first time with one address, and from then on with another.
    struct Rebinding(Mutex<Vec<IpAddr>>);

    impl Resolver for Rebinding {
        fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            let mut answers = self.0.lock().unwrap();
            Ok(vec![if answers.len() > 1 { answers.remove(0) } else { answers[0] }])
        }
    }

    fn network(rules: &[&str], answers: &[&str]) -> Network {
        Network::new(Policy {
            rules: rules.iter().map(|rule| rule.parse().unwrap()).collect(),
            udp: false,
            resolver: Arc::new(Rebinding(Mutex::new(
                answers.iter().map(|ip| ip.parse().unwrap()).collect(),
            ))),
            lookups: Arc::default(),
        })
    }

    fn resolve(network: &Network, name: &str) -> Result<Vec<IpAddr>, NoAddress> {
        match network.question(name)? {
            Question::Answered(ip) => Ok(vec![ip]),
            Question::Ask(lookup) => network.look_up(&lookup),
        }
    }

    fn allows(network: &Network, addr: &str) -> bool {
        network.allows(addr.parse().unwrap())
    }

    #[test]
    fn a_name_opens_its_addresses_at_its_port_once_it_was_looked_up() {
        let network = network(&["api.example.com:443"], &["1.2.3.4"]);
        assert!(!allows(&network, "1.2.3.4:443"));
        assert_eq!(
            resolve(&network, "API.example.com.").unwrap(),
            ["1.2.3.4".parse::<IpAddr>().unwrap()]
        );
        assert!(allows(&network, "1.2.3.4:443"));
        assert!(allows(&network, "[::ffff:1.2.3.4]:443"));
        assert!(!allows(&network, "1.2.3.4:80"));
        assert!(!allows(&network, "1.2.3.5:443"));
    }

    #[test]
    fn a_name_that_turns_private_opens_nothing() {
        for private in ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1"] {
            let network = network(&["api.example.com:*"], &["1.2.3.4", private]);
            resolve(&network, "api.example.com").unwrap();
            assert_eq!(resolve(&network, "api.example.com"), Err(NoAddress::None), "{private}");
            let ip: IpAddr = private.parse().unwrap();
            assert!(!network.allows(SocketAddr::new(ip, 443)), "{private}");
        }
    }

    #[test]
    fn a_private_address_that_is_listed_may_have_a_name() {
        let network = network(&["db.internal:5432", "10.0.0.0/8:5432"], &["10.0.0.9"]);
        assert_eq!(resolve(&network, "db.internal").unwrap().len(), 1);
        assert!(allows(&network, "10.0.0.9:5432"));
        assert!(!allows(&network, "10.0.0.9:22"));
    }

    #[test]
    fn names_that_no_rule_has_are_not_looked_up() {
        let network = network(&["api.example.com:443", "1.0.0.0/8:*"], &["1.2.3.4"]);
        for name in ["example.com", "x.api.example.com", "secret.attacker.example"] {
            assert_eq!(resolve(&network, name), Err(NoAddress::NotAllowed), "{name}");
        }
        for name in ["", "a b", "127.1", "0x7f.1", "2130706433", "a\0b"] {
            assert_eq!(resolve(&network, name), Err(NoAddress::NoName), "{name:?}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let network = network(&["a.example:1"], &["1.2.3.4"]);
        for at in 0..2 * MOST_LEARNED {
            network.learn(IpAddr::V4(std::net::Ipv4Addr::from(at as u32)), "a.example");
        }
        assert_eq!(network.learned.lock().unwrap().len(), MOST_LEARNED);
    }
}
