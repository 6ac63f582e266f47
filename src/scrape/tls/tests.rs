use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use reqwest::Url;
use rustls::server::WebPkiClientVerifier;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::clock::Clock;
use crate::config::{Authorization, Credentials, Exporters, Host, Scope};
use crate::scrape::collect::Collect;
use crate::scrape::probe::{HttpProber, Prober as _, Question};
use crate::scrape::tests::SETTINGS;
use crate::scrape::{Access, How};

/// An authority, and the file with its certificate.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, PEM.
struct Issued {
    certificate: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// For a name or an address.
    fn issue(&self, name: &str) -> Issued {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Issued { certificate, key: key.serialize_pem() }
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        Arc::new(roots)
    }
}

/// An exporter behind TLS that answers for ever, each connection once; `clients`: whose certificates it asks for.
fn serve(issued: &Issued, clients: Option<&Authority>) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that will not speak to us is what some of the tests are about.
            let _ = answer(stream, Arc::clone(&config));
        }
    });
    addr
}

/// Answers with a page whose process is named by the `authorization` header.
fn answer(stream: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let authorized = String::from_utf8_lossy(&head).contains("authorization: Bearer open-sesame\r\n");
    let page = format!("process_cpu_seconds_total {}\n", u8::from(authorized));
    write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{page}", page.len())?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn file(folder: &Path, key: &'static str, content: &str) -> KeyFile {
    let path = folder.join(key);
    std::fs::write(&path, content).unwrap();
    KeyFile { key, path, line: 7 }
}

fn tls(folder: &Path, ca: &Authority) -> ExporterTls {
    ExporterTls { ca: file(folder, "ca_file", &ca.pem), server_name: None, client: None }
}

fn client_files(folder: &Path, issued: &Issued) -> ClientFiles {
    ClientFiles {
        certificate: file(folder, "certificate_file", &issued.certificate),
        key: file(folder, "key_file", &issued.key),
    }
}

/// Asks an exporter that is known like this, with a token: its page, or how that failed.
async fn ask(addr: SocketAddr, folder: &Path, tls: ExporterTls) -> Result<f64, String> {
    let scope = Scope { hosts: vec![Host::In("127.0.0.0/8".parse().unwrap())], ..Scope::default() };
    let authorization = Some(Authorization::Bearer(file(folder, "bearer_token_file", "open-sesame\n")));
    let credentials = vec![Credentials { scope, authorization, tls: Some(tls) }];
    let exporters = Exporters { credentials, ..Exporters::default() };
    let how = How { settings: SETTINGS, access: Access::open(&exporters).unwrap() };
    let url = Arc::new(Url::parse(&format!("https://{addr}/metrics")).unwrap());
    let question = Question { url, focus: Arc::default(), collect: Collect::Plain };
    let probed = HttpProber::new(how, Clock::system()).probe(question).await;
    match probed.outcome.map_err(|failure| failure.to_string())?.processes[0].cpu {
        crate::schedule::reading::ProcessCpu::Seconds(seconds) => Ok(seconds),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_exporter_is_known_by_the_authority_that_is_named_and_shown_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("fleet");
    let addr = serve(&authority.issue("127.0.0.1"), None);
    assert_eq!(ask(addr, folder.path(), tls(folder.path(), &authority)).await, Ok(1.0));
}

#[tokio::test]
async fn an_exporter_of_another_authority_is_named_and_shown_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let addr = serve(&Authority::new("theirs").issue("127.0.0.1"), None);
    let failure = ask(addr, folder.path(), tls(folder.path(), &Authority::new("ours"))).await.unwrap_err();
    assert_eq!(failure, "http: tls: invalid peer certificate: UnknownIssuer");
}

#[tokio::test]
async fn a_certificate_counts_for_its_name_or_the_one_that_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("fleet");
    let addr = serve(&authority.issue("edge.example.net"), None);
    let by_address = tls(folder.path(), &authority);
    let failure = ask(addr, folder.path(), by_address.clone()).await.unwrap_err();
    assert!(
        failure.starts_with("http: tls: invalid peer certificate: certificate not valid for name"),
        "{failure}"
    );
    let by_name = ExporterTls { server_name: Some("edge.example.net".into()), ..by_address.clone() };
    assert_eq!(ask(addr, folder.path(), by_name).await, Ok(1.0));
    let by_another = ExporterTls { server_name: Some("other.example.net".into()), ..by_address };
    assert!(ask(addr, folder.path(), by_another).await.is_err());
}

#[tokio::test]
async fn an_exporter_that_asks_who_we_are_is_shown_our_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, ours) = (Authority::new("theirs"), Authority::new("ours"));
    let addr = serve(&authority.issue("127.0.0.1"), Some(&ours));
    let nobody = tls(folder.path(), &authority);
    let failure = ask(addr, folder.path(), nobody.clone()).await.unwrap_err();
    assert!(failure.contains("tls: received fatal alert: CertificateRequired"), "{failure}");
    let client = Some(client_files(folder.path(), &ours.issue("nearcast")));
    assert_eq!(ask(addr, folder.path(), ExporterTls { client, ..nobody }).await, Ok(1.0));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("fleet");
    let good = tls(folder.path(), &authority);
    let said = |tls: &ExporterTls| {
        let errors = Identification::open(tls).unwrap_err();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let path = |key: &str| folder.path().join(key).display().to_string();
    let [one, other] = ["a", "b"].map(|name| authority.issue(name));
    let swapped = Issued { certificate: one.certificate.clone(), key: other.key };
    let with = |issued| ExporterTls { client: Some(client_files(folder.path(), issued)), ..good.clone() };
    assert!(Identification::open(&with(&one)).is_ok());
    let errors = said(&with(&swapped));
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].starts_with(&format!("line 7: key_file: {} cannot be used: ", path("key_file"))),
        "{errors:?}"
    );
    let empty = Issued { certificate: String::new(), key: "sesame".to_owned() };
    let mut tls = with(&empty);
    std::fs::write(&tls.ca.path, "-----BEGIN CERTIFICATE-----\nsesame").unwrap();
    let expected = [
        format!("line 7: ca_file: {} is broken PEM", path("ca_file")),
        format!("line 7: certificate_file: {} has no certificate in PEM in it", path("certificate_file")),
        format!("line 7: key_file: {} has no private key in PEM in it", path("key_file")),
    ];
    assert_eq!(said(&tls), expected);
    std::fs::write(&tls.ca.path, pem_of_garbage()).unwrap();
    tls.client = None;
    assert!(
        said(&tls)[0].contains("ca_file") && said(&tls)[0].contains("cannot be used"),
        "{:?}",
        said(&tls)
    );
}

/// Sound PEM around what is no certificate.
fn pem_of_garbage() -> &'static str {
    "-----BEGIN CERTIFICATE-----\nc2VzYW1l\n-----END CERTIFICATE-----\n"
}

#[test]
fn a_key_is_not_shown_by_accident() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("fleet");
    let issued = authority.issue("a");
    let client = Some(client_files(folder.path(), &issued));
    let opened = Identification::open(&ExporterTls { client, ..tls(folder.path(), &authority) }).unwrap();
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    let bytes = format!("{:?}", key.secret_der());
    let shown = format!("{opened:?}");
    assert!(!shown.contains(bytes.trim_matches(['[', ']'])) && shown.contains("elided"), "{shown}");
}
