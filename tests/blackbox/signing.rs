//! Signed questions and answers, through the real binary, and keys that change.

use ring::hmac;

use super::stage::{CHICAGO, Edge, live, scrape_each};
use super::support::{Reply, Service, nearcast};

const OLD: &str = "the key of last month";
const NEW: &str = "the key of this month";

fn signed(edges: &[Edge], keys: &str, required: bool) -> String {
    let config = live(&scrape_each(500), edges);
    let name = "name = \"live.example.com\"\n";
    assert!(config.contains(name), "{config}");
    let pool = config.lines().find(|line| line.starts_with("pool = ")).unwrap();
    let with = format!("{name}keys = [{keys}]\nrequire_signature = {required}\n");
    let open = format!("[[domains]]\nname = \"open.example\"\n{pool}\n");
    format!("{}\n{open}", config.replace(name, &with))
}

/// What `nearcast sign` makes of a question, with a key that is in a file only for that long.
fn sign(key: &str, question: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.key"), key).unwrap();
    let output = nearcast(folder.path(), &["sign", "--key", "a.key", question]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Whether an answer's signature is of this key, this query and its own body.
#[track_caller]
fn is_genuine(reply: &Reply, query: &str, key: &str) -> bool {
    let header = reply.header("x-nearcast-signature");
    let field = |name: &str| header.split(',').find_map(|pair| pair.strip_prefix(name)).unwrap_or_default();
    let mut pairs: Vec<&str> = query.split('&').collect();
    pairs.sort_unstable();
    let message = format!("nearcast answer v1\n{}\n{}\n{}", field("t="), pairs.join("&"), reply.body);
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), message.as_bytes());
    let mac: String = mac.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    field("v1=") == mac
}

#[tokio::test]
async fn a_domain_with_keys_answers_only_who_has_one_and_proves_who_answers() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let service = Service::launch_with(
        &signed(&edges, "\"new.key\", \"old.key\"", true),
        &[("new.key", NEW), ("old.key", OLD)],
        &[],
        "",
    )
    .await;
    let ask = async |query: &str| service.get(&format!("/resolve?{query}")).await;
    for key in [OLD, NEW] {
        let query = sign(key, "domain=live.example.com&n=1&nonce=7f3a");
        let reply = ask(&query).await;
        assert_eq!(reply.status, 200, "{reply:#?}");
        // The first key signs, whichever the player has.
        assert!(is_genuine(&reply, &query, NEW), "{reply:#?}");
        assert!(!is_genuine(&reply, &query, OLD) && !is_genuine(&reply, &query.replace("7f3a", "7f3b"), NEW));
        let head = super::support::client().head(service.player_url(&format!("/resolve?{query}")));
        assert_eq!(head.send().await.unwrap().status(), 200);
    }
    let good = sign(NEW, "domain=live.example.com&n=1");
    for bad in [
        "domain=live.example.com".to_owned(),
        good.replace("n=1", "n=2"),
        sign("a key of nobody here", "domain=live.example.com"),
    ] {
        let reply = ask(&bad).await;
        assert_eq!(
            (reply.status, reply.json()["code"].as_str()),
            (403, Some("bad-signature")),
            "{bad}: {reply:#?}"
        );
    }
    let other = ask("domain=open.example").await;
    assert_eq!((other.status, other.header("x-nearcast-signature")), (200, ""));
}

#[tokio::test]
async fn a_key_goes_with_a_reload_and_a_missing_file_changes_nothing() {
    let edges = Edge::start_each(&[CHICAGO]).await;
    let both = signed(&edges, "\"new.key\", \"old.key\"", true);
    let service = Service::launch_with(&both, &[("new.key", NEW), ("old.key", OLD)], &[], "").await;
    let old = format!("/resolve?{}", sign(OLD, "domain=live.example.com"));
    assert_eq!(service.get(&old).await.status, 200);
    service.rewrite(&signed(&edges, "\"nowhere.key\"", true));
    let reply = service.reload().await;
    let said = reply.json()["mistakes"][0]["message"].as_str().unwrap().to_owned();
    assert!(said.contains("keys of live.example.com: cannot read") && said.contains("nowhere.key"), "{said}");
    assert_eq!(service.get(&old).await.status, 200);
    service.rewrite(&signed(&edges, "\"new.key\"", true));
    assert_eq!(service.reload().await.status, 200);
    assert_eq!(service.get(&old).await.status, 403);
    assert_eq!(service.get(&format!("/resolve?{}", sign(NEW, "domain=live.example.com"))).await.status, 200);
}
