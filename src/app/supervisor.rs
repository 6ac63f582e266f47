//! What a supervisor hears of us, and what we do for the process that we relieve.
//!
//! *systemd's protocol* (`sd_notify(3)`): `READY=1` when players may be sent here, `STOPPING=1` at the first signal,
//! `WATCHDOG=1` at half the time that it asks for. Without `NOTIFY_SOCKET` nothing is said.
//!
//! *Taking over*: a new process goes on with the sockets of the old one, learns the fleet, and only then asks the old one to
//! stop, which answers what it has accepted and leaves. At no moment is nobody listening.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sd_notify::NotifyState;

/// Descriptors for all that is no player connection: exporters, files, listeners.
const OTHER_DESCRIPTORS: u64 = 1_024;

/// The process whose ports are taken over.
#[derive(Clone, Copy, Debug)]
pub struct Predecessor(Pid);

// === impl Predecessor ===

impl Predecessor {
    /// The process of this number, if it runs the same program: a number may have passed on to somebody else.
    ///
    /// # Errors
    /// There is no such process, or it is another program.
    pub fn new(pid: i32) -> anyhow::Result<Self> {
        let name = |path: PathBuf| {
            let name = std::fs::read_to_string(path.join("comm")).ok()?;
            Some(name.trim_end().to_owned())
        };
        let Some(theirs) = name(PathBuf::from(format!("/proc/{pid}"))) else {
            bail!("--take-over: there is no process {pid}");
        };
        if pid <= 1 || Some(&theirs) != name(PathBuf::from("/proc/self")).as_ref() {
            bail!("--take-over: process {pid} is no nearcast but {theirs}");
        }
        Ok(Self(Pid::from_raw(pid)))
    }

    /// Its number.
    #[must_use]
    pub fn pid(self) -> i32 {
        self.0.as_raw()
    }

    /// Asks it to stop. One that has gone already is as good.
    pub(super) fn relieve(self) {
        match kill(self.0, Signal::SIGTERM) {
            Ok(()) => tracing::info!(pid = %self.0, "took over, and asked the process before to stop"),
            Err(error) => {
                tracing::warn!(pid = %self.0, %error, "took over, but the process before cannot be asked to stop");
            }
        }
    }
}

/// Says that players may be sent here.
pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// Says that this is the end.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Says in time, for ever, that this process is alive; returns at once if nobody asked for it.
pub(super) async fn watchdog() {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    let mut ticks = tokio::time::interval((period / 2).max(Duration::from_millis(10)));
    loop {
        ticks.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the supervisor cannot be told");
    }
}

/// Makes room for as many descriptors as there may be connections, as far as this user may.
///
/// # Errors
/// The limit cannot be read or set.
pub fn raise_descriptors(connections: usize) -> anyhow::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("cannot read the limit of descriptors")?;
    let wanted = OTHER_DESCRIPTORS + u64::try_from(connections).unwrap_or(u64::MAX - OTHER_DESCRIPTORS);
    if soft < wanted {
        let raised = wanted.min(hard);
        setrlimit(Resource::RLIMIT_NOFILE, raised, hard).context("cannot raise the limit of descriptors")?;
        if raised < wanted {
            tracing::warn!(
                "limits.connections is {connections}, but this process may open {hard} descriptors in all; raise \
                 LimitNOFILE, or lower limits.connections"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_running_process_of_the_same_program_is_taken_over() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(Predecessor::new(own).is_ok());
        let refusal = |pid| Predecessor::new(pid).unwrap_err().to_string();
        assert!(refusal(i32::MAX).contains("there is no process"), "{}", refusal(i32::MAX));
        assert!(refusal(1).contains("is no nearcast"), "{}", refusal(1));
        assert!(refusal(-1).contains("there is no process"), "{}", refusal(-1));
    }
}
