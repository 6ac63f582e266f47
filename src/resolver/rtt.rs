//! Measured round-trip times: who may report them, and what is kept of a report.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use arrayvec::ArrayVec;

use super::{Resolver, TokenKey};
use crate::schedule::Moment;
use crate::schedule::fleet::PopIndex;
use crate::schedule::rtt::{MOST_POPS, Network, RttRow};

/// Most addresses of one report.
pub const MOST_TIMES: usize = MOST_POPS;

/// Why a report is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportRefusal {
    /// No secret is configured.
    #[error("round-trip times are not taken here")]
    Off,
    /// Its token has expired, is of another network, or is none of ours.
    #[error("the token has expired, belongs to another network or was not issued here")]
    BadToken,
}

// === impl Resolver ===

impl Resolver {
    /// From now on takes reports of measured times from those who show a token of this key; `None`: from nobody.
    pub fn take_reports(&self, key: Option<TokenKey>) {
        self.takes_reports.store(key.is_some(), Relaxed);
        self.reports.store(key.map(Arc::new));
    }

    /// Whether reports are taken.
    #[must_use]
    pub fn takes_reports(&self) -> bool {
        self.takes_reports.load(Relaxed)
    }

    /// A token with which this client may report; `None`: reports are not taken.
    #[must_use]
    pub fn report_token(&self, client: IpAddr) -> Option<String> {
        let key = self.reports.load();
        let key = key.as_ref()?;
        Some(key.issue(network(client), self.state.clock().unix_ms() / 1_000))
    }

    /// Takes in what a client measured: addresses of nodes and times, ms; those after the first [`MOST_TIMES`] are
    /// ignored. Of several nodes of a PoP the fastest speaks for it, so that one report is one report. Returns how
    /// many addresses nobody here has.
    ///
    /// # Errors
    /// Reports are not taken, or not with this token.
    pub fn report(
        &self,
        client: IpAddr,
        token: &str,
        times: &[(IpAddr, f32)],
    ) -> Result<usize, ReportRefusal> {
        let key = self.reports.load();
        let key = key.as_ref().ok_or(ReportRefusal::Off)?;
        let network = network(client);
        if !key.verify(token, network, self.state.clock().unix_ms() / 1_000) {
            return Err(ReportRefusal::BadToken);
        }
        let live = self.state.live();
        let mut unknown = 0;
        let mut fastest: ArrayVec<(PopIndex, f32), MOST_TIMES> = ArrayVec::new();
        for (ip, ms) in times.iter().take(MOST_TIMES) {
            let Some(node) = live.fleet.at_address(*ip) else {
                unknown += 1;
                continue;
            };
            let pop = live.fleet.pop_of(node);
            match fastest.iter_mut().find(|(known, _)| *known == pop) {
                Some((_, least)) => *least = least.min(*ms),
                None => fastest.push((pop, *ms)),
            }
        }
        if !fastest.is_empty() {
            self.state.rtts().note(network, fastest, self.state.clock().now());
        }
        Ok(unknown)
    }

    /// What a client's network has measured, if that is asked for and there is something.
    pub(super) fn measured(&self, client: IpAddr, now: Moment) -> Option<RttRow> {
        self.takes_reports().then_some(())?;
        self.state.rtts().row(network(client), now)
    }
}

fn network(client: IpAddr) -> Network {
    Network::of(crate::geo::canonical(client))
}
