use super::*;

fn limits(requests_per_second: u32, burst: u32) -> Limits {
    Limits { requests_per_second, burst, ..Limits::default() }
}

fn key(text: &str) -> ClientKey {
    ClientKey::of(text.parse().unwrap())
}

/// How many of `tries` requests at this moment pass.
fn passed(limiter: &Limiter, client: ClientKey, at_ms: u64, tries: usize) -> usize {
    (0..tries).filter(|_| limiter.take(client, Moment(at_ms)).is_ok()).count()
}

#[test]
fn a_bucket_gives_its_burst_and_then_its_rate() {
    let limiter = Limiter::new(&limits(10, 5));
    let client = key("198.51.100.1");
    assert_eq!(passed(&limiter, client, 1_000, 20), 5);
    assert_eq!(passed(&limiter, client, 1_099, 20), 0);
    assert_eq!(passed(&limiter, client, 1_100, 20), 1);
    assert_eq!(passed(&limiter, client, 1_400, 20), 3);
    // Full again, and not fuller.
    assert_eq!(passed(&limiter, client, 60_000, 20), 5);
    assert_eq!(passed(&limiter, key("198.51.100.2"), 1_000, 20), 5);
}

#[test]
fn a_household_is_one_client_and_its_neighbour_another() {
    let limiter = Limiter::new(&limits(10, 5));
    assert_eq!(passed(&limiter, key("2001:db8:0:1::1"), 0, 9), 5);
    assert_eq!(passed(&limiter, key("2001:db8:0:ff::2"), 0, 9), 0);
    assert_eq!(passed(&limiter, key("2001:db8:0:100::1"), 0, 9), 5);
    assert_eq!(passed(&limiter, key("198.51.100.1"), 0, 9), 5);
    assert_eq!(passed(&limiter, key("::ffff:198.51.100.1"), 0, 9), 0);
}

#[test]
fn who_is_refused_is_told_when_to_come_back_and_may_then() {
    let limiter = Limiter::new(&limits(1, 3));
    let client = key("198.51.100.1");
    assert_eq!(passed(&limiter, client, 1_000, 9), 3);
    let exhausted = limiter.take(client, Moment(1_200)).unwrap_err();
    assert_eq!(exhausted, Exhausted { retry_after_s: 1, rate: 1, burst: 3 });
    let headers = exhausted.headers().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
    assert_eq!(headers, ["ratelimit-policy: \"client\";q=3;w=3", "ratelimit: \"client\";r=0;t=1"]);
    assert_eq!(passed(&limiter, client, 2_200, 9), 1);
}

#[test]
fn other_limits_count_at_once_and_zero_is_none() {
    let limiter = Limiter::new(&limits(10, 2));
    let client = key("198.51.100.1");
    assert_eq!(passed(&limiter, client, 0, 9), 2);
    limiter.limit(&limits(0, 2));
    assert_eq!(passed(&limiter, client, 0, 9), 9);
    limiter.limit(&limits(100_000, 100_000));
    assert_eq!(passed(&limiter, key("198.51.100.2"), 0, 100_001), 100_000);
}

#[test]
fn time_may_wrap() {
    let limiter = Limiter::new(&limits(10, 5));
    let client = key("198.51.100.1");
    let wrap_ms = (1_u64 << 32) / TICKS_PER_MS;
    assert_eq!(passed(&limiter, client, wrap_ms - 100, 9), 5);
    assert_eq!(passed(&limiter, client, wrap_ms, 9), 1);
    assert_eq!(passed(&limiter, client, wrap_ms + 5_000, 9), 5);
}

/// Whoever floods keeps its empty bucket however many others come by once.
#[test]
fn a_flood_of_addresses_neither_grows_the_table_nor_frees_the_flooder() {
    let limiter = Limiter::new(&limits(10, 100));
    let flooder = key("203.0.113.9");
    assert_eq!(passed(&limiter, flooder, 1_000, 200), 100);
    let mut passed_others = 0;
    for one in 0..1_000_000_u32 {
        let client = ClientKey::of(std::net::Ipv4Addr::from(0x0a00_0000 | one).into());
        passed_others += passed(&limiter, client, 1_000, 1);
    }
    assert_eq!(passed_others, 1_000_000);
    assert_eq!(passed(&limiter, flooder, 1_000, 200), 0);
    assert_eq!(size_of_val(&*limiter.sets), 512 * 1024);
}

/// Several workers take from one bucket at once: never more than there is, but for the tries that are given up.
#[test]
fn workers_share_a_bucket() {
    let limiter = Limiter::new(&limits(10, 10_000));
    let client = key("198.51.100.1");
    let passed: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| passed(&limiter, client, 0, 10_000))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert!((10_000..=10_500).contains(&passed), "{passed}");
}
