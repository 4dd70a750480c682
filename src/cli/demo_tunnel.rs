//! `loopgate demo --tunnel`: two Loopgates in one process, linked by a tunnel, and a visitor's way through both.

use std::collections::hash_map::RandomState;
use std::fs::{self, DirBuilder};
use std::hash::BuildHasher;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::demo::start_target;
use super::log;
use super::output::{code, complain};
use super::run::{Second, cannot_start, serve};
use crate::address::{ListenAddress, TunnelName};
use crate::engine::{self, Declared, Kind, Settings};
use crate::ledger::{Ledger, LineQueue, LogFormat};
use crate::plan::{self, Plan, Sources};
use crate::sources::{Reloader, declare};
use crate::transport::tunnel::identity::{KeyFault, PrivateKey, PublicKey};
use crate::tunnel::Tunnels;

/// How long the tunnel may take until the invitation comes without it.
const UNTIL_UP: Duration = Duration::from_secs(5);

/// The two machines, each with the name that the other has for it.
const PUBLIC: &str = "vps";
const PRIVATE: &str = "home";

/// Runs until a signal stops it.
pub(super) fn demo(listen: &ListenAddress, format: Option<LogFormat>) -> u8 {
    let keys = match Keys::make() {
        Ok(keys) => keys,
        Err(why) => {
            complain(&format!("error: no keys can be made for the demo: {why}"));
            return code::INTERNAL;
        }
    };
    let Some(mut plan) = keys.plan(PUBLIC, &public_end(&keys.home)) else { return no_plan() };
    listen_on(&mut plan, listen);
    plan.log.format = format.unwrap_or_default();
    let settings = plan.log.clone();
    let reloader = |plan, handle| Reloader::new(Sources::default(), plan, handle);
    let before = async |_: &mut Plan| {
        introduce(&keys);
        Ok(())
    };
    let after = async |declared: &Declared, queue: &LineQueue| {
        let second = start_home(&keys, declared, log::ledger(queue, &settings)).await?;
        invite(declared);
        Ok(Some(second))
    };
    serve(plan, reloader, before, after)
}

/// The file of the machine that visitors reach.
fn public_end(home: &PublicKey) -> String {
    format!(
        "[tunnel]\nlisten = '127.0.0.1:0'\nprivate_key = '{PUBLIC}.key'\n[tunnels.{PRIVATE}]\npublic_key = '{home}'\n\
         [routes.public]\nlisten = '127.0.0.1:1'\ntarget = 'tunnel:{PRIVATE}/page'\nwait_for_target = '5s'\n"
    )
}

/// The file of the machine with the page.
fn private_end(vps: &PublicKey, connect: impl std::fmt::Display, page: impl std::fmt::Display) -> String {
    format!(
        "[tunnel]\nprivate_key = '{PRIVATE}.key'\n[tunnels.{PUBLIC}]\nconnect = '{connect}'\npublic_key = '{vps}'\n\
         [routes.page]\nlisten = 'tunnel:{PUBLIC}'\ntarget = '{page}'\n"
    )
}

fn listen_on(plan: &mut Plan, listen: &ListenAddress) {
    for route in plan.routes.values_mut() {
        let mut listening = (**route).clone();
        listening.listen = vec![listen.clone()];
        *route = listening.into();
    }
}

fn introduce(keys: &Keys) {
    tracing::info!(
        "two Loopgates in one process: {PUBLIC}, which visitors reach, and {PRIVATE}, which has a page"
    );
    tracing::info!("key of {PUBLIC}: {}", keys.vps);
    tracing::info!("key of {PRIVATE}: {}", keys.home);
    tracing::info!("each knows the other by its key; both were made for this demo, and end with it");
}

/// Starts the end with the page, and waits until the tunnel is up.
async fn start_home(keys: &Keys, public: &Declared, ledger: Arc<Ledger>) -> Result<Second, u8> {
    let tunnel = public.listening.iter().find(|listening| listening.owner.kind() == Kind::Service);
    let Some(tunnel) = tunnel else { return Err(no_plan()) };
    let page = start_target().await.map_err(|error| cannot_start(&error))?;
    let Some(plan) = keys.plan(PRIVATE, &private_end(&keys.vps, &tunnel.address, page)) else {
        return Err(no_plan());
    };
    keys.forget();
    let handle = engine::start(Settings::fitting(&plan), ledger).map_err(|error| cannot_start(&error))?;
    let tunnels = Tunnels::new(handle.clone());
    if let Err(refused) = declare(&handle, &tunnels, &plan).await {
        complain(&format!("error: the second end of the demo cannot start: {refused:?}"));
        return Err(code::INTERNAL);
    }
    tracing::info!("{PRIVATE} offers its page, and opens no port: it connects to {}", tunnel.address);
    if let Ok(name) = PUBLIC.parse::<TunnelName>() {
        let mut state = handle.lines().get(&name).watch();
        // If it takes longer, its own lines say why; visitors are held meanwhile.
        let _ = timeout(UNTIL_UP, state.wait_for(|state| state.is_up())).await;
    }
    Ok(Second { handle, tunnels })
}

/// Logged last, so that it appears directly above the records.
fn invite(declared: &Declared) {
    for listening in declared.listening.iter().filter(|it| it.owner.kind() == Kind::Route) {
        let address = &listening.address;
        tracing::info!("open http://{address}/ or run: curl http://{address}/");
        tracing::info!(
            "each visit becomes two records with one id: route=public at {PUBLIC}, route=page at {PRIVATE}"
        );
        tracing::info!("Ctrl-C stops both ends");
    }
}

fn no_plan() -> u8 {
    complain("error: the routes of the demo cannot be read; this is a bug in Loopgate, please report it");
    code::INTERNAL
}

/// The keys of both ends, in a folder that nobody else can read, and that is gone once both plans have been made.
struct Keys {
    folder: PathBuf,
    vps: PublicKey,
    home: PublicKey,
}

impl Keys {
    fn make() -> Result<Keys, String> {
        let number = RandomState::new().hash_one(0);
        let folder = std::env::temp_dir().join(format!("loopgate-demo-{number:016x}"));
        let told = |error: io::Error| format!("{}: {error}", folder.display());
        DirBuilder::new().mode(0o700).create(&folder).map_err(told)?;
        let written = |name: &str| -> Result<PublicKey, String> {
            let key = PrivateKey::generate()?;
            let told = |fault: KeyFault| fault.to_string();
            key.write_new(&folder.join(format!("{name}.key"))).map_err(told)?;
            Ok(key.public())
        };
        let made = written(PUBLIC).and_then(|vps| Ok((vps, written(PRIVATE)?)));
        match made {
            Ok((vps, home)) => Ok(Keys { folder, vps, home }),
            Err(why) => {
                let _ = fs::remove_dir_all(&folder);
                Err(why)
            }
        }
    }

    /// The plan of a file that stands beside the keys.
    fn plan(&self, name: &str, text: &str) -> Option<Plan> {
        let file = self.folder.join(format!("{name}.toml"));
        plan::parse(&file.display().to_string(), text, &[]).ok()
    }

    /// Removes the files: the plans have the keys in memory.
    fn forget(&self) {
        // Nothing can be done about a folder that somebody else has removed or changed.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.forget();
    }
}
