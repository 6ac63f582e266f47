//! Numbers for people: never more digits than meaning, a unit to each, groups of three.

/// With so many decimals and groups of three, as both our languages write it.
pub(super) fn decimals(value: f64, decimals: usize) -> String {
    let plain = format!("{:.decimals$}", value.abs());
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut grouped = String::with_capacity(plain.len() + 4);
    if value < 0.0 && plain.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
        grouped.push('−');
    }
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

/// A count.
pub(super) fn whole(value: f64) -> String {
    decimals(value, 0)
}

/// A count.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(super) fn count(value: usize) -> String {
    decimals(value as f64, 0)
}

/// A share as a percentage, without its sign.
pub(super) fn percent(share: f64) -> String {
    decimals(share * 100.0, 0)
}

/// A rate of Mbit/s: the number and its unit.
pub(super) fn rate_parts(mbps: f64) -> (String, &'static str) {
    match mbps {
        mbps if mbps >= 100_000.0 => (decimals(mbps / 1_000.0, 0), "Gbps"),
        mbps if mbps >= 1_000.0 => (decimals(mbps / 1_000.0, 1), "Gbps"),
        mbps if mbps >= 10.0 || mbps == 0.0 => (decimals(mbps, 0), "Mbps"),
        mbps => (decimals(mbps, 1), "Mbps"),
    }
}

/// A rate of Mbit/s.
pub(super) fn rate(mbps: f64) -> String {
    let (number, unit) = rate_parts(mbps);
    format!("{number} {unit}")
}

/// An age in seconds, without its unit.
pub(super) fn age(seconds: f64) -> String {
    decimals(seconds, usize::from(seconds < 9.95))
}

/// A length of time.
pub(super) fn lasting(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", (seconds + 30) / 60),
        7_200..172_800 => format!("{} h", (seconds + 1_800) / 3_600),
        _ => format!("{} d", (seconds + 43_200) / 86_400),
    }
}

/// UTC time of day to the second.
pub(super) fn time(unix_ms: u64) -> String {
    stamp(unix_ms, "%H:%M:%S")
}

/// When something ends: UTC time, and the day if it is not today.
pub(super) fn until(unix_ms: u64, now_unix_ms: u64) -> String {
    let day = |unix_ms: u64| unix_ms / 86_400_000;
    let format = if day(unix_ms) == day(now_unix_ms) { "%H:%M UTC" } else { "%Y-%m-%d %H:%M UTC" };
    stamp(unix_ms, format)
}

/// For machines.
pub(super) fn rfc3339(unix_ms: u64) -> String {
    stamp(unix_ms, "%Y-%m-%dT%H:%M:%SZ")
}

fn stamp(unix_ms: u64, format: &str) -> String {
    let seconds = i64::try_from(unix_ms / 1_000).unwrap_or_default();
    jiff::Timestamp::from_second(seconds).map(|at| at.strftime(format).to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_rounded() {
        for (value, places, expected) in [
            (0.0, 0, "0"),
            (999.6, 0, "1,000"),
            (1_234_567.0, 0, "1,234,567"),
            (12.345, 2, "12.35"),
            (-0.001, 1, "0.0"),
            (-1_234.5, 1, "−1,234.5"),
        ] {
            assert_eq!(decimals(value, places), expected);
        }
        assert_eq!(
            (rate(0.4), rate(840.2), rate(33_040.0)),
            ("0.4 Mbps".into(), "840 Mbps".into(), "33.0 Gbps".into())
        );
        assert_eq!((age(9.4), age(9.97), age(148.0)), ("9.4".into(), "10".into(), "148".into()));
        assert_eq!(
            (lasting(80), lasting(600), lasting(86_400)),
            ("80 s".into(), "10 min".into(), "24 h".into())
        );
    }

    #[test]
    fn an_end_of_another_day_says_which() {
        let now = 1_795_000_000_000;
        assert_eq!(until(now + 60_000, now), "11:07 UTC");
        assert!(until(now + 86_400_000, now).starts_with("2026-11-19 "));
        assert_eq!(time(now), "11:06:40");
    }
}
