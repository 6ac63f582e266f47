//! Another configuration takes over: everything is prepared first, then all of it is swapped.
//!
//! *What it decides*: what a reload is made of. Each part is a [`Reloadable`]: `prepare` does all that can fail
//! (reading files, building tables) and touches nothing in force; the [`Swap`] it hands back cannot fail. Only when
//! every part is prepared are the swaps made, one right after the other, so a mistake anywhere changes nothing
//! anywhere, and all parts' mistakes are said at once. Whatever can be changed without a restart and is not yet in
//! [`Reloader::new`]'s list (certificates, signing keys, limits) joins by one more line there.
//!
//! *Limits*: one reload at a time. A question that is under way while the swaps are made may be located by the new
//! databases and decided on the old fleet; that lasts for microseconds.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::desk::Desk;
use super::{Core, plan};
use crate::clock::Clock;
use crate::config::{Config, ConfigErrors, Credentials, Server};
use crate::dns;
use crate::http::Front;
use crate::http::reload::{Mistake, NotReloaded, Reloaded};
use crate::http::tls::Tls;
use crate::state::State;
use crate::state::timeline::What;
use crate::telemetry::Telemetry;

/// What is left to do when everything has been prepared.
pub(super) type Swap = Box<dyn FnOnce() + Send>;

/// A part of the service that can take over another configuration.
pub(super) trait Reloadable: Send + Sync + 'static {
    /// Does all that can fail, and changes nothing that is in force. May block: it reads files.
    ///
    /// # Errors
    /// What is wrong, naming key and file.
    fn prepare(&self, next: &Config) -> anyhow::Result<Swap>;
}

/// Reloads on whoever's word.
pub(super) struct Reloader {
    path: PathBuf,
    parts: Arc<[Box<dyn Reloadable>]>,
    /// What the service was started with, for what cannot be changed under it.
    started: Fixed,
    clock: Clock,
    state: Arc<State>,
    telemetry: Arc<Telemetry>,
    desk: Desk,
    /// Held for the whole of a reload; inside: the files that the configuration in force rests on.
    files: Mutex<Vec<PathBuf>>,
}

/// Settings that count only at a start.
struct Fixed {
    server: Server,
    state_file: Option<PathBuf>,
    dns: Option<(SocketAddr, Option<SocketAddr>)>,
}

/// The certificate in service; `tls` is `None` where the service was started without.
struct Shown {
    tls: Option<Tls>,
    telemetry: Arc<Telemetry>,
    clock: Clock,
}

/// What DNS answers for; `front` is `None` where the service was started without.
struct Names {
    front: Option<Arc<dns::Front>>,
}

/// Keys, whom we trust, and how much everybody may ask.
struct Trust {
    resolver: Arc<crate::resolver::Resolver>,
    front: Arc<Front>,
}

// === impl Reloader ===

impl Reloader {
    /// A reloader of this file for a service that was started with `config`.
    ///
    /// # Errors
    /// Its thread cannot be started.
    pub(super) fn new(
        path: &Path,
        config: &Config,
        core: &Core,
        front: &Arc<Front>,
        (tls, dns): (Option<&Tls>, Option<&Arc<dns::Front>>),
    ) -> io::Result<Self> {
        let fleet = Arc::clone(&core.fleet);
        let trust = Trust { resolver: Arc::clone(&core.resolver), front: Arc::clone(front) };
        let names = Names { front: dns.cloned() };
        let telemetry = Arc::clone(&core.telemetry);
        let shown = Shown { tls: tls.cloned(), telemetry, clock: core.clock.clone() };
        Ok(Self {
            path: path.to_owned(),
            parts: Arc::new([
                Box::new(fleet) as Box<dyn Reloadable>,
                Box::new(trust),
                Box::new(shown),
                Box::new(names),
            ]),
            started: Fixed::of(config),
            clock: core.clock.clone(),
            state: Arc::clone(&core.state),
            telemetry: Arc::clone(&core.telemetry),
            desk: Desk::new()?,
            files: Mutex::new(files(path, config)),
        })
    }

    /// Takes over the file as it is now. What becomes of it is said in the log and counted, whoever asked.
    ///
    /// # Errors
    /// All that is wrong; then nothing has changed.
    pub(super) async fn reload(&self, because: &str) -> Result<Reloaded, NotReloaded> {
        let mut files_in_force = self.files.lock().await;
        let (path, parts) = (self.path.clone(), Arc::clone(&self.parts));
        let prepared = self.desk.run(move || prepare(&path, &parts)).await;
        let prepared =
            prepared.unwrap_or_else(|panic| Err(NotReloaded::of(vec![format!("our side: {panic}")])));
        let (config, swaps) = match prepared {
            Ok(prepared) => prepared,
            Err(refused) => {
                self.telemetry.reload_refused();
                self.state.note(What::ReloadRefused { summary: refused.summary.as_str().into() });
                let mistakes: Vec<String> = refused.mistakes.iter().map(ToString::to_string).collect();
                let summary = &refused.summary;
                tracing::error!(because, "configuration kept as it was: {summary}: {}", mistakes.join("; "));
                return Err(refused);
            }
        };
        for swap in swaps {
            swap();
        }
        self.telemetry.reload_done(self.clock.unix_ms());
        *files_in_force = files(&self.path, &config);
        let restart_needed = self.started.changed(&Fixed::of(&config));
        let (nodes, domains) = (config.nodes.len(), config.domains.len());
        tracing::info!(because, nodes, domains, "configuration reloaded");
        if !restart_needed.is_empty() {
            tracing::warn!("a restart is needed for {}", restart_needed.join(", "));
        }
        Ok(Reloaded { nodes, domains, restart_needed })
    }

    /// The files that the configuration in force rests on, databases excepted: those have a watch of their own.
    pub(super) async fn files(&self) -> Vec<PathBuf> {
        self.files.lock().await.clone()
    }
}

fn prepare(path: &Path, parts: &[Box<dyn Reloadable>]) -> Result<(Config, Vec<Swap>), NotReloaded> {
    let config = Config::load(path).map_err(|errors| NotReloaded::from(&errors))?;
    let (mut swaps, mut mistakes) = (Vec::new(), Vec::new());
    for part in parts {
        match part.prepare(&config) {
            Ok(swap) => swaps.push(swap),
            Err(error) => mistakes.push(format!("{error:#}")),
        }
    }
    if mistakes.is_empty() { Ok((config, swaps)) } else { Err(NotReloaded::of(mistakes)) }
}

fn files(path: &Path, config: &Config) -> Vec<PathBuf> {
    let tls = config.server.tls.as_ref();
    let keys = [
        config.scheduler.rtt_secret_file.as_ref(),
        config.server.admin_token_file.as_ref(),
        tls.map(|tls| &tls.certificate),
        tls.map(|tls| &tls.key),
    ];
    let shown =
        config.exporters.credentials.iter().flat_map(Credentials::files).map(|file| file.path.clone());
    let signing = config.domains.iter().flat_map(|domain| domain.keys.iter().cloned());
    let keys = keys.into_iter().flatten().cloned();
    let zones = config.dns.iter().flat_map(|dns| &dns.zones).flat_map(|zone| zone.keys.iter().cloned());
    let tokens = config.callers.iter().map(|caller| caller.token_file.clone());
    std::iter::once(path.to_owned())
        .chain(keys)
        .chain(shown)
        .chain(signing)
        .chain(zones)
        .chain(tokens)
        .collect()
}

// === impl Fixed ===

impl Fixed {
    fn of(config: &Config) -> Self {
        Self {
            server: config.server.clone(),
            state_file: config.scheduler.state_file.clone(),
            dns: config.dns.as_ref().map(|dns| (dns.listen, dns.tls_listen)),
        }
    }

    /// The keys of those that `next` has otherwise.
    fn changed(&self, next: &Self) -> Vec<&'static str> {
        // Another file is no matter; only where and whether TLS is spoken.
        let tls = |fixed: &Self| fixed.server.tls.as_ref().map(|tls| (tls.listen, tls.admin));
        let changed = [
            ("server.listen", self.server.listen != next.server.listen),
            ("server.admin_listen", self.server.admin_listen != next.server.admin_listen),
            ("server.tls", tls(self) != tls(next)),
            ("server.workers", self.server.workers != next.server.workers),
            ("dns.listen", self.dns != next.dns),
            ("scheduler.state_file", self.state_file != next.state_file),
        ];
        changed.into_iter().filter_map(|(key, changed)| changed.then_some(key)).collect()
    }
}

// === impl NotReloaded ===

impl NotReloaded {
    /// What is wrong with files that the configuration names.
    fn of(mistakes: Vec<String>) -> Self {
        let count = mistakes.len();
        let summary = format!("{count} error{} in what it names", if count == 1 { "" } else { "s" });
        let mistakes = mistakes.into_iter().map(|message| Mistake { line: None, column: None, message });
        Self { summary, mistakes: mistakes.collect() }
    }
}

impl From<&ConfigErrors> for NotReloaded {
    fn from(errors: &ConfigErrors) -> Self {
        let mistakes = errors.errors().iter().map(|error| Mistake {
            line: Some(error.line),
            column: Some(error.column),
            message: error.message.clone(),
        });
        Self { summary: errors.summary(), mistakes: mistakes.collect() }
    }
}

// === impl Trust ===

impl Reloadable for Trust {
    fn prepare(&self, next: &Config) -> anyhow::Result<Swap> {
        // All are read before any is complained of.
        let (reports, ops, signers) = (plan::token_key(next), plan::ops_token(next), plan::signers(next));
        let callers = plan::callers(next);
        let wrong =
            [reports.as_ref().err(), ops.as_ref().err(), signers.as_ref().err(), callers.as_ref().err()];
        let mistakes: Vec<String> = wrong.into_iter().flatten().map(|error| format!("{error:#}")).collect();
        let (Ok(reports), Ok(ops), Ok(signers), Ok(callers)) = (reports, ops, signers, callers) else {
            anyhow::bail!("{}", mistakes.join("; "));
        };
        let (server, limits, domains) = (next.server.clone(), next.limits, next.domains.clone());
        let dialects = next.dialects;
        let (resolver, front) = (Arc::clone(&self.resolver), Arc::clone(&self.front));
        Ok(Box::new(move || {
            resolver.take_reports(reports);
            front.retrust(&server);
            front.guard_ops(ops);
            front.sign_by(signers);
            front.redirect_by(&domains);
            front.understand(dialects);
            front.answer_callers(callers);
            front.limit(limits);
        }))
    }
}

// === impl Names ===

impl Reloadable for Names {
    fn prepare(&self, next: &Config) -> anyhow::Result<Swap> {
        let Some((front, dns)) = self.front.clone().zip(next.dns.clone()) else { return Ok(Box::new(|| {})) };
        let (keys, domains) = (plan::zone_keys(next)?, next.domains.clone());
        Ok(Box::new(move || front.adopt(&dns, &keys, &domains)))
    }
}

// === impl Shown ===

impl Reloadable for Shown {
    fn prepare(&self, next: &Config) -> anyhow::Result<Swap> {
        // Read even where it will count only after a restart, so that the restart does not fail for it.
        let Some((tls, certificate)) = self.tls.clone().zip(plan::certificate(next)?) else {
            return Ok(Box::new(|| {}));
        };
        let (telemetry, clock) = (Arc::clone(&self.telemetry), self.clock.clone());
        Ok(Box::new(move || {
            tls.show(&certificate);
            super::shown(&certificate, &telemetry, &clock);
        }))
    }
}
