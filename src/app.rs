//! Wiring only: build the parts, start the tasks, stop them in order.
//!
//! Nothing is decided here. If a line of this file could be tested without starting a service, it belongs in
//! another room.

mod desk;
mod fleet;
mod memory;
mod plan;
mod reload;
mod supervisor;
mod watch;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::fleet::Fleet;
use self::memory::Keeper;
use self::reload::Reloader;
pub use self::supervisor::{Predecessor, raise_descriptors};
use crate::clock::Clock;
use crate::config::Config;
use crate::discovery;
use crate::dns;
use crate::geo::Locator;
use crate::http::tls::{Certificate, Tls};
use crate::http::{self, Front};
use crate::rebalance::Rebalance;
use crate::resolver::{Explanation, Family, Question, Resolver, Want, Why};
use crate::scrape::{Control, Scraper};
use crate::sockets::Sockets;
use crate::state::eviction::Hands;
use crate::state::timeline::What;
use crate::state::{Live, Observer, State};
use crate::streams::Lists;
use crate::telemetry::{CountedObserver, Page, Telemetry};

/// How often the configuration, keys and databases are looked at for a change. A handful of `stat` calls, and they
/// work on every file system, where change notices do not (network mounts, container volumes swapped by symlink).
const FILE_CHECK: Duration = Duration::from_secs(2);
/// How often nodes are looked at for evidence that has aged.
const SWEEP: Duration = Duration::from_secs(1);
/// How long requests under way may take when the service stops.
const DRAIN: Duration = Duration::from_secs(5);

/// A running service.
pub struct Running {
    /// Where players ask.
    pub player_addr: SocketAddr,
    /// Where players ask by HTTPS; `None`: nowhere.
    pub secure_addr: Option<SocketAddr>,
    /// Where operators look.
    pub admin_addr: SocketAddr,
    resolver: Arc<Resolver>,
    front: Arc<Front>,
    cancel: CancellationToken,
    tasks: TaskTracker,
    workers: http::serve::Workers,
    dns: Option<dns::Server>,
    keeper: Option<Arc<Keeper>>,
}

/// The parts that answer questions, without a front.
struct Core {
    clock: Clock,
    state: Arc<State>,
    locator: Arc<Locator>,
    resolver: Arc<Resolver>,
    telemetry: Arc<Telemetry>,
    scraper: Arc<Scraper>,
    fleet: Arc<Fleet>,
    rebalance: Arc<Rebalance>,
    /// What outlives a restart; `None`: nothing is to.
    keeper: Option<Arc<Keeper>>,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

/// Opens the databases of a configuration.
///
/// # Errors
/// Names the file that cannot be used.
pub fn open_locator(config: &Config) -> anyhow::Result<Locator> {
    let pops: HashMap<_, _> = plan::pop_locations(&config.nodes);
    Ok(Locator::open(&config.geoip, &pops)?)
}

/// Reads the files that exporters are to be shown the content of.
///
/// # Errors
/// All of them that cannot be used.
pub fn check_credentials(config: &Config) -> Result<(), crate::scrape::BadFiles> {
    plan::how(config).map(|_| ())
}

/// Reads the keys that zones are to be signed with.
///
/// # Errors
/// All of them that cannot be used.
pub fn check_zone_keys(config: &Config) -> anyhow::Result<()> {
    plan::zone_keys(config).map(|_| ())
}

/// Starts the service on these sockets. `file` is where the configuration comes from and will be read again; `None`:
/// never.
///
/// # Errors
/// A database, certificate or key that cannot be used, or an address that cannot be bound.
pub async fn start(config: Config, file: Option<&Path>, sockets: &Sockets) -> anyhow::Result<Running> {
    let core = Core::start(&config)?;
    let server = &config.server;
    let front = Front::new(Arc::clone(&core.resolver), Arc::clone(&core.telemetry), server, config.limits);
    let front = Arc::new(front);
    // Whoever only looks, as `nearcast explain` does, sends nobody away.
    core.spawn(Arc::clone(&core.rebalance).run());
    front.guard_ops(plan::ops_token(&config)?);
    front.sign_by(plan::signers(&config)?);
    front.redirect_by(&config.domains);
    front.understand(config.dialects);
    front.answer_callers(plan::callers(&config)?);
    let tls = plan::certificate(&config)?.map(|certificate| tls(&certificate, &core)).transpose()?;
    let names = plan::dns_front(&config, &core)?;
    if let Some(names) = names.clone() {
        front.answer_names_by(Box::new(move |query, client, out| names.answer_http(query, client, out)));
    }
    if let Some(file) = file {
        let reloader = Reloader::new(file, &config, &core, &front, (tls.as_ref(), names.as_ref()))?;
        core.reload_on_demand(Arc::new(reloader), &front)?;
    }
    let ops = http::serve::bind_ops(server, sockets)
        .with_context(|| format!("cannot listen on admin_listen {}", server.admin_listen))?;
    let admin_addr = ops.local_addr().context("no local address")?;
    let ops_tls = tls.clone().filter(|_| server.tls.as_ref().is_some_and(|tls| tls.admin));
    core.tasks.spawn(http::serve::ops(ops, ops_tls, Arc::clone(&front), core.cancel.clone()));
    core.tasks.spawn(http::feed(Arc::clone(&front), core.cancel.clone()));
    let workers = http::serve::workers(server, tls.as_ref(), sockets, &front, &core.cancel)
        .context("cannot listen for players")?;
    let dns = names.zip(config.dns.as_ref()).map(|(front, dns)| {
        let secure = dns.tls_listen.zip(tls.as_ref()).map(|(address, tls)| (address, tls.speaking(b"dot")));
        let listen = dns::Listen { plain: dns.listen, secure };
        dns::serve(listen, sockets, &front, &core.tasks, &core.cancel).context("dns")
    });
    let dns = dns.transpose()?;
    let (player_addr, secure_addr) = (workers.address(), workers.secure_address());
    say_where(sockets, admin_addr, &workers, dns.as_ref());
    if !config.scheduler.booking {
        tracing::warn!("scheduler.booking is off: between two scrapes everybody is sent to the same node");
    }
    Ok(Running {
        player_addr,
        secure_addr,
        admin_addr,
        resolver: core.resolver,
        front,
        cancel: core.cancel,
        tasks: core.tasks,
        workers,
        dns,
        keeper: core.keeper,
    })
}

/// Tells where all of it listens, and which sockets were handed over in vain.
fn say_where(
    sockets: &Sockets,
    admin: SocketAddr,
    workers: &http::serve::Workers,
    dns: Option<&dns::Server>,
) {
    let player = workers.address();
    match workers.secure_address() {
        None => tracing::info!(%player, %admin, "listening"),
        Some(tls) => tracing::info!(%player, %admin, %tls, "listening"),
    }
    match dns.map(|dns| (dns.address(), dns.secure_address())) {
        None => {}
        Some((dns, None)) => tracing::info!(%dns, "listening"),
        Some((dns, Some(dns_tls))) => tracing::info!(%dns, %dns_tls, "listening"),
    }
    let mut ours = vec![player, admin];
    ours.extend(workers.secure_address());
    ours.extend(dns.map(dns::Server::address));
    ours.extend(dns.and_then(dns::Server::secure_address));
    for address in sockets.strangers(&ours) {
        tracing::warn!(%address, "a socket was handed over that nothing is configured to listen on");
    }
}

fn tls(certificate: &Certificate, core: &Core) -> anyhow::Result<Tls> {
    let tls = Tls::new(certificate).context("cannot begin to speak TLS")?;
    shown(certificate, &core.telemetry, &core.clock);
    Ok(tls)
}

/// A certificate is in service: how long, and whether that is over already.
fn shown(certificate: &Certificate, telemetry: &Telemetry, clock: &Clock) {
    telemetry.certificate(Some(certificate.not_after()));
    if certificate.not_after() < clock.unix_ms() / 1000 {
        tracing::warn!("the certificate of server.tls has expired: players that check it will not come");
    }
}

/// Serves a configuration until a signal to stop; then is unready for `server.drain_delay`, so that load balancers
/// look elsewhere, and ends. A second signal cuts that short. What supervisors hear of it is said in `app/supervisor`.
///
/// # Errors
/// As [`start`].
pub async fn serve(
    config: Config,
    file: &Path,
    sockets: &Sockets,
    before: Option<Predecessor>,
) -> anyhow::Result<()> {
    let drain_delay = Duration::from_millis(config.server.drain_delay_ms);
    let patience = Duration::from_millis(config.scrape.interval_ms * 2 + config.scrape.timeout_ms);
    let mut stop = StopSignals::new()?;
    let running = start(config, Some(file), sockets).await?;
    let watchdog = tokio::spawn(supervisor::watchdog());
    tokio::select! {
        () = stop.next() => {}
        is_ready = running.wait_ready(patience) => {
            if !is_ready {
                tracing::warn!("not ready within {} s; serving by what is known", patience.as_secs());
            }
            supervisor::ready();
            if let Some(before) = before {
                before.relieve();
            }
            stop.next().await;
        }
    }
    supervisor::stopping();
    running.front.stop_being_ready();
    if !drain_delay.is_zero() {
        tracing::info!("stopping: unready for {} s first", drain_delay.as_secs_f32());
        tokio::select! {
            () = stop.next() => {}
            () = tokio::time::sleep(drain_delay) => {}
        }
    }
    running.shutdown().await;
    watchdog.abort();
    Ok(())
}

/// Scrapes a fleet until enough is known of it and explains one answer. For the command line.
///
/// # Errors
/// A database that cannot be used, or a question without an answer.
pub async fn explain_once(
    config: Config,
    domain: String,
    client: IpAddr,
    stream: Option<String>,
) -> anyhow::Result<Explanation> {
    let patience = Duration::from_millis(config.scrape.interval_ms * 2 + config.scrape.timeout_ms);
    let core = Core::start(&config)?;
    wait_ready(&core.resolver, patience).await;
    let question = Question {
        domain: &domain,
        client,
        stream: stream.as_deref(),
        bitrate_kbps: None,
        failed: &[],
        why: Why::Connect,
        current: None,
        count: crate::resolver::MOST_PICKS,
        family: Family::Both,
        want: Want::default(),
    };
    let explanation = core.resolver.explain(&question).with_context(|| format!("no answer for {domain}"));
    core.cancel.cancel();
    explanation
}

/// The signals to stop: Ctrl-C, or SIGTERM from a supervisor.
pub struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// From now on they no longer end the process by themselves.
    ///
    /// # Errors
    /// A signal handler cannot be installed.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

async fn wait_ready(resolver: &Resolver, patience: Duration) -> bool {
    let ready = async {
        while !resolver.readiness().ready {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(patience, ready).await.is_ok()
}

// === impl Core ===

impl Core {
    fn start(config: &Config) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let locator = Arc::new(open_locator(config)?);
        let nodes = plan::locate(config.nodes.clone(), |ip| locator.locate(ip), |_| true);
        let fleet = plan::fleet(nodes.clone(), config)?;
        let live = Live::new(fleet, plan::plan(config), clock.now());
        let (state, suspicions) = State::new(live, clock.clone());
        let open = |path: &PathBuf| Arc::new(Keeper::open(path.clone(), Arc::clone(&state)));
        let keeper = config.scheduler.state_file.as_ref().map(open);
        let resolver = Arc::new(Resolver::new(Arc::clone(&state), Arc::clone(&locator), clock.unix_ms()));
        resolver.take_reports(plan::token_key(config)?);
        let telemetry = Arc::new(Telemetry::new());
        telemetry.configured(clock.unix_ms());
        telemetry.answers.set_domains(config.domains.iter().map(|domain| &*domain.name));
        let cancel = CancellationToken::new();
        let observer = Arc::clone(&state) as Arc<dyn Observer>;
        let observer = Arc::new(CountedObserver::new(Arc::clone(&telemetry), Page::Exporter, observer));
        let how = plan::how(config)?;
        let (pages, list_how) = plan::lists(&nodes, config, &how);
        let scraper = Scraper::start(&nodes, how.clone(), clock.clone(), observer, cancel.clone());
        let scraper = Arc::new(scraper);
        let control = Arc::new(Control::new(how.clone()));
        let hands = Arc::clone(&control) as Arc<dyn Hands>;
        let rebalance = Rebalance::new(Arc::clone(&state), hands, Arc::clone(&telemetry));
        let rebalance = Arc::new(rebalance);
        let lists = Arc::new(Lists::new(Arc::clone(&state)));
        let lists = Arc::new(CountedObserver::new(Arc::clone(&telemetry), Page::List, lists));
        let lists = Scraper::start(&pages, list_how, clock.clone(), lists, cancel.clone());
        let of = fleet::Parts {
            lists: Arc::new(lists),
            control,
            rebalance: Arc::clone(&rebalance),
            locator: Arc::clone(&locator),
            state: Arc::clone(&state),
            scraper: Arc::clone(&scraper),
            telemetry: Arc::clone(&telemetry),
        };
        let fleet = Arc::new(Fleet::new(config, how, of));
        let core = Self {
            clock,
            state,
            locator,
            resolver,
            telemetry,
            scraper,
            fleet,
            rebalance,
            keeper,
            cancel,
            tasks: TaskTracker::new(),
        };
        core.state.note(What::Started { nodes: nodes.len() });
        core.feed(suspicions);
        Ok(core)
    }

    /// Starts everything that tells the core what is true, beside the scraper.
    fn feed(&self, mut suspicions: tokio::sync::mpsc::Receiver<Box<str>>) {
        self.spawn(self.clock.clone().run_ticker());
        let scraper = Arc::clone(&self.scraper);
        self.spawn(async move {
            while let Some(node) = suspicions.recv().await {
                scraper.rescrape(&node);
            }
        });
        let fleet = Arc::clone(&self.fleet);
        self.spawn(discovery::run(Arc::clone(&self.state), Arc::new(move || fleet.follow_registry())));
        let (state, telemetry) = (Arc::clone(&self.state), Arc::clone(&self.telemetry));
        let mut degraded = HashMap::new();
        self.spawn(every(SWEEP, move || {
            state.sweep();
            note_degraded(&state, &telemetry, &mut degraded);
        }));
        if let Some(keeper) = &self.keeper {
            let keeper = Arc::clone(keeper);
            self.spawn(every(memory::WRITE_EVERY, move || {
                let keeper = Arc::clone(&keeper);
                tokio::task::spawn_blocking(move || keeper.keep());
            }));
        }
        let locator = Arc::clone(&self.locator);
        self.spawn(every(FILE_CHECK, move || {
            // Reading tens of megabytes would hold up this runtime's other tasks.
            let locator = Arc::clone(&locator);
            tokio::task::spawn_blocking(move || report_reload(&locator));
        }));
    }

    /// Reloads on SIGHUP, on `POST /-/reload` and when a file has changed.
    fn reload_on_demand(&self, reloader: Arc<Reloader>, front: &Front) -> anyhow::Result<()> {
        let by_operators = Arc::clone(&reloader);
        front.reload_by(Arc::new(move || {
            let reloader = Arc::clone(&by_operators);
            Box::pin(async move { reloader.reload("POST /-/reload").await })
        }));
        let mut hangups = signal(SignalKind::hangup())?;
        let by_signal = Arc::clone(&reloader);
        self.spawn(async move {
            while hangups.recv().await.is_some() {
                // What is wrong has been said and counted there.
                let _ = by_signal.reload("SIGHUP").await;
            }
        });
        self.spawn(watch::reload_changed(reloader, FILE_CHECK));
        Ok(())
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let cancel = self.cancel.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = task => {}
            }
        });
    }
}

async fn every(period: Duration, mut work: impl FnMut()) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        work();
    }
}

/// Tells the timeline which domains had degraded answers since the last call.
fn note_degraded(state: &State, telemetry: &Telemetry, before: &mut HashMap<Box<str>, u64>) {
    for (domain, count) in telemetry.answers.degraded() {
        let known = before.insert(domain.clone(), count).unwrap_or_default();
        if count > known {
            state.note_degraded(&domain, count - known);
        }
    }
}

fn report_reload(locator: &Locator) {
    for reloaded in locator.reload() {
        match &reloaded.outcome {
            Ok(_) => tracing::info!(path = %reloaded.path.display(), "GeoIP database reloaded"),
            Err(error) => {
                tracing::error!(path = %reloaded.path.display(), %error, "GeoIP database kept as it was");
            }
        }
    }
}

// === impl Running ===

impl Running {
    /// Waits until enough is known to answer by load; `false`: patience ran out first.
    pub async fn wait_ready(&self, patience: Duration) -> bool {
        wait_ready(&self.resolver, patience).await
    }

    /// The door, for callers in the same process.
    #[must_use]
    pub fn resolver(&self) -> &Arc<Resolver> {
        &self.resolver
    }

    /// Stops accepting, lets requests under way end, stops the feeders.
    pub async fn shutdown(self) {
        self.cancel.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("requests were still under way when the service stopped");
        }
        let workers = self.workers;
        let dns = self.dns;
        let joined = tokio::task::spawn_blocking(move || {
            workers.join();
            if let Some(dns) = dns {
                dns.join();
            }
        });
        if tokio::time::timeout(DRAIN, joined).await.is_err() {
            tracing::warn!("player requests were still under way when the service stopped");
        }
        if let Some(keeper) = self.keeper {
            // Nothing moves any more: what is written now is what the next process begins with.
            keeper.keep();
        }
        tracing::info!("stopped");
    }
}
