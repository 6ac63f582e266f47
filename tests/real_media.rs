//! Real media servers, a real encoder, real players, the real service: a stream from end to end.
//!
//! Debian's nginx with its RTMP module is two origins and two edges, each at a loopback address of its own; ffmpeg
//! publishes to the origin that `/resolve?role=publish` names, and plays what it is sent to. `cargo test` alone leaves this
//! out, because it needs installed programs; `make test` runs it, and without the programs it fails and says how to get
//! them.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage should stop at once")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

#[path = "support/lib.rs"]
mod support;

use support::{Service, TestExporter, eventually, free_port, post_json};

/// Time for a stream to come, or to come again: a pull, a key frame, and a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(40);
/// Where Debian has it.
const RTMP_MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";
const TOKEN: &str = "a-token-of-origins";
const EDGE_TOKEN: &str = "a-token-of-all-edges";
const DOMAIN: &str = "live.example.com";
const STREAM: &str = "live/show";

/// A child process that is killed, by its id, when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One nginx.
struct Server {
    id: &'static str,
    ip: &'static str,
    rtmp: u16,
    http: u16,
    folder: TempDir,
}

/// An encoder as broadcasters have it: cut off, it asks where to publish and begins again.
struct Encoder {
    /// Where it has published, in order.
    urls: Arc<Mutex<Vec<String>>>,
    ends: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

fn start(program: &str, arguments: &[&str]) -> Running {
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Running(started.unwrap_or_else(|error| {
        panic!(
            "cannot start {program}: {error}\ninstall it with `make setup`, or: apt-get install -y {program}"
        )
    }))
}

// === impl Server ===

impl Server {
    fn new(id: &'static str, ip: &'static str) -> Self {
        Self { id, ip, rtmp: free_port(), http: free_port(), folder: TempDir::new().unwrap() }
    }

    /// Its `[[nodes]]`, `degrees` east of everybody.
    fn toml(&self, pool: &str, role: &str, degrees: f64, more: &str) -> String {
        let Self { id, ip, rtmp, http, .. } = self;
        format!(
            "[[nodes]]\nid = \"{id}\"\npool = \"{pool}\"\nrole = \"{role}\"\naddresses = [\"{ip}\"]\nbandwidth = \"1Gbps\"\n\
             media = {{ rtmp = {rtmp}, http = {http}, api = {http} }}\n\
             location = {{ latitude = 0, longitude = {degrees} }}\n{more}\n"
        )
    }

    /// Starts it, with hooks that call `service`.
    fn start(&self, service: &Service, token: &str) -> Running {
        assert!(
            Path::new(RTMP_MODULE).exists(),
            "{RTMP_MODULE} is missing; install it with `make setup`, or: apt-get install -y nginx libnginx-mod-rtmp"
        );
        let Self { id, ip, rtmp, http, folder } = self;
        let hooks = service.player_url(&format!("/t/{token}/{id}/hooks"));
        let folder = folder.path().display();
        let text = format!(
            "load_module {RTMP_MODULE};\ndaemon off;\nmaster_process off;\npid {folder}/nginx.pid;\n\
             error_log {folder}/error.log notice;\nevents {{ worker_connections 256; }}\n\
             rtmp {{ server {{ listen {ip}:{rtmp}; notify_method post;\n\
             application live {{ live on; hls on; hls_path {folder}/hls; hls_fragment 1s;\n\
             on_publish {hooks}/on_publish; on_publish_done {hooks}/on_unpublish; on_play {hooks}/on_play; }} }} }}\n\
             http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n\
             fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n\
             server {{ listen {ip}:{http}; location /live/ {{ alias {folder}/hls/; }}\n\
             location /stat {{ rtmp_stat all; }} location /control {{ rtmp_control all; }} }} }}\n"
        );
        let path = self.folder.path().join("nginx.conf");
        std::fs::write(&path, text).unwrap();
        std::fs::create_dir_all(self.folder.path().join("hls")).unwrap();
        start("nginx", &["-c", &path.display().to_string(), "-p", &folder.to_string()])
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }
}

// === impl Encoder ===

impl Encoder {
    fn start(service: &Service) -> Self {
        let (urls, ends) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let ask = service.player_url(&format!("/resolve?domain={DOMAIN}&stream={STREAM}&role=publish"));
        let (told, end) = (Arc::clone(&urls), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            while !end.load(Relaxed) {
                let answer = Command::new("curl").args(["-sf", &ask]).output().unwrap().stdout;
                let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
                if let Some(url) = answer["urls"][0].as_str() {
                    told.lock().unwrap().push(url.to_owned());
                    publish(url, &end);
                }
                std::thread::sleep(Duration::from_millis(300));
            }
        });
        Self { urls, ends, thread: Some(thread) }
    }

    fn last(&self) -> String {
        self.urls.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.ends.store(true, Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

/// Publishes until the server ends it, or `end`.
fn publish(url: &str, end: &AtomicBool) {
    let mut encoder = start(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-re",
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=160x120:rate=10",
            "-f",
            "lavfi",
            "-i",
            "sine=frequency=440:sample_rate=44100",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-tune",
            "zerolatency",
            "-pix_fmt",
            "yuv420p",
            "-g",
            "10",
            "-c:a",
            "aac",
            "-f",
            "flv",
            url,
        ],
    );
    while encoder.0.try_wait().unwrap().is_none() && !end.load(Relaxed) {
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Frames that a player shows of ten that it wants, within ten seconds.
async fn frames(url: &str) -> Result<u32, String> {
    let url = url.to_owned();
    let asked = url.clone();
    let played = tokio::task::spawn_blocking(move || {
        let arguments = ["10", "ffmpeg", "-v", "error", "-nostdin", "-i", &asked, "-frames:v", "10"];
        let nowhere = ["-progress", "-", "-f", "null", "-y", "/dev/null"];
        Command::new("timeout").args(arguments).args(nowhere).stdin(Stdio::null()).output().unwrap()
    });
    let played = played.await.unwrap();
    let said = String::from_utf8_lossy(&played.stdout).into_owned();
    let frames = said.lines().filter_map(|line| line.strip_prefix("frame=")?.trim().parse().ok()).max();
    let complaint = String::from_utf8_lossy(&played.stderr);
    frames.filter(|frames| *frames >= 10).ok_or_else(|| format!("{url}: {frames:?} frames, {complaint}"))
}

/// What a viewer of the stream is told.
async fn first_edge(service: &Service) -> String {
    let answer = service.get(&format!("/resolve?domain={DOMAIN}&stream={STREAM}&n=1")).await;
    answer.json()["ips"][0].as_str().unwrap_or_default().to_owned()
}

/// The nodes that have the stream.
async fn origins(service: &Service) -> Vec<String> {
    let streams = service.admin("/streams").await.json();
    let origins = streams["streams"][0]["origins"].as_array().cloned().unwrap_or_default();
    origins.iter().filter_map(|origin| Some(origin["node"].as_str()?.to_owned())).collect()
}

/// Plays by RTMP what the service names, until it can be seen.
async fn watch(service: &Service, edges: &[&Server; 2], wanted: &Server) {
    eventually("a viewer sees the stream by RTMP", PATIENCE, || async {
        let ip = first_edge(service).await;
        let edge = edges.iter().find(|edge| edge.ip == ip).ok_or_else(|| format!("sent to {ip:?}"))?;
        if edge.id != wanted.id {
            return Err(format!("sent to {}", edge.id));
        }
        let seen = frames(&format!("rtmp://{}:{}/{STREAM}", edge.ip, edge.rtmp)).await;
        seen.map_err(|error| format!("{error}; {}\n{}", edge.log(), service.log()))
    })
    .await;
}

fn configuration(origins: &[&Server; 2], edges: &[&Server; 2], exporter: &TestExporter) -> String {
    let mut text = format!(
        "[geoip]\ndefault_location = {{ latitude = 0, longitude = 0 }}\n[scrape]\ninterval = \"1s\"\ntimeout = \"900ms\"\n\
         [streams]\noverloaded_edge = \"refuse\"\n\
         [[callers]]\ntoken_file = \"origins.token\"\npool = \"origins\"\n\
         [[callers]]\ntoken_file = \"edges.token\"\npool = \"edges\"\n\
         [[pools]]\nname = \"origins\"\n[[pools]]\nname = \"edges\"\nupstream = \"origins\"\n\
         [[domains]]\nname = \"{DOMAIN}\"\npool = \"edges\"\norigins = \"origins\"\n"
    );
    let load = format!("exporters = [\"{}\"]\nprocesses = [\"srs\"]", exporter.url());
    let nodes = [
        origins[0].toml("origins", "origin", 1.0, ""),
        origins[1].toml("origins", "origin", 20.0, ""),
        edges[0].toml("edges", "edge", 1.0, &load),
        edges[1].toml("edges", "edge", 20.0, ""),
    ];
    nodes.iter().for_each(|node| write!(text, "{node}").unwrap());
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nginx, libnginx-mod-rtmp and ffmpeg; make test runs it"]
async fn a_stream_is_published_pulled_and_seen_and_moves_when_its_servers_have_to_rest() {
    let (near, far) = (Server::new("o-near", "127.0.0.11"), Server::new("o-far", "127.0.0.12"));
    let (edge, other) = (Server::new("e-near", "127.0.0.21"), Server::new("e-far", "127.0.0.22"));
    let exporter = TestExporter::start().await;
    let config = configuration(&[&near, &far], &[&edge, &other], &exporter);
    let files = [("origins.token", TOKEN), ("edges.token", EDGE_TOKEN)];
    let service = Service::launch_with(&config, &files, &[], "info").await;
    let _servers = [
        near.start(&service, TOKEN),
        far.start(&service, TOKEN),
        edge.start(&service, EDGE_TOKEN),
        other.start(&service, EDGE_TOKEN),
    ];
    let edges = [&edge, &other];

    // It goes to the near origin, and is known at once.
    let encoder = Encoder::start(&service);
    eventually("the stream is known", PATIENCE, || async {
        let known = origins(&service).await;
        if known == ["o-near"] { Ok(()) } else { Err(format!("{known:?}; {}", near.log())) }
    })
    .await;
    assert_eq!(encoder.last(), format!("rtmp://127.0.0.11:{}/{STREAM}", near.rtmp));

    // A viewer by RTMP makes the edge pull it from there; one by HLS is redirected to that edge.
    watch(&service, &edges, &edge).await;
    let staying = keep_watching(&format!("rtmp://{}:{}/{STREAM}", edge.ip, edge.rtmp));
    eventually("a viewer sees the stream by HLS", PATIENCE, || async {
        frames(&service.player_url(&format!("/{STREAM}.m3u8?domain={DOMAIN}"))).await
    })
    .await;
    drop(staying);

    // The near origin is drained: the encoder is cut off, asks, and goes to the other one.
    let order = json!({ "reason": "new kernel", "evict_per_minute": 600 });
    let drained = post_json(&service.admin_url("/nodes/o-near/drain"), order.to_string(), &[]).await.unwrap();
    assert_eq!(drained.status, 200, "{drained:?}");
    eventually("the stream has moved", PATIENCE, || async {
        let known = origins(&service).await;
        if known == ["o-far"] { Ok(()) } else { Err(format!("{known:?}; {}", service.log())) }
    })
    .await;
    assert_eq!(encoder.last(), format!("rtmp://127.0.0.12:{}/{STREAM}", far.rtmp));
    watch(&service, &edges, &edge).await;

    // The near edge is overloaded: viewers land on the other one, and who insists is refused.
    exporter.set(|knobs| knobs.process_cpu = 0.97);
    watch(&service, &edges, &other).await;
    let insisting = frames(&format!("rtmp://{}:{}/{STREAM}", edge.ip, edge.rtmp)).await;
    assert!(insisting.is_err(), "{insisting:?}");
}

/// A viewer who stays.
fn keep_watching(url: &str) -> Running {
    start("ffmpeg", &["-v", "error", "-nostdin", "-i", url, "-f", "null", "/dev/null", "-y"])
}
