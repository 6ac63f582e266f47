//! The servers, set up to the same task, one at a time on core 0.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::load;

/// PoPs of Nearcast's fleets.
const POPS: usize = 82;
/// gdnsd's datacentres.
const SITES: usize = 100;
/// How long the idle server is watched.
const IDLE: Duration = Duration::from_secs(1);
/// How long a server may take to start.
const START: Duration = Duration::from_secs(40);

/// Which one.
pub(crate) enum Kind {
    Gdnsd,
    Knot,
    PowerDns,
    Nearcast {
        nodes: usize,
        /// Addresses in an answer.
        answers: usize,
    },
}

/// One that runs, until it is dropped.
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// What it may answer.
    pub(crate) addresses: HashSet<Ipv4Addr>,
    child: Child,
    _folder: tempfile::TempDir,
}

// === impl Kind ===

impl Kind {
    pub(crate) fn all() -> Vec<Self> {
        let nearcast = |nodes, answers| Self::Nearcast { nodes, answers };
        vec![
            Self::Gdnsd,
            Self::Knot,
            Self::PowerDns,
            nearcast(100, 4),
            nearcast(1_000, 4),
            nearcast(10_000, 4),
            nearcast(1_000, 1),
        ]
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Gdnsd => "gdnsd".to_owned(),
            Self::Knot => "knot".to_owned(),
            Self::PowerDns => "powerdns".to_owned(),
            Self::Nearcast { nodes, answers: 1 } => format!("nearcast-{nodes}-one"),
            Self::Nearcast { nodes, .. } => format!("nearcast-{nodes}"),
        }
    }
}

// === impl Server ===

impl Server {
    /// Starts one and waits until it answers.
    ///
    /// # Panics
    /// It is not installed, or does not come up.
    pub(crate) fn start(kind: &Kind, mmdb: &Path, exporter: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let (program, arguments, addresses) = match kind {
            Kind::Gdnsd => gdnsd(folder.path(), port, mmdb),
            Kind::Knot => knot(folder.path(), port, mmdb),
            Kind::PowerDns => powerdns(folder.path(), port, mmdb),
            Kind::Nearcast { nodes, answers } => {
                nearcast(folder.path(), port, mmdb, *nodes, *answers, exporter)
            }
        };
        let log = folder.path().join("log");
        let output = std::fs::File::create(&log).unwrap();
        let child = Command::new("taskset")
            .args(["-c", "0", &program])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .expect("taskset: apt install util-linux");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut server = Self { name: kind.name(), address, addresses, child, _folder: folder };
        let began = Instant::now();
        let is_up = |server: &Self| match kind {
            Kind::Nearcast { .. } => {
                is_ready(&std::fs::read_to_string(&log).unwrap()) && load::answers(server)
            }
            Kind::Gdnsd | Kind::Knot | Kind::PowerDns => load::answers(server),
        };
        while !is_up(&server) {
            let ended = server.child.try_wait().unwrap();
            assert!(
                ended.is_none() && began.elapsed() < START,
                "{} did not come up; apt-get install gdnsd knot knot-module-geoip pdns-server pdns-backend-geoip\n{}",
                server.name,
                std::fs::read_to_string(&log).unwrap()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        server
    }

    /// User and system time so far, s.
    pub(crate) fn cpu_s(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
        (ticks(11) + ticks(12)) / 100.0
    }

    /// What it takes when nobody asks, share of a core.
    pub(crate) fn idle(&self) -> f64 {
        let (cpu_s, began) = (self.cpu_s(), Instant::now());
        std::thread::sleep(IDLE);
        (self.cpu_s() - cpu_s) / began.elapsed().as_secs_f64()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody has, for those who cannot take one themselves.
fn free_port() -> u16 {
    loop {
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = datagrams.local_addr().unwrap();
        if TcpListener::bind(address).is_ok() {
            return address.port();
        }
    }
}

/// Where a PoP is: all over the inhabited latitudes by a low-discrepancy walk.
fn place(pop: usize) -> (f64, f64) {
    (-40.0 + (pop as f64 * 0.618_034).fract() * 100.0, -180.0 + (pop as f64 * 0.754_878).fract() * 360.0)
}

fn node_address(node: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, (node / 62_500) as u8, (node / 250 % 250) as u8, (node % 250 + 1) as u8)
}

/// The database of the binary; gdnsd wants one that calls itself one of cities before it looks at coordinates.
pub(crate) fn database(folder: &Path) -> PathBuf {
    let mut bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/geoip/country.mmdb")).unwrap();
    let (from, to) = (b"Nearcast-Country", b"Nearcast-by-City");
    let at = bytes.windows(from.len()).rposition(|window| window == from).expect("the database has its name");
    bytes[at..at + to.len()].copy_from_slice(to);
    let path = folder.join("country.mmdb");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A program, its arguments, and the addresses that it may answer.
type SetUp = (String, Vec<String>, HashSet<Ipv4Addr>);

const ZONE: &str = "$TTL 600\n@ SOA ns1 hostmaster 1 7200 900 1209600 300\n@ NS ns1\nns1 A 127.0.0.1\n";

fn gdnsd(folder: &Path, port: u16, mmdb: &Path) -> SetUp {
    let home = folder.display();
    let (mut names, mut places, mut targets) = (String::new(), String::new(), String::new());
    for site in 0..SITES {
        let (latitude, longitude) = place(site);
        let _ = write!(names, "p{site},");
        let _ = writeln!(places, "p{site} => [ {latitude:.4}, {longitude:.4} ]");
        let _ = writeln!(targets, "p{site} => {}", node_address(site));
    }
    let names = names.trim_end_matches(',');
    for below in ["etc/zones", "run", "state"] {
        std::fs::create_dir_all(folder.join(below)).unwrap();
    }
    std::fs::write(folder.join("etc/zones/example.com"), format!("{ZONE}live 10 DYNA geoip!live\n")).unwrap();
    std::fs::write(
        folder.join("etc/config"),
        format!(
            "options => {{ listen => 127.0.0.1:{port}, udp_threads => 1, tcp_threads => 1, run_dir => {home}/run, \
             state_dir => {home}/state }}\nplugins => {{ geoip => {{ maps => {{ map => {{ geoip2_db => {}, \
             datacenters => [{names}], auto_dc_coords => {{ {places} }} }} }}, resources => {{ live => {{ map => map, \
             dcmap => {{ {targets} }} }} }} }} }}\n",
            mmdb.display()
        ),
    )
    .unwrap();
    let arguments = vec!["-c".to_owned(), format!("{home}/etc"), "start".to_owned()];
    ("/usr/sbin/gdnsd".to_owned(), arguments, (0..SITES).map(node_address).collect())
}

/// Country codes, and an address for each.
fn countries() -> impl Iterator<Item = (&'static str, Ipv4Addr)> {
    let rows = include_str!("../../geoip/centres.tsv").lines().filter(|row| !row.starts_with('#'));
    rows.enumerate().map(|(at, row)| (row.split('\t').next().unwrap_or_default(), node_address(at)))
}

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(10, 9, 9, 9);

fn knot(folder: &Path, port: u16, mmdb: &Path) -> SetUp {
    let home = folder.display();
    let mut geo = String::from("live.example.com:\n");
    for (code, ip) in countries() {
        let _ = writeln!(geo, "  - geo: \"{code}\"\n    A: {ip}");
    }
    std::fs::write(folder.join("geo.conf"), geo).unwrap();
    std::fs::write(folder.join("example.com.zone"), format!("{ZONE}live 10 A {ELSEWHERE}\n")).unwrap();
    std::fs::write(
        folder.join("knot.conf"),
        format!(
            "server:\n    listen: 127.0.0.1@{port}\n    rundir: {home}\n    udp-workers: 1\n    tcp-workers: 1\n    \
             background-workers: 1\n    edns-client-subnet: on\ndatabase:\n    storage: {home}/db\nmod-geoip:\n  - id: \
             geo\n    config-file: {home}/geo.conf\n    ttl: 10\n    mode: geodb\n    geodb-file: {}\n    geodb-key: [ \
             country/iso_code ]\nzone:\n  - domain: example.com\n    file: {home}/example.com.zone\n    module: \
             mod-geoip/geo\n    zonefile-sync: -1\n    journal-content: none\n",
            mmdb.display()
        ),
    )
    .unwrap();
    let arguments = vec!["-c".to_owned(), format!("{home}/knot.conf")];
    let addresses = countries().map(|(_, ip)| ip).chain([ELSEWHERE]).collect();
    ("/usr/sbin/knotd".to_owned(), arguments, addresses)
}

fn powerdns(folder: &Path, port: u16, mmdb: &Path) -> SetUp {
    let home = folder.display();
    let mut zones = String::from(
        "domains:\n- domain: example.com\n  ttl: 10\n  records:\n    example.com:\n      - soa: ns1.example.com \
         hostmaster.example.com 1 7200 900 1209600 300\n      - ns: ns1.example.com\n    ns1.example.com:\n      - a: \
         127.0.0.1\n",
    );
    for (code, ip) in countries() {
        let _ = writeln!(zones, "    {}.at.example.com:\n      - a: {ip}", code.to_ascii_lowercase());
    }
    let _ = writeln!(
        zones,
        "    other.at.example.com:\n      - a: {ELSEWHERE}\n  services:\n    live.example.com: \
         ['%cc.at.example.com', 'other.at.example.com']"
    );
    std::fs::write(folder.join("zones.yaml"), zones).unwrap();
    std::fs::write(
        folder.join("pdns.conf"),
        format!(
            "launch=geoip\ngeoip-zones-file={home}/zones.yaml\ngeoip-database-files=mmdb:{}\n\
             edns-subnet-processing=yes\nlocal-address=127.0.0.1\nlocal-port={port}\nsocket-dir={home}\n\
             receiver-threads=1\ndistributor-threads=1\nmax-tcp-connections=256\nsecurity-poll-suffix=\ndaemon=no\n\
             guardian=no\nloglevel=3\n",
            mmdb.display()
        ),
    )
    .unwrap();
    let addresses = countries().map(|(_, ip)| ip).chain([ELSEWHERE]).collect();
    ("/usr/sbin/pdns_server".to_owned(), vec![format!("--config-dir={home}")], addresses)
}

fn nearcast(
    folder: &Path,
    port: u16,
    mmdb: &Path,
    nodes: usize,
    answers: usize,
    exporter: SocketAddr,
) -> SetUp {
    let listen = format!("127.0.0.1:{port}");
    let text = configuration(nodes, mmdb, &listen, &exporter.to_string(), answers);
    let path = folder.join("nearcast.toml");
    std::fs::write(&path, text).unwrap();
    let arguments = vec!["serve".to_owned(), "--config".to_owned(), path.display().to_string()];
    (env!("CARGO_BIN_EXE_nearcast").to_owned(), arguments, (0..nodes).map(node_address).collect())
}

/// Nearcast's own: so many nodes, each with an exporter.
pub(crate) fn configuration(
    nodes: usize,
    mmdb: &Path,
    listen: &str,
    exporter: &str,
    answers: usize,
) -> String {
    // A limit that is counted and not reached.
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\n[scrape]\ninterval = \"10s\"\n\
         [geoip]\ndatabases = [\"{}\"]\n[dns]\nlisten = \"{listen}\"\nanswers = {answers}\n\
         responses_per_second = 1000000\n[[dns.zones]]\napex = \"example.com\"\nns = [\"ns1.example.net\"]\n\
         [[pools]]\nname = \"edges\"\n[[domains]]\nname = \"live.example.com\"\npool = \"edges\"\n",
        mmdb.display()
    );
    for node in 0..nodes {
        let pop = node % POPS;
        let (latitude, longitude) = place(pop);
        let _ = write!(
            text,
            "[[nodes]]\nid = \"e{node:05}\"\npool = \"edges\"\npop = \"p{pop:02}\"\naddresses = [\"{}\"]\nlocation = \
             {{ latitude = {latitude:.4}, longitude = {longitude:.4} }}\nbandwidth = \"10Tbps\"\nexporters = \
             [\"http://{exporter}/{node}\"]\n",
            node_address(node)
        );
    }
    text
}

/// Whether the service whose log this is says so itself.
fn is_ready(log: &str) -> bool {
    let Some(at) = log.find("player=") else { return false };
    let address = log[at + "player=".len()..].split_whitespace().next().unwrap_or_default();
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut answer = String::new();
    let asked = stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
}
