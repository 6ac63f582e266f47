use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::config::Limits;
use crate::http::tests::{front, server};
use crate::http::tls::Tls;

const GOOD: &str = "GET /resolve?domain=live.example.com HTTP/1.1\r\nhost: x\r\n\r\n";

/// Reads whole responses until there were `count`, or to the end of the connection.
async fn read(stream: &mut TcpStream, count: usize) -> String {
    let mut text = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let got = stream.read(&mut chunk).await.unwrap_or(0);
        text.extend_from_slice(&chunk[..got]);
        let so_far = String::from_utf8_lossy(&text);
        if got == 0 || so_far.matches("\"degraded\"").count() >= count {
            return so_far.into_owned();
        }
    }
}

/// A look for silence so often makes the shortest patience, one look.
const OFTEN: Duration = Duration::from_millis(5);
const QUICK: u64 = 10;
const SLOW: u64 = 1_000_000;

/// A single worker with these limits, on this runtime.
async fn worker(limits: Limits) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
    worker_with(limits, None).await
}

async fn worker_with(
    limits: Limits,
    tls: Option<Tls>,
) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
    let front = front();
    front.limit(limits);
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut address = plain.local_addr().unwrap();
    let mut secure = None;
    if let Some(tls) = tls {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        address = listener.local_addr().unwrap();
        secure = Some((listener, tls));
    }
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let task = tokio::spawn(async move {
        let router = crate::http::router(Side::Player, &front);
        let census = Arc::new(Census::default());
        connection::accept(Doors { plain, secure }, &front, &router, &census, &stop, OFTEN).await;
    });
    (address, cancel, task)
}

#[test]
fn neighbours_of_one_56_are_one_client_and_proxies_are_none() {
    let seat = |census: &Arc<Census<_>>, ip: &str, trusted| {
        let peer = Peer { ip: ip.parse().unwrap(), trusted, secure: false };
        census.seat(connection::client(peer), 1)
    };
    let census = Arc::new(Census::default());
    let _seat = seat(&census, "2001:db8:0:1::1", false).unwrap();
    assert!(seat(&census, "2001:db8:0:ff::2", false).is_none());
    let seats: Vec<_> = (0..5).map_while(|_| seat(&census, "10.0.0.1", true)).collect();
    assert_eq!((seats.len(), census.all()), (5, 6));
}

#[tokio::test]
async fn workers_share_a_port_and_stop_when_told() {
    let cancel = CancellationToken::new();
    let workers = workers(&server(), None, &Sockets::default(), &front(), &cancel).unwrap();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(workers.address()).await.unwrap();
        stream.write_all(GOOD.as_bytes()).await.unwrap();
        assert!(read(&mut stream, 1).await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    cancel.cancel();
    tokio::task::spawn_blocking(move || workers.join()).await.unwrap();
}

#[tokio::test]
async fn a_second_instance_on_the_same_port_is_told_so() {
    let cancel = CancellationToken::new();
    let first = workers(&server(), None, &Sockets::default(), &front(), &cancel).unwrap();
    let again = Server { listen: first.address(), ..server() };
    let error = workers(&again, None, &Sockets::default(), &front(), &cancel)
        .err()
        .expect("the port was shared with a stranger");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&first.address().to_string()));
    cancel.cancel();
    tokio::task::spawn_blocking(move || first.join()).await.unwrap();
}

#[tokio::test]
async fn connections_are_kept_and_requests_may_be_pipelined() {
    let (address, _cancel, _task) = worker(Limits::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(GOOD.repeat(3).as_bytes()).await.unwrap();
    assert_eq!(read(&mut stream, 3).await.matches("HTTP/1.1 200 OK").count(), 3);
    stream.write_all(GOOD.as_bytes()).await.unwrap();
    assert_eq!(read(&mut stream, 1).await.matches("HTTP/1.1 200 OK").count(), 1);
}

#[tokio::test]
async fn head_and_get_promise_the_same_length() {
    let (address, _cancel, _task) = worker(Limits::default()).await;
    let length = |text: &str| {
        let line = text.lines().find(|line| line.to_lowercase().starts_with("content-length:"));
        line.unwrap_or_default().to_lowercase()
    };
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(GOOD.as_bytes()).await.unwrap();
    let get = read(&mut stream, 1).await;
    let head = GOOD.replace("GET", "HEAD").replace("host: x\r\n", "host: x\r\nconnection: close\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let head = read(&mut stream, usize::MAX).await;
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    assert_ne!(length(&get), "");
    assert_eq!(length(&get), length(&head));
}

#[tokio::test]
async fn a_connection_that_never_finishes_its_head_is_closed() {
    let limits = Limits { first_request_ms: QUICK, idle_ms: SLOW, ..Limits::default() };
    let (address, _cancel, _task) = worker(limits).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /resolve?domain=live.example.com HTTP/1.1\r\nhost:").await.unwrap();
    assert_eq!(read(&mut stream, 1).await, "");
}

#[tokio::test]
async fn a_connection_that_asks_no_more_is_closed() {
    let limits = Limits { first_request_ms: SLOW, idle_ms: QUICK, ..Limits::default() };
    let (address, _cancel, _task) = worker(limits).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(GOOD.as_bytes()).await.unwrap();
    let answer = read(&mut stream, usize::MAX).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 1);
}

#[tokio::test]
async fn an_idle_connection_does_not_delay_the_end() {
    let (address, cancel, task) = worker(Limits::default()).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(GOOD.as_bytes()).await.unwrap();
    read(&mut idle, 1).await;
    cancel.cancel();
    assert_eq!(read(&mut idle, 1).await, "");
    task.await.unwrap();
}

#[tokio::test]
async fn the_ops_side_knows_its_peer_and_ends_when_told() {
    let front = front();
    let listener = bind_ops(&server(), &Sockets::default()).unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let task = tokio::spawn(ops(listener, None, front, cancel.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /geo HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut chunk = [0; 4096];
    let got = stream.read(&mut chunk).await.unwrap();
    let text = String::from_utf8_lossy(&chunk[..got]);
    assert!(text.starts_with("HTTP/1.1 200 OK") && text.contains("127.0.0.1"), "{text}");
    cancel.cancel();
    task.await.unwrap();
    assert_eq!(stream.read(&mut chunk).await.unwrap(), 0);
}

/// TLS with a certificate for `localhost`, and a client that trusts just that.
fn secured() -> (Tls, tokio_rustls::TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let (certificate, key) = (folder.path().join("a.crt"), folder.path().join("a.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = Tls::new(&crate::http::tls::Certificate::load(&certificate, &key).unwrap()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (tls, tokio_rustls::TlsConnector::from(Arc::new(client)))
}

#[tokio::test]
async fn https_is_answered_as_http_is() {
    let (tls, client) = secured();
    let (address, cancel, task) = worker_with(Limits::default(), Some(tls)).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let mut stream = client.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let mut chunk = [0; 4096];
    for _ in 0..2 {
        stream.write_all(GOOD.as_bytes()).await.unwrap();
        let got = stream.read(&mut chunk).await.unwrap();
        let text = String::from_utf8_lossy(&chunk[..got]);
        assert!(text.starts_with("HTTP/1.1 200 OK") && text.contains("\"degraded\""), "{text}");
    }
    cancel.cancel();
    task.await.unwrap();
    assert_eq!(stream.read(&mut chunk).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn half_a_handshake_and_plain_http_at_the_wrong_door_are_closed() {
    let (tls, _) = secured();
    let limits = Limits { first_request_ms: QUICK, idle_ms: SLOW, ..Limits::default() };
    let (address, _cancel, _task) = worker_with(limits, Some(tls)).await;
    // The first bytes of a ClientHello, and no more.
    for start in [&b"\x16\x03\x01\x02\x00\x01"[..], b"", GOOD.as_bytes()] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(start).await.unwrap();
        let mut rest = Vec::new();
        // At most an alert comes, never an answer.
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.len() < 16 && !rest.starts_with(b"HTTP"), "{rest:?}");
    }
}

#[tokio::test]
async fn at_the_limit_those_who_never_asked_make_room() {
    let limits = Limits { connections: 16, ..Limits::default() };
    let (address, _cancel, _task) = worker(limits).await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut honest = TcpStream::connect(address).await.unwrap();
    for _ in 0..3 {
        honest.write_all(GOOD.as_bytes()).await.unwrap();
        assert!(read(&mut honest, 1).await.starts_with("HTTP/1.1 200 OK"));
        let _another = TcpStream::connect(address).await.unwrap();
    }
    // The first to come were the first to go.
    assert_eq!(read(&mut silent[0], 1).await, "");
}

#[tokio::test]
async fn a_head_that_is_too_long_or_unreadable_is_refused_in_words() {
    let (address, _cancel, _task) = worker(Limits::default()).await;
    let long = format!("x-much: {}", "a".repeat(3 * BUFFER_BYTES));
    let many = "a: b\r\n".repeat(200);
    for (head, status) in [(&*long, "431 "), (&*many, "431 "), ("no header", "400 ")] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(format!("GET /resolve HTTP/1.1\r\n{head}\r\n\r\n").as_bytes()).await;
        let mut chunk = [0; 4096];
        let got = stream.read(&mut chunk).await.unwrap();
        let text = String::from_utf8_lossy(&chunk[..got]);
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{text}");
    }
}
