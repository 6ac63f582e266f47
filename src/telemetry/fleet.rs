//! What the resolver knows, in metrics: read from its views when the page is asked, so that the two cannot disagree.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::geo::DatabaseInfo;
use crate::resolver::{FleetView, NodeView};

/// What the resolver knows at one moment.
#[derive(Debug, Default)]
pub struct Present {
    /// The fleet.
    pub nodes: Vec<NodeView>,
    /// Whether players may be sent here.
    pub ready: bool,
    /// What was learnt of all nodes together.
    pub fleet: FleetView,
    /// The GeoIP databases in service.
    pub databases: Vec<DatabaseInfo>,
    /// Streams that origins are known to have.
    pub streams: usize,
}

// === impl Present ===

impl Collector for Present {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_databases(&mut encoder)?;
        let help = "Whether players may be sent here: 1 or 0";
        encoder
            .encode_descriptor("ready", help, None, MetricType::Gauge)?
            .encode_gauge(&i64::from(self.ready))?;

        self.encode_learnt(&mut encoder)?;

        let help = "Streams that origins are known to have, those on several counted each";
        let streams = i64::try_from(self.streams).unwrap_or(i64::MAX);
        encoder.encode_descriptor("streams", help, None, MetricType::Gauge)?.encode_gauge(&streams)?;

        let help = "Pool and PoP of each node, to be joined by node; always 1";
        let mut family = encoder.encode_descriptor("node_info", help, None, MetricType::Gauge)?;
        for node in &self.nodes {
            gauge(&mut family, &[("node", &*node.id), ("pool", &*node.pool), ("pop", &*node.pop)], &1_i64)?;
        }

        let help = "The state each node is in; only that one is shown, as 1";
        let mut family = encoder.encode_descriptor("node_state", help, None, MetricType::Gauge)?;
        for node in &self.nodes {
            gauge(&mut family, &[("node", &*node.id), ("state", node.state)], &1_i64)?;
        }

        let help = "Load by threshold of each resource as measured; max: of the tightest, bookings included; 1 is overload";
        let ratio = Unit::Other("ratio".to_owned());
        let mut family = encoder.encode_descriptor("node_pressure", help, Some(&ratio), MetricType::Gauge)?;
        for node in &self.nodes {
            for resource in &node.resources {
                let labels = [("node", &*node.id), ("resource", resource.resource)];
                gauge(&mut family, &labels, &resource.pressure)?;
            }
            if let Some(pressure) = node.pressure {
                gauge(&mut family, &[("node", &*node.id), ("resource", "max")], &pressure)?;
            }
        }

        let help = "Age of the oldest part of what is known of each node";
        let mut family =
            encoder.encode_descriptor("node_sample_age", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        for (node, age_s) in self.nodes.iter().filter_map(|node| Some((node, node.sample_age_s?))) {
            gauge(&mut family, &[("node", &*node.id)], &age_s)?;
        }

        let help = "Viewers and publishers that each node counts";
        let mut family = encoder.encode_descriptor("node_clients", help, None, MetricType::Gauge)?;
        for (node, clients) in self.nodes.iter().filter_map(|node| Some((node, node.clients?))) {
            gauge(&mut family, &[("node", &*node.id)], &clients)?;
        }
        self.encode_proven(&mut encoder)
    }
}

impl Present {
    /// What was learnt of all nodes together.
    fn encode_learnt(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Viewers that arrive for each own answer; it stands for the other replicas";
        encoder
            .encode_descriptor("kappa", help, None, MetricType::Gauge)?
            .encode_gauge(&f64::from(self.fleet.kappa))?;

        if let Some(kappa_dns) = self.fleet.kappa_dns {
            let help = "Viewers that arrive for each one expected behind an answer by DNS";
            encoder
                .encode_descriptor("kappa_dns", help, None, MetricType::Gauge)?
                .encode_gauge(&f64::from(kappa_dns))?;
        }

        let help = "Share of the viewers that leaves each second; 0 while nothing is learnt";
        encoder
            .encode_descriptor("fleet_hazard_per_second", help, None, MetricType::Gauge)?
            .encode_gauge(&self.fleet.hazard_per_s)?;

        if let Some(price_km) = self.fleet.price_km {
            let help = "What one unit of a node's price is worth now, in kilometres";
            encoder
                .encode_descriptor("price_km", help, None, MetricType::Gauge)?
                .encode_gauge(&f64::from(price_km))?;
        }
        Ok(())
    }

    /// What nodes have shown that they can send, Mbit/s.
    fn encode_proven(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mbps = Unit::Other("mbps".to_owned());
        let help = "Highest egress at which the node's viewers got what they should";
        let mut family = encoder.encode_descriptor("node_proven", help, Some(&mbps), MetricType::Gauge)?;
        for (node, proven) in self.nodes.iter().filter_map(|node| Some((node, node.proven_mbps?))) {
            gauge(&mut family, &[("node", &*node.id)], &proven)?;
        }

        let help = "What the node is taken to be able to send since it fell short";
        let mut family = encoder.encode_descriptor("node_capped", help, Some(&mbps), MetricType::Gauge)?;
        for (node, capped) in self.nodes.iter().filter_map(|node| Some((node, node.capped_mbps?))) {
            gauge(&mut family, &[("node", &*node.id)], &capped)?;
        }
        Ok(())
    }
}

impl Present {
    fn encode_databases(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let databases =
            || self.databases.iter().map(|info| (info, [("database", info.path.display().to_string())]));
        let (name, help) =
            ("geoip_database_build_timestamp", "When each GeoIP database was built, Unix time");
        let mut family = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Gauge)?;
        for (info, labels) in databases() {
            gauge(&mut family, &labels, &i64::try_from(info.build_epoch_s).unwrap_or(i64::MAX))?;
        }
        let help = "Look-ups that met a damaged record of each GeoIP database since it was opened";
        let mut family =
            encoder.encode_descriptor("geoip_database_errors", help, None, MetricType::Counter)?;
        for (info, labels) in databases() {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, f64>(&info.errors, None)?;
        }
        Ok(())
    }
}

fn gauge(
    family: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    value: &impl EncodeGaugeValue,
) -> fmt::Result {
    family.encode_family(labels)?.encode_gauge(value)
}
