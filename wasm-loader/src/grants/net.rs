//! Blocks of addresses, and which of them are not the public internet.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block of addresses: `10.0.0.0/8`, or a single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Net {
    addr: IpAddr,
    prefix: u8,
}

impl Net {
    const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Self {
        Self { addr: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    const fn v6(first: u16, second: u16, prefix: u8) -> Self {
        Self { addr: IpAddr::V6(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0)), prefix }
    }

    /// A block; none for a prefix that is longer than an address.
    pub(crate) fn new(addr: IpAddr, prefix: u8) -> Option<Self> {
        let longest = if addr.is_ipv4() { 32 } else { 128 };
        if prefix == longest {
            return Some(Self::one(addr));
        }
        // `::ffff:10.0.0.0/104` would be a block of one kind with addresses of the other.
        let mixed = addr.to_canonical() != addr;
        (prefix < longest && !mixed).then_some(Self { addr, prefix })
    }

    /// One address.
    pub(crate) fn one(addr: IpAddr) -> Self {
        let addr = addr.to_canonical();
        Self { addr, prefix: if addr.is_ipv4() { 32 } else { 128 } }
    }

    /// The address as its first bits, and how many an address has.
    fn bits(addr: IpAddr) -> (u128, u8) {
        match addr {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 32),
            IpAddr::V6(v6) => (u128::from(v6), 128),
        }
    }

    /// Whether all of another block is in this one.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let (mine, length) = Self::bits(self.addr);
        let (theirs, other_length) = Self::bits(other.addr);
        let differ = (mine ^ theirs).checked_shr(128 - u32::from(self.prefix)).unwrap_or(0);
        length == other_length && self.prefix <= other.prefix && differ == 0
    }

    /// Whether an address, in its canonical form, is in it.
    pub(crate) fn contains(&self, addr: IpAddr) -> bool {
        self.covers(&Self::one(addr))
    }

    /// Whether none of it is the public internet.
    pub(crate) fn is_special(&self) -> bool {
        SPECIAL.iter().any(|block| block.covers(self))
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let single = self.prefix == if self.addr.is_ipv4() { 32 } else { 128 };
        match (self.addr, single) {
            (IpAddr::V4(addr), true) => write!(f, "{addr}"),
            (IpAddr::V6(addr), true) => write!(f, "[{addr}]"),
            (IpAddr::V4(addr), false) => write!(f, "{addr}/{}", self.prefix),
            (IpAddr::V6(addr), false) => write!(f, "[{addr}/{}]", self.prefix),
        }
    }
}

/// What is not the public internet, after the registries of special addresses: this machine, its
/// networks, documentation, measurement, multicast, and what carries an IPv4 address inside.
const SPECIAL: [Net; 22] = [
    Net::v4(0, 0, 0, 0, 8),
    Net::v4(10, 0, 0, 0, 8),
    Net::v4(100, 64, 0, 0, 10),
    Net::v4(127, 0, 0, 0, 8),
    // Cloud metadata services live here.
    Net::v4(169, 254, 0, 0, 16),
    Net::v4(172, 16, 0, 0, 12),
    Net::v4(192, 0, 0, 0, 24),
    Net::v4(192, 0, 2, 0, 24),
    Net::v4(192, 88, 99, 0, 24),
    Net::v4(192, 168, 0, 0, 16),
    Net::v4(198, 18, 0, 0, 15),
    Net::v4(198, 51, 100, 0, 24),
    Net::v4(203, 0, 113, 0, 24),
    Net::v4(224, 0, 0, 0, 4),
    Net::v4(240, 0, 0, 0, 4),
    // Only 2000::/3 is given out: what lies before and after it is not.
    Net::v6(0x0000, 0, 3),
    Net::v6(0x4000, 0, 2),
    Net::v6(0x8000, 0, 1),
    // Teredo and 6to4 lead to the IPv4 address inside.
    Net::v6(0x2001, 0, 23),
    Net::v6(0x2001, 0x0db8, 32),
    Net::v6(0x2002, 0, 16),
    Net::v6(0x3fff, 0, 20),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn special(addr: &str) -> bool {
        Net::one(addr.parse().unwrap()).is_special()
    }

    #[test]
    fn what_is_not_the_internet_is_known() {
        for addr in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "2002:7f00:1::",
            "2001:0:1::",
            "2001:db8::1",
        ] {
            assert!(special(addr), "{addr}");
        }
        for addr in ["1.1.1.1", "172.32.0.1", "192.167.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(!special(addr), "{addr}");
        }
    }

    #[test]
    fn a_block_covers_what_begins_as_it_does() {
        let block = Net::new("10.1.0.0".parse().unwrap(), 16).unwrap();
        assert!(block.contains("10.1.255.255".parse().unwrap()));
        assert!(!block.contains("10.2.0.0".parse().unwrap()));
        assert!(!block.contains("::10.1.0.0".parse().unwrap()));
        let all = Net::new("0.0.0.0".parse().unwrap(), 0).unwrap();
        assert!(all.covers(&block));
        assert!(!block.covers(&all));
        assert!(!all.contains("2606:4700::1111".parse().unwrap()));
        assert_eq!(Net::new("10.0.0.0".parse().unwrap(), 33), None);
    }
}
