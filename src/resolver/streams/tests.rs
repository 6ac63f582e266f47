use super::*;
use crate::state::streams::{Identity, StreamName};

const IDLE: Option<f64> = Some(0.1);
const FULL: Option<f64> = Some(0.95);

fn name() -> StreamName {
    StreamName::new("", "live", "a").unwrap()
}

fn publish(resolver: &Resolver, node: &str, client: Option<&str>, rules: &Rules) -> Admission {
    let (identity, name) = (Identity::new(node, "s", ""), name());
    let publication = Publication { node, identity: &identity, name: &name, client: "c" };
    resolver.publish(publication, client.map(|ip| ip.parse().unwrap()), rules)
}

fn origin(resolver: &Resolver, asker: Option<&str>) -> Option<String> {
    resolver.origin("", "live/a.flv", asker).map(|found| found.url("", "live/a"))
}

#[test]
fn a_stream_is_found_on_its_origin_unless_that_asks_itself() {
    let resolver = Resolver::for_tests_with_origins([IDLE; 5]);
    assert_eq!(origin(&resolver, None), None);
    assert_eq!(publish(&resolver, "o-1", None, &Rules::default()), Admission::Admitted);
    assert_eq!(origin(&resolver, Some("o-2")).as_deref(), Some("rtmp://203.0.113.21:1935/live/a"));
    assert_eq!(origin(&resolver, Some("o-1")), None);
    let (identity, name) = (Identity::new("o-1", "s", ""), name());
    resolver.unpublish(Publication { node: "o-1", identity: &identity, name: &name, client: "c" });
    assert_eq!(origin(&resolver, None), None);
}

#[test]
fn who_cannot_serve_is_not_named() {
    let allow = Rules { second_origin: Verdict::Allow, ..Rules::default() };
    let resolver = Resolver::for_tests_with_origins([IDLE, None, IDLE, IDLE, IDLE]);
    for node in ["o-1", "o-2", "o-3", "e-1"] {
        assert_eq!(publish(&resolver, node, None, &allow), Admission::Admitted);
    }
    assert_eq!(resolver.state().streams().len(), 3, "an edge has no streams");
    let found = resolver.origin("", "live/a", None).unwrap();
    assert_eq!((&*found.node, found.api), ("o-1", Some(1985)), "o-3 speaks no RTMP, o-2 is down");
}

#[test]
fn a_stream_has_one_origin_until_that_is_down_or_it_is_relayed_or_so_configured() {
    let rules = Rules::default();
    let resolver = Resolver::for_tests_with_origins([IDLE; 5]);
    publish(&resolver, "o-1", None, &rules);
    let elsewhere = Admission::Elsewhere("o-1".into());
    assert_eq!(publish(&resolver, "o-2", Some("198.51.100.1"), &rules), elsewhere);
    assert_eq!(
        publish(&resolver, "o-2", Some("10.1.0.1"), &rules),
        Admission::Admitted,
        "from where o-1 is inside"
    );
    assert_eq!(publish(&resolver, "o-3", Some("203.0.113.21"), &rules), Admission::Admitted);
    let down = Resolver::for_tests_with_origins([None, IDLE, IDLE, IDLE, IDLE]);
    publish(&down, "o-1", None, &rules);
    assert_eq!(publish(&down, "o-2", None, &rules), Admission::Admitted);
}

#[test]
fn a_publisher_is_sent_away_only_while_another_origin_has_room() {
    let rules = Rules::default();
    let resolver = Resolver::for_tests_with_origins([FULL, IDLE, FULL, IDLE, IDLE]);
    assert_eq!(publish(&resolver, "o-1", None, &rules), Admission::Overloaded);
    let allow = Rules { overloaded_origin: Verdict::Allow, ..Rules::default() };
    assert_eq!(publish(&resolver, "o-1", None, &allow), Admission::Admitted);
    let all_full = Resolver::for_tests_with_origins([FULL, FULL, FULL, IDLE, IDLE]);
    assert_eq!(publish(&all_full, "o-1", None, &rules), Admission::Admitted, "edges are no help");
    let drained = Resolver::for_tests_with_origins([IDLE; 5]);
    drained.drain("o-1", None, None).unwrap();
    assert_eq!(publish(&drained, "o-1", None, &rules), Admission::Overloaded);
    assert_eq!(publish(&drained, "o-2", None, &rules), Admission::Admitted);
}

#[test]
fn a_viewer_is_sent_away_from_a_full_edge_if_so_configured() {
    let resolver = Resolver::for_tests_with_origins([IDLE, IDLE, IDLE, FULL, IDLE]);
    assert_eq!(resolver.play("e-1", &Rules::default()), Admission::Admitted);
    let refuse = Rules { overloaded_edge: Verdict::Refuse, ..Rules::default() };
    assert_eq!(resolver.play("e-1", &refuse), Admission::Overloaded);
    assert_eq!(resolver.play("e-2", &refuse), Admission::Admitted);
    assert_eq!(resolver.play("nobody", &refuse), Admission::Admitted);
}

#[test]
fn a_stream_is_forwarded_to_origins_with_room_that_lack_it_and_never_twice() {
    let resolver = Resolver::for_tests_with_origins([IDLE, Some(0.3), IDLE, IDLE, IDLE]);
    let relays = |client: Option<&str>, count| {
        let client = client.map(|ip| ip.parse().unwrap());
        let relays = resolver.relays("o-1", ("v.example.com", "live/a"), client, count);
        relays.iter().map(|relay| relay.url("v.example.com", "live/a")).collect::<Vec<_>>()
    };
    let url = "rtmp://203.0.113.22:1936/live/a?vhost=v.example.com";
    assert_eq!(relays(None, 8), [url], "o-3 speaks no RTMP, edges are no origins");
    assert_eq!(relays(Some("198.51.100.1"), 1), [url]);
    assert_eq!((relays(None, 0).len(), relays(Some("203.0.113.22"), 8).len()), (0, 0));
    publish(&resolver, "o-2", None, &Rules::default());
    assert_eq!(relays(None, 8), [""; 0], "it has it already");
}
