//! What a plugin prints: its end is kept.

use crate::grants::Effective;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What was printed. Clones are the same output.
#[derive(Clone)]
pub struct Output {
    tail: Arc<Mutex<Tail>>,
}

struct Tail {
    bytes: VecDeque<u8>,
    most: usize,
    total: u64,
}

impl Output {
    pub(super) fn new(most: usize) -> Self {
        Self { tail: Arc::new(Mutex::new(Tail { bytes: VecDeque::new(), most, total: 0 })) }
    }

    /// The last bytes that were printed, at most so many.
    #[must_use]
    pub fn tail(&self, most: usize) -> Vec<u8> {
        let tail = self.lock();
        let skipped = tail.bytes.len().saturating_sub(most);
        tail.bytes.iter().skip(skipped).copied().collect()
    }

    /// How many bytes were printed, of which only the last are kept.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.lock().total
    }

    /// Prints.
    pub(super) fn print(&self, bytes: &[u8]) {
        self.lock().print(bytes);
    }

    fn lock(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("total", &self.total()).finish_non_exhaustive()
    }
}

/// What all instances of a plugin have printed. Clones are the same, and outlive the plugin.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Printed {
    /// To standard output.
    pub stdout: Output,
    /// To standard error.
    pub stderr: Output,
}

impl Printed {
    /// Nothing as yet.
    #[must_use]
    pub fn new(effective: &Effective) -> Self {
        let output = || Output::new(effective.output_bytes);
        Self { stdout: output(), stderr: output() }
    }
}

/// One instance's way to print: into what all have printed, and into what it has itself.
#[derive(Clone)]
pub(super) struct Stream {
    all: Output,
    own: Option<Output>,
}

impl Stream {
    pub(super) fn new(all: &Output, own: Option<&Output>) -> Self {
        Self { all: all.clone(), own: own.cloned() }
    }

    pub(super) fn print(&self, bytes: &[u8]) {
        self.all.print(bytes);
        if let Some(own) = &self.own {
            own.print(bytes);
        }
    }
}

impl Tail {
    fn print(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(bytes.len() as u64);
        let kept = &bytes[bytes.len().saturating_sub(self.most)..];
        let over = (self.bytes.len() + kept.len()).saturating_sub(self.most);
        self.bytes.drain(..over);
        self.bytes.extend(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_and_all_is_counted() {
        let output = Output::new(4);
        output.print(b"ab");
        output.print(b"cde");
        assert_eq!(output.tail(9), b"bcde");
        assert_eq!(output.tail(2), b"de");
        output.print(b"0123456789");
        assert_eq!(output.tail(9), b"6789");
        assert_eq!(output.total(), 15);
    }

    #[test]
    fn a_flood_takes_no_more_than_it_may() {
        let output = Output::new(1024);
        for _ in 0..10_000 {
            output.print(&[b'x'; 100]);
        }
        assert!(output.lock().bytes.capacity() <= 4096);
    }
}
