//! Pages over HTTP: who gets them, that nothing of others comes alive in them, and how one logs in.

use super::*;
use crate::http::access::OpsToken;

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
const ORIGIN: (&str, &str) = ("origin", "http://127.0.0.1:8081");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const TOKEN: &str = "0123456789abcdef";
const EVIL: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'";

async fn asked(
    front: &Arc<Front>,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = Request::builder().method(method).uri(target).header("host", "127.0.0.1:8081");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    by_router(front, Side::Ops, PROXY, request.body(Full::from(body.to_owned())).unwrap()).await
}

async fn page(front: &Arc<Front>, target: &str) -> (Answer, String) {
    let answer = asked(front, "GET", target, &[BROWSER], "").await;
    let html = String::from_utf8(answer.body.to_vec()).unwrap();
    (answer, html)
}

fn measured() -> Arc<Front> {
    front_of(Resolver::for_tests_measured())
}

#[tokio::test]
async fn a_browser_gets_pages_where_a_program_gets_json() {
    let front = measured();
    for target in ["/nodes", "/nodes/sh-2", "/explain?domain=live.example.com&ip=198.51.100.7"] {
        let (answer, html) = page(&front, target).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (StatusCode::OK, "text/html; charset=utf-8")
        );
        assert!(html.starts_with("<!doctype html>") && html.contains("</html>"), "{target}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(
            (answer.header("cache-control"), answer.header("referrer-policy")),
            ("no-store", "same-origin")
        );
        // Nothing is asked of anybody else, and no style needs an exception.
        for foreign in ["src=\"http", "href=\"//", "style=\"", "onclick", "<style"] {
            assert!(!html.contains(foreign), "{target}: {foreign}");
        }
        let answer = asked(&front, "GET", target, &[("accept", "*/*")], "").await;
        assert_eq!((answer.header("content-type"), answer.header("vary")), ("application/json", "Accept"));
    }
    let (_, html) = page(&front, "/nodes?state=overloaded").await;
    assert!(
        html.contains("/nodes/sh-2") && !html.contains("/nodes/gz-1\""),
        "the filter counts without a script"
    );
    assert!(html.contains("Hottest process at 86 % of one core; the limit is 80 %"));
    let (answer, html) = page(&front, "/nodes?q=nobody").await;
    assert!(answer.status == StatusCode::OK && html.contains("No node matches"));
}

#[tokio::test]
async fn pages_speak_the_language_of_the_browser() {
    let front = measured();
    let headers = [BROWSER, ("accept-language", "zh-CN,zh;q=0.9,en;q=0.8")];
    let html = asked(&front, "GET", "/nodes", &headers, "").await;
    let html = String::from_utf8(html.body.to_vec()).unwrap();
    assert!(
        html.contains("lang=\"zh-CN\"") && html.contains("还可容纳") && html.contains("最热进程占单核 86 %")
    );
    let chosen = asked(&front, "GET", "/dashboard/lang?to=zh&next=//example.org", &[BROWSER], "").await;
    assert_eq!((chosen.status, chosen.header("location")), (StatusCode::SEE_OTHER, "/nodes"));
    assert!(chosen.header("set-cookie").starts_with("nearcast_lang=zh;"));
}

#[tokio::test]
async fn text_of_others_is_inert_wherever_it_stands() {
    let front = measured();
    let evil = dashboard::encoded(EVIL);
    front.resolver.drain("sh-1", Some(EVIL), None).unwrap();
    front.resolver.note_degraded(EVIL, 3);
    for target in [
        "/nodes".to_owned(),
        "/nodes/sh-1".to_owned(),
        format!("/nodes?q={evil}&pool={evil}&pop={evil}&state={evil}&sort={evil}&event={evil}&region={evil}"),
        format!("/nodes/{evil}"),
        format!("/explain?domain=live.example.com&ip={evil}&stream={evil}"),
        format!("/explain?domain=live.example.com&ip=198.51.100.7&stream={evil}"),
        format!("/explain?domain={evil}"),
        format!("/login?next=/{evil}"),
    ] {
        let (answer, html) = page(&front, &target).await;
        assert!(answer.header("content-type").starts_with("text/html"), "{target}: {answer:?}");
        assert!(!html.contains("<script>") && !html.contains("<img"), "{target}: {html}");
    }
    let (_, html) = page(&front, "/nodes/sh-1").await;
    assert!(html.contains("&#60;script&#62;alert(1)"), "it is shown, as text");
}

#[tokio::test]
async fn a_fleet_with_hostile_names_is_shown_and_harms_nobody() {
    let front = front_of(Resolver::for_tests_named(EVIL));
    for target in ["/nodes", "/explain?domain=live.example.com&ip=114.114.114.114"] {
        let (answer, html) = page(&front, target).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(html.contains("&#60;script&#62;") && !html.contains("<script>"), "{target}: {html}");
    }
    let (answer, html) = page(&front, &format!("/nodes/{}", dashboard::encoded(EVIL))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(html.contains("&#60;script&#62;") && !html.contains("<script>"));
}

#[tokio::test]
async fn a_form_drains_and_a_foreign_page_does_not() {
    let front = front();
    let drained =
        asked(&front, "POST", "/nodes/sh-1/drain", &[FORM, ORIGIN], "reason=kernel+update&ttl_s=3600").await;
    assert_eq!((drained.status, drained.header("location")), (StatusCode::SEE_OTHER, "/nodes/sh-1"));
    let (_, html) = page(&front, "/nodes/sh-1").await;
    assert!(html.contains("kernel update") && html.contains("/nodes/sh-1/undrain"));
    let foreign = ("origin", "https://example.org");
    let undrain = |headers: Vec<(&'static str, &'static str)>| {
        let front = Arc::clone(&front);
        async move { asked(&front, "POST", "/nodes/sh-1/undrain", &headers, "").await }
    };
    undrain(vec![FORM, foreign]).await.is_problem(403, "cross-origin");
    undrain(vec![FORM, ("origin", "null")]).await.is_problem(403, "cross-origin");
    assert_eq!(front.resolver.node("sh-1").unwrap().state, "draining");
    assert_eq!(undrain(vec![FORM, ORIGIN]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(front.resolver.node("sh-1").unwrap().state, "unmeasured");
    for (body, name) in [("ttl_s=x", "ttl_s"), ("ttl_s=0", "ttl_s"), ("reason=a%00b", "reason")] {
        let answer = asked(&front, "POST", "/nodes/sh-1/drain", &[FORM, ORIGIN], body).await;
        assert_eq!(answer.is_problem(400, "invalid-parameter")["invalid_params"][0]["name"], name);
    }
}

#[tokio::test]
async fn a_session_opens_the_pages_and_only_the_token_opens_a_session() {
    let front = measured();
    front.guard_ops(Some(OpsToken::new(TOKEN.as_bytes()).unwrap()));
    let (answer, html) = page(&front, "/nodes?pool=edges").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(html.contains("name=\"token\"") && html.contains("/nodes?pool=edges") && !html.contains("sh-1"));
    asked(&front, "GET", "/nodes", &[("accept", "*/*")], "").await.is_problem(401, "unauthorized");
    asked(&front, "GET", "/board", &[], "").await.is_problem(401, "unauthorized");
    asked(&front, "GET", "/nodes/events", &[("accept", "text/event-stream")], "")
        .await
        .is_problem(401, "unauthorized");
    assert_eq!(asked(&front, "GET", "/dashboard/files/style.css", &[], "").await.status, StatusCode::OK);
    let login = |body: String, origin: (&'static str, &'static str)| {
        let front = Arc::clone(&front);
        async move { asked(&front, "POST", "/login", &[FORM, origin], &body).await }
    };
    assert_eq!(login("token=wrong".into(), ORIGIN).await.status, StatusCode::UNAUTHORIZED);
    login(format!("token={TOKEN}"), ("origin", "https://example.org")).await.is_problem(403, "cross-origin");
    let begun = login(format!("token={TOKEN}&next=%2Fnodes%2Fsh-1"), ORIGIN).await;
    assert_eq!((begun.status, begun.header("location")), (StatusCode::SEE_OTHER, "/nodes/sh-1"));
    let cookie = begun.header("set-cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains(TOKEN),
        "{cookie}"
    );
    let session = ("cookie", cookie.split(';').next().unwrap());
    assert_eq!(asked(&front, "GET", "/nodes", &[BROWSER, session], "").await.status, StatusCode::OK);
    assert_eq!(asked(&front, "GET", "/board", &[session], "").await.status, StatusCode::OK);
    // Another token ends all sessions.
    front.guard_ops(Some(OpsToken::new(b"fedcba9876543210").unwrap()));
    assert_eq!(
        asked(&front, "GET", "/nodes", &[BROWSER, session], "").await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_link_from_elsewhere_is_followed_once_more_by_ourselves() {
    let front = measured();
    front.guard_ops(Some(OpsToken::new(TOKEN.as_bytes()).unwrap()));
    let answer = asked(&front, "GET", "/nodes?q=a", &[BROWSER, ("sec-fetch-site", "cross-site")], "").await;
    let html = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(html.contains("http-equiv=\"refresh\"") && html.contains("url=/nodes?q=a"), "{html}");
}

#[tokio::test]
async fn what_happened_is_told_in_words_too() {
    let front = measured();
    front.resolver.drain("sh-1", Some("kernel"), None).unwrap();
    front.resolver.undrain("sh-1").unwrap();
    let body = asked(&front, "GET", "/events?kind=operator&node=sh-1", &[], "").await.json();
    let events = body["events"].as_array().unwrap();
    assert_eq!((&events[0]["what"], &events[1]["what"]), (&"undrained".into(), &"drained".into()));
    assert_eq!(events[1]["text"], "sh-1 was drained for 0 s: kernel");
    asked(&front, "GET", "/events?kind=x&limit=0", &[], "").await.is_problem(400, "invalid-parameter");
    let (answer, html) = page(&front, "/nodes/sh-9").await;
    assert!(answer.status == StatusCode::NOT_FOUND && html.contains("No node sh-9"));
}

#[tokio::test]
async fn an_empty_fleet_says_what_is_missing() {
    let front = front_of(Resolver::for_tests_empty());
    let (answer, html) = page(&front, "/nodes").await;
    assert!(answer.status == StatusCode::OK && html.contains("No nodes yet") && html.contains("[[nodes]]"));
    assert_eq!(asked(&front, "GET", "/board", &[], "").await.json()["rows"], serde_json::json!([]));
}

#[tokio::test]
async fn files_are_asked_for_again_and_mostly_known() {
    let front = measured();
    let file = asked(&front, "GET", "/dashboard/files/nodes.js", &[], "").await;
    assert_eq!((file.status, file.header("cache-control")), (StatusCode::OK, "no-cache"));
    let tag = file.header("etag").to_owned();
    let again = asked(&front, "GET", "/dashboard/files/nodes.js", &[("if-none-match", &tag)], "").await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    asked(&front, "GET", "/dashboard/files/passwd", &[], "").await.is_problem(404, "not-found");
    // Every part that the module imports is there.
    for name in [
        "nodes.js",
        "store.js",
        "table.js",
        "map.js",
        "timeline.js",
        "summary.js",
        "sentences.js",
        "skyline.js",
    ] {
        let body = asked(&front, "GET", &format!("/dashboard/files/{name}"), &[], "").await.body;
        let text = String::from_utf8(body.to_vec()).unwrap();
        for part in text.split("from './").skip(1).map(|rest| rest.split('\'').next().unwrap()) {
            let part = asked(&front, "GET", &format!("/dashboard/files/{part}"), &[], "").await;
            assert_eq!(part.status, StatusCode::OK);
        }
    }
}
