//! What becomes of honest players while others hold connections open, and while too many ask.
//!
//! `cargo bench --bench stress [-- loris] [-- overload]` (needs `taskset`; a minute and a half). The service has one
//! worker on core 0, the players are on core 1.
//!
//! *loris*: 2,000 connections send half of a request's head, or half of a TLS handshake, and then a byte a second.
//! Printed: p99 of honest `/resolve` before and meanwhile, and when the half-open ones were closed.
//!
//! *overload*: five busy processes share the service's core, so that one core of players can offer three times what it
//! can do. First the peak, by players who each come anew as soon as they were answered; then three times as many
//! a second for 20 s, whatever becomes of them; then half the peak. An answer counts if it is a 200 within a second of
//! when its player came, who leaves then. The same with players who keep 4,000 connections.

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a benchmark")]

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

const QUESTION: &[u8] = b"GET /resolve?domain=live.example.com HTTP/1.1\r\nHost: x\r\n\r\n";
const HALF_HEAD: &[u8] = b"GET /resolve?domain=live.example.com HTTP/1.1\r\nHost:";
/// The first bytes of a `ClientHello` of 512.
const HALF_HELLO: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
const HALF_OPEN: usize = 2_000;
/// An answer after this is one to a player who has left.
const PATIENCE: Duration = Duration::from_secs(1);
const OVERLOAD_S: u64 = 20;
const KEPT: usize = 4_000;
/// Processes that share the service's core in the overload.
const BUSY: usize = 5;

/// Which of our addresses is asked next.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Processes that end with this one.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The service, and where it listens.
struct Service {
    process: Running,
    plain: SocketAddr,
    secure: SocketAddr,
}

/// What became of players who came.
#[derive(Default)]
struct Tally {
    good: AtomicU64,
    busy: AtomicU64,
    failed: AtomicU64,
    /// Longest time that a player had to wait for this side, ms: near a second the row says nothing.
    lag_ms: AtomicU64,
}

fn main() {
    let wanted = |name| {
        let mut named = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
        named.peek().is_none() || named.any(|argument| argument == name)
    };
    if std::env::var_os("STRESS_PINNED").is_none() {
        // Every thread of ours on core 1, before there are any.
        let status = Command::new("taskset")
            .args(["-c", "1"])
            .args(std::env::args_os())
            .env("STRESS_PINNED", "1")
            .status()
            .expect("taskset: apt install util-linux");
        std::process::exit(status.code().unwrap_or(1));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let service = Service::start().await;
        if wanted("loris") {
            loris("half-sent heads", service.plain, service.plain, HALF_HEAD).await;
            loris("half TLS handshakes", service.plain, service.secure, HALF_HELLO).await;
        }
        if wanted("overload") {
            overload(&service).await;
        }
    });
}

// --- loris

async fn loris(what: &str, honest: SocketAddr, victim: SocketAddr, half: &'static [u8]) {
    let idle = p99(&honest_players(honest, Duration::from_secs(6)).await);
    let began = Instant::now();
    let mut half_open = JoinSet::new();
    for _ in 0..HALF_OPEN {
        half_open.spawn(hold(victim, half, began));
        // They come one a millisecond, and so are their later bytes spread: sent all at once, they would hold up the
        // players on this side, who share their thread, and the row would tell of that.
        sleep(Duration::from_millis(1)).await;
    }
    let during = p99(&honest_players(honest, Duration::from_secs(6)).await);
    let mut closed = Vec::new();
    while let Some(after) = half_open.join_next().await {
        closed.push(after.unwrap().as_secs_f64());
    }
    closed.sort_by(f64::total_cmp);
    println!(
        "{what}: p99 {:.2} ms idle, {:.2} ms with {HALF_OPEN} half-open ({:.2} x); closed after {:.1} to {:.1} s",
        idle * 1e3,
        during * 1e3,
        during / idle,
        closed[0],
        closed[closed.len() - 1],
    );
}

/// Sends half, then a byte a second, until the other side closes; when that was.
async fn hold(address: SocketAddr, half: &[u8], began: Instant) -> Duration {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(half).await.unwrap();
    let mut chunk = [0; 256];
    loop {
        match timeout(Duration::from_secs(1), stream.read(&mut chunk)).await {
            Ok(Ok(0) | Err(_)) => return began.elapsed(),
            Ok(Ok(_)) => {}
            Err(_) if stream.write_all(b"x").await.is_err() => return began.elapsed(),
            Err(_) => {}
        }
    }
}

/// Some 500 questions a second, half of them on connections of their own; how long each took, s.
async fn honest_players(address: SocketAddr, time: Duration) -> Vec<f64> {
    let end = Instant::now() + time;
    let mut kept = TcpStream::connect(address).await.unwrap();
    let mut took = Vec::new();
    while Instant::now() < end {
        let came = Instant::now();
        assert_eq!(ask(&mut kept).await, Some(200));
        took.push(came.elapsed().as_secs_f64());
        let came = Instant::now();
        let mut fresh = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut fresh).await, Some(200));
        took.push(came.elapsed().as_secs_f64());
        sleep(Duration::from_millis(3)).await;
    }
    took
}

// --- overload

async fn overload(service: &Service) {
    let busy =
        || Command::new("taskset").args(["-c", "0", "sh", "-c", "while :; do :; done"]).spawn().unwrap();
    let _busy: Vec<Running> = (0..BUSY).map(|_| Running(busy())).collect();
    println!(
        "| players | phase | offered/s | good/s | of the peak | 503/s | failed/s | lag here, ms | RSS, MB |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|");
    for kept in [false, true] {
        let peak = peak(service.plain, kept).await;
        let row = |phase: &str, offered: f64, tally: &Tally, seconds: f64| {
            let per_s = |count: &AtomicU64| count.load(Relaxed) as f64 / seconds;
            println!(
                "| {} | {phase} | {offered:.0} | {:.0} | {:.2} | {:.0} | {:.0} | {} | {:.1} |",
                if kept { "kept connections" } else { "come anew" },
                per_s(&tally.good),
                per_s(&tally.good) / peak,
                per_s(&tally.busy),
                per_s(&tally.failed),
                tally.lag_ms.load(Relaxed),
                resident_mb(service.process.0.id()),
            );
        };
        let at_peak = Tally::default();
        at_peak.good.store(peak as u64, Relaxed);
        row("peak", peak, &at_peak, 1.0);
        let mut connections = if kept { connected(service.plain, peak).await } else { VecDeque::new() };
        for (phase, share, seconds) in
            [("3 x the peak", 3.0, OVERLOAD_S), ("first second after", 0.5, 1), ("then", 0.5, 4)]
        {
            let tally = offer(service.plain, share * peak, seconds, kept.then_some(&mut connections)).await;
            row(phase, share * peak, &tally, seconds as f64);
        }
    }
}

/// The most that can be answered in a second, by players who come again as soon as they were answered.
async fn peak(address: SocketAddr, kept: bool) -> f64 {
    let tally = Arc::new(Tally::default());
    let end = Instant::now() + Duration::from_secs(5);
    let mut players = JoinSet::new();
    for _ in 0..256 {
        let tally = Arc::clone(&tally);
        players.spawn(async move {
            let mut stream = None;
            while Instant::now() < end {
                stream = player(address, stream.take().filter(|_| kept), Instant::now(), &tally).await;
            }
        });
    }
    players.join_all().await;
    tally.good.load(Relaxed) as f64 / 5.0
}

/// The kept connections, made at a tenth of the pace at which requests are answered: before, not in, the overload.
async fn connected(address: SocketAddr, peak: f64) -> VecDeque<Option<TcpStream>> {
    let mut connections = VecDeque::new();
    for _ in 0..KEPT {
        connections.push_back(player(address, None, Instant::now(), &Tally::default()).await);
        sleep(Duration::from_secs_f64(10.0 / peak)).await;
    }
    connections
}

/// So many players a second, come what may. Kept connections are used in turn; one that was lost is made anew by the
/// next who uses it. One that is still waiting is missed, as a player who cannot ask is a player lost.
async fn offer(
    address: SocketAddr,
    rate: f64,
    seconds: u64,
    mut kept: Option<&mut VecDeque<Option<TcpStream>>>,
) -> Arc<Tally> {
    let tally = Arc::new(Tally::default());
    let began = Instant::now();
    let mut players = JoinSet::new();
    let (returned, mut returns) = tokio::sync::mpsc::unbounded_channel();
    let mut offered = 0_u64;
    let lag = tokio::spawn(look_for_lag(Arc::clone(&tally)));
    while began.elapsed() < Duration::from_secs(seconds) {
        sleep(Duration::from_millis(1)).await;
        let due = (began.elapsed().as_secs_f64() * rate) as u64;
        for _ in offered..due {
            let came = Instant::now();
            let (tally, returned) = (Arc::clone(&tally), returned.clone());
            let Some(kept) = &mut kept else {
                players.spawn(async move { drop(player(address, None, came, &tally).await) });
                continue;
            };
            while let Ok(connection) = returns.try_recv() {
                kept.push_front(connection);
            }
            let Some(stream) = kept.pop_back() else {
                tally.failed.fetch_add(1, Relaxed);
                continue;
            };
            players.spawn(async move {
                let _ = returned.send(player(address, stream, came, &tally).await);
            });
        }
        offered = due;
        while players.try_join_next().is_some() {}
    }
    lag.abort();
    players.join_all().await;
    while let (Some(kept), Ok(connection)) = (&mut kept, returns.try_recv()) {
        kept.push_back(connection);
    }
    tally
}

async fn look_for_lag(tally: Arc<Tally>) {
    loop {
        let asleep = Instant::now();
        sleep(Duration::from_millis(10)).await;
        tokio::task::yield_now().await;
        let late = asleep.elapsed().as_millis().saturating_sub(10);
        tally.lag_ms.fetch_max(u64::try_from(late).unwrap(), Relaxed);
    }
}

/// One player who came at a moment, on a connection or without; the connection if it can be used again.
async fn player(
    address: SocketAddr,
    stream: Option<TcpStream>,
    came: Instant,
    tally: &Tally,
) -> Option<TcpStream> {
    let visit = async {
        let mut stream = match stream {
            Some(stream) => stream,
            None => {
                // Many addresses of this machine: to one alone the kernel runs out of ports, and looks for one for long.
                let last = u8::try_from(NEXT.fetch_add(1, Relaxed) % 200 + 1).ok()?;
                let stream =
                    TcpStream::connect(SocketAddr::from(([127, 0, 0, last], address.port()))).await.ok()?;
                // Reset instead of waiting, for the same reason.
                stream.set_zero_linger().ok()?;
                stream
            }
        };
        let status = ask(&mut stream).await?;
        Some((status, stream))
    };
    let (count, stream) = match timeout_at(came + PATIENCE, visit).await {
        Ok(Some((200, stream))) => (&tally.good, Some(stream)),
        // Such an answer is the last of its connection.
        Ok(Some((503, _))) => (&tally.busy, None),
        _ => (&tally.failed, None),
    };
    count.fetch_add(1, Relaxed);
    stream
}

/// Asks once; the status.
async fn ask(stream: &mut TcpStream) -> Option<u16> {
    stream.write_all(QUESTION).await.ok()?;
    let mut answer = [0; 2048];
    let mut length = 0;
    // Answers here end with their JSON object.
    while length == 0 || answer[length - 1] != b'}' {
        match stream.read(&mut answer[length..]).await {
            Ok(0) | Err(_) => return None,
            Ok(got) => length += got,
        }
    }
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

// --- the service

impl Service {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("a.crt"), made.cert.pem()).unwrap();
        std::fs::write(folder.path().join("a.key"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(folder.path().join("stress.toml"), configuration()).unwrap();
        let mut child = Command::new("taskset")
            .args(["-c", "0", env!("CARGO_BIN_EXE_nearcast"), "serve", "--config", "stress.toml"])
            .current_dir(folder.path())
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("taskset: apt install util-linux");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("player=")).expect("the service says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        let field =
            |name: &str| line.split_once(name).unwrap().1.split_whitespace().next().unwrap().parse().unwrap();
        let (mut plain, secure): (SocketAddr, SocketAddr) = (field("player="), field("tls="));
        plain.set_ip([127, 0, 0, 1].into());
        // Nodes without exporters are known at once.
        sleep(Duration::from_secs(1)).await;
        Self { process: Running(child), plain, secure }
    }
}

fn configuration() -> String {
    let mut text = String::from(
        "[server]\nlisten = \"0.0.0.0:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\n\
         tls = { listen = \"127.0.0.1:0\", certificate = \"a.crt\", key = \"a.key\" }\n\
         [[pools]]\nname = \"edges\"\n[[domains]]\nname = \"live.example.com\"\npool = \"edges\"\n",
    );
    for i in 0..300 {
        let (latitude, longitude) = (f64::from(i % 100) - 40.0, f64::from(i % 90) * 4.0 - 179.0);
        writeln!(
            text,
            "[[nodes]]\nid = \"n{i}\"\npool = \"edges\"\npop = \"p{}\"\naddresses = [\"10.0.{}.{}\"]\n\
             location = {{ latitude = {latitude}, longitude = {longitude} }}\nbandwidth = \"10Gbps\"",
            i % 82,
            i / 250,
            i % 250 + 1
        )
        .unwrap();
    }
    text
}

fn p99(took: &[f64]) -> f64 {
    let mut took = took.to_vec();
    took.sort_by(f64::total_cmp);
    took[took.len() * 99 / 100]
}

fn resident_mb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
