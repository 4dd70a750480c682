//! Which port is tried first where the other end leaves the choice to us: the same one after every restart, without a file
//! that remembers it.
//!
//! The seed is made with a secret of this machine, or others could tell from a port which tunnel has it.

/// Each of these ports once, in an order that the seed decides.
pub(super) fn order(seed: u64, ports: Vec<u16>) -> impl Iterator<Item = u16> {
    let count = ports.len() as u64;
    // The upper half decides where to begin, the lower how far apart two tries are.
    let begin = (seed >> 32) % count.max(1);
    let step = coprime((seed & u64::from(u32::MAX)) % count.max(1), count);
    (0..count).map(move |n| ports[((begin + n * step) % count) as usize])
}

/// The first number from `wish` on that shares no divisor with `count`: multiples of it reach every remainder.
fn coprime(wish: u64, count: u64) -> u64 {
    (wish.max(1)..).find(|step| divisor(*step, count) == 1).unwrap_or(1)
}

/// The greatest common divisor.
fn divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { divisor(other, one % other) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_port_comes_once_and_in_the_same_order_each_time(seed: u64, low in 1_u16..60_000, count in 0_u16..500) {
            let range: Vec<u16> = (low..low + count).collect();
            let ports: Vec<u16> = order(seed, range.clone()).collect();
            let mut sorted = ports.clone();
            sorted.sort_unstable();

            prop_assert_eq!(&sorted, &range);
            prop_assert_eq!(order(seed, range).collect::<Vec<_>>(), ports);
        }
    }

    #[test]
    fn other_seeds_begin_elsewhere() {
        let any: Vec<u16> = (1024..=65535).collect();
        let seeds = (0..100_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let firsts: std::collections::BTreeSet<u16> =
            seeds.filter_map(|seed| order(seed, any.clone()).next()).collect();

        assert!(firsts.len() > 90, "{firsts:?}");
    }
}
