//! Players that never stop asking while something is done to the service, and count every failure.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::client;

/// Pause between two questions of a player: hundreds of questions a second in all, on a machine that has other work.
const THINK: Duration = Duration::from_millis(4);

/// Players under way. Nothing is asked twice: a failure is a failure.
pub(crate) struct Load {
    stop: CancellationToken,
    players: JoinSet<()>,
    asked: Arc<AtomicU64>,
    failures: Arc<Mutex<Vec<String>>>,
}

// === impl Load ===

impl Load {
    /// So many players that keep their connection, and so many that come anew for every question.
    pub(crate) fn start(url: &str, keeping: usize, fresh: usize) -> Self {
        let mut load = Self {
            stop: CancellationToken::new(),
            players: JoinSet::new(),
            asked: Arc::default(),
            failures: Arc::default(),
        };
        for number in 0..keeping + fresh {
            load.player(url.to_owned(), number >= keeping);
        }
        load
    }

    fn player(&mut self, url: String, fresh: bool) {
        let (stop, asked, failures) =
            (self.stop.clone(), Arc::clone(&self.asked), Arc::clone(&self.failures));
        let player = client();
        self.players.spawn(async move {
            while !stop.is_cancelled() {
                let mut request = player.get(&url);
                if fresh {
                    request = request.header("connection", "close");
                }
                asked.fetch_add(1, Relaxed);
                let failure = match request.send().await {
                    Err(error) => Some(format!("{error:?}")),
                    Ok(reply) => {
                        let status = reply.status();
                        match reply.text().await {
                            Ok(body) if status == 200 && body.contains("\"ips\":[\"") => None,
                            other => Some(format!("{status} {other:?}")),
                        }
                    }
                };
                if let Some(failure) = failure {
                    failures.lock().unwrap().push(failure);
                }
                tokio::time::sleep(THINK).await;
            }
        });
    }

    /// Questions so far.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Relaxed)
    }

    /// Ends it; how many questions were asked. Panics if one of them failed.
    pub(crate) async fn end_without_failure(mut self) -> u64 {
        self.stop.cancel();
        while let Some(player) = self.players.join_next().await {
            player.unwrap();
        }
        let failures = self.failures.lock().unwrap();
        let asked = self.asked();
        let first: Vec<_> = failures.iter().take(3).collect();
        assert!(failures.is_empty(), "{} of {asked} questions failed, such as {first:#?}", failures.len());
        asked
    }
}
