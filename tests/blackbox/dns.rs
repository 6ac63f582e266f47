//! DNS by `kdig`, a real client, over UDP, TCP and TLS; what is not a matter of sockets stands in `src/dns/tests.rs`.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::stage::{
    CHICAGO, Edge, LONDON, NEW_YORK, TOKYO, ips, live, resolve, scrape_each, start_scraped_twice,
};
use super::support::{Service, eventually, get_with};

/// Two zones, one of which has the domain of the stage in it.
const ZONES: &str = r#"
[dns]
listen = "127.0.0.1:0"
nsid = "black-box"

[[dns.zones]]
apex = "example.com"
ns = ["ns1.example.net"]
soa = { serial = 7, negative_ttl = "45s" }
records = [
  "www 60 A 192.0.2.80",
  "long 60 TXT LONG",
  "deep.below 60 TXT here",
  "@ 300 CAA 0 issue \"ca.example.net\"",
  "@ 300 MX 10 mail.example.net.",
]
"#;

fn with_zones(edges: &[Edge]) -> String {
    let long: Vec<String> = (0..8).map(|_| format!("\\\"{}\\\"", "x".repeat(200))).collect();
    format!("{}{}", live(&scrape_each(500), edges), ZONES.replace("LONG", &long.join(" ")))
}

/// What `kdig` prints of a query to the service.
fn kdig(server: SocketAddr, arguments: &[&str]) -> String {
    ask_by(("kdig", "knot-dnsutils"), server, arguments)
}

/// What a program of a Debian package prints.
fn ask_by((program, package): (&str, &str), server: SocketAddr, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args([&format!("@{}", server.ip()), "-p", &server.port().to_string()])
        .args(["+time=5", "+retry=0"])
        .args(arguments)
        .output()
        .unwrap_or_else(|error| {
            panic!("{program} is missing ({error}); install it: apt-get install -y {package}")
        });
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[tokio::test]
async fn kdig_is_answered_by_every_rule() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let config = with_zones(&edges)
        .replace("processes =", "media = { rtmp = 1936, https = 8443 }\nprocesses =")
        .replace("nsid =", "alpn = [\"h2\"]\nnsid =");
    let service = start_scraped_twice(&config, &edges).await;
    let table: &[(&[&str], &[&str])] = &[
        (&["live.example.com", "A"], &["status: NOERROR", "Flags: qr aa rd;", "203.0.113.1"]),
        (&["live.example.com", "AAAA"], &["status: NOERROR", "ANSWER: 0", "SOA", "hostmaster.example.com."]),
        (&["nothing.example.com", "A"], &["status: NXDOMAIN", "Flags: qr aa rd;", "45\tIN\tSOA"]),
        (&["below.example.com", "TXT"], &["status: NOERROR", "ANSWER: 0", "45\tIN\tSOA"]),
        (&["deep.below.example.com", "TXT"], &["\"here\""]),
        (&["www.example.com", "A"], &["192.0.2.80"]),
        (&["example.com", "NS"], &["ns1.example.net."]),
        (&["example.com", "SOA"], &["ns1.example.net. hostmaster.example.com. 7 7200 900 1209600 45"]),
        (&["example.com", "CAA"], &["0 issue \"ca.example.net\""]),
        (&["example.com", "MX"], &["10 mail.example.net."]),
        (&["live.example.com", "HTTPS"], &["1 . alpn=h2 port=8443 ipv4hint=203.0.113.1"]),
        (&["_8443._https.live.example.com", "HTTPS"], &["1 live.example.com. alpn=h2 ipv4hint=203.0.113.1"]),
        (
            &["_rtmp._tcp.live.example.com", "SRV"],
            &["1 0 1936 chicago-1.nodes.example.com.", "ADDITIONAL: 1"],
        ),
        (&["chicago-1.nodes.example.com", "A"], &["203.0.113.1"]),
        (&["chicago-2.nodes.example.com", "A"], &["status: NXDOMAIN"]),
        (&["www.example.com", "SRV"], &["status: NOERROR", "ANSWER: 0", "45\tIN\tSOA"]),
        (&["example.com", "ANY"], &["HINFO", "RFC8482"]),
        (&["example.com", "CH", "TXT"], &["status: REFUSED"]),
        (&["example.org", "A"], &["status: REFUSED"]),
        (&["live.example.com", "A", "+edns=1"], &["BADVERS"]),
        (&["live.example.com", "A", "+edns"], &["1232 B"]),
        (&["live.example.com", "A", "+nsid"], &["black-box"]),
        (&["live.example.com", "A", "+cookie"], &["COOKIE:"]),
        (&["live.example.com", "A", "+subnet=8.8.8.0/24"], &["CLIENT-SUBNET: 8.8.8.0/24/"]),
        (&["www.example.com", "A", "+subnet=8.8.8.0/24"], &["CLIENT-SUBNET: 8.8.8.0/24/0"]),
        (&["live.example.com", "A", "+subnet=0.0.0.0/0"], &["CLIENT-SUBNET: 0.0.0.0/0/0", "203.0.113.1"]),
        (&["live.example.com", "A", "+subnet=2001:db8::/48"], &["CLIENT-SUBNET: 2001:db8::/48/"]),
        (&["long.example.com", "TXT", "+ignore"], &["Flags: qr aa tc rd;", "ANSWER: 0"]),
        (&["long.example.com", "TXT"], &["ANSWER: 1", "(TCP)"]),
        (&["live.example.com", "A", "+tcp"], &["203.0.113.1", "(TCP)"]),
    ];
    for (arguments, parts) in table {
        let said = kdig(service.dns(), arguments);
        for part in *parts {
            assert!(said.contains(part), "{arguments:?} lacks {part:?}:\n{said}");
        }
    }
    let metrics = service.admin("/metrics").await.body;
    for line in [
        "nearcast_dns_replies_total{transport=\"udp\",rcode=\"nxdomain\"} 2",
        "nearcast_dns_replies_total{transport=\"udp\",rcode=\"badvers\"} 1",
        "nearcast_dns_replies_total{transport=\"tcp\",rcode=\"noerror\"} 2",
        "nearcast_dns_client_subnet_replies_total 2",
        "nearcast_dns_limited_total{action=\"drop\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line:?} in\n{metrics}");
    }
}

/// What `kdig` cannot ask for, or does not show: letter case, broken queries, cookies that come back.
#[tokio::test]
async fn dig_is_answered_by_every_rule() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let service = start_scraped_twice(&with_zones(&edges), &edges).await;
    let dig = |arguments: &[&str]| ask_by(("dig", "bind9-dnsutils"), service.dns(), arguments);
    let table: &[(&[&str], &[&str])] = &[
        (
            &["LiVe.eXaMpLe.CoM", "A"],
            &[";LiVe.eXaMpLe.CoM.", "\nLiVe.eXaMpLe.CoM.", "flags: qr aa rd;", "(good)"],
        ),
        (&["live.example.com", "A", "+noedns", "+norec"], &["flags: qr aa;", "ADDITIONAL: 0", "203.0.113.1"]),
        (&["live.example.com", "A", "+opcode=STATUS"], &["opcode: STATUS, status: NOTIMP"]),
        (&["live.example.com", "A", "+header-only"], &["status: FORMERR"]),
        (&["live.example.com", "A", "+edns=7", "+noednsnegotiation"], &["status: BADVERS"]),
        // An unknown option is nobody's fault; a subnet with a scope, or with bits after its prefix, and half a cookie are.
        (&["live.example.com", "A", "+ednsopt=65001:00"], &["status: NOERROR", "203.0.113.1"]),
        (&["live.example.com", "A", "+ednsopt=8:00011818080808"], &["status: FORMERR"]),
        (&["live.example.com", "A", "+ednsopt=8:00011700080809"], &["status: FORMERR"]),
        (&["live.example.com", "A", "+nocookie", "+ednsopt=10:0011223344"], &["status: FORMERR"]),
        (&["long.example.com", "TXT", "+bufsize=512", "+ignore"], &["flags: qr aa tc rd;", "ANSWER: 0"]),
        (&["long.example.com", "TXT", "+bufsize=512"], &["Truncated, retrying in TCP", "ANSWER: 1"]),
        (&["long.example.com", "TXT", "+bufsize=4096", "+ignore"], &["flags: qr aa tc rd;", "udp: 1232"]),
        (&["example.com", "AXFR"], &["Transfer failed"]),
        (&["example.com", "NS", "+dnssec"], &["flags: do; udp: 1232", "ns1.example.net."]),
    ];
    for (arguments, parts) in table {
        let said = dig(arguments);
        for part in *parts {
            assert!(said.contains(part), "{arguments:?} lacks {part:?}:\n{said}");
        }
    }
    // The scope is the network for which the answer holds: that which the database knows.
    let said = dig(&["live.example.com", "A", "+subnet=8.8.8.0/24"]);
    let known = service.admin("/geo?ip=8.8.8.8").await.json();
    let prefix = known["network"].as_str().and_then(|network| network.rsplit('/').next()).unwrap().to_owned();
    assert!(said.contains(&format!("CLIENT-SUBNET: 8.8.8.0/24/{prefix}\n")), "{known}\n{said}");
}

/// One decision for all: a thousand clients from everywhere get the same first edge by whatever way they ask.
// On a thread of their own, the edges go on showing their pages while this one waits for kdig.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thousand_clients_are_sent_to_the_same_edge_by_http_dns_and_dns_over_https() {
    let edges = Edge::start_each(&[CHICAGO, NEW_YORK, LONDON, TOKYO]).await;
    // Unbooked, so that asking twice is asking the same.
    let config = with_zones(&edges).replace("nsid =", "answers = 1\nnsid =");
    let config = format!("[scheduler]\nbooking = false\n\n{config}");
    let service = start_scraped_twice(&config, &edges).await;
    let numbers = (0..u32::MAX).map(|number| number.wrapping_mul(0x9e37_79b9) >> 8 << 8 | 1);
    let mut clients = Vec::new();
    for client in numbers.map(|number| IpAddr::from(number.to_be_bytes())) {
        let answer = resolve(&service, &format!("ip={client}")).await;
        // Who has no place is spread at random.
        if answer["reason"] != "geo_unknown" {
            clients.push((client, ips(&answer)[0].to_owned()));
        }
        if clients.len() == 1_000 {
            break;
        }
    }
    let subnets: Vec<String> = clients.iter().map(|(client, _)| format!("+subnet={client}/24")).collect();
    let question = |subnet| ["live.example.com", "A", "+short", subnet];
    let said = kdig(service.dns(), &subnets.iter().flat_map(|subnet| question(subnet)).collect::<Vec<_>>());
    let addresses: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(addresses.len(), clients.len(), "not every client was answered");
    let mut seen = std::collections::BTreeSet::new();
    let url = service.player_url("/dns-query?name=live.example.com&type=A");
    for ((client, by_http), by_dns) in clients.iter().zip(addresses) {
        assert_eq!(by_dns, by_http, "{client}");
        // Who asks by HTTPS is its own client.
        let by_https = get_with(&url, &[("x-forwarded-for", &client.to_string())]).await.unwrap().json();
        assert_eq!(by_https["Answer"][0]["data"], by_dns, "{client}: {by_https}");
        seen.insert(by_dns);
    }
    assert_eq!(seen.len(), edges.len(), "{seen:?}");
}

/// A flood from one network is limited while another is answered.
#[tokio::test]
async fn a_flood_from_one_network_leaves_the_others_alone() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let config = with_zones(&edges).replace("nsid =", "responses_per_second = 20\nnsid =");
    let service = start_scraped_twice(&config, &edges).await;
    let flood: Vec<&str> =
        (0..100).flat_map(|_| ["www.example.com", "A", "+short", "+ignore", "+time=1"]).collect();
    let _ = Command::new("timeout")
        .args(["3", "kdig", "@127.0.0.1", "-p", &service.dns().port().to_string(), "+retry=0"])
        .args(flood)
        .output()
        .unwrap();
    let metrics = service.admin("/metrics").await.body;
    let limited = |action: &str| {
        let name = format!("nearcast_dns_limited_total{{action=\"{action}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok()).unwrap()
    };
    assert!(limited("cut") + limited("drop") > 0, "{metrics}");
    // 127.0.1.0/24 is another network.
    let said = kdig(service.dns(), &["-b", "127.0.1.1", "www.example.com", "A"]);
    assert!(said.contains("192.0.2.80"), "{said}");
}

/// Whoever holds as many connections as a network may leaves places for others.
#[tokio::test]
async fn connections_held_by_one_network_leave_places_for_others() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let service = Service::launch(&with_zones(&edges)).await;
    let mut held = Vec::new();
    for _ in 0..128 {
        held.push(TcpStream::connect(service.dns()).await.unwrap());
    }
    let mut one_more = TcpStream::connect(service.dns()).await.unwrap();
    let closed = timeout(Duration::from_secs(5), one_more.read(&mut [0; 1])).await;
    assert!(matches!(closed, Ok(Ok(0) | Err(_))), "{closed:?}");
    let metrics = service.admin("/metrics").await.body;
    assert!(metrics.contains("nearcast_dns_turned_away_connections_total 1\n"), "{metrics}");
    // 127.0.1.0/24 is another network.
    let port = service.dns().port().to_string();
    let by_tcp = |from| {
        let asked = ["-b", from, "+tcp", "+time=1", "+retry=0", "+short", "www.example.com", "A"];
        let said = Command::new("kdig").args(["@127.0.0.1", "-p", &port]).args(asked).output().unwrap();
        String::from_utf8(said.stdout).unwrap()
    };
    assert!(by_tcp("127.0.1.1").contains("192.0.2.80"));
    assert!(!by_tcp("127.0.0.1").contains("192.0.2.80"));
    drop(held);
    eventually("their places are free", Duration::from_secs(10), async || {
        let said = by_tcp("127.0.0.1");
        if said.contains("192.0.2.80") { Ok(()) } else { Err(said) }
    })
    .await;
}

/// `kdig` drops what comes from elsewhere.
#[tokio::test]
async fn whichever_of_our_addresses_is_asked_answers() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    for (listen, asked) in [
        ("0.0.0.0:0", &["127.0.0.1", "127.0.0.5", "127.3.2.1"][..]),
        ("[::]:0", &["::1", "127.0.0.5", "127.0.0.1"]),
        ("127.0.0.7:0", &["127.0.0.7"]),
    ] {
        let config =
            with_zones(&edges).replace("listen = \"127.0.0.1:0\"", &format!("listen = \"{listen}\""));
        let service = Service::launch(&config).await;
        for ip in asked {
            let server = SocketAddr::new(ip.parse().unwrap(), service.dns().port());
            for question in ["www.example.com", "live.example.com"] {
                let said = kdig(server, &[question, "A", "+notcp"]);
                assert!(
                    said.contains(&format!("From {ip}@")) && said.contains("ANSWER: 1"),
                    "{listen}: {said}"
                );
            }
        }
    }
}

#[tokio::test]
async fn one_query_in_so_many_is_logged_with_networks_and_no_address() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let config = with_zones(&edges).replace("nsid =", "log_one_in = 2\nnsid =");
    let service = Service::launch(&config).await;
    for name in ["a", "b", "c", "d"] {
        kdig(service.dns(), &[&format!("{name}.example.com"), "A", "+subnet=198.51.100.77/32"]);
    }
    let logged =
        || service.log().lines().filter(|line| line.contains("DNS query")).collect::<Vec<_>>().join("\n");
    eventually("two of four queries are logged", Duration::from_secs(10), || async {
        let logged = logged();
        if logged.lines().count() == 2 { Ok(()) } else { Err(logged) }
    })
    .await;
    let logged = logged();
    for part in ["a.example.com", "c.example.com", "127.0.0.0/24", "198.51.100.0/24", "NXDOMAIN"] {
        assert!(logged.contains(part), "no {part}: {logged}");
    }
    assert!(!logged.contains("127.0.0.1") && !logged.contains("198.51.100.77"), "{logged}");
}

#[tokio::test]
async fn a_reload_changes_records_without_a_restart() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let config = with_zones(&edges);
    let service = Service::launch(&config).await;
    assert!(kdig(service.dns(), &["www.example.com", "A"]).contains("192.0.2.80"));
    service.rewrite(&config.replace("192.0.2.80", "192.0.2.81"));
    assert_eq!(service.reload().await.status, 200);
    assert!(kdig(service.dns(), &["www.example.com", "A"]).contains("192.0.2.81"));
}

#[tokio::test]
async fn kdig_is_answered_by_tls_with_our_certificate_and_by_no_other_name() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("a.crt"), folder.path().join("a.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let edges = Edge::start_each(&[CHICAGO]).await;
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n[server.tls]\nlisten = \"127.0.0.1:0\"\n\
         certificate = \"{}\"\nkey = \"{}\"\n\n{}",
        certificate.display(),
        key.display(),
        with_zones(&edges).replace("nsid =", "tls_listen = \"127.0.0.1:0\"\nnsid =")
    );
    let service = start_scraped_twice(&config, &edges).await;
    let trusted = format!("+tls-ca={}", certificate.display());
    let said = kdig(service.dns_tls(), &[&trusted, "+tls-host=localhost", "live.example.com", "A"]);
    assert!(said.contains("203.0.113.1"), "{said}");
    let said = kdig(service.dns_tls(), &[&trusted, "+tls-host=localhost", "long.example.com", "TXT"]);
    assert!(said.contains("ANSWER: 1"), "{said}");
    // Padded queries have padded replies, by TLS alone.
    for (by_tls, name) in [(true, "live.example.com"), (true, "no.example.com"), (false, "live.example.com")]
    {
        let padded = ["+padding", name, "A"];
        let said = match by_tls {
            true => kdig(service.dns_tls(), &[&[&*trusted, "+tls-host=localhost"], &padded[..]].concat()),
            false => kdig(service.dns(), &padded),
        };
        assert_eq!(said.contains("Received 468 B"), by_tls, "{said}");
    }
    let metrics = service.admin("/metrics").await.body;
    let line = "nearcast_dns_replies_total{transport=\"tls\",rcode=\"noerror\"} 3";
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
    let server = service.dns_tls();
    let output = Command::new("kdig")
        .args([&format!("@{}", server.ip()), "-p", &server.port().to_string()])
        .args(["+time=5", "+retry=0", &trusted, "+tls-host=other.example", "live.example.com", "A"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!said.contains("203.0.113.1"), "another name's certificate was taken: {said}");
}
