//! An emulated exporter: pages like those of `node_exporter`, the process exporter and SRS, with knobs.
//!
//! Its counters integrate what the knobs say over time: set `tx_mbps = 800` and after one second
//! `node_network_transmit_bytes_total` has grown by 100 MB. Time is the machine's ([`TestExporter::start`]) or
//! moves only when told ([`TestExporter::start_given_time`]).

mod wire;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) use self::wire::mix;
use self::wire::{answer, collectors};

/// Unix time at which every emulated machine starts, s.
const EPOCH_S: f64 = 1_790_000_000.0;

/// How the emulated machine fares and how its exporter answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Knobs {
    /// Logical CPUs.
    pub(crate) cpus: u32,
    /// Share of all cores in use, 0…1.
    pub(crate) system_cpu: f64,
    /// Cores that the media process uses; 1.0 = one whole core.
    pub(crate) process_cpu: f64,
    /// Egress, Mbit/s.
    pub(crate) tx_mbps: f64,
    /// Speed of the one NIC, Mbit/s.
    pub(crate) link_mbps: f64,
    /// Connected viewers.
    pub(crate) clients: u32,
    /// Share of memory that is not available, 0…1.
    pub(crate) memory: f64,
    /// Datagrams dropped for want of receive buffer, per second.
    pub(crate) udp_drops_per_s: f64,
    /// Time from request to first byte.
    pub(crate) latency: Duration,
    /// Up to this much more, another time at every request; a sound page is filled somewhere within.
    pub(crate) jitter: Duration,
    /// How requests are answered.
    pub(crate) behaviour: Behaviour,
}

/// How requests are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Sound pages.
    Good,
    /// Sound pages for whoever has this in the `Authorization` header, 401 for others.
    Guarded(String),
    /// 200 with an HTML page.
    Garbage,
    /// 200 with nothing in it.
    Empty,
    /// 200 with a page that does not end before 64 MiB.
    Huge,
    /// 200, then a byte every 100 ms without end.
    Slow,
    /// The request is read and never answered.
    Silent,
    /// 302 to this address.
    Redirect(String),
    /// This status with a short text.
    Status(u16),
    /// 200 with a `Content-Length` of which half comes.
    Truncated,
    /// 200 with bytes that are no text.
    Binary,
    /// The page as it was at the first request of this behaviour, its clock included, again and again.
    Frozen,
    /// The connection is reset instead of an answer.
    Reset,
    /// Every other page is of another process: two listeners share the port.
    Flapping,
    /// Sound pages but for one metric, which has this text for a value.
    Lying {
        /// Its name.
        metric: &'static str,
        /// What stands in place of all its values.
        value: &'static str,
    },
}

/// A running emulated exporter; stops when dropped.
pub(crate) struct TestExporter {
    addr: SocketAddr,
    /// Bound and never listening: the port stays ours while nobody listens there.
    _claim: TcpSocket,
    shared: Arc<Mutex<Machine>>,
    server: JoinHandle<()>,
}

struct Machine {
    port: u16,
    knobs: Knobs,
    /// `None`: time is given.
    integrated_at: Option<Instant>,
    clock_s: f64,
    boot_s: f64,
    pid: u32,
    counters: Counters,
    requests: Vec<String>,
    /// By request target.
    frozen: HashMap<String, String>,
}

/// Everything since boot.
#[derive(Clone, Debug, Default)]
struct Counters {
    busy_s: f64,
    idle_s: f64,
    process_s: f64,
    sent_bytes: f64,
    clients_total: f64,
    udp_drops: f64,
}

// === impl Knobs ===

impl Default for Knobs {
    /// An idle machine with eight cores and 10 Gbit/s.
    fn default() -> Self {
        Self {
            cpus: 8,
            system_cpu: 0.02,
            process_cpu: 0.01,
            tx_mbps: 0.0,
            link_mbps: 10_000.0,
            clients: 0,
            memory: 0.2,
            udp_drops_per_s: 0.0,
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            behaviour: Behaviour::Good,
        }
    }
}

// === impl TestExporter ===

impl TestExporter {
    /// An idle machine in real time.
    pub(crate) async fn start() -> Self {
        Self::serve(Some(Instant::now())).await
    }

    /// An idle machine whose time moves by [`Self::advance`] alone.
    pub(crate) async fn start_given_time() -> Self {
        Self::serve(None).await
    }

    async fn serve(integrated_at: Option<Instant>) -> Self {
        let claim = socket(SocketAddr::from(([127, 0, 0, 1], 0)));
        let addr = claim.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Machine::new(addr.port(), integrated_at)));
        let server = listen(addr, &shared);
        Self { addr, _claim: claim, shared, server }
    }

    /// The page with everything on it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/metrics", self.addr)
    }

    /// The machine alone, as `node_exporter` shows it; obeys `collect[]=`.
    pub(crate) fn node_url(&self) -> String {
        format!("http://{}/node/metrics", self.addr)
    }

    /// The media process alone, as the process exporter shows it.
    pub(crate) fn process_url(&self) -> String {
        format!("http://{}/process/metrics", self.addr)
    }

    /// The media server alone, as SRS shows itself.
    pub(crate) fn media_url(&self) -> String {
        format!("http://{}/srs/metrics", self.addr)
    }

    /// Turns knobs; what was before counts up to now.
    pub(crate) fn set(&self, turn: impl FnOnce(&mut Knobs)) {
        let mut machine = self.shared.lock().unwrap();
        machine.integrate_to_now();
        let (clients, behaviour) = (machine.knobs.clients, machine.knobs.behaviour.clone());
        turn(&mut machine.knobs);
        machine.counters.clients_total += f64::from(machine.knobs.clients.saturating_sub(clients));
        if machine.knobs.behaviour != behaviour {
            machine.frozen.clear();
        }
    }

    /// Lets given time pass.
    pub(crate) fn advance(&self, time: Duration) {
        let mut machine = self.shared.lock().unwrap();
        assert!(machine.integrated_at.is_none(), "this exporter runs in real time");
        machine.integrate(time.as_secs_f64());
    }

    /// The machine boots anew: all counters start from zero, the process has another id.
    pub(crate) fn restart(&self) {
        let mut machine = self.shared.lock().unwrap();
        machine.integrate_to_now();
        machine.counters = Counters::default();
        machine.boot_s = machine.clock_s;
        machine.pid += 1000;
    }

    /// Nobody listens any more: connections are refused until [`Self::resume`].
    pub(crate) async fn refuse(&mut self) {
        self.server.abort();
        // Its listener is closed once the task has ended, and that it was told to end is no news.
        let _ = (&mut self.server).await;
    }

    /// Listens again, on the same port.
    pub(crate) fn resume(&mut self) {
        self.server = listen(self.addr, &self.shared);
    }

    /// Moves the exporter's own clock, as a time server does to a machine with a wrong one.
    pub(crate) fn step_clock(&self, seconds: f64) {
        self.shared.lock().unwrap().clock_s += seconds;
    }

    /// Request targets so far, in order: `/node/metrics?collect[]=cpu`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.lock().unwrap().requests.clone()
    }
}

impl Drop for TestExporter {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A socket on an address that other sockets of ours may share.
fn socket(addr: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(addr).unwrap();
    socket
}

/// Answers whoever connects, until aborted.
fn listen(addr: SocketAddr, shared: &Arc<Mutex<Machine>>) -> JoinHandle<()> {
    let listener: TcpListener = socket(addr).listen(128).unwrap();
    let machine = Arc::clone(shared);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let machine = Arc::clone(&machine);
            tokio::spawn(async move {
                // An error is a client that went away, which is its right.
                let _ = answer(stream, &machine).await;
            });
        }
    })
}

// === impl Machine ===

impl Machine {
    fn new(port: u16, integrated_at: Option<Instant>) -> Self {
        Self {
            port,
            knobs: Knobs::default(),
            integrated_at,
            clock_s: EPOCH_S,
            boot_s: EPOCH_S - 86_400.0,
            pid: 4242,
            counters: Counters { busy_s: 1_000.0, idle_s: 90_000.0, sent_bytes: 1e9, ..Counters::default() },
            requests: Vec::new(),
            frozen: HashMap::new(),
        }
    }

    fn integrate_to_now(&mut self) {
        if let Some(before) = self.integrated_at {
            let now = Instant::now();
            self.integrate((now - before).as_secs_f64());
            self.integrated_at = Some(now);
        }
    }

    fn integrate(&mut self, seconds: f64) {
        let Self { knobs, counters, .. } = self;
        let cpu_s = seconds * f64::from(knobs.cpus);
        counters.busy_s += cpu_s * knobs.system_cpu;
        counters.idle_s += cpu_s * (1.0 - knobs.system_cpu);
        counters.process_s += seconds * knobs.process_cpu;
        counters.sent_bytes += seconds * knobs.tx_mbps * 1e6 / 8.0;
        counters.udp_drops += seconds * knobs.udp_drops_per_s;
        self.clock_s += seconds;
    }

    /// The page at a request target.
    fn page(&mut self, target: &str) -> String {
        self.integrate_to_now();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut page = String::new();
        if matches!(path, "/metrics" | "/node/metrics") {
            self.write_node(&mut page, &collectors(query));
        }
        if matches!(path, "/metrics" | "/process/metrics") {
            self.write_process(&mut page);
        }
        if matches!(path, "/metrics" | "/srs/metrics") {
            self.write_media(&mut page);
        }
        page
    }

    fn write_node(&self, page: &mut String, collectors: &[String]) {
        let Self { knobs, counters, .. } = self;
        let wanted =
            |collector: &str| collectors.is_empty() || collectors.iter().any(|name| name == collector);
        if wanted("time") {
            family(page, "node_time_seconds", "gauge", &[("", self.clock_s)]);
        }
        if wanted("stat") {
            family(page, "node_boot_time_seconds", "gauge", &[("", self.boot_s)]);
        }
        if wanted("cpu") {
            self.write_cpus(page);
        }
        if wanted("netdev") {
            let both = [("{device=\"eth0\"}", counters.sent_bytes), ("{device=\"lo\"}", 7e9)];
            family(page, "node_network_transmit_bytes_total", "counter", &both);
            let both = [("{device=\"eth0\"}", counters.sent_bytes / 20.0), ("{device=\"lo\"}", 7e9)];
            family(page, "node_network_receive_bytes_total", "counter", &both);
        }
        if wanted("netclass") {
            let speed = [("{device=\"eth0\"}", knobs.link_mbps * 1e6 / 8.0)];
            family(page, "node_network_speed_bytes", "gauge", &speed);
        }
        if wanted("meminfo") {
            let total = 32e9;
            family(page, "node_memory_MemTotal_bytes", "gauge", &[("", total)]);
            family(page, "node_memory_MemAvailable_bytes", "gauge", &[("", total * (1.0 - knobs.memory))]);
        }
        if wanted("netstat") {
            family(page, "node_netstat_Udp_RcvbufErrors", "untyped", &[("", counters.udp_drops)]);
            family(page, "node_netstat_Udp_SndbufErrors", "untyped", &[("", 0.0)]);
            family(page, "node_netstat_Tcp_PassiveOpens", "untyped", &[("", counters.clients_total)]);
        }
        if wanted("loadavg") {
            family(page, "node_load1", "gauge", &[("", knobs.system_cpu * f64::from(knobs.cpus))]);
        }
    }

    fn write_cpus(&self, page: &mut String) {
        let cpus = f64::from(self.knobs.cpus);
        let mut samples = Vec::new();
        for cpu in 0..self.knobs.cpus {
            samples.push((format!("{{cpu=\"{cpu}\",mode=\"idle\"}}"), self.counters.idle_s / cpus));
            samples.push((format!("{{cpu=\"{cpu}\",mode=\"user\"}}"), self.counters.busy_s / cpus));
            for mode in ["iowait", "irq", "nice", "softirq", "steal", "system"] {
                samples.push((format!("{{cpu=\"{cpu}\",mode=\"{mode}\"}}"), 0.0));
            }
        }
        let samples: Vec<(&str, f64)> =
            samples.iter().map(|(labels, value)| (labels.as_str(), *value)).collect();
        family(page, "node_cpu_seconds_total", "counter", &samples);
    }

    fn write_process(&self, page: &mut String) {
        let group = format!("groupname=\"srs;{}\"", self.pid);
        let (user, system) = (format!("{{{group},mode=\"user\"}}"), format!("{{{group},mode=\"system\"}}"));
        let (user_s, system_s) = (self.counters.process_s * 0.75, self.counters.process_s * 0.25);
        family(
            page,
            "namedprocess_namegroup_cpu_seconds_total",
            "counter",
            &[(&user, user_s), (&system, system_s)],
        );
        let alone = format!("{{{group}}}");
        family(page, "namedprocess_namegroup_num_procs", "gauge", &[(&alone, 1.0)]);
        family(
            page,
            "namedprocess_namegroup_oldest_start_time_seconds",
            "gauge",
            &[(&alone, self.boot_s + 60.0)],
        );
    }

    fn write_media(&self, page: &mut String) {
        let build = format!(
            "{{server=\"vid-test\",service=\"{}\",pid=\"{}\",build_date=\"2026-11-22 19:40:15\",major=\"7\",\
             version=\"7.0.18\",code=\"Hang\"}}",
            self.pid * 3,
            self.pid
        );
        family(page, "srs_build_info", "gauge", &[(&build, 1.0)]);
        family(page, "srs_cpu_percent", "gauge", &[("", self.knobs.process_cpu * 100.0)]);
        family(page, "srs_send_bytes_total", "counter", &[("", self.counters.sent_bytes)]);
        family(page, "srs_receive_bytes_total", "counter", &[("", self.counters.sent_bytes / 20.0)]);
        family(page, "srs_clients", "gauge", &[("", f64::from(self.knobs.clients))]);
        family(page, "srs_clients_total", "counter", &[("", self.counters.clients_total)]);
    }
}

/// One metric family in exposition text.
fn family(page: &mut String, name: &str, kind: &str, samples: &[(&str, f64)]) {
    writeln!(page, "# HELP {name} Emulated.\n# TYPE {name} {kind}").unwrap();
    for (labels, value) in samples {
        writeln!(page, "{name}{labels} {value}").unwrap();
    }
}
