//! Tests of whole files. Units and suggestions are tested where they live.

mod errors;
mod example;
mod render;

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

/// The shortest configuration there is, with more lines for each of its tables.
#[derive(Default)]
struct File {
    /// Whole sections.
    top: &'static str,
    pool: &'static str,
    node: &'static str,
    domain: &'static str,
}

impl File {
    fn text(&self) -> String {
        let Self { top, pool, node, domain } = self;
        format!(
            "[[pools]]\nname = \"edges\"\n{pool}\n\
             [[nodes]]\nid = \"sh-1\"\npool = \"edges\"\naddresses = [\"203.0.113.10\"]\n{node}\n\
             [[domains]]\nname = \"live.example.com\"\npool = \"edges\"\n{domain}\n{top}\n"
        )
    }

    #[track_caller]
    fn read(&self) -> Config {
        parse(&self.text())
    }
}

#[track_caller]
fn parse(text: &str) -> Config {
    Config::parse(text, "nearcast.toml").unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn shortest_file_has_the_documented_defaults() {
    let config = File::default().read();
    let server = Server {
        listen: "0.0.0.0:8080".parse().unwrap(),
        admin_listen: "127.0.0.1:8081".parse().unwrap(),
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        client_address_header: ClientAddressHeader::XForwardedFor,
        log_client_addresses: LoggedAddresses::Masked,
        workers: 0,
        admin_token_file: None,
        drain_delay_ms: 0,
        tls: None,
    };
    assert_eq!(config.server, server);
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.dialects, Dialects { dnspod: true, alibaba: true });
    assert_eq!(config.geoip, Geoip::default());
    let scrape =
        Scrape { interval_ms: 10_000, timeout_ms: 3_000, body_limit_bytes: 4_194_304, concurrency: 128 };
    assert_eq!(config.scrape, scrape);
    assert_eq!(config.exporters, Exporters::default());
    let scheduler = Scheduler {
        congestion_km: 10.0,
        affinity_km: 40.0,
        price_km: 100.0,
        isp_km: 300.0,
        distance_budget_km: None,
        replicas: 0,
        booking: true,
        rtt_secret_file: None,
        state_file: None,
        default_bitrate_mbps: 3.0,
        assumed_bandwidth_mbps: 1_000.0,
        ttl_s: (5, 60),
    };
    assert_eq!(config.scheduler, scheduler);
    let pool = Pool {
        name: "edges".into(),
        on_overload: OnOverload::Serve,
        upstream: None,
        thresholds: Thresholds::default(),
        relief: None,
    };
    assert_eq!(config.pools, [pool]);
    assert_eq!(config.domains[0].policy, PolicyKind::default());
    let node = &config.nodes[0];
    assert_eq!((&*node.id, &*node.pool, &*node.pop), ("sh-1", "edges", "sh-1"));
    assert_eq!((node.role, node.weight, node.bandwidth_mbps), (Role::Edge, 1.0, None));
    assert_eq!((&node.ipv4[..], &node.ipv6[..]), (&[Ipv4Addr::new(203, 0, 113, 10)][..], &[][..]));
    assert_eq!((node.location, node.price, node.isps.len()), (None, 1.0, 0));
    assert!(config.pops.is_empty());
    assert_eq!(node.thresholds, Thresholds::default());
    assert!(node.exporters.is_empty() && node.processes.is_empty() && node.interfaces.is_empty());
}

#[test]
fn every_section_is_read() {
    let config = File {
        top: r#"
            [server]
            listen = "[::]:80"
            admin_listen = "[::1]:81"
            trusted_proxies = ["10.0.0.0/8", "192.0.2.7"]
            client_address_header = "forwarded"
            log_client_addresses = "full"
            workers = 4
            [geoip]
            databases = ["city.mmdb", "/var/lib/city6.mmdb"]
            default_location = { latitude = 31, longitude = 121.5 }
            [[geoip.overrides]]
            network = "198.51.100.0/24"
            pop = "shanghai"
            isp = "example telecom"
            [scrape]
            interval = "1.5s"
            body_limit = "1MiB"
            concurrency = 7
            allowed_networks = ["10.0.0.0/8", "192.0.2.7"]
            [scheduler]
            congestion_km = 0
            affinity_km = 12.5
            replicas = 3
            booking = false
            default_bitrate = "1500kbps"
            assumed_bandwidth = "2.5Gbps"
            ttl_min = "10s"
            ttl_max = "10s"
        "#,
        node: r#"
            pop = "shanghai"
            role = "turn"
            weight = 0.5
            bandwidth = "10Gbps"
            location = { latitude = 31.23, longitude = 121.47 }
            media = { rtmp = 1935, https = 443 }
            exporters = ["http://10.0.0.1:9100/metrics", "HTTPS://edge.example.net"]
            processes = ["srs", "nginx"]
            interfaces = ["eth0"]
        "#,
        domain: "policy = \"least_load\"",
        ..File::default()
    }
    .read();
    assert_eq!(config.server.listen, "[::]:80".parse().unwrap());
    assert_eq!(config.server.trusted_proxies[1], "192.0.2.7/32".parse().unwrap());
    assert_eq!(config.server.client_address_header, ClientAddressHeader::Forwarded);
    assert_eq!(config.server.log_client_addresses, LoggedAddresses::Full);
    assert_eq!(config.server.workers, 4);
    assert_eq!(config.geoip.databases, [PathBuf::from("city.mmdb"), PathBuf::from("/var/lib/city6.mmdb")]);
    assert_eq!(config.geoip.default_location, Location::new(31.0, 121.5).ok());
    let known = &config.geoip.overrides[0];
    assert_eq!((known.pop.as_deref(), known.isp.as_deref()), (Some("shanghai"), Some("example telecom")));
    // The default timeout gives way to a shorter interval.
    assert_eq!((config.scrape.interval_ms, config.scrape.timeout_ms), (1_500, 1_500));
    assert_eq!((config.scrape.body_limit_bytes, config.scrape.concurrency), (1 << 20, 7));
    let networks = ["10.0.0.0/8", "192.0.2.7/32"].map(|network| network.parse().unwrap());
    assert_eq!(config.exporters.allowed_networks, Networks::new(networks.to_vec()));
    assert_eq!((config.scheduler.congestion_km, config.scheduler.affinity_km), (0.0, 12.5));
    assert_eq!(config.scheduler.default_bitrate_mbps, 1.5);
    assert_eq!(config.scheduler.assumed_bandwidth_mbps, 2_500.0);
    assert_eq!((config.scheduler.replicas, config.scheduler.ttl_s), (3, (10, 10)));
    assert!(!config.scheduler.booking);
    let node = &config.nodes[0];
    assert_eq!((node.role, node.weight, node.bandwidth_mbps), (Role::Turn, 0.5, Some(10_000.0)));
    assert_eq!((node.ports.rtmp, node.ports.https, node.ports.rtc), (Some(1935), Some(443), None));
    assert_eq!(&*node.exporters[1], "HTTPS://edge.example.net");
    assert_eq!(config.domains[0].policy, PolicyKind::LeastLoad);
}

#[test]
fn optional_terms_are_read() {
    let config = File {
        top: r#"
            [scheduler]
            price_km = 50
            isp_km = 0
            distance_budget_km = 10
            [thresholds]
            bandwidth = 0.7
            [[pops]]
            name = "sh-1"
            uplink = "40Gbps"
        "#,
        node: "price = 0\nisps = [\"Telecom\", \"AS4837\"]",
        ..File::default()
    }
    .read();
    let scheduler = config.scheduler;
    assert_eq!((scheduler.price_km, scheduler.isp_km, scheduler.distance_budget_km), (50.0, 0.0, Some(10.0)));
    assert_eq!(config.pops, [Pop { name: "sh-1".into(), uplink_mbps: Some(40_000.0), limit: 0.7 }]);
    let node = &config.nodes[0];
    assert_eq!((node.price, &*node.isps[0], node.isps.len()), (0.0, "Telecom", 2));
    assert_eq!(config.geoip.isps, [Box::from("as4837"), "telecom".into()]);
}

#[test]
fn a_pops_location_is_that_of_its_nodes_without_one() {
    const PLACE: &str = "[[pops]]\nname = \"sh-1\"\nlocation = { latitude = 1, longitude = 2 }";
    const OWN: &str = "location = { latitude = 3, longitude = 4 }";
    let located = |node| File { top: PLACE, node, ..File::default() }.read().nodes[0].location;
    assert_eq!((located(""), located(OWN)), (Location::new(1.0, 2.0).ok(), Location::new(3.0, 4.0).ok()));
}

#[test]
fn names_of_domains_are_brought_to_one_form() {
    let text = File::default().text().replace("live.example.com", "Live.EXAMPLE.com.");
    assert_eq!(&*parse(&text).domains[0].name, "live.example.com");
}

#[test]
fn addresses_keep_their_order_in_each_family() {
    let text = File::default().text();
    let text = text
        .replace("\"203.0.113.10\"", "\"2001:db8::2\", \"203.0.113.9\", \"2001:db8::1\", \"203.0.113.1\"");
    let node = &parse(&text).nodes[0];
    assert_eq!(node.ipv4, [Ipv4Addr::new(203, 0, 113, 9), Ipv4Addr::new(203, 0, 113, 1)]);
    let v6: [Ipv6Addr; 2] = ["2001:db8::2".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    assert_eq!(node.ipv6, v6);
}

#[test]
fn file_with_bom_and_windows_line_ends_is_read() {
    let text = format!("\u{feff}{}", File::default().text().replace('\n', "\r\n"));
    assert_eq!(parse(&text), File::default().read());
}

/// The CPU limit of the one node in a file.
#[track_caller]
fn check_layers(top: &'static str, pool: &'static str, node: &'static str, system_cpu: f64) {
    let config = File { top, pool, node, domain: "" }.read();
    assert_eq!(config.nodes[0].thresholds.system_cpu, system_cpu);
    // What no layer names shows through from the bottom.
    assert_eq!(config.nodes[0].thresholds.memory, Thresholds::default().memory);
}

#[test]
fn later_layer_of_thresholds_beats_the_earlier() {
    const ALL: &str = "[thresholds]\nsystem_cpu = 0.5";
    const POOL: &str = "thresholds = { system_cpu = 0.4 }";
    const NODE: &str = "thresholds = { system_cpu = 0.3 }";
    check_layers("", "", "", 0.8);
    check_layers("", "", "role = \"rtc\"", 0.6);
    check_layers("", "profile = \"rtc\"", "", 0.6);
    check_layers(ALL, "", "", 0.5);
    check_layers(ALL, POOL, "", 0.4);
    check_layers(ALL, POOL, NODE, 0.3);
    check_layers("", POOL, "role = \"rtc\"", 0.4);
    check_layers("", "profile = \"rtc\"\nthresholds = { bandwidth = 1 }", "", 0.6);
}

#[test]
fn written_thresholds_beat_the_profile_of_rtc_nodes() {
    check_layers("[thresholds]\nsystem_cpu = 0.85", "", "role = \"rtc\"", 0.85);
    check_layers("[thresholds]\nsystem_cpu = 0.85", "profile = \"rtc\"", "", 0.85);
    // Only what was written: the other limits keep the profile.
    check_layers("[thresholds]\nprocess_cpu = 0.85", "", "role = \"turn\"", 0.6);
}

#[test]
fn fallback_names_another_pool_and_chains_may_end() {
    let more = r#"
        [[pools]]
        name = "b"
        on_overload = "fallback"
        fallback = "c"
        [[pools]]
        name = "c"
        on_overload = "refuse"
        [[nodes]]
        id = "b"
        pool = "b"
        addresses = ["203.0.113.11"]
        [[nodes]]
        id = "c"
        pool = "c"
        addresses = ["203.0.113.12"]
    "#;
    let config =
        File { top: more, pool: "on_overload = \"fallback\"\nfallback = \"b\"", ..File::default() }.read();
    let ways: Vec<_> = config.pools.iter().map(|pool| pool.on_overload.clone()).collect();
    assert_eq!(
        ways,
        [OnOverload::Fallback("b".into()), OnOverload::Fallback("c".into()), OnOverload::Refuse]
    );
}

#[test]
fn load_takes_relative_paths_from_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nearcast.toml");
    let file = File {
        top: "[geoip]\ndatabases = [\"geo/city.mmdb\", \"/a/b.mmdb\"]\n[scheduler]\nrtt_secret_file = \"rtt.secret\"\nstate_file = \"state.json\"",
        ..File::default()
    };
    std::fs::write(&path, file.text()).unwrap();
    let config = Config::load(&path).unwrap();
    assert_eq!(config.scheduler.rtt_secret_file, Some(folder.path().join("rtt.secret")));
    assert_eq!(config.scheduler.state_file, Some(folder.path().join("state.json")));
    assert_eq!(config.geoip.databases, [folder.path().join("geo/city.mmdb"), PathBuf::from("/a/b.mmdb")]);
}

#[test]
fn load_names_the_file_that_it_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent.toml");
    let errors = Config::load(&path).unwrap_err();
    assert!(errors.errors()[0].message.starts_with("cannot read it: "), "{errors}");
    assert!(errors.to_string().ends_with(&format!("1 error in {}", path.display())), "{errors}");

    let path = folder.path().join("latin1.toml");
    std::fs::write(&path, b"# ok\n# caf\xe9\n").unwrap();
    assert_eq!(
        Config::load(&path).unwrap_err().errors()[0].message,
        "line 2 is not UTF-8, which TOML has to be"
    );
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    for text in [
        format!("a = {}", "[".repeat(50_000)),
        format!("a = {}", "{a=".repeat(50_000)),
        format!("{}b = 1", "a.".repeat(50_000)),
    ] {
        assert!(Config::parse(&text, "x").is_err());
    }
}
