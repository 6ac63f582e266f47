//! `[[pools]]`: nodes that serve the same thing.

use toml::Spanned;

use super::thresholds::{self, Layer};
use crate::config::raw::Section;
use crate::config::values::{duration, integer, share, string, word};
use crate::config::{OnOverload, Relief};

/// How long a node is over its limits before viewers are sent away, ms, and how many a minute.
const RELIEF_AFTER_MS: std::ops::RangeInclusive<u64> = 10_000..=3_600_000;
const RELIEF_PER_MINUTE: std::ops::RangeInclusive<u32> = 1..=6_000;

/// The words of `on_overload`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Serve,
    Refuse,
    Fallback,
}

/// Where the limits of a pool start from, instead of each node's role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// [`crate::schedule::thresholds::Thresholds::rtc`].
    Rtc,
}

/// A pool as read.
#[derive(Debug)]
pub(super) struct PoolDraft<'a> {
    /// As written, even if it cannot be a name: what refers to it is not wrong, too.
    pub(super) name: Option<Spanned<&'a str>>,
    pub(super) on_overload: OnOverload,
    pub(super) fallback: Option<Spanned<&'a str>>,
    pub(super) upstream: Option<Spanned<&'a str>>,
    pub(super) profile: Option<Profile>,
    pub(super) layer: Layer,
    pub(super) relief: Option<Relief>,
}

pub(super) fn read<'a>(section: &mut Section<'a>) -> PoolDraft<'a> {
    section.demand("name");
    let name = super::own_name(section, "name");
    let way = section.get("on_overload", word(&Way::ALL, Way::as_str));
    let fallback = section.get("fallback", string);
    let readable = way.is_some() || !section.has("on_overload");
    let way = way.map_or(Way::Serve, Spanned::into_inner);
    match &fallback {
        Some(fallback) if way != Way::Fallback && readable => section
            .report()
            .error(&fallback.span(), "fallback: is only asked with on_overload = \"fallback\""),
        None if way == Way::Fallback && !section.has("fallback") => {
            section.demand("fallback");
        }
        _ => {}
    }
    let on_overload = match (way, &fallback) {
        (Way::Serve, _) | (Way::Fallback, None) => OnOverload::Serve,
        (Way::Refuse, _) => OnOverload::Refuse,
        (Way::Fallback, Some(pool)) => OnOverload::Fallback((*pool.get_ref()).into()),
    };
    PoolDraft {
        name,
        on_overload,
        fallback,
        upstream: section.get("upstream", string),
        profile: section.get("profile", word(&[Profile::Rtc], |_| "rtc")).map(Spanned::into_inner),
        layer: section.table("thresholds", thresholds::read),
        relief: section.table_if_any("relief", read_relief).and_then(Spanned::into_inner),
    }
}

fn read_relief(section: &mut Section<'_>) -> Option<Relief> {
    let after_ms = section.require("after", duration(RELIEF_AFTER_MS));
    let per_minute = section.require("per_minute", integer(RELIEF_PER_MINUTE));
    let share = section.get_or("share", 1.0, share);
    Some(Relief { after_ms: after_ms?.into_inner(), per_minute: per_minute?.into_inner(), share })
}

// === impl Way ===

impl Way {
    const ALL: [Self; 3] = [Self::Serve, Self::Refuse, Self::Fallback];

    fn as_str(self) -> &'static str {
        match self {
            Self::Serve => "serve",
            Self::Refuse => "refuse",
            Self::Fallback => "fallback",
        }
    }
}
