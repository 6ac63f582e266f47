//! Simulate: a virtual fleet and its viewers around the product's own scheduler, in virtual time.
//!
//! The simulator makes viewers, the true load of edges, exporter pages, scrapes, replicas and misfortunes, and
//! counts. It judges, books and decides nothing: that is [`crate::schedule`], the code that serves. So a figure
//! here is a figure of the product, not of a model of it.
//!
//! In reading order: the world (`world`, `audience`, `hold`, `edge`); what is asked of it (`scenario`, `catalogue`,
//! `variant`); a run (`run`, `replica`, `events`); what it came to (`tally`, `figures`, `verdict`); and how that
//! is shown (`table`, `json`, `chart`).

mod alias;
mod events;
mod random;
mod time;

mod audience;
mod dns;
mod edge;
mod hold;
mod viewers;
mod world;

mod catalogue;
mod scenario;
mod variant;

mod jobs;
mod progress;
mod replica;
mod run;

mod figures;
mod tally;
mod timeline;
mod verdict;

mod chart;
mod json;
mod table;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::config::Config;
use crate::schedule::policy::PolicyKind;

pub use self::figures::Figures;
pub use self::scenario::{ByDns, Fault, Flash, Latency, Polls, Reach, Scenario, SharedUplinks, Trouble};
pub use self::variant::{PRODUCT, Variant};

/// Seeds of the figures in the specification.
const SEEDS: [u64; 3] = [1, 2, 3];
/// Stands for all scenarios.
const ALL: &str = "all";

/// What to simulate and what to make of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Names of scenarios, or "all"; none: base.
    pub scenarios: Vec<String>,
    /// Names of [`Variant`]s; none: the product and naive. The first one is held against the promises.
    pub policies: Vec<String>,
    /// One run each; none: 1, 2, 3. Fleets of seeds above 3 are drawn, not given: they are held out.
    pub seeds: Vec<u64>,
    /// The table in markdown.
    pub markdown: bool,
    /// Where all figures go as JSON.
    pub json: Option<PathBuf>,
    /// Where the picture goes, as SVG: one scenario only.
    pub svg: Option<PathBuf>,
    /// An operator's own fleet instead of the reference's.
    pub config: Option<PathBuf>,
    /// Viewers at the start; none: worth the scenario's share of the fleet's egress.
    pub viewers: Option<u32>,
    /// PoPs that die on top of what the scenario has.
    pub kills: Vec<Kill>,
    /// Runs at once; 0: one per core.
    pub threads: usize,
}

/// A PoP that dies because somebody wants to see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Kill {
    /// Its name.
    pub pop: Box<str>,
    /// When, s from the scenario's beginning.
    pub at_s: f64,
}

/// Why a text is no [`Kill`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not POP@SECONDS or POP@HH:MM")]
pub struct KillError(String);

/// Every scenario there is: its name and what it is about.
pub fn scenarios() -> impl Iterator<Item = (&'static str, &'static str)> {
    catalogue::ALL.iter().map(|scenario| (scenario.name, scenario.says))
}

/// Simulates and writes the table to `out`; with `progress` a bar on stderr shows how far it is.
///
/// # Errors
/// A name that is none, a configuration that is not sound, or a file that cannot be written.
pub fn run(options: &Options, out: &mut dyn Write, progress: bool) -> anyhow::Result<()> {
    let config = options.config.as_deref().map(load).transpose()?;
    let scenarios = scenarios_asked(options, config.as_ref())?;
    anyhow::ensure!(
        options.svg.is_none() || scenarios.len() == 1,
        "a picture is of one scenario, not of {}",
        scenarios.len()
    );
    let product = config.as_ref().and_then(|config| config.domains.first()).map(|domain| domain.policy);
    let variants = variants_asked(options, product.unwrap_or_default())?;
    let seeds = if options.seeds.is_empty() { SEEDS.to_vec() } else { options.seeds.clone() };
    let sheets = jobs::all(&scenarios, &variants, &seeds, config.as_ref(), options, progress)?;
    out.write_all(table::render(&sheets, options.markdown).as_bytes())?;
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&json::of(&sheets))? + "\n";
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let (Some(path), Some(sheet)) = (&options.svg, sheets.first()) {
        std::fs::write(path, chart::draw(sheet))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn load(path: &Path) -> anyhow::Result<Config> {
    Config::load(path).map_err(anyhow::Error::from)
}

/// The scenarios by their names; on an operator's fleet with its interval and replicas.
fn scenarios_asked(options: &Options, config: Option<&Config>) -> anyhow::Result<Vec<Scenario>> {
    let mut asked: Vec<Scenario> = Vec::new();
    let names: Vec<&str> = options.scenarios.iter().map(String::as_str).collect();
    for name in if names.is_empty() { vec!["base"] } else { names } {
        if name == ALL {
            asked.extend(catalogue::ALL);
            continue;
        }
        let known = || scenarios().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
        let scenario = catalogue::named(name);
        asked.push(*scenario.with_context(|| format!("no scenario {name}; there are {}, {ALL}", known()))?);
    }
    if let Some(config) = config {
        for scenario in &mut asked {
            scenario.interval_s = config.scrape.interval_ms as f64 / 1e3;
            scenario.replicas = (config.scheduler.replicas as usize).max(scenario.least_replicas());
            scenario.edges = config.nodes.len();
            (scenario.reach, scenario.naive) = (Reach::NONE, None);
        }
    }
    Ok(asked)
}

fn variants_asked(options: &Options, product: PolicyKind) -> anyhow::Result<Vec<Variant>> {
    let names: Vec<&str> = options.policies.iter().map(String::as_str).collect();
    let names = if names.is_empty() { vec![PRODUCT, "naive"] } else { names };
    names.into_iter().map(|name| Variant::named(name, product)).collect()
}

// === impl Kill ===

impl std::str::FromStr for Kill {
    type Err = KillError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || KillError(text.to_owned());
        let (pop, when) = text.rsplit_once('@').ok_or_else(error)?;
        let at_s = match when.split_once(':') {
            Some((hours, minutes)) => {
                let (hours, minutes) = (hours.parse::<u32>().ok(), minutes.parse::<u32>().ok());
                let (hours, minutes) =
                    hours.zip(minutes.filter(|minutes| *minutes < 60)).ok_or_else(error)?;
                f64::from(hours) * 3_600.0 + f64::from(minutes) * 60.0
            }
            None => {
                when.trim_end_matches('s').parse::<f64>().ok().filter(|at| *at >= 0.0).ok_or_else(error)?
            }
        };
        if pop.is_empty() { Err(error()) } else { Ok(Self { pop: pop.into(), at_s }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_is_a_pop_and_a_time() {
        let kill = |text: &str| text.parse::<Kill>().map(|kill| (kill.pop, kill.at_s));
        assert_eq!(kill("shanghai@320"), Ok(("shanghai".into(), 320.0)));
        assert_eq!(kill("sao@paulo@20:30"), Ok(("sao@paulo".into(), 73_800.0)));
        for wrong in ["shanghai", "@5", "x@-1", "x@5:70", "x@soon"] {
            assert_eq!(kill(wrong), Err(KillError(wrong.to_owned())));
        }
    }

    #[test]
    fn unknown_names_are_refused_with_the_list() {
        let options = Options { scenarios: vec!["bas".into()], ..Options::default() };
        let refusal = run(&options, &mut Vec::new(), false).unwrap_err().to_string();
        assert!(refusal.contains("bas;") && refusal.contains("restart-rolling"), "{refusal}");
    }
}
