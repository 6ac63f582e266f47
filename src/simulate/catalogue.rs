//! All scenarios: the rows of the specification's table of figures, and what its critics asked for beyond it.

use super::scenario::Latency::{Fixed, Jitter};
use super::scenario::Trouble::{
    Capacity, CountersReset, Flapping, Frozen, LargestPopDies, Restart, ShowEnds, Silent, StopsScraping,
};
use super::scenario::{ByDns, Fault, Flash, Polls, Reach, Scenario, SharedUplinks, Trouble};

const FLASH_A: Flash = Flash { at_s: 300.0, viewers: 100_000, over_s: 60.0, region: "China", mbps: 3.0 };
const FLASH_B: Flash = Flash { at_s: 840.0, viewers: 60_000, over_s: 60.0, region: "Americas", mbps: 3.0 };
/// The same traffic by fewer viewers of a stream that nobody has told the bitrate of.
const HEAVY_A: Flash = Flash { viewers: 37_500, mbps: 8.0, ..FLASH_A };
const HEAVY_B: Flash = Flash { viewers: 22_500, mbps: 8.0, ..FLASH_B };
const HOUR_S: f64 = 3_600.0;

/// 300 edges, 4 replicas, scrapes each 10 s, two flashes.
const BASE: Scenario = Scenario {
    name: "base",
    says: "two flashes on a fleet at 42 %: 100,000 in China, then 60,000 in the Americas, one minute each",
    edges: 300,
    replicas: 4,
    skew: 0.0,
    interval_s: 10.0,
    latency: Fixed(1.0),
    util: 0.42,
    duration_s: 1_500.0,
    warmup_s: 60.0,
    day: false,
    flashes: &[FLASH_A, FLASH_B],
    stays: false,
    bitrate_known: true,
    retries: 0,
    polls: None,
    dns: None,
    without_counter: 0.0,
    geo_error: 0.0,
    past: 0.0,
    clock_skew_s: 0.0,
    understated: None,
    uplinks: None,
    faults: &[],
    reach: TWO,
    naive: None,
};

const TWO: Reach = Reach::minutes(2.0, 0.0, 0.0);
const NEVER: Reach = Reach::minutes(0.0, 0.0, 0.0);
const POLLS: Polls = Polls { share: 0.2, every_s: 30.0, with_current: true };
/// TTL 10, all viewers.
const BY_DNS: ByDns = ByDns { share: 1.0, ttl_s: 10, kept_s: 0.0 };
const UPLINKS: SharedUplinks = SharedUplinks { share: 0.2, factor: 0.5, told: false };
const JITTER: super::scenario::Latency = Jitter(0.2, 3.0);

const fn at(at_s: f64, what: Trouble) -> Fault {
    Fault { at_s, what }
}

/// All of them, in the order of the table.
pub(super) const ALL: &[Scenario] = &[
    Scenario {
        // The first model counted 24.2 % of back-to-source traffic in a world whose flash viewers stay; the second,
        // whose holds and pulls are those of this one, 31.1 %.
        reach: Reach { peak: Some(0.85), km: Some(475.0), back_to_source: Some(31.1), ..TWO },
        naive: Some((2_270.0, 118.0)),
        ..BASE
    },
    Scenario {
        name: "r1",
        says: "base with one replica",
        replicas: 1,
        reach: Reach::minutes(1.0, 0.0, 0.0),
        naive: Some((2_312.0, 152.0)),
        ..BASE
    },
    Scenario {
        name: "r10",
        says: "base with ten replicas",
        replicas: 10,
        reach: Reach::minutes(8.0, 0.0, 0.0),
        naive: Some((2_259.0, 117.0)),
        ..BASE
    },
    Scenario {
        name: "t5",
        says: "base, scraped each 5 s",
        interval_s: 5.0,
        naive: Some((1_952.0, 78.0)),
        ..BASE
    },
    Scenario {
        name: "t15",
        says: "base, scraped each 15 s",
        interval_s: 15.0,
        naive: Some((2_573.0, 154.0)),
        ..BASE
    },
    Scenario {
        name: "t30",
        says: "base, scraped each 30 s",
        interval_s: 30.0,
        naive: Some((2_723.0, 239.0)),
        ..BASE
    },
    Scenario {
        name: "flash15",
        says: "both flashes come within 15 s",
        flashes: &[Flash { over_s: 15.0, ..FLASH_A }, Flash { over_s: 15.0, ..FLASH_B }],
        reach: Reach { peak: Some(0.85), ..TWO },
        naive: Some((2_449.0, 170.0)),
        ..BASE
    },
    Scenario {
        name: "flash300k",
        says: "300,000 come within 15 s to a fleet at 25 %; ten replicas",
        replicas: 10,
        util: 0.25,
        flashes: &[Flash { viewers: 300_000, over_s: 15.0, ..FLASH_A }, FLASH_B],
        reach: Reach::minutes(3.0, 0.0, 0.0),
        ..BASE
    },
    Scenario {
        name: "edges1000",
        says: "1,000 edges, a million viewers, flashes of 330,000 and 200,000",
        edges: 1_000,
        flashes: &[Flash { viewers: 330_000, ..FLASH_A }, Flash { viewers: 200_000, ..FLASH_B }],
        reach: Reach::minutes(1.0, 0.0, 0.0),
        naive: Some((8_343.0, 676.0)),
        ..BASE
    },
    Scenario {
        name: "diurnal",
        says: "24 hours on 100 edges, flashes at 20:00 and 21:00",
        edges: 100,
        duration_s: 24.0 * HOUR_S,
        day: true,
        flashes: &[
            Flash { at_s: 20.0 * HOUR_S, viewers: 33_000, ..FLASH_A },
            Flash { at_s: 21.0 * HOUR_S, viewers: 20_000, ..FLASH_B },
        ],
        reach: Reach::minutes(15.0, 0.0, 0.0),
        naive: Some((24_012.0, 32.0)),
        ..BASE
    },
    Scenario {
        name: "jitter-t5",
        says: "a page takes .2 to 3 s and is filled anywhere in it; scraped each 5 s",
        interval_s: 5.0,
        latency: JITTER,
        ..BASE
    },
    Scenario {
        name: "jitter-t10",
        says: "a page takes .2 to 3 s and is filled anywhere in it",
        latency: JITTER,
        naive: Some((2_868.0, 99.0)),
        ..BASE
    },
    Scenario {
        name: "pollers",
        says: "one player in five asks each 30 s, saying where it is",
        polls: Some(POLLS),
        naive: Some((2_200.0, 76.0)),
        ..BASE
    },
    Scenario {
        name: "half-counters",
        says: "half of the edges show no client counter",
        without_counter: 0.5,
        ..BASE
    },
    Scenario {
        name: "unknown-bitrate",
        says: "nobody tells bitrates, and the flash streams are of 8 Mbit/s",
        bitrate_known: false,
        flashes: &[HEAVY_A, HEAVY_B],
        ..BASE
    },
    Scenario {
        name: "combined",
        says: "jitter, pollers, half without counter, unknown 8 Mbit/s, three retries and a PoP that dies, at once",
        latency: JITTER,
        polls: Some(POLLS),
        without_counter: 0.5,
        bitrate_known: false,
        flashes: &[HEAVY_A, HEAVY_B],
        retries: 3,
        faults: &[at(700.0, LargestPopDies("China"))],
        reach: Reach { peak: Some(0.85), km: Some(520.0), ..TWO },
        naive: Some((3_016.0, 134.0)),
        ..BASE
    },
    Scenario {
        name: "restart-one",
        says: "one replica of four restarts in the middle of each flash",
        faults: &[at(330.0, Restart(0)), at(870.0, Restart(1))],
        reach: NEVER,
        ..BASE
    },
    Scenario {
        name: "restart-rolling",
        says: "all four replicas restart during the flash, 40 s apart",
        faults: &[at(300.0, Restart(0)), at(340.0, Restart(1)), at(380.0, Restart(2)), at(420.0, Restart(3))],
        reach: NEVER,
        ..BASE
    },
    Scenario {
        name: "pop-death",
        says: "the largest Chinese PoP dies on a quiet evening",
        faults: &[at(700.0, LargestPopDies("China"))],
        reach: Reach { wasted: Some(50.0), ..Reach::NONE },
        naive: Some((2_433.0, 141.0)),
        ..BASE
    },
    Scenario {
        name: "pop-death-flash",
        says: "the largest Chinese PoP dies 20 s into the flash",
        faults: &[at(320.0, LargestPopDies("China"))],
        reach: Reach { wasted: Some(600.0), ..Reach::NONE },
        ..BASE
    },
    Scenario {
        name: "capacity-half",
        says: "10 % of the edges can deliver only half of what is configured",
        faults: &[at(0.0, Capacity(0.1, 0.5))],
        reach: Reach {
            over_80: Some(260.0),
            over_100: Some(30.0),
            bad: Some(0.35),
            churn: Some(4_000.0),
            ..Reach::NONE
        },
        naive: Some((2_236.0, 411.0)),
        ..BASE
    },
    Scenario {
        name: "capacity-70",
        says: "30 % of the edges can deliver only .7 of what is configured",
        faults: &[at(0.0, Capacity(0.3, 0.7))],
        reach: Reach { over_100: Some(60.0), ..Reach::NONE },
        ..BASE
    },
    Scenario {
        name: "capacity-drop",
        says: "the capacity of 10 % of the edges halves in service",
        faults: &[at(600.0, Capacity(0.1, 0.5))],
        reach: Reach { over_100: Some(45.0), ..Reach::NONE },
        naive: Some((376.0, 297.0)),
        ..BASE
    },
    Scenario {
        name: "silent",
        says: "10 % of the exporters answer no more",
        faults: &[at(200.0, Silent(0.1))],
        reach: NEVER,
        naive: Some((2_080.0, 301.0)),
        ..BASE
    },
    Scenario {
        name: "geo-error",
        says: "GeoIP places one viewer in twenty in another city",
        geo_error: 0.05,
        reach: NEVER,
        naive: Some((2_258.0, 115.0)),
        ..BASE
    },
    Scenario {
        name: "clock-skew",
        says: "exporter clocks are off by up to a minute either way",
        clock_skew_s: 60.0,
        reach: NEVER,
        ..BASE
    },
    Scenario {
        name: "show-ends",
        says: "a show of 100,000 ends within half a minute and the next one begins",
        flashes: &[FLASH_A, Flash { at_s: 620.0, ..FLASH_A }],
        faults: &[at(600.0, ShowEnds(0, 0.1, 30.0))],
        reach: Reach::minutes(1.0, 0.0, 0.0),
        ..BASE
    },
    Scenario {
        name: "stays",
        says: "base with flash viewers who stay for the show: 85 % of them for 25 minutes in the middle",
        stays: true,
        naive: Some((2_270.0, 118.0)),
        ..BASE
    },
    Scenario {
        name: "skew",
        says: "one replica of four gets 70 % of the questions",
        skew: 0.7,
        reach: Reach::minutes(1.0, 0.0, 0.0),
        naive: Some((2_419.0, 129.0)),
        ..BASE
    },
    Scenario {
        name: "frozen",
        says: "10 % of the exporters show the same page for ever",
        faults: &[at(200.0, Frozen(0.1))],
        reach: Reach::NONE,
        ..BASE
    },
    Scenario {
        name: "counter-resets",
        says: "counters of 10 % of the edges begin anew, four times",
        faults: &[
            at(200.0, CountersReset(0.1)),
            at(330.0, CountersReset(0.1)),
            at(870.0, CountersReset(0.1)),
            at(1_100.0, CountersReset(0.1)),
        ],
        reach: Reach::NONE,
        ..BASE
    },
    Scenario {
        name: "flapping",
        says: "5 % of the edges go down and come back, 20 s each, for ever",
        faults: &[at(200.0, Flapping(0.05, 20.0))],
        reach: Reach::NONE,
        ..BASE
    },
    Scenario {
        name: "capacity-low",
        says: "10 % of the edges are configured at half of what they can deliver",
        understated: Some((0.1, 0.5)),
        reach: Reach::NONE,
        ..BASE
    },
    Scenario {
        name: "uplink",
        says: "20 % of the PoPs share an uplink of half their edges' capacity, and nobody is told",
        uplinks: Some(UPLINKS),
        reach: Reach::NONE,
        ..BASE
    },
    Scenario {
        name: "uplink-told",
        says: "20 % of the PoPs share an uplink of half their edges' capacity, and it is configured",
        uplinks: Some(SharedUplinks { told: true, ..UPLINKS }),
        ..BASE
    },
    Scenario {
        name: "past",
        says: "30 % of the viewers arrive past the scheduler, at the edge nearest to them",
        past: 0.3,
        reach: Reach::NONE,
        naive: Some((2_414.0, 336.0)),
        ..BASE
    },
    Scenario {
        name: "blind-replica",
        says: "one replica of four stops scraping and goes on answering until it is found unready",
        faults: &[at(200.0, StopsScraping(0))],
        reach: Reach::NONE,
        naive: Some((2_416.0, 338.0)),
        ..BASE
    },
    Scenario {
        name: "dns-ttl10",
        says: "everybody asks by DNS, through 328 resolvers that keep answers for up to 10 s",
        dns: Some(BY_DNS),
        reach: Reach { over_80: Some(60.0), over_100: Some(1.5), ..Reach::NONE },
        naive: Some((2_716.0, 171.0)),
        ..BASE
    },
    Scenario {
        name: "dns-ttl60",
        says: "the same with lifetimes of up to a minute",
        dns: Some(ByDns { ttl_s: 60, ..BY_DNS }),
        reach: Reach { over_80: Some(285.0), over_100: Some(9.5), ..Reach::NONE },
        naive: Some((2_778.0, 358.0)),
        ..BASE
    },
    Scenario {
        name: "dns-clamp",
        says: "dns-ttl10 through resolvers that keep every answer for at least 5 s",
        dns: Some(ByDns { kept_s: 5.0, ..BY_DNS }),
        reach: Reach { over_80: Some(60.0), over_100: Some(1.5), ..Reach::NONE },
        ..BASE
    },
    Scenario {
        name: "dns-half",
        says: "half of the viewers ask by DNS, the others by HTTP",
        dns: Some(ByDns { share: 0.5, ..BY_DNS }),
        reach: Reach { over_80: Some(60.0), over_100: Some(1.5), ..Reach::NONE },
        ..BASE
    },
];

/// The scenario of this name.
pub(super) fn named(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_find_their_scenario() {
        for (i, scenario) in ALL.iter().enumerate() {
            assert_eq!(named(scenario.name).map(|found| found.says), Some(scenario.says));
            assert!(ALL[..i].iter().all(|other| other.name != scenario.name), "{} twice", scenario.name);
            assert!(!scenario.says.is_empty() && scenario.warmup_s < scenario.duration_s);
        }
        assert!(named("no-such").is_none());
    }

    #[test]
    fn faults_name_replicas_and_flashes_that_are_there() {
        for scenario in ALL {
            for fault in scenario.faults {
                match fault.what {
                    Restart(replica) | StopsScraping(replica) => assert!(replica < scenario.replicas),
                    ShowEnds(flash, ..) => assert!(flash < scenario.flashes.len()),
                    _ => {}
                }
            }
        }
    }
}
