//! Every byte of a reply is read, as fast as the machine reads: what both sides do alike should not
//! hide what they do differently.

#![expect(unsafe_code, reason = "wide registers are there or not, which is asked first")]

/// Reads every byte of a reply, as a caller would.
#[inline]
pub fn checksum(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= WORTH_IT && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for, as was just seen.
        return unsafe { wide(bytes) };
    }
    sum(bytes)
}

/// From here on a call of another function is made up for.
#[cfg(target_arch = "x86_64")]
const WORTH_IT: usize = 512;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn wide(bytes: &[u8]) -> u64 {
    sum(bytes)
}

#[inline(always)]
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let sum = words.iter().fold(0u64, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)));
    rest.iter().fold(sum, |sum, byte| sum.wrapping_add(u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts_at_any_length() {
        let mut bytes: Vec<u8> = (0..2100).map(|at| at as u8).collect();
        for len in [0, 1, 7, 8, 128, 511, 512, 1024, 2100] {
            assert_eq!(checksum(&bytes[..len]), sum(&bytes[..len]));
            for at in [0, len / 2, len.saturating_sub(1)].into_iter().filter(|at| *at < len) {
                let before = checksum(&bytes[..len]);
                bytes[at] ^= 1;
                assert_ne!(checksum(&bytes[..len]), before, "byte {at} of {len}");
                bytes[at] ^= 1;
            }
        }
    }
}
