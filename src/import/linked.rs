//! What a reader of a file with tunnels adds to a draft: the two ends that such a file can be, their keys, and what is to be
//! done by hand.

use super::draft::{Draft, RouteId, Setting, Toml};
use super::link::{CLIENT, Link, LinkId, Step, name_after, without_user};
use super::message::{At, Fate, Note, plain};
use super::shell::bracketed;
use crate::address::{Run, TargetAddress};

/// The last step.
const LAST: &str = "Run loopgate validate -c FILE at both ends, then loopgate run -c FILE.";

/// The most letters of a step.
const MAX_STEP: usize = 2_000;

impl Draft {
    /// Adds the tunnel to a server. An address that cannot be dialled is noted.
    pub(super) fn dial_link(&mut self, host: &str, port: &str, at: &At) -> LinkId {
        let address = format!("{}:{port}", bracketed(host));
        let name = name_after(host);
        let whole = At::new(at.line, at.words.clone());
        let connect = match address.parse::<Run<TargetAddress>>() {
            Ok(run) if run.count() == 1 && !host.is_empty() => address,
            _ => {
                let why = "this is no address and port; write those of the server in connect of its tunnel";
                self.lost(None, at, why);
                "SERVER:4433".to_owned()
            }
        };
        self.add_link(name, whole, Some(connect))
    }

    /// Adds the tunnel of the machine that connects to us.
    pub(super) fn accept_link(&mut self, listen: String, at: &At) -> LinkId {
        self.links.listen = Some((listen, at.clone()));
        self.add_link(CLIENT.to_owned(), at.clone(), None)
    }

    fn add_link(&mut self, name: String, at: At, connect: Option<String>) -> LinkId {
        let name = match self.links.all.iter().any(|link| link.name == name) {
            true => format!("{name}-{}", self.links.all.len() + 1),
            false => name,
        };
        let (may_listen, settings, lacks) = Default::default();
        self.links.all.push(Link { name, at, connect, may_listen, settings, lacks });
        LinkId(self.links.all.len() - 1)
    }

    pub(super) fn link(&mut self, id: LinkId) -> &mut Link {
        &mut self.links.all[id.0]
    }

    /// Sets a key of a tunnel.
    pub(super) fn set_link(&mut self, id: LinkId, at: &At, key: &'static str, value: Toml) {
        if !self.knows_of_link(key) {
            let why = format!("this version of Loopgate has no {key} in [tunnels.NAME]");
            return self.lost_of_link(id, at, why);
        }
        let settings = &mut self.link(id).settings;
        settings.retain(|setting| setting.key != key);
        settings.push(Setting { key, value, at: at.clone() });
    }

    /// Notes words that are not carried over, beside the tunnel they are about.
    pub(super) fn lost_of_link(&mut self, id: LinkId, at: &At, why: impl AsRef<str>) {
        let note = Note::new(at, Fate::NotCarried, why);
        let lack = format!("{}: {}", note.words, note.why);
        let lacks = &mut self.link(id).lacks;
        if !lacks.contains(&lack) {
            lacks.push(lack);
        }
        self.notes.push(note);
    }

    /// What is to be done once the file is imported, one step.
    pub(super) fn then(&mut self, step: impl AsRef<str>) {
        self.add_step(Step::Do(plain(step.as_ref(), MAX_STEP)));
    }

    /// As [`Draft::then`], if the route is carried over.
    pub(super) fn then_for(&mut self, id: RouteId, step: impl AsRef<str>) {
        self.add_step(Step::For(id, plain(step.as_ref(), MAX_STEP)));
    }

    /// An address that the server must permit for a route; all of them are one step.
    pub(super) fn permit(&mut self, id: RouteId, may: String) {
        self.add_step(Step::Permit(id, may));
    }

    fn add_step(&mut self, step: Step) {
        if !self.links.next.contains(&step) {
            self.links.next.push(step);
        }
    }

    /// What is to be done, in order, for the routes that were carried over.
    pub(super) fn steps(&self) -> Vec<String> {
        let may = |step: &Step| match step {
            Step::Permit(id, may) if self.has(*id) => Some(format!("{may:?}")),
            _ => None,
        };
        let mut may: Vec<String> = self.links.next.iter().filter_map(may).collect();
        let mut steps = Vec::new();
        for step in &self.links.next {
            match step {
                Step::Do(step) => steps.push(step.clone()),
                Step::For(id, step) if self.has(*id) => steps.push(step.clone()),
                Step::Permit(..) if !may.is_empty() => {
                    let list = std::mem::take(&mut may).join(", ");
                    steps.push(format!("On the server, permit in [tunnels.{CLIENT}]: may_listen = [{list}]"));
                }
                Step::For(..) | Step::Permit(..) => {}
            }
        }
        if !steps.is_empty() {
            steps.push(LAST.to_owned());
        }
        steps
    }
}

/// Sets the proxy by which a server is dialled.
pub(super) fn proxied(id: LinkId, key: &str, line: usize, url: &str, draft: &mut Draft) {
    let (url, had_user) = without_user(url);
    let at = At::new(line, format!("{key} = {url:?}"));
    draft.set_link(id, &at, "proxy_url", Toml::text(url));
    if had_user {
        draft.lost_of_link(
            id,
            &at.with(key),
            "its user and password are not repeated; add them to proxy_url",
        );
    }
}
