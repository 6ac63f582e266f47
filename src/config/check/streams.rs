//! `[streams]` and `[[callers]]`: what media servers may ask of us, and who speaks for them.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::template::{self, TemplateDraft};
use super::thresholds::Layer;
use super::{Draft, report_twins};
use crate::config::raw::Section;
use crate::config::report::{Report, Span, quoted};
use crate::config::values::{duration, integer, network, string, text, word};
use crate::config::{Caller, Streams, Verdict};
use crate::schedule::node::Role;
use crate::schedule::thresholds::Thresholds;

/// Shortest and longest time between two lists of an origin, ms: media servers answer from the thread that sends media.
const POLL_INTERVAL_MS: std::ops::RangeInclusive<u64> = 1_000..=600_000;
/// Most other origins that a stream is forwarded to.
const MOST_RELAYS: u32 = 8;
/// Most callers: each request with a token in its path is compared with all of theirs.
const MOST_CALLERS: usize = 64;

/// A caller as read.
#[derive(Debug)]
pub(super) struct CallerDraft<'a> {
    pub(super) pool: Option<Spanned<&'a str>>,
    token_file: Option<Spanned<PathBuf>>,
    pub(super) register: Option<TemplateDraft<'a>>,
}

pub(super) fn read(section: &mut Section<'_>) -> Streams {
    let default = Streams::default();
    let networks = section.list("networks", network).map(Spanned::into_inner);
    let mut verdict = |key, default| section.get_or(key, default, word(&Verdict::ALL, Verdict::as_str));
    let second_origin = verdict("second_origin", default.second_origin);
    let overloaded_origin = verdict("overloaded_origin", default.overloaded_origin);
    let overloaded_edge = verdict("overloaded_edge", default.overloaded_edge);
    let relays = section.get("relays", integer(0..=MOST_RELAYS));
    Streams {
        networks: networks.unwrap_or_default().into_iter().map(Spanned::into_inner).collect(),
        second_origin,
        overloaded_origin,
        overloaded_edge,
        relays: relays.map_or(default.relays, |relays| *relays.get_ref() as usize),
        poll_interval_ms: section.get_or(
            "poll_interval",
            default.poll_interval_ms,
            duration(POLL_INTERVAL_MS),
        ),
    }
}

/// A relative path starts from `folder`.
pub(super) fn read_caller<'a>(section: &mut Section<'a>, folder: &Path) -> CallerDraft<'a> {
    let token_file = section.require("token_file", text);
    CallerDraft {
        token_file: token_file.map(|file| Spanned::new(file.span(), folder.join(file.into_inner()))),
        pool: section.require("pool", string),
        register: section.table_if_any("register", template::read).map(Spanned::into_inner),
    }
}

/// What concerns all callers. Whether their pools exist is looked up with the others.
pub(super) fn check(draft: &Draft<'_>, report: &Report) {
    let files = draft.callers.iter().filter_map(|caller| caller.token_file.as_ref());
    report_twins(report, files.map(|file| (file.get_ref(), file.span())), |file| {
        format!("token_file: {} speaks for a pool already", file.display())
    });
    let registering = draft.callers.iter().filter(|caller| caller.register.is_some());
    let pools = registering.filter_map(|caller| caller.pool.as_ref());
    report_twins(report, pools.map(|pool| (*pool.get_ref(), pool.span())), |pool| {
        format!("pool: nodes of {} register by another caller already", quoted(pool))
    });
    let first: Option<Span> = draft.callers.first().and_then(CallerDraft::span);
    if let Some(span) = first.filter(|_| draft.streams.is_none()) {
        report.error(&span, "callers: nobody can call without [streams]: expected that table, if only empty");
    }
    if let Some(span) = draft.callers.get(MOST_CALLERS).and_then(CallerDraft::span) {
        let found = draft.callers.len();
        report.error(&span, format!("callers: {found} are too many: expected up to {MOST_CALLERS}"));
    }
}

// === impl CallerDraft ===

impl CallerDraft<'_> {
    /// Somewhere in it.
    fn span(&self) -> Option<Span> {
        self.token_file.as_ref().map(Spanned::span).or_else(|| self.pool.as_ref().map(Spanned::span))
    }

    /// The caller; `None` if it lacks what was reported. `limits` works out those of a node that registers.
    pub(super) fn into_caller(self, limits: impl FnOnce(&str, Role, Layer) -> Thresholds) -> Option<Caller> {
        let (token_file, pool) = (self.token_file?.into_inner(), self.pool?.into_inner());
        let template =
            |draft: TemplateDraft<'_>| draft.into_template(pool, |role, own| limits(pool, role, own));
        Some(Caller { token_file, pool: pool.into(), register: self.register.map(template) })
    }
}
