use super::*;
use crate::resolver::Resolver;

const EDGES: &str = "the-token-of-edges";
const SPARE: &str = "the-token-of-spare";

fn callers() -> Callers {
    let settings = Streams { networks: vec!["192.0.2.0/24".parse().unwrap()], ..Streams::default() };
    let token = |token: &str| CallerToken::new(token.as_bytes()).unwrap();
    Callers::new(settings, [(token(EDGES), "edges".into()), (token(SPARE), "spare".into())]).unwrap()
}

/// Of the measured fleet: `sh-1` at 203.0.113.10 with exporters at 10.0.0.1, `spare-1` at 203.0.113.60.
fn who(token: Option<&str>, node: Option<&str>, param: Option<&str>, ip: &str) -> Result<Caller, Stranger> {
    let resolver = Resolver::for_tests_measured();
    let prefix = Prefix { token: token.map(Into::into), node: node.map(Into::into) };
    let shown = Shown { prefix: &prefix, node: param, identity: None, ip: ip.parse().unwrap() };
    callers().who(resolver.state(), shown)
}

fn node(found: Result<Caller, Stranger>) -> Option<String> {
    found.unwrap().node.map(String::from)
}

#[test]
fn without_a_token_only_addresses_of_the_fleet_and_listed_networks_are_believed() {
    assert_eq!(node(who(None, None, None, "203.0.113.10")), Some("sh-1".into()));
    assert_eq!(node(who(None, None, None, "2001:db8::10")), Some("sh-1".into()));
    assert_eq!(node(who(None, None, None, "10.0.0.1")), Some("sh-1".into()), "where its exporters are");
    assert_eq!(node(who(None, None, None, "192.0.2.7")), None);
    assert_eq!(who(None, None, None, "198.51.100.1"), Err(Stranger::Unknown));
}

#[test]
fn a_token_speaks_for_the_nodes_of_its_pool_and_for_no_other() {
    let stranger = "198.51.100.1";
    assert_eq!(node(who(Some(EDGES), Some("gz-1"), None, stranger)), Some("gz-1".into()));
    assert_eq!(node(who(Some(EDGES), None, Some("gz-1"), stranger)), Some("gz-1".into()));
    assert_eq!(
        node(who(Some(EDGES), Some("sh-2"), Some("gz-1"), stranger)),
        Some("sh-2".into()),
        "the path first"
    );
    assert_eq!(who(Some(SPARE), Some("gz-1"), None, stranger), Err(Stranger::OtherPool));
    assert_eq!(node(who(Some(SPARE), None, None, "203.0.113.10")), None, "another pool's address");
    assert_eq!(node(who(Some(SPARE), None, None, "203.0.113.60")), Some("spare-1".into()));
    let unknown = who(Some(EDGES), Some("new-1"), None, stranger).unwrap();
    assert_eq!((unknown.node, unknown.named.as_deref()), (None, Some("new-1")));
}

#[test]
fn an_identity_tells_apart_who_calls_by_one_token_or_network() {
    let resolver = Resolver::for_tests_measured();
    let now = resolver.now();
    let identity = Identity::new("vid-gz", "s", "1");
    resolver.state().streams().restarted("gz-1", &identity, now, now);
    let who = |token: Option<&str>, ip: &str| {
        let prefix = Prefix { token: token.map(Into::into), node: None };
        let shown = Shown { prefix: &prefix, node: None, identity: Some(&identity), ip: ip.parse().unwrap() };
        callers().who(resolver.state(), shown)
    };
    assert_eq!(node(who(Some(EDGES), "198.51.100.1")), Some("gz-1".into()));
    assert_eq!(node(who(None, "192.0.2.1")), Some("gz-1".into()));
    assert_eq!(node(who(Some(SPARE), "198.51.100.1")), None, "not of that pool");
    assert_eq!(who(None, "198.51.100.1"), Err(Stranger::Unknown), "anybody can say so");
}

#[test]
fn a_forged_token_is_refused_wherever_it_comes_from() {
    for token in ["", "the-token-of-edge", "the-token-of-edges ", "The-token-of-edges", "the-token-of-edgesx"]
    {
        for ip in ["203.0.113.10", "198.51.100.1"] {
            assert_eq!(who(Some(token), None, None, ip), Err(Stranger::BadToken), "{token:?}");
        }
    }
}

#[test]
fn what_a_stranger_says_of_itself_does_not_count() {
    assert_eq!(node(who(None, None, Some("gz-1"), "203.0.113.10")), Some("sh-1".into()));
    assert_eq!(who(None, None, Some("gz-1"), "198.51.100.1"), Err(Stranger::Unknown));
}

#[test]
fn a_token_that_cannot_serve_is_refused_and_two_pools_do_not_share_one() {
    let refusal = |token: &str| CallerToken::new(token.as_bytes()).err();
    assert_eq!(refusal("  short\n"), Some(CallerTokenError::Short));
    assert_eq!(refusal(&"a".repeat(LONGEST + 1)), Some(CallerTokenError::Long));
    assert_eq!(refusal("a/path/of/some/length"), Some(CallerTokenError::Unprintable));
    assert_eq!(refusal(&format!(" {EDGES}\n")), None);
    let token = || CallerToken::new(EDGES.as_bytes()).unwrap();
    let shared = Callers::new(Streams::default(), [(token(), "a".into()), (token(), "b".into())]);
    assert_eq!(shared.err().unwrap(), CallersError::Shared { pool: "b".into(), other: "a".into() });
    assert!(Callers::new(Streams::default(), [(token(), "a".into()), (token(), "a".into())]).is_ok());
}

#[test]
fn media_servers_are_known_before_their_request_is_read() {
    let resolver = Resolver::for_tests_measured();
    let believed = |path: &str, ip: &str| callers().is_believed(resolver.state(), path, ip.parse().unwrap());
    assert!(believed("/t/the-token-of-edges/hooks/on_play", "198.51.100.1"));
    assert!(believed("/hooks/on_play", "203.0.113.10") && believed("/hooks/on_play", "192.0.2.1"));
    assert!(!believed("/t/forged-forged-forged/hooks/on_play", "203.0.113.10"));
    assert!(!believed("/hooks/on_play", "198.51.100.1") && !believed("/t/", "203.0.113.10"));
}
