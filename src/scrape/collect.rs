//! Asking a `node_exporter` only for what is needed (`collect[]=cpu&…`).
//!
//! The whole page costs the node about 5 ms of CPU and us 58 kB; the needed part costs a fifth of both. Nobody
//! should have to configure that, so it is learnt: a page that shows itself as `node_exporter` is asked by
//! collector from then on. An exporter whose collectors are restricted answers that with 400, and a proxy may drop
//! the query; then the plain page is asked for again, for good.

use super::node_exporter::COLLECTORS;
use super::reader::Shown;

/// After how many shortened pages the whole one is looked at again: what it shows may have grown, such as
/// the speed of a card that had no link. An hour at an interval of ten seconds.
const RELEARN_AFTER: u32 = 360;

/// How a target is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Collect {
    /// For its whole page; not known yet what that is.
    #[default]
    Plain,
    /// For some collectors.
    Some {
        /// `collect[]=cpu&collect[]=…`
        query: Box<str>,
        /// What its whole page showed.
        had: Shown,
        /// How many times more, until it is looked at whole again.
        left: u32,
    },
    /// For its whole page, for good.
    Never,
}

// === impl Collect ===

impl Collect {
    /// For a URL; one with a query of its own is left as the operator wrote it.
    pub(super) fn for_url(has_query: bool) -> Self {
        if has_query { Self::Never } else { Self::Plain }
    }

    /// After a whole page that showed this.
    pub(super) fn learn(self, shown: Shown) -> Self {
        if self == Self::Never || !shown.is_plain_node_exporter() {
            return self;
        }
        // Only collectors that gave something: one that is switched off would be answered with 400.
        let names = COLLECTORS.iter().filter(|(_, metrics)| metrics.iter().any(|name| shown.has(name)));
        let query: Vec<String> = names.map(|(name, _)| format!("collect[]={name}")).collect();
        if query.is_empty() {
            return self;
        }
        Self::Some { query: query.join("&").into(), had: shown, left: RELEARN_AFTER }
    }

    /// After one shortened page more.
    pub(super) fn count_down(self) -> Self {
        match self {
            Self::Some { left: 0 | 1, .. } => Self::Plain,
            Self::Some { query, had, left } => Self::Some { query, had, left: left - 1 },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrape::reader::{Focus, read};

    fn shown(page: &str) -> Shown {
        read(page.as_bytes(), &Focus::default()).unwrap().shown
    }

    const NODE_PAGE: &str = include_str!("../../tests/fixtures/exporters/node_exporter_full.txt");
    const CPU: &str = "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 1\n";

    #[test]
    fn a_whole_page_is_asked_by_collector_from_then_on() {
        let Collect::Some { query, .. } = Collect::for_url(false).learn(shown(NODE_PAGE)) else { panic!() };
        assert_eq!(
            &*query,
            "collect[]=cpu&collect[]=netdev&collect[]=netclass&collect[]=meminfo&collect[]=diskstats\
             &collect[]=filesystem&collect[]=netstat&collect[]=loadavg&collect[]=time&collect[]=stat"
        );
    }

    #[test]
    fn collectors_that_are_off_are_not_asked_for() {
        let page = format!("{CPU}node_exporter_build_info{{version=\"1\"}} 1\nnode_load1 1\n");
        let Collect::Some { query, .. } = Collect::Plain.learn(shown(&page)) else { panic!() };
        assert_eq!(&*query, "collect[]=cpu&collect[]=loadavg");
    }

    #[test]
    fn other_pages_and_urls_with_a_query_are_left_alone() {
        assert_eq!(Collect::Plain.learn(shown(CPU)), Collect::Plain);
        let mixed = format!("{NODE_PAGE}srs_clients 1\n");
        assert_eq!(Collect::Plain.learn(shown(&mixed)), Collect::Plain);
        assert_eq!(Collect::for_url(true).learn(shown(NODE_PAGE)), Collect::Never);
    }

    #[test]
    fn the_whole_page_is_looked_at_again_after_a_while() {
        let mut collect = Collect::Plain.learn(shown(NODE_PAGE));
        for _ in 1..RELEARN_AFTER {
            collect = collect.count_down();
            assert!(matches!(collect, Collect::Some { .. }));
        }
        assert_eq!(collect.count_down(), Collect::Plain);
    }
}
