use super::*;
use crate::clock::Clock;
use crate::config::{Exporters, Host};
use crate::schedule::reading::ProbeFailure;
use crate::scrape::collect::Collect;
use crate::scrape::probe::{HttpProber, Prober as _, Question};
use crate::scrape::test_exporter::{Act, TestExporter, answer, page};
use crate::scrape::tests::SETTINGS;
use crate::scrape::{Access, How};

fn file(folder: &Path, line: usize, name: &str, content: Option<&[u8]>) -> KeyFile {
    let path = folder.join(name);
    if let Some(content) = content {
        std::fs::write(&path, content).unwrap();
    }
    KeyFile { key: "bearer_token_file", path, line }
}

#[test]
fn every_file_that_cannot_be_used_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let secrets: [(Option<&[u8]>, &str); 7] = [
        (None, "cannot read "),
        (Some(b""), "is empty"),
        (Some(b" \n"), "is empty"),
        (Some(b"one\ntwo\n"), "more than one line"),
        (Some(b"caf\xe9"), "is no text"),
        (Some("sesame é".as_bytes()), "no visible ASCII character"),
        (Some(&[b'x'; 8_193]), "more than 8192 bytes"),
    ];
    let configured: Vec<config::Credentials> = (1..)
        .zip(&secrets)
        .map(|(line, (content, _))| {
            let file = file(folder.path(), line, &format!("{line}.token"), *content);
            let authorization = Some(config::Authorization::Bearer(file));
            config::Credentials { scope: Scope::default(), authorization, tls: None }
        })
        .collect();
    let errors = open_all(&configured).unwrap_err();
    assert_eq!(errors.0.len(), secrets.len());
    for ((error, (_, words)), line) in errors.0.iter().zip(secrets).zip(1..) {
        let said = error.to_string();
        let path = folder.path().join(format!("{line}.token"));
        assert!(said.starts_with(&format!("line {line}: bearer_token_file: ")), "{said}");
        assert!(said.contains(words) && said.contains(&path.display().to_string()), "{said}");
        assert!(!said.contains("sesame"), "{said}");
    }
}

#[test]
fn secrets_are_not_shown_by_accident() {
    let folder = tempfile::tempdir().unwrap();
    let password = file(folder.path(), 1, "x", Some(b"sesame open\n"));
    let authorization = Some(config::Authorization::Basic { username: "me".into(), password });
    let configured = config::Credentials { scope: Scope::default(), authorization, tls: None };
    crate::scrape::install_tls_provider();
    let opened = open_all(&[configured]).unwrap();
    let request = opened[0].show(reqwest::Client::new().get("http://192.0.2.1/")).build().unwrap();
    assert!(request.headers()["authorization"].is_sensitive());
    let shown = format!("{opened:?} {request:?}");
    assert!(!shown.contains("sesame") && !shown.contains("Basic b"), "{shown}");
}

const PAGE: &str = "process_cpu_seconds_total 1\n";

/// Asks with these credentials.
async fn probe(credentials: &[config::Credentials], url: &str) -> Result<(), ProbeFailure> {
    let exporters = Exporters { credentials: credentials.to_vec(), ..Exporters::default() };
    let how = How { settings: SETTINGS, access: Access::open(&exporters).unwrap() };
    let url = Arc::new(Url::parse(url).unwrap());
    let question = Question { url, focus: Arc::default(), collect: Collect::Plain };
    HttpProber::new(how, Clock::system()).probe(question).await.outcome.map(|_| ())
}

/// For the host of an exporter and its port.
fn scope_of(exporter: &TestExporter) -> Scope {
    let url = Url::parse(&exporter.url()).unwrap();
    let hosts = vec![Host::In("127.0.0.1/32".parse().unwrap())];
    Scope { hosts, ports: url.port().into_iter().collect(), allow_http: true }
}

/// The `authorization` headers that an exporter has seen, `-` for none.
fn authorizations(exporter: &TestExporter) -> Vec<String> {
    let header = |head: String| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        found.map_or("-".to_owned(), |(_, value)| value.to_owned())
    };
    exporter.requests().into_iter().map(header).collect()
}

#[tokio::test]
async fn a_target_is_shown_the_first_credentials_that_are_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second, third] = [(); 3].map(|()| TestExporter::start(|_| Act::Send(page(PAGE))));
    let (first, second, third) = (first.await, second.await, third.await);
    let token = file(folder.path(), 1, "token", Some(b"open-sesame\n"));
    let password = file(folder.path(), 2, "password", Some(b"a pass: word\r\n"));
    let bearer = config::Authorization::Bearer(token);
    let basic = config::Authorization::Basic { username: "nearcast".into(), password };
    let credentials = [(&first, &bearer), (&second, &basic), (&first, &basic)].map(|(exporter, shown)| {
        config::Credentials { scope: scope_of(exporter), authorization: Some(shown.clone()), tls: None }
    });
    for exporter in [&first, &second, &third] {
        probe(&credentials, &exporter.url()).await.unwrap();
    }
    assert_eq!(authorizations(&first), ["Bearer open-sesame"]);
    assert_eq!(authorizations(&second), ["Basic bmVhcmNhc3Q6YSBwYXNzOiB3b3Jk"]);
    assert_eq!(authorizations(&third), ["-"], "it is another port of the same host");
    // The same machine by name: nobody said that the name may have them.
    probe(&credentials, &first.url().replace("127.0.0.1", "localhost")).await.unwrap();
    assert_eq!(authorizations(&first)[1], "-");
}

#[tokio::test]
async fn credentials_do_not_travel_in_the_clear_unless_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let exporter = TestExporter::start(|_| Act::Send(answer("401 Unauthorized", "", b""))).await;
    let token = file(folder.path(), 1, "token", Some(b"open-sesame"));
    let scope = Scope { allow_http: false, ..scope_of(&exporter) };
    let authorization = Some(config::Authorization::Bearer(token));
    let failure = probe(&[config::Credentials { scope, authorization, tls: None }], &exporter.url()).await;
    assert_eq!(
        failure.unwrap_err().to_string(),
        "http: status 401; its credentials go over https:// only (allow_http)"
    );
    assert_eq!(authorizations(&exporter), ["-"]);
}

#[tokio::test]
async fn a_redirect_takes_no_credentials_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = TestExporter::start(|_| Act::Send(page(PAGE))).await;
    let location = format!("Location: {}\r\n", elsewhere.url());
    let exporter = TestExporter::start(move |_| Act::Send(answer("307 Moved", &location, b""))).await;
    let token = file(folder.path(), 1, "token", Some(b"open-sesame"));
    // Even if it went to a target that may have them.
    let credentials = [&exporter, &elsewhere].map(|exporter| {
        let authorization = Some(config::Authorization::Bearer(token.clone()));
        config::Credentials { scope: scope_of(exporter), authorization, tls: None }
    });
    let failure = probe(&credentials, &exporter.url()).await.unwrap_err().to_string();
    assert_eq!(failure, "http: status 307; redirects are not followed");
    assert_eq!(authorizations(&exporter), ["Bearer open-sesame"]);
    assert!(elsewhere.requests().is_empty());
}
