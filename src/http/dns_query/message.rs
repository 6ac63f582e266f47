//! How long a reply may be kept.

use domain::base::Message;
use domain::base::ParsedName;
use domain::base::iana::OptRcode;
use domain::rdata::Soa;

/// The lifetime of a reply, s (RFC 8484 §5.1): that of its shortest answer; where it has none, what the SOA beside it
/// allows (RFC 2308 §5). `None`: it is not to be kept.
pub(super) fn lifetime_s(reply: &[u8]) -> Option<u32> {
    let message = Message::from_slice(reply).ok()?;
    if !matches!(message.opt_rcode(), OptRcode::NOERROR | OptRcode::NXDOMAIN) || message.header().tc() {
        return None;
    }
    let answers = message.answer().ok()?.map(|record| Some(record.ok()?.ttl().as_secs()));
    if let Some(shortest) = answers.collect::<Option<Vec<u32>>>()?.into_iter().min() {
        return Some(shortest);
    }
    let soa = message.authority().ok()?.limit_to::<Soa<ParsedName<_>>>().next()?.ok()?;
    Some(soa.ttl().as_secs().min(soa.data().minimum().as_secs()))
}

#[cfg(test)]
mod tests {
    use domain::base::iana::Rcode;
    use domain::base::{MessageBuilder, Name, Serial, Ttl};
    use domain::rdata::A;

    use super::*;

    fn reply(rcode: Rcode, ttls: &[u32], soa: Option<(u32, u32)>) -> Vec<u8> {
        let name: Name<Vec<u8>> = "live.example.com".parse().unwrap();
        let mut builder = MessageBuilder::new_vec().answer();
        builder.header_mut().set_rcode(rcode);
        for ttl in ttls {
            builder.push((name.clone(), *ttl, A::from_octets(192, 0, 2, 1))).unwrap();
        }
        let mut builder = builder.authority();
        if let Some((ttl, minimum)) = soa {
            let [refresh, retry, expire, minimum] = [1, 1, 1, minimum].map(Ttl::from_secs);
            let soa = Soa::new(name.clone(), name.clone(), Serial(1), refresh, retry, expire, minimum);
            builder.push((name, ttl, soa)).unwrap();
        }
        builder.finish()
    }

    #[test]
    fn the_shortest_record_counts_and_failures_are_not_kept() {
        for (rcode, ttls, soa, expected) in [
            (Rcode::NOERROR, &[30, 5, 60][..], None, Some(5)),
            (Rcode::NOERROR, &[0, 5], None, Some(0)),
            (Rcode::NOERROR, &[30], Some((1, 1)), Some(30)),
            (Rcode::NOERROR, &[], Some((45, 30)), Some(30)),
            (Rcode::NXDOMAIN, &[], Some((20, 30)), Some(20)),
            (Rcode::NOERROR, &[], None, None),
            (Rcode::SERVFAIL, &[], Some((45, 30)), None),
            (Rcode::REFUSED, &[30], None, None),
        ] {
            assert_eq!(lifetime_s(&reply(rcode, ttls, soa)), expected, "{rcode} {ttls:?} {soa:?}");
        }
        assert_eq!(lifetime_s(b"short"), None);
    }
}
