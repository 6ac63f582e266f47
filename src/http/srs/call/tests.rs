use super::*;

const PUBLISH: &str = r#"{"server_id":"vid-1","service_id":"s","action":"on_publish","client_id":"c","ip":"198.51.100.1","vhost":"__defaultVhost__","app":"live","tcUrl":"rtmp://h/live","stream":"a","param":"?token=abc"}"#;

fn json(hook: Hook, body: &str) -> Result<Call, CallError> {
    Call::read(Dialect::Srs, hook, body.as_bytes())
}

fn form(hook: Hook, body: &str) -> Result<Call, CallError> {
    Call::read(Dialect::NginxRtmp, hook, body.as_bytes())
}

#[test]
fn a_call_of_srs_is_read_whatever_its_version_adds_or_lacks() {
    let call = json(Hook::Publish, PUBLISH).unwrap();
    let name = StreamName::new("", "live", "a").unwrap();
    assert_eq!(call.name, Some(name.clone()));
    assert_eq!((&*call.client, call.ip), ("c", "198.51.100.1".parse().ok()));
    assert_eq!(call.identity, Identity::new("vid-1", "s", ""));
    // 4.0 tells no service, 3.0 no server, and numbers its clients.
    let old =
        json(Hook::Publish, r#"{"action":"on_publish","client_id":107,"app":"live","stream":"a"}"#).unwrap();
    assert_eq!((&*old.client, old.name, old.identity), ("107", Some(name), Identity::default()));
    let close = r#"{"action":"on_close","client_id":"c","ip":"no address","vhost":"v","app":"live"}"#;
    let close = json(Hook::Close, close).unwrap();
    assert_eq!((close.name, close.ip), (None, None));
}

#[test]
fn a_form_of_nginx_rtmp_is_read_and_the_clients_own_query_does_not_count() {
    let body = "app=live&flashver=FMLE/3.0&tcurl=rtmp%3A%2F%2Fh%2Flive&addr=198.51.100.1&clientid=7&call=publish\
                &name=a%20b&type=live&name=forged&call=play&x";
    let call = form(Hook::Publish, body).unwrap();
    assert_eq!(call.name, Some(StreamName::new("", "live", "a b").unwrap()));
    assert_eq!((&*call.client, call.ip), ("7", "198.51.100.1".parse().ok()));
    for (call, word) in [
        ("connect", "on_connect"),
        ("disconnect", "on_disconnect"),
        ("publish_done", "on_publish_done"),
        ("play", "on_play"),
        ("play_done", "on_play_done"),
    ] {
        let hook = Hook::of_path(word).unwrap();
        assert!(form(hook, &format!("call={call}&app=live&name=a")).is_ok(), "{call}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let cases: [(&str, &str); 12] = [
        ("", "the body is no JSON object"),
        ("[1]", "the body is no JSON object"),
        (&PUBLISH[..PUBLISH.len() / 2], "the body is no JSON object"),
        ("{}", "action is missing"),
        (r#"{"action":7}"#, "action must be a string"),
        (
            r#"{"action":"on_play","app":"live","stream":"a"}"#,
            "the body tells of on_play, the path of on_publish",
        ),
        (r#"{"action":"on_publish","stream":"a"}"#, "app is missing"),
        (r#"{"action":"on_publish","app":"live"}"#, "stream is missing"),
        (r#"{"action":"on_publish","app":"live","stream":["a"]}"#, "stream must be a string"),
        (r#"{"action":"on_publish","app":"live","stream":""}"#, "app and stream must not be empty"),
        (
            r#"{"action":"on_publish","app":"live","stream":"a\nb"}"#,
            "vhost, app and stream must not hold control characters",
        ),
        (r#"{"action":"on_publish","app":"live","stream":"a","vhost":{}}"#, "vhost must be a string"),
    ];
    for (body, why) in cases {
        assert_eq!(json(Hook::Publish, body).unwrap_err().to_string(), why, "{body}");
    }
    for (body, why) in [
        ("", "call is missing"),
        ("call=publish&app=live", "name is missing"),
        ("call=publish&name=a", "app is missing"),
        ("call=%zz&app=live", "the body is no form"),
        ("call=play&app=live&name=a", "the body tells of play, the path of on_publish"),
        ("call=publish&app=live&name=", "app and stream must not be empty"),
    ] {
        assert_eq!(form(Hook::Publish, body).unwrap_err().to_string(), why, "{body}");
    }
    assert_eq!(Call::read(Dialect::NginxRtmp, Hook::Play, b"\xff"), Err(CallError::NotForm));
}

#[test]
fn every_hook_has_a_word_of_its_own() {
    for hook in Hook::ALL {
        let found = if hook == Hook::Record { Hook::of_path("on_hls") } else { Hook::of_path(hook.as_str()) };
        assert_eq!(found, Some(hook));
    }
    assert_eq!(Hook::of_path("on_fire"), None);
}

/// As nginx-rtmp 1.1.4 says it of the session by which it pulls.
#[test]
fn what_nginx_pulls_itself_is_no_publication() {
    let own = |call, hook| {
        form(hook, &format!("call={call}&app=&addr=127.0.0.11:1935/live/show&name=show")).unwrap().name
    };
    assert_eq!([own("publish", Hook::Publish), own("publish_done", Hook::Unpublish)], [None, None]);
    assert!(form(Hook::Play, "call=play&app=&name=show").is_err());
}
