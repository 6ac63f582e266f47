//! What proves that there is nothing: one NSEC record, made for the question (RFC 9824, compact denial of existence).
//!
//! The record says "between this very name and the next possible one there is nothing, and here are these types". For a
//! name that does not exist the types are RRSIG, NSEC and the sentinel NXNAME. So one signature denies, where the classic
//! form takes three, and nobody can walk the zone from name to name. The price: who asks for signatures is told NOERROR
//! for names that do not exist, unless it says that it understands this (the flag CO).

use domain::base::iana::Rtype;
use domain::rdata::dnssec::RtypeBitmapBuilder;

/// Longest name, octets (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 255;
/// Longest label.
const LONGEST_LABEL: usize = 63;

/// RDATA of the NSEC of a name that has these types, beside those of DNSSEC itself; `None`: it does not exist.
pub(super) fn nsec(name: &[u8], apex: &[u8], kinds: Option<impl Iterator<Item = u16>>) -> Vec<u8> {
    let mut data = successor(name, apex);
    let mut types = RtypeBitmapBuilder::new_vec();
    let own = [Rtype::RRSIG, Rtype::NSEC].into_iter().chain(kinds.is_none().then_some(Rtype::NXNAME));
    for kind in kinds.into_iter().flatten().map(Rtype::from_int).chain(own) {
        // Into a vector, which takes everything.
        let _ = types.add(kind);
    }
    data.extend_from_slice(types.finalize().as_slice());
    data
}

/// The next possible name of the zone in canonical order (RFC 4034 §6.1, RFC 4471 §3.1): the smallest label below this
/// one; where the name is too long for that, the smallest label after its first.
fn successor(name: &[u8], apex: &[u8]) -> Vec<u8> {
    if name.len() + 2 <= LONGEST_NAME {
        return [&[1, 0], name].concat();
    }
    let mut above = name;
    while above.len() > apex.len() {
        let Some((label, rest)) =
            above.split_first().and_then(|(length, rest)| rest.split_at_checked(usize::from(*length)))
        else {
            break;
        };
        if above.len() < LONGEST_NAME && label.len() < LONGEST_LABEL {
            return labelled(&[label, &[0]].concat(), rest);
        }
        let raisable = label.iter().enumerate().rfind(|(_, octet)| **octet != u8::MAX);
        if let Some((at, octet)) = raisable {
            // Capitals are sorted as if they were small.
            let raised = if *octet == b'@' { b'[' } else { octet.saturating_add(1) };
            let kept = label.get(..at).unwrap_or_default();
            return labelled(&[kept, &[raised]].concat(), rest);
        }
        above = rest;
    }
    apex.to_vec()
}

fn labelled(label: &[u8], rest: &[u8]) -> Vec<u8> {
    let length = u8::try_from(label.len()).unwrap_or(u8::MAX);
    [&[length], label, rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(labels: &[&[u8]]) -> Vec<u8> {
        labels.iter().flat_map(|label| labelled(label, &[])).chain([0]).collect()
    }

    #[test]
    fn the_successor_is_the_smallest_name_below() {
        assert_eq!(
            successor(&name(&[b"a", b"example"]), &name(&[b"example"])),
            name(&[b"\0", b"a", b"example"])
        );
    }

    #[test]
    fn the_longest_names_have_a_successor_in_the_zone() {
        let apex = name(&[b"example"]);
        let long = [b'b'; 63];
        // 9 of the apex, 3 × 64, and 54 more: the longest there is.
        let mut labels: Vec<&[u8]> = vec![&long[..53], &long, &long, &long, b"example"];
        let longest = name(&labels);
        assert_eq!(longest.len(), LONGEST_NAME);
        let next = [&long[..52], b"c"].concat();
        labels[0] = &next;
        assert_eq!(successor(&longest, &apex), name(&labels));
        // One octet shorter: there is room for one more.
        labels[0] = &long[..52];
        let next = [&long[..52], b"\0"].concat();
        let shorter = name(&labels);
        labels[0] = &next;
        assert_eq!(successor(&shorter, &apex), name(&labels));
        // Nothing comes after a label of the largest octets: it is for the next label to grow.
        let largest = [u8::MAX; 53];
        labels[0] = &largest;
        let before = name(&labels);
        let grown = [&long[..62], b"c"].concat();
        assert_eq!(successor(&before, &apex), name(&[&grown, &long, &long, b"example"]));
    }

    #[test]
    fn types_stand_in_windows_and_in_order() {
        let data = nsec(&name(&[b"a"]), &[0], Some([257, 1, 16].into_iter()));
        // A, TXT, RRSIG and NSEC in the first window, CAA in the second.
        assert_eq!(data[5..], [0, 6, 0x40, 0, 0x80, 0, 0, 3, 1, 1, 0x40]);
        let none: Option<std::iter::Empty<u16>> = None;
        let data = nsec(&name(&[b"a"]), &[0], none);
        assert_eq!(data[5..], [0, 17, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80]);
    }
}
