//! `[[domains]]`: what players ask for.

use toml::Spanned;

use crate::config::Domain;
use crate::config::raw::Section;
use crate::config::values::{domain_name, string, word};
use crate::schedule::policy::PolicyKind;

/// A domain as read.
#[derive(Debug)]
pub(super) struct DomainDraft<'a> {
    pub(super) name: Option<Spanned<String>>,
    pub(super) pool: Option<Spanned<&'a str>>,
    pub(super) policy: PolicyKind,
}

pub(super) fn read<'a>(section: &mut Section<'a>) -> DomainDraft<'a> {
    DomainDraft {
        name: section.require("name", domain_name),
        pool: section.require("pool", string),
        policy: section.get_or("policy", PolicyKind::default(), word(&PolicyKind::ALL, PolicyKind::as_str)),
    }
}

// === impl DomainDraft ===

impl DomainDraft<'_> {
    /// The domain; `None` if it lacks what was reported.
    pub(super) fn into_domain(self) -> Option<Domain> {
        let (name, pool) = (self.name?.into_inner(), self.pool?.into_inner());
        Some(Domain { name: name.into(), pool: pool.into(), policy: self.policy })
    }
}
