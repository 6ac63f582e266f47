//! Emptying a node: the order by command line, the media server's API, what is logged and counted.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{delete, get};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::stage::{CHICAGO, Edge, NEW_YORK, PATIENCE, live, node, scrape_each, until_node};
use super::support::{Service, eventually, free_port, nearcast};

/// `srs:secret`, as HTTP Basic has it.
const BASIC: &str = "Basic c3JzOnNlY3JldA==";

/// The API of an SRS that asks for a password, with these clients; who came without it is counted.
#[derive(Clone, Default)]
struct Srs {
    clients: Arc<Mutex<Vec<Value>>>,
    gone: Arc<Mutex<Vec<String>>>,
}

impl Srs {
    fn with(viewers: usize) -> Self {
        let viewer = |i: usize| {
            json!({ "id": format!("v{i}"), "vhost": "vid-1", "stream": "vid-2", "ip": format!("198.51.100.{i}"),
                    "type": "rtmp-play", "publish": false, "alive": 100.0 - i as f64, "name": "show" })
        };
        let publisher = json!({ "id": "pub1", "ip": "203.0.113.77", "type": "fmle-publish", "publish": true, "alive": 1.5 });
        let clients = (0..viewers).map(viewer).chain([publisher]).collect();
        Self { clients: Arc::new(Mutex::new(clients)), gone: Arc::default() }
    }

    async fn listen(&self, port: u16) {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let router = Router::new()
            .route("/api/v1/clients/", get(Self::list))
            .route("/api/v1/clients/{id}", delete(Self::kick))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    }

    async fn list(State(srs): State<Self>, headers: HeaderMap) -> (StatusCode, String) {
        if headers.get("authorization").is_none_or(|shown| shown != BASIC) {
            return (StatusCode::UNAUTHORIZED, String::new());
        }
        let clients = srs.clients.lock().unwrap().clone();
        (
            StatusCode::OK,
            json!({ "code": 0, "server": "vid-1", "service": "1", "pid": "1", "clients": clients })
                .to_string(),
        )
    }

    async fn kick(State(srs): State<Self>, Path(id): Path<String>) -> String {
        let mut clients = srs.clients.lock().unwrap();
        let before = clients.len();
        clients.retain(|client| client["id"] != id.as_str());
        if clients.len() == before {
            return json!({ "code": 2049 }).to_string();
        }
        srs.gone.lock().unwrap().push(id);
        json!({ "code": 0, "server": "vid-1", "service": "1", "pid": "1" }).to_string()
    }
}

#[tokio::test]
async fn an_operator_empties_a_node_by_command_line_and_its_viewers_come_off_youngest_first() {
    let edges = Edge::start_each(&[CHICAGO, NEW_YORK]).await;
    let (srs, port) = (Srs::with(6), free_port());
    srs.listen(port).await;
    let head = format!(
        "{}[[scrape.credentials]]\nhosts = [\"127.0.0.1\"]\nusername = \"srs\"\npassword_file = \"api.secret\"\n\
         allow_http = true\n",
        scrape_each(500)
    );
    let config = live(&head, &edges);
    let id = edges[0].id.clone();
    let config = config.replacen(
        "processes = [\"srs\"]",
        &format!("processes = [\"srs\"]\nmedia = {{ api = {port} }}"),
        1,
    );
    let service = Service::launch_with(&config, &[("api.secret", "secret\n")], &[], "").await;
    for edge in &edges {
        until_node(&service, &edge.id, "is measured", |node| node["state"] == "healthy").await;
    }
    let url = service.admin_url("");
    let folder = tempfile::tempdir().unwrap();
    let order = |arguments: &[&str]| {
        let arguments = [arguments, &["--url", &url]].concat();
        let output = nearcast(folder.path(), &arguments);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), said)
    };
    let (is_done, said) = order(&["drain", "nowhere", "--evict", "30"]);
    assert!(!is_done && said.contains("no node"), "{said}");
    let (is_done, said) = order(&["drain", &id, "--evict", "9000/min"]);
    assert!(!is_done && said.contains("evict_per_minute must be a whole number, 1 to 6000"), "{said}");
    let (is_done, said) = order(&["drain", &id, "--evict", "3000/min", "--reason", "kernel"]);
    assert!(
        is_done && said.starts_with(&format!("{id} is draining")) && said.contains("3000 a minute"),
        "{said}"
    );
    eventually("everybody is gone", PATIENCE, || async {
        let left = srs.clients.lock().unwrap().len();
        if left == 0 { Ok(()) } else { Err(format!("{left} left: {}", service.log())) }
    })
    .await;
    assert_eq!(*srs.gone.lock().unwrap(), ["v5", "v4", "v3", "v2", "v1", "v0", "pub1"]);
    let drained = node(&service, &id).await;
    assert_eq!(
        (&drained["drain"]["evict_per_minute"], &drained["drain"]["reason"]),
        (&json!(3000), &json!("kernel"))
    );
    let metrics = service.admin("/metrics").await.body;
    assert!(
        metrics.contains("nearcast_evictions_total{cause=\"drain\",outcome=\"kicked\"} 7\n"),
        "{metrics}"
    );
    let log = service.log();
    assert_eq!(log.matches("client sent away").count(), 7, "{log}");
    assert!(log.contains("198.51.100.0/24") && !log.contains("198.51.100.5"), "{log}");
    assert!(!log.contains("secret\n"), "{log}");
    let (is_done, said) = order(&["undrain", &id]);
    assert!(is_done && said.starts_with(&format!("{id} is ")), "{said}");
    assert_eq!(node(&service, &id).await["drain"], Value::Null);
}

/// nginx with its RTMP module: a page of statistics and the control module, no API of SRS.
async fn nginx(port: u16, viewers: usize) -> Arc<Mutex<Vec<String>>> {
    let here: Arc<Mutex<Vec<String>>> = Arc::new(Mutex::new((0..viewers).map(|i| i.to_string()).collect()));
    let gone: Arc<Mutex<Vec<String>>> = Arc::default();
    let (listed, dropped) = (Arc::clone(&here), Arc::clone(&gone));
    let stat = move || async move {
        let here = listed.lock().unwrap();
        let client = |id: &String| {
            format!(
                "<client><id>{id}</id><address>198.51.100.{id}</address><time>{id}000</time><active/></client>"
            )
        };
        let clients: String = here.iter().map(client).collect();
        format!(
            "<rtmp><server><application><name>live</name><live><stream><name>show</name>{clients}</stream></live>\
             </application></server></rtmp>"
        )
    };
    let drop = move |query: axum::extract::RawQuery| async move {
        let query = query.0.unwrap_or_default();
        let id = query.strip_prefix("app=live&name=show&clientid=").unwrap().to_owned();
        here.lock().unwrap().retain(|other| *other != id);
        dropped.lock().unwrap().push(id);
        "1"
    };
    let router = Router::new().route("/stat", get(stat)).route("/control/drop/client", get(drop));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    gone
}

#[tokio::test]
async fn an_edge_of_nginx_rtmp_is_emptied_by_its_control_module() {
    let edges = Edge::start_each(&[CHICAGO, NEW_YORK]).await;
    let port = free_port();
    let gone = nginx(port, 4).await;
    let config = live(&scrape_each(500), &edges);
    let media = format!("processes = [\"srs\"]\nmedia = {{ api = {port} }}");
    let service = Service::launch(&config.replacen("processes = [\"srs\"]", &media, 1)).await;
    for edge in &edges {
        until_node(&service, &edge.id, "is measured", |node| node["state"] == "healthy").await;
    }
    let url = service.admin_url(&format!("/nodes/{}/drain", edges[0].id));
    let reply = super::support::post_json(&url, "{\"evict_per_minute\": 3000}", &[]).await.unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    eventually("everybody is gone", PATIENCE, || async {
        let left = 4 - gone.lock().unwrap().len();
        if left == 0 { Ok(()) } else { Err(format!("{left} left: {}", service.log())) }
    })
    .await;
    assert_eq!(*gone.lock().unwrap(), ["0", "1", "2", "3"], "who came last goes first");
}
