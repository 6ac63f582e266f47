//! `[geoip]`: where client locations come from.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::report_twins;
use crate::config::raw::Section;
use crate::config::report::Span;
use crate::config::values::{location, name, network, text};
use crate::config::{GeoOverride, Geoip};

/// The word that stands for the built-in database in `databases`.
const BUILT_IN: &str = "builtin";

/// `[geoip]`, and the PoPs that its overrides name.
#[derive(Debug)]
pub(super) struct GeoipDraft<'a> {
    pub(super) geoip: Geoip,
    pub(super) pops: Vec<Spanned<&'a str>>,
}

/// Relative database paths start from `folder`.
pub(super) fn read<'a>(section: &mut Section<'a>, folder: &Path) -> GeoipDraft<'a> {
    let written = section.list("databases", text).map(Spanned::into_inner).unwrap_or_default();
    let databases = written.iter().map(|path| (resolve(folder, path.get_ref()), path.span()));
    report_twins(section.report(), databases.clone(), |path| {
        format!("databases: {} is listed already", path.display())
    });
    let databases = databases.map(|(path, _)| path).collect();
    let default_location = section.table_if_any("default_location", location).and_then(Spanned::into_inner);
    let mut pops = Vec::new();
    let overrides =
        section.tables("overrides", |section| read_override(section, &mut pops)).unwrap_or_default();
    let networks = overrides.iter().flatten().map(|(known, span)| (known.network, span.clone()));
    report_twins(section.report(), networks, |network| format!("network: {network} has an override already"));
    let overrides = overrides.into_iter().flatten().map(|(known, _)| known).collect();
    GeoipDraft { geoip: Geoip { databases, default_location, overrides, isps: Vec::new() }, pops }
}

/// A path as seen from the configuration's folder. The built-in database has a word and no path.
fn resolve(folder: &Path, written: &str) -> PathBuf {
    if written == BUILT_IN { PathBuf::from(written) } else { folder.join(written) }
}

fn read_override<'a>(
    section: &mut Section<'a>,
    pops: &mut Vec<Spanned<&'a str>>,
) -> Option<(GeoOverride, Span)> {
    let network = section.require("network", network);
    let location = section.table_if_any("location", location);
    let pop = section.get("pop", name);
    let isp = section.get("isp", text);
    match (&location, &pop) {
        (Some(location), Some(pop)) => section.report().clash(
            &pop.span(),
            "pop: it says where the network is, and so does location: keep one of them",
            (&location.span(), "location"),
        ),
        // A key that is there and wrong was reported already.
        (None, None) if !["location", "pop", "isp"].into_iter().any(|key| section.has(key)) => {
            section.error("an override has to say something of its network: location, pop or isp");
        }
        _ => {}
    }
    pops.extend(pop.clone());
    let network = network?;
    let known = GeoOverride {
        network: *network.get_ref(),
        location: location.and_then(Spanned::into_inner),
        pop: pop.map(|pop| pop.into_inner().into()),
        isp: isp.map(|isp| isp.into_inner().into()),
    };
    Some((known, network.span()))
}
