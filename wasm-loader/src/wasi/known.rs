//! The interfaces of WASI 0.2 that there are, and what each is for.

use crate::inspect::{Capability, InterfaceName};

const KNOWN: [(&str, &str, Capability); 28] = [
    ("wasi:cli", "environment", Capability::Environment),
    ("wasi:cli", "exit", Capability::Exit),
    ("wasi:cli", "stdin", Capability::Stdio),
    ("wasi:cli", "stdout", Capability::Stdio),
    ("wasi:cli", "stderr", Capability::Stdio),
    ("wasi:cli", "terminal-input", Capability::Stdio),
    ("wasi:cli", "terminal-output", Capability::Stdio),
    ("wasi:cli", "terminal-stdin", Capability::Stdio),
    ("wasi:cli", "terminal-stdout", Capability::Stdio),
    ("wasi:cli", "terminal-stderr", Capability::Stdio),
    ("wasi:io", "error", Capability::Io),
    ("wasi:io", "poll", Capability::Io),
    ("wasi:io", "streams", Capability::Io),
    ("wasi:clocks", "monotonic-clock", Capability::Clocks),
    ("wasi:clocks", "wall-clock", Capability::Clocks),
    ("wasi:random", "random", Capability::Random),
    ("wasi:random", "insecure", Capability::Random),
    ("wasi:random", "insecure-seed", Capability::Random),
    ("wasi:filesystem", "types", Capability::Files),
    ("wasi:filesystem", "preopens", Capability::Files),
    ("wasi:sockets", "network", Capability::Network),
    ("wasi:sockets", "instance-network", Capability::Network),
    ("wasi:sockets", "ip-name-lookup", Capability::Network),
    ("wasi:sockets", "tcp", Capability::Network),
    ("wasi:sockets", "tcp-create-socket", Capability::Network),
    ("wasi:sockets", "udp", Capability::Network),
    ("wasi:sockets", "udp-create-socket", Capability::Network),
    // No clock has a zone, but some bindings name the interface for its types.
    ("wasi:clocks", "timezone", Capability::Clocks),
];

/// What an interface is for, if it is one of WASI 0.2.
pub(crate) fn capability(name: &InterfaceName<'_>) -> Option<Capability> {
    let version = name.version?;
    if (version.major, version.minor) != (0, 2) {
        return None;
    }
    KNOWN
        .iter()
        .find(|(package, interface, _)| (*package, *interface) == (name.package, name.interface))
        .map(|(_, _, capability)| *capability)
}
