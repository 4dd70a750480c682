//! Who spent how much CPU in a turn.
//!
//! Whom a forwarder makes wait, wake or copy pays in another process: the sum is what the detour costs the machine.

use crate::figures::Figures;

/// CPU seconds by who spent them.
#[derive(Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) client: f64,
    pub(crate) target: f64,
    /// None without one.
    pub(crate) forwarder: Option<f64>,
}

/// What a target and a forwarder have spent since they started.
#[derive(Clone, Copy)]
pub(crate) struct SoFar {
    pub(crate) target: f64,
    pub(crate) forwarder: Option<f64>,
}

impl SoFar {
    /// What was spent since `before`, with what the client took.
    pub(crate) fn since(self, before: SoFar, client: f64) -> Spent {
        let forwarder = self.forwarder.zip(before.forwarder).map(|(after, before)| after - before);
        Spent { client, target: self.target - before.target, forwarder }
    }
}

impl Spent {
    /// The figures of everybody and of all together, per unit of work: `scale` is what one CPU second is worth.
    pub(crate) fn add_to(self, figures: &mut Figures, scale: f64) {
        let Spent { client, target, forwarder } = self;
        figures.extend(forwarder.map(|seconds| ("cpu", seconds * scale)));
        let all = client + target + forwarder.unwrap_or_default();
        figures.extend([("client", client * scale), ("target", target * scale), ("all", all * scale)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_of_all_is_that_of_client_target_and_forwarder() {
        let before = SoFar { target: 1.0, forwarder: Some(2.0) };
        let spent = SoFar { target: 1.5, forwarder: Some(2.25) }.since(before, 0.125);
        let mut figures = Figures::new();
        spent.add_to(&mut figures, 1e3);
        let expected = [("all", 875.0), ("client", 125.0), ("cpu", 250.0), ("target", 500.0)];
        assert_eq!(figures.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn without_a_forwarder_the_cpu_of_all_is_that_of_both_ends() {
        let nothing = SoFar { target: 0.0, forwarder: None };
        let mut figures = Figures::new();
        SoFar { target: 0.5, forwarder: None }.since(nothing, 0.25).add_to(&mut figures, 1.0);
        let expected = [("all", 0.75), ("client", 0.25), ("target", 0.5)];
        assert_eq!(figures.into_iter().collect::<Vec<_>>(), expected);
    }
}
