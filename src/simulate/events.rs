//! What will happen, in order of time. Events of one moment happen in the order they were planned: no run
//! depends on how a heap breaks ties.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::time::At;
use super::viewers::Ticket;

/// Something that will happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// A viewer of the background arrives, and the next one is planned.
    Arrive,
    /// Viewer number `.1` of flash `.0` arrives.
    Flash(u32, u32),
    /// A viewer tries to connect to the node it was told.
    Connect(Ticket),
    /// A viewer has seen enough.
    Depart(Ticket),
    /// A viewer who lost its node asks again.
    AskAgain(Ticket),
    /// A polling player asks although it is well.
    Poll(Ticket),
    /// Replica `.0` sends its regular scrape of node `.1`.
    Scrape(u32, u32),
    /// Replica `.0` scrapes node `.1` out of turn, because a viewer failed there.
    Probe(u32, u32),
    /// The same once more, because nobody answered.
    Confirm(u32, u32),
    /// The page of node `.1` for replica `.0` is filled.
    Fill(u32, u32),
    /// Replica `.0` has the page of node `.1`, or the reason why not.
    Receive(u32, u32),
    /// A second has passed: stalls, samples, sweeps.
    Second,
    /// Step `.0` of the scenario's faults.
    Fault(u32),
}

/// Planned events.
#[derive(Debug, Default)]
pub(super) struct Events {
    heap: BinaryHeap<Reverse<(At, u64, Event)>>,
    planned: u64,
}

// === impl Events ===

impl Events {
    /// Plans an event.
    pub(super) fn plan(&mut self, at: At, event: Event) {
        self.planned += 1;
        self.heap.push(Reverse((at, self.planned, event)));
    }

    /// The next event at or before `until`.
    pub(super) fn next(&mut self, until: At) -> Option<(At, Event)> {
        if self.heap.peek()?.0.0 > until {
            return None;
        }
        self.heap.pop().map(|Reverse((at, _, event))| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_of_time_and_then_of_planning() {
        let mut events = Events::default();
        events.plan(At(5), Event::Second);
        events.plan(At(3), Event::Scrape(9, 9));
        events.plan(At(3), Event::Arrive);
        events.plan(At(9), Event::Arrive);
        assert_eq!(events.next(At(8)), Some((At(3), Event::Scrape(9, 9))));
        assert_eq!(events.next(At(8)), Some((At(3), Event::Arrive)));
        assert_eq!(events.next(At(8)), Some((At(5), Event::Second)));
        assert_eq!(events.next(At(8)), None);
    }
}
