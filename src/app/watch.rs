//! Which files changed: looked at by `stat` every few seconds, and by content where that differs.
//!
//! Change notices do not work on network mounts and on container volumes that are swapped by symlink; a handful of
//! `stat` calls does. What counts is the content: a file that was only touched changes nothing.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ring::digest;

use super::reload::Reloader;

/// What a file was like when it was last looked at.
#[derive(Debug, Default)]
pub(super) struct Watched {
    files: Vec<(PathBuf, Seen)>,
}

/// A file as seen. Equal hashes are equal contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    /// Device, inode, length and date of change; `None`: it cannot be looked at.
    stamp: Option<(u64, u64, u64, i64, i64)>,
    /// SHA-256 of what is in it; `None`: it cannot be read.
    hash: Option<[u8; 32]>,
}

/// Reloads whenever a file that the configuration rests on has another content. For ever.
pub(super) async fn reload_changed(reloader: Arc<Reloader>, period: Duration) {
    let mut watched: Option<Watched> = None;
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let files = reloader.files().await;
        let before = watched.take();
        let look = tokio::task::spawn_blocking(move || match before {
            None => (Watched::new(&files), false),
            Some(mut watched) => {
                let changed = watched.changed(&files);
                (watched, changed)
            }
        });
        let Ok((now, changed)) = look.await else { continue };
        watched = Some(now);
        if changed {
            // What is wrong has been said and counted there; it is tried again when the content is another.
            let _ = reloader.reload("a changed file").await;
        }
    }
}

// === impl Watched ===

impl Watched {
    /// Files as they are now. Blocks.
    pub(super) fn new(files: &[PathBuf]) -> Self {
        Self { files: files.iter().map(|path| (path.clone(), Seen::now(path))).collect() }
    }

    /// Whether the content of one of `files` is another than at the last look. New names are taken in as they are.
    /// Blocks.
    pub(super) fn changed(&mut self, files: &[PathBuf]) -> bool {
        let mut changed = false;
        let look = |path: &PathBuf| {
            let Some((_, before)) = self.files.iter().find(|(known, _)| known == path) else {
                return (path.clone(), Seen::now(path));
            };
            let stamp = stamp(path);
            if stamp.is_some() && stamp == before.stamp {
                return (path.clone(), *before);
            }
            let now = Seen::now(path);
            changed |= now.hash != before.hash;
            (path.clone(), now)
        };
        self.files = files.iter().map(look).collect();
        changed
    }
}

// === impl Seen ===

impl Seen {
    fn now(path: &Path) -> Self {
        // The stamp first: a change in between is found by the next look.
        let stamp = stamp(path);
        let hash = std::fs::read(path)
            .ok()
            .and_then(|content| digest::digest(&digest::SHA256, &content).as_ref().try_into().ok());
        Self { stamp, hash }
    }
}

fn stamp(path: &Path) -> Option<(u64, u64, u64, i64, i64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_content_is_a_change_and_it_is_one_once() {
        let folder = tempfile::tempdir().unwrap();
        let files = [folder.path().join("a.toml"), folder.path().join("a.key")];
        std::fs::write(&files[0], "one").unwrap();
        let mut watched = Watched::new(&files);
        assert!(!watched.changed(&files));
        std::fs::write(&files[0], "one").unwrap();
        assert!(!watched.changed(&files), "a touch");
        std::fs::write(&files[0], "two").unwrap();
        assert!(watched.changed(&files));
        assert!(!watched.changed(&files), "the same change again");
        std::fs::write(&files[1], "a key that was not there").unwrap();
        assert!(watched.changed(&files));
        std::fs::remove_file(&files[0]).unwrap();
        assert!(watched.changed(&files), "a file that is gone");
        assert!(!watched.changed(&files));
    }
}
