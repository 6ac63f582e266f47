//! The feed: one stream that all open pages share.
//!
//! Once a second what changed is worked out and written *once*; each page's task hands the same bytes to its socket.
//! So two hundred pages cost two hundred writes and not two hundred comparisons. While nobody looks, nothing is
//! worked out at all. The last minute's frames are kept: a page that lost its connection names the last one that it
//! has (`Last-Event-ID`) and gets what it missed; if that is too long ago it is told to begin anew.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::wire::{self, FleetNow};
use crate::http::Front;
use crate::resolver::{Board, Roster, Row, Sum};

/// Between two frames.
const TICK: Duration = Duration::from_secs(1);
/// Frames kept for who comes back.
const KEPT: usize = 60;
/// Of frames kept, so many bytes at most.
const KEPT_BYTES: usize = 16 << 20;
/// Frames that a slow page may be behind before it is told to begin anew.
const BEHIND: usize = 16;
/// After so many ticks without a page the feed forgets what it told.
const IDLE_TICKS: u32 = 15;
/// Flows are told every so many ticks.
const FLOWS_EVERY: u64 = 5;
/// How much of a second goes into the rate of degraded answers.
const NEW_SHARE: f64 = 0.2;

/// A frame and its number.
type Frame = (u64, Bytes);

/// The stream that pages share.
pub(in crate::http) struct Feed(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// Tells two processes apart.
    boot: u64,
    number: u64,
    told: Option<Told>,
    kept: VecDeque<Frame>,
    kept_bytes: usize,
    /// `None`: the service is stopping.
    sender: Option<broadcast::Sender<Frame>>,
    idle: u32,
    degraded: Option<u64>,
    degraded_per_s: f64,
}

/// What pages have been told.
struct Told {
    roster: Arc<Roster>,
    /// Each row as it was last told; the rest as it is.
    board: Board,
    /// Of all rows as they are.
    sum: Sum,
    events: u64,
}

/// What a page gets that begins to listen.
pub(in crate::http) struct Listening {
    /// What it missed.
    pub(in crate::http) missed: VecDeque<Bytes>,
    /// What comes.
    pub(in crate::http) coming: broadcast::Receiver<Frame>,
}

/// Runs the feed until `cancel`, then ends all streams.
pub(in crate::http) async fn run(front: Arc<Front>, cancel: CancellationToken) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let front = Arc::clone(&front);
        // A fleet of thousands takes some milliseconds: not on a thread that scrapes are timed on.
        if tokio::task::spawn_blocking(move || front.feed.tick(&front)).await.is_err() {
            tracing::error!("the feed of the pages panicked");
        }
    }
    front.feed.lock().sender = None;
}

// === impl Feed ===

impl Feed {
    /// A feed that has told nothing. `boot` tells this process from others.
    pub(in crate::http) fn new(boot: u64) -> Self {
        let sender = Some(broadcast::Sender::new(BEHIND));
        Self(Mutex::new(Inner { boot, sender, ..Inner::default() }))
    }

    /// Degraded answers a second lately.
    pub(in crate::http) fn degraded_per_s(&self) -> f64 {
        self.lock().degraded_per_s
    }

    /// Everything that a page needs to begin with, as JSON; the stream goes on where it ends.
    pub(in crate::http) fn whole(&self, front: &Front) -> String {
        let (roster, board) = (front.resolver.roster(), front.resolver.board());
        let (_, events) = front.resolver.timeline().changed_since(u64::MAX);
        let sum = Sum::of(&board);
        let mut inner = self.lock();
        inner.idle = 0;
        let fleet = inner.fleet_now(&board, &sum);
        let flows = wire::flows(&front.resolver.flows());
        let body = wire::whole(&roster, &board);
        let (boot, number) = (inner.boot, inner.number);
        let is_new = inner.told.as_ref().is_none_or(|told| told.board.generation != board.generation);
        if is_new && roster.nodes.len() == board.rows.len() {
            inner.told = Some(Told { roster: Arc::new(roster), board, sum, events });
        }
        format!("{{\"id\":\"{boot}-{number}\",{body},\"fleet\":{fleet},\"flows\":{flows}}}")
    }

    /// Begins to listen after the frame that `last` names; `None`: the service is stopping.
    pub(in crate::http) fn listen(&self, last: Option<&str>) -> Option<Listening> {
        let mut inner = self.lock();
        inner.idle = 0;
        let coming = inner.sender.as_ref()?.subscribe();
        let after = last.and_then(|last| {
            let (boot, number) = last.split_once('-')?;
            (boot.parse() == Ok(inner.boot)).then(|| number.parse::<u64>().ok()).flatten()
        });
        let oldest = inner.kept.front().map_or(inner.number + 1, |(number, _)| *number);
        let missed = match after {
            Some(after) if after + 1 >= oldest && after <= inner.number => inner
                .kept
                .iter()
                .filter(|(number, _)| *number > after)
                .map(|(_, frame)| frame.clone())
                .collect(),
            _ => VecDeque::from([reset()]),
        };
        Some(Listening { missed, coming })
    }

    /// Works out what changed, and tells it.
    fn tick(&self, front: &Front) {
        let degraded = front.telemetry.answers.degraded().iter().map(|(_, count)| count).sum();
        let mut inner = self.lock();
        inner.note_degraded(degraded);
        let pages = inner.sender.as_ref().map_or(0, broadcast::Sender::receiver_count);
        inner.idle = if pages > 0 { 0 } else { inner.idle.saturating_add(1) };
        if inner.idle > IDLE_TICKS {
            inner.forget();
            return;
        }
        let board = front.resolver.board();
        let mut text = String::new();
        match inner.told.take() {
            Some(told) if told.board.generation == board.generation => {
                let told = tell(&mut text, front, told, board);
                inner.told = Some(told);
            }
            before => {
                let roster = Arc::new(front.resolver.roster());
                let (_, events) = front.resolver.timeline().changed_since(u64::MAX);
                // A reload between the two looks: the next tick sees both anew.
                inner.told = (roster.generation == board.generation).then(|| Told {
                    roster,
                    sum: Sum::of(&board),
                    board,
                    events,
                });
                if before.is_some() {
                    wire::message(&mut text, "reset", "{}");
                }
            }
        }
        inner.number += 1;
        if inner.number.is_multiple_of(FLOWS_EVERY) {
            wire::message(&mut text, "flows", &wire::flows(&front.resolver.flows()));
        }
        inner.end(text);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what changed since `told`; returns what is told now.
fn tell(text: &mut String, front: &Front, mut told: Told, board: Board) -> Told {
    let changed = |(_, (now, then)): &(usize, (&Row, &Row))| now.differs(then);
    let changes: Vec<usize> =
        board.rows.iter().zip(&told.board.rows).enumerate().filter(changed).map(|(n, _)| n).collect();
    if !changes.is_empty() {
        let mut rows = String::with_capacity(96 * changes.len() + 16);
        wire::rows(&mut rows, changes.iter().map(|n| (*n, &board.rows[*n])));
        wire::message(text, "rows", &rows);
    }
    told.sum = Sum::of(&board);
    let (events, version) = front.resolver.timeline().changed_since(told.events);
    if !events.is_empty() {
        wire::message(text, "happened", &serde_json::to_string(&events).unwrap_or_default());
    }
    // Only what was told counts as known: a row that creeps is told once it has crept far enough.
    let Board { rows, at_unix_ms, kappa, replicas, stale_fleet, generation } = board;
    let mut fresh = rows;
    let mut kept = std::mem::take(&mut told.board.rows);
    for n in changes {
        std::mem::swap(&mut kept[n], &mut fresh[n]);
    }
    told.board = Board { rows: kept, at_unix_ms, kappa, replicas, stale_fleet, generation };
    told.events = version;
    told
}

/// Tells a page to begin anew.
fn reset() -> Bytes {
    Bytes::from_static(b"event: reset\ndata: {}\n\n")
}

// === impl Inner ===

impl Inner {
    fn note_degraded(&mut self, degraded: u64) {
        let before = self.degraded.replace(degraded).unwrap_or(degraded);
        #[expect(clippy::cast_precision_loss, reason = "answers of a second")]
        let now = degraded.saturating_sub(before) as f64;
        self.degraded_per_s += NEW_SHARE * (now - self.degraded_per_s);
        if self.degraded_per_s < 0.005 {
            self.degraded_per_s = 0.0;
        }
    }

    /// Nobody looks any more. Who comes back with the number of the last frame has missed what was never told, so
    /// that number must not count as the last one.
    fn forget(&mut self) {
        if self.told.take().is_some() {
            self.number += 1;
        }
        self.kept.clear();
        self.kept_bytes = 0;
    }

    fn fleet_now(&self, board: &Board, sum: &Sum) -> String {
        let fleet = FleetNow {
            at_unix_ms: board.at_unix_ms,
            sum,
            degraded_per_s: self.degraded_per_s,
            kappa: board.kappa,
            replicas: board.replicas,
            stale_fleet: board.stale_fleet,
        };
        serde_json::to_string(&fleet).unwrap_or_default()
    }

    /// Ends a frame, keeps it and sends it.
    fn end(&mut self, mut text: String) {
        if let Some(told) = &self.told {
            debug_assert_eq!(told.roster.nodes.len(), told.board.rows.len());
            let fleet = self.fleet_now(&told.board, &told.sum);
            text.push_str(&format!("id: {}-{}\n", self.boot, self.number));
            wire::message(&mut text, "fleet", &fleet);
        }
        let frame = (self.number, Bytes::from(text));
        self.kept_bytes += frame.1.len();
        self.kept.push_back(frame.clone());
        while self.kept.len() > KEPT || self.kept_bytes > KEPT_BYTES {
            let Some((_, oldest)) = self.kept.pop_front() else { break };
            self.kept_bytes -= oldest.len();
        }
        if let Some(sender) = &self.sender {
            // Nobody listens: so be it.
            let _ = sender.send(frame);
        }
    }
}
