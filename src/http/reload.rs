//! `POST /-/reload`: take over the configuration file as it is now, or say what is wrong with it.
//!
//! The work is the wiring's: it hands the front a [`Reload`] to call, and speaks in the types of this file.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use serde::Serialize;

use super::Front;
use super::drain::{body, same_origin, unknown_members, verdict};
use super::problem::{Problem, Slug};

/// Reloads everything once and says what became of it.
pub type Reload =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<Reloaded, NotReloaded>> + Send>> + Send + Sync>;

/// What was taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reloaded {
    /// Nodes there are now.
    pub nodes: usize,
    /// Domains there are now.
    pub domains: usize,
    /// Keys whose new value counts only after a restart.
    pub restart_needed: Vec<&'static str>,
}

/// Why everything stays as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReloaded {
    /// In one line: "2 errors in nearcast.toml".
    pub summary: String,
    /// All that is wrong; never empty.
    pub mistakes: Vec<Mistake>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// Line of the configuration, from 1; absent where it is another file's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Column in that line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// What is wrong, beginning with the key.
    pub message: String,
}

// === impl Mistake ===

/// One line, for a log.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Reloads, and answers when that is done.
pub(super) async fn reload(State(front): State<Arc<Front>>, request: Request) -> Result<Response, Problem> {
    same_origin(request.uri(), request.headers())?;
    let mut faults = Vec::new();
    unknown_members(&body(request).await?, &mut faults, "this operation has none");
    verdict(faults)?;
    let Some(reload) = front.reload.load_full() else {
        return Err(Problem::new(Slug::NotFound, "this process runs without a configuration file"));
    };
    match reload().await {
        Ok(reloaded) => Ok(([(CACHE_CONTROL, "no-store")], Json(reloaded)).into_response()),
        Err(refused) => {
            let detail = format!("{}; the configuration before it stays in force", refused.summary);
            Err(Problem::new(Slug::InvalidConfiguration, detail).with_mistakes(refused.mistakes))
        }
    }
}
