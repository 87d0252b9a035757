//! A line of the list of what a plugin may connect to.

use super::net::Net;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use thiserror::Error;

/// What a plugin may connect to: a name, an address or a block of addresses, and a port.
///
/// `api.example.com:443`, `192.0.2.7:5432`, `10.1.0.0/16:*`, `[2001:db8::1]:80`, `[fd00::/8]:80`.
/// `*` stands for every port. A name is that name alone, not what ends in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    host: Host,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    /// In lower case, without a final dot.
    Name(String),
    Net(Net),
}

/// Why a text is no [`Rule`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{text}` is no rule: write a name, an address or a block, and a port, as in \
         `api.example.com:443`, `10.1.0.0/16:*` or `[2001:db8::1]:80`"
)]
pub struct RuleError {
    /// The text.
    pub text: String,
}

impl Rule {
    /// Whether everything that another rule allows is allowed by this one. As for an address, what
    /// is not the public internet has to be meant: `0.0.0.0/0:*` does not cover `127.0.0.1:*`, which
    /// opens the own machine.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let meant = match (&self.host, &other.host) {
            (Host::Net(mine), Host::Net(theirs)) => mine.is_special() || !theirs.is_special(),
            _ => true,
        };
        meant && self.spans(other)
    }

    /// Whether another rule's hosts and ports are all among this one's, open or not.
    pub(crate) fn spans(&self, other: &Self) -> bool {
        let host = match (&self.host, &other.host) {
            (Host::Name(mine), Host::Name(theirs)) => mine == theirs,
            (Host::Net(mine), Host::Net(theirs)) => mine.covers(theirs),
            _ => false,
        };
        host && (self.port.is_none() || self.port == other.port)
    }

    /// Whether it speaks of this name, which is in lower case and has no final dot.
    pub(crate) fn is_name(&self, name: &str) -> bool {
        matches!(&self.host, Host::Name(mine) if mine == name)
    }

    /// Whether it allows connections to this name's addresses at this port.
    pub(crate) fn allows_name(&self, name: &str, port: u16) -> bool {
        self.is_name(name) && self.port.is_none_or(|mine| mine == port)
    }

    /// Whether it allows connections to this address, which is in canonical form. An address that
    /// is not the public internet has to be meant: `0.0.0.0/0:*` doesn't open the own machine.
    pub(crate) fn allows(&self, addr: SocketAddr) -> bool {
        self.allows_ip(addr.ip()) && self.port.is_none_or(|mine| mine == addr.port())
    }

    /// The same for every port.
    pub(crate) fn allows_ip(&self, ip: IpAddr) -> bool {
        match &self.host {
            Host::Name(_) => false,
            Host::Net(net) => net.contains(ip) && (net.is_special() || !Net::one(ip).is_special()),
        }
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        parse(text).ok_or_else(|| RuleError { text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<Rule> {
    let (host, port) = text.rsplit_once(':')?;
    let port = match port {
        "*" => None,
        port => Some(port.parse().ok().filter(|port| *port != 0)?),
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let address = bracketed.unwrap_or(host);
    let net = match address.split_once('/') {
        Some((addr, prefix)) => Some(Net::new(addr.parse().ok()?, prefix.parse().ok()?)?),
        None => address.parse().ok().map(Net::one),
    };
    let host = match net {
        Some(net) => Host::Net(net),
        None if bracketed.is_none() => Host::Name(normal_name(host)?),
        None => return None,
    };
    Some(Rule { host, port })
}

/// A host's name in the one form in which names are compared; none for what is no name.
pub(crate) fn normal_name(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // What ends in a number is an address in one of its many spellings, such as 127.1 or 0x7f.1.
    let last = name.rsplit('.').next()?;
    let number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").or_else(|| last.strip_prefix("0X")).is_some();
    (name.len() <= 253 && name.split('.').all(label) && !number).then(|| name.to_ascii_lowercase())
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => f.write_str(name)?,
            Host::Net(net) => net.fmt(f)?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => f.write_str(":*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        text.parse().unwrap()
    }

    #[test]
    fn a_rule_reads_and_writes_itself() {
        for text in [
            "api.example.com:443",
            "192.0.2.7:5432",
            "10.1.0.0/16:*",
            "[2001:db8::1]:80",
            "[fd00::/8]:80",
        ] {
            assert_eq!(rule(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in [
            "",
            "a",
            ":80",
            "a:",
            "a:0",
            "a:65536",
            "a b:80",
            "10.0.0.0/33:80",
            "10.0.0.0/x:80",
            "[a.b]:80",
            "*.example.com:80",
            "127.1:80",
            "0x7f.0x1:80",
            "2130706433:80",
            "a..b:80",
        ] {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_own_machine_has_to_be_meant() {
        let local: SocketAddr = "127.0.0.1:80".parse().unwrap();
        assert!(!rule("0.0.0.0/0:*").allows(local));
        assert!(rule("127.0.0.0/8:80").allows(local));
        assert!(!rule("127.0.0.1:81").allows(local));
        assert!(rule("0.0.0.0/0:*").allows("1.1.1.1:443".parse().unwrap()));
    }
}
