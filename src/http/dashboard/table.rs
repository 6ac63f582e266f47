//! The table of nodes: what a query asks for, and the rows of one page of it.

use std::cmp::Ordering;

use super::bars::{self, Lane};
use super::numbers::{age, decimals, rate, rate_parts, whole};
use super::sentences;
use super::shell::encoded;
use super::words::Words;
use crate::http::query::Params;
use crate::resolver::{Board, Member, Roster, Row, SHOWN};

/// Rows of a page.
pub(super) const PAGE_ROWS: usize = 200;
/// Longest filter value, characters.
const LONGEST: usize = 64;

/// Columns that can be sorted by: key, words, whether they hold numbers.
pub(super) const COLUMNS: [(&str, &str, bool); 10] = [
    ("id", "h_id", false),
    ("state", "h_state", false),
    ("press", "h_press", false),
    ("head", "h_head", true),
    ("clients", "h_clients", true),
    ("egress", "h_egress", true),
    ("booked", "h_booked", true),
    ("answers", "h_answers", true),
    ("age", "h_age", true),
    ("why", "h_why", false),
];

/// What a query asks to see. A value that means nothing is passed over: a page is for people.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::http) struct View {
    pub(super) pool: String,
    pub(super) pop: String,
    pub(super) state: String,
    pub(super) q: String,
    pub(super) sort: String,
    pub(super) page: usize,
    pub(super) event: String,
    pub(super) region: String,
}

/// A row, in words.
pub(super) struct Shown<'a> {
    pub(super) id: &'a str,
    pub(super) href: String,
    pub(super) pop: &'a str,
    pub(super) pool: &'a str,
    pub(super) state: &'static str,
    pub(super) word: &'static str,
    pub(super) lanes: [Lane; 3],
    pub(super) pressure: String,
    pub(super) tone: &'static str,
    pub(super) tightest: String,
    pub(super) headroom: String,
    pub(super) clients: String,
    pub(super) egress: String,
    pub(super) limit: String,
    pub(super) booked: String,
    pub(super) booked_unit: &'static str,
    pub(super) answers: String,
    pub(super) age: String,
    pub(super) why: String,
}

// === impl View ===

impl View {
    pub(in crate::http) fn read(query: Option<&str>) -> Self {
        let mut params =
            Params::scan(query, &["pool", "pop", "state", "q", "sort", "page", "event", "region"]);
        let mut text =
            |name| params.text(name, 1..=LONGEST).map(std::borrow::Cow::into_owned).unwrap_or_default();
        let (pool, pop, state, q) = (text("pool"), text("pop"), text("state"), text("q"));
        let (sort, page, event, region) = (text("sort"), text("page"), text("event"), text("region"));
        let page = page.parse().ok().filter(|page| (1..=1_000_000).contains(page)).unwrap_or(1);
        Self { pool, pop, state, q, sort, page, event, region }
    }

    /// The query of this view with one value changed.
    pub(super) fn href(&self, name: &str, value: &str) -> String {
        let page = self.page.to_string();
        let own = [
            ("pool", &*self.pool),
            ("pop", &*self.pop),
            ("state", &*self.state),
            ("q", &*self.q),
            ("sort", &*self.sort),
            ("event", &*self.event),
            ("region", &*self.region),
            ("page", if name == "page" { &page } else { "" }),
        ];
        let pairs = own.map(|(known, own)| (known, if known == name { value } else { own }));
        let set = pairs.iter().filter(|(_, value)| !value.is_empty());
        let query: Vec<String> = set.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        if query.is_empty() { "/nodes".to_owned() } else { format!("/nodes?{}", query.join("&")) }
    }

    /// Where a click on the head of a column leads: to its order, and then to the reverse of it.
    pub(super) fn sort_href(&self, key: &str) -> String {
        let (by, reversed) = self.order();
        let next = match (by == key, reversed, key) {
            (true, false, key) => format!("{key}-desc"),
            (_, _, "state") => String::new(),
            (_, _, key) => key.to_owned(),
        };
        self.href("sort", &next)
    }

    /// `aria-sort` of a column.
    pub(super) fn sorted(&self, key: &str) -> &'static str {
        let (by, reversed) = self.order();
        match (by == key, matches!(key, "id" | "head") != reversed) {
            (false, _) => "",
            (true, true) => "ascending",
            (true, false) => "descending",
        }
    }

    pub(super) fn is_filtered(&self) -> bool {
        !(self.pool.is_empty() && self.pop.is_empty() && self.state.is_empty() && self.q.is_empty())
    }

    fn order(&self) -> (&str, bool) {
        let (key, reversed) = self.sort.strip_suffix("-desc").map_or((&*self.sort, false), |key| (key, true));
        let known = COLUMNS.iter().any(|(column, ..)| *column == key && key != "why");
        if known { (key, reversed) } else { ("state", reversed) }
    }

    /// The nodes that pass, in order.
    pub(super) fn select(&self, roster: &Roster, board: &Board) -> Vec<usize> {
        let q = self.q.to_lowercase();
        let passes = |member: &Member, row: &Row| {
            let (pool, pop) = (&*roster.pools[member.pool], &*roster.pops[member.pop].id);
            (self.pool.is_empty() || *self.pool == *pool)
                && (self.pop.is_empty() || *self.pop == *pop)
                && (self.state.is_empty() || *self.state == *row.state)
                && (q.is_empty()
                    || member.address.starts_with(&q)
                    || [&*member.id, pool, pop].iter().any(|text| text.to_lowercase().contains(&q)))
        };
        let pairs = roster.nodes.iter().zip(&board.rows).enumerate();
        let mut rows: Vec<usize> =
            pairs.filter(|(_, (member, row))| passes(member, row)).map(|(at, _)| at).collect();
        let (by, reversed) = self.order();
        rows.sort_by(|a, b| {
            let order =
                compare(by, (&roster.nodes[*a], &board.rows[*a]), (&roster.nodes[*b], &board.rows[*b]));
            if reversed { order.reverse() } else { order }
        });
        rows
    }
}

/// What needs attention first; of numbers the largest, of headroom the smallest.
fn compare(by: &str, (member_a, a): (&Member, &Row), (member_b, b): (&Member, &Row)) -> Ordering {
    let pressure = |row: &Row| row.pressure.unwrap_or(-1.0);
    let down = |x: f32, y: f32| y.total_cmp(&x);
    let order = match by {
        "press" => down(pressure(a), pressure(b)),
        "head" => a.headroom.cmp(&b.headroom),
        "clients" => down(a.clients, b.clients),
        "egress" => down(a.egress_mbps, b.egress_mbps),
        "booked" => down(a.booked_mbps, b.booked_mbps),
        "answers" => down(a.answers_per_s, b.answers_per_s),
        "age" => down(a.age_s.unwrap_or(f32::MAX), b.age_s.unwrap_or(f32::MAX)),
        "state" => need(a).cmp(&need(b)).then(down(pressure(a), pressure(b))),
        _ => Ordering::Equal,
    };
    order.then_with(|| natural(&member_a.id, &member_b.id))
}

/// How much a row needs attention; 0 most. A plateau is worth a look like a near limit.
fn need(row: &Row) -> usize {
    let is_capped = row.why.as_ref().is_some_and(|why| why.code() == "capped");
    let state = if is_capped { crate::resolver::NEAR } else { row.state };
    SHOWN.iter().position(|shown| *shown == state).unwrap_or(SHOWN.len())
}

/// `sh-2` before `sh-10`.
fn natural(a: &str, b: &str) -> Ordering {
    let split = |text: &str| {
        let digits = text.len() - text.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (name, number) = text.split_at(text.len() - digits);
        (name.to_owned(), number.parse::<u64>().unwrap_or(0))
    };
    split(a).cmp(&split(b)).then_with(|| a.cmp(b))
}

/// A node's row in words.
pub(super) fn shown<'a>(words: &'static Words, roster: &'a Roster, board: &Board, at: usize) -> Shown<'a> {
    let (member, row) = (&roster.nodes[at], &board.rows[at]);
    let (booked, booked_unit) = rate_parts(f64::from(row.booked_mbps));
    Shown {
        id: &member.id,
        href: format!("/nodes/{}", encoded(&member.id)),
        pop: &roster.pops[member.pop].id,
        pool: &roster.pools[member.pool],
        state: row.state,
        word: state_word(words, row.state),
        lanes: bars::lanes(row, 1.0),
        pressure: row.pressure.map_or("–".to_owned(), |x| decimals(f64::from(x), 2)),
        tone: bars::tone(row.pressure),
        tightest: match row.pressure {
            Some(_) => words.t(&format!("r_{}", row.tightest)).to_owned(),
            None => String::new(),
        },
        headroom: whole(f64::from(row.headroom)),
        clients: whole(f64::from(row.clients)),
        egress: rate(f64::from(row.egress_mbps)),
        limit: rate(f64::from(row.limit_mbps)),
        booked,
        booked_unit,
        answers: decimals(f64::from(row.answers_per_s), 1),
        age: row.age_s.map_or("–".to_owned(), |age_s| age(f64::from(age_s))),
        why: row.why.as_ref().map(|why| sentences::cause(words, why, board.at_unix_ms)).unwrap_or_default(),
    }
}

/// The word of a state.
pub(super) fn state_word(words: &'static Words, state: &'static str) -> &'static str {
    let key = SHOWN.iter().zip(STATE_KEYS).find_map(|(shown, key)| (*shown == state).then_some(key));
    words.t(key.unwrap_or("st_healthy"))
}

/// The keys of the words of [`SHOWN`].
const STATE_KEYS: [&str; SHOWN.len()] = [
    "st_overloaded",
    "st_down",
    "st_stale",
    "st_near",
    "st_starting",
    "st_draining",
    "st_unmeasured",
    "st_healthy",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::Resolver;

    fn ids(query: &str) -> Vec<String> {
        let resolver = Resolver::for_tests_measured();
        let (roster, board) = (resolver.roster(), resolver.board());
        let rows = View::read(Some(query)).select(&roster, &board);
        rows.into_iter().map(|at| roster.nodes[at].id.to_string()).collect()
    }

    #[test]
    fn what_needs_attention_comes_first_and_filters_are_by_row() {
        let all = ids("");
        assert_eq!(all.len(), 7);
        assert!(all.iter().position(|id| id == "bj-1") < all.iter().position(|id| id == "sh-1"), "{all:?}");
        assert_eq!(ids("q=SH-"), ["sh-2", "sh-1"]);
        assert_eq!(ids("state=down"), ["bj-1"]);
        assert_eq!(ids("pool=spare&pop=shanghai"), ["spare-1"]);
        assert_eq!(ids("q=203.0.113.2"), ["bj-1"]);
        assert!(ids("q=nobody").is_empty());
        let mut reversed = ids("sort=id-desc");
        reversed.reverse();
        assert_eq!(reversed, ids("sort=id"));
        assert_eq!(ids("sort=nonsense&page=x"), all);
    }

    #[test]
    fn a_view_is_its_url() {
        let view = View::read(Some("pool=a+b&state=near&page=3"));
        assert_eq!(view.href("sort", "press"), "/nodes?pool=a%20b&state=near&sort=press");
        assert_eq!(view.href("page", "4"), "/nodes?pool=a%20b&state=near&page=4");
        assert_eq!(View::default().href("q", ""), "/nodes");
        assert_eq!(view.sort_href("press"), "/nodes?pool=a%20b&state=near&sort=press");
    }

    #[test]
    fn numbers_in_names_count_as_numbers() {
        assert_eq!(natural("sh-2", "sh-10"), Ordering::Less);
        assert_eq!(natural("sh-10", "tk-1"), Ordering::Less);
    }
}
