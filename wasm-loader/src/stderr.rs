//! The end of what a guest wrote to its standard error.

use std::collections::VecDeque;

/// How much of it travels with a fault.
const MOST: usize = 1024;

/// The last bytes of a text.
#[derive(Debug, Default)]
pub(crate) struct Tail(VecDeque<u8>);

impl Tail {
    /// More of the text.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(MOST)..];
        let over = (self.0.len() + bytes.len()).saturating_sub(MOST);
        self.0.drain(..over);
        self.0.extend(bytes);
    }

    /// What is there, which is then gone.
    pub(crate) fn take(&mut self) -> Box<[u8]> {
        std::mem::take(&mut self.0).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_kilobyte_is_kept() {
        let mut tail = Tail::default();
        tail.write(&[b'a'; 1000]);
        tail.write(&[b'b'; 100]);
        assert_eq!(*tail.take(), [&[b'a'; 924][..], &[b'b'; 100]].concat());
        tail.write(&[b'c'; 5000]);
        assert_eq!(*tail.take(), [b'c'; 1024]);
        assert!(tail.take().is_empty());
    }
}
