//! `[[pools]]`: nodes that serve the same thing.

use toml::Spanned;

use super::thresholds::{self, Layer};
use crate::config::OnOverload;
use crate::config::raw::Section;
use crate::config::values::{string, word};

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
    }
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
