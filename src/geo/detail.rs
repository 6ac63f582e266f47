//! Everything that is known of one address, for people: `/geo`, `/explain`, `nearcast geoip`.

use std::fmt::Write;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use super::mmdb::{BUILT_IN, Database};
use super::record::Extras;
use super::snapshot::{Finding, Snapshot};
use super::{Precision, canonical, centres};
use crate::schedule::place::Location;

/// The answer for an address with all its reasons. Fields that are not known are left out of JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GeoDetail {
    /// The address as asked.
    pub ip: IpAddr,
    /// The address that was looked up, where that is another: the IPv4 address inside an IPv6 one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canonical: Option<IpAddr>,
    /// All addresses of this network get the same answer.
    pub network: IpNet,
    /// How good the place is.
    pub precision: Precision,
    /// Degrees north.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// Degrees east.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
    /// ISO 3166-1 alpha-2 code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// English name of the country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country_name: Option<&'static str>,
    /// Two-letter code, such as `AS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continent: Option<Box<str>>,
    /// First subdivision of the country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Box<str>>,
    /// City, English where the database has it in several languages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<Box<str>>,
    /// IANA name, such as `Asia/Shanghai`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<Box<str>>,
    /// How far the database says it may be wrong, km.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy_radius_km: Option<f64>,
    /// Autonomous system number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// Who runs that autonomous system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_name: Option<Box<str>>,
    /// Internet provider: the operator's word, else the database's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isp: Option<Box<str>>,
    /// Why no database was asked: the special-purpose network the address is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub special: Option<&'static str>,
    /// The override that gives the place.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub override_network: Option<IpNet>,
    /// The database that gives the place: a file, or `builtin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What each database says, in the order in which they are asked.
    pub databases: Vec<DatabaseAnswer>,
}

/// One database's word on an address.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DatabaseAnswer {
    /// The file, or `builtin`.
    pub database: String,
    /// The network its record (or its gap) covers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<IpNet>,
    /// The country it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Degrees north, its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// Degrees east, its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
    /// Its record is damaged, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

pub(super) fn detail(snapshot: &Snapshot, asked: IpAddr) -> GeoDetail {
    let ip = canonical(asked);
    let Finding { located, ruling, source } = snapshot.find(ip);
    // A special address means nothing to a database, even where an override gives it a place.
    let asked_databases: &[_] = if ruling.special.is_some() { &[] } else { &snapshot.databases };
    // The database that answered speaks first; the others fill the gaps, such as an AS number.
    let extras = source
        .and_then(|index| asked_databases.get(index))
        .into_iter()
        .chain(asked_databases)
        .filter_map(|database| database.extras(ip))
        .fold(Extras::default(), or_else);
    GeoDetail {
        ip: asked,
        canonical: (ip != asked).then_some(ip),
        network: network(ip, located.prefix),
        precision: located.precision,
        latitude: located.location.map(Location::latitude),
        longitude: located.location.map(Location::longitude),
        country: located.country.map(text),
        country_name: located.country.and_then(centres::name),
        continent: extras.continent,
        region: extras.region,
        city: extras.city,
        time_zone: extras.time_zone,
        accuracy_radius_km: extras.accuracy_radius_km,
        asn: extras.asn,
        as_name: extras.as_name,
        isp: ruling.isp.map(Into::into).or(extras.isp),
        special: ruling.special,
        override_network: ruling.location.map(|(_, length)| network(ip, length)),
        source: source.and_then(|index| snapshot.databases.get(index)).map(|database| name(database)),
        databases: asked_databases.iter().filter_map(|database| answer(database, ip)).collect(),
    }
}

fn answer(database: &Database, ip: IpAddr) -> Option<DatabaseAnswer> {
    let mut said = DatabaseAnswer {
        database: name(database),
        network: None,
        country: None,
        latitude: None,
        longitude: None,
        error: None,
    };
    match database.look_up(ip) {
        Ok(answer) => {
            let answer = answer?;
            let place = answer.place.unwrap_or_default();
            said.network = Some(network(ip, answer.prefix));
            said.country = place.country.map(text);
            said.latitude = place.location.map(Location::latitude);
            said.longitude = place.location.map(Location::longitude);
        }
        Err(error) => said.error = Some(error.to_string()),
    }
    Some(said)
}

fn or_else(known: Extras, more: Extras) -> Extras {
    Extras {
        continent: known.continent.or(more.continent),
        region: known.region.or(more.region),
        city: known.city.or(more.city),
        time_zone: known.time_zone.or(more.time_zone),
        accuracy_radius_km: known.accuracy_radius_km.or(more.accuracy_radius_km),
        asn: known.asn.or(more.asn),
        as_name: known.as_name.or(more.as_name),
        isp: known.isp.or(more.isp),
    }
}

fn name(database: &Database) -> String {
    database.path().map_or_else(|| BUILT_IN.into(), |path| path.display().to_string())
}

fn network(ip: IpAddr, prefix: u8) -> IpNet {
    IpNet::new(ip, prefix).map_or_else(|_| ip.into(), |network| network.trunc())
}

fn text(country: [u8; 2]) -> String {
    country.map(char::from).iter().collect()
}

/// An answer in a few lines, for a terminal.
#[must_use]
pub fn describe(detail: &GeoDetail) -> String {
    let mut lines = Lines(String::new());
    lines.0.push_str(&detail.ip.to_string());
    if let Some(canonical) = detail.canonical {
        lines.0.push_str(&format!(" (looked up as {canonical})"));
    }
    lines.0.push('\n');
    let place = detail.latitude.zip(detail.longitude);
    lines.add("place", place.map(|(latitude, longitude)| format!("{latitude:.4}, {longitude:.4}")));
    lines.add("precision", Some(precision(detail)));
    lines.add("country", joined([detail.country.as_deref(), detail.country_name]));
    lines.add("city", joined([detail.city.as_deref(), detail.region.as_deref()]));
    let radius = detail.accuracy_radius_km.map(|km| format!("within {km} km, says the database"));
    lines.add("accuracy", radius);
    let number = detail.asn.map(|asn| format!("AS{asn}"));
    lines.add("provider", joined([detail.isp.as_deref(), detail.as_name.as_deref(), number.as_deref()]));
    lines.add("network", Some(format!("{} (all of it gets this answer)", detail.network)));
    for said in &detail.databases {
        let place = said.latitude.zip(said.longitude).map(|(north, east)| format!("{north:.4}, {east:.4}"));
        let answer = said.error.clone().or_else(|| joined([said.country.as_deref(), place.as_deref()]));
        let answer = answer.unwrap_or_else(|| "nothing".into());
        lines.add("database", Some(format!("{}: {answer}", said.database)));
    }
    lines.0
}

/// The precision and what it means here.
fn precision(detail: &GeoDetail) -> String {
    let source = detail.source.as_deref().unwrap_or_default();
    let why = match (detail.precision, detail.override_network, detail.special) {
        (Precision::Override, Some(network), _) => format!("the operator says so of {network}"),
        (Precision::City, ..) => format!("coordinates from {source}"),
        (Precision::Country, ..) => format!("one place for a whole country, from {source}"),
        (_, _, Some(special)) => special.to_owned(),
        _ if detail.country.is_some() => "the country has no centre".to_owned(),
        _ => "no database has the address".to_owned(),
    };
    let taken = if detail.precision == Precision::Default { "; geoip.default_location is taken" } else { "" };
    format!("{}: {why}{taken}", detail.precision.as_str())
}

/// What is known of `parts`, as one text.
fn joined<const N: usize>(parts: [Option<&str>; N]) -> Option<String> {
    let known: Vec<_> = parts.into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.join(", "))
}

/// Labelled lines of text.
struct Lines(String);

impl Lines {
    fn add(&mut self, label: &str, value: Option<String>) {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = writeln!(self.0, "  {label:<10} {value}");
        }
    }
}
