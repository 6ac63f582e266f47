//! A bar on stderr, for people who wait. Runs on several threads feed one bar.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const WIDTH: u64 = 40;

/// How far all runs together have come, in simulated seconds.
#[derive(Debug)]
pub(super) struct Progress {
    shown: bool,
    total_s: u64,
    done_s: AtomicU64,
    /// Last drawn, per mille.
    drawn: AtomicU64,
}

// === impl Progress ===

impl Progress {
    /// A bar over so many simulated seconds; `shown`: somebody is there to see it.
    pub(super) fn new(shown: bool, total_s: u64) -> Self {
        Self { shown, total_s: total_s.max(1), done_s: AtomicU64::new(0), drawn: AtomicU64::new(0) }
    }

    /// So many more seconds are simulated.
    pub(super) fn advance(&self, seconds: u64) {
        if !self.shown {
            return;
        }
        let done = self.done_s.fetch_add(seconds, Relaxed) + seconds;
        let per_mille = (done * 1_000 / self.total_s).min(1_000);
        if self.drawn.swap(per_mille, Relaxed) != per_mille {
            self.draw(per_mille);
        }
    }

    /// Wipes the bar.
    pub(super) fn finish(&self) {
        if self.shown {
            // A terminal that has gone is no reason to lose the results.
            let _ = write!(std::io::stderr(), "\r{:width$}\r", "", width = WIDTH as usize + 40);
        }
    }

    fn draw(&self, per_mille: u64) {
        let full = (per_mille * WIDTH / 1_000) as usize;
        let bar: String = (0..WIDTH as usize).map(|i| if i < full { '█' } else { '░' }).collect();
        let hours = self.total_s as f64 / 3_600.0;
        let _ = write!(std::io::stderr(), "\r{bar} {:3} %  of {hours:.1} simulated hours ", per_mille / 10);
    }
}
