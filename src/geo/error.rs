//! Why locations cannot be had from what was configured.

use std::io;
use std::path::PathBuf;

use ipnet::IpNet;

/// A database or an override that cannot serve. Every message names the file or the network.
#[derive(Debug, thiserror::Error)]
pub enum GeoError {
    /// The file could not be read at all.
    #[error("geoip database {}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No MaxMind DB, or one that lost its end (where its description stands).
    #[error("geoip database {}: not a MaxMind DB file, or cut short: {why}", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        why: String,
    },
    /// A MaxMind DB with a broken inside.
    #[error("geoip database {}: damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        why: String,
    },
    /// A sound database about something else, such as networks and their AS.
    #[error(
        "geoip database {}: has neither coordinates nor countries (type {database_type:?}, records of {fields})",
        path.display()
    )]
    NoPlaces {
        /// The file.
        path: PathBuf,
        /// What it calls itself.
        database_type: String,
        /// Names found in a record.
        fields: String,
    },
    /// An override names a PoP that has no place.
    #[error("geoip override {network}: PoP {pop:?} is unknown or has no location")]
    UnknownPop {
        /// The override's network.
        network: IpNet,
        /// The PoP's name.
        pop: Box<str>,
    },
}
