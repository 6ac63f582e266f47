//! All runs that somebody asked for, on as many threads as there are cores. Each run is single-threaded and
//! results are gathered in the order they were asked for, so threads change nothing but the waiting.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::config::Config;

use super::figures::Figures;
use super::progress::Progress;
use super::run::{self, Outcome, Plan};
use super::scenario::Scenario;
use super::timeline::Timeline;
use super::variant::Variant;
use super::world::World;
use super::{Kill, Options};

/// One scenario's results.
#[derive(Clone, Debug)]
pub(super) struct Sheet {
    pub(super) scenario: Scenario,
    pub(super) seeds: Vec<u64>,
    pub(super) rows: Vec<Row>,
    /// Name and region of each PoP of the first seed's fleet.
    pub(super) pops: Vec<(String, String)>,
    /// Flashes were this many times what the scenario says: an operator's fleet is not the reference's size.
    pub(super) crowd: f64,
    /// PoPs that somebody wanted to see die.
    pub(super) kills: Vec<Kill>,
}

/// One policy's results in a scenario.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) variant: Variant,
    /// Of each seed.
    pub(super) by_seed: Vec<Figures>,
    pub(super) mean: Figures,
    /// The course of the first seed.
    pub(super) course: Timeline,
}

/// One run to do.
#[derive(Clone, Copy, Debug)]
struct Job<'a> {
    scenario: &'a Scenario,
    variant: &'a Variant,
    seed: u64,
}

// === impl Sheet ===

impl Sheet {
    /// What was simulated, one sentence without its full stop.
    pub(super) fn says(&self) -> String {
        match self.crowd {
            1.0 => self.scenario.says.to_owned(),
            crowd => format!("{}; flashes scaled to this fleet (× {crowd:.3})", self.scenario.says),
        }
    }
}

/// Runs every scenario with every variant and seed.
pub(super) fn all(
    scenarios: &[Scenario],
    variants: &[Variant],
    seeds: &[u64],
    config: Option<&Config>,
    options: &Options,
    progress: bool,
) -> anyhow::Result<Vec<Sheet>> {
    let jobs: Vec<Job<'_>> = scenarios
        .iter()
        .flat_map(|scenario| variants.iter().map(move |variant| (scenario, variant)))
        .flat_map(|(scenario, variant)| seeds.iter().map(move |seed| Job { scenario, variant, seed: *seed }))
        .collect();
    let seconds: f64 = jobs.iter().map(|job| job.scenario.duration_s).sum();
    let progress = Progress::new(progress, seconds as u64);
    let mut outcomes =
        in_parallel(&jobs, options.threads, |job| one(job, config, options, &progress))?.into_iter();
    progress.finish();
    let mut sheets = Vec::with_capacity(scenarios.len());
    for scenario in scenarios {
        let (mut rows, mut crowd) = (Vec::with_capacity(variants.len()), 1.0);
        for variant in variants {
            let runs: Vec<Outcome> = outcomes.by_ref().take(seeds.len()).collect();
            let by_seed: Vec<Figures> = runs.iter().map(|run| run.figures).collect();
            let Some(first) = runs.into_iter().next() else { continue };
            crowd = first.crowd;
            rows.push(Row {
                variant: variant.clone(),
                mean: Figures::mean(&by_seed),
                by_seed,
                course: first.timeline,
            });
        }
        let world = world_of(scenario, seeds.first().copied().unwrap_or(1), config)?;
        let pops = world.fleet.pops.iter().enumerate();
        let pops = pops.map(|(i, pop)| (pop.name.to_string(), world.region_of(i).to_owned())).collect();
        sheets.push(Sheet {
            scenario: *scenario,
            seeds: seeds.to_vec(),
            rows,
            pops,
            crowd,
            kills: options.kills.clone(),
        });
    }
    Ok(sheets)
}

fn world_of(scenario: &Scenario, seed: u64, config: Option<&Config>) -> anyhow::Result<World> {
    match config {
        Some(config) => World::of_config(config),
        None => World::reference(scenario, seed),
    }
}

fn one(
    job: &Job<'_>,
    config: Option<&Config>,
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let world = world_of(job.scenario, job.seed, config)?;
    for kill in &options.kills {
        let known = world.fleet.pops.iter().any(|pop| pop.name == kill.pop);
        anyhow::ensure!(
            known,
            "no PoP {} in the fleet of {} (seed {})",
            kill.pop,
            job.scenario.name,
            job.seed
        );
    }
    let Job { scenario, variant, seed } = *job;
    let plan =
        Plan { scenario, world: &world, variant, seed, kills: &options.kills, viewers: options.viewers };
    Ok(run::run(plan, progress))
}

/// Does all jobs; the results stand in their order. `threads` 0: one per core.
fn in_parallel<J: Sync, R: Send>(
    jobs: &[J],
    threads: usize,
    work: impl Fn(&J) -> anyhow::Result<R> + Sync,
) -> anyhow::Result<Vec<R>> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = if threads == 0 { cores } else { threads }.min(jobs.len().max(1));
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Option<anyhow::Result<R>>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((job, slot)) =
                    Some(next.fetch_add(1, Relaxed)).and_then(|i| jobs.get(i).zip(done.get(i)))
                {
                    let result = work(job);
                    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                }
            });
        }
    });
    let results = done.into_iter().map(|slot| {
        let result = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
        result.unwrap_or_else(|| Err(anyhow::anyhow!("a run did not end")))
    });
    results.collect()
}
