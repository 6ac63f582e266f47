//! Tests of who is sent away, how fast, and when nobody is; time is injected, and media servers are played.

use futures_util::future::{BoxFuture, ready};

use super::*;
use crate::clock::Clock;
use crate::config::Config;
use crate::schedule::fleet::{Fleet, PoolSpec};
use crate::schedule::health::STALE_AFTER_INTERVALS;
use crate::schedule::reading::{HostReading, MediaReading, Reading, Timing};
use crate::schedule::watch::WatchSettings;
use crate::state::{Observer as _, Plan};
use crate::telemetry::Exposition;

const NODES: &str = r#"
pools = [{ name = "edges", relief = { after = "60s", per_minute = 30 } }]
domains = [{ name = "live.example.com", pool = "edges" }]
nodes = [
  { id = "a", pool = "edges", addresses = ["203.0.113.1"], bandwidth = "100Mbps", media = { api = 1985 },
    exporters = ["http://10.0.0.1:9100/metrics"] },
  { id = "b", pool = "edges", addresses = ["203.0.113.2"], bandwidth = "100Mbps",
    exporters = ["http://10.0.0.2:9100/metrics"] },
]
"#;

/// A media server with these clients.
#[derive(Default)]
struct Played {
    clients: Mutex<Vec<Client>>,
    kicked: Mutex<Vec<Box<str>>>,
    lists: Mutex<u32>,
    is_broken: bool,
}

impl Hands for Played {
    fn clients(&self, api: Api) -> BoxFuture<'static, Result<Vec<Client>, String>> {
        assert_eq!(&*api.base, "http://10.0.0.1:1985");
        *self.lists.lock().unwrap() += 1;
        let clients =
            if self.is_broken { Err("refused".into()) } else { Ok(self.clients.lock().unwrap().clone()) };
        Box::pin(ready(clients))
    }

    fn evict(&self, _: Api, client: Box<str>) -> BoxFuture<'static, Result<Evicted, String>> {
        self.clients.lock().unwrap().retain(|other| other.id != client);
        self.kicked.lock().unwrap().push(client);
        Box::pin(ready(Ok(Evicted::Kicked)))
    }
}

/// `count` viewers, the first the oldest, and a publisher younger than all.
fn clients(count: u32) -> Vec<Client> {
    let client = |id: String, publishes, alive_s| Client { id: id.into(), ip: None, publishes, alive_s };
    let viewers = (0..count).map(|i| client(format!("v{i}"), false, 10_000.0 - f64::from(i)));
    viewers.chain([client("publisher".into(), true, 1.0)]).collect()
}

struct Stage {
    state: Arc<State>,
    hands: Arc<Played>,
    telemetry: Arc<Telemetry>,
    rebalance: Rebalance,
    /// Seconds since the stage was set.
    at_s: u64,
}

impl Stage {
    /// `a` and `b` send so much, Mbit/s; both are measured.
    fn new(a_mbps: f64, b_mbps: f64, played: Played) -> Self {
        let config = Config::parse(NODES, "test").unwrap();
        let pool = PoolSpec { name: "edges".into(), on_overload: Default::default() };
        let plan = Plan {
            booking: true,
            watch: WatchSettings { interval_ms: 10_000, assumed_mbps: 1_000.0 },
            default_kbps: 3_000,
            ttl_s: (5, 60),
            replicas: Some(1),
            congestion_km: 10.0,
            affinity_km: 40.0,
            terms: Default::default(),
        };
        let clock = Clock::system();
        let live = Live::new(Fleet::build(config.nodes.clone(), &[pool], &[]).unwrap(), plan, clock.now());
        let state = State::new(live, clock).0;
        for (second, share) in [(10_u32, 0.0), (20, 1.0)] {
            for (node, mbps) in [("a", a_mbps), ("b", b_mbps)] {
                let sent = Some(mbps * share * 1_250_000.0);
                let host =
                    HostReading { cpus: 1, busy: Some(0.1), transmit_bytes: sent, ..HostReading::default() };
                let media = MediaReading {
                    identity: "srs".into(),
                    clients: Some(10.0),
                    clients_total: None,
                    send_bytes: None,
                    receive_bytes: None,
                };
                let clock_s = Some(f64::from(second));
                let reading = Reading { clock_s, host: Some(host), media: Some(media), ..Reading::default() };
                let at = Moment(u64::from(second) * 1_000);
                state.observed(node, 0, Ok(reading), Timing { sent: at, received: at });
            }
        }
        let (hands, telemetry) = (Arc::new(played), Arc::new(Telemetry::new()));
        let rebalance =
            Rebalance::new(Arc::clone(&state), Arc::clone(&hands) as Arc<dyn Hands>, Arc::clone(&telemetry));
        let reliefs = config.pools.iter().map(|pool| (pool.name.clone(), pool.relief.unwrap()));
        rebalance.relieve_by(reliefs.collect());
        Self { state, hands, telemetry, rebalance, at_s: 0 }
    }

    /// So many more seconds pass, with a look at each.
    async fn pass(&mut self, seconds: u64) {
        let began = self.state.live().report(NodeIndex(0)).since;
        for _ in 0..seconds {
            self.at_s += 1;
            self.rebalance.turn(began.plus_ms(self.at_s * 1_000)).await;
        }
    }

    fn kicked(&self) -> Vec<String> {
        self.hands.kicked.lock().unwrap().iter().map(ToString::to_string).collect()
    }

    fn counted(&self, cause: &str, outcome: &str) -> usize {
        let page = self.telemetry.page(Exposition::OpenMetrics, Default::default());
        let series = format!("nearcast_evictions_total{{cause=\"{cause}\",outcome=\"{outcome}\"}} ");
        page.lines().find_map(|line| line.strip_prefix(&series)).unwrap().parse().unwrap()
    }
}

fn playing(count: u32) -> Played {
    Played { clients: Mutex::new(clients(count)), ..Played::default() }
}

#[tokio::test]
async fn a_node_over_its_limits_for_long_loses_its_youngest_viewers_at_the_rate_of_its_pool() {
    let mut stage = Stage::new(90.0, 10.0, playing(100));
    assert_eq!(stage.state.live().report(NodeIndex(0)).state, NodeState::Overloaded);
    stage.pass(59).await;
    assert_eq!(stage.kicked(), [""; 0], "not for long yet");
    stage.pass(61).await;
    let kicked = stage.kicked();
    assert!((27..=30).contains(&kicked.len()), "30 a minute: {kicked:?}");
    let youngest: Vec<String> = (0..kicked.len()).map(|i| format!("v{}", 99 - i)).collect();
    assert_eq!(kicked, youngest);
    assert!(*stage.hands.lists.lock().unwrap() <= 12, "a list every five seconds at most");
    assert_eq!(stage.counted("relief", "kicked"), kicked.len());
}

#[tokio::test]
async fn a_node_is_relieved_of_a_share_of_its_viewers_at_most() {
    let mut stage = Stage::new(90.0, 10.0, playing(100));
    let relief = Relief { after_ms: 60_000, per_minute: 30, share: 0.075 };
    stage.rebalance.relieve_by(HashMap::from([("edges".into(), relief)]));
    stage.pass(600).await;
    assert_eq!(stage.kicked().len(), 8, "7.5 of a hundred, rounded up");
}

#[tokio::test]
async fn nobody_is_relieved_of_a_publisher() {
    let mut stage = Stage::new(90.0, 10.0, playing(2));
    stage.pass(600).await;
    assert_eq!(stage.kicked(), ["v1", "v0"]);
}

#[tokio::test]
async fn without_room_elsewhere_everybody_stays() {
    let mut stage = Stage::new(90.0, 79.9, playing(100));
    stage.pass(120).await;
    assert_eq!((stage.kicked(), *stage.hands.lists.lock().unwrap()), (Vec::new(), 0));
    assert!((10..=13).contains(&stage.counted("relief", "no_room")), "every five seconds");
    // For two more there is room, and no more than that is tried at a time.
    let stage = Stage::new(90.0, 73.0, playing(100));
    assert_eq!(stage.state.live().places_beside(NodeIndex(0), 50), 2);
}

#[tokio::test]
async fn a_node_that_is_not_over_its_limits_is_left_alone_and_so_is_a_pool_without_relief() {
    let mut stage = Stage::new(50.0, 10.0, playing(100));
    stage.pass(300).await;
    assert_eq!(stage.kicked(), [""; 0]);
    let mut stage = Stage::new(90.0, 10.0, playing(100));
    stage.rebalance.relieve_by(HashMap::new());
    stage.pass(300).await;
    assert_eq!(stage.kicked(), [""; 0]);
}

#[tokio::test]
async fn a_drain_with_a_rate_empties_a_node_viewers_first_and_an_undrain_ends_it() {
    let mut stage = Stage::new(50.0, 10.0, playing(20));
    stage.state.drain("a", None, None, None);
    stage.pass(60).await;
    assert_eq!(stage.kicked(), [""; 0], "a drain alone lets everybody finish");
    stage.state.drain("a", None, None, Some(60));
    stage.at_s = 0;
    stage.pass(10).await;
    let early = stage.kicked().len();
    assert!((6..=10).contains(&early), "60 a minute: {early} in ten seconds");
    stage.state.undrain("a");
    stage.pass(30).await;
    assert_eq!(stage.kicked().len(), early);
    stage.state.drain("a", None, None, Some(60));
    stage.at_s = 0;
    stage.pass(60).await;
    let kicked = stage.kicked();
    assert_eq!((kicked.len(), kicked.last().map(|last| &**last)), (21, Some("publisher")));
    assert_eq!(stage.counted("drain", "kicked"), 21);
}

#[tokio::test]
async fn a_media_server_that_cannot_be_told_is_left_alone_for_a_while() {
    let mut stage = Stage::new(50.0, 10.0, Played { is_broken: true, ..playing(20) });
    stage.state.drain("a", None, None, Some(600));
    stage.pass(60).await;
    let lists = *stage.hands.lists.lock().unwrap();
    assert!((5..=7).contains(&lists), "every ten seconds: {lists}");
    assert_eq!(stage.counted("drain", "failed"), lists as usize);
}

#[tokio::test]
async fn a_node_without_an_api_is_said_to_have_none() {
    let mut stage = Stage::new(50.0, 10.0, playing(20));
    assert!(u64::from(stage.state.live().places_beside(NodeIndex(1), 5)) < STALE_AFTER_INTERVALS);
    stage.state.drain("b", None, None, Some(600));
    stage.pass(9).await;
    assert_eq!(*stage.hands.lists.lock().unwrap(), 0);
    assert_eq!(stage.counted("drain", "failed"), 1);
}
