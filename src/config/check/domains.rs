//! `[[domains]]`: what players ask for.

use std::path::{Path, PathBuf};

use toml::Spanned;

use crate::config::raw::Section;
use crate::config::values::{domain_name, host_pattern, string, switch, text, word};
use crate::config::{Domain, Redirect};
use crate::schedule::policy::PolicyKind;

/// Most keys of a domain: one in force, one before and one after it, and one to spare.
const MOST_KEYS: usize = 4;

/// A domain as read.
#[derive(Debug)]
pub(super) struct DomainDraft<'a> {
    pub(super) name: Option<Spanned<String>>,
    pub(super) pool: Option<Spanned<&'a str>>,
    pub(super) policy: PolicyKind,
    pub(super) keys: Vec<PathBuf>,
    pub(super) require_signature: Option<Spanned<bool>>,
    pub(super) origins: Option<Spanned<&'a str>>,
    pub(super) redirect: Redirect,
    pub(super) https_records: Option<bool>,
}

/// A relative path starts from `folder`.
pub(super) fn read<'a>(section: &mut Section<'a>, folder: &Path) -> DomainDraft<'a> {
    let keys = section.list("keys", text);
    if let Some(keys) = keys.as_ref().filter(|keys| keys.get_ref().len() > MOST_KEYS) {
        let found = keys.get_ref().len();
        section
            .report()
            .error(&keys.span(), format!("keys: {found} are too many: expected up to {MOST_KEYS}"));
    }
    let require_signature = section.get("require_signature", switch);
    let without = !section.has("keys") || keys.as_ref().is_some_and(|keys| keys.get_ref().is_empty());
    if let Some(required) = require_signature.as_ref().filter(|required| *required.get_ref() && without) {
        section
            .report()
            .error(&required.span(), "require_signature: nothing could pass: expected keys beside it");
    }
    let keys = keys.map(Spanned::into_inner).unwrap_or_default();
    DomainDraft {
        keys: keys.into_iter().map(|key| folder.join(key.into_inner())).collect(),
        require_signature,
        name: section.require("name", domain_name),
        pool: section.require("pool", string),
        origins: section.get("origins", string),
        redirect: Redirect {
            host: section.get("redirect_host", host_pattern).map(|host| host.into_inner().into()),
            downgrade: section.get_or("redirect_downgrade", false, switch),
        },
        https_records: section.get("https_records", switch).map(Spanned::into_inner),
        policy: section.get_or("policy", PolicyKind::default(), word(&PolicyKind::ALL, PolicyKind::as_str)),
    }
}

// === impl DomainDraft ===

impl DomainDraft<'_> {
    /// The domain; `None` if it lacks what was reported.
    pub(super) fn into_domain(mut self) -> Option<Domain> {
        let (name, pool) = (self.name.take()?.into_inner(), self.pool.take()?.into_inner());
        let (name, pool) = (name.into(), pool.into());
        let origins = self.origins.map(|origins| origins.into_inner().into());
        let require_signature = self.require_signature.is_some_and(Spanned::into_inner);
        let Self { policy, keys, redirect, .. } = self;
        let https_records = self.https_records.unwrap_or(redirect.host.is_none());
        Some(Domain { name, pool, policy, keys, require_signature, origins, redirect, https_records })
    }
}
