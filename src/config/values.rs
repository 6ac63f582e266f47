//! Readers of single values: what a TOML value has to look like to be an address, a name, a share of one.
//!
//! Every reader says what it expected, so that the message alone is enough to mend the file.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use ipnet::IpNet;
use toml::de::DeValue;

use super::raw::{Section, type_of};
use super::report::quoted;
use super::suggest::nearest;
use super::units::{self, Kind, UnitError};
use crate::schedule::place::Location;

/// What a reader makes of a value; the error says what was expected and does not name the key.
pub(super) type Read<T> = Result<T, String>;

/// Longest id or pool name, characters.
const LONGEST_NAME: usize = 64;

/// Any string.
pub(super) fn string<'a>(value: &'a DeValue<'a>) -> Read<&'a str> {
    value.as_str().ok_or_else(|| expected("a string", value))
}

/// A string with something in it and no control characters.
pub(super) fn text<'a>(value: &'a DeValue<'a>) -> Read<&'a str> {
    let text = string(value)?;
    if text.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{} has control characters in it", quoted(text)));
    }
    Ok(text)
}

/// `true` or `false`.
pub(super) fn switch(value: &DeValue<'_>) -> Read<bool> {
    value.as_bool().ok_or_else(|| expected("true or false", value))
}

/// A number, whole or not, within `range`.
pub(super) fn number(range: RangeInclusive<f64>) -> impl Fn(&DeValue<'_>) -> Read<f64> {
    move |value| {
        let found = any_number(value)?;
        if range.contains(&found) {
            Ok(found)
        } else {
            Err(format!("{found} is out of range: expected {} to {}", range.start(), range.end()))
        }
    }
}

/// A number above 0 and up to `most`.
pub(super) fn positive(most: f64) -> impl Fn(&DeValue<'_>) -> Read<f64> {
    move |value| {
        let found = any_number(value)?;
        if found > 0.0 && found <= most {
            Ok(found)
        } else {
            Err(format!("{found} is out of range: expected above 0, up to {most}"))
        }
    }
}

/// A share: above 0 and up to 1.
pub(super) fn share(value: &DeValue<'_>) -> Read<f64> {
    let found = any_number(value)?;
    if found > 0.0 && found <= 1.0 {
        return Ok(found);
    }
    let percent = if found > 1.0 && found <= 100.0 {
        format!("; {found} % is written {}", found / 100.0)
    } else {
        String::new()
    };
    Err(format!("{found} is out of range: expected a share above 0, up to 1{percent}"))
}

/// A whole number within `range`.
pub(super) fn integer(range: RangeInclusive<u32>) -> impl Fn(&DeValue<'_>) -> Read<u32> {
    move |value| {
        let found = value.as_integer().ok_or_else(|| expected("a whole number", value))?;
        let read =
            u32::from_str_radix(found.as_str(), found.radix()).ok().filter(|read| range.contains(read));
        read.ok_or_else(|| format!("{found} is out of range: expected {} to {}", range.start(), range.end()))
    }
}

/// A port, 1…65535.
pub(super) fn port(value: &DeValue<'_>) -> Read<u16> {
    integer(1..=u32::from(u16::MAX))(value)
        .and_then(|port| u16::try_from(port).map_err(|error| error.to_string()))
}

/// A duration within `range`, ms.
pub(super) fn duration(range: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Read<u64> {
    move |value| within(&range, with_unit(value, Kind::Duration, units::duration_ms)?, units::show_duration)
}

/// A size within `range`, bytes.
pub(super) fn size(range: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Read<u64> {
    move |value| within(&range, with_unit(value, Kind::Size, units::size_bytes)?, units::show_size)
}

/// A rate within `range`, Mbit/s.
pub(super) fn rate(range: RangeInclusive<f64>) -> impl Fn(&DeValue<'_>) -> Read<f64> {
    move |value| within(&range, with_unit(value, Kind::Rate, units::rate_mbps)?, units::show_rate)
}

/// One of a closed set of words.
pub(super) fn word<T: Copy>(
    all: &[T],
    as_str: impl Fn(T) -> &'static str,
) -> impl Fn(&DeValue<'_>) -> Read<T> {
    move |value| {
        let found = string(value)?;
        if let Some(known) = all.iter().copied().find(|known| as_str(*known) == found) {
            return Ok(known);
        }
        let words = || all.iter().map(|known| as_str(*known));
        let hint =
            nearest(found, words()).map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
        let words = units::either(words().map(|word| format!("\"{word}\"")));
        Err(format!("{} is not one of {words}{hint}", quoted(found)))
    }
}

/// An id of a node, or the name of a pool or PoP: it appears in URLs and metric labels, hence the few characters.
pub(super) fn check_name(name: &str) -> Read<()> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(fine) {
        Ok(())
    } else {
        Err(format!("{} is not a name: expected 1 to {LONGEST_NAME} of A-Z a-z 0-9 . _ -", quoted(name)))
    }
}

/// A name that nothing else in the file refers to.
pub(super) fn name<'a>(value: &'a DeValue<'a>) -> Read<&'a str> {
    let name = string(value)?;
    check_name(name).map(|()| name)
}

/// A domain name as [`super::Domain::name`] keeps it: lower case, no trailing dot.
pub(super) fn domain_name(value: &DeValue<'_>) -> Read<String> {
    let written = string(value)?;
    let name = written.strip_suffix('.').unwrap_or(written).to_ascii_lowercase();
    let why = |what: &str| Err(format!("{} is not a domain name: {what}", quoted(written)));
    if !name.is_ascii() {
        return why("international names are written in their ASCII form, xn--…");
    }
    if let Some(bad) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.')) {
        return why(&format!("it has {} in it", quoted(&bad.to_string())));
    }
    if name.is_empty() || name.len() > 253 {
        return why("expected 1 to 253 characters");
    }
    if name.split('.').any(|label| label.is_empty() || label.len() > 63) {
        return why("expected 1 to 63 characters between dots");
    }
    Ok(name)
}

/// A host name of nodes, in which `{id}` stands for a node's id.
pub(super) fn host_pattern(value: &DeValue<'_>) -> Read<String> {
    let written = string(value)?;
    if written.matches("{id}").count() != 1 {
        return Err(format!("{} has not exactly one {{id}} in it, by which nodes differ", quoted(written)));
    }
    let named = DeValue::String(written.replace("{id}", "id").into());
    match domain_name(&named) {
        Ok(_) => Ok(written.strip_suffix('.').unwrap_or(written).to_ascii_lowercase()),
        Err(why) => Err(why.replace(&quoted(&written.replace("{id}", "id")), &quoted(written))),
    }
}

/// An address that players can connect to.
pub(super) fn player_address(value: &DeValue<'_>) -> Read<IpAddr> {
    let written = string(value)?;
    let ip: IpAddr = written.parse().map_err(|_| format!("{} is not an IP address", quoted(written)))?;
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    if ip.is_unspecified() || ip.is_multicast() || broadcast {
        return Err(format!("nobody can connect to {ip}"));
    }
    match ip.to_canonical() {
        canonical if canonical == ip => Ok(ip),
        canonical => Err(format!("write {ip} as the IPv4 address it is, \"{canonical}\"")),
    }
}

/// An address to listen on.
pub(super) fn socket_address(value: &DeValue<'_>) -> Read<SocketAddr> {
    let written = string(value)?;
    written.parse().map_err(|_| {
        format!("{} is not an address and port such as \"0.0.0.0:8080\" or \"[::]:8080\"", quoted(written))
    })
}

/// A network in CIDR form; a bare address is a network of one.
pub(super) fn network(value: &DeValue<'_>) -> Read<IpNet> {
    let written = string(value)?;
    let network = written.parse::<IpNet>().or_else(|_| written.parse::<IpAddr>().map(IpNet::from));
    let network =
        network.map_err(|_| format!("{} is not a network such as \"10.0.0.0/8\"", quoted(written)))?;
    if network.trunc() != network {
        return Err(format!(
            "{network} has bits set beyond its prefix: did you mean \"{}\"?",
            network.trunc()
        ));
    }
    Ok(network)
}

/// The URL of an exporter page, as written, and in the form that compares equal when it asks for the same page.
///
/// Checked with the parser that the scraper uses, so that a page that passes here can be asked for.
pub(super) fn exporter_url<'a>(value: &'a DeValue<'a>) -> Read<(&'a str, String)> {
    let written = string(value)?;
    let why = |what: &str| Err(format!("{} is not the URL of an exporter: {what}", quoted(written)));
    let has_scheme = ["http://", "https://"]
        .iter()
        .any(|scheme| written.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    if !has_scheme {
        return why("expected http://host:port/metrics or https://");
    }
    if written.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return why("it has spaces in it");
    }
    let url = match reqwest::Url::parse(written) {
        Ok(url) => url,
        Err(error) => return why(&error.to_string()),
    };
    if !url.username().is_empty() || url.password().is_some() {
        // Not repeated in the message: it ends up in logs.
        return Err("credentials in a URL are shown in logs and on pages; take them out".to_owned());
    }
    if url.fragment().is_some() {
        return why("a fragment (#…) is never sent to a server");
    }
    if url.port() == Some(0) {
        return why("port 0 cannot be connected to");
    }
    Ok((written, url.into()))
}

/// Reads `{ latitude = …, longitude = … }`, degrees.
pub(super) fn location(section: &mut Section<'_>) -> Option<Location> {
    let latitude = section.require("latitude", number(-90.0..=90.0));
    let longitude = section.require("longitude", number(-180.0..=180.0));
    Location::new(latitude?.into_inner(), longitude?.into_inner()).ok()
}

fn any_number(value: &DeValue<'_>) -> Read<f64> {
    let read = match value {
        DeValue::Integer(found) => {
            i64::from_str_radix(found.as_str(), found.radix()).ok().map(|found| found as f64)
        }
        DeValue::Float(found) => found.as_str().parse().ok().filter(|found: &f64| found.is_finite()),
        other => return Err(expected("a number", other)),
    };
    read.ok_or_else(|| "expected a finite number".to_owned())
}

fn with_unit<T>(value: &DeValue<'_>, kind: Kind, parse: impl Fn(&str) -> Result<T, UnitError>) -> Read<T> {
    match value {
        DeValue::String(text) => parse(text).map_err(|error| match error {
            UnitError::NoNumber { .. } | UnitError::TooFine { .. } | UnitError::TooLarge { .. } => {
                format!("{} is {error}", quoted(text))
            }
            UnitError::NoUnit { .. } | UnitError::Unit { .. } => error.to_string(),
        }),
        DeValue::Integer(number) => Err(UnitError::NoUnit { kind, number: number.to_string() }.to_string()),
        DeValue::Float(number) => Err(UnitError::NoUnit { kind, number: number.to_string() }.to_string()),
        other => Err(expected(&format!("a {kind} such as \"{}\"", kind.example()), other)),
    }
}

fn within<T: PartialOrd + Copy>(range: &RangeInclusive<T>, found: T, show: impl Fn(T) -> String) -> Read<T> {
    if range.contains(&found) {
        return Ok(found);
    }
    Err(format!(
        "{} is out of range: expected {} to {}",
        show(found),
        show(*range.start()),
        show(*range.end())
    ))
}

fn expected(what: &str, found: &DeValue<'_>) -> String {
    format!("expected {what}, found {}", type_of(found))
}
