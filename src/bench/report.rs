//! A bench and everything it came to so far.

use std::time::Duration;

use super::figures::{Detour, Figures};
use super::load::Load;
use super::machine::Machine;
use super::rounds::{Began, Event, Kind, Progress, Reading, Way};
use super::route::Through;
use super::service::Service;
use super::setup::{Setup, Target};
use crate::units::counted;

/// From this share of the processors on, other programs are worth a word.
const BUSY: f64 = 0.1;

/// Why a bench ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// A signal.
    Signal,
    /// It took far longer than it should.
    Time,
}

/// What is known of one load.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sheet {
    pub(super) load: Load,
    /// By round; directly, through.
    readings: [Vec<Option<Reading>>; 2],
    failed: [Option<String>; 2],
}

impl Sheet {
    pub(super) fn of(load: Load) -> Sheet {
        Sheet { load, readings: [Vec::new(), Vec::new()], failed: [None, None] }
    }

    pub(super) fn add(&mut self, way: Way, round: u32, read: Result<Reading, String>) {
        let readings = &mut self.readings[way as usize];
        readings.resize(round as usize, None);
        match read {
            Ok(reading) => readings.push(Some(reading)),
            Err(why) => self.failed[way as usize] = Some(why),
        }
    }

    pub(super) fn figures(&self, way: Way) -> Option<Figures> {
        Figures::of(self.readings[way as usize].iter().flatten())
    }

    pub(super) fn detour(&self) -> Option<Detour> {
        let [direct, through] = &self.readings;
        let pairs = direct.iter().zip(through);
        Detour::of(pairs.filter_map(|(direct, through)| direct.as_ref().zip(through.as_ref())))
    }

    /// Why nothing more came of it that way.
    pub(super) fn why_not(&self, way: Way) -> Option<&str> {
        self.failed[way as usize].as_deref()
    }

    /// What failed beside what was done, that way.
    pub(super) fn beside(&self, way: Way) -> Option<(u64, &str)> {
        let failures =
            self.readings[way as usize].iter().flatten().filter_map(|reading| reading.failed.as_ref());
        let (mut count, mut reason) = (0, None);
        for (times, why) in failures {
            count += times;
            reason = Some(why.as_str());
        }
        reason.map(|reason| (count, reason))
    }
}

/// Everything a bench came to.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(super) target: Target,
    pub(super) through: Option<Through>,
    pub(super) began: Option<Began>,
    pub(super) machine: Machine,
    /// The share of the processors that other programs took, where it is known.
    pub(super) others: Option<f64>,
    pub(super) rounds: u32,
    pub(super) sheets: Vec<Sheet>,
    pub(super) took: Duration,
    pub(super) cut: Option<Cut>,
}

impl Report {
    /// The report of a bench that begins.
    pub(crate) fn new(setup: &Setup) -> Report {
        Report {
            target: setup.target.clone(),
            through: setup.through.clone(),
            began: None,
            machine: Machine::read(),
            others: None,
            rounds: setup.schedule.rounds,
            sheets: setup.loads.iter().map(|load| Sheet::of(*load)).collect(),
            took: Duration::ZERO,
            cut: None,
        }
    }

    /// Takes what happened; what there is to show of it.
    pub(crate) fn hear(&mut self, event: Event) -> Option<Progress> {
        match event.0 {
            Kind::Began(began) => self.began = Some(began),
            Kind::Others(share) => self.others = Some(share),
            Kind::Turn(progress) => return Some(progress),
            Kind::Read { load, way, round, read } => self.sheets[load].add(way, round, read),
        }
        None
    }

    /// That it is over, after this time.
    pub(crate) fn ended(&mut self, took: Duration, cut: Option<Cut>) {
        (self.took, self.cut) = (took, cut);
    }

    /// Whether anything was measured.
    pub(crate) fn has_figures(&self) -> bool {
        self.sheets.iter().any(|sheet| sheet.figures(Way::Direct).or(sheet.figures(Way::Through)).is_some())
    }

    /// Whether everything was measured that can be.
    pub(crate) fn is_whole(&self) -> bool {
        let measured = |sheet: &Sheet| {
            let is = |way| sheet.figures(way).is_some() && sheet.why_not(way).is_none();
            is(Way::Direct) && (!self.has_detour() || is(Way::Through))
        };
        self.cut.is_none() && self.sheets.iter().all(measured)
    }

    pub(super) fn has_detour(&self) -> bool {
        self.through.is_some() || self.target == Target::BuiltIn
    }

    /// What a reader must know to read the figures right.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Target::Service(_, Service::Other(_)) = &self.target {
            notes.push(
                "bench exchanges bytes with services that echo, discard, or are iperf3; of any other, such as this, it \
                 measures only how connections are made and closed. For HTTP, wrk or oha show more."
                    .to_owned(),
            );
        }
        if let (Target::Service(place, _), Some(Through::Running { route, targets, .. })) =
            (&self.target, &self.through)
            && *targets > 1
        {
            notes.push(format!(
                "Route {route} has {targets} targets; the direct figures are those of {} alone.",
                place.written
            ));
        }
        if let Some(Through::Running { route, listen, .. }) = &self.through
            && self
                .sheets
                .iter()
                .all(|sheet| sheet.figures(Way::Through).is_none() && sheet.why_not(Way::Through).is_some())
        {
            notes.push(format!(
                "Nothing came through route {route}: its allow, its deny or a limit may refuse connections from here. \
                 Its records say why; or ask: loopgate explain {listen}"
            ));
        }
        for sheet in &self.sheets {
            for (way, word) in [(Way::Direct, "directly"), (Way::Through, "through the route")] {
                if let Some((count, reason)) = sheet.beside(way) {
                    notes.push(format!(
                        "{}, {word}: {} beside what was done: {reason}",
                        sheet.load.name(),
                        counted(usize::try_from(count).unwrap_or(usize::MAX), "failure"),
                    ));
                }
            }
        }
        if let Some(began) = &self.began
            && !began.through.is_empty()
            && !began.cpu
        {
            notes.push(format!("{}.", began.who.replacen("its CPU", "The forwarder's CPU", 1)));
        }
        if let Some(share) = self.others.filter(|share| *share >= BUSY) {
            notes.push(format!("Other programs took {:.0} % of the processors meanwhile.", share * 100.0));
        }
        match self.cut {
            Some(Cut::Signal) => {
                notes.push("Stopped before its end: these are the figures so far.".to_owned())
            }
            Some(Cut::Time) => notes.push("Given up: it took far longer than --for.".to_owned()),
            None => {}
        }
        notes
    }
}
