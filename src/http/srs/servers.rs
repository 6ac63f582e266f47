//! `POST …/api/v1/servers` and `POST …/api/v1/srs/register`: heartbeats of media servers.
//!
//! The first is where SRS sends them (`heartbeat { url … }`), the second where it registers with an SRS proxy; both have
//! the same body. Whoever answers late stops the clock of that SRS, because it sends from the loop that also works out
//! its own load: what has to be done is done after the answer, and the answer waits for nobody.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::json;

use super::answer::srs;
use super::caller::{Prefix, Shown, Stranger};
use super::heartbeat::{self, Malformed};
use super::no_surface;
use crate::http::Front;
use crate::http::client_ip::Peer;
use crate::http::problem::Problem;
use crate::state::registry::{Refused, Sender};
use crate::telemetry::Heard;

/// Longest body, bytes. One with summaries and ports has about a thousand.
const LONGEST_BODY: usize = 64 * 1024;

/// Why a heartbeat is refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Stranger(#[from] Stranger),
    #[error("the body is cut short or has more than {LONGEST_BODY} bytes")]
    TooLarge,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// Takes a heartbeat. SRS looks at no answer; whoever tries it by hand does.
pub(in crate::http) async fn take(
    State(front): State<Arc<Front>>,
    prefix: Prefix,
    peer: Peer,
    request: Request,
) -> Result<Response, Problem> {
    let callers = front.callers.load_full();
    let callers = callers.ok_or_else(no_surface)?;
    let ip = front.client(peer, request.headers());
    let outcome = async {
        // A stranger's, too: an answer before the end of a request ends its connection, under whatever comes next on it.
        let body = axum::body::to_bytes(request.into_body(), LONGEST_BODY).await;
        let shown = Shown { prefix: &prefix, node: None, identity: None, ip };
        let caller = callers.who(front.resolver.state(), shown)?;
        let beat = heartbeat::read(&body.map_err(|_| Refusal::TooLarge)?)?;
        let sender = Sender { node: caller.node, named: caller.named, pool: caller.pool, ip };
        Ok::<_, Refusal>(front.resolver.state().heartbeat(&sender, beat)?)
    };
    Ok(match outcome.await {
        Ok(is_new) => {
            front.telemetry.heartbeat(if is_new { Heard::New } else { Heard::Known });
            // What SRS proxy answers, which is also more than SRS needs.
            srs(&json!({ "code": 0, "pid": std::process::id().to_string() }))
        }
        Err(refusal) => {
            front.telemetry.heartbeat(Heard::Refused);
            if let Some(held_back) = front.heartbeats.lift(front.resolver.now()) {
                let server = front.shown(ip);
                tracing::warn!(%server, held_back, "heartbeat refused: {refusal}");
            }
            srs(&json!({ "code": refusal.code(), "msg": refusal.to_string() }))
        }
    })
}

// === impl Refusal ===

impl Refusal {
    /// What an HTTP status would say; media servers know 0 and everything else.
    fn code(&self) -> u16 {
        match self {
            Self::Stranger(_) => 403,
            Self::TooLarge => 413,
            Self::Malformed(_) | Self::Refused(Refused::NoName(_) | Refused::Address(_)) => 400,
            Self::Refused(Refused::NoRegistration(_)) => 404,
            Self::Refused(Refused::Taken { .. } | Refused::AddressTaken { .. }) => 409,
            Self::Refused(Refused::Full(_)) => 503,
        }
    }
}
