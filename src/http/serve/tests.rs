use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::http::tests::{front, server};

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

/// A single worker with these limits, on this runtime.
async fn worker(limits: Limits) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
    let front = front();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let task = tokio::spawn(async move {
        let router = crate::http::router(Side::Player, &front);
        connection::accept(listener, &front, &router, &stop, limits).await;
    });
    (address, cancel, task)
}

#[tokio::test]
async fn workers_share_a_port_and_stop_when_told() {
    let cancel = CancellationToken::new();
    let workers = workers(&server(), &front(), &cancel).unwrap();
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
    let first = workers(&server(), &front(), &cancel).unwrap();
    let again = Server { listen: first.address(), ..server() };
    let error = workers(&again, &front(), &cancel).err().expect("the port was shared with a stranger");
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
    let limits = Limits { sweep: Duration::from_millis(5), first: 2, idle: 1_000_000 };
    let (address, _cancel, _task) = worker(limits).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /resolve?domain=live.example.com HTTP/1.1\r\nhost:").await.unwrap();
    assert_eq!(read(&mut stream, 1).await, "");
}

#[tokio::test]
async fn a_connection_that_asks_no_more_is_closed() {
    let limits = Limits { sweep: Duration::from_millis(5), first: 1_000_000, idle: 2 };
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
    let listener = bind_ops(&server()).unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let task = tokio::spawn(ops(listener, front, cancel.clone()));
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
