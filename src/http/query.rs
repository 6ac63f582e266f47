//! Query strings, read without allocating.
//!
//! A borrowed scan for the names a surface knows; only a pair that holds `%` or `+` is decoded into memory of
//! its own. `serde` into a struct costs 0.4 µs more per request and its errors name no parameter.
//! A known name twice is an error: "first wins" and "last wins" both exist, so a proxy and we might disagree on
//! who is asking. Unknown names are ignored, so that callers may be newer than we are.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::problem::{InvalidParam, MISSING};

/// Longest domain name, bytes, as in the DNS.
const LONGEST_DOMAIN: usize = 253;
/// Longest label of a domain name, bytes.
const LONGEST_LABEL: usize = 63;
/// What is wrong with a list of too many domains.
pub(super) const TOO_MANY: &str = "names more domains than may be asked for at once";

/// The values of `N` known names, and what was wrong so far.
pub(super) struct Params<'q, const N: usize> {
    names: &'static [&'static str; N],
    values: [Option<Cow<'q, str>>; N],
    /// Every fault found; surfaces add to it and ask [`Params::verdict`] at the end.
    faults: Vec<InvalidParam>,
}

// === impl Params ===

impl<'q, const N: usize> Params<'q, N> {
    /// Finds the values of `names` in a query.
    pub(super) fn scan(query: Option<&'q str>, names: &'static [&'static str; N]) -> Self {
        let mut params = Self { names, values: [const { None }; N], faults: Vec::new() };
        for pair in query.unwrap_or_default().split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(key) = decode(key) else { continue };
            let Some(at) = names.iter().position(|name| *name == key) else { continue };
            let name = names[at];
            if params.values[at].is_some() {
                params.fault(name, "is given more than once");
                continue;
            }
            match decode(value) {
                Some(value) => params.values[at] = Some(value),
                None => params.fault(name, "is not valid percent-encoded UTF-8"),
            }
        }
        params
    }

    /// Notes a fault of a parameter.
    pub(super) fn fault(&mut self, name: &'static str, reason: impl Into<Cow<'static, str>>) {
        self.faults.push(InvalidParam::new(name, reason));
    }

    /// Whether a value is there and has not been taken, or was not acceptable.
    pub(super) fn has(&self, name: &'static str) -> bool {
        let given = self.names.iter().position(|known| *known == name).map(|at| self.values[at].is_some());
        given == Some(true) || self.faults.iter().any(|fault| fault.name == name)
    }

    /// A value as it stands, left where it is.
    pub(super) fn peek(&self, name: &'static str) -> Option<&str> {
        let at = self.names.iter().position(|known| *known == name)?;
        self.values[at].as_deref()
    }

    /// Takes a value as it stands.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Cow<'q, str>> {
        let at = self.names.iter().position(|known| *known == name)?;
        self.values[at].take()
    }

    /// Takes a value and reads it; a value that cannot be read is noted with `must`.
    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        must: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.take(name)?;
        let read = read(&value);
        if read.is_none() {
            self.fault(name, must);
        }
        read
    }

    /// Takes a value of so many characters, none of them a control character.
    pub(super) fn text(&mut self, name: &'static str, length: RangeInclusive<usize>) -> Option<Cow<'q, str>> {
        let value = self.take(name)?;
        if !length.contains(&value.chars().count()) {
            self.fault(name, format!("must have {} to {} characters", length.start(), length.end()));
            return None;
        }
        if value.chars().any(char::is_control) {
            self.fault(name, "must not hold control characters");
            return None;
        }
        Some(value)
    }

    /// Takes a domain name in lower case, without a final dot.
    pub(super) fn domain(&mut self, name: &'static str) -> Option<Cow<'q, str>> {
        let Some(value) = self.take(name) else {
            // A domain given twice or badly encoded has been named already; it is not missing.
            if !self.faults.iter().any(|fault| fault.name == name) {
                self.fault(name, MISSING);
            }
            return None;
        };
        match domain(value) {
            Ok(domain) => Some(domain),
            Err(reason) => {
                self.fault(name, reason);
                None
            }
        }
    }

    /// Takes one IP address.
    pub(super) fn address(&mut self, name: &'static str) -> Option<IpAddr> {
        self.read(name, "must be an IPv4 or IPv6 address", address)
    }

    /// Takes a switch: `1`, `true` or nothing at all is on, `0` or `false` off.
    pub(super) fn switch(&mut self, name: &'static str) -> bool {
        let on = self.read(name, "must be 1 or 0", |value| match value {
            "" | "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            _ => None,
        });
        on.unwrap_or(false)
    }

    /// All faults, or nothing to complain about.
    pub(super) fn verdict(self) -> Result<(), super::problem::Problem> {
        if self.faults.is_empty() { Ok(()) } else { Err(super::problem::Problem::invalid(self.faults)) }
    }
}

/// An address as players write it; IPv4 inside IPv6 is IPv4.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

/// A rate such as `3Mbps` in kbit/s, rounded up, 1…100,000: one viewer's stream, not a fleet's. The caller is
/// anybody, and what it says is booked.
pub(super) fn bitrate_kbps(text: &str) -> Option<u32> {
    let digits = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let (number, unit) = text.split_at(digits);
    let kbps_per_unit = match unit {
        unit if unit.eq_ignore_ascii_case("bps") => 0.001,
        unit if unit.eq_ignore_ascii_case("kbps") => 1.0,
        unit if unit.eq_ignore_ascii_case("Mbps") => 1_000.0,
        unit if unit.eq_ignore_ascii_case("Gbps") => 1_000_000.0,
        _ => return None,
    };
    let kbps = (number.parse::<f64>().ok()? * kbps_per_unit).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked by the range")]
    (1.0..=100_000.0).contains(&kbps).then_some(kbps as u32)
}

/// A domain name in lower case, without a final dot; or what it must be.
pub(super) fn domain(value: Cow<'_, str>) -> Result<Cow<'_, str>, &'static str> {
    let trimmed = value.strip_suffix('.').unwrap_or(&value).len();
    if trimmed == 0 || trimmed > LONGEST_DOMAIN {
        return Err("must have 1 to 253 bytes");
    }
    let name = &value.as_bytes()[..trimmed];
    let mut label = 0;
    let mut capitals = false;
    for byte in name {
        match byte {
            b'.' if label == 0 => return Err("must not have an empty label"),
            b'.' => label = 0,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => label += 1,
            b'A'..=b'Z' => {
                capitals = true;
                label += 1;
            }
            0x80.. => return Err("must be ASCII; write an international name in its xn-- form"),
            _ => return Err("must be a host name: letters, digits, hyphens and dots, no port"),
        }
        if label > LONGEST_LABEL {
            return Err("must not have a label over 63 bytes");
        }
    }
    if label == 0 {
        return Err("must not have an empty label");
    }
    Ok(match value {
        value if capitals => Cow::Owned(value[..trimmed].to_ascii_lowercase()),
        Cow::Borrowed(value) => Cow::Borrowed(&value[..trimmed]),
        Cow::Owned(mut value) => {
            value.truncate(trimmed);
            Cow::Owned(value)
        }
    })
}

/// Up to `most` domain names with commas between, as they are written but for a final dot; or what they must be.
pub(super) fn domains(value: &str, most: usize) -> Result<Vec<String>, &'static str> {
    if value.split(',').count() > most {
        return Err(TOO_MANY);
    }
    let one = |name| {
        domain(Cow::Borrowed(name))?;
        Ok(name.strip_suffix('.').unwrap_or(name).to_owned())
    };
    value.split(',').map(one).collect()
}

/// Undoes form encoding. `None` for a broken escape or broken UTF-8.
pub(super) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => 16 * hex(bytes.next()?)? + hex(bytes.next()?)?,
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: &[&str; 3] = &["domain", "n", "stream"];

    #[track_caller]
    fn check(query: &str, name: &'static str, expected: Option<&str>) {
        assert_eq!(Params::scan(Some(query), NAMES).take(name).as_deref(), expected, "{query}");
    }

    #[test]
    fn known_names_are_found_and_others_ignored() {
        check("domain=a.example&n=2", "n", Some("2"));
        check("x=1&&=&y&domain=a.example", "domain", Some("a.example"));
        check("domains=b&ndomain=c", "domain", None);
        check("n", "n", Some(""));
        check("stream=live%2Fone+two", "stream", Some("live/one two"));
        check("do%6dain=a.example", "domain", Some("a.example"));
        check("stream=a=b", "stream", Some("a=b"));
        check("%zz=1&n=3", "n", Some("3"));
    }

    #[track_caller]
    fn check_fault(query: &str, name: &'static str, reason: &str) {
        let mut params = Params::scan(Some(query), NAMES);
        params.domain("domain");
        params.text("stream", 1..=8);
        let faults = params.faults;
        assert!(faults.iter().any(|f| f.name == name && f.reason.contains(reason)), "{query}: {faults:?}");
    }

    #[test]
    fn faults_name_the_parameter() {
        check_fault("n=1", "domain", "is required");
        check_fault("domain=a.example&domain=b.example", "domain", "more than once");
        check_fault("domain=a.example&do%6Dain=b.example", "domain", "more than once");
        check_fault("domain=%ff.example", "domain", "UTF-8");
        check_fault("domain=%4", "domain", "percent-encoded");
        check_fault("domain=", "domain", "1 to 253");
        check_fault("domain=.", "domain", "1 to 253");
        check_fault("domain=a..b", "domain", "empty label");
        check_fault("domain=a.example..", "domain", "empty label");
        check_fault("domain=.a", "domain", "empty label");
        check_fault("domain=m%C3%BCnchen.example", "domain", "xn--");
        check_fault("domain=a.example:80", "domain", "no port");
        check_fault("domain=a%20b", "domain", "host name");
        check_fault(&format!("domain={}", "a".repeat(64)), "domain", "63");
        check_fault(&format!("domain={}", "a.".repeat(128)), "domain", "253");
        check_fault("domain=a&stream=123456789", "stream", "1 to 8");
        check_fault("domain=a&stream=a%0Ab", "stream", "control");
    }

    #[test]
    fn a_domain_given_badly_is_not_called_missing_as_well() {
        let mut params = Params::scan(Some("domain=%4"), NAMES);
        params.domain("domain");
        assert_eq!(params.faults.len(), 1);
    }

    #[test]
    fn domains_are_compared_in_lower_case_without_final_dot() {
        for query in ["domain=live.example.com", "domain=LIVE.example.com.", "domain=live%2Eexample.com."] {
            let mut params = Params::scan(Some(query), NAMES);
            assert_eq!(params.domain("domain").as_deref(), Some("live.example.com"));
        }
        let longest =
            format!("domain={}.", ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join("."));
        assert_eq!(Params::scan(Some(&longest), NAMES).domain("domain").map(|d| d.len()), Some(253));
    }

    #[test]
    fn bitrates_need_a_unit_and_stay_a_viewers() {
        for (text, kbps) in [
            ("3Mbps", Some(3_000)),
            ("2.5mbps", Some(2_500)),
            ("800kbps", Some(800)),
            ("1500bps", Some(2)),
            ("0.1Gbps", Some(100_000)),
            ("101Mbps", None),
            ("3000", None),
            ("3000k", None),
            ("0Mbps", None),
            ("-1Mbps", None),
            ("1.2.3Mbps", None),
            (".Mbps", None),
            ("Mbps", None),
            ("infMbps", None),
            ("", None),
        ] {
            assert_eq!(bitrate_kbps(text), kbps, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_value_survives_encoding(value in "\\PC{0,40}") {
            let encoded: String = value.bytes().map(|b| format!("%{b:02x}")).collect();
            let query = format!("stream={encoded}");
            let read = Params::scan(Some(&query), NAMES).take("stream");
            prop_assert_eq!(read.as_deref(), Some(value.as_str()));
        }

        #[test]
        fn no_query_breaks_the_scan(query in ".{0,200}") {
            let mut params = Params::scan(Some(&query), NAMES);
            params.domain("domain");
            params.text("stream", 1..=64);
            let _ = params.verdict();
        }
    }
}
