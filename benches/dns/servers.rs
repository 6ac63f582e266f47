//! Four servers on core 0, each with an answer for `live.example.com` that depends on the client subnet.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const DATABASE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/geoip/country.mmdb");
/// PoPs of the service's nodes.
const POPS: usize = 82;
/// What all nodes can send together, Gbit/s: more than is booked in a run.
const ALL_GBPS: usize = 1_000_000;

/// A server process, killed when dropped.
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    child: Child,
    /// Only threads whose names begin so answer questions; empty: all.
    threads: &'static str,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// CPU time of the threads that answer, µs.
    pub(crate) fn cpu_us(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let spent = tasks.map_while(Result::ok).filter_map(|task| {
            let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
            let times = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            let nanoseconds: f64 = times.split(' ').next()?.parse().ok()?;
            name.starts_with(self.threads).then_some(nanoseconds / 1e3)
        });
        spent.sum()
    }
}

impl Server {
    /// CPU time of the whole process, threads that have ended included, µs; it is counted in hundredths of a second.
    pub(crate) fn whole_cpu_us(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) * 10_000.0
    }
}

pub(crate) fn gdnsd(folder: &Path) -> Server {
    let (folder, port) = (made(folder, "gdnsd"), free_port());
    std::fs::create_dir(folder.join("zones")).unwrap();
    std::fs::create_dir(folder.join("geoip")).unwrap();
    std::fs::copy(DATABASE, folder.join("geoip/country.mmdb")).unwrap();
    let here = folder.display();
    let names: Vec<String> = (0..POPS).map(|i| format!("d{i}")).collect();
    let addresses: Vec<String> = (0..POPS).map(|i| format!("d{i} => 10.0.0.{}", i + 1)).collect();
    let config = format!(
        "options => {{ listen => 127.0.0.1:{port}, udp_threads => 1, tcp_threads => 1, run_dir => \"{here}/run\", \
         state_dir => \"{here}/state\" }}\n\
         plugins => {{ geoip => {{ maps => {{ m => {{ geoip2_db => country.mmdb, datacenters => [{}], map => {{ \
         AS => {{ CN => [d0, d1, d2, d3], default => [d5, d6] }}, NA => [d10, d11, d12], \
         EU => {{ DE => [d20, d21], default => [d22, d23] }} }} }} }}, \
         resources => {{ r => {{ map => m, dcmap => {{ {} }} }} }} }} }}\n",
        names.join(", "),
        addresses.join(", "),
    );
    std::fs::write(folder.join("config"), config).unwrap();
    let zone = "@ 3600 SOA ns1 hostmaster 1 7200 900 1209600 60\n@ 3600 NS ns1\nns1 3600 A 192.0.2.1\n\
                live 10 DYNA geoip!r\n";
    std::fs::write(folder.join("zones/example.com"), zone).unwrap();
    start("gdnsd", port, &["gdnsd", "-c", &here.to_string(), "start"])
}

pub(crate) fn knot(folder: &Path) -> Server {
    let (folder, port) = (made(folder, "knot"), free_port());
    let here = folder.display();
    let config = format!(
        "server:\n    listen: 127.0.0.1@{port}\n    rundir: {here}\n    udp-workers: 1\n    tcp-workers: 1\n    \
         background-workers: 1\n    edns-client-subnet: on\ndatabase:\n    storage: {here}\n\
         mod-geoip:\n  - id: geo\n    config-file: {here}/geo.conf\n    ttl: 10\n    mode: geodb\n    geodb-file: {DATABASE}\n    \
         geodb-key: [ country/iso_code ]\n\
         zone:\n  - domain: example.com\n    file: {here}/zone\n    module: mod-geoip/geo\n"
    );
    std::fs::write(folder.join("knot.conf"), config).unwrap();
    let mut records = String::from("live.example.com:\n");
    for (country, place) in [("US", 11), ("CN", 1), ("DE", 21), ("JP", 6), ("GB", 23), ("*", 2)] {
        let _ = write!(records, "  - geo: \"{country}\"\n    A: 10.0.0.{place}\n");
    }
    std::fs::write(folder.join("geo.conf"), records).unwrap();
    let zone = "$ORIGIN example.com.\n@ 3600 SOA ns1 hostmaster 1 7200 900 1209600 60\n@ 3600 NS ns1\n\
                ns1 3600 A 192.0.2.1\nlive 10 A 10.0.0.99\n";
    std::fs::write(folder.join("zone"), zone).unwrap();
    start("Knot DNS, mod-geoip", port, &["knotd", "-c", &format!("{here}/knot.conf")])
}

pub(crate) fn powerdns(folder: &Path) -> Server {
    let (folder, port) = (made(folder, "pdns"), free_port());
    let here = folder.display();
    let config = format!(
        "launch=geoip\nlocal-address=127.0.0.1\nlocal-port={port}\ngeoip-database-files=mmdb:{DATABASE}\n\
         geoip-zones-file={here}/zones.yaml\nedns-subnet-processing=yes\nreceiver-threads=1\ndistributor-threads=1\n\
         socket-dir={here}\ndisable-syslog=yes\nloglevel=3\n"
    );
    std::fs::write(folder.join("pdns.conf"), config).unwrap();
    let mut zones = String::from(
        "domains:\n- domain: example.com\n  ttl: 10\n  records:\n    example.com:\n      - soa: ns1.example.com \
         hostmaster.example.com 1 7200 900 1209600 60\n      - ns: ns1.example.com\n",
    );
    for (country, place) in [("us", 11), ("cn", 1), ("de", 21), ("jp", 6), ("gb", 23), ("unknown", 2)] {
        let _ = write!(zones, "    {country}.example.com:\n      - a: 10.0.0.{place}\n");
    }
    zones.push_str("  services:\n    live.example.com: [ '%cc.example.com', 'unknown.example.com' ]\n");
    std::fs::write(folder.join("zones.yaml"), zones).unwrap();
    start("PowerDNS, geoip", port, &["pdns_server", &format!("--config-dir={here}")])
}

/// The service with so many nodes in 82 PoPs, spread over the inhabited latitudes by a low-discrepancy walk.
pub(crate) fn nearcast(folder: &Path, nodes: usize) -> Server {
    let (folder, port) = (made(folder, &format!("nearcast-{nodes}")), free_port());
    let exporter = exporter();
    let mut config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\n[scrape]\ninterval = \"60s\"\n\
         [dns]\nlisten = \"127.0.0.1:{port}\"\nresponses_per_second = 0\n\
         [[dns.zones]]\napex = \"example.com\"\nns = [\"ns1.example.net\"]\n\
         [[pools]]\nname = \"edges\"\n[[domains]]\nname = \"live.example.com\"\npool = \"edges\"\n"
    );
    for i in 0..nodes {
        let pop = i % POPS;
        let latitude = -40.0 + (pop as f64 * 0.618_034).fract() * 100.0;
        let longitude = -180.0 + (pop as f64 * 0.754_878).fract() * 360.0;
        let _ = write!(
            config,
            "[[nodes]]\nid = \"e{i:05}\"\npool = \"edges\"\npop = \"p{pop:02}\"\naddresses = [\"10.0.{}.{}\"]\n\
             location = {{ latitude = {latitude:.4}, longitude = {longitude:.4} }}\nbandwidth = \"{}Gbps\"\n\
             exporters = [\"http://{exporter}/{i}\"]\n",
            i / 250,
            i % 250 + 1,
            ALL_GBPS / nodes,
        );
    }
    let file = folder.join("bench.toml");
    std::fs::write(&file, config).unwrap();
    let program = env!("CARGO_BIN_EXE_nearcast");
    let mut server = start(
        &format!("nearcast, {nodes} nodes"),
        port,
        &[program, "serve", "--config", file.to_str().unwrap()],
    );
    server.threads = "dns-";
    // Everything has been measured once.
    std::thread::sleep(Duration::from_secs(2 + nodes as u64 / 2_500));
    server
}

fn made(folder: &Path, name: &str) -> std::path::PathBuf {
    let folder = folder.join(name);
    std::fs::create_dir(&folder).unwrap();
    folder
}

/// Starts a server on core 0 and waits until it is bound.
fn start(name: &str, port: u16, command: &[&str]) -> Server {
    let child = Command::new("taskset")
        .args(["-c", "0"])
        .args(command)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("taskset: apt-get install util-linux");
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let server = Server { name: name.to_owned(), address, child, threads: "" };
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(100));
        if std::net::TcpStream::connect(address).is_ok() {
            return server;
        }
    }
    panic!(
        "{name} does not listen: is it installed? (gdnsd knot knot-module-geoip pdns-server pdns-backend-geoip)"
    );
}

/// A port that is free for UDP and TCP.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address.port();
        }
    }
}

/// One exporter for all nodes, on a thread of this process: an idle machine whose clock runs.
fn exporter() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut stream = stream;
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                    if line == "\r\n" && stream.write_all(page().as_bytes()).is_err() {
                        return;
                    }
                    line.clear();
                }
                let _ = reader.read(&mut []);
            });
        }
    });
    address
}

fn page() -> String {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let page = format!(
        "node_time_seconds {now}\nnode_cpu_seconds_total{{cpu=\"0\",mode=\"idle\"}} {}\n\
         node_network_transmit_bytes_total{{device=\"eth0\"}} {}\n",
        now * 0.5,
        now * 1e6,
    );
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: ";
    format!("{head}{}\r\n\r\n{page}", page.len())
}
