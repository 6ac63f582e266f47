//! Small real fleets for the tests of the fronts.

use std::path::Path;
use std::sync::Arc;

use super::{Family, Question, Resolver, Want, Why};
use crate::config::{Config, GeoOverride, Geoip};
use crate::schedule::Moment;
use crate::schedule::isp;
use crate::schedule::reading::{
    HostReading, MediaReading, ProbeFailure, ProcessCpu, ProcessReading, Reading, Timing,
};
use crate::schedule::terms::TermSettings;
use crate::state::{Observer, State};

const UNMEASURED: &str = r#"
pools = [{ name = "edges" }]
domains = [{ name = "live.example.com", pool = "edges" }]
nodes = [
  { id = "sh-1", pool = "edges", pop = "shanghai", addresses = ["203.0.113.10", "2001:db8::10"], media = { rtmp = 1935, http = 8080 }, location = { latitude = 31.23, longitude = 121.47 }, bandwidth = "10Gbps" },
  { id = "sh-2", pool = "edges", pop = "shanghai", addresses = ["203.0.113.11"], location = { latitude = 31.23, longitude = 121.47 }, bandwidth = "10Gbps" },
  { id = "bj-1", pool = "edges", pop = "beijing", addresses = ["203.0.113.20", "2001:db8::20"], media = { rtmp = 1935, http = 8080 }, location = { latitude = 39.90, longitude = 116.41 }, bandwidth = "10Gbps" },
  { id = "gz-1", pool = "edges", pop = "guangzhou", addresses = ["203.0.113.30", "2001:db8::30"], location = { latitude = 23.13, longitude = 113.26 }, bandwidth = "10Gbps" },
]
"#;

const MEASURED: &str = r#"
pools = [{ name = "edges" }, { name = "full", on_overload = "refuse" }, { name = "spare", on_overload = "fallback", fallback = "edges" }]
domains = [
  { name = "live.example.com", pool = "edges" },
  { name = "hash.example.com", pool = "edges", policy = "hash" },
  { name = "full.example.com", pool = "full", policy = "least_load" },
  { name = "spare.example.com", pool = "spare", policy = "nearest" },
]
nodes = [
  { id = "sh-1", pool = "edges", pop = "shanghai", addresses = ["203.0.113.10", "2001:db8::10"], media = { rtmp = 1935, http = 8080 }, location = { latitude = 31.23, longitude = 121.47 }, bandwidth = "10Gbps", exporters = ["http://10.0.0.1:9100/metrics", "http://10.0.0.1:9972/metrics"] },
  { id = "sh-2", pool = "edges", pop = "shanghai", addresses = ["203.0.113.11"], location = { latitude = 31.23, longitude = 121.47 }, exporters = ["http://10.0.0.2:9972/metrics"] },
  { id = "bj-1", pool = "edges", pop = "beijing", addresses = ["203.0.113.20", "2001:db8::20"], media = { rtmp = 1935, http = 8080 }, location = { latitude = 39.90, longitude = 116.41 }, exporters = ["http://10.0.1.1:9100/metrics"] },
  { id = "gz-1", pool = "edges", pop = "guangzhou", addresses = ["203.0.113.30"], location = { latitude = 23.13, longitude = 113.26 }, exporters = ["http://10.0.2.1:9100/metrics", "http://10.0.2.1:9972/metrics"] },
  { id = "turn-1", pool = "edges", role = "turn", addresses = ["203.0.113.40"] },
  { id = "full-1", pool = "full", pop = "shanghai", addresses = ["203.0.113.50"], exporters = ["http://10.0.3.1:9972/metrics"] },
  { id = "spare-1", pool = "spare", role = "rtc", pop = "shanghai", addresses = ["203.0.113.60"], exporters = ["http://10.0.4.1:9972/metrics"] },
]

[[geoip.overrides]]
network = "198.51.100.0/24"
location = { latitude = 31.22, longitude = 121.46 }
isp = "example-telecom"

[[geoip.overrides]]
network = "192.0.2.0/24"
isp = "example-mobile"
"#;

const LAYERED: &str = r#"
streams = {}
pools = [{ name = "edges", upstream = "middle" }, { name = "middle" }, { name = "origins" }, { name = "portless" }]
domains = [
  { name = "live.example.com", pool = "edges", origins = "origins" },
  { name = "plain.example.com", pool = "edges", redirect_host = "{id}.edges.example.com", redirect_downgrade = true },
  { name = "portless.example.com", pool = "portless", origins = "origins" },
]
nodes = [
  { id = "sh-1", pool = "edges", pop = "shanghai", addresses = ["203.0.113.10", "2001:db8::10"], media = { rtmp = 1935, http = 8080, https = 8443 }, location = { latitude = 31.23, longitude = 121.47 } },
  { id = "sh-2", pool = "edges", pop = "shanghai", addresses = ["203.0.113.11"], media = { rtmp = 1936, http = 80 }, location = { latitude = 31.23, longitude = 121.47 } },
  { id = "sh-3", pool = "edges", pop = "shanghai", addresses = ["203.0.113.12"], location = { latitude = 31.23, longitude = 121.47 } },
  { id = "bj-1", pool = "edges", pop = "beijing", addresses = ["203.0.113.20", "2001:db8::20"], media = { http = 8080 }, location = { latitude = 39.90, longitude = 116.41 } },
  { id = "mid-1", pool = "middle", pop = "shanghai", addresses = ["203.0.113.41"], media = { http = 8080 } },
  { id = "mid-2", pool = "middle", pop = "shanghai", addresses = ["203.0.113.42"], media = { http = 8080 } },
  { id = "mid-3", pool = "middle", pop = "shanghai", addresses = ["203.0.113.43"], media = { http = 8080 } },
  { id = "or-1", pool = "origins", role = "origin", pop = "shanghai", addresses = ["203.0.113.51", "2001:db8::51"], media = { rtmp = 1935, http = 8080, api = 1985 } },
  { id = "or-2", pool = "origins", role = "origin", pop = "shanghai", addresses = ["203.0.113.52"], media = { rtmp = 19350, http = 8080, api = 1985 } },
  { id = "none-1", pool = "portless", addresses = ["203.0.113.60"] },
]

[[geoip.overrides]]
network = "198.51.100.0/24"
location = { latitude = 31.22, longitude = 121.46 }

[[geoip.overrides]]
network = "2001:db8:1::/48"
location = { latitude = 31.22, longitude = 121.46 }
"#;

/// Origins and edges behind them. `o-3` speaks no RTMP.
const ORIGINS: &str = r#"
pools = [{ name = "origins" }, { name = "edges" }]
domains = [{ name = "live.example.com", pool = "edges" }]
nodes = [
  { id = "o-1", pool = "origins", role = "origin", addresses = ["203.0.113.21"], media = { rtmp = 1935, api = 1985 }, exporters = ["http://10.1.0.1:9972/metrics"] },
  { id = "o-2", pool = "origins", role = "origin", addresses = ["203.0.113.22", "2001:db8::22"], media = { rtmp = 1936 }, exporters = ["http://10.1.0.2:9972/metrics"] },
  { id = "o-3", pool = "origins", role = "origin", addresses = ["203.0.113.23"], exporters = ["http://10.1.0.3:9972/metrics"] },
  { id = "e-1", pool = "edges", addresses = ["203.0.113.31"], exporters = ["http://10.2.0.1:9972/metrics"] },
  { id = "e-2", pool = "edges", addresses = ["203.0.113.32"], exporters = ["http://10.2.0.2:9972/metrics"] },
]
"#;

impl Resolver {
    /// `o-1`, `o-2` and `o-3` of the pool `origins`, `e-1` and `e-2` of `edges`; each media process uses so many cores,
    /// none: its exporter is refused.
    pub(crate) fn for_tests_with_origins(cores: [Option<f64>; 5]) -> Self {
        let (resolver, state) = Self::of_text(ORIGINS, &[]);
        for round in 0..3 {
            for ((node, cores), pid) in ["o-1", "o-2", "o-3", "e-1", "e-2"].iter().zip(cores).zip(900..) {
                let refused = ProbeFailure::Connect("connection refused".into());
                told(&state, round, node, 0, cores.map(|cores| srs(round, pid, cores)).ok_or(refused));
            }
        }
        resolver
    }

    /// `live.example.com` served by `sh-1`, `sh-2` (IPv4 only), `bj-1` and `gz-1`, none of which has an exporter.
    /// Each call gives the same turns and dice.
    pub(crate) fn for_tests() -> Self {
        Self::for_tests_with(true)
    }

    /// The same; `booking`: whether answers are booked.
    pub(super) fn for_tests_with(booking: bool) -> Self {
        let config = Config::parse(UNMEASURED, "fixture").unwrap();
        Self::over(config, TermSettings::default(), booking).0
    }

    /// The same with an uplink in `shanghai`, `sh-1` dearer by .5, `bj-1` on another line than all clients of
    /// 20.0.0.0/8 in Shanghai and `sh-1` on theirs.
    pub(crate) fn with_terms_for_tests() -> Self {
        let mut config = Config::parse(UNMEASURED, "fixture").unwrap();
        for node in &mut config.nodes {
            match &*node.id {
                "sh-1" => (node.price, node.isps) = (1.5, vec!["telecom".into()]),
                "bj-1" => node.isps = vec!["unicom".into()],
                _ => {}
            }
        }
        let known = GeoOverride {
            network: "20.0.0.0/8".parse().unwrap(),
            location: config.nodes[0].location,
            pop: None,
            isp: Some("Telecom".into()),
        };
        config.geoip = Geoip { overrides: vec![known], isps: isp::names(&config.nodes), ..Geoip::default() };
        let terms = TermSettings { price_km: 100.0, isp_km: 300.0, distance_budget_km: None };
        Self::over(config, terms, true).0
    }

    /// That of [`Resolver::for_tests`] in which the first node, its pool and its PoP have this name.
    pub(crate) fn for_tests_named(name: &str) -> Self {
        let mut config = Config::parse(UNMEASURED, "fixture").unwrap();
        let node = &mut config.nodes[0];
        (node.id, node.pop) = (name.into(), name.into());
        for node in &mut config.nodes {
            node.pool = name.into();
        }
        config.pools[0].name = name.into();
        config.domains[0].pool = name.into();
        Self::over(config, TermSettings::default(), true).0
    }

    /// Edges, a middle layer and origins, with media ports; clients of `198.51.100.0/24` and `2001:db8:1::/48` stand in
    /// Shanghai, where `sh-1` speaks HTTPS, `sh-2` HTTP only and `sh-3` neither.
    pub(crate) fn for_tests_layered() -> Self {
        Self::of_text(LAYERED, &[]).0
    }

    /// A configuration without a node.
    pub(crate) fn for_tests_empty() -> Self {
        let mut config = Config::parse(UNMEASURED, "fixture").unwrap();
        config.nodes.clear();
        Self::over(config, TermSettings::default(), true).0
    }

    /// That of [`Resolver::for_tests`], taking reports of measured times.
    pub(crate) fn for_tests_with_reports() -> Self {
        let resolver = Self::for_tests();
        resolver.take_reports(super::TokenKey::new(b"a secret of the tests"));
        resolver
    }

    /// A fleet with exporters of which no page has come yet.
    pub(crate) fn for_tests_starting() -> Self {
        Self::of_text(MEASURED, &[]).0
    }

    /// A fleet that has been scraped: `sh-1` healthy, `sh-2` overloaded by its process, `bj-1` down, `gz-1` with
    /// a page and a failure of every kind, `turn-1` unmeasured and nowhere, the pools `full` and `spare`
    /// overloaded. Databases with cities and autonomous systems; overrides.
    pub(crate) fn for_tests_measured() -> Self {
        let (resolver, state) = Self::of_text(MEASURED, &["city-nested.mmdb", "ipinfo-lite.mmdb", "builtin"]);
        for round in 0..3 {
            scrape(&state, round);
        }
        resolver
    }

    /// One more page of `sh-1` in its `round`th interval, all else as it was.
    pub(super) fn scrape_sh_1(&self, round: u32) {
        told(&self.state, round, "sh-1", 0, Ok(host(round)));
        told(&self.state, round, "sh-1", 1, Ok(srs(round, 811, 0.33)));
    }

    fn of_text(text: &str, databases: &[&str]) -> (Self, Arc<State>) {
        let mut config = Config::parse(text, "fixture").unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/geo");
        let database = |name: &&str| if *name == "builtin" { (*name).into() } else { folder.join(name) };
        config.geoip.databases = databases.iter().map(database).collect();
        Self::over(config, TermSettings::default(), true)
    }

    fn over(config: Config, terms: TermSettings, booking: bool) -> (Self, Arc<State>) {
        super::fuzzing::over(config, terms, booking).unwrap()
    }
}

/// The `round`th scrape of the measured fleet.
fn scrape(state: &State, round: u32) {
    let refused = Err(ProbeFailure::Connect("connection refused".into()));
    told(state, round, "sh-1", 0, Ok(host(round)));
    told(state, round, "sh-1", 1, Ok(srs(round, 811, 0.33)));
    told(state, round, "sh-2", 0, Ok(srs(round, 812, 0.86)));
    told(state, round, "bj-1", 0, refused);
    // Going back is a reset.
    told(state, round, "gz-1", 0, Ok(host(if round == 2 { 0 } else { round })));
    let missing = ProbeFailure::MissingMetric("nothing of SRS".into());
    told(state, round, "gz-1", 1, Err(if round == 1 { ProbeFailure::Timeout(3_000) } else { missing }));
    told(state, round, "full-1", 0, Ok(srs(round, 815, 0.95)));
    told(state, round, "spare-1", 0, Ok(srs(round, 816, 0.95)));
}

fn told(state: &State, round: u32, node: &str, target: usize, outcome: Result<Reading, ProbeFailure>) {
    let received = Moment(u64::from(round) * 10_000 + 1_000);
    state.observed(node, target, outcome, Timing { sent: Moment(received.0 - 12), received });
}

/// A machine of 16 CPUs that sends 3 Gbit/s, in the `round`th interval of 10 s.
fn host(round: u32) -> Reading {
    let time_s = 10.0 * f64::from(round);
    let host = HostReading {
        cpus: 16,
        busy: None,
        idle_s: 1e6 + time_s * 12.6,
        iowait_s: time_s * 0.1,
        steal_s: time_s * 0.2,
        boot_time_s: Some(1.7e9),
        transmit_bytes: Some(1e12 + time_s * 375e6),
        receive_bytes: Some(1e10 + time_s * 5e6),
        link_bytes_per_s: Some(1.25e9),
        memory_total_bytes: Some(64e9),
        memory_available_bytes: Some(50e9),
        disk_io_s: vec![("nvme0n1".into(), 100.0 + time_s * 0.012)],
        fullest_disk: Some(("/".into(), 0.34)),
        udp_receive_drops: Some(7.0),
        udp_send_drops: Some(0.0),
        load1: Some(3.71),
        tcp_passive_opens: None,
    };
    Reading { clock_s: Some(1.8e9 + time_s), host: Some(host), ..Reading::default() }
}

/// A media server that sends 500 Mbit/s to a hundred viewers, its process using `cores`.
fn srs(round: u32, pid: u32, cores: f64) -> Reading {
    let time_s = 10.0 * f64::from(round);
    Reading {
        processes: vec![ProcessReading {
            name: "srs".into(),
            pid: Some(pid),
            cpu: ProcessCpu::Cores(cores),
            processes: 1,
            start_time_s: None,
        }],
        media: Some(MediaReading {
            identity: format!("srs/{pid}").into(),
            clients: Some(100.0),
            clients_total: Some(1_000.0 + time_s),
            send_bytes: Some(1e9 + time_s * 62.5e6),
            receive_bytes: Some(1e7 + time_s * 1e6),
        }),
        ..Reading::default()
    }
}

/// Somebody in China.
pub(super) fn question() -> Question<'static> {
    Question {
        domain: "live.example.com",
        client: "114.114.114.114".parse().unwrap(),
        stream: None,
        bitrate_kbps: None,
        failed: &[],
        why: Why::Connect,
        current: None,
        count: 1,
        family: Family::Both,
        want: Want::default(),
    }
}

#[test]
fn an_answer_is_booked_unless_booking_is_off() {
    for (booking, booked) in [(true, 5), (false, 0)] {
        let resolver = Resolver::for_tests_with(booking);
        for _ in 0..5 {
            resolver.resolve(&question()).unwrap();
        }
        let answers: u64 = resolver.nodes().iter().map(|node| node.answers).sum();
        assert_eq!(answers, booked, "booking = {booking}");
    }
}

#[test]
fn looking_at_nodes_before_the_first_scrape_takes_none_of_them_out() {
    let resolver = Resolver::for_tests();
    let before = resolver.resolve(&question()).unwrap().reason;
    resolver.state.sweep();
    assert_eq!(resolver.resolve(&question()).unwrap().reason, before);
}
