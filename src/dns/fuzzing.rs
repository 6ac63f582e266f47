//! What fuzzers and tests throw queries at: a real front over a small fleet, and what must hold of any reply.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use domain::base::Message;
use domain::rdata::AllRecordData;

use super::{CookieSecret, Front, query};
use crate::config::Config;
use crate::resolver::fuzzing::over;
use crate::schedule::terms::TermSettings;
use crate::telemetry::{DnsTransport, Telemetry};

/// A zone with a name of every kind.
pub(super) const CONFIG: &str = r#"
pools = [{ name = "edges" }]
domains = [{ name = "live.example.com", pool = "edges" }, { name = "live.example.org", pool = "edges" }]
nodes = [{ id = "a", pool = "edges", addresses = ["203.0.113.10"] }]

[dns]
listen = "127.0.0.1:0"
responses_per_second = 0
nsid = "ns-7"

[[dns.zones]]
apex = "example.com"
ns = ["ns1.example.net", "ns2.example.net"]
soa = { serial = 7, negative_ttl = "45s" }
records = [
  "@ 300 TXT \"v=spf1 -all\"",
  "@ 300 CAA 0 issue \"ca.example.net\"",
  "@ 300 MX 10 mail.example.net.",
  "www 60 A 192.0.2.80",
  "www 120 A 192.0.2.81",
  "www 60 AAAA 2001:db8::80",
  "www 60 HTTPS 1 . alpn=h2 ipv4hint=192.0.2.80",
  "_rtmp._tcp.live 60 SRV 0 5 1935 live",
  "deep.below 60 TXT \"x\"",
  "long 60 TXT \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\" \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\" \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\" \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"",
]
"#;

static FRONT: LazyLock<Option<Front>> = LazyLock::new(|| front(&Config::parse(CONFIG, "fuzzing").ok()?));

/// A front for a configuration's zones and fleet, of which nothing has been measured.
pub(super) fn front(config: &Config) -> Option<Front> {
    let (resolver, _) = over(config.clone(), TermSettings::default(), true)?;
    let (dns, telemetry) = (config.dns.as_ref()?, Arc::new(Telemetry::new()));
    Some(Front::new(Arc::new(resolver), telemetry, CookieSecret([7; 16]), dns, &config.domains))
}

/// A query: whatever it is, both readers read the same; the reply is small enough, is one of the asker's, and can be
/// read record by record.
///
/// # Panics
/// One of these does not hold.
pub fn dns_query(bytes: &[u8]) {
    let Some(front) = &*FRONT else { panic!("the front cannot be set up") };
    query::agrees(bytes);
    let mut out = Vec::new();
    for (transport, most) in [(DnsTransport::Udp, 1_232), (DnsTransport::Tcp, 65_535)] {
        front.answer(bytes, IpAddr::from([192, 0, 2, 1]), transport, &mut out);
        if out.is_empty() {
            // Silence: no header, or a reply.
            assert!(bytes.len() < 12 || bytes[2] & 0x80 != 0, "a query was not answered");
            continue;
        }
        assert!(out.len() <= most, "{} octets", out.len());
        assert_eq!(out[..2], bytes[..2], "another query's ID");
        let Ok(message) = Message::from_slice(&out) else { panic!("no message") };
        assert!(message.header().qr() && !message.header().ra(), "no reply of an authority");
        let mut records = 0;
        for section in [message.answer(), message.authority(), message.additional()] {
            let Ok(section) = section else { panic!("a section cannot be reached") };
            for record in section {
                let Ok(record) = record else { panic!("a record cannot be read") };
                let Ok(Some(_)) = record.to_record::<AllRecordData<_, domain::base::ParsedName<&[u8]>>>()
                else {
                    panic!("data cannot be read");
                };
                records += 1;
            }
        }
        let counts = message.header_counts();
        assert_eq!(records, counts.ancount() + counts.nscount() + counts.arcount(), "a count is wrong");
    }
}
