//! What `loopgate tunnel invite` and `join` need to know of a configuration, which may not run as it is: one without a route
//! or a tunnel yet, or without a key.

use std::path::{Path, PathBuf};

use super::far_end::{FarEnd, host_with_port, name_of};
use super::written_link;
use crate::acl::May;
use crate::address::{ListenAddress, NetListen, TargetAddress, TunnelName};
use crate::config::{
    NamedFile, Place, Problem, Problems, Texts, Whole, Written, WrittenLink, read, read_file,
};
use crate::transport::tunnel::identity::PublicKey;
use crate::transport::tunnel::pairing::Ticket;
use crate::units::Misread;

/// A configuration in parts.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// Where other Loopgates connect to.
    pub(crate) listen: Option<NetListen>,
    /// The file of the private key, if `[tunnel]` names one.
    pub(crate) private_key: Option<PathBuf>,
    pub(crate) tunnels: Vec<Outlined>,
    files: Vec<NamedFile>,
}

/// A tunnel of it.
#[derive(Debug)]
pub(crate) struct Outlined {
    pub(crate) name: TunnelName,
    /// The file that has it.
    pub(crate) file: PathBuf,
    /// Whether nobody has joined it yet.
    pub(crate) is_invited: bool,
    /// Whom this end connects to; nobody if the other end connects.
    pub(crate) dials: Vec<PublicKey>,
}

/// Reads a configuration as far as that goes without making a plan of it.
///
/// # Errors
/// Every problem of its texts.
pub(crate) fn outline(file: &Path) -> Result<Outline, Problems> {
    let name = file.display().to_string();
    let text = read_file(file).map_err(|problem| Problems::new(&name, "", vec![*problem]))?;
    let mut problems = Vec::new();
    let Whole { config, texts, files } = read(&name, &text, &mut problems);
    if !problems.is_empty() {
        return Err(Problems::of(texts, problems));
    }
    let listen = config.tunnel.listen.iter().flatten().find_map(|written| match written.value.first() {
        ListenAddress::Net(net) => Some(net.clone()),
        ListenAddress::Unix(_) | ListenAddress::There(_) => None,
    });
    let key = config.tunnel.private_key.as_ref();
    let private_key = key.map(|named| texts.folder(&named.place).join(&named.value.0));
    let tunnels = config.tunnels.iter().map(|of| {
        let keys = of.keys.public_key.iter().flatten().map(|key| key.value.0);
        Outlined {
            name: of.name.clone(),
            file: texts.file(&of.place).unwrap_or(file).to_owned(),
            is_invited: of.keys.invite.is_some(),
            dials: keys.filter(|_| of.keys.connect.is_some()).collect(),
        }
    });
    Ok(Outline { listen, private_key, tunnels: tunnels.collect(), files })
}

impl Outline {
    /// Whether it includes this file, or will once there is one.
    pub(crate) fn includes(&self, file: &Path) -> bool {
        self.files.iter().any(|named| named.takes(file))
    }

    /// What a tunnel to this address is called here.
    pub(crate) fn name_for(&self, to: &TargetAddress) -> Option<TunnelName> {
        name_of(to, |name| self.tunnels.iter().any(|of| of.name == *name))
    }
}

/// Reads what an invite permits, as `--may-listen` and `--may-dial` have it.
///
/// # Errors
/// Every problem.
pub(crate) fn check_permits(may_listen: &[String], may_dial: &[String]) -> Result<(), Problems> {
    let mut problems = Vec::new();
    let mut read = |texts: &[String]| -> Vec<Written<May>> {
        let read = texts.iter().filter_map(|text| {
            let place = Place::Argument(text.clone());
            let read = text.parse().map_err(|Misread { what, instead }| {
                problems.push(Problem::new(place.clone(), "", what).help(instead));
            });
            Some(Written { value: read.ok()?, place })
        });
        read.collect()
    };
    let written = WrittenLink {
        may_listen: Some(read(may_listen)),
        may_dial: Some(read(may_dial)),
        ..WrittenLink::default()
    };
    written_link::check_permits("", &written, &mut problems);
    problems.iter_mut().for_each(|problem| problem.key.clear());
    if problems.is_empty() { Ok(()) } else { Err(Problems::of(Texts::default(), problems)) }
}

/// The address by which this machine is reached, with this port unless it has one.
///
/// # Errors
/// What is no such address.
pub(crate) fn address(text: &str, port: u16) -> Result<TargetAddress, Misread> {
    let run = host_with_port(text, port)?;
    match run.first() {
        to @ TargetAddress::Net(..) if run.count() == 1 => Ok(to.clone()),
        _ => Err(Misread::new(format!("{run} is not one host and port"), "write HOST or HOST:PORT")),
    }
}

/// The line that an invite is passed on with, or that joins: `HOST:PORT#KEY#TICKET`.
#[derive(Debug)]
pub(crate) struct InviteLine {
    pub(crate) to: TargetAddress,
    pub(crate) key: PublicKey,
    pub(crate) ticket: Ticket,
}

impl InviteLine {
    /// It as it is passed on. It holds the secret.
    pub(crate) fn text(&self) -> String {
        format!("{}#{}#{}", self.to, self.key, self.ticket.letters())
    }
}

impl std::str::FromStr for InviteLine {
    type Err = Misread;

    /// Takes the whole command as well. No error has anything of the ticket.
    fn from_str(text: &str) -> Result<InviteLine, Misread> {
        let line = text.split_whitespace().next_back().unwrap_or_default();
        let no_line = || {
            let what = "this is no line of an invite, HOST:PORT#KEY#TICKET";
            Misread::new(
                what,
                "copy the whole line that \"loopgate tunnel invite NAME\" prints there, in quotes",
            )
        };
        let (far_end, letters) = line.rsplit_once('#').ok_or_else(no_line)?;
        if !far_end.contains('#') {
            return Err(no_line());
        }
        let ticket = letters.parse().map_err(|()| {
            let what = "the last part of the line, behind the second #, is not whole";
            Misread::new(what, "copy the whole line that \"loopgate tunnel invite NAME\" prints there")
        })?;
        match far_end.parse()? {
            FarEnd::Dialled(to, key) if to.count() == 1 => {
                Ok(InviteLine { to: to.first().clone(), key: key.0, ticket })
            }
            _ => Err(no_line()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ed25519:PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";

    #[test]
    fn a_line_reads_back_alone_or_with_the_command_before_it() {
        let ticket = Ticket::random().unwrap();
        for to in ["vps.example.com:4433", "192.0.2.7:443", "[2001:db8::7]:4433"] {
            let text = format!("{to}#{KEY}#{}", ticket.letters());
            for given in [text.clone(), format!("loopgate tunnel join {text}\n"), format!("  {text} ")] {
                let line: InviteLine = given.parse().unwrap();
                assert_eq!((line.text(), &line.ticket), (text.clone(), &ticket), "{given}");
            }
        }
    }

    #[test]
    fn what_is_no_whole_line_is_told_without_its_secret() {
        let letters = "SECRETSECRETSECRETSECRETSECRETSE";
        for wrong in [
            "",
            "vps.example.com:4433",
            &format!("vps#{KEY}"),
            &format!("vps#{letters}"),
            &format!("vps#{KEY}#{letters}x"),
            &format!("vps#{KEY}#{}", &letters[1..]),
            &format!("home={KEY}#{letters}"),
            &format!("vps#ed25519:x#{letters}"),
            &format!("vps:1-2#{KEY}#{letters}"),
        ] {
            let told = wrong.parse::<InviteLine>().unwrap_err().to_string();
            assert!(!told.contains("SECRET"), "{wrong}: {told}");
        }
    }

    #[test]
    fn the_address_of_this_machine_has_the_port_of_its_listener_unless_another_is_written() {
        let of = |text: &str| address(text, 4434).map(|to| to.to_string()).map_err(|wrong| wrong.what);

        assert_eq!(of("vps.example.com"), Ok("vps.example.com:4434".into()));
        assert_eq!(of("vps.example.com:443"), Ok("vps.example.com:443".into()));
        assert_eq!(of("[2001:db8::7]"), Ok("[2001:db8::7]:4434".into()));
        assert!(of("vps:1-2").is_err() && of("").is_err() && of("root@vps").is_err());
    }
}
