//! `[[pops]]`: sites, where there is more to say of one than the names that nodes give it.

use toml::Spanned;

use super::nodes::BANDWIDTH_MBPS;
use crate::config::Pop;
use crate::config::raw::Section;
use crate::config::values::{location, rate};
use crate::schedule::place::Location;

/// A PoP as read.
#[derive(Debug)]
pub(super) struct PopDraft<'a> {
    /// As written; some node has to stand there.
    pub(super) name: Option<Spanned<&'a str>>,
    pub(super) uplink_mbps: Option<f64>,
    pub(super) location: Option<Location>,
}

pub(super) fn read<'a>(section: &mut Section<'a>) -> PopDraft<'a> {
    section.demand("name");
    let draft = PopDraft {
        name: super::own_name(section, "name"),
        uplink_mbps: section.get("uplink", rate(BANDWIDTH_MBPS)).map(Spanned::into_inner),
        location: section.table_if_any("location", location).and_then(Spanned::into_inner),
    };
    if !["uplink", "location"].into_iter().any(|key| section.has(key)) {
        section.error("a PoP that is listed has something to say: uplink or location");
    }
    draft
}

// === impl PopDraft ===

impl PopDraft<'_> {
    /// The PoP with this share of its uplink to be used; `None` if it lacks what was reported.
    pub(super) fn into_pop(self, limit: f64) -> Option<Pop> {
        Some(Pop { name: self.name?.into_inner().into(), uplink_mbps: self.uplink_mbps, limit })
    }
}
