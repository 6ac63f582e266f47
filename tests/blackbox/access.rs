//! Who may see the fleet: operators with the token, and nobody by way of the player side.

use super::stage::{CHICAGO, Edge, LONDON, TOKYO, US, ips, live, resolve, scrape_each};
use super::support::{Service, get_with, nearcast};

const TOKEN: &str = "an-operators-token-of-tests";

/// A configuration with that token in a file beside it.
fn guarded(folder: &std::path::Path, edges: &[Edge]) -> String {
    let file = folder.join("admin.token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let server = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nadmin_token_file = \"{}\"\n\n{}",
        file.display(),
        scrape_each(500)
    );
    live(&server, edges)
}

#[tokio::test]
async fn operators_without_the_token_see_only_that_the_service_lives() {
    let edges = Edge::start_each(&[CHICAGO, LONDON]).await;
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(&guarded(folder.path(), &edges)).await;
    for path in ["/nodes", "/nodes/chicago-1", "/metrics", "/openapi.yaml", "/geo?ip=8.8.8.8", "/nowhere"] {
        for header in [None, Some("Bearer an-operators-token-of-test"), Some("Basic eDp5")] {
            let headers: Vec<_> = header.map(|value| ("authorization", value)).into_iter().collect();
            let reply = get_with(&service.admin_url(path), &headers).await.unwrap();
            assert_eq!(reply.status, 401, "{path} {header:?}: {reply:#?}");
            assert_eq!(reply.json()["code"], "unauthorized");
            assert_eq!(reply.header("content-type"), "application/problem+json");
            assert!(reply.header("www-authenticate").starts_with("Bearer "), "{reply:#?}");
            assert!(!reply.body.contains("chicago"), "{reply:#?}");
        }
    }
    let right = format!("Bearer {TOKEN}");
    for path in ["/nodes", "/metrics"] {
        let reply = get_with(&service.admin_url(path), &[("authorization", &right)]).await.unwrap();
        assert_eq!(reply.status, 200, "{path}: {reply:#?}");
    }
    for path in ["/livez", "/readyz", "/readyz?verbose"] {
        let reply = service.admin(path).await;
        assert_eq!(reply.status, 200, "{path}: {reply:#?}");
        assert!(!reply.body.contains("chicago"), "{reply:#?}");
    }
    assert!(!service.log().contains(TOKEN), "the log has the token in it");
}

#[test]
fn a_public_operators_side_without_a_token_is_refused_by_key_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[server]\nadmin_listen = \"0.0.0.0:8081\"\n[[pools]]\nname = \"edges\"\n[[nodes]]\nid = \"a\"\n\
                pool = \"edges\"\naddresses = [\"203.0.113.1\"]\n[[domains]]\nname = \"live.example.com\"\n\
                pool = \"edges\"\n";
    std::fs::write(folder.path().join("open.toml"), text).unwrap();
    for arguments in [&["check", "open.toml"][..], &["serve", "--config", "open.toml"]] {
        let output = nearcast(folder.path(), arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("admin_listen: 0.0.0.0:8081") && said.contains("open.toml:2:"), "{said}");
    }
    let guarded = text.replace("[[pools]]", "admin_token_file = \"admin.token\"\n[[pools]]");
    std::fs::write(folder.path().join("guarded.toml"), guarded).unwrap();
    let output = nearcast(folder.path(), &["check", "guarded.toml"]);
    assert!(output.status.success(), "{output:?}");
    let output = nearcast(folder.path(), &["serve", "--config", "guarded.toml"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("server.admin_token_file: cannot read"), "{said}");
}

#[tokio::test]
async fn player_side_answers_name_no_node_that_is_not_in_them() {
    let edges = Edge::start_each(&[CHICAGO, LONDON, TOKYO]).await;
    let service = Service::start(&live(&scrape_each(500), &edges)).await;
    let answer = resolve(&service, &format!("ip={US}&n=1&detail=1")).await;
    let chosen = ips(&answer)[0].to_owned();
    let others: Vec<&Edge> = edges.iter().filter(|edge| edge.ip != chosen).collect();
    assert_eq!(others.len(), 2, "{answer}");
    let question = format!("/resolve?domain=live.example.com&ip={US}&n=1");
    let other = &others[0].ip;
    for path in [
        question.clone(),
        format!("{question}&detail=1"),
        format!("{question}&format=text"),
        format!("{question}&current={chosen}"),
        format!("{question}&type=AAAA"),
        format!("{question}&n=0"),
        "/resolve".to_owned(),
        "/resolve?domain=nowhere.example".to_owned(),
        "/".to_owned(),
        "/livez".to_owned(),
        "/readyz?verbose".to_owned(),
        "/nodes".to_owned(),
        format!("/nodes/{}", others[0].id),
        "/explain?domain=live.example.com&ip=8.8.8.8".to_owned(),
        "/metrics".to_owned(),
        "/openapi.yaml".to_owned(),
    ] {
        let reply = service.get(&path).await;
        let all = format!("{} {:?}", reply.body, reply.headers);
        for edge in &others {
            assert!(!all.contains(&edge.id) && !all.contains(&format!("{}\"", edge.ip)), "{path}: {all}");
        }
    }
    // The look is worth something only if those who are named would be found.
    assert!(service.admin("/nodes").await.body.contains(other.as_str()));
}
