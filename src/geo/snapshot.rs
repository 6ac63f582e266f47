//! All that answers are made of, immutable: databases, rules, the default place.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::cache::Packed;
use super::centres;
use super::error::GeoError;
use super::mmdb::{BUILT_IN, Database};
use super::overrides::{Rules, Ruling};
use super::{Located, Precision, Reloaded};
use crate::config::Geoip;
use crate::schedule::isp::IspId;
use crate::schedule::place::Location;

/// Unique over all locators of the process, because their answers share the threads' caches.
static GENERATION: AtomicU32 = AtomicU32::new(1);

/// One state of a locator.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) generation: u32,
    pub(super) databases: Vec<Arc<Database>>,
    pub(super) rules: Arc<Rules>,
    default_location: Option<Location>,
    /// The providers that nodes name, see [`crate::schedule::isp`]. Empty: nobody asks for the client's.
    isps: Arc<[Box<str>]>,
}

/// An answer and where it comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finding<'a> {
    pub(super) located: Located,
    pub(super) ruling: Ruling<'a>,
    /// Which database gave the place, or the country if nothing gave a place.
    pub(super) source: Option<usize>,
}

// === impl Snapshot ===

impl Snapshot {
    /// Databases whose files `before` already has in their present state are taken over from it.
    pub(super) fn build(
        settings: &Geoip,
        pops: &HashMap<Box<str>, Location>,
        before: Option<&Self>,
    ) -> Result<Self, GeoError> {
        let rules = Rules::new(&settings.overrides, pops)?;
        let open = |path: &Path| {
            let known = before.into_iter().flat_map(|snapshot| &snapshot.databases);
            let wanted = Some(path).filter(|path| path.as_os_str() != BUILT_IN);
            match known.into_iter().find(|db| db.path() == wanted && db.is_current()) {
                Some(database) => Ok(Arc::clone(database)),
                None if path.as_os_str() == BUILT_IN => Database::built_in().map(Arc::new),
                None => Database::open(path).map(Arc::new),
            }
        };
        let databases = if settings.databases.is_empty() {
            vec![open(Path::new(BUILT_IN))?]
        } else {
            settings.databases.iter().map(|path| open(path)).collect::<Result<_, _>>()?
        };
        Ok(Self::new(databases, Arc::new(rules), settings.default_location, settings.isps.as_slice().into()))
    }

    pub(super) fn new(
        databases: Vec<Arc<Database>>,
        rules: Arc<Rules>,
        default_location: Option<Location>,
        isps: Arc<[Box<str>]>,
    ) -> Self {
        Self {
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            databases,
            rules,
            default_location,
            isps,
        }
    }

    /// The same with changed files re-opened, and a report on each of them. `None`: nothing new can be used.
    pub(super) fn reloaded(&self) -> (Option<Self>, Vec<Reloaded>) {
        let mut reports = Vec::new();
        let mut fresh = false;
        let mut databases = Vec::with_capacity(self.databases.len());
        for old in &self.databases {
            let mut database = Arc::clone(old);
            if let Some(path) = old.path().filter(|_| !old.is_current()) {
                let outcome = Database::open(path).map(|opened| {
                    let info = opened.info();
                    database = Arc::new(opened);
                    fresh = true;
                    info
                });
                reports.push(Reloaded { path: path.to_path_buf(), outcome });
            }
            databases.push(database);
        }
        let snapshot = fresh.then(|| {
            Self::new(databases, Arc::clone(&self.rules), self.default_location, Arc::clone(&self.isps))
        });
        (snapshot, reports)
    }

    /// Where a canonical address is.
    pub(super) fn locate(&self, ip: IpAddr) -> Located {
        self.find(ip).located
    }

    /// Where a canonical address is, and who says so.
    pub(super) fn find(&self, ip: IpAddr) -> Finding<'_> {
        let ruling = self.rules.rule_on(ip);
        let mut finding = Finding {
            located: Located {
                location: None,
                precision: Precision::Unknown,
                country: None,
                isp: None,
                prefix: ruling.prefix,
            },
            ruling,
            source: None,
        };
        if let Some((location, _)) = ruling.location {
            finding.located.location = Some(location);
            finding.located.precision = Precision::Override;
        } else if ruling.special.is_none() {
            self.ask(ip, &mut finding);
        }
        let located = &mut finding.located;
        if located.location.is_none() {
            located.location = self.default_location;
            located.precision =
                if located.location.is_some() { Precision::Default } else { Precision::Unknown };
        }
        self.ask_isp(ip, &mut finding);
        // As the cache would give it back, so that an answer does not depend on having been asked before.
        finding.located = Packed::new(finding.located).located();
        finding
    }

    /// The client's provider, where some node minds: the operator's word, else what the databases say, by name or by
    /// AS number (`as4134`). A look-up or two more, once for each network.
    fn ask_isp(&self, ip: IpAddr, finding: &mut Finding<'_>) {
        if self.isps.is_empty() {
            return;
        }
        if let Some(isp) = finding.ruling.isp {
            finding.located.isp = Some(IspId::of(isp, &self.isps));
        } else if finding.ruling.special.is_none() {
            for database in &self.databases {
                let answer = match database.look_up(ip) {
                    Ok(Some(answer)) => answer,
                    Ok(None) => continue,
                    Err(_) => {
                        finding.located.prefix = if ip.is_ipv4() { 32 } else { 128 };
                        continue;
                    }
                };
                // Next door this database may name another provider.
                finding.located.prefix = finding.located.prefix.max(answer.prefix);
                let Some(extras) = database.extras(ip) else { continue };
                let number = extras.asn.map(|asn| format!("as{asn}").into());
                let names = [extras.isp, extras.as_name, number];
                let known = names.iter().flatten().map(|name| IspId::of(name, &self.isps));
                let best = known.min_by_key(|isp| isp.0);
                // The first database that knows one of ours counts.
                finding.located.isp = match finding.located.isp {
                    None | Some(IspId::OTHER) => best.or(finding.located.isp),
                    known => known,
                };
            }
        }
    }

    /// The first database with coordinates, else the centre of the first country named.
    fn ask(&self, ip: IpAddr, finding: &mut Finding<'_>) {
        let located = &mut finding.located;
        for (index, database) in self.databases.iter().enumerate() {
            let answer = match database.look_up(ip) {
                Ok(Some(answer)) => answer,
                Ok(None) => continue,
                Err(_) => {
                    // How far the damage reaches is unknown, so the answer holds for this address alone.
                    located.prefix = if ip.is_ipv4() { 32 } else { 128 };
                    continue;
                }
            };
            // Also a database that knows nothing narrows the answer: next to its gap it may know something.
            located.prefix = located.prefix.max(answer.prefix);
            let Some(place) = answer.place else { continue };
            if place.location.is_some() {
                located.location = place.location;
                located.precision = if place.city { Precision::City } else { Precision::Country };
                located.country = place.country;
                finding.source = Some(index);
                return;
            }
            if located.country.is_none() && place.country.is_some() {
                located.country = place.country;
                finding.source = Some(index);
            }
        }
        located.location = located.country.and_then(centres::centre);
        located.precision = Precision::Country;
    }
}
