//! Why a node is in its state: a code and what a sentence about it needs, so that pages can say it in any language.

use serde::Serialize;

use super::{NEAR, Row};
use crate::schedule::health::NodeState;
use crate::schedule::load::Resource;
use crate::schedule::node::Node;
use crate::schedule::watch::{NodeReport, TargetReport};

/// The one reason that an operator should read first.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Cause {
    /// Egress passes its limit.
    Egress {
        /// As measured, Mbit/s.
        mbps: f32,
        /// Booked on top, Mbit/s.
        booked_mbps: f32,
        /// What may be used, Mbit/s.
        limit_mbps: f32,
    },
    /// Another resource passes its limit.
    Over {
        /// Which.
        resource: &'static str,
        /// In use: a share, or drops a second.
        load: f64,
        /// Its limit, in the same unit.
        limit: f64,
    },
    /// Its PoP's line is full.
    Uplink {
        /// Of its limit.
        pressure: f32,
    },
    /// Measured below its limits, but what is booked fills it.
    Booked {
        /// Mbit/s.
        mbps: f32,
        /// The resource that is filled.
        resource: &'static str,
    },
    /// Below its limits, but not by much.
    Near {
        /// More viewers that fit.
        viewers: u32,
        /// The resource that runs out then.
        resource: &'static str,
    },
    /// No good page for too long.
    Stale {
        /// Which exporter.
        target: String,
        /// How it fails, as a label; empty: it does not, its page stands still.
        error: &'static str,
    },
    /// Nobody answers.
    Down {
        /// Which exporter.
        target: String,
        /// How it fails, as a label.
        error: &'static str,
        /// Failed probes in a row.
        failed: u32,
    },
    /// An operator took it out.
    Drain {
        /// In the operator's words.
        reason: Option<String>,
        /// Until then, Unix s.
        until_unix_s: Option<u64>,
    },
    /// It delivers less than its configured capacity.
    Capped {
        /// What it is taken to be able to send, Mbit/s.
        mbps: f32,
        /// Configured, Mbit/s.
        capacity_mbps: f32,
    },
    /// One exporter fails, the others suffice.
    Failing {
        /// Which.
        target: String,
        /// How, as a label.
        error: &'static str,
    },
    /// Nothing is measured yet.
    Starting,
    /// It has no exporter.
    Unmeasured,
}

// === impl Cause ===

impl Cause {
    /// Its code, as it is serialised.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Egress { .. } => "egress",
            Self::Over { .. } => "over",
            Self::Uplink { .. } => "uplink",
            Self::Booked { .. } => "booked",
            Self::Near { .. } => "near",
            Self::Stale { .. } => "stale",
            Self::Down { .. } => "down",
            Self::Drain { .. } => "drain",
            Self::Capped { .. } => "capped",
            Self::Failing { .. } => "failing",
            Self::Starting => "starting",
            Self::Unmeasured => "unmeasured",
        }
    }

    pub(super) fn of(
        node: &Node,
        report: &NodeReport,
        row: &Row,
        unix_ms: impl Fn(crate::schedule::Moment) -> u64,
    ) -> Option<Self> {
        Some(match report.state {
            NodeState::Overloaded => overloaded(node, report, row),
            NodeState::Stale => {
                let (target, error) = failing(report).unwrap_or_default();
                Self::Stale { target, error }
            }
            NodeState::Down => {
                let silent = || ("heartbeats".to_owned(), "timeout");
                let (target, error) = failing(report).unwrap_or_else(silent);
                let failed = report.targets.iter().map(|target| target.failed).max().unwrap_or_default();
                Self::Down { target, error, failed }
            }
            NodeState::Draining => Self::Drain {
                reason: match &report.drain {
                    Some(order) => order.reason.as_deref().map(str::to_owned),
                    // Nobody's order: its exporters are silent while its heartbeats come.
                    None => report.reasons.first().cloned(),
                },
                until_unix_s: report.drain.as_ref().and_then(|order| Some(unix_ms(order.until?) / 1_000)),
            },
            NodeState::Starting => Self::Starting,
            NodeState::Unmeasured => Self::Unmeasured,
            NodeState::Healthy => return healthy(report, row),
        })
    }
}

fn overloaded(node: &Node, report: &NodeReport, row: &Row) -> Cause {
    let measured = report.pressure.tightest().zip(report.capacity);
    match measured {
        Some(((Resource::Bandwidth, _), _)) | None => {
            Cause::Egress { mbps: row.egress_mbps, booked_mbps: row.booked_mbps, limit_mbps: row.limit_mbps }
        }
        Some(((resource, _), capacity)) => Cause::Over {
            resource: resource.as_str(),
            load: report.load.of(resource, capacity).unwrap_or_default(),
            limit: crate::schedule::pressure::limit(&node.thresholds, resource),
        },
    }
}

fn healthy(report: &NodeReport, row: &Row) -> Option<Cause> {
    if let (Some(mbps), Some(capacity)) = (report.capped_mbps, report.capacity) {
        return Some(Cause::Capped {
            mbps: super::single(mbps),
            capacity_mbps: super::single(capacity.mbps),
        });
    }
    match row.pressure {
        Some(pressure) if pressure >= 1.0 && row.tightest == "pop_uplink" => Some(Cause::Uplink { pressure }),
        Some(pressure) if pressure >= 1.0 => {
            Some(Cause::Booked { mbps: row.booked_mbps, resource: row.tightest })
        }
        Some(_) if row.state == NEAR => Some(Cause::Near { viewers: row.headroom, resource: row.tightest }),
        _ => failing(report).map(|(target, error)| Cause::Failing { target, error }),
    }
}

/// The exporter that fails, without its scheme and path, and how.
fn failing(report: &NodeReport) -> Option<(String, &'static str)> {
    let failing = |target: &TargetReport| Some((place(&target.url), target.failure.as_ref()?.label()));
    report.targets.iter().find_map(failing)
}

/// Host and port of a URL.
fn place(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default().to_owned()
}
