//! Keeps the memory that outlives a restart: reads it when the service starts, writes it when it changed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::state::State;
use crate::state::memory::Memory;

/// How often a changed memory is written. A crash forgets that much.
pub(super) const WRITE_EVERY: Duration = Duration::from_secs(30);

/// The file and what stands in it.
#[derive(Debug)]
pub(super) struct Keeper {
    path: PathBuf,
    state: Arc<State>,
    written: Mutex<Memory>,
}

// === impl Keeper ===

impl Keeper {
    /// Reads the file, if there is one. One that is of no use is put aside, so that the next write does not destroy
    /// what somebody may want to look at.
    pub(super) fn open(path: PathBuf, state: Arc<State>) -> Self {
        let written = match Memory::read(&path) {
            Ok(Some(memory)) => {
                state.recall(&memory);
                tracing::info!(path = %path.display(), nodes = memory.len(), "capacities and drains recalled");
                memory
            }
            Ok(None) => Memory::default(),
            Err(error) => {
                let aside = path.with_extension("bad");
                let moved = std::fs::rename(&path, &aside).is_ok();
                tracing::error!(
                    path = %path.display(),
                    aside = moved.then(|| aside.display().to_string()),
                    "scheduler.state_file is of no use and was passed over: {error}"
                );
                Memory::default()
            }
        };
        Self { path, state, written: Mutex::new(written) }
    }

    /// Writes the memory if it changed. Blocks for as long as the disk takes.
    pub(super) fn keep(&self) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = self.state.memory();
        if memory == *written {
            return;
        }
        match memory.write(&self.path) {
            Ok(()) => *written = memory,
            Err(error) => {
                tracing::error!(path = %self.path.display(), "scheduler.state_file cannot be written: {error}");
            }
        }
    }
}
