//! An answer in its wire forms.

use std::net::IpAddr;

use bytes::{BufMut, Bytes, BytesMut};

use super::asked::Asked;
use crate::http::body::{self, assemble};
use crate::http::media::{self, Host};
use crate::resolver::{Answer, Family, Pick, Role};

/// Digits after the point: 100 m, and a thousandth of the threshold. More would claim what nobody knows.
const DISTANCE_DECIMALS: u32 = 1;
const PRESSURE_DECIMALS: u32 = 3;
/// Ten metres; databases know kilometres.
const DEGREE_DECIMALS: u32 = 4;
/// Tenths of a second.
const AGE_DECIMALS: u32 = 1;

/// What is needed to write an answer down.
pub(super) struct Reply<'a> {
    pub(super) asked: &'a Asked<'a>,
    pub(super) client: IpAddr,
    pub(super) answer: &'a Answer,
    /// With which the client may report what it measures; `None`: it may not, or nobody asked for detail.
    pub(super) token: Option<String>,
}

// === impl Reply ===

impl Reply<'_> {
    /// Whether any address would be named.
    pub(super) fn has_address(&self) -> bool {
        self.answer.picks.iter().any(|pick| {
            let (v4, v6) = self.addresses(pick);
            v4.is_some() || v6.is_some()
        })
    }

    /// One address a line, best node first, each node's IPv4 before its IPv6.
    pub(super) fn text(&self) -> Bytes {
        assemble(|buffer| {
            for pick in &self.answer.picks {
                let (v4, v6) = self.addresses(pick);
                for quoted in [v4, v6].into_iter().flatten() {
                    body::text(buffer, quoted.trim_matches('"'));
                    buffer.put_u8(b'\n');
                }
            }
        })
    }

    /// One JSON object.
    pub(super) fn json(&self) -> Bytes {
        assemble(|buffer| {
            let answer = self.answer;
            body::text(buffer, "{\"domain\":");
            body::string(buffer, &self.asked.domain);
            body::text(buffer, ",\"ips\":");
            self.list(buffer, |(v4, _)| v4);
            body::text(buffer, ",\"ips_v6\":");
            self.list(buffer, |(_, v6)| v6);
            body::text(buffer, ",\"ttl\":");
            body::whole(buffer, answer.ttl_s);
            body::text(buffer, ",\"client_ip\":\"");
            body::address(buffer, self.client);
            body::text(buffer, "\",\"reason\":\"");
            body::text(buffer, answer.reason.as_str());
            body::text(
                buffer,
                if answer.degraded { "\",\"degraded\":true" } else { "\",\"degraded\":false" },
            );
            if self.asked.ip_ignored {
                body::text(buffer, ",\"ip_ignored\":true");
            }
            if let Some(stream) = &self.asked.stream
                && (self.asked.detail || self.asked.role == Role::Publish)
            {
                self.urls(buffer, stream);
            }
            if self.asked.detail {
                self.detail(buffer);
            }
            buffer.put_u8(b'}');
        })
    }

    /// The first address of a pick in each family asked for, quoted as in JSON.
    fn addresses(&self, pick: &Pick) -> (Option<&str>, Option<&str>) {
        let (v4, v6) = self.answer.addresses_json(pick);
        let wanted = self.asked.family;
        (first(v4).filter(|_| wanted != Family::V6), first(v6).filter(|_| wanted != Family::V4))
    }

    fn list<'s>(
        &'s self,
        buffer: &mut BytesMut,
        family: impl Fn((Option<&'s str>, Option<&'s str>)) -> Option<&'s str>,
    ) {
        let addresses = self.answer.picks.iter().filter_map(|pick| family(self.addresses(pick)));
        buffer.put_u8(b'[');
        for (at, quoted) in addresses.enumerate() {
            if at > 0 {
                buffer.put_u8(b',');
            }
            body::text(buffer, quoted);
        }
        buffer.put_u8(b']');
    }

    /// Where the stream is by RTMP, for nodes that speak it.
    fn urls(&self, buffer: &mut BytesMut, stream: &str) {
        body::text(buffer, ",\"urls\":[");
        let nodes = self.answer.picks.iter().map(|pick| self.answer.node(pick));
        let rtmp = nodes.filter_map(|node| {
            let wanted = self.asked.family;
            let fits = |ip: &IpAddr| wanted == Family::Both || ip.is_ipv4() == (wanted == Family::V4);
            Some((node.addresses().find(fits)?, node.ports.rtmp?))
        });
        for (at, (ip, port)) in rtmp.enumerate() {
            let mut url = String::with_capacity(96);
            media::base(&mut url, "rtmp", Host::Address(ip), port);
            url.push('/');
            media::path(&mut url, stream);
            if at > 0 {
                buffer.put_u8(b',');
            }
            body::string(buffer, &url);
        }
        buffer.put_u8(b']');
    }

    fn detail(&self, buffer: &mut BytesMut) {
        let located = &self.answer.located;
        body::text(buffer, ",\"geo\":{\"precision\":\"");
        body::text(buffer, located.precision.as_str());
        body::text(buffer, "\",\"country\":");
        match located.country.as_ref().and_then(|code| std::str::from_utf8(code).ok()) {
            Some(code) => body::string(buffer, code),
            None => body::text(buffer, "null"),
        }
        let (latitude, longitude) =
            located.location.map_or((f64::NAN, f64::NAN), |at| (at.latitude(), at.longitude()));
        body::text(buffer, ",\"latitude\":");
        body::decimal(buffer, latitude, DEGREE_DECIMALS);
        body::text(buffer, ",\"longitude\":");
        body::decimal(buffer, longitude, DEGREE_DECIMALS);
        body::text(buffer, "},\"nodes\":[");
        for (at, pick) in self.answer.picks.iter().enumerate() {
            if at > 0 {
                buffer.put_u8(b',');
            }
            self.node(buffer, pick);
        }
        body::text(buffer, "],\"sample_age_s\":");
        let age_s = self.answer.sample_age_ms.map_or(f64::NAN, |ms| f64::from(ms) / 1000.0);
        body::decimal(buffer, age_s, AGE_DECIMALS);
        if let Some(token) = &self.token {
            body::text(buffer, ",\"token\":");
            body::string(buffer, token);
        }
    }

    fn node(&self, buffer: &mut BytesMut, pick: &Pick) {
        let node = self.answer.node(pick);
        body::text(buffer, "{\"id\":");
        body::string(buffer, &node.id);
        body::text(buffer, ",\"ip\":");
        let (v4, v6) = self.addresses(pick);
        body::text(buffer, v4.or(v6).unwrap_or("null"));
        body::text(buffer, ",\"pop\":");
        body::string(buffer, &node.pop);
        body::text(buffer, ",\"distance_km\":");
        body::decimal(buffer, pick.distance_km.map_or(f64::NAN, f64::from), DISTANCE_DECIMALS);
        body::text(buffer, ",\"pressure\":");
        body::decimal(buffer, f64::from(pick.pressure), PRESSURE_DECIMALS);
        buffer.put_u8(b'}');
    }
}

/// The first of a prebuilt list of quoted addresses; no address holds a comma.
fn first(list: &str) -> Option<&str> {
    list.split(',').next().filter(|quoted| !quoted.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_a_node_is_named() {
        assert_eq!(first(""), None);
        assert_eq!(first("\"203.0.113.10\""), Some("\"203.0.113.10\""));
        assert_eq!(first("\"203.0.113.10\",\"203.0.113.11\""), Some("\"203.0.113.10\""));
    }
}
