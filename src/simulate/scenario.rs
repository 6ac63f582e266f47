//! What a scenario is: data. [`super::catalogue`] has them all; nothing there is code.

/// One world, one demand, one set of misfortunes.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Unique name, as given on the command line.
    pub name: &'static str,
    /// What it is about, one sentence.
    pub says: &'static str,
    /// Edges in the fleet.
    pub edges: usize,
    /// Replicas of the scheduler; they share nothing.
    pub replicas: usize,
    /// Share of the questions that all go to replica 0; 0: spread evenly.
    pub skew: f64,
    /// Scrape interval, s.
    pub interval_s: f64,
    /// How long a page takes.
    pub latency: Latency,
    /// Traffic of the viewers at the start, share of the fleet's egress.
    pub util: f64,
    /// Length of the run, s.
    pub duration_s: f64,
    /// Not counted at its beginning, s.
    pub warmup_s: f64,
    /// Arrivals follow the hours: · (1 − .45 cos 2πt/24 h), trough at the start.
    pub day: bool,
    /// Rushes to one stream.
    pub flashes: &'static [Flash],
    /// Flash viewers stay for the show instead of holding like everybody.
    pub stays: bool,
    /// Players and stream tables tell the bitrate.
    pub bitrate_known: bool,
    /// How often a viewer who could not connect asks again.
    pub retries: u8,
    /// Players that ask again although they are well.
    pub polls: Option<Polls>,
    /// Viewers who ask by DNS; `None`: all of them ask by HTTP.
    pub dns: Option<ByDns>,
    /// Share of edges whose exporter has no client counter.
    pub without_counter: f64,
    /// Share of viewers whom GeoIP places in another city.
    pub geo_error: f64,
    /// Share of arrivals that never ask: they go to the node nearest to them.
    pub past: f64,
    /// Exporter clocks are off by up to so much either way, s.
    pub clock_skew_s: f64,
    /// Edges whose configured capacity is too low: share of them, and configured over true.
    pub understated: Option<(f64, f64)>,
    /// PoPs whose edges share a narrow line.
    pub uplinks: Option<SharedUplinks>,
    /// What goes wrong, and when.
    pub faults: &'static [Fault],
    /// What the product must reach.
    pub reach: Reach,
    /// What the naive rule came to in the models behind the specification: node-minutes over 80 and 100 %.
    pub naive: Option<(f64, f64)>,
}

/// How long a page takes from the request to its last byte.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Latency {
    /// Filled when asked for, there so many seconds later.
    Fixed(f64),
    /// Anything between the two, s; filled at any moment in between.
    Jitter(f64, f64),
}

/// A rush to one stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flash {
    /// When it begins, s.
    pub at_s: f64,
    /// Who comes.
    pub viewers: u32,
    /// They arrive evenly over this time, s.
    pub over_s: f64,
    /// 80 % of them live here.
    pub region: &'static str,
    /// Bitrate of the stream, Mbit/s.
    pub mbps: f64,
}

/// Players that ask again although they are well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Polls {
    /// Share of viewers whose player does.
    pub share: f64,
    /// How often, s.
    pub every_s: f64,
    /// They say where they are (`current=`).
    pub with_current: bool,
}

/// Viewers who ask by DNS, through resolvers that keep answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ByDns {
    /// Share of the viewers.
    pub share: f64,
    /// Longest lifetime of an answer, s.
    pub ttl_s: u32,
    /// Resolvers keep an answer for at least so long, whatever it says, s.
    pub kept_s: f64,
}

/// PoPs whose edges share a narrow line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SharedUplinks {
    /// Share of the PoPs that have one.
    pub share: f64,
    /// What it carries, over the capacity of the PoP's edges.
    pub factor: f64,
    /// It is configured, so that the scheduler knows.
    pub told: bool,
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// When, s; 0: before the first viewer.
    pub at_s: f64,
    /// What.
    pub what: Trouble,
}

/// What can go wrong. Shares are of all edges, chosen by the seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    /// The largest PoP of a region dies and stays dead; its viewers are cut.
    LargestPopDies(&'static str),
    /// So many edges deliver only this share of what they should.
    Capacity(f64, f64),
    /// So many exporters answer no more.
    Silent(f64),
    /// So many exporters show the same page for ever.
    Frozen(f64),
    /// So many edges' counters begin anew.
    CountersReset(f64),
    /// So many edges go down and come back, so many seconds each.
    Flapping(f64, f64),
    /// A replica is restarted: bookings, samples and κ are lost.
    Restart(usize),
    /// A replica's scraper stops; it goes on answering.
    StopsScraping(usize),
    /// A flash's viewers leave: this share of them per second, for so many seconds.
    ShowEnds(usize, f64, f64),
}

/// What must be reached; `None`: not promised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reach {
    /// Node-minutes over 80 %.
    pub over_80: Option<f64>,
    /// Node-minutes over 85 %.
    pub over_85: Option<f64>,
    /// Node-minutes over 100 %.
    pub over_100: Option<f64>,
    /// Highest use of a node, 1 = full.
    pub peak: Option<f64>,
    /// Share of viewing time on nodes over 100 %, %.
    pub bad: Option<f64>,
    /// Mean distance, km.
    pub km: Option<f64>,
    /// Upstream pull over egress of placed viewers, %.
    pub back_to_source: Option<f64>,
    /// Viewers who had to ask again.
    pub churn: Option<f64>,
    /// The same less those whom a dying PoP cut.
    pub wasted: Option<f64>,
}

// === impl Scenario ===

impl Scenario {
    /// Replicas that its faults name, so that a smaller installation can still be put through them.
    #[must_use]
    pub fn least_replicas(&self) -> usize {
        let named = self.faults.iter().filter_map(|fault| match fault.what {
            Trouble::Restart(replica) | Trouble::StopsScraping(replica) => Some(replica + 1),
            _ => None,
        });
        named.max().unwrap_or(1)
    }
}

// === impl Reach ===

impl Reach {
    /// Nothing is promised.
    pub const NONE: Self = Self {
        over_80: None,
        over_85: None,
        over_100: None,
        peak: None,
        bad: None,
        km: None,
        back_to_source: None,
        churn: None,
        wasted: None,
    };

    /// Node-minutes over 80, 85 and 100 %.
    #[must_use]
    pub const fn minutes(over_80: f64, over_85: f64, over_100: f64) -> Self {
        Self { over_80: Some(over_80), over_85: Some(over_85), over_100: Some(over_100), ..Self::NONE }
    }
}
