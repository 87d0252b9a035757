//! A plugin that runs: the author's value, and its tasks.

use std::sync::Arc;

use crate::host::OWN_TOKENS;
use crate::reply::Outcome;
use crate::tasks::{Hold, Tasks};
use crate::{Host, Plugin, Sid, Status};

/// What every handler is reached through.
pub struct Shared<P> {
    /// The author's.
    pub plugin: P,
    /// Also here: an answer goes the shortest way.
    pub(crate) host: Host,
    pub(crate) tasks: Hold,
}

impl<P: Plugin> Shared<P> {
    /// Starts the plugin.
    pub(crate) fn start(host: Host) -> Result<Arc<Self>, String> {
        match P::new(&host) {
            Ok(plugin) => {
                Ok(Arc::new(Self { plugin, host: host.clone(), tasks: Tasks::new(host) }))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Runs an async handler that was made of this call.
    ///
    /// # Errors
    /// The call is refused.
    pub fn spawn(&self, sid: Sid, body: impl Future<Output = Outcome> + Send + 'static) -> Outcome {
        Tasks::start(&self.tasks, sid, Box::pin(body))
    }

    pub(crate) fn data(&self, sid: Sid, data: &[u8]) -> Status {
        self.tasks.data(sid, data).unwrap_or_else(|| self.plugin.data(sid, data))
    }

    pub(crate) fn closed(&self, sid: Sid) -> Status {
        self.tasks.data_closed(sid).unwrap_or_else(|| self.plugin.closed(sid))
    }

    pub(crate) fn cancelled(&self, sid: Sid) {
        self.tasks.cancel(sid);
        self.plugin.cancelled(sid);
    }

    pub(crate) fn woken(&self, token: u64) {
        // Any wake is one timer less, which somebody may wait for.
        self.tasks.woken(token);
        if token < OWN_TOKENS {
            self.plugin.woken(token);
        }
    }

    pub(crate) fn stop(&self) {
        self.tasks.clear();
        self.plugin.shutdown();
    }
}

/// Checks that no name is there twice. In `plugin!` that is an error of compilation.
///
/// # Panics
/// If one is.
pub const fn distinct(names: &[&str]) {
    let mut second = 0;
    while second < names.len() {
        let mut first = 0;
        while first < second {
            if same(names[first], names[second]) {
                twice(names[first]);
            }
            first += 1;
        }
        second += 1;
    }
}

/// Checks that a sandbox understands each line of what a plugin asks for. In `plugin!` that is an error
/// of compilation.
///
/// # Panics
/// If one isn't.
pub const fn understood(asks: &[&str]) {
    let mut at = 0;
    while at < asks.len() {
        if !is_ask(asks[at].as_bytes()) {
            say([
                "plugin!: a sandbox cannot be asked for `",
                asks[at],
                "`: a line is `env NAME`, `read /PATH`, `write /PATH`, `net HOST:PORT`, `udp`, \
                 `clocks`, `random` or `waiting`",
            ]);
        }
        at += 1;
    }
}

const fn is_ask(line: &[u8]) -> bool {
    let mut at = 0;
    while at < line.len() {
        if line[at] < b' ' {
            return false;
        }
        at += 1;
    }
    match line {
        b"udp" | b"clocks" | b"random" | b"waiting" => true,
        [b'e', b'n', b'v', b' ', rest @ ..] => begins(rest),
        [b'n', b'e', b't', b' ', rest @ ..] => begins(rest) && ends_in_port(rest),
        [b'r', b'e', b'a', b'd', b' ', b'/', ..] => true,
        [b'w', b'r', b'i', b't', b'e', b' ', b'/', ..] => true,
        _ => false,
    }
}

const fn begins(rest: &[u8]) -> bool {
    matches!(rest, [first, ..] if *first != b' ')
}

/// The rest of the rule is read at load.
const fn ends_in_port(rule: &[u8]) -> bool {
    let mut at = 0;
    while at < rule.len() {
        if rule[at] == b':' {
            return true;
        }
        at += 1;
    }
    false
}

const fn twice(name: &str) {
    say(["plugin!: two entries are named `", name, "`"]);
}

/// What a compiler can say is what it can put together: so the text is, byte by byte.
const fn say(parts: [&str; 3]) {
    let mut text = [0; 512];
    let mut len = 0;
    let mut part = 0;
    while part < parts.len() {
        let bytes = parts[part].as_bytes();
        let mut at = 0;
        while at < bytes.len() && len < text.len() {
            text[len] = bytes[at];
            at += 1;
            len += 1;
        }
        part += 1;
    }
    match str::from_utf8(text.split_at(len).0) {
        Ok(text) => panic!("{}", text),
        // Cut within a letter.
        Err(_) => panic!("{}", parts[0]),
    }
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{distinct, is_ask, understood};

    #[test]
    fn lines_that_a_sandbox_reads_are_fine() {
        understood(&[]);
        understood(&["env A", "read /", "write /a b", "net [::1]:80", "net a.example:*"]);
        understood(&["udp", "clocks", "random", "waiting"]);
        for line in ["", "env", "env ", "env  A", "read a", "write", "net", "net a", "udp 1"] {
            assert!(!is_ask(line.as_bytes()), "{line}");
        }
        assert!(!is_ask(b"env A\nenv B") && !is_ask(b"# why") && !is_ask(b"clock"));
    }

    #[test]
    #[should_panic(
        expected = "plugin!: a sandbox cannot be asked for `files`: a line is `env NAME`"
    )]
    fn a_line_that_no_sandbox_reads_is_refused() {
        understood(&["udp", "files"]);
    }

    #[test]
    fn names_that_differ_are_fine() {
        distinct(&[]);
        distinct(&["", "a", "ab", "b", "A"]);
    }

    #[test]
    #[should_panic(expected = "plugin!: two entries are named `echo`")]
    fn two_of_one_name_are_refused() {
        distinct(&["echo", "greet", "echo"]);
    }
}
