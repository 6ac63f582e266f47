//! Tests of the registry: whose heartbeat it is, who may become a node, and who may not.

use std::sync::Arc;

use super::*;
use crate::clock::Clock;
use crate::config::Config;
use crate::schedule::fleet::{Fleet, OnOverload, PoolSpec};
use crate::schedule::health::NodeState;
use crate::schedule::reading::MediaReading;

/// `sh-1` and `sh-2` are configured, and another node of `edges` in `spare` at 192.0.2.99.
const CALLERS: &str = r#"
pools = [{ name = "edges" }, { name = "spare" }]
domains = [{ name = "live.example.com", pool = "edges" }]
streams = {}
nodes = [
  { id = "sh-1", pool = "edges", addresses = ["203.0.113.10"], exporters = ["http://10.0.0.1:9100/metrics"] },
  { id = "spare-1", pool = "spare", addresses = ["192.0.2.99"] },
]
callers = [
  { token_file = "a", pool = "edges", register = { role = "origin", bandwidth = "1Gbps", most = 3,
    forget = "10m", exporters = ["http://{ip}:9100/metrics"], pop = "sh", missed = 2 } },
  { token_file = "b", pool = "spare" },
]
"#;

struct Bench {
    state: Arc<State>,
    config: Config,
}

impl Bench {
    fn new() -> Self {
        Self::of(CALLERS)
    }

    fn of(text: &str) -> Self {
        let config = Config::parse(text, "test").unwrap();
        let live = live(config.nodes.clone());
        let state = State::new(live, Clock::system()).0;
        let bench = Self { state, config };
        bench.state.registry().enrol_by(bench.templates());
        bench
    }

    fn templates(&self) -> Vec<Template> {
        self.config.callers.iter().filter_map(|caller| caller.register.clone()).collect()
    }

    /// What discovery does.
    fn follow(&self) {
        let mut nodes = self.config.nodes.clone();
        nodes.extend(self.state.registry().nodes(&nodes, &self.templates()).0);
        self.state.replace_registered(live(nodes));
        self.state.tell_waiting();
    }

    fn beat(&self, from: &Sender, device: &str, server: &str, at_ms: u64) -> Result<bool, Refused> {
        self.state.heartbeat_at(from, beat(device, server), Moment(at_ms))
    }

    fn node(&self, id: &str) -> Option<Node> {
        let live = self.state.live();
        live.fleet.by_id(id).map(|index| live.fleet.node(index).clone())
    }
}

fn live(nodes: Vec<Node>) -> Live {
    let pool = |name: &str| PoolSpec { name: name.into(), on_overload: OnOverload::Serve };
    let fleet = Fleet::build(nodes, &[pool("edges"), pool("spare")], &[]).unwrap();
    Live::new(fleet, crate::state::tests::live().plan, Moment(0))
}

fn beat(device: &str, server: &str) -> Heartbeat {
    let ports = MediaPorts { rtmp: Some(1935), ..MediaPorts::default() };
    Heartbeat {
        device: device.into(),
        identity: Identity::new(server, "1", "1"),
        ports,
        ..Heartbeat::default()
    }
}

fn of_edges(ip: &str) -> Sender {
    Sender { node: None, named: None, pool: Some("edges".into()), ip: ip.parse().unwrap() }
}

fn names(bench: &Bench) -> Vec<String> {
    bench.state.live().fleet.nodes.iter().map(|node| node.id.to_string()).collect()
}

#[test]
fn an_unknown_server_becomes_a_node_like_its_template() {
    let bench = Bench::new();
    assert_eq!(bench.beat(&of_edges("203.0.113.50"), "new-1", "vid-1", 1_000), Ok(true));
    assert_eq!(bench.beat(&of_edges("203.0.113.50"), "new-1", "vid-1", 2_000), Ok(false));
    assert_eq!(bench.node("new-1"), None, "the fleet follows later");
    bench.follow();
    let node = bench.node("new-1").unwrap();
    assert_eq!(
        (&*node.pool, node.role.as_str(), &*node.pop, node.missed),
        ("edges", "origin", "sh", Some(2))
    );
    assert_eq!((node.bandwidth_mbps, node.ports.rtmp), (Some(1_000.0), Some(1935)));
    assert_eq!(node.addresses().next(), Some("203.0.113.50".parse().unwrap()));
    assert_eq!(node.exporters, ["http://203.0.113.50:9100/metrics".into()]);
}

#[test]
fn what_was_said_before_the_node_was_in_the_fleet_counts() {
    let bench = Bench::of(&CALLERS.replace("exporters = [\"http://{ip}:9100/metrics\"], ", ""));
    let told = |mbit: f64, clock_s: f64| {
        let media = MediaReading {
            identity: "vid-1/1/1".into(),
            clients: Some(3.0),
            clients_total: None,
            send_bytes: Some(mbit * 125_000.0),
            receive_bytes: None,
        };
        Reading { media: Some(media), clock_s: Some(clock_s), ..Reading::default() }
    };
    let from = of_edges("203.0.113.50");
    let first = Heartbeat { told: Some(told(0.0, 1.0)), ..beat("new-1", "vid-1") };
    bench.state.heartbeat_at(&from, first, Moment(1_000)).unwrap();
    bench.follow();
    let second = Heartbeat { told: Some(told(100.0, 11.0)), ..beat("new-1", "vid-1") };
    bench.state.heartbeat_at(&from, second, Moment(11_000)).unwrap();
    let live = bench.state.live();
    let report = live.report(live.fleet.by_id("new-1").unwrap());
    assert_eq!((report.state, report.load.egress_mbps), (NodeState::Healthy, Some(10.0)));
}

#[test]
fn a_configured_node_is_known_by_name_or_address_and_is_not_made_twice() {
    let bench = Bench::new();
    assert_eq!(bench.beat(&of_edges("10.9.9.9"), "sh-1", "vid-1", 1_000), Ok(false));
    assert_eq!(bench.beat(&of_edges("203.0.113.10"), "", "vid-2", 1_000), Ok(false));
    let named = Sender { named: Some("sh-1".into()), node: Some("sh-1".into()), ..of_edges("10.9.9.8") };
    assert_eq!(bench.beat(&named, "whatever", "vid-3", 1_000), Ok(false));
    bench.follow();
    assert_eq!(names(&bench), ["sh-1", "spare-1"]);
    let live = bench.state.live();
    let report = live.report(live.fleet.by_id("sh-1").unwrap());
    assert_eq!(report.pulse.as_ref().unwrap().sources, ["vid-1".into(), "vid-2".into(), "vid-3".into()]);
}

#[test]
fn a_token_speaks_for_its_pool_and_for_nobody_in_another() {
    let bench = Bench::new();
    let taken = Refused::Taken { id: "spare-1".into(), owner: "another pool".into() };
    assert_eq!(bench.beat(&of_edges("203.0.113.50"), "spare-1", "vid-1", 1_000), Err(taken));
    let taken = Refused::AddressTaken { ip: "192.0.2.99".parse().unwrap(), owner: "spare-1".into() };
    assert_eq!(bench.beat(&of_edges("192.0.2.99"), "new-1", "vid-1", 1_000), Err(taken));
    let of_spare = Sender { pool: Some("spare".into()), ..of_edges("203.0.113.50") };
    let refused = Refused::NoRegistration("spare".into());
    assert_eq!(bench.beat(&of_spare, "new-1", "vid-1", 1_000), Err(refused));
    assert_eq!(bench.beat(&of_spare, "spare-1", "vid-1", 1_000), Ok(false), "its own it may");
}

#[test]
fn without_a_token_a_node_speaks_for_itself_only() {
    let bench = Bench::new();
    let itself = Sender { node: Some("sh-1".into()), pool: None, ..of_edges("203.0.113.10") };
    assert_eq!(bench.beat(&itself, "spare-1", "vid-1", 1_000), Ok(false));
    let live = bench.state.live();
    assert!(live.report(live.fleet.by_id("spare-1").unwrap()).pulse.is_none());
    assert!(live.report(live.fleet.by_id("sh-1").unwrap()).pulse.is_some());
}

#[test]
fn two_servers_with_one_name_do_not_take_each_others_viewers() {
    let bench = Bench::new();
    bench.beat(&of_edges("203.0.113.50"), "new-1", "vid-1", 1_000).unwrap();
    let taken = Refused::Taken { id: "new-1".into(), owner: "203.0.113.50".into() };
    assert_eq!(bench.beat(&of_edges("203.0.113.51"), "new-1", "vid-2", 1_000), Err(taken.clone()));
    bench.follow();
    assert_eq!(bench.beat(&of_edges("203.0.113.51"), "new-1", "vid-2", 2_000), Err(taken));
    // The first falls silent: whoever has the name then has it.
    bench.state.sweep_at(Moment(100_000));
    assert_eq!(bench.beat(&of_edges("203.0.113.51"), "new-1", "vid-2", 100_000), Ok(false));
    bench.follow();
    assert_eq!(bench.node("new-1").unwrap().ipv4, ["203.0.113.51".parse::<std::net::Ipv4Addr>().unwrap()]);
}

#[test]
fn servers_of_one_address_are_one_node_whose_first_one_says_its_ports() {
    let bench = Bench::new();
    let from = of_edges("203.0.113.50");
    bench.beat(&from, "new-1", "vid-1", 1_000).unwrap();
    assert_eq!(bench.beat(&from, "new-2", "vid-2", 1_000), Ok(false));
    bench.follow();
    let other = MediaPorts { rtmp: Some(19350), ..MediaPorts::default() };
    bench
        .state
        .heartbeat_at(&from, Heartbeat { ports: other, ..beat("new-2", "vid-2") }, Moment(2_000))
        .unwrap();
    bench.follow();
    assert_eq!(names(&bench), ["new-1", "sh-1", "spare-1"]);
    assert_eq!(bench.node("new-1").unwrap().ports.rtmp, Some(1935));
    // The first has gone for good.
    bench
        .state
        .heartbeat_at(&from, Heartbeat { ports: other, ..beat("new-2", "vid-2") }, Moment(90_000))
        .unwrap();
    bench.follow();
    assert_eq!(bench.node("new-1").unwrap().ports.rtmp, Some(19350));
}

#[test]
fn names_and_addresses_that_no_node_can_have_are_refused() {
    let bench = Bench::new();
    for device in ["a b", "../x", "ä", &"x".repeat(65), "<script>"] {
        let refused = bench.beat(&of_edges("203.0.113.50"), device, "vid-1", 1_000).unwrap_err();
        assert_eq!(refused, Refused::NoName(device.into()));
    }
    assert_eq!(bench.beat(&of_edges("203.0.113.50"), "", "", 1_000), Err(Refused::NoName("".into())));
    for ip in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::"] {
        let refused = bench.beat(&of_edges(ip), "new-1", "vid-1", 1_000).unwrap_err();
        assert_eq!(refused, Refused::Address(ip.parse().unwrap()));
    }
    bench.follow();
    assert_eq!(names(&bench), ["sh-1", "spare-1"]);
}

#[test]
fn only_so_many_may_register_and_the_silent_make_room() {
    let bench = Bench::new();
    for i in 0..3 {
        bench
            .beat(&of_edges(&format!("198.51.100.{i}")), &format!("n{i}"), "vid", 1_000 + i * 500_000)
            .unwrap();
    }
    assert_eq!(bench.beat(&of_edges("198.51.100.9"), "n9", "vid", 2_000), Err(Refused::Full(3)));
    bench.state.registry().forget_silent(Moment(601_000));
    assert_eq!(bench.beat(&of_edges("198.51.100.9"), "n9", "vid", 2_000), Err(Refused::Full(3)));
    bench.state.registry().forget_silent(Moment(601_001));
    assert_eq!(bench.beat(&of_edges("198.51.100.9"), "n9", "vid", 602_000), Ok(true));
    bench.follow();
    assert_eq!(names(&bench), ["n1", "n2", "n9", "sh-1", "spare-1"]);
}

#[test]
fn an_address_that_a_heartbeat_names_counts_only_where_it_is_to_be_trusted() {
    let trusting = CALLERS.replace("register = {", "register = { trust_ip = true,");
    for (text, expected) in [(CALLERS, "203.0.113.50"), (&*trusting, "198.51.100.7")] {
        let bench = Bench::of(text);
        let named = Heartbeat { ip: Some("198.51.100.7".parse().unwrap()), ..beat("new-1", "vid-1") };
        bench.state.heartbeat_at(&of_edges("203.0.113.50"), named, Moment(1_000)).unwrap();
        bench.follow();
        let address = bench.node("new-1").unwrap().addresses().next();
        assert_eq!(address, Some(expected.parse().unwrap()));
    }
}

#[test]
fn what_the_configuration_says_of_a_node_comes_before_what_it_says_itself() {
    let mut bench = Bench::new();
    bench.beat(&of_edges("203.0.113.50"), "new-1", "vid-1", 1_000).unwrap();
    bench.beat(&of_edges("203.0.113.51"), "new-2", "vid-2", 1_000).unwrap();
    bench.follow();
    let listed = r#"nodes = [
  { id = "new-1", pool = "edges", addresses = ["203.0.113.60"] },
  { id = "by-address", pool = "edges", addresses = ["203.0.113.51"] },"#;
    bench.config = Config::parse(&CALLERS.replace("nodes = [", listed), "test").unwrap();
    bench.follow();
    assert_eq!(names(&bench), ["by-address", "new-1", "sh-1", "spare-1"]);
    assert_eq!(bench.node("new-1").unwrap().missed, None);
}
