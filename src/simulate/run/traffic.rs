//! Viewers on their way: they arrive, ask, connect, are cut or stall, ask again, and leave.

use crate::schedule::affinity::Bucket;
use crate::schedule::decide::Outcome as Answer;
use crate::schedule::scene::mix;

use super::super::dns::{Kept, Resolvers};
use super::super::events::Event;
use super::super::replica::Question;
use super::super::scenario::ByDns;
use super::super::time::At;
use super::super::viewers::{Manner, Ticket, Viewer, poll_at};
use super::Run;

/// A viewer needs up to so long from an answer to its first byte, s.
const CONNECT_S: f64 = 2.0;
/// Probability that one more attempt of somebody who could not connect fails again.
const FAILS_AGAIN: f64 = 0.04;
/// A player that was refused waits so long before it asks again, s.
const PAUSE_S: (f64, f64) = (1.0, 3.0);
/// A viewer who got no answer at all asks again after so long, s.
const NO_ANSWER_S: f64 = 1.0;

// === impl Run ===

impl Run<'_> {
    /// Poisson arrivals, thinned by the hour of the day.
    pub(super) fn next_arrival(&mut self) {
        let busiest = self.arrivals_per_s * self.audience.busiest_hour();
        let pause_s = self.arrivals.exponential(1.0 / busiest.max(1e-9));
        self.events.plan(self.now.plus_s(pause_s), Event::Arrive);
        let share = self.audience.hour(self.second_s()) / self.audience.busiest_hour();
        if self.arrivals.chance(share) {
            let viewer = self.audience.anybody(&mut self.arrivals);
            self.arrive(viewer);
        }
    }

    /// Flash viewers arrive evenly, each anywhere in its slot of time.
    pub(super) fn next_of_flash(&mut self, flash: u32, nth: u32) {
        let what = self.plan.scenario.flashes[flash as usize];
        let viewer = self.audience.one_of(flash as usize, &mut self.arrivals);
        let (next, crowd) = (nth + 1, f64::from(what.viewers) * self.crowd);
        if f64::from(next) < crowd {
            let slot = (f64::from(next) + self.arrivals.unit()) / crowd;
            let at = self.origin.plus_s(what.at_s + slot * what.over_s);
            self.events.plan(at.max(self.now), Event::Flash(flash, next));
        }
        self.arrive(viewer);
    }

    fn arrive(&mut self, viewer: Viewer) {
        self.census.arrived += 1;
        let ticket = self.viewers.admit(viewer);
        self.ask(ticket);
    }

    /// A viewer asks a replica (or goes past all of them) and sets out for what it is told.
    pub(super) fn ask(&mut self, ticket: Ticket) {
        let Some(viewer) = self.viewers.get(ticket) else { return };
        if viewer.node.is_some() {
            return;
        }
        let (city, past) = (viewer.city, viewer.manner.past);
        let told = match self.plan.scenario.dns {
            _ if past => self.nearest_alive(city),
            Some(dns) if self.asks_by_dns(ticket, dns) => self.look_up(ticket, dns),
            _ => self.question(ticket, None),
        };
        let Some(told) = told else {
            self.events.plan(self.now.plus_s(NO_ANSWER_S), Event::AskAgain(ticket));
            return;
        };
        if !past {
            let full = self.utilisation(told) > 1.0 || !self.edges[told as usize].alive;
            self.tally.answers += 1;
            self.tally.answers_to_full += u64::from(full);
        }
        let delay_s = self.luck.between(0.0, CONNECT_S);
        if let Some(viewer) = self.viewers.get(ticket) {
            viewer.told = Some(told);
        }
        self.events.plan(self.now.plus_s(delay_s), Event::Connect(ticket));
    }

    fn question(&mut self, ticket: Ticket, current: Option<u32>) -> Option<u32> {
        let replica = self.replica_asked();
        let viewer = *self.viewers.get(ticket)?;
        let question = Question {
            client: self.plan.world.cities[usize::from(viewer.located)].location,
            kbps: self.audience.told_kbps(viewer.stream),
            bucket: self.audience.bucket(viewer.stream),
            failed: viewer.failed,
            stalled: viewer.manner.stalled,
            current,
        };
        let now = self.now.moment();
        let decision = self.replicas[replica].answer(question, now);
        if let Some(failed) = viewer.failed
            && self.plan.variant.hears_players
            && self.replicas[replica].suspects(failed, now)
        {
            let pop = usize::from(self.plan.world.fleet.pop_of[failed as usize].0);
            for node in &self.sites[pop] {
                self.events.plan(self.now, Event::Probe(replica as u32, *node));
            }
        }
        self.tally.degraded += u64::from(matches!(decision.outcome, Answer::Overloaded | Answer::Silent));
        decision.picks.first().map(|pick| pick.node.0)
    }

    /// Whether a viewer's player asks by DNS: a matter of its place, not of luck.
    fn asks_by_dns(&self, ticket: Ticket, dns: ByDns) -> bool {
        let at = mix(u64::from(ticket.slot()) ^ 0xd25) >> 11;
        (at as f64) < dns.share * (1u64 << 53) as f64
    }

    /// A viewer's resolver says what it knows, or asks. Any of the addresses will do, but not the one that failed.
    fn look_up(&mut self, ticket: Ticket, dns: ByDns) -> Option<u32> {
        let viewer = *self.viewers.get(ticket)?;
        let resolver = Resolvers::of(viewer.city, ticket);
        if self.resolvers.known(resolver, self.now).is_none() {
            let replica = self.replica_asked();
            let question = Question {
                client: self.plan.world.cities[usize::from(viewer.located)].location,
                kbps: self.audience.mean_kbps(),
                bucket: Bucket::of_hash(0),
                failed: None,
                stalled: false,
                current: None,
            };
            let now = self.now.moment();
            let (decision, ttl_s) = self.replicas[replica].answer_shared(resolver, question, dns.ttl_s, now);
            self.tally.degraded += u64::from(matches!(decision.outcome, Answer::Overloaded | Answer::Silent));
            let answer = decision.picks.iter().map(|pick| pick.node.0).collect();
            // Resolvers count whole seconds.
            let kept_s = f64::from(ttl_s).max(dns.kept_s) + self.luck.unit();
            self.resolvers.keep(resolver, answer, self.now.plus_s(kept_s));
        }
        let known = self.resolvers.known(resolver, self.now)?;
        let others: Kept = known.iter().copied().filter(|node| Some(*node) != viewer.failed).collect();
        let choice = if others.is_empty() { known.clone() } else { others };
        choice.get(self.luck.below(choice.len())).copied()
    }

    /// The replica a question goes to: any, or the crowded one; a load balancer passes unready ones over.
    fn replica_asked(&mut self) -> usize {
        let count = self.replicas.len();
        let skew = self.plan.scenario.skew;
        let wanted = match skew > 0.0 && count > 1 {
            true if self.luck.chance(skew) => 0,
            true => 1 + self.luck.below(count - 1),
            false => self.luck.below(count),
        };
        if self.replicas[wanted].ready {
            return wanted;
        }
        let ready: Vec<usize> = (0..count).filter(|replica| self.replicas[*replica].ready).collect();
        if ready.is_empty() { wanted } else { ready[self.luck.below(ready.len())] }
    }

    fn nearest_alive(&self, city: u16) -> Option<u32> {
        self.outwards[usize::from(city)].iter().find(|node| self.edges[**node as usize].alive).copied()
    }

    /// A viewer arrives at the node it was told.
    pub(super) fn connect(&mut self, ticket: Ticket) {
        let Some(viewer) = self.viewers.get(ticket) else { return };
        let Some(node) = viewer.told.take() else { return };
        if !self.edges[node as usize].alive {
            viewer.failed = Some(node);
            self.tally.dead_ends += 1;
            let pause_s = self.luck.between(PAUSE_S.0, PAUSE_S.1);
            self.events.plan(self.now.plus_s(pause_s), Event::AskAgain(ticket));
            return;
        }
        if viewer.manner.no_show {
            viewer.failed = Some(node);
            viewer.attempts += 1;
            viewer.manner.no_show = self.luck.chance(FAILS_AGAIN);
            if viewer.attempts > self.plan.scenario.retries {
                self.viewers.remove(ticket);
                self.census.no_shows += 1;
            } else {
                self.ask(ticket);
            }
            return;
        }
        let first = !viewer.manner.settled;
        viewer.manner = Manner { settled: true, placed: !viewer.manner.past, ..viewer.manner };
        (viewer.failed, viewer.attempts, viewer.manner.stalled) = (None, 0, false);
        let (city, placed, hold_s) = (viewer.city, viewer.manner.placed, f64::from(viewer.hold_s));
        self.attach(ticket, node);
        if placed {
            self.tally.connects += 1;
            self.tally.km_sum += f64::from(self.plan.world.km(city, node));
        }
        if first {
            self.plan_departure(self.now.plus_s(hold_s), ticket);
            self.plan_poll(ticket, self.now, true);
        }
    }

    /// A polling player looks in. If its answer is another node, it moves: the answer has been booked there.
    pub(super) fn poll(&mut self, ticket: Ticket) {
        let Some(viewer) = self.viewers.get(ticket) else { return };
        let on = viewer.node;
        self.plan_poll(ticket, self.now, false);
        let (Some(node), Some(polls)) = (on, self.plan.scenario.polls) else { return };
        let says_where = polls.with_current && self.plan.variant.hears_players;
        let told = self.question(ticket, says_where.then_some(node));
        if let Some(told) = told.filter(|told| says_where && *told != node) {
            self.detach(ticket);
            if let Some(viewer) = self.viewers.get(ticket) {
                viewer.told = Some(told);
            }
            let delay_s = self.luck.between(0.0, CONNECT_S);
            self.events.plan(self.now.plus_s(delay_s), Event::Connect(ticket));
        }
    }

    /// A viewer has seen enough.
    pub(super) fn depart(&mut self, ticket: Ticket) {
        if self.viewers.get(ticket).is_none() {
            return;
        }
        self.detach(ticket);
        self.viewers.remove(ticket);
        self.census.departed += 1;
    }

    /// A viewer is thrown off its node and asks again after a moment.
    pub(super) fn throw_off(&mut self, ticket: Ticket, after_s: f64, stalled: bool) {
        let Some(viewer) = self.viewers.get(ticket) else { return };
        viewer.manner.stalled = stalled;
        viewer.failed = viewer.node;
        self.detach(ticket);
        self.events.plan(self.now.plus_s(after_s), Event::AskAgain(ticket));
    }

    pub(super) fn attach(&mut self, ticket: Ticket, node: u32) {
        let Some(viewer) = self.viewers.get(ticket) else { return };
        viewer.node = Some(node);
        let Viewer { stream, kbps, manner, .. } = *viewer;
        self.settle(node);
        let watched = (stream, self.audience.stream_kbps(stream));
        let place = self.edges[node as usize].attach(ticket.slot(), kbps, watched);
        if let Some(viewer) = self.viewers.get(ticket) {
            viewer.place = place;
        }
        if manner.placed {
            self.settle_upstream();
            self.upstream.starts(node, stream, self.audience.stream_kbps(stream), kbps);
        }
    }

    fn detach(&mut self, ticket: Ticket) {
        let Some(viewer) = self.viewers.get(ticket) else { return };
        let Some(node) = viewer.node.take() else { return };
        let Viewer { stream, kbps, manner, place, .. } = *viewer;
        self.settle(node);
        if let Some(moved) = self.edges[node as usize].detach(place, kbps, stream) {
            self.viewers.in_slot(moved).1.place = place;
        }
        if manner.placed {
            self.settle_upstream();
            self.upstream.stops(node, stream, self.audience.stream_kbps(stream), kbps);
        }
    }

    pub(super) fn plan_departure(&mut self, at: At, ticket: Ticket) {
        // Most initial viewers outlive the run: no event for them.
        if at <= self.end {
            self.events.plan(at, Event::Depart(ticket));
        }
    }

    pub(super) fn plan_poll(&mut self, ticket: Ticket, now: At, first: bool) {
        let Some(polls) = self.plan.scenario.polls else { return };
        if self.viewers.get(ticket).is_some_and(|viewer| viewer.manner.polls) {
            self.events.plan(poll_at(now, ticket, polls.every_s, first), Event::Poll(ticket));
        }
    }
}
