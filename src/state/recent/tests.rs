//! Tests of the ring: what is read is what was written, and never a mixture.

use proptest::prelude::*;

use super::*;

const MINUTE: u64 = 60_000;

fn entry(at_ms: u64, node: u32) -> Entry {
    Entry {
        at: Moment(at_ms),
        node: NodeIndex(node),
        domain: DomainIndex(3),
        family: Family::V4,
        degree: Degree::UNKNOWN,
        isp: None,
        bucket: Bucket(157),
        kbps: 3_000,
    }
}

#[test]
fn answers_of_the_last_minute_come_back_oldest_first_and_older_ones_do_not() {
    let recent = Recent::default();
    for (at_ms, node) in [(1_000, 1), (40_000, 2), (90_000, 3)] {
        recent.push(&entry(at_ms, node));
    }
    let sample = recent.last(MINUTE, Moment(99_999));
    assert_eq!(sample.entries, [entry(40_000, 2), entry(90_000, 3)]);
    assert_eq!((sample.covers_ms, recent.count()), (MINUTE, 3));
    assert!(recent.last(MINUTE, Moment(1_000_000)).entries.is_empty());
}

#[test]
fn a_full_ring_forgets_the_oldest_and_says_how_long_a_time_it_covers() {
    let recent = Recent::default();
    let pushed = 3 * ENTRIES as u64 + 5;
    (0..pushed).for_each(|i| recent.push(&entry(1_000 + i, u32::try_from(i).unwrap())));
    let sample = recent.last(MINUTE, Moment(1_000 + pushed));
    assert_eq!(sample.entries.len(), ENTRIES);
    assert_eq!(sample.covers_ms, ENTRIES as u64);
    assert_eq!(sample.entries[0].node.0, 2 * u32::try_from(ENTRIES).unwrap() + 5);
}

#[test]
fn a_half_written_answer_is_left_out() {
    let recent = Recent::default();
    recent.push(&entry(1_000, 1));
    let number = recent.count.fetch_add(1, Relaxed);
    recent.slots[place(number)].who.store(entry(1_000, 2).who() | lap(number), Relaxed);
    assert_eq!(recent.last(MINUTE, Moment(1_500)).entries, [entry(1_000, 1)]);
}

#[test]
fn times_survive_the_end_of_their_32_bits() {
    let recent = Recent::default();
    let late = (1 << 32) - 10;
    recent.push(&entry(late, 1));
    recent.push(&entry(late + 20, 2));
    // Written after the reader looked at its clock.
    recent.push(&entry(late + 1_040, 3));
    let read = recent.last(MINUTE, Moment(late + 1_000)).entries;
    assert_eq!(read.iter().map(|entry| entry.at.0).collect::<Vec<_>>(), [late, late + 20, late + 1_000]);
}

#[test]
fn a_new_configuration_takes_over_what_it_still_knows() {
    let (before, after) = (Recent::default(), Recent::default());
    before.push(&entry(1_000, 1));
    before.push(&entry(2_000, 2));
    after.take_over(&before, Moment(3_000), |entry| {
        (entry.node.0 == 2).then_some(Entry { node: NodeIndex(7), ..entry })
    });
    assert_eq!(after.last(MINUTE, Moment(3_000)).entries, [entry(2_000, 7)]);
}

#[test]
fn writers_and_a_reader_at_once_never_make_up_an_answer() {
    let recent = Recent::default();
    std::thread::scope(|scope| {
        for writer in 0..2u32 {
            let recent = &recent;
            scope.spawn(move || {
                for i in 0..40_000u32 {
                    let node = 2 * i + writer;
                    recent.push(&Entry { kbps: node % 1_000, ..entry(1_000, node) });
                }
            });
        }
        for _ in 0..20 {
            for read in recent.last(MINUTE, Moment(1_000)).entries {
                assert_eq!(read.kbps, read.node.0 % 1_000);
            }
        }
    });
}

proptest! {
    #[test]
    fn an_entry_reads_back_as_it_was(
        at in 0..u64::from(u32::MAX), age in 0..1_000_000u64, node in 0..1u32 << NODE_BITS, domain: u16,
        family in 0..3usize, degree: u16, isp in 0..=65u8, bucket: u8, kbps in 0..1u32 << KBPS_BITS,
    ) {
        let written = Entry {
            at: Moment(at),
            node: NodeIndex(node),
            domain: DomainIndex(domain),
            family: [Family::Both, Family::V4, Family::V6][family],
            degree: Degree::from_bits(degree),
            isp: isp.checked_sub(1).map(IspId),
            bucket: Bucket(bucket),
            kbps,
        };
        prop_assert_eq!(Entry::read(written.who(), written.what(), Moment(at + age)), written);
    }
}
