use super::*;
use crate::schedule::reading::{HostReading, ProcessCpu, ProcessReading};

const NODE_PAGE: &str = include_str!("../../../tests/fixtures/exporters/node_exporter_full.txt");
const NODE_CPU_NETDEV: &str = include_str!("../../../tests/fixtures/exporters/node_exporter_cpu_netdev.txt");
const PROCESS_PAGE: &str = include_str!("../../../tests/fixtures/exporters/process_exporter.txt");
const SRS_EDGE: &str = include_str!("../../../tests/fixtures/exporters/srs_edge.txt");
const SRS_ORIGIN: &str = include_str!("../../../tests/fixtures/exporters/srs_origin.txt");

fn focus(processes: &[&str], interfaces: &[&str]) -> Focus {
    let boxed = |names: &[&str]| names.iter().map(|name| Box::from(*name)).collect();
    let authority = "192.0.2.1:7880".into();
    Focus { processes: boxed(processes), interfaces: boxed(interfaces), authority, published: None }
}

#[track_caller]
fn reading(page: &str) -> Reading {
    read(page.as_bytes(), &focus(&[], &[])).unwrap().reading
}

#[track_caller]
fn check_failure(page: &str, focus: &Focus, expected: &str) {
    assert_eq!(read(page.as_bytes(), focus).unwrap_err().to_string(), expected);
}

#[test]
fn every_metric_has_its_bit() {
    assert!(METRICS.len() <= 64);
    assert!(METRICS.windows(2).all(|pair| pair[0] < pair[1]));
    for (_, metrics) in node_exporter::COLLECTORS {
        assert!(metrics.iter().all(|name| node_exporter::METRICS.contains(name)));
    }
}

#[test]
fn node_exporter_page_tells_the_machine() {
    let page = reading(NODE_PAGE);
    let host = page.host.unwrap();
    assert_eq!(page.clock_s, Some(1_795_377_637.149_016_1));
    assert_eq!(host.cpus, 2);
    assert!((host.idle_s - (781.91 + 686.07)).abs() < 1e-9);
    assert!((host.iowait_s - (5.46 + 8.98)).abs() < 1e-9);
    assert!((host.steal_s - (1.94 + 1.78)).abs() < 1e-9);
    let (mount, share) = host.fullest_disk.clone().unwrap();
    assert_eq!(&*mount, "/");
    assert!((share - 0.227_85).abs() < 1e-4, "{share}");
    let expected = HostReading {
        boot_time_s: Some(1.795375879e9),
        // Two ifb devices stand beside eth0; the card says −125000 bytes/s, which is no speed.
        transmit_bytes: Some(8.609027e6),
        receive_bytes: Some(2.253773373e9),
        link_bytes_per_s: None,
        memory_total_bytes: Some(2.5276502016e10),
        memory_available_bytes: Some(2.440484864e10),
        disk_io_s: vec![("vda".into(), 35.532_000_000_000_004)],
        udp_receive_drops: Some(0.0),
        udp_send_drops: Some(0.0),
        load1: Some(1.91),
        tcp_passive_opens: Some(5293.0),
        ..host.clone()
    };
    assert_eq!(host, expected);
    // The exporter's own process_cpu_seconds_total is on that page too.
    assert_eq!(page.processes, []);
    assert_eq!(page.media, None);
}

#[test]
fn a_page_asked_for_two_collectors_tells_what_they_tell() {
    let host = reading(NODE_CPU_NETDEV).host.unwrap();
    assert_eq!(host.cpus, 2);
    assert!(host.transmit_bytes.is_some());
    assert_eq!((host.boot_time_s, host.load1, host.fullest_disk), (None, None, None));
}

#[test]
fn a_machine_with_nothing_but_loopback_tells_no_transmit() {
    let page: String =
        NODE_PAGE.lines().filter(|line| !line.contains("\"eth0\"")).map(|l| format!("{l}\n")).collect();
    let host = reading(&page).host.unwrap();
    assert_eq!((host.transmit_bytes, host.receive_bytes, host.link_bytes_per_s), (None, None, None));
}

#[test]
fn configured_interfaces_are_counted_and_no_others() {
    let of = |interfaces: &[&str]| {
        let page = read(NODE_PAGE.as_bytes(), &focus(&[], interfaces)).unwrap();
        page.reading.host.unwrap().transmit_bytes
    };
    assert_eq!(of(&["ifb0"]), Some(0.0));
    assert_eq!(of(&["eth0", "eth9"]), Some(8.609027e6));
    assert_eq!(of(&["eth9"]), None);
}

#[test]
fn link_speeds_are_summed_where_they_are_known() {
    let page = "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 1\n\
        node_network_speed_bytes{device=\"eth0\"} 1.25e+09\n\
        node_network_speed_bytes{device=\"eth1\"} -125000\n\
        node_network_speed_bytes{device=\"docker0\"} 1.25e+09\n\
        node_network_transmit_bytes_total{device=\"docker0\"} 7\n\
        node_network_transmit_bytes_total{device=\"eth0\"} 10\n\
        node_network_transmit_bytes_total{device=\"eth1\"} 20\n";
    let host = reading(page).host.unwrap();
    assert_eq!((host.link_bytes_per_s, host.transmit_bytes), (Some(1.25e9), Some(30.0)));
}

#[test]
fn process_exporter_page_tells_running_groups_and_process_ids() {
    let page = reading(PROCESS_PAGE);
    let found: Vec<_> = page.processes.iter().map(|p| (&*p.name, p.pid, p.processes)).collect();
    // Group "sleep" has no process any more; the exporter's own process_cpu_seconds_total is no group.
    let expected = [
        ("bash", Some(1314), 1),
        ("bash", Some(4639), 1),
        ("bash", Some(4640), 1),
        ("curl", None, 1),
        ("prometheus-proc", None, 1),
    ];
    assert_eq!(found, expected);
    let curl = ProcessReading {
        name: "curl".into(),
        pid: None,
        cpu: ProcessCpu::Seconds(0.01),
        processes: 1,
        start_time_s: Some(1.795378757e9),
    };
    assert_eq!(page.processes[3], curl);
    assert_eq!((page.host, page.media, page.clock_s), (None, None, None));
}

#[test]
fn only_listed_groups_are_media_processes() {
    let names = |processes: &[&str]| {
        let page = read(PROCESS_PAGE.as_bytes(), &focus(processes, &[])).unwrap();
        page.reading.processes.iter().map(|p| (p.name.to_string(), p.pid)).collect::<Vec<_>>()
    };
    assert_eq!(names(&["curl"]), [("curl".into(), None)]);
    assert_eq!(names(&["bash", "curl"]).len(), 4);
    // A name that is listed as it stands is a name, digits and all.
    assert_eq!(names(&["bash:1314"]), [("bash:1314".into(), None)]);
    let expected = "missing_metric: no running process group is named srs or nginx";
    check_failure(PROCESS_PAGE, &focus(&["srs", "nginx"], &[]), expected);
    check_failure(
        PROCESS_PAGE,
        &focus(&["sleep"], &[]),
        "missing_metric: no running process group is named sleep",
    );
}

#[test]
fn several_processes_in_one_group_have_no_process_id() {
    let page = "namedprocess_namegroup_cpu_seconds_total{groupname=\"srs:2\",mode=\"system\"} 1\n\
        namedprocess_namegroup_cpu_seconds_total{groupname=\"srs:2\",mode=\"user\"} 2.5\n\
        namedprocess_namegroup_num_procs{groupname=\"srs:2\"} 3\n";
    let expected = ProcessReading {
        name: "srs:2".into(),
        pid: None,
        cpu: ProcessCpu::Seconds(3.5),
        processes: 3,
        start_time_s: None,
    };
    assert_eq!(reading(page).processes, [expected]);
}

#[test]
fn a_group_with_an_odd_name_matters_only_where_it_counts() {
    let page = "namedprocess_namegroup_cpu_seconds_total{groupname=\"a,b\",mode=\"user\"} 1\n\
        namedprocess_namegroup_cpu_seconds_total{groupname=\"srs\",mode=\"user\"} 2\n";
    let expected = "parse: line 1: namedprocess_namegroup_cpu_seconds_total{groupname=\"a,b\",mode=\"user\"} \
        cannot be represented: label groupname=\"a,b\" was lost or changed";
    check_failure(page, &focus(&[], &[]), expected);
    assert_eq!(read(page.as_bytes(), &focus(&["srs"], &[])).unwrap().reading.processes.len(), 1);
}

#[test]
fn srs_page_tells_clients_bytes_and_its_one_process() {
    let page = reading(SRS_ORIGIN);
    let media = page.media.unwrap();
    assert_eq!(&*media.identity, "vid-8970ilt/26x95x31/31631");
    assert_eq!((media.clients, media.clients_total), (Some(4.0), Some(4.0)));
    assert_eq!((media.send_bytes, media.receive_bytes), (Some(7_814_165.0), Some(4_326_234.0)));
    let srs = ProcessReading {
        name: "srs".into(),
        pid: Some(31631),
        cpu: ProcessCpu::Cores(0.01),
        processes: 1,
        start_time_s: None,
    };
    assert_eq!(page.processes, [srs]);
    assert_eq!(&*reading(SRS_EDGE).media.unwrap().identity, "vid-z85ao80/74592135/30897");
}

#[test]
fn a_page_may_be_several_exporters_at_once() {
    let page = reading(&format!("{SRS_EDGE}{NODE_PAGE}"));
    assert!(page.host.is_some() && page.media.is_some());
    assert_eq!(page.processes.iter().map(|p| &*p.name).collect::<Vec<_>>(), ["srs"]);
}

#[test]
fn a_client_library_tells_its_own_process() {
    let page = "go_goroutines 7\nprocess_cpu_seconds_total 12.5\nprocess_start_time_seconds 1.7e9\n";
    let expected = ProcessReading {
        name: "192.0.2.1:7880".into(),
        pid: None,
        cpu: ProcessCpu::Seconds(12.5),
        processes: 1,
        start_time_s: Some(1.7e9),
    };
    assert_eq!(reading(page).processes, [expected]);
}

#[test]
fn an_exporter_about_something_else_is_no_media_process() {
    let missing =
        "missing_metric: nothing of node_exporter, process exporter, SRS or process_cpu_seconds_total";
    for name in ["redis", "blackbox", "nginx"] {
        let page = format!("{name}_exporter_build_info{{version=\"1\"}} 1\nprocess_cpu_seconds_total 12.5\n");
        check_failure(&page, &focus(&[], &[]), missing);
    }
    let page = "process_cpu_seconds_total 1\nnode_exporter_build_info{version=\"1,5\"} 1\n";
    check_failure(page, &focus(&[], &[]), "missing_metric: node_cpu_seconds_total");
    let page = "process_cpu_seconds_total 1\nnamedprocess_scrape_errors 0\n";
    check_failure(page, &focus(&[], &[]), "missing_metric: no running process group");
}

#[test]
fn numbers_that_cannot_be_are_named() {
    check_failure(
        "process_cpu_seconds_total -1\n",
        &focus(&[], &[]),
        "parse: counter process_cpu_seconds_total is -1, below 0",
    );
    check_failure(
        "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} NaN\n",
        &focus(&[], &[]),
        "parse: node_cpu_seconds_total is NaN, not a finite number",
    );
    check_failure("srs_clients +Inf\n", &focus(&[], &[]), "parse: srs_clients is inf, not a finite number");
}

#[test]
fn bodies_that_are_no_page_are_parse_failures() {
    for (body, expected) in [
        ("{\"code\":1090,\"data\":null}", "parse: the media server's API answers code 1090"),
        ("<html>", "parse: page is HTML, not exposition text"),
        ("hello\n", "parse: page is not exposition text: line 1 is \"hello\""),
        ("m 1", "parse: page ends in the middle of a line"),
    ] {
        check_failure(body, &focus(&[], &[]), expected);
    }
    let missing =
        "missing_metric: nothing of node_exporter, process exporter, SRS or process_cpu_seconds_total";
    check_failure("", &focus(&[], &[]), missing);
}

#[test]
fn what_a_page_shows_tells_whether_it_may_be_asked_for_less() {
    let shown = |page: &str| read(page.as_bytes(), &focus(&[], &[])).unwrap().shown;
    assert!(shown(NODE_PAGE).is_plain_node_exporter());
    assert!(!shown(SRS_EDGE).is_plain_node_exporter());
    assert!(!shown(PROCESS_PAGE).is_plain_node_exporter());
    assert!(!shown(&format!("{SRS_EDGE}{NODE_PAGE}")).is_plain_node_exporter());
    assert!(shown(NODE_CPU_NETDEV).is_within(shown(NODE_PAGE)));
    assert!(!shown(NODE_PAGE).is_within(shown(NODE_CPU_NETDEV)));
}

proptest::proptest! {
    #[test]
    fn a_damaged_page_never_panics(
        at in proptest::prelude::any::<proptest::sample::Index>(),
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 1..60),
        which in 0..3_usize,
    ) {
        let mut page = [PROCESS_PAGE, SRS_EDGE, NODE_CPU_NETDEV][which].as_bytes().to_vec();
        let start = at.index(page.len());
        let end = (start + bytes.len()).min(page.len());
        page.splice(start..end, bytes);
        let _ = read(&page, &focus(&[], &[]));
    }
}
