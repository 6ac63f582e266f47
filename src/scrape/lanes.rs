//! The places for scrapes under way, and who waits for one: the sound and the sick in a lane of their own each.
//!
//! The sick have a quarter of the places at most, whatever happens, so the sound always have three quarters; where
//! the sick need less, the sound have all the rest. Within their quarter the sick go first: a few places that the
//! sound can take at any time would be none.

use std::collections::VecDeque;

use super::circuit::Lane;

/// One place of this many is for the sick, and one at least.
const SICK_SHARE: usize = 4;

/// Fewest places: one for the sick and one for the sound.
const FEWEST: usize = 2;

/// Places and queues.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    places: usize,
    sound: Queue<T>,
    sick: Queue<T>,
}

#[derive(Debug)]
struct Queue<T> {
    waiting: VecDeque<T>,
    under_way: usize,
}

// === impl Lanes ===

impl<T> Lanes<T> {
    /// This many places, and nobody there.
    pub(super) fn new(places: usize) -> Self {
        let queue = || Queue { waiting: VecDeque::new(), under_way: 0 };
        Self { places: places.max(FEWEST), sound: queue(), sick: queue() }
    }

    /// From now on this many. Who is under way stays.
    pub(super) fn resize(&mut self, places: usize) {
        self.places = places.max(FEWEST);
    }

    /// Waits behind all others of a lane.
    pub(super) fn line_up(&mut self, lane: Lane, who: T) {
        self.queue(lane).waiting.push_back(who);
    }

    /// Waits before all others of a lane.
    pub(super) fn go_first(&mut self, lane: Lane, who: T) {
        self.queue(lane).waiting.push_front(who);
    }

    /// Gives a place to the next, if there are both.
    pub(super) fn enter(&mut self) -> Option<(T, Lane)> {
        if self.sound.under_way + self.sick.under_way >= self.places {
            return None;
        }
        let for_the_sick = (self.places / SICK_SHARE).max(1);
        let sick = self.sick.under_way < for_the_sick && !self.sick.waiting.is_empty();
        let lane = if sick { Lane::Sick } else { Lane::Sound };
        let queue = self.queue(lane);
        let who = queue.waiting.pop_front()?;
        queue.under_way += 1;
        Some((who, lane))
    }

    /// Gives a place back.
    pub(super) fn leave(&mut self, lane: Lane) {
        let queue = self.queue(lane);
        queue.under_way = queue.under_way.saturating_sub(1);
    }

    fn queue(&mut self, lane: Lane) -> &mut Queue<T> {
        match lane {
            Lane::Sound => &mut self.sound,
            Lane::Sick => &mut self.sick,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entered(lanes: &mut Lanes<u32>) -> Vec<u32> {
        std::iter::from_fn(|| lanes.enter()).map(|(who, _)| who).collect()
    }

    #[test]
    fn the_sick_have_a_quarter_and_the_sound_what_is_left() {
        let mut lanes = Lanes::new(8);
        for who in 0..20 {
            lanes.line_up(Lane::Sick, who);
            lanes.line_up(Lane::Sound, 100 + who);
        }
        assert_eq!(entered(&mut lanes), [0, 1, 100, 101, 102, 103, 104, 105]);
        lanes.leave(Lane::Sick);
        assert_eq!(entered(&mut lanes), [2]);
        lanes.leave(Lane::Sound);
        assert_eq!(entered(&mut lanes), [106]);
    }

    #[test]
    fn without_the_sick_all_places_are_for_the_sound() {
        let mut lanes = Lanes::new(4);
        for who in 0..9 {
            lanes.line_up(Lane::Sound, who);
        }
        lanes.go_first(Lane::Sound, 99);
        assert_eq!(entered(&mut lanes), [99, 0, 1, 2]);
        // Who falls sick now has the next place that is free.
        lanes.line_up(Lane::Sick, 50);
        lanes.leave(Lane::Sound);
        assert_eq!(entered(&mut lanes), [50]);
    }

    #[test]
    fn fewer_places_hold_once_there_are_fewer_under_way() {
        let mut lanes = Lanes::new(4);
        for who in 0..9 {
            lanes.line_up(Lane::Sound, who);
        }
        assert_eq!(entered(&mut lanes).len(), 4);
        lanes.resize(0);
        for _ in 0..2 {
            lanes.leave(Lane::Sound);
            assert!(entered(&mut lanes).is_empty());
        }
        lanes.leave(Lane::Sound);
        assert_eq!(entered(&mut lanes), [4]);
    }

    proptest! {
        /// However they come and go: never too many, and a sound one never waits while the sick hold more than theirs.
        #[test]
        fn no_order_of_events_takes_the_places_of_the_sound(places in 2_usize..20, events in proptest::collection::vec(0..4, 0..200)) {
            let mut lanes = Lanes::new(places);
            for event in events {
                match event {
                    0 => lanes.line_up(Lane::Sound, ()),
                    1 => lanes.line_up(Lane::Sick, ()),
                    2 => lanes.leave(Lane::Sound),
                    _ => lanes.leave(Lane::Sick),
                }
                while lanes.enter().is_some() {}
                prop_assert!(lanes.sound.under_way + lanes.sick.under_way <= places);
                prop_assert!(lanes.sick.under_way <= (places / 4).max(1));
                let sound_wait = !lanes.sound.waiting.is_empty();
                prop_assert!(!sound_wait || lanes.sound.under_way + lanes.sick.under_way == places);
            }
        }
    }
}
