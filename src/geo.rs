//! Where a client is, from its address.
//!
//! *What it decides.* [`Locator::locate`] turns an address into a place, says how good that place is
//! ([`Precision`]) and how far around the address the same answer holds (the covering prefix, which DNS needs for
//! its scope). In order: the operator's overrides; nothing for special-purpose networks; the databases in the
//! order of the configuration, where the first with coordinates wins and else the first country's centre
//! counts; the configured default place.
//!
//! *Why so.* Databases are never asked about private or documentation networks, because some place them
//! (192.168.1.1 in Australia). They are read into memory and never mapped: a file cut short under a mapping
//! kills the process. A record that cannot be read counts as no answer and is counted
//! ([`DatabaseInfo::errors`]); a file that cannot be read keeps its predecessor in service.
//!
//! *Limits.* City databases disagree by more than 1,000 km for a quarter of all addresses; a country's centre is
//! off by 400 to 700 km in the median. Whoever knows better writes an override.
//!
//! *Units.* Degrees, kilometres, prefix lengths in bits of the canonical address.
//!
//! ```
//! use std::collections::HashMap;
//! use nearcast::{config, geo};
//!
//! let locator = geo::Locator::open(&config::Geoip::default(), &HashMap::new())?;
//! let located = locator.locate("114.114.114.114".parse()?);
//! assert_eq!(located.country, Some(*b"CN"));
//! assert_eq!(located.precision, geo::Precision::Country);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cache;
mod canonical;
mod centres;
mod detail;
mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod mmdb;
mod networks;
mod overrides;
mod record;
mod snapshot;
mod special;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use self::snapshot::Snapshot;
use crate::config::Geoip;
use crate::schedule::isp::IspId;
use crate::schedule::place::Location;

pub use self::canonical::canonical;
pub use self::detail::{DatabaseAnswer, GeoDetail, describe};
pub use self::error::GeoError;
pub use self::mmdb::{BUILT_IN, DatabaseInfo};

/// Finds places for addresses. Clones share everything, so that a reload through one reaches all.
#[derive(Clone, Debug)]
pub struct Locator {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Generation of `snapshot`, apart from it so that a cache hit costs no arc-swap load.
    generation: AtomicU32,
    snapshot: ArcSwap<Snapshot>,
    /// Held while a new snapshot is made: two reloads at once would lose one of them.
    reloading: Mutex<()>,
}

/// Where an address is, as far as a choice needs it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Located {
    /// The place; `None` exactly when the precision is [`Precision::Unknown`].
    pub location: Option<Location>,
    /// Where the place comes from, and so how much to trust it.
    pub precision: Precision,
    /// ISO 3166-1 alpha-2 code, upper case, where a database knows it. May be known without a place.
    pub country: Option<[u8; 2]>,
    /// The internet provider as the nodes call it; `None`: not known, or no node names one.
    pub isp: Option<IspId>,
    /// Every address that shares this many leading bits with the **canonical** address gets this same answer.
    pub prefix: u8,
}

/// How good a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// The operator says so.
    Override,
    /// Coordinates of a city or better, from the operator's database.
    City,
    /// The country's centre of population, or a record whose coordinates stand for no city.
    Country,
    /// Nobody knows; this is `geoip.default_location`.
    Default,
    /// Nobody knows and there is no default.
    Unknown,
}

/// What became of a database whose file had changed.
#[derive(Debug)]
pub struct Reloaded {
    /// The file.
    pub path: PathBuf,
    /// The new database, or why the one before it stays in service.
    pub outcome: Result<DatabaseInfo, GeoError>,
}

/// New settings, ready to be taken over.
#[derive(Debug)]
pub struct Prepared(Snapshot);

// === impl Prepared ===

impl Prepared {
    /// Where an address will be, by these settings.
    #[must_use]
    pub fn locate(&self, ip: IpAddr) -> Located {
        self.0.locate(canonical(ip))
    }
}

// === impl Locator ===

impl Locator {
    /// Opens the databases and prepares the overrides; `pops` says where the PoPs that overrides name are.
    ///
    /// # Errors
    /// The first database that cannot serve, or an override whose PoP is not in `pops`.
    pub fn open(settings: &Geoip, pops: &HashMap<Box<str>, Location>) -> Result<Self, GeoError> {
        Snapshot::build(settings, pops, None).map(Self::serving)
    }

    /// Where an address is. The hot path: 20 to 60 ns for a network seen before, under 1 µs
    /// for a new one; no lock, no allocation.
    #[must_use]
    pub fn locate(&self, ip: IpAddr) -> Located {
        let ip = canonical(ip);
        let generation = self.shared.generation.load(Ordering::Acquire);
        cache::get_or(generation, ip, || {
            let snapshot = self.shared.snapshot.load();
            // The snapshot may be newer than `generation`; its own is the one to file the answer under.
            (snapshot.generation, snapshot.locate(ip))
        })
    }

    /// Where an address is, if its network has been located lately by this thread.
    #[must_use]
    pub fn known(&self, ip: IpAddr) -> Option<Located> {
        cache::known(self.shared.generation.load(Ordering::Acquire), canonical(ip))
    }

    /// Has it read what is remembered of an address's network, before anybody asks. Who has many to ask about has them
    /// read one after the other, without waiting for each.
    pub fn prefetch(&self, ip: IpAddr) {
        cache::prefetch(canonical(ip));
    }

    /// Everything that is known of an address, and from whom. The cold path: for people.
    #[must_use]
    pub fn detail(&self, ip: IpAddr) -> GeoDetail {
        detail::detail(&self.shared.snapshot.load(), ip)
    }

    /// Re-opens the databases whose files changed (length, dates or inode) and reports on those only. A bad one
    /// keeps its predecessor in service and is tried again by the next call.
    pub fn reload(&self) -> Vec<Reloaded> {
        let _one_at_a_time = self.shared.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let (snapshot, reports) = self.shared.snapshot.load().reloaded();
        if let Some(snapshot) = snapshot {
            self.publish(snapshot);
        }
        reports
    }

    /// Makes ready for new settings as a whole, without taking them over yet; databases whose files did not change are
    /// not read again.
    ///
    /// # Errors
    /// As [`Locator::open`].
    pub fn prepare(
        &self,
        settings: &Geoip,
        pops: &HashMap<Box<str>, Location>,
    ) -> Result<Prepared, GeoError> {
        Ok(Prepared(Snapshot::build(settings, pops, Some(&self.shared.snapshot.load()))?))
    }

    /// Takes over what was prepared. A database that changed on disk meanwhile is found by the next
    /// [`Locator::reload`].
    pub fn adopt(&self, prepared: Prepared) {
        let _one_at_a_time = self.shared.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        self.publish(prepared.0);
    }

    /// The files behind the databases, for watching. Watch their directories: files are replaced by rename.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.shared.snapshot.load().databases.iter().filter_map(|db| db.path().map(PathBuf::from)).collect()
    }

    /// The databases in service, in the order in which they are asked.
    #[must_use]
    pub fn databases(&self) -> Vec<DatabaseInfo> {
        self.shared.snapshot.load().databases.iter().map(|db| db.info()).collect()
    }

    fn serving(snapshot: Snapshot) -> Self {
        Self {
            shared: Arc::new(Shared {
                generation: AtomicU32::new(snapshot.generation),
                snapshot: ArcSwap::from_pointee(snapshot),
                reloading: Mutex::new(()),
            }),
        }
    }

    fn publish(&self, snapshot: Snapshot) {
        let generation = snapshot.generation;
        self.shared.snapshot.store(Arc::new(snapshot));
        // Only now: a thread that sees the new generation must also get the new snapshot.
        self.shared.generation.store(generation, Ordering::Release);
    }
}

// === impl Precision ===

impl Precision {
    /// The word used in answers, metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Override => "override",
            Self::City => "city",
            Self::Country => "country",
            Self::Default => "default",
            Self::Unknown => "unknown",
        }
    }
}

impl serde::Serialize for Precision {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
