//! A very small HTTP server that misbehaves on request.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a server does with one request.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Sends these bytes and closes.
    Send(Vec<u8>),
    /// Sends these bytes and waits for the next request on the same connection.
    SendAndKeep(Vec<u8>),
    /// Sends these bytes and then nothing, for ever.
    SendAndHang(Vec<u8>),
    /// Sends these bytes and then these for ever.
    SendAndRepeat(Vec<u8>, Vec<u8>),
    /// Resets the connection.
    Reset,
}

/// A server on a loopback port of its own.
#[derive(Debug)]
pub(super) struct TestExporter {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl TestExporter {
    /// Answers each request, given its head, as `answer` says.
    pub(super) async fn start(answer: impl Fn(&str) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, seen) = (Arc::clone(&answer), Arc::clone(&seen));
                // A client that gives up is what some of the tests are about.
                tokio::spawn(async move { serve(stream, &*answer, &seen).await.unwrap_or(()) });
            }
        });
        Self { address, requests }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }

    /// Heads of the requests so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Paths with queries of the requests so far.
    pub(super) fn asked(&self) -> Vec<String> {
        self.requests().iter().map(|head| head.split(' ').nth(1).unwrap().to_owned()).collect()
    }
}

/// A whole answer.
pub(super) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A page.
pub(super) fn page(body: &str) -> Vec<u8> {
    answer("200 OK", "", body.as_bytes())
}

async fn serve(
    mut stream: TcpStream,
    answer: &(impl Fn(&str) -> Act + Sync),
    seen: &Mutex<Vec<String>>,
) -> io::Result<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return Ok(()) };
            head.push(byte);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let act = answer(&head);
        seen.lock().unwrap().push(head);
        match act {
            Act::Send(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Act::SendAndKeep(bytes) => stream.write_all(&bytes).await?,
            Act::SendAndHang(bytes) => {
                stream.write_all(&bytes).await?;
                std::future::pending::<()>().await;
            }
            Act::SendAndRepeat(bytes, more) => {
                stream.write_all(&bytes).await?;
                loop {
                    stream.write_all(&more).await?;
                }
            }
            Act::Reset => {
                socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO))?;
                return Ok(());
            }
        }
    }
}
