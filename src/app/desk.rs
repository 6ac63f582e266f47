//! One thread on which all reloads are prepared.
//!
//! A reload builds tables of megabytes and drops those before it. On whichever thread of a pool is free, the allocator
//! keeps a heap for each of them, and each grows to the size of a whole configuration.

use std::io;
use std::sync::mpsc::{self, Sender};

use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// A thread that does one thing after the other; it ends with its last desk.
pub(super) struct Desk {
    work: Sender<Work>,
}

/// What was asked for panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reload panicked; what was in force is in force")]
pub(super) struct Panicked;

// === impl Desk ===

impl Desk {
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn new() -> io::Result<Self> {
        let (work, orders) = mpsc::channel::<Work>();
        std::thread::Builder::new().name("reload".to_owned()).spawn(move || {
            for work in orders {
                // Its own answer is dropped with it, which tells who asked.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            }
        })?;
        Ok(Self { work })
    }

    /// Does `work` there; it may block.
    ///
    /// # Errors
    /// It panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        let (answer, answered) = oneshot::channel();
        let work = Box::new(move || {
            let _ = answer.send(work());
        });
        // The thread ends with the last sender only.
        let _ = self.work.send(work);
        answered.await.map_err(|_| Panicked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_told_and_the_next_is_done_on_the_same_thread() {
        let desk = Desk::new().unwrap();
        let name = || std::thread::current().id();
        let first = desk.run(name).await.unwrap();
        assert_eq!(desk.run(|| panic!("as a test wants it")).await, Err::<(), _>(Panicked));
        assert_eq!(desk.run(name).await, Ok(first));
    }
}
