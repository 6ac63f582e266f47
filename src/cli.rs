//! The command line: arguments become one call into the house.

mod dnssec;

use std::collections::HashMap;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::http::sign::{LONGEST_LIFE_S, SigningKey};
use crate::order::{self, Order, Recipient};
use crate::scrape::{BadFile, BadFiles};
use crate::sockets::Sockets;
use crate::telemetry;

/// Exit status for input that cannot be used: a configuration, a database, an address.
const EXIT_BAD_INPUT: u8 = 2;

/// Tells every live-streaming viewer the nearest edge that will not be overloaded.
#[derive(Debug, Parser)]
#[command(name = "nearcast", version, about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service.
    Serve {
        /// Configuration file (TOML).
        #[arg(long, short, env = "NEARCAST_CONFIG")]
        config: PathBuf,
        /// Log as JSON, one object a line.
        #[arg(long)]
        log_json: bool,
        /// Share the ports of this running nearcast, and ask it to stop as soon as the fleet is known here.
        #[arg(long, value_name = "PID")]
        take_over: Option<i32>,
    },
    /// Run the two-minute tour: a fleet of emulated edges and the real service scraping them.
    Demo {
        /// Emulated edges.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=500))]
        edges: u16,
        /// Where players ask; operators look one port above, on loopback.
        #[arg(long, default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
    },
    /// Check a configuration file and say everything that is wrong with it.
    Check {
        /// Configuration file (TOML).
        file: PathBuf,
    },
    /// Scrape the fleet once and say which node a client would get, and why.
    Explain {
        /// Configuration file (TOML).
        #[arg(long, short, env = "NEARCAST_CONFIG")]
        config: PathBuf,
        /// Domain the client asks for.
        #[arg(long)]
        domain: String,
        /// Address of the client.
        #[arg(long)]
        ip: IpAddr,
        /// Stream the client asks for, "app/name".
        #[arg(long)]
        stream: Option<String>,
    },
    /// Run the real scheduler against virtual viewers, exporters and faults.
    Simulate(SimulateArguments),
    /// Sign a question with a domain's key, as a player's application would.
    Sign {
        /// File with the key.
        #[arg(long, short)]
        key: PathBuf,
        /// How long the signature holds, s.
        #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=LONGEST_LIFE_S))]
        seconds: u64,
        /// A query such as "domain=live.example.com&stream=live/show", or a whole URL with one.
        question: String,
    },
    /// Send no new viewers to a node of a running service, and on demand those away that it has.
    Drain {
        /// The node.
        node: String,
        /// Send so many of its clients away a minute, through its media server's API: 30 or 30/min.
        #[arg(long, value_name = "N/min", value_parser = order::per_minute)]
        evict: Option<u32>,
        /// Why, for whoever looks at the node.
        #[arg(long)]
        reason: Option<String>,
        /// End the drain by itself after so many seconds.
        #[arg(long, value_name = "SECONDS")]
        ttl: Option<u32>,
        #[command(flatten)]
        service: RunningService,
    },
    /// Send viewers to a node again.
    Undrain {
        /// The node.
        node: String,
        #[command(flatten)]
        service: RunningService,
    },
    /// Watch the fleet of a running service in the terminal; q quits.
    Top {
        #[command(flatten)]
        service: RunningService,
    },
    /// Keys of zones that are signed (DNSSEC).
    Dnssec {
        #[command(subcommand)]
        command: dnssec::Command,
    },
    /// Say where an address is.
    Geoip {
        /// Address to look up.
        ip: IpAddr,
        /// Configuration file whose databases and overrides count; the built-in database otherwise.
        #[arg(long, short)]
        config: Option<PathBuf>,
    },
}

/// A service to ask.
#[derive(Debug, clap::Args)]
struct RunningService {
    /// The operators' side of the service.
    #[arg(long, default_value = "http://127.0.0.1:8081", env = "NEARCAST_URL")]
    url: String,
    /// File with the token that it asks for (`server.admin_token_file`).
    #[arg(long)]
    token_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct SimulateArguments {
    /// Scenarios by name, or "all"; `--list` names them.
    #[arg(long = "scenario", short, value_delimiter = ',', default_value = "base")]
    scenarios: Vec<String>,
    /// Policies and ablations side by side; the first is held against the promises.
    #[arg(long = "policy", short, value_delimiter = ',', default_value = "product,naive")]
    policies: Vec<String>,
    /// Seeds, one run each; those above 3 are held-out worlds.
    #[arg(long, value_delimiter = ',', default_value = "1,2,3")]
    seeds: Vec<u64>,
    /// Run the fleet of this configuration instead of the reference fleets.
    #[arg(long, short)]
    config: Option<PathBuf>,
    /// Viewers at the start; by default as many as the scenario's share of the fleet's egress.
    #[arg(long)]
    viewers: Option<u32>,
    /// A PoP that dies, as POP@SECONDS or POP@HH:MM.
    #[arg(long = "kill")]
    kills: Vec<crate::simulate::Kill>,
    /// Write all figures as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Draw one scenario as SVG.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// Print the table in markdown.
    #[arg(long)]
    markdown: bool,
    /// Runs at once; 0: one per core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// List the scenarios and stop.
    #[arg(long)]
    list: bool,
}

/// Runs the program. Everything it has to say has been said when this returns.
#[must_use]
pub fn run() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve { config, log_json, take_over } => serve(&config, log_json, take_over),
        Command::Demo { edges, listen } => demo(edges, listen),
        Command::Check { file } => check(&file),
        Command::Explain { config, domain, ip, stream } => explain(&config, &domain, ip, stream.as_deref()),
        Command::Simulate(arguments) => simulate(arguments),
        Command::Sign { key, seconds, question } => sign(&key, seconds, &question),
        Command::Drain { node, evict, reason, ttl, service } => {
            give(service, node, &Order::Drain { reason, ttl_s: ttl, evict_per_minute: evict })
        }
        Command::Undrain { node, service } => give(service, node, &Order::Undrain),
        Command::Top { service } => top(service),
        Command::Dnssec { command } => dnssec::run(command),
        Command::Geoip { ip, config } => geoip(ip, config.as_deref()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { status, message }) => {
            complain(&message);
            ExitCode::from(status)
        }
    }
}

/// Why the program ends early.
struct Failure {
    status: u8,
    message: String,
}

// === impl RunningService ===

impl RunningService {
    /// The token in the file.
    fn token(&self) -> anyhow::Result<Option<String>> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let token = std::fs::read_to_string(path);
        let token = token.with_context(|| format!("--token-file: cannot read {}", path.display()))?;
        Ok(Some(token.trim().to_owned()))
    }
}

// === impl Failure ===

impl Failure {
    /// The input cannot be used.
    fn input(error: impl std::error::Error) -> Self {
        Self { status: EXIT_BAD_INPUT, message: error.to_string() }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let input = error.is::<crate::geo::GeoError>()
            || error.is::<crate::config::ConfigErrors>()
            || error.is::<BadFiles>()
            || error.is::<crate::dns::KeyErrors>();
        Self { status: if input { EXIT_BAD_INPUT } else { 1 }, message: format!("{error:#}") }
    }
}

#[expect(clippy::print_stderr, reason = "the command line speaks here and nowhere else")]
fn complain(message: &str) {
    eprintln!("{}", message.trim_end());
}

/// Whoever reads may stop early, as `head` does; that is no failure of ours.
fn say(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout().lock(), "{}", text.trim_end()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("cannot write the answer").into())
        }
        _ => Ok(()),
    }
}

fn load(path: &Path) -> Result<Config, Failure> {
    Config::load(path).map_err(Failure::input)
}

/// Each on a line of its own, with the place that names it.
fn bad_files(path: &Path, errors: &BadFiles) -> Failure {
    let lines = errors.0.iter().map(|BadFile { line, key, why }| {
        format!("error: scrape.credentials: {key}: {why}\n --> {}:{line}", path.display())
    });
    Failure { status: EXIT_BAD_INPUT, message: lines.collect::<Vec<_>>().join("\n\n") }
}

/// A runtime for everything but the player side, which brings its own threads.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("nearcast")
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    Ok(runtime.block_on(work)?)
}

fn serve(path: &Path, log_json: bool, take_over: Option<i32>) -> Result<(), Failure> {
    telemetry::init_logs(log_json);
    let config = load(path)?;
    let before = take_over.map(app::Predecessor::new).transpose()?;
    let sockets =
        Sockets::inherited().context("what was handed over is neither a TCP listener nor a UDP socket")?;
    let sockets = match &before {
        Some(before) => sockets.taking_over(before.pid()),
        None => sockets,
    };
    app::raise_descriptors(config.limits.connections)?;
    block_on(app::serve(config, path, &sockets, before))
}

fn demo(edges: u16, listen: SocketAddr) -> Result<(), Failure> {
    block_on(crate::demo::run(crate::demo::Options {
        edges: edges.into(),
        listen,
        ..crate::demo::Options::default()
    }))
}

fn check(path: &Path) -> Result<(), Failure> {
    let config = load(path)?;
    app::open_locator(&config)?;
    app::check_credentials(&config).map_err(|error| bad_files(path, &error))?;
    app::check_zone_keys(&config)?;
    say(&format!(
        "{}: ok, {} nodes in {} pools for {} domains",
        path.display(),
        config.nodes.len(),
        config.pools.len(),
        config.domains.len(),
    ))
}

fn explain(path: &Path, domain: &str, ip: IpAddr, stream: Option<&str>) -> Result<(), Failure> {
    let config = load(path)?;
    let explanation = block_on(app::explain_once(config, domain.to_owned(), ip, stream.map(str::to_owned)))?;
    say(&serde_json::to_string_pretty(&explanation).context("cannot write the explanation")?)
}

fn simulate(arguments: SimulateArguments) -> Result<(), Failure> {
    if arguments.list {
        let lines = crate::simulate::scenarios().map(|(name, says)| format!("{name:18} {says}"));
        return say(&lines.collect::<Vec<_>>().join("\n"));
    }
    let options = crate::simulate::Options {
        scenarios: arguments.scenarios,
        policies: arguments.policies,
        seeds: arguments.seeds,
        markdown: arguments.markdown,
        json: arguments.json,
        svg: arguments.svg,
        config: arguments.config,
        viewers: arguments.viewers,
        kills: arguments.kills,
        threads: arguments.threads,
    };
    let progress = std::io::IsTerminal::is_terminal(&std::io::stderr());
    Ok(crate::simulate::run(&options, &mut std::io::stdout().lock(), progress)?)
}

fn sign(path: &Path, seconds: u64, question: &str) -> Result<(), Failure> {
    let shown = path.display();
    let file = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let key = SigningKey::new(&file).with_context(|| format!("{shown} has fewer than 16 bytes"))?;
    let (before, query) = match question.split_once('?') {
        Some((before, query)) => (format!("{before}?"), query),
        None => (String::new(), question),
    };
    let until = Clock::system().unix_ms() / 1_000 + seconds;
    say(&format!("{before}{}", key.sign_query(query, until)))
}

fn top(service: RunningService) -> Result<(), Failure> {
    let token = service.token()?;
    crate::scrape::install_tls_provider();
    block_on(crate::top::run(crate::top::Options { url: service.url, token }))
}

fn give(service: RunningService, node: String, order: &Order) -> Result<(), Failure> {
    let token = service.token()?;
    crate::scrape::install_tls_provider();
    let to = Recipient { url: service.url, token, node };
    say(&block_on(order::give(&to, order))?)
}

fn geoip(ip: IpAddr, path: Option<&Path>) -> Result<(), Failure> {
    let locator = match path {
        Some(path) => app::open_locator(&load(path)?)?,
        None => crate::geo::Locator::open(&crate::config::Geoip::default(), &HashMap::new())
            .map_err(Failure::input)?,
    };
    say(&crate::geo::describe(&locator.detail(ip)))
}
