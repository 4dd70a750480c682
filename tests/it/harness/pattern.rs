//! Bytes that tell their own position, so that a lost, doubled, moved or foreign byte is noticed.

use std::sync::LazyLock;

/// Prime, so that no buffer, page or pipe has a multiple of this size and a block in the wrong place never fits.
const PERIOD: usize = 65_521;

/// How much [`at`] can give at one time.
pub(crate) const MOST: usize = 1 << 20;

/// Noise of that period, long enough that a piece of [`MOST`] bytes can begin anywhere in it.
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
