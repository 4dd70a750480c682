//! The answer to a process that requests a reload.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use loopgate::diagnosis::exit_code;
use loopgate::engine::{self, Settings};
use loopgate::ledger::{Ledger, Record};
use loopgate::limits::Budget;
use loopgate::plan::{self, Sources};
use loopgate::sources::{Refusal, Reloader};
use tokio::runtime::Builder;

use crate::harness::{ClosedPort, Connection, Target};

fn route(name: &str, listen: SocketAddr, target: &Target) -> String {
    format!("[routes.{name}]\nlisten = '{listen}'\ntarget = '{}'\n", target.address)
}

/// A temporary configuration, removed when dropped.
struct Written(PathBuf);

impl Written {
    fn new(name: &str, text: &str) -> Written {
        let written =
            Written(std::env::temp_dir().join(format!("loopgate-{name}-{}.toml", std::process::id())));
        written.save(text);
        written
    }

    fn save(&self, text: &str) {
        fs::write(&self.0, text).unwrap();
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn whoever_asks_for_a_reload_learns_what_came_of_it() {
    let (target, taken) = (Target::greeting(b"1"), Target::echo());
    let (web, new) = (ClosedPort::port(), ClosedPort::port());
    let good = route("web", web.address, &target);
    let file = Written::new("answer", &good);
    let sources = Sources { file: Some(file.0.clone()), ..Sources::default() };
    let plan = plan::load(&sources).unwrap();
    let budget = Budget { connections: 50, flows: 5, pipes: 4, watches: 1 };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();

    runtime.block_on(async {
        let ledger = Ledger::new(Box::new(|_: &Record| ()));
        let handle = engine::start(Settings { workers: 1, budget }, ledger).unwrap();
        handle.declare(plan.source.clone(), plan.routes.clone()).await.unwrap();
        let mut reloader = Reloader::new(sources, plan, handle);
        assert!(reloader.last().is_none());

        let before = SystemTime::now();
        file.save(&(good.clone() + &route("new", new.address, &target)));
        let declared = reloader.reload().await.unwrap();
        assert_eq!((declared.change.added.len(), declared.listening.len()), (1, 2));
        let last = reloader.last().unwrap();
        assert!(last.at >= before && Arc::ptr_eq(last.answer.as_ref().unwrap(), &declared));

        file.save(&good.replace("listen", "lisen"));
        let refusal = reloader.reload().await.unwrap_err();
        let Refusal::Problems(problems) = &*refusal else { panic!("{refusal}") };
        assert_eq!(problems.list[0].key, "routes.web.lisen");
        assert!(reloader.last().unwrap().answer.is_err());

        file.save(&(good.clone() + &route("taken", taken.address, &target)));
        let refusal = reloader.reload().await.unwrap_err();
        let Refusal::Bind { failures, diagnoses } = &*refusal else { panic!("{refusal}") };
        assert_eq!((failures[0].owner.name(), exit_code(diagnoses)), ("taken".into(), 4));

        file.save(&format!("log.level = 'debug'\n{good}"));
        let refusal = reloader.reload().await.unwrap_err();
        assert!(matches!(&*refusal, Refusal::Unchangeable(keys) if keys.len() == 1), "{refusal}");

        file.save(&good);
        assert_eq!(reloader.reload().await.unwrap().change.removed.len(), 1);
        assert!(reloader.last().unwrap().answer.is_ok());
    });
    assert!(Connection::try_to(new.address).is_err());
}
