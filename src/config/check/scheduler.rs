//! `[scheduler]`: how decisions are made.

use std::ops::RangeInclusive;
use std::path::Path;

use toml::Spanned;
use toml::de::DeValue;

use super::nodes::BANDWIDTH_MBPS;
use crate::config::Scheduler;
use crate::config::raw::Section;
use crate::config::units::show_duration;
use crate::config::values::{Read, duration, integer, number, positive, rate, switch, text};

/// Kilometres; half the earth's girth is as far as anything is.
const KM: RangeInclusive<f64> = 0.0..=20_015.0;

/// What a viewer may need, Mbit/s: 10 kbps (audio) to 1 Gbps.
const BITRATE_MBPS: RangeInclusive<f64> = 0.01..=1_000.0;

/// A relative path starts from `folder`.
pub(super) fn read(section: &mut Section<'_>, folder: &Path) -> Scheduler {
    let default = Scheduler::default();
    Scheduler {
        congestion_km: section.get_or("congestion_km", default.congestion_km, number(KM)),
        affinity_km: section.get_or("affinity_km", default.affinity_km, number(KM)),
        price_km: section.get_or("price_km", default.price_km, number(KM)),
        isp_km: section.get_or("isp_km", default.isp_km, number(KM)),
        distance_budget_km: section.get("distance_budget_km", positive(*KM.end())).map(Spanned::into_inner),
        replicas: section.get_or("replicas", default.replicas, integer(0..=1_000)),
        default_bitrate_mbps: section.get_or(
            "default_bitrate",
            default.default_bitrate_mbps,
            rate(BITRATE_MBPS),
        ),
        assumed_bandwidth_mbps: section.get_or(
            "assumed_bandwidth",
            default.assumed_bandwidth_mbps,
            rate(BANDWIDTH_MBPS),
        ),
        booking: section.get_or("booking", default.booking, switch),
        rtt_secret_file: section.get("rtt_secret_file", text).map(|path| folder.join(path.into_inner())),
        state_file: section.get("state_file", text).map(|path| folder.join(path.into_inner())),
        ttl_s: read_ttl(section, default.ttl_s),
    }
}

fn read_ttl(section: &mut Section<'_>, default: (u32, u32)) -> (u32, u32) {
    let written = (section.get("ttl_min", ttl_s), section.get("ttl_max", ttl_s));
    let min = written.0.as_ref().map_or(default.0, |min| *min.get_ref());
    let max = written.1.as_ref().map_or(default.1, |max| *max.get_ref());
    if min <= max {
        return (min, max);
    }
    let show = |s: u32| show_duration(u64::from(s) * 1_000);
    let (report, min_text, max_text) = (section.report(), show(min), show(max));
    // One that is there and wrong was reported already; its default proves nothing.
    match (&written.0, &written.1) {
        (Some(min), Some(max)) => report.clash(
            &max.span(),
            format!("ttl_max: {max_text} is shorter than ttl_min, {min_text}"),
            (&min.span(), "ttl_min"),
        ),
        (Some(min), None) if !section.has("ttl_max") => {
            report.error(
                &min.span(),
                format!("ttl_min: {min_text} is longer than ttl_max ({max_text} by default)"),
            );
        }
        (None, Some(max)) if !section.has("ttl_min") => {
            report.error(
                &max.span(),
                format!("ttl_max: {max_text} is shorter than ttl_min ({min_text} by default)"),
            );
        }
        _ => {}
    }
    (min, max)
}

/// A time to live, s: one second to an hour, and whole seconds, because DNS and `max-age` know no others.
fn ttl_s(value: &DeValue<'_>) -> Read<u32> {
    let ms = duration(1_000..=3_600_000)(value)?;
    if !ms.is_multiple_of(1_000) {
        return Err(format!("{} is not a whole number of seconds", show_duration(ms)));
    }
    u32::try_from(ms / 1_000).map_err(|error| error.to_string())
}

// === impl Scheduler ===

impl Default for Scheduler {
    fn default() -> Self {
        Self {
            congestion_km: 10.0,
            affinity_km: 40.0,
            price_km: 100.0,
            isp_km: 300.0,
            distance_budget_km: None,
            replicas: 0,
            default_bitrate_mbps: 3.0,
            assumed_bandwidth_mbps: 1_000.0,
            booking: true,
            rtt_secret_file: None,
            state_file: None,
            ttl_s: (5, 60),
        }
    }
}
