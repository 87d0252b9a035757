//! Several pieces of text and then bytes, copied one behind the other.

#![expect(unsafe_code, reason = "text that was copied is not looked through again")]

use std::fmt;

/// How many bytes lie in the queue itself. What is allocated by one thread and freed by another
/// costs both of them more than these cost to copy.
const FEW: usize = 224;

/// Text, and what is behind it.
pub(crate) struct Packed {
    bytes: Bytes,
    /// How many of them are whole pieces of text.
    text: usize,
}

#[expect(clippy::large_enum_variant, reason = "the large one is what saves an allocation")]
enum Bytes {
    Few(u8, [u8; FEW]),
    Many(Vec<u8>),
}

const _: () = assert!(FEW <= u8::MAX as usize);

impl Packed {
    /// Copies pieces of text, and bytes behind them.
    pub(crate) fn copy<'a>(text: impl Iterator<Item = &'a str> + Clone, rest: &[u8]) -> Self {
        let len: usize = text.clone().map(str::len).sum();
        let mut bytes = Bytes::with_room(len + rest.len());
        text.for_each(|piece| bytes.push(piece.as_bytes()));
        let text = bytes.as_slice().len();
        bytes.push(rest);
        Self { bytes, text }
    }

    /// The text, and the rest.
    #[inline]
    pub(crate) fn parts(&self) -> (&str, &[u8]) {
        let (text, rest) = self.bytes.as_slice().split_at(self.text);
        // SAFETY: these were copied from pieces of text, each of them whole, and never change.
        (unsafe { str::from_utf8_unchecked(text) }, rest)
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.as_slice().len())
    }
}

impl Bytes {
    fn with_room(len: usize) -> Self {
        if len <= FEW { Self::Few(0, [0; FEW]) } else { Self::Many(Vec::with_capacity(len)) }
    }

    /// Adds some. All together are no more than there is room for.
    fn push(&mut self, more: &[u8]) {
        match self {
            Self::Few(len, bytes) => {
                let from = usize::from(*len);
                bytes[from..from + more.len()].copy_from_slice(more);
                *len += more.len() as u8;
            }
            Self::Many(bytes) => bytes.extend_from_slice(more),
        }
    }

    #[inline]
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Few(len, bytes) => &bytes[..usize::from(*len)],
            Self::Many(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_copied_comes_back_whether_few_bytes_or_many() {
        for rest in [0, 1, FEW - 6, FEW - 5, 3 * FEW] {
            let rest = vec![0xFF; rest];
            let packed = Packed::copy(["", "grün", "!"].into_iter(), &rest);
            assert_eq!(packed.parts(), ("grün!", &*rest));
            assert_eq!(matches!(packed.bytes, Bytes::Few(..)), rest.len() + 6 <= FEW);
            assert_eq!(format!("{packed:?}"), format!("{} bytes", rest.len() + 6));
        }
        assert_eq!(Packed::copy([].into_iter(), b"all").parts(), ("", &b"all"[..]));
    }
}
