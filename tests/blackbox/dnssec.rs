//! Signed zones by `delv` and `kdig`, which check signatures as resolvers do, from nothing but the DS record.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::stage::{CHICAGO, Edge, NEW_YORK, live, scrape_each, start_scraped_twice};
use super::support::{Service, nearcast};

/// A zone with the domain of the stage in it, another one inside of it, which is not signed, and one inside which is.
const ZONES: &str = r#"
[dns]
listen = "127.0.0.1:0"

[[dns.zones]]
apex = "example.com"
ns = ["ns1.example.net", "NS2.example.net"]
records = [
  "www 60 A 192.0.2.81",
  "www 60 A 192.0.2.80",
  "@ 60 MX 10 MAIL",
  "_rtmp._tcp.live 60 SRV 0 0 1935 LIVE",
  "@ 60 CAA 0 issue \"ca.example.net\"",
  "deep.below 60 TXT \"x\"",
  "* 60 TXT \"no wildcard\"",
]
keys = [KEYS]

[[dns.zones]]
apex = "plain.example.com"
ns = ["ns1.example.net"]
records = ["www 60 A 192.0.2.82"]

[[dns.zones]]
apex = "safe.example.com"
ns = ["ns1.example.net"]
records = ["www 60 A 192.0.2.83"]
keys = [CHILD]
"#;

/// Keys in a folder.
struct Keys {
    folder: tempfile::TempDir,
}

// === impl Keys ===

impl Keys {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes one; gives its file, and its DS as the zone above would have it.
    fn make(&self, zone: &str) -> (PathBuf, String) {
        let output = self.say(&["keygen", zone]);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let ds = said.lines().find(|line| !line.starts_with(';')).unwrap().to_owned();
        let tag: u32 = ds.split(' ').nth(4).unwrap().parse().unwrap();
        (self.path().join(format!("K{zone}.+013+{tag:05}.private")), ds)
    }

    /// `nearcast dnssec` in that folder.
    fn say(&self, arguments: &[&str]) -> Output {
        nearcast(self.path(), &[&["dnssec"], arguments].concat())
    }

    /// A file for `delv` which trusts in this DS alone.
    fn anchor(&self, ds: &str) -> PathBuf {
        let path = self.path().join("anchors.conf");
        let fields: Vec<&str> = ds.split(' ').collect();
        let [zone, _, _, _, tag, algorithm, kind, digest] = fields[..] else { panic!("{ds}") };
        let text = format!("trust-anchors {{ {zone} static-ds {tag} {algorithm} {kind} \"{digest}\"; }};\n");
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn quoted(keys: &[&Path]) -> String {
    keys.iter().map(|key| format!("\"{}\"", key.display())).collect::<Vec<_>>().join(", ")
}

fn signed(edges: &[Edge], keys: &[&Path], child: &[&Path]) -> String {
    let zones = ZONES.replace("KEYS", &quoted(keys)).replace("CHILD", &quoted(child));
    format!("{}{zones}", live(&scrape_each(500), edges))
}

/// What `delv` says of a name and type, with an anchor for `example.com`.
fn delv(server: SocketAddr, anchor: &Path, name: &str, kind: &str) -> String {
    let output = Command::new("delv")
        .args([&format!("@{}", server.ip()), "-p", &server.port().to_string(), "-a"])
        .arg(anchor)
        .args(["+root=example.com", "-4", name, kind])
        .output()
        .unwrap_or_else(|error| {
            panic!("delv is missing ({error}); install it: apt-get install -y bind9-dnsutils")
        });
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

fn kdig(server: SocketAddr, arguments: &[&str]) -> String {
    let output = Command::new("kdig")
        .args([&format!("@{}", server.ip()), "-p", &server.port().to_string(), "+time=5", "+retry=0"])
        .args(arguments)
        .output()
        .unwrap_or_else(|error| {
            panic!("kdig is missing ({error}); install it: apt-get install -y knot-dnsutils")
        });
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn delv_validates_every_kind_of_answer_against_the_ds() {
    let keys = Keys::new();
    let ((key, ds), (child, _)) = (keys.make("example.com"), keys.make("safe.example.com"));
    let edges = Edge::start_each(&[CHICAGO, NEW_YORK]).await;
    let service = start_scraped_twice(&signed(&edges, &[&key], &[&child]), &edges).await;
    let anchor = keys.anchor(&ds);
    let (yes, no) = ("; fully validated", "; negative response, fully validated");
    for (name, kind, expected, part) in [
        ("live.example.com", "A", yes, "203.0.113.1"),
        ("live.example.com", "AAAA", no, "live.example.com."),
        ("live.example.com", "MX", no, "A AAAA RRSIG NSEC"),
        ("LiVe.Example.com", "A", yes, "203.0.113.1"),
        ("www.example.com", "A", yes, "192.0.2.81"),
        ("www.example.com", "TXT", no, "\\000.www.example.com. A RRSIG NSEC"),
        ("example.com", "SOA", yes, "hostmaster.example.com."),
        ("example.com", "NS", yes, "ns1.example.net."),
        ("example.com", "DNSKEY", yes, "257 3 13"),
        ("example.com", "MX", yes, "MAIL.example.com."),
        ("example.com", "CAA", yes, "ca.example.net"),
        ("example.com", "TXT", no, "NS SOA MX RRSIG NSEC DNSKEY CAA"),
        ("example.com", "ANY", yes, "RFC8482"),
        ("_rtmp._tcp.live.example.com", "SRV", yes, "1935"),
        ("below.example.com", "A", no, "\\000.below.example.com. RRSIG NSEC"),
        ("nothing.example.com", "A", no, "\\000.nothing.example.com. RRSIG NSEC TYPE128"),
        ("x.live.example.com", "AAAA", no, "RRSIG NSEC TYPE128"),
        // A star is a name like others.
        ("x.example.com", "TXT", no, "RRSIG NSEC TYPE128"),
        ("*.example.com", "TXT", yes, "no wildcard"),
        ("nothing.example.com", "NSEC", yes, "TYPE128"),
        // Zones of ours inside this one: signed by its own key, and known to be unsigned.
        ("safe.example.com", "DS", yes, " 13 2 "),
        ("www.safe.example.com", "A", yes, "192.0.2.83"),
        ("nothing.safe.example.com", "A", no, "TYPE128"),
        ("plain.example.com", "DS", no, "NS RRSIG NSEC"),
        ("www.plain.example.com", "A", "; unsigned answer", "192.0.2.82"),
    ] {
        let said = delv(service.dns(), &anchor, name, kind);
        assert!(
            said.contains(expected) && said.contains(part),
            "{name} {kind} is not {expected}, {part}:\n{said}"
        );
    }
}

#[tokio::test]
async fn another_key_is_not_believed() {
    let keys = Keys::new();
    let ((key, _), (_, ds)) = (keys.make("example.com"), keys.make("example.com"));
    let edges = Edge::start_each(&[CHICAGO]).await;
    let service = Service::launch(&signed(&edges, &[&key], &[])).await;
    let said = delv(service.dns(), &keys.anchor(&ds), "www.example.com", "A");
    assert!(!said.contains("fully validated") && said.contains("resolution failed"), "{said}");
}

#[tokio::test]
async fn only_who_asks_for_signatures_gets_them() {
    let keys = Keys::new();
    let (key, _) = keys.make("example.com");
    let edges = Edge::start_each(&[CHICAGO]).await;
    let service = start_scraped_twice(&signed(&edges, &[&key], &[]), &edges).await;
    let table: &[(&[&str], &[&str], &[&str])] = &[
        (&["www.example.com", "A"], &["192.0.2.80", "Flags: qr aa rd;"], &["RRSIG"]),
        (&["nothing.example.com", "A"], &["status: NXDOMAIN", "SOA"], &["RRSIG", "NSEC"]),
        (&["example.com", "DNSKEY"], &["DNSKEY"], &["RRSIG"]),
        (&["www.example.com", "A", "+dnssec"], &["RRSIG", "A 13 3 60", "Flags: qr aa rd;"], &[]),
        (&["nothing.example.com", "A", "+dnssec"], &["status: NOERROR", "NSEC", "TYPE128"], &["NXDOMAIN"]),
        (&["www.plain.example.com", "A", "+dnssec"], &["192.0.2.82"], &["RRSIG"]),
        (&["example.com", "TYPE128", "+dnssec"], &["status: FORMERR"], &["RRSIG"]),
        // What does not fit comes by TCP.
        (&["example.com", "DNSKEY", "+dnssec", "+bufsize=512"], &["DNSKEY", "RRSIG"], &[]),
    ];
    for (arguments, there, absent) in table {
        let said = kdig(service.dns(), arguments);
        let faults = there.iter().filter(|part| !said.contains(**part)).chain(
            absent
                .iter()
                .filter(|part| said.lines().any(|line| !line.starts_with(";;") && line.contains(**part))),
        );
        assert_eq!(faults.collect::<Vec<_>>(), Vec::<&&str>::new(), "{arguments:?}:\n{said}");
    }
    for _ in 0..5 {
        kdig(service.dns(), &["www.example.com", "A", "+dnssec"]);
    }
    let metrics = service.admin("/metrics").await.body;
    let kept =
        metrics.lines().find_map(|line| line.strip_prefix("nearcast_dns_signatures_total{from=\"kept\"} "));
    assert!(kept.unwrap().parse::<u32>().unwrap() >= 5, "{metrics}");
}

#[tokio::test]
async fn keys_follow_one_another_by_reloads_without_a_gap() {
    let keys = Keys::new();
    let ((old, old_ds), (new, new_ds)) = (keys.make("example.com"), keys.make("example.com"));
    let edges = Edge::start_each(&[CHICAGO]).await;
    let service = Service::launch(&signed(&edges, &[], &[])).await;
    let is_valid = |ds: &str| {
        delv(service.dns(), &keys.anchor(ds), "www.example.com", "A").contains("; fully validated")
    };
    assert!(!is_valid(&old_ds), "nothing is signed yet");
    for (in_force, (by_old, by_new)) in [
        (vec![&*old], (true, false)),
        (vec![&*old, &*new], (true, true)),
        (vec![&*new, &*old], (true, true)),
        (vec![&*new], (false, true)),
    ] {
        service.rewrite(&signed(&edges, &in_force, &[]));
        assert_eq!(service.reload().await.status, 200);
        assert_eq!((is_valid(&old_ds), is_valid(&new_ds)), (by_old, by_new), "{in_force:?}");
    }
    service.rewrite(&signed(&edges, &[&keys.path().join("nowhere.private")], &[]));
    let reply = service.reload().await;
    let said = reply.json()["mistakes"][0]["message"].as_str().unwrap().to_owned();
    assert!(said.contains("cannot read") && said.contains("nowhere.private"), "{said}");
    assert!(is_valid(&new_ds), "a bad file has changed something");
}

#[test]
fn a_key_of_another_tool_is_taken_and_ours_are_told_alike() {
    let keys = Keys::new();
    let (ours, ds) = keys.make("example.com");
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(keys.path()).output();
        let output = output.unwrap_or_else(|error| {
            panic!("{program} is missing ({error}); install it: apt-get install -y bind9-utils")
        });
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let theirs = run("dnssec-keygen", &["-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "example.org"]);
    let said = keys.say(&["ds", &format!("{theirs}.private")]);
    let said = String::from_utf8(said.stdout).unwrap();
    let expected = run("dnssec-dsfromkey", &["-2", &format!("{theirs}.key")]);
    // They leave the lifetime out.
    assert_eq!(said.lines().next().unwrap().replacen(" 3600 ", " ", 1), expected);
    let read = run("dnssec-dsfromkey", &["-2", ours.with_extension("key").to_str().unwrap()]);
    assert_eq!(ds.replacen(" 3600 ", " ", 1), read);
}

#[test]
fn a_key_is_for_its_owner_alone_and_never_written_over() {
    use std::os::unix::fs::PermissionsExt as _;

    let keys = Keys::new();
    let (path, ds) = keys.make("example.com");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let told = keys.say(&["ds", path.to_str().unwrap()]);
    assert!(String::from_utf8(told.stdout).unwrap().starts_with(&ds));
    let told = keys.say(&["keygen", "Example.com."]);
    assert!(String::from_utf8(told.stdout).unwrap().contains("\nexample.com. 3600 IN DS "));
    for (arguments, status, part) in [
        (&["keygen", "../example.com"][..], 2, "expected a zone such as example.com"),
        (&["keygen", ""], 2, "expected a zone such as example.com"),
        (&["keygen", "example.com", "--out", "nowhere"], 1, "cannot write nowhere/Kexample.com.+013+"),
        (&["ds"], 2, "required"),
        (&["ds", "nowhere.private"], 2, "cannot read nowhere.private"),
    ] {
        let output = keys.say(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
}

#[tokio::test]
async fn check_and_ds_read_the_keys_that_a_configuration_names() {
    let keys = Keys::new();
    let (key, ds) = keys.make("example.com");
    let edges = Edge::start_each(&[CHICAGO]).await;
    let path = keys.path().join("nearcast.toml");
    std::fs::write(&path, signed(&edges, &[&key], &[])).unwrap();
    assert!(nearcast(keys.path(), &["check", "nearcast.toml"]).status.success());
    let said = String::from_utf8(keys.say(&["ds", "--config", "nearcast.toml"]).stdout).unwrap();
    assert!(said.contains(&ds), "{said}");
    std::fs::write(&path, signed(&edges, &[], &[&key])).unwrap();
    let output = nearcast(keys.path(), &["check", "nearcast.toml"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("is a key of example.com., not of safe.example.com"), "{said}");
}
