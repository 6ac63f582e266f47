//! One database: opened, proven to be about places, and asked.
//!
//! *Why so.* A file is read whole into memory. What is wrong with it is found when it is opened, by asking it
//! about addresses from all over and walking its first networks: an operator learns it from `check` and not from
//! the viewers. What slips through counts as "no answer" and is counted.
//!
//! *Limits.* The sample does not prove every record; that would take half a second per 60 MB.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use maxminddb::{MaxMindDbError, Reader, WithinOptions};
use serde::Serialize;
use serde::de::IgnoredAny;

use super::error::GeoError;
use super::record::{Extras, Place};

/// The word that stands for the built-in database, in `geoip.databases` and in answers.
pub const BUILT_IN: &str = "builtin";

static BUILT_IN_BYTES: &[u8] = include_bytes!("../../geoip/country.mmdb");

/// Addresses of each family asked when a file is opened.
const SAMPLE: u32 = 4096;

/// Networks walked when a file is opened, empty ones included (a loop in a damaged tree may hold nothing else).
const WALK: usize = 20_000;

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    file: Option<(PathBuf, Stamp)>,
    reader: Reader<Cow<'static, [u8]>>,
    errors: AtomicU64,
}

/// A database in service, for metrics and people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatabaseInfo {
    /// The file, or [`BUILT_IN`].
    pub path: PathBuf,
    /// What it calls itself, such as `DBIP-City-Lite`.
    pub database_type: String,
    /// When it was built, RFC 3339; Unix seconds in [`DatabaseInfo::build_epoch_s`].
    pub built: String,
    /// When it was built, seconds since 1970. Data older than 90 days deserves a warning.
    pub build_epoch_s: u64,
    /// 4: holds IPv4 only; 6: may hold both.
    pub ip_version: u16,
    /// Size of its search tree.
    pub nodes: u32,
    /// Look-ups that met a damaged record since it was opened.
    pub errors: u64,
}

/// What tells a changed file from the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device_and_inode: (u64, u64),
    bytes: u64,
    /// `cp -p` and archives bring old dates, so the date of the inode's last change counts as well.
    modified_and_changed: ((i64, i64), (i64, i64)),
}

/// A database's answer for one address.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Answer {
    /// `None`: it has no record for the address.
    pub(super) place: Option<Place>,
    /// The same holds for all addresses that share so many leading bits.
    pub(super) prefix: u8,
}

// === impl Database ===

impl Database {
    /// The database that comes with the program.
    pub(super) fn built_in() -> Result<Self, GeoError> {
        let path = Path::new(BUILT_IN);
        let reader = read(path, Cow::Borrowed(BUILT_IN_BYTES))?;
        Ok(Self { file: None, reader, errors: AtomicU64::new(0) })
    }

    /// As if the bytes were those of the built-in one, examined like a file's.
    #[cfg(any(test, fuzzing))]
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Result<Self, GeoError> {
        let path = Path::new(BUILT_IN);
        let reader = read(path, Cow::Owned(bytes))?;
        examine(path, &reader)?;
        Ok(Self { file: None, reader, errors: AtomicU64::new(0) })
    }

    /// Reads and examines a file.
    pub(super) fn open(path: &Path) -> Result<Self, GeoError> {
        let database = Self::open_unexamined(path)?;
        examine(path, &database.reader)?;
        Ok(database)
    }

    pub(super) fn open_unexamined(path: &Path) -> Result<Self, GeoError> {
        let (stamp, bytes) =
            load(path).map_err(|source| GeoError::Unreadable { path: path.to_path_buf(), source })?;
        let reader = read(path, Cow::Owned(bytes))?;
        Ok(Self { file: Some((path.to_path_buf(), stamp)), reader, errors: AtomicU64::new(0) })
    }

    /// Its file; `None` for the built-in one.
    pub(super) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// Whether its file is still the one that was read. A file that is gone for the moment counts as changed.
    pub(super) fn is_current(&self) -> bool {
        self.file.as_ref().is_none_or(|(path, stamp)| {
            std::fs::metadata(path).is_ok_and(|metadata| Stamp::of(&metadata) == *stamp)
        })
    }

    pub(super) fn info(&self) -> DatabaseInfo {
        let metadata = self.reader.metadata();
        let built = i64::try_from(metadata.build_epoch).ok().and_then(|s| Timestamp::from_second(s).ok());
        DatabaseInfo {
            path: self.path().unwrap_or(Path::new(BUILT_IN)).to_path_buf(),
            database_type: metadata.database_type.clone(),
            built: built.map_or_else(|| "unknown".into(), |time| time.to_string()),
            build_epoch_s: metadata.build_epoch,
            ip_version: metadata.ip_version,
            nodes: metadata.node_count,
            errors: self.errors.load(Ordering::Relaxed),
        }
    }

    /// What it knows of an address. `Ok(None)`: it does not hold that family at all.
    ///
    /// # Errors
    /// The record is damaged; counted.
    pub(super) fn look_up(&self, ip: IpAddr) -> Result<Option<Answer>, MaxMindDbError> {
        if !holds(&self.reader, ip) {
            return Ok(None);
        }
        let answer = look_up(&self.reader, ip).inspect_err(|_| {
            self.errors.fetch_add(1, Ordering::Relaxed);
        })?;
        let Some(place) = answer.place.filter(|_| self.file.is_none()) else { return Ok(Some(answer)) };
        // The built-in database's coordinates are its countries' centres. As a country it ranks behind any
        // database of the operator that names a country too.
        Ok(Some(Answer { place: Some(Place { location: None, city: false, ..place }), ..answer }))
    }

    /// What else it knows of an address; nothing where its record is missing or damaged.
    pub(super) fn extras(&self, ip: IpAddr) -> Option<Extras> {
        holds(&self.reader, ip).then(|| self.reader.lookup(ip).ok()?.decode().ok()?)?
    }
}

fn holds<S: AsRef<[u8]>>(reader: &Reader<S>, ip: IpAddr) -> bool {
    ip.is_ipv4() || reader.metadata().ip_version == 6
}

fn look_up<S: AsRef<[u8]>>(reader: &Reader<S>, ip: IpAddr) -> Result<Answer, MaxMindDbError> {
    let result = reader.lookup(ip)?;
    let network = result.network()?;
    // An IPv6 file without any IPv4 answers with the IPv6 network that covers all of IPv4.
    let prefix = if network.is_ipv6() && ip.is_ipv4() { 0 } else { network.prefix() };
    Ok(Answer { place: result.decode()?, prefix })
}

fn read(path: &Path, bytes: Cow<'static, [u8]>) -> Result<Reader<Cow<'static, [u8]>>, GeoError> {
    Reader::from_source(bytes)
        .map_err(|error| GeoError::NotADatabase { path: path.to_path_buf(), why: error.to_string() })
}

fn load(path: &Path) -> io::Result<(Stamp, Vec<u8>)> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    // The stamp is taken first: a file that changes while it is read is seen as changed by the next reload.
    let stamp = Stamp::of(&metadata);
    let mut bytes = Vec::with_capacity(usize::try_from(stamp.bytes).unwrap_or(0));
    file.read_to_end(&mut bytes)?;
    Ok((stamp, bytes))
}

// --- examination ---------------------------------------------------------------------------------------------

/// Asks a fresh database about addresses from all over. At least one record has to know a place or a country.
fn examine<S: AsRef<[u8]>>(path: &Path, reader: &Reader<S>) -> Result<(), GeoError> {
    let damaged =
        |error: MaxMindDbError| GeoError::Damaged { path: path.to_path_buf(), why: error.to_string() };
    let mut places = false;
    for ip in sample().filter(|ip| holds(reader, *ip)) {
        let answer = look_up(reader, ip).map_err(damaged)?;
        places |= answer.place.is_some_and(|place| place.location.is_some() || place.country.is_some());
    }
    let mut fields = BTreeMap::<String, IgnoredAny>::new();
    let all = WithinOptions::default().include_networks_without_data().include_aliased_networks();
    for network in reader.networks(all).map_err(damaged)?.take(WALK) {
        let network = network.map_err(damaged)?;
        let place: Option<Place> = network.decode().map_err(damaged)?;
        places |= place.is_some_and(|place| place.location.is_some() || place.country.is_some());
        if fields.is_empty() {
            fields = network.decode().map_err(damaged)?.unwrap_or_default();
        }
    }
    if places {
        return Ok(());
    }
    let names: Vec<_> = fields.into_keys().collect();
    Err(GeoError::NoPlaces {
        path: path.to_path_buf(),
        database_type: reader.metadata().database_type.clone(),
        fields: if names.is_empty() { "nothing".into() } else { names.join(", ") },
    })
}

/// Addresses spread over all of IPv4 and of `2000::/3`, the same ones every time (multiples of the golden ratio).
fn sample() -> impl Iterator<Item = IpAddr> {
    let v4 = (0..SAMPLE).map(|i| IpAddr::V4(Ipv4Addr::from(i.wrapping_mul(0x9e37_79b9))));
    let v6 = (0..SAMPLE).map(|i| {
        let high = u64::from(i).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 3 | 1 << 61;
        IpAddr::V6(Ipv6Addr::from(u128::from(high) << 64))
    });
    v4.chain(v6)
}

// === impl Stamp ===

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            device_and_inode: (metadata.dev(), metadata.ino()),
            bytes: metadata.len(),
            modified_and_changed: (
                (metadata.mtime(), metadata.mtime_nsec()),
                (metadata.ctime(), metadata.ctime_nsec()),
            ),
        }
    }
}
