//! A running edge: the model behind a lock, and its two pages over real HTTP on a loopback port of its own.
//!
//! `POST /load?cpu=0.95` makes the machine busy whatever its viewers do, which is how a visitor overloads the
//! nearest edge and watches it being passed over.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;

use super::edge::Edge;
use super::fleet::Planned;
use super::page::{Collectors, Page, Past};
use crate::clock::Clock;

/// An edge in real time.
#[derive(Debug)]
pub(super) struct LiveEdge {
    planned: Planned,
    past: Past,
    clock: Clock,
    /// What the machine's clock showed at moment 0. From then on it follows the monotonic clock, so that the
    /// time on a page and the counters on it always belong together.
    epoch_unix_ms: u64,
    edge: Mutex<Edge>,
}

/// The query of `/load`.
#[derive(Debug, serde::Deserialize)]
struct Load {
    /// Share of all cores to keep busy, 0…1.
    cpu: f64,
}

// === impl LiveEdge ===

impl LiveEdge {
    /// An edge whose counters begin now.
    pub(super) fn new(planned: Planned, seed: u64, clock: Clock) -> Self {
        let now_ms = clock.now().0;
        Self {
            past: Past::new(seed),
            epoch_unix_ms: clock.unix_ms().saturating_sub(now_ms),
            edge: Mutex::new(Edge::new(planned.hardware, seed, now_ms)),
            planned,
            clock,
        }
    }

    /// What was planned.
    pub(super) fn planned(&self) -> &Planned {
        &self.planned
    }

    /// Looks at the edge, or changes it, as of now (which the closure is told in ms).
    pub(super) fn now<T>(&self, work: impl FnOnce(&mut Edge, u64) -> T) -> T {
        // A panic elsewhere leaves whole numbers behind, never half a change: going on is sound.
        let mut edge = self.edge.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.clock.now().0;
        edge.advance(now_ms);
        work(&mut edge, now_ms)
    }

    fn page(&self, draw: impl FnOnce(Page<'_>) -> String) -> String {
        self.now(|edge, now_ms| {
            draw(Page { node: &self.planned.id, edge, past: self.past, unix_ms: self.epoch_unix_ms + now_ms })
        })
    }
}

/// Binds the pages of an edge and serves them until the returned future is dropped.
///
/// # Errors
/// Loopback has no port left.
pub(super) async fn serve(
    edge: Arc<LiveEdge>,
) -> std::io::Result<(SocketAddr, impl Future<Output = std::io::Result<()>> + Send)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/", get(index))
        .route("/metrics", get(machine))
        .route("/srs/metrics", get(media))
        .route("/load", post(load))
        .with_state(edge);
    Ok((address, async move { axum::serve(listener, router).await }))
}

async fn index(State(edge): State<Arc<LiveEdge>>) -> String {
    format!(
        "{}, an emulated edge.\n\nGET  /metrics         node_exporter's page\nGET  /srs/metrics     SRS's page\n\
         POST /load?cpu=0.95   keeps 95 % of the machine busy; cpu=0 gives it back\n",
        edge.planned.id
    )
}

async fn machine(State(edge): State<Arc<LiveEdge>>, Query(query): Query<Vec<(String, String)>>) -> Response {
    match Collectors::from_query(&query) {
        Ok(collectors) => {
            let text = edge.page(|page| page.machine(&collectors));
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
        }
        Err(unknown) => {
            let text = format!("Couldn't create filtered metrics handler: {unknown}\n");
            (StatusCode::BAD_REQUEST, text).into_response()
        }
    }
}

async fn media(State(edge): State<Arc<LiveEdge>>) -> impl IntoResponse {
    // SRS ends the connection after every page, and names no version of the format.
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CONNECTION, "close")];
    (headers, edge.page(|page| page.media()))
}

async fn load(State(edge): State<Arc<LiveEdge>>, Query(load): Query<Load>) -> (StatusCode, String) {
    if !(0.0..=1.0).contains(&load.cpu) {
        return (StatusCode::BAD_REQUEST, "cpu is a share of the machine, 0 to 1\n".to_owned());
    }
    edge.now(|model, now_ms| model.force_cpu(now_ms, load.cpu));
    let id = &edge.planned.id;
    let text = if load.cpu > 0.0 {
        format!("{id}: {:.0} % of the machine is busy from now on; cpu=0 gives it back\n", load.cpu * 100.0)
    } else {
        format!("{id}: as its viewers have it\n")
    };
    (StatusCode::OK, text)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::demo::fleet::plan;

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head =
            format!("{request} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn pages_are_served_over_http_and_load_can_be_forced() {
        let edge = Arc::new(LiveEdge::new(plan(1, 1).remove(0), 1, Clock::system()));
        let (address, serving) = serve(Arc::clone(&edge)).await.unwrap();
        tokio::spawn(serving);

        edge.now(|model, now_ms| model.attach(now_ms, 2_000));
        let page = ask(address, "GET /srs/metrics").await;
        assert!(page.starts_with("HTTP/1.1 200") && page.contains("\nsrs_clients 1\n"), "{page}");
        let page = ask(address, "GET /metrics?collect%5B%5D=time&collect[]=stat").await;
        assert!(
            page.contains("\nnode_boot_time_seconds ") && !page.contains("node_cpu_seconds_total"),
            "{page}"
        );
        let page = ask(address, "GET /metrics?collect[]=weather").await;
        assert!(page.starts_with("HTTP/1.1 400") && page.contains("missing collector: weather"), "{page}");

        assert!(edge.now(|model, _| model.pressure()) < 0.5);
        assert!(ask(address, "POST /load?cpu=0.95").await.starts_with("HTTP/1.1 200"));
        assert!(edge.now(|model, _| model.pressure()) > 1.0);
        assert!(ask(address, "POST /load?cpu=95").await.starts_with("HTTP/1.1 400"));
        assert!(ask(address, "POST /load?cpu=0").await.starts_with("HTTP/1.1 200"));
        assert!(edge.now(|model, _| model.pressure()) < 0.5);
    }
}
