//! Where servers pull from, and where publishers stay.

use crate::resolver::{Pull, PullRefusal, Question, Resolver, Role, Want, Way};
use crate::schedule::Moment;
use crate::state::streams::{Identity, Publication, StreamName};

fn publish(resolver: &Resolver, node: &str, vhost: &str, stream: &str) {
    let name = StreamName::new(vhost, "live", stream).unwrap();
    let identity = Identity::default();
    let publication = Publication { node, identity: &identity, name: &name, client: "1" };
    resolver.state().streams().publish(publication, true, |_| true, Moment(1));
}

fn pull<'a>(node: &'a str, stream: &'a str) -> Pull<'a> {
    Pull { node: Some(node), pool: None, domain: Some("live.example.com"), stream, way: Way::Http }
}

#[track_caller]
fn told(resolver: &Resolver, pull: &Pull<'_>) -> String {
    match resolver.upstream(pull) {
        Ok(Some(upstream)) => upstream.node().id.to_string(),
        Ok(None) => "nobody".to_owned(),
        Err(refusal) => refusal.to_string(),
    }
}

#[test]
fn an_edge_pulls_from_the_middle_that_from_the_origin_and_the_origin_from_nobody() {
    let resolver = Resolver::for_tests_layered();
    publish(&resolver, "or-2", "", "show");
    let middle = told(&resolver, &pull("sh-1", "live/show"));
    assert!(middle.starts_with("mid-"), "{middle}");
    for edge in ["sh-2", "sh-3", "bj-1"] {
        assert_eq!(told(&resolver, &pull(edge, "live/show")), middle, "all edges pull from the same node");
    }
    assert_eq!(told(&resolver, &pull(&middle, "live/show")), "or-2");
    assert_eq!(told(&resolver, &pull("or-2", "live/show")), "nobody");
    let by_pool = Pull { node: None, pool: Some("middle"), ..pull("", "live/show") };
    assert_eq!(told(&resolver, &by_pool), "or-2");
    // An address instead of a domain's name, and a pool of no domain.
    assert_eq!(told(&resolver, &Pull { domain: Some("127.0.0.1"), ..pull("sh-1", "live/show") }), middle);
    assert_eq!(told(&resolver, &Pull { node: None, pool: None, ..pull("", "live/show") }), "nobody");
}

#[test]
fn a_stream_that_nobody_has_is_nowhere_and_one_of_another_vhost_is_another() {
    let resolver = Resolver::for_tests_layered();
    publish(&resolver, "or-1", "plain.example.com", "show");
    let unknown = "nobody publishes this stream to pool origins";
    assert_eq!(told(&resolver, &pull("sh-1", "live/show")), unknown);
    assert_eq!(told(&resolver, &pull("mid-1", "live/other")), unknown);
    // A node that is no origin of the domain does not count, whatever it says it has.
    publish(&resolver, "sh-2", "", "odd");
    assert_eq!(told(&resolver, &pull("sh-1", "live/odd")), unknown);
}

#[test]
fn a_drained_origin_is_asked_only_if_nobody_else_has_the_stream() {
    let resolver = Resolver::for_tests_layered();
    publish(&resolver, "or-1", "", "show");
    publish(&resolver, "or-2", "", "show");
    assert_eq!(told(&resolver, &pull("mid-1", "live/show")), "or-2", "the newest");
    resolver.drain("or-2", None, None).unwrap();
    assert_eq!(told(&resolver, &pull("mid-1", "live/show")), "or-1");
    resolver.drain("or-1", None, None).unwrap();
    assert_eq!(told(&resolver, &pull("mid-1", "live/show")), "or-2");
}

#[test]
fn a_node_of_the_middle_that_is_drained_is_passed_over_for_its_streams_alone() {
    let resolver = Resolver::for_tests_layered();
    let names: Vec<String> = (0..60).map(|at| format!("{at}")).collect();
    names.iter().for_each(|name| publish(&resolver, "or-1", "", name));
    let places = || -> Vec<String> {
        names.iter().map(|name| told(&resolver, &pull("sh-1", &format!("live/{name}")))).collect()
    };
    let before = places();
    resolver.drain("mid-2", None, None).unwrap();
    for (before, after) in before.iter().zip(places()) {
        assert_ne!(after, "mid-2");
        assert!(before == "mid-2" || *before == after, "{before} became {after}");
    }
    resolver.drain("mid-1", None, None).unwrap();
    resolver.drain("mid-3", None, None).unwrap();
    let refusal = resolver.upstream(&pull("sh-1", "live/1")).unwrap_err();
    assert_eq!(refusal, PullRefusal::NoNode { pool: "middle".into(), retry_after_s: 5 });
}

#[test]
fn a_way_that_no_holder_has_is_said() {
    let resolver = Resolver::for_tests_layered();
    publish(&resolver, "or-1", "", "show");
    let by_tls = Pull { way: Way::Https, ..pull("mid-1", "live/show") };
    let said = "the origins that have this stream are down or have no port for this: or-1";
    assert_eq!(told(&resolver, &by_tls), said);
}

#[test]
fn nothing_is_booked_for_who_pulls() {
    let resolver = Resolver::for_tests_layered();
    publish(&resolver, "or-1", "", "show");
    for _ in 0..10 {
        told(&resolver, &pull("sh-1", "live/show"));
        told(&resolver, &pull("mid-1", "live/show"));
    }
    assert!(resolver.nodes().iter().all(|node| node.answers == 0));
}

fn publisher<'a>(stream: &'a str, failed: &'a [std::net::IpAddr]) -> Question<'a> {
    Question {
        stream: Some(stream),
        failed,
        want: Want { role: Role::Publish, ..Want::default() },
        ..crate::resolver::fixture::question()
    }
}

#[test]
fn a_publisher_gets_an_origin_and_keeps_it_until_that_is_drained_or_failed() {
    let resolver = Resolver::for_tests_layered();
    let first = |question: &Question<'_>| {
        let answer = resolver.resolve(question).unwrap();
        (answer.node(&answer.picks[0]).id.to_string(), answer.reason.as_str())
    };
    assert!(first(&publisher("live/new", &[])).0.starts_with("or-"));
    for (node, other) in [("or-1", "or-2"), ("or-2", "or-1")] {
        publish(&resolver, node, "live.example.com", node);
        let stream = format!("live/{node}");
        for _ in 0..20 {
            assert_eq!(first(&publisher(&stream, &[])), (node.to_owned(), "affinity"));
        }
        let failed = [resolver.node(node).unwrap().addresses[0].parse().unwrap()];
        assert_eq!(first(&publisher(&stream, &failed)).0, other);
    }
    resolver.drain("or-1", None, None).unwrap();
    assert_eq!(first(&publisher("live/or-1", &[])).0, "or-2");
}

#[test]
fn a_domain_without_origins_takes_no_publisher() {
    let resolver = Resolver::for_tests_layered();
    let question = Question { domain: "plain.example.com", ..publisher("live/show", &[]) };
    assert_eq!(resolver.resolve(&question).unwrap_err().to_string(), "the domain has no origins");
}
