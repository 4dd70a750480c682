//! Bytes that depend on their position, so that a lost, duplicated, moved or foreign byte is noticed.

use std::sync::LazyLock;

/// A prime, so that no buffer, page or pipe is a multiple of it and a misplaced block never matches.
const PERIOD: usize = 65_521;

/// The most bytes that [`at`] returns at once.
pub(crate) const MOST: usize = 1 << 20;

/// Noise with that period, long enough that a piece of [`MOST`] bytes can begin anywhere in it.
static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut noise: Vec<u8> = (0..PERIOD)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect();
    while noise.len() < MOST + PERIOD {
        noise.extend_from_within(..PERIOD);
    }
    noise
});

/// `length` bytes of stream `seed` from `position` on. Streams of different seeds differ at every position.
pub(crate) fn at(seed: u64, position: usize, length: usize) -> &'static [u8] {
    let start = (position + seed as usize * 7919) % PERIOD;
    &NOISE[start..start + length]
}
