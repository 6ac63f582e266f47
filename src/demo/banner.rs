//! What the demo says on the terminal.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::cities::CITIES;
use super::fleet::{DOMAIN, EdgeAddress};
use crate::schedule::place::Location;

/// An address whose place everybody can look up: in the United States.
const VIEWER_US: &str = "8.8.8.8";

/// And one in China.
const VIEWER_CN: &str = "114.114.114.114";

/// Where country databases put a viewer of the United States (the middle of its people).
const MIDDLE_US: (f64, f64) = (38.8, -93.5);

/// How the fleet fares now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Status {
    pub(super) viewers: u64,
    /// Traffic to viewers, Mbit/s.
    pub(super) egress_mbps: f64,
    /// Mean pressure of the edges; 1.0 = overloaded.
    pub(super) pressure: f64,
    pub(super) overloaded: usize,
    pub(super) edges: usize,
    /// Since the last status.
    pub(super) answered: u64,
    pub(super) spilled: u64,
    pub(super) failed: u64,
    /// Seconds since the last status.
    pub(super) over_s: u64,
    /// City of a flash crowd.
    pub(super) flash: Option<&'static str>,
}

/// The page a visitor sees first.
pub(super) fn welcome(
    edges: &[EdgeAddress],
    player: SocketAddr,
    admin: SocketAddr,
    asks_per_s: f64,
) -> String {
    let (player, admin) = (reachable(player), reachable(admin));
    let cities: BTreeSet<_> = edges.iter().map(|edge| edge.planned.city).collect();
    let continents: BTreeSet<_> = cities.iter().map(|city| CITIES[*city].continent).collect();
    let gbps: f64 = edges.iter().map(|edge| f64::from(edge.planned.hardware.bandwidth_mbps) / 1_000.0).sum();
    let mut text = format!(
        "\nNearcast demo: {} emulated edges in {} cities on {} continents, {gbps:.1} Gbps in all,\n\
         each with real exporter pages that the real service scrapes. Some {asks_per_s:.0} viewers a second ask\n\
         it where to go; every 90 s a crowd gathers in one city.\n\n  \
         Operators   http://{admin}/nodes\n  \
         Players     http://{player}/resolve\n\n\
         Try in another terminal:\n\n  \
         # A viewer in the United States, one in China\n  \
         curl 'http://{player}/resolve?domain={DOMAIN}&ip={VIEWER_US}&detail=1'\n  \
         curl 'http://{player}/resolve?domain={DOMAIN}&ip={VIEWER_CN}&detail=1'\n  \
         # Every candidate, and why the chosen one was chosen\n  \
         curl 'http://{admin}/explain?domain={DOMAIN}&ip={VIEWER_US}'\n  \
         # Every edge and its load\n  \
         curl http://{admin}/nodes\n",
        edges.len(),
        cities.len(),
        continents.len(),
    );
    if let Some(edge) = nearest_to_us(edges) {
        let (id, at) = (&edge.planned.id, edge.exporter);
        let city = CITIES[edge.planned.city].name;
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "  # Hog {id} in {city}, the edge nearest to {VIEWER_US}; seconds later it is passed over.\n  \
             # cpu=0 gives it back.\n  \
             curl -X POST 'http://{at}/load?cpu=0.95'\n  \
             # What the service reads there\n  \
             curl http://{at}/metrics\n  \
             curl http://{at}/srs/metrics\n"
        );
    }
    text.push_str("\nCtrl-C ends it.\n");
    text
}

/// One line of life.
#[expect(clippy::cast_precision_loss, reason = "counts of one demo")]
pub(super) fn status(now: &Status) -> String {
    let answers_per_s = now.answered as f64 / now.over_s.max(1) as f64;
    let spilled = now.spilled as f64 * 100.0 / now.answered.max(1) as f64;
    let mut line = format!(
        "{} viewers, {:.1} Gbps, pressure {:.0} %, {} of {} edges overloaded; \
         {answers_per_s:.0} answers/s, {spilled:.0} % spilled",
        now.viewers,
        now.egress_mbps / 1_000.0,
        now.pressure * 100.0,
        now.overloaded,
        now.edges,
    );
    if now.failed > 0 {
        let _ = write!(line, ", {} not answered", now.failed);
    }
    if let Some(city) = now.flash {
        let _ = write!(line, "; a crowd gathers in {city}");
    }
    line
}

/// An address that this machine can connect to where the listener's is "all of them".
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The edge that [`VIEWER_US`] gets when nothing is overloaded.
fn nearest_to_us(edges: &[EdgeAddress]) -> Option<&EdgeAddress> {
    let here = Location::new(MIDDLE_US.0, MIDDLE_US.1).ok()?;
    let distance = |edge: &EdgeAddress| {
        CITIES[edge.planned.city].location().map_or(f64::INFINITY, |there| here.distance_km(there))
    };
    edges.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::fleet::plan;

    #[test]
    fn welcome_names_addresses_that_can_be_copied() {
        let edges: Vec<_> = plan(24, 1)
            .into_iter()
            .zip(20_000..)
            .map(|(planned, port)| EdgeAddress {
                planned,
                exporter: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            })
            .collect();
        let text = welcome(&edges, "0.0.0.0:8080".parse().unwrap(), "127.0.0.1:8081".parse().unwrap(), 40.0);
        assert!(text.contains("http://127.0.0.1:8080/resolve?domain=live.example.com&ip=8.8.8.8"), "{text}");
        let dallas = edges.iter().find(|edge| edge.planned.id == "dal-1").unwrap().exporter;
        assert!(text.contains(&format!("curl -X POST 'http://{dallas}/load?cpu=0.95'")), "{text}");
        assert!(text.contains("on 6 continents"), "{text}");
    }

    #[test]
    fn status_is_one_line() {
        let line = status(&Status {
            viewers: 1_934,
            egress_mbps: 6_412.0,
            pressure: 0.48,
            overloaded: 2,
            edges: 24,
            answered: 410,
            spilled: 12,
            failed: 0,
            over_s: 10,
            flash: Some("Mumbai"),
        });
        assert_eq!(
            line,
            "1934 viewers, 6.4 Gbps, pressure 48 %, 2 of 24 edges overloaded; 41 answers/s, 3 % spilled; \
             a crowd gathers in Mumbai"
        );
    }
}
