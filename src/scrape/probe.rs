//! One scrape of one target: ask, read, learn.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::Url;

use super::client::Client;
use super::collect::Collect;
use super::reader::{Focus, Page, read};
use super::{How, failure};
use crate::clock::Clock;
use crate::schedule::reading::{Moment, ProbeFailure, Reading, Timing};

/// What a probe needs to know of its target.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// Where to ask; as configured.
    pub(super) url: Arc<Url>,
    /// What counts on the page.
    pub(super) focus: Arc<Focus>,
    /// How to ask.
    pub(super) collect: Collect,
}

/// What a probe brought.
#[derive(Debug)]
pub(super) struct Probed {
    /// The reading, or why there is none.
    pub(super) outcome: Result<Reading, ProbeFailure>,
    /// When the page was asked for and came.
    pub(super) timing: Timing,
    /// How to ask the next time.
    pub(super) collect: Collect,
}

/// Who asks targets. The loop knows only this, so that its tests need no network.
pub(super) trait Prober: Send + Sync + 'static {
    /// Asks a target once, within the deadline.
    fn probe(&self, question: Question) -> BoxFuture<'static, Probed>;
}

/// Asks over HTTP.
#[derive(Clone, Debug)]
pub(super) struct HttpProber {
    client: Arc<Client>,
    clock: Clock,
}

// === impl HttpProber ===

impl HttpProber {
    pub(super) fn new(how: How, clock: Clock) -> Self {
        Self { client: Arc::new(Client::new(how)), clock }
    }
}

impl Prober for HttpProber {
    fn probe(&self, question: Question) -> BoxFuture<'static, Probed> {
        let Self { client, clock } = self.clone();
        Box::pin(async move { probe(&client, &clock, question).await })
    }
}

/// Asks a target once, within the deadline.
async fn probe(client: &Client, clock: &Clock, question: Question) -> Probed {
    let timeout_ms = client.timeout_ms();
    let mut collect = question.collect.clone();
    // Moved on when the page is asked for again, so that the age of the reading is that of its own page.
    let mut sent = clock.now();
    let asked = ask(client, clock, &question, &mut collect, &mut sent);
    let outcome = match tokio::time::timeout(Duration::from_millis(timeout_ms), asked).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ProbeFailure::Timeout(timeout_ms)),
    };
    let (outcome, received) = match outcome {
        Ok((page, received)) => (Ok(page.reading), received),
        Err(failure) => (Err(failure), clock.now()),
    };
    Probed { outcome, timing: Timing { sent, received }, collect }
}

/// Asks as learnt, and for the whole page where that fails.
async fn ask(
    client: &Client,
    clock: &Clock,
    question: &Question,
    collect: &mut Collect,
    sent: &mut Moment,
) -> Result<(Page, Moment), ProbeFailure> {
    let url = &*question.url;
    let Collect::Some { query, had, .. } = question.collect.clone() else {
        let page = fetch(client, clock, url.clone(), &question.focus).await?;
        *collect = question.collect.clone().learn(page.0.shown);
        return Ok(page);
    };
    let mut short_url = url.clone();
    short_url.set_query(Some(&query));
    let short = fetch(client, clock, short_url, &question.focus).await;
    match &short {
        Ok((page, _)) if had.is_within(page.shown) => {
            *collect = question.collect.clone().count_down();
            return short;
        }
        // Nobody answers, or nobody was asked: nothing to learn from.
        Err(failure) if failure.is_silence() || matches!(failure, ProbeFailure::NotAllowed(_)) => {
            return short;
        }
        _ => {}
    }
    *sent = clock.now();
    let whole = fetch(client, clock, url.clone(), &question.focus).await?;
    let to_blame = short.is_err() || short.is_ok_and(|(page, _)| !whole.0.shown.is_within(page.shown));
    // Where the whole page shows no more, something went away (a disk, a link), and that is learnt anew.
    *collect = if to_blame { Collect::Never } else { Collect::Plain.learn(whole.0.shown) };
    Ok(whole)
}

/// Fetches and reads one page. The moment is when its last byte came.
async fn fetch(
    client: &Client,
    clock: &Clock,
    url: Url,
    focus: &Focus,
) -> Result<(Page, Moment), ProbeFailure> {
    let body = match client.get(url.clone()).await {
        Err(failure) if failure::is_worth_a_second_try(&failure) => client.get(url).await?,
        other => other?,
    };
    let received = clock.now();
    Ok((read(&body, focus)?, received))
}

#[cfg(test)]
mod tests;
