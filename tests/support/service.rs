//! The real binary as a child process.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use super::client::{Reply, eventually, get, post};

/// How long the service may take until its listeners are bound.
const LISTEN_LIMIT: Duration = Duration::from_secs(20);

/// How long it may take until `/readyz` says 200: two scrapes of every target and some grace.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// A running `nearcast serve`; killed when dropped.
pub(crate) struct Service {
    child: Child,
    folder: TempDir,
    log: Arc<Mutex<Vec<String>>>,
    player: SocketAddr,
    admin: SocketAddr,
}

// === impl Service ===

impl Service {
    /// Starts the service and waits until it is ready.
    ///
    /// The configuration needs no `[server]` listeners: both default to loopback, port 0 here.
    pub(crate) async fn start(config: &str) -> Self {
        let mut service = Self::launch(config).await;
        let url = service.admin_url("/readyz");
        eventually("the service is ready", READY_LIMIT, || {
            let gone = service.gone();
            let url = url.clone();
            async move {
                match get(&url).await {
                    Ok(reply) if reply.status == 200 => Ok(()),
                    other => Err(format!("{other:?} {gone}")),
                }
            }
        })
        .await;
        service
    }

    /// Starts the service and waits until it listens, ready or not.
    pub(crate) async fn launch(config: &str) -> Self {
        Self::launch_by(config, &[], |_| {}).await
    }

    /// The same with files beside the configuration, further arguments and what is logged (empty: as usual).
    pub(crate) async fn launch_with(
        config: &str,
        files: &[(&str, &str)],
        arguments: &[&str],
        logged: &str,
    ) -> Self {
        Self::launch_by(config, files, |command| {
            command.args(arguments).env("NEARCAST_LOG", logged);
        })
        .await
    }

    /// The same, started in another way: with more arguments, variables, or by somebody else.
    pub(crate) async fn launch_by(
        config: &str,
        files: &[(&str, &str)],
        how: impl FnOnce(&mut Command),
    ) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        std::fs::write(folder.path().join("nearcast.toml"), with_listeners(config)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_nearcast"));
        command.args(["serve", "--config", "nearcast.toml"]).env_remove("NEARCAST_LOG").stdin(Stdio::null());
        how(&mut command);
        let mut child = command
            .current_dir(folder.path())
            .env("NO_COLOR", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        follow(child.stdout.take().unwrap(), &log);
        follow(child.stderr.take().unwrap(), &log);
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut service = Self { child, folder, log, player: nowhere, admin: nowhere };
        (service.player, service.admin) = eventually("the service listens", LISTEN_LIMIT, || {
            let found = service.listeners().ok_or_else(|| service.gone());
            async move { found }
        })
        .await;
        service
    }

    /// Where players ask by HTTPS.
    pub(crate) fn secure(&self) -> SocketAddr {
        let log = self.log.lock().unwrap();
        log.iter().find_map(|line| field(line, "tls=")).unwrap()
    }

    /// Where it answers DNS.
    pub(crate) fn dns(&self) -> SocketAddr {
        let log = self.log.lock().unwrap();
        log.iter().find_map(|line| field(line, "dns=")).unwrap()
    }

    /// Where it answers DNS by TLS.
    pub(crate) fn dns_tls(&self) -> SocketAddr {
        let log = self.log.lock().unwrap();
        log.iter().find_map(|line| field(line, "dns_tls=")).unwrap()
    }

    /// The address of a path on the player side.
    pub(crate) fn player_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.player)
    }

    /// The address of a path on the operators' side.
    pub(crate) fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin)
    }

    /// `GET` on the player side.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        get(&self.player_url(path)).await.unwrap()
    }

    /// `GET` on the operators' side.
    pub(crate) async fn admin(&self, path: &str) -> Reply {
        get(&self.admin_url(path)).await.unwrap()
    }

    /// Where the configuration is, to be written anew by tests of reloading.
    pub(crate) fn config_path(&self) -> PathBuf {
        self.folder.path().join("nearcast.toml")
    }

    /// Replaces the configuration in one step, as an editor does. Listeners stay as they are.
    pub(crate) fn rewrite(&self, config: &str) {
        let draft = self.folder.path().join("draft.toml");
        std::fs::write(&draft, with_listeners(config)).unwrap();
        std::fs::rename(&draft, self.config_path()).unwrap();
    }

    /// Sends a signal by name, `"HUP"` or `"TERM"`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success(), "cannot send SIG{name}");
    }

    /// Asks it to end and waits for that.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended().await
    }

    /// Waits for its end, whoever asked for it.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        eventually("the service ends", LISTEN_LIMIT, || {
            let status = self.child.try_wait().unwrap().ok_or_else(|| "still running".to_owned());
            async move { status }
        })
        .await
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Memory it has in use, KiB.
    pub(crate) fn rss_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Writes another file beside the configuration.
    pub(crate) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.folder.path().join(name), content).unwrap();
    }

    /// `POST /-/reload`.
    pub(crate) async fn reload(&self) -> Reply {
        post(&self.admin_url("/-/reload")).await.unwrap()
    }

    /// Everything it has written so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// The addresses out of the line `listening player=ADDR admin=ADDR`.
    fn listeners(&self) -> Option<(SocketAddr, SocketAddr)> {
        let log = self.log.lock().unwrap();
        let line = log.iter().find(|line| line.contains("listening") && line.contains("player"))?;
        let both = |player, admin| Some((field(line, player)?, field(line, admin)?));
        both("player=", "admin=").or_else(|| both("\"player\":\"", "\"admin\":\""))
    }

    /// For messages: whether it has ended, and what it wrote.
    fn gone(&mut self) -> String {
        let ended = self.child.try_wait().unwrap().map_or("running".to_owned(), |status| status.to_string());
        format!("({ended}) its log:\n{}", self.log())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the program to its end, in a folder.
pub(crate) fn nearcast(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nearcast"));
    command.args(arguments).current_dir(folder).env_remove("NEARCAST_LOG").env("NO_COLOR", "1");
    command.stdin(Stdio::null()).output().unwrap()
}

/// Puts loopback listeners on port 0 before a configuration that has no `[server]` of its own.
fn with_listeners(config: &str) -> String {
    if config.lines().any(|line| line.trim() == "[server]") {
        return config.to_owned();
    }
    format!("[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n\n{config}")
}

fn field(line: &str, name: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(name)?;
    rest.split([' ', '"', ',', '}']).next()?.parse().ok()
}

/// Keeps a stream's lines.
fn follow(stream: impl Read + Send + 'static, log: &Arc<Mutex<Vec<String>>>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            log.lock().unwrap().push(line);
        }
    });
}

/// A loopback port that was free a moment ago; for programs that cannot tell which one they took.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
