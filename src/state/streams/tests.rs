use super::*;

fn id(service: &str) -> Identity {
    Identity::new("vid-1", service, "")
}

fn name(text: &str) -> StreamName {
    let (vhost, app, stream) = match text.split('/').collect::<Vec<_>>()[..] {
        [vhost, app, stream] => (vhost, app, stream),
        [app, stream] => ("", app, stream),
        _ => panic!("{text}"),
    };
    StreamName::new(vhost, app, stream).unwrap()
}

fn s(seconds: u64) -> Moment {
    Moment(seconds * 1_000)
}

/// Publishes as client "c"; whether it was taken.
fn publish(streams: &Streams, node: &str, identity: &Identity, text: &str, at: Moment) -> Published {
    publish_as(streams, node, identity, text, "c", at)
}

fn publish_as(
    streams: &Streams,
    node: &str,
    identity: &Identity,
    text: &str,
    client: &str,
    at: Moment,
) -> Published {
    let name = name(text);
    streams.publish(Publication { node, identity, name: &name, client }, false, |_| true, at)
}

fn unpublish(
    streams: &Streams,
    node: &str,
    identity: &Identity,
    text: &str,
    client: &str,
    at: Moment,
) -> bool {
    let name = name(text);
    streams.unpublish(Publication { node, identity, name: &name, client }, at)
}

fn list(names: &[&str], sent: Moment) -> Listing {
    Listing { names: names.iter().map(|text| name(text)).collect(), complete: true, sent }
}

fn origins(streams: &Streams, vhost: &str, name: &str) -> Vec<String> {
    streams.origins(vhost, name).iter().map(ToString::to_string).collect()
}

#[track_caller]
fn check_empty(streams: &Streams) {
    assert_eq!((streams.len(), streams.index.len()), (0, 0));
}

#[test]
fn a_stream_is_there_from_its_publish_to_its_unpublish() {
    let streams = Streams::default();
    assert_eq!(origins(&streams, "", "live/a"), [""; 0]);
    assert_eq!(publish(&streams, "o-1", &id("s1"), "live/a", s(1)), Published::Here);
    assert_eq!(origins(&streams, "", "live/a"), ["o-1"]);
    assert!(unpublish(&streams, "o-1", &id("s1"), "live/a", "c", s(2)));
    assert_eq!(origins(&streams, "", "live/a"), [""; 0]);
    assert!(!unpublish(&streams, "o-1", &id("s1"), "live/a", "c", s(2)));
    check_empty(&streams);
}

#[test]
fn exact_names_come_before_stems_and_the_vhost_asked_for_before_the_default() {
    let streams = Streams::default();
    publish(&streams, "stem", &id("s"), "live/a", s(1));
    assert_eq!(origins(&streams, "", "live/a.flv"), ["stem"]);
    assert_eq!(origins(&streams, "v.example.com", "live/a.flv"), ["stem"]);
    publish(&streams, "exact", &id("s"), "live/a.flv", s(1));
    assert_eq!(origins(&streams, "", "live/a.flv"), ["exact"]);
    publish(&streams, "vhost", &id("s"), "v.example.com/live/a", s(1));
    assert_eq!(origins(&streams, "V.example.com", "live/a.flv"), ["vhost"]);
    assert_eq!(origins(&streams, "__defaultVhost__", "live/a.flv"), ["exact"]);
    assert_eq!(origins(&streams, "", "live/a.b.flv"), [""; 0], "one extension, not two");
}

#[test]
fn a_second_origin_is_refused_only_while_the_first_one_counts() {
    let streams = Streams::default();
    publish(&streams, "o-1", &id("s"), "live/a", s(1));
    assert_eq!(publish(&streams, "o-2", &id("s"), "live/a", s(2)), Published::Elsewhere("o-1".into()));
    assert_eq!(origins(&streams, "", "live/a"), ["o-1"]);
    let (node, identity, name) = ("o-2", &id("s"), &name("live/a"));
    let publication = Publication { node, identity, name, client: "c" };
    assert_eq!(streams.publish(publication, false, |other| other != "o-1", s(3)), Published::Here);
    assert_eq!(origins(&streams, "", "live/a"), ["o-2", "o-1"], "newest first");
    assert_eq!(
        publish_as(&streams, "o-3", &id("s"), "live/a", "x", s(3)),
        Published::Elsewhere("o-2".into())
    );
    let anywhere = streams.publish(Publication { node: "o-3", ..publication }, true, |_| true, s(4));
    assert_eq!((anywhere, streams.len()), (Published::Here, 3));
}

#[test]
fn a_publisher_that_is_refused_as_busy_does_not_end_the_stream_of_the_other() {
    let streams = Streams::default();
    publish_as(&streams, "o-1", &id("s"), "live/a", "first", s(1));
    assert_eq!(publish_as(&streams, "o-1", &id("s"), "live/a", "busy", s(2)), Published::Here);
    assert!(!unpublish(&streams, "o-1", &id("s"), "live/a", "busy", s(2)));
    assert!(!unpublish(&streams, "o-1", &id("s"), "live/a", "unheard of", s(3)));
    assert_eq!(origins(&streams, "", "live/a"), ["o-1"]);
    assert!(unpublish(&streams, "o-1", &id("s"), "live/a", "first", s(4)));
    check_empty(&streams);
}

#[test]
fn a_restart_ends_all_that_the_process_before_it_had_and_nothing_else() {
    let streams = Streams::default();
    for text in ["live/a", "live/b"] {
        publish(&streams, "o-1", &id("s1"), text, s(1));
        publish(&streams, "o-2", &Identity::new("vid-2", "s1", ""), &format!("{text}2"), s(1));
    }
    // The page shows a pid, too, which hooks do not tell: no restart.
    streams.restarted("o-1", &Identity::new("vid-1", "s1", "7"), s(2), s(2));
    assert_eq!(streams.len(), 4);
    publish(&streams, "o-1", &id("s2"), "live/c", s(3));
    assert_eq!(origins(&streams, "", "live/a"), [""; 0]);
    assert_eq!((origins(&streams, "", "live/c").len(), streams.len()), (1, 3));
    // Pages that were asked for before the restart say nothing of it.
    streams.restarted("o-1", &Identity::new("vid-1", "s1", "7"), s(2), s(4));
    streams.reconcile("o-1", &id("s1"), &list(&["live/a"], s(3)), s(4));
    assert_eq!(origins(&streams, "", "live/c"), ["o-1"]);
    assert_eq!(origins(&streams, "", "live/a"), [""; 0]);
    streams.restarted("o-1", &Identity::new("vid-1", "", "8"), s(5), s(5));
    streams.restarted("o-1", &Identity::new("vid-1", "", "9"), s(6), s(6));
    assert_eq!(origins(&streams, "", "live/c"), [""; 0]);
}

#[test]
fn a_server_that_came_back_with_another_id_ends_the_one_that_it_was() {
    let streams = Streams::default();
    publish(&streams, "o-1", &Identity::new("old", "s", ""), "live/a", s(1));
    publish(&streams, "o-1", &Identity::new("new", "s", ""), "live/b", s(10));
    assert_eq!(streams.len(), 2, "both might be there");
    streams.restarted("o-1", &Identity::new("new", "s", ""), s(39), s(39));
    assert_eq!(streams.len(), 2);
    streams.restarted("o-1", &Identity::new("new", "s", ""), s(40), s(40));
    assert_eq!((origins(&streams, "", "live/a").len(), origins(&streams, "", "live/b").len()), (0, 1));
    assert_eq!(streams.node_of(&Identity::new("old", "", "")), None);
    // Two that are both heard stay.
    publish(&streams, "o-1", &Identity::new("beside", "s", ""), "live/c", s(41));
    streams.restarted("o-1", &Identity::new("new", "s", ""), s(80), s(80));
    streams.restarted("o-1", &Identity::new("beside", "s", ""), s(81), s(81));
    assert_eq!(streams.len(), 2);
}

#[test]
fn a_list_adds_what_it_names_and_ends_what_two_in_a_row_lack() {
    let streams = Streams::default();
    publish(&streams, "o-1", &id("s"), "live/hook", s(1));
    streams.reconcile("o-1", &id("s"), &list(&["live/hook", "v/live/found"], s(2)), s(2));
    assert_eq!(origins(&streams, "v", "live/found"), ["o-1"]);
    streams.reconcile("o-1", &id("s"), &list(&["live/hook"], s(12)), s(12));
    assert_eq!(origins(&streams, "v", "live/found"), ["o-1"]);
    streams.reconcile("o-1", &id("s"), &list(&["live/hook", "v/live/found"], s(22)), s(22));
    streams.reconcile("o-1", &id("s"), &list(&["live/hook"], s(32)), s(32));
    let part = Listing { complete: false, ..list(&["live/hook"], s(42)) };
    streams.reconcile("o-1", &id("s"), &part, s(42));
    assert_eq!(
        origins(&streams, "v", "live/found"),
        ["o-1"],
        "lists that lack it were not in a row, or not whole"
    );
    streams.reconcile("o-1", &id("s"), &list(&[], s(52)), s(52));
    assert_eq!(origins(&streams, "v", "live/found"), [""; 0]);
    streams.reconcile("o-1", &id("s"), &list(&[], s(62)), s(62));
    check_empty(&streams);
}

#[test]
fn a_list_that_was_on_its_way_neither_revives_nor_ends_anything() {
    let streams = Streams::default();
    publish(&streams, "o-1", &id("s"), "live/old", s(1));
    unpublish(&streams, "o-1", &id("s"), "live/old", "c", s(5));
    publish(&streams, "o-1", &id("s"), "live/new", s(5));
    for _ in 0..3 {
        streams.reconcile("o-1", &id("s"), &list(&["live/old"], s(5)), s(6));
    }
    assert_eq!((origins(&streams, "", "live/old").len(), origins(&streams, "", "live/new").len()), (0, 1));
    streams.reconcile("o-1", &id("s"), &list(&["live/old", "live/new"], s(7)), s(7));
    assert_eq!(origins(&streams, "", "live/old"), ["o-1"], "asked for after the end: it is there again");
}

#[test]
fn a_node_that_leaves_takes_its_streams_along_and_memory_returns() {
    let streams = Streams::default();
    let empty = streams.index.capacity();
    for round in (0..3_u64).map(|round| 1_000 * round) {
        for i in 0..5_000 {
            let node = ["o-1", "o-2"][i % 2];
            publish(&streams, node, &Identity::new(node, "s", ""), &format!("live/{i}"), s(round));
        }
        assert_eq!((streams.len(), streams.index.len()), (5_000, 5_000));
        streams.tidy(|node| node == "o-2", s(round));
        assert_eq!((streams.len(), streams.index.len()), (2_500, 2_500));
        assert_eq!(streams.node_of(&Identity::new("o-1", "", "")), None);
        streams.restarted("o-2", &Identity::new("o-2", &format!("s{round}"), ""), s(round + 1), s(round + 1));
        streams.tidy(|_| true, s(round + 100));
        check_empty(&streams);
        let capacity = streams.index.capacity();
        assert!(capacity <= empty.max(1_024), "{capacity} places for nothing, {empty} at first");
    }
}

#[test]
fn the_table_is_bounded_and_who_is_in_it_stays_in_it() {
    let streams = Streams::bounded(3);
    for i in 0..3 {
        assert_eq!(publish(&streams, "o-1", &id("s"), &format!("live/{i}"), s(1)), Published::Here);
    }
    assert_eq!(publish(&streams, "o-1", &id("s"), "live/3", s(1)), Published::Full);
    assert_eq!(publish(&streams, "o-1", &id("s"), "live/0", s(2)), Published::Here);
    streams.reconcile("o-1", &id("s"), &list(&["live/0", "live/1", "live/2", "live/9"], s(3)), s(3));
    assert_eq!((streams.len(), streams.index.len()), (3, 3));
    unpublish(&streams, "o-1", &id("s"), "live/0", "c", s(4));
    assert_eq!(publish(&streams, "o-1", &id("s"), "live/3", s(4)), Published::Here);
    let many = Streams::default();
    for i in 0..=MOST_ORIGINS {
        let (node, identity, name) = (&*format!("o-{i}"), &id("s"), &name("live/a"));
        let taken = many.publish(Publication { node, identity, name, client: "c" }, true, |_| true, s(1));
        assert_eq!(taken == Published::Here, i < MOST_ORIGINS, "{i}");
    }
}

#[test]
fn an_id_that_two_nodes_share_tells_neither() {
    let streams = Streams::default();
    streams.restarted("o-1", &id("s"), s(1), s(1));
    assert_eq!(streams.node_of(&id("")).as_deref(), Some("o-1"));
    streams.restarted("o-2", &id("s"), s(1), s(1));
    assert_eq!(streams.node_of(&id("")), None);
    streams.tidy(|node| node == "o-2", s(2));
    assert_eq!(streams.node_of(&id("")).as_deref(), Some("o-2"));
    assert_eq!(streams.node_of(&Identity::default()), None);
}

#[test]
fn streams_are_listed_by_name_filtered_and_in_pages() {
    let streams = Streams::default();
    for text in ["live/b", "live/a", "v/live/c"] {
        publish(&streams, "o-1", &id("s"), text, s(1));
    }
    streams.reconcile("o-2", &Identity::new("vid-2", "", ""), &list(&["live/a"], s(1)), s(1));
    let names = |filter, start, count| {
        let (listed, total) = streams.list(filter, start, count);
        (listed.iter().map(|listed| listed.name.name().to_owned()).collect::<Vec<_>>(), total)
    };
    let all = Filter::default();
    assert_eq!(names(all, 0, 10), (["live/a", "live/b", "live/c"].map(String::from).to_vec(), 3));
    assert_eq!(names(all, 1, 1), (vec!["live/b".to_owned()], 3));
    assert_eq!(names(Filter { vhost: Some("V"), ..all }, 0, 10).0, ["live/c"]);
    assert_eq!(names(Filter { vhost: Some(""), name: Some("/b"), ..all }, 0, 10).0, ["live/b"]);
    assert_eq!(names(Filter { node: Some("o-2"), ..all }, 0, 10).0, ["live/a"]);
    let (listed, _) = streams.list(Filter { name: Some("live/a"), ..all }, 0, 1);
    let sources: Vec<_> = listed[0].origins.iter().map(|origin| (&*origin.node, origin.source)).collect();
    assert_eq!(sources, [("o-1", Source::Hook), ("o-2", Source::List)]);
}

#[test]
fn identities_of_pages_are_read_and_no_srs_has_none() {
    assert_eq!(Identity::of_page("vid-1/-/77"), Some(Identity::new("vid-1", "", "77")));
    assert_eq!(Identity::of_page("srs"), None);
    assert_eq!(Identity::of_page("-/-/77"), None);
    assert_eq!(Identity::new(&"x".repeat(LONGEST_PART + 1), "", ""), Identity::default());
}
