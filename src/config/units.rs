//! Numbers with a unit: durations `"10s"`, sizes `"4MiB"`, rates `"10Gbps"`.
//!
//! A bare number is refused: `timeout = 3` has been three seconds and three milliseconds in different programs.
//! Units are case-sensitive, because `Mb` and `MB` are not the same thing.
//!
//! Grammar: digits, perhaps a point and more digits, perhaps one space, unit. No sign, no exponent, no sums
//! (`"1m30s"` is `"90s"`).

use std::fmt;

/// Whole numbers up to this are exact in an `f64`; nothing here needs more (285,000 years, 9 PB).
const LARGEST: f64 = 9_007_199_254_740_992.0;

/// Why a text is no duration, size or rate. The text itself is not repeated: the caller shows it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum UnitError {
    /// Only a number.
    #[error("{number} has no unit: write \"{number}{usual}\" ({units})", units = kind.words(), usual = kind.usual())]
    NoUnit {
        /// What was meant.
        kind: Kind,
        /// The number, as written.
        number: String,
    },
    /// A number, and something that is no unit of this kind.
    #[error("`{unit}` is not a unit of a {kind}; expected {units}, as in \"{example}\"",
        units = kind.words(), example = kind.example())]
    Unit {
        /// What was meant.
        kind: Kind,
        /// What stands in the place of the unit.
        unit: String,
    },
    /// No number at its beginning.
    #[error("not a {kind} such as \"{example}\"", example = kind.example())]
    NoNumber {
        /// What was meant.
        kind: Kind,
    },
    /// A fraction of a millisecond or byte.
    #[error("finer than 1 {}", kind.finest())]
    TooFine {
        /// What was meant.
        kind: Kind,
    },
    /// Beyond 2^53 of the base unit.
    #[error("too large for a {kind}")]
    TooLarge {
        /// What was meant.
        kind: Kind,
    },
}

/// What a number with a unit measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// In milliseconds.
    Duration,
    /// In bytes.
    Size,
    /// In bits per second.
    Rate,
}

/// Milliseconds of `"500ms"`, `"10s"`, `"2m"`, `"1h"`.
pub(super) fn duration_ms(text: &str) -> Result<u64, UnitError> {
    whole(text, Kind::Duration)
}

/// Bytes of `"512B"`, `"64kB"`, `"4MiB"`, `"1GB"`.
pub(super) fn size_bytes(text: &str) -> Result<u64, UnitError> {
    whole(text, Kind::Size)
}

/// Mbit/s of `"500kbps"`, `"1.5Gbps"`. Decimal, as network gear is sold.
pub(super) fn rate_mbps(text: &str) -> Result<f64, UnitError> {
    Ok(parse(text, Kind::Rate)? / 1e6)
}

/// Writes milliseconds so that [`duration_ms`] reads them back.
pub(super) fn show_duration(ms: u64) -> String {
    show_whole(ms, Kind::Duration)
}

/// Writes bytes so that [`size_bytes`] reads them back.
pub(super) fn show_size(bytes: u64) -> String {
    show_whole(bytes, Kind::Size)
}

/// Writes Mbit/s so that [`rate_mbps`] reads them back (to the last bit or two of the number).
pub(super) fn show_rate(mbps: f64) -> String {
    let bps = mbps * 1e6;
    let units = Kind::Rate.units();
    let (unit, scale) = units.iter().rev().find(|(_, scale)| bps >= *scale as f64).unwrap_or(&units[0]);
    format!("{}{unit}", bps / *scale as f64)
}

/// A number of base units (ms, bytes, bit/s).
fn parse(text: &str, kind: Kind) -> Result<f64, UnitError> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let value: f64 = match number.parse() {
        // `f64` would also take "1." and ".5".
        Ok(value) if !number.starts_with('.') && !number.ends_with('.') => value,
        _ => return Err(UnitError::NoNumber { kind }),
    };
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    if unit.is_empty() {
        return Err(UnitError::NoUnit { kind, number: number.to_owned() });
    }
    let scale = kind.units().iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale as f64);
    let scale =
        scale.ok_or_else(|| UnitError::Unit { kind, unit: unit.escape_debug().take(20).collect() })?;
    let value = value * scale;
    if value > LARGEST { Err(UnitError::TooLarge { kind }) } else { Ok(value) }
}

fn whole(text: &str, kind: Kind) -> Result<u64, UnitError> {
    let value = parse(text, kind)?;
    let rounded = value.round();
    // "1.1s" may come out as 1100.0000000000002 ms: what multiplication adds is no fraction.
    if (value - rounded).abs() > 1e-9 * rounded.max(1.0) {
        return Err(UnitError::TooFine { kind });
    }
    Ok(rounded as u64)
}

/// In the largest unit that leaves no fraction.
fn show_whole(value: u64, kind: Kind) -> String {
    let units = kind.units();
    let fitting = units.iter().rev().find(|(_, scale)| value > 0 && value.is_multiple_of(*scale));
    let (unit, scale) = fitting.unwrap_or(&units[0]);
    format!("{}{unit}", value / scale)
}

// === impl Kind ===

impl Kind {
    /// Names and how many base units they are worth, ascending.
    fn units(self) -> &'static [(&'static str, u64)] {
        match self {
            Self::Duration => &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)],
            Self::Size => &[
                ("B", 1),
                ("kB", 1_000),
                ("KiB", 1 << 10),
                ("MB", 1_000_000),
                ("MiB", 1 << 20),
                ("GB", 1_000_000_000),
                ("GiB", 1 << 30),
            ],
            Self::Rate => &[
                ("bps", 1),
                ("kbps", 1_000),
                ("Mbps", 1_000_000),
                ("Gbps", 1_000_000_000),
                ("Tbps", 1_000_000_000_000),
            ],
        }
    }

    /// "ms, s, m or h".
    fn words(self) -> String {
        either(self.units().iter().map(|(name, _)| (*name).to_owned()))
    }

    /// The unit a bare number most likely meant.
    fn usual(self) -> &'static str {
        match self {
            Self::Duration => "s",
            Self::Size => "MiB",
            Self::Rate => "Mbps",
        }
    }

    fn finest(self) -> &'static str {
        match self {
            Self::Duration => "millisecond",
            Self::Size => "byte",
            Self::Rate => "bit per second",
        }
    }

    /// How one is written.
    pub(super) fn example(self) -> &'static str {
        match self {
            Self::Duration => "10s",
            Self::Size => "4MiB",
            Self::Rate => "10Gbps",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duration => "duration",
            Self::Size => "size",
            Self::Rate => "rate",
        })
    }
}

/// "a, b or c".
pub(super) fn either(words: impl IntoIterator<Item = String>) -> String {
    let mut words: Vec<String> = words.into_iter().collect();
    let Some(last) = words.pop() else { return String::new() };
    if words.is_empty() { last } else { format!("{} or {last}", words.join(", ")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn refused(result: Result<impl fmt::Debug, UnitError>, message: &str) {
        assert_eq!(result.unwrap_err().to_string(), message);
    }

    #[test]
    fn units_are_worth_what_their_names_say() {
        assert_eq!(duration_ms("500ms"), Ok(500));
        assert_eq!(duration_ms("10s"), Ok(10_000));
        assert_eq!(duration_ms("1.1s"), Ok(1_100));
        assert_eq!(duration_ms("2m"), Ok(120_000));
        assert_eq!(duration_ms("1 h"), Ok(3_600_000));
        assert_eq!(size_bytes("0B"), Ok(0));
        assert_eq!(size_bytes("64kB"), Ok(64_000));
        assert_eq!(size_bytes("4MiB"), Ok(4_194_304));
        assert_eq!(size_bytes("1GB"), Ok(1_000_000_000));
        assert_eq!(size_bytes("0.5KiB"), Ok(512));
        assert_eq!(rate_mbps("10Gbps"), Ok(10_000.0));
        assert_eq!(rate_mbps("1.5Gbps"), Ok(1_500.0));
        assert_eq!(rate_mbps("500Mbps"), Ok(500.0));
        assert_eq!(rate_mbps("64kbps"), Ok(0.064));
    }

    #[test]
    fn what_is_no_number_with_a_unit_says_what_was_expected() {
        refused(duration_ms("10"), "10 has no unit: write \"10s\" (ms, s, m or h)");
        refused(size_bytes("4"), "4 has no unit: write \"4MiB\" (B, kB, KiB, MB, MiB, GB or GiB)");
        refused(rate_mbps("100"), "100 has no unit: write \"100Mbps\" (bps, kbps, Mbps, Gbps or Tbps)");
        refused(
            duration_ms("10sec"),
            "`sec` is not a unit of a duration; expected ms, s, m or h, as in \"10s\"",
        );
        refused(
            duration_ms("1m30s"),
            "`m30s` is not a unit of a duration; expected ms, s, m or h, as in \"10s\"",
        );
        refused(
            rate_mbps("10GBps"),
            "`GBps` is not a unit of a rate; expected bps, kbps, Mbps, Gbps or Tbps, as in \"10Gbps\"",
        );
        for no_number in
            ["", "s", "-5s", ".5s", "1.s", "1..2s", "1.2.3s", "ten seconds", " 1s", "inf s", "١s"]
        {
            refused(duration_ms(no_number), "not a duration such as \"10s\"");
        }
        refused(duration_ms("0.5ms"), "finer than 1 millisecond");
        refused(size_bytes("1.0001kB"), "finer than 1 byte");
        refused(duration_ms("9999999999999999h"), "too large for a duration");
        refused(rate_mbps(&format!("{}Gbps", "9".repeat(400))), "too large for a rate");
    }

    #[test]
    fn the_largest_unit_without_a_fraction_is_written() {
        assert_eq!(show_duration(90_000), "90s");
        assert_eq!(show_duration(3_600_000), "1h");
        assert_eq!(show_duration(0), "0ms");
        assert_eq!(show_size(4_194_304), "4MiB");
        assert_eq!(show_size(64_000), "64kB");
        assert_eq!(show_rate(10_000.0), "10Gbps");
        assert_eq!(show_rate(1_500.0), "1.5Gbps");
        assert_eq!(show_rate(0.0), "0bps");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in 0_u64..1 << 53, mbps in 0.0..1e8) {
            prop_assert_eq!(duration_ms(&show_duration(value)), Ok(value));
            prop_assert_eq!(size_bytes(&show_size(value)), Ok(value));
            let back = rate_mbps(&show_rate(mbps)).unwrap();
            prop_assert!((back - mbps).abs() <= mbps * 1e-12, "{} came back as {}", mbps, back);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = (duration_ms(&text), size_bytes(&text), rate_mbps(&text));
        }
    }
}
