//! `nearcast demo`: the two-minute tour.
//!
//! Nothing of the service is pretended here. The demo emulates what the service lives among — edges with real
//! exporter pages on loopback, and viewers who ask, connect, watch and leave — and starts the service as `serve`
//! would, from a configuration text. Viewers go where they are told, the edges' counters move with them, the
//! service scrapes the counters: the loop is closed.
//!
//! `edge` and `viewers` are pure; `exporter` and `crowd` let them live in real time.

mod banner;
mod cities;
mod crowd;
mod edge;
mod exporter;
mod fleet;
mod page;
mod random;
mod viewers;

use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;

use self::banner::Status;
use self::crowd::{Crowd, Tally};
use self::exporter::LiveEdge;
use self::fleet::EdgeAddress;
use self::viewers::Audience;
use crate::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::sockets::Sockets;

/// Most edges a demo may have.
pub const MOST_EDGES: usize = 500;

/// How long the visitor waits for the first two rounds of scrapes before the tour begins anyway.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// Between two lines of life on a terminal.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// What a visitor may choose.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Emulated edges, 1 to [`MOST_EDGES`].
    pub edges: usize,
    /// Where players ask. Operators' pages are on loopback, one port above.
    pub listen: SocketAddr,
    /// The same seed gives the same fleet and the same viewers.
    pub seed: u64,
}

/// The emulated fleet and the tasks that serve its pages.
struct Fleet {
    live: Arc<[Arc<LiveEdge>]>,
    addresses: Vec<EdgeAddress>,
    tasks: JoinSet<anyhow::Result<()>>,
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self { edges: 24, listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)), seed: 1 }
    }
}

impl Options {
    /// Where operators look. A listener on "any free port" gets another free port.
    fn admin(&self) -> anyhow::Result<SocketAddr> {
        let port = match self.listen.port() {
            0 => 0,
            port => {
                port.checked_add(1).context("--listen: port 65535 leaves none above it for the operators")?
            }
        };
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }
}

/// Runs the demo until Ctrl-C or SIGTERM.
///
/// # Errors
/// A listener is taken (named, with the option that changes it), or a part of the service failed to start.
pub async fn run(options: Options) -> anyhow::Result<()> {
    anyhow::ensure!(
        (1..=MOST_EDGES).contains(&options.edges),
        "--edges {}: a demo has 1 to {MOST_EDGES} edges",
        options.edges
    );
    let admin = options.admin()?;
    ensure_free(options.listen, "players")?;
    ensure_free(admin, "operators, one port above --listen")?;

    let clock = Clock::system();
    let mut fleet = emulate(&options, &clock).await?;
    let now_ms = clock.now().0;
    let plan: Vec<_> = fleet.addresses.iter().map(|edge| edge.planned.clone()).collect();
    let audience = Audience::new(&plan, options.seed, now_ms);
    let asks_per_s = audience.per_s();
    let tally = Arc::new(Tally::default());
    let crowd = Crowd::new(Arc::clone(&fleet.live), audience, Arc::clone(&tally), now_ms);

    let text = fleet::config_text(&fleet.addresses, options.listen, admin);
    let config = Config::parse(&text, "demo.toml").context("the demo's own configuration is refused")?;
    let running = app::start(config, None, &Sockets::default()).await.context("the service did not start")?;
    running.wait_ready(READY_WITHIN).await;

    fleet.tasks.spawn(crowd.run(banner::reachable(running.player_addr), clock));
    say(&banner::welcome(&fleet.addresses, running.player_addr, running.admin_addr, asks_per_s))?;
    let outcome = tokio::select! {
        signal = told_to_stop() => signal.context("cannot listen for signals"),
        never = live_on(&fleet.live, &tally) => never,
        Some(ended) = fleet.tasks.join_next() => ended.context("a part of the demo broke").flatten(),
    };
    fleet.tasks.shutdown().await;
    running.shutdown().await;
    outcome
}

/// Plans the edges and puts their pages on loopback.
async fn emulate(options: &Options, clock: &Clock) -> anyhow::Result<Fleet> {
    let mut live = Vec::with_capacity(options.edges);
    let mut addresses = Vec::with_capacity(options.edges);
    let mut tasks = JoinSet::new();
    for (planned, number) in fleet::plan(options.edges, options.seed).into_iter().zip(1_u64..) {
        let edge = Arc::new(LiveEdge::new(
            planned.clone(),
            random::mix(options.seed ^ (number << 32)),
            clock.clone(),
        ));
        let (exporter, serving) = exporter::serve(Arc::clone(&edge))
            .await
            .with_context(|| format!("no loopback port for {}", planned.id))?;
        tasks.spawn(async move { Ok(serving.await?) });
        addresses.push(EdgeAddress { planned, exporter });
        live.push(edge);
    }
    Ok(Fleet { live: live.into(), addresses, tasks })
}

/// Finds out early, and says so in words, that somebody else has the port.
///
/// The service's own listener may share its port between threads, and then a second service on the same port
/// would not be noticed at all. This one does not share.
fn ensure_free(address: SocketAddr, whose: &str) -> anyhow::Result<()> {
    std::net::TcpListener::bind(address).map(drop).with_context(|| {
        format!("cannot listen on {address} (for {whose}); choose another with --listen ADDR:PORT")
    })
}

/// Says how the fleet fares, for ever, if anybody is looking.
async fn live_on(edges: &[Arc<LiveEdge>], tally: &Tally) -> anyhow::Result<()> {
    if !std::io::stdout().is_terminal() {
        return std::future::pending().await;
    }
    let mut before = Status::default();
    loop {
        tokio::time::sleep(STATUS_EVERY).await;
        let now = fares(edges, tally);
        let since = Status {
            answered: now.answered - before.answered,
            spilled: now.spilled - before.spilled,
            failed: now.failed - before.failed,
            ..now
        };
        say(&banner::status(&since))?;
        before = now;
    }
}

/// The fleet now, and all answers so far.
#[expect(clippy::cast_precision_loss, reason = "some Gbit/s in kbit/s, and at most 500 edges")]
fn fares(edges: &[Arc<LiveEdge>], tally: &Tally) -> Status {
    let mut status = Status {
        edges: edges.len(),
        answered: tally.answered.load(Ordering::Relaxed),
        spilled: tally.spilled.load(Ordering::Relaxed),
        failed: tally.failed.load(Ordering::Relaxed),
        over_s: STATUS_EVERY.as_secs(),
        flash: tally.flash(),
        ..Status::default()
    };
    for edge in edges {
        let (viewers, kbps, pressure) =
            edge.now(|model, _| (model.viewers(), model.egress_kbps(), model.pressure()));
        status.viewers += u64::from(viewers);
        status.egress_mbps += kbps as f64 / 1_000.0;
        status.pressure += pressure / edges.len() as f64;
        status.overloaded += usize::from(pressure >= 1.0);
    }
    status
}

/// To the terminal, or wherever standard output goes.
fn say(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{text}").context("cannot write to standard output")
}

/// Ctrl-C, or what service managers and containers send.
async fn told_to_stop() -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupt = tokio::signal::ctrl_c() => interrupt?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_one_port_above_players() {
        let at = |listen: &str| Options { listen: listen.parse().unwrap(), ..Options::default() }.admin();
        assert_eq!(at("0.0.0.0:9000").unwrap(), "127.0.0.1:9001".parse().unwrap());
        assert_eq!(at("127.0.0.1:0").unwrap().port(), 0);
        assert!(at("127.0.0.1:65535").unwrap_err().to_string().contains("--listen"));
    }

    #[test]
    fn a_taken_port_is_named_with_the_option_that_changes_it() {
        let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = taken.local_addr().unwrap();
        let error = format!("{:#}", ensure_free(address, "players").unwrap_err());
        assert!(error.contains(&address.to_string()) && error.contains("--listen"), "{error}");
    }

    #[tokio::test]
    async fn the_number_of_edges_is_checked_first() {
        for edges in [0, MOST_EDGES + 1] {
            let error = run(Options { edges, ..Options::default() }).await.unwrap_err();
            assert!(error.to_string().contains("--edges"), "{error}");
        }
    }

    #[tokio::test]
    async fn every_edge_gets_pages_of_its_own() {
        let fleet = emulate(&Options::default(), &Clock::system()).await.unwrap();
        let ports: std::collections::HashSet<_> =
            fleet.addresses.iter().map(|edge| edge.exporter.port()).collect();
        assert_eq!(ports.len(), 24);
        assert_eq!(fares(&fleet.live, &Tally::default()).edges, 24);
    }
}
