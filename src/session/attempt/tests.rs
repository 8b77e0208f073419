//! What a plan does after each kind of failure, without a network: which attempts follow, and what they tell to whom.

use super::*;
use crate::amf::Value;
use crate::session::login::{Credentials, LoginFault};
use crate::session::redirect::Redirects;
use crate::session::{Intent, Level, PublishKind};

const NEED_AUTH: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
const CHALLENGE: &str = "[ AccessManager.Reject ] : [ authmod=adobe ] : \
                         ?reason=needauth&user=bob&salt=NDU=&challenge=NjA4NDEzNzg0&opaque=NjA4NDEzNzg0";
const WRONG: &str = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed&opaque=x";

/// All that may be secret, on one host.
fn wanted() -> ClientConfig {
    let intent = Intent::Publish {
        kind: PublishKind::Live,
    };
    ClientConfig {
        credentials: Credentials::new("bob", "s3cret".into()),
        secure_token: Some("tOkEn".into()),
        usher_token: Some("uShEr".into()),
        connect_arguments: vec![Value::from("aRg")],
        swf_url: Some("http://a/x?sWf".into()),
        page_url: Some("http://a/x?pAgE".into()),
        subscribe: Some("sUbScRiBe".into()),
        ..ClientConfig::new(
            intent,
            "live?auth=aUtH".into(),
            "rtmp://a.example/live?auth=aUtH".into(),
            "kEy".into(),
            [5; 32],
        )
    }
}

fn plan_at(location: &str, config: ClientConfig) -> Plan {
    Plan::new(RtmpUrl::parse(location).expect("a good URL"), Arc::new(config))
}

fn plan(config: ClientConfig) -> Plan {
    plan_at("rtmp://a.example/live?auth=aUtH/kEy", config)
}

fn rejected(phase: Phase, description: &str, info: Value) -> Error {
    let code = "NetConnection.Connect.Rejected".to_owned();
    let status = Status {
        level: Level::Error,
        code,
        description: description.to_owned(),
        info,
    };
    Error::Rejected {
        phase,
        status: Box::new(status),
    }
}

fn refused(description: &str) -> Error {
    rejected(Phase::Connect, description, Value::Null)
}

fn redirected(redirect: &str, redirect2: &str) -> Error {
    let ex = Value::object([
        ("code", Value::from(302.0)),
        ("redirect", redirect.into()),
        ("redirect2", redirect2.into()),
    ]);
    rejected(Phase::Publish, "", Value::object([("ex", ex)]))
}

fn fail(plan: &mut Plan, error: Error) -> Result<String, Error> {
    let phase = match &error {
        Error::Rejected { phase, .. } | Error::TimedOut(phase) | Error::Disconnected(phase) => *phase,
        _ => Phase::Connect,
    };
    let detour = plan.handle_failure(phase, error);
    detour.map(|detour| detour.to_string())
}

fn redirect_fault(result: Result<String, Error>) -> Option<RedirectFault> {
    match result {
        Err(Error::Redirect { fault, .. }) => Some(fault),
        _ => None,
    }
}

/// Everything that an attempt says, in one text.
fn told(plan: &mut Plan) -> String {
    let attempt = plan.attempt();
    let config = &attempt.config;
    format!(
        "{}://{}:{} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        attempt.url.scheme(),
        attempt.url.host(),
        attempt.url.port(),
        config.application,
        config.tc_url,
        config.stream,
        config.credentials.as_ref().map(Credentials::user),
        config.secure_token.as_ref().map(Secret::expose),
        config.usher_token.as_ref().map(Secret::expose),
        config.connect_arguments,
        config.swf_url,
        config.page_url,
        config.subscribe,
    )
}

#[test]
fn a_login_appends_to_application_and_tc_url_alike() {
    let mut plan = plan(wanted());
    assert_eq!(plan.attempt().config.application, "live?auth=aUtH");
    for (description, detour, begins) in [
        (
            NEED_AUTH,
            "the server asks for a login by authmod=adobe",
            "?authmod=adobe&user=bob",
        ),
        (
            CHALLENGE,
            "answering the challenge of authmod=adobe",
            "?authmod=adobe&user=bob&challenge=",
        ),
    ] {
        assert_eq!(fail(&mut plan, refused(description)).unwrap(), detour);
        let config = plan.attempt().config;
        let [application, tc_url] =
            [&config.application, &config.tc_url].map(|text| text.to_str_lossy().into_owned());
        let suffix = application.strip_prefix("live?auth=aUtH").unwrap();
        assert!(suffix.starts_with(begins), "{suffix}");
        assert_eq!(tc_url, format!("rtmp://a.example/live?auth=aUtH{suffix}"));
        assert_eq!(config.stream, "kEy");
    }
    let attempt = plan.attempt();
    let application = attempt.config.application.to_str_lossy().into_owned();
    let response = application
        .split("response=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    let shown = attempt
        .url
        .scrub(&format!("{response} NjA4NDEzNzg0 NDU= bob said"));
    assert_eq!(shown, "*** *** *** bob said");
    let error = fail(&mut plan, refused(WRONG)).unwrap_err();
    assert!(
        matches!(&error, Error::Login { fault: LoginFault::Refused, status } if status.description == WRONG)
    );
}

#[test]
fn every_attempt_has_its_own_random_bytes() {
    let mut plan = plan(wanted());
    let seeds: Vec<_> = (0..3).map(|_| plan.attempt().config.entropy).collect();
    assert_ne!(seeds[0], seeds[1]);
    assert_ne!(seeds[1], seeds[2]);
    assert!(!seeds.contains(&[5; 32]));
}

#[test]
fn a_refusal_for_other_reasons_is_final() {
    for phase in [Phase::Connect, Phase::Publish, Phase::Play] {
        let mut plan = plan(wanted());
        let error = rejected(phase, "no such application", Value::Null);
        assert_eq!(plan.handle_failure(phase, error.clone()).unwrap_err(), error);
    }
    // A publish that is refused in the words of a login is none.
    let mut plan = plan(wanted());
    let error = rejected(Phase::Publish, NEED_AUTH, Value::Null);
    assert_eq!(fail(&mut plan, error.clone()), Err(error));
}

#[test]
fn a_server_that_stumbles_gets_another_chance_in_lock_step_and_only_one() {
    for (phase, error) in [
        (Phase::Connect, Error::Disconnected(Phase::Connect)),
        (Phase::Connect, Error::TimedOut(Phase::Connect)),
        (Phase::Connect, Error::PeerMisbehaved("x")),
        (Phase::CreateStream, Error::Disconnected(Phase::CreateStream)),
        (Phase::CreateStream, Error::TimedOut(Phase::CreateStream)),
        (
            Phase::Connect,
            rejected(Phase::CreateStream, "what is createStream", Value::Null),
        ),
    ] {
        let mut plan = plan(wanted());
        assert!(plan.attempt().config.one_flight);
        assert!(matches!(
            plan.handle_failure(phase, error.clone()),
            Ok(Detour::LockStep)
        ));
        assert!(!plan.attempt().config.one_flight);
        assert_eq!(plan.handle_failure(phase, error.clone()).unwrap_err(), error);
        // What follows stays in lock-step.
        assert!(fail(&mut plan, refused(NEED_AUTH)).is_ok());
        assert!(!plan.attempt().config.one_flight);
        assert!(fail(&mut plan, redirected("rtmp://a.example/other", "")).is_ok());
        assert!(!plan.attempt().config.one_flight);
    }
    for (phase, error) in [
        (Phase::Handshake, Error::Disconnected(Phase::Handshake)),
        (Phase::Handshake, Error::TimedOut(Phase::Handshake)),
        (Phase::Publish, Error::Disconnected(Phase::Publish)),
        (Phase::Play, Error::TimedOut(Phase::Play)),
        (Phase::Connect, Error::ApiMisuse("x")),
        (Phase::Connect, refused("no")),
    ] {
        let mut plan = plan(wanted());
        assert_eq!(plan.handle_failure(phase, error.clone()).unwrap_err(), error);
    }
}

#[test]
fn a_refused_connect_that_asks_for_a_login_is_no_stumble() {
    let mut plan = plan(wanted());
    assert!(fail(&mut plan, refused(NEED_AUTH)).is_ok());
    assert!(plan.attempt().config.one_flight);
    assert!(fail(&mut plan, redirected("rtmp://a.example/other", "")).is_ok());
    assert!(plan.attempt().config.one_flight);
}

#[test]
fn a_redirect_on_the_same_host_takes_everything_along() {
    let mut plan = plan(wanted());
    assert!(fail(&mut plan, refused(NEED_AUTH)).is_ok());
    let detour = fail(&mut plan, redirected("rtmps://A.example:444/edge", ""));
    assert_eq!(detour.unwrap(), "redirected to rtmps://A.example:444/edge/***");
    assert_eq!(
        told(&mut plan),
        concat!(
            r#"rtmps://A.example:444 "edge?auth=aUtH" "rtmps://A.example:444/edge?auth=aUtH" "kEy" Some("bob") "#,
            r#"Some("tOkEn") Some("uShEr") [String("aRg")] Some("http://a/x?sWf") Some("http://a/x?pAgE") "#,
            r#"Some("sUbScRiBe")"#
        )
    );
    // The login begins anew.
    assert!(fail(&mut plan, refused(NEED_AUTH)).is_ok());
}

#[test]
fn a_redirect_elsewhere_takes_no_secret_along() {
    let mut plan = plan(wanted());
    assert!(
        fail(
            &mut plan,
            redirected("rtmp://b.example/live", "rtmp://b.example/live/theirs?x=y")
        )
        .is_ok()
    );
    assert_eq!(
        told(&mut plan),
        r#"rtmp://b.example:1935 "live" "rtmp://b.example/live" "theirs?x=y" None None None [] None None None"#
    );
    assert!(!plan.is_trusted());
    // Nor does it log in there.
    let error = fail(&mut plan, refused(NEED_AUTH)).unwrap_err();
    assert!(matches!(
        error,
        Error::Login {
            fault: LoginFault::NoCredentials(_),
            ..
        }
    ));
    // What was secret is so still, whoever repeats it.
    let url = plan.attempt().url;
    assert_eq!(url.scrub("kEy aUtH theirs"), "*** *** ***");

    // Without a stream of its own it is not followed at all.
    let mut plan = self::plan(wanted());
    let fault = redirect_fault(fail(&mut plan, redirected("rtmp://b.example/live", "")));
    assert_eq!(fault, Some(RedirectFault::Untrusted));
}

#[test]
fn a_host_that_the_user_has_named_is_trusted() {
    let mut plan = plan(ClientConfig {
        redirects: Redirects {
            hosts: vec!["*.example".to_owned()],
            ..Redirects::default()
        },
        ..wanted()
    });
    assert!(fail(&mut plan, redirected("rtmp://b.example/live?own=1", "")).is_ok());
    assert!(plan.is_trusted());
    let told = told(&mut plan);
    // It has a query of its own, so it does not get the other one.
    assert!(
        told.starts_with(
            r#"rtmp://b.example:1935 "live?own=1" "rtmp://b.example/live?own=1" "kEy" Some("bob")"#
        ),
        "{told}"
    );
}

#[test]
fn redirects_end() {
    let mut plan = plan(wanted());
    for count in 1..=3 {
        assert!(fail(&mut plan, redirected(&format!("rtmp://a.example/{count}"), "")).is_ok());
    }
    let fourth = redirect_fault(fail(&mut plan, redirected("rtmp://a.example/4", "")));
    assert_eq!(fourth, Some(RedirectFault::TooMany));

    for back in [
        "rtmp://a.example/live",
        "rtmp://A.EXAMPLE:1935/live/",
        "rtmp://a.example/live/kEy",
    ] {
        let mut plan = self::plan(wanted());
        let at_once = redirect_fault(fail(&mut plan, redirected(back, "")));
        assert_eq!(at_once, Some(RedirectFault::Circular), "{back}");
        assert!(fail(&mut plan, redirected("rtmp://a.example/other", "")).is_ok());
        let later = redirect_fault(fail(&mut plan, redirected(back, "")));
        assert_eq!(later, Some(RedirectFault::Circular), "{back}");
    }

    let mut plan = self::plan(ClientConfig {
        redirects: Redirects {
            follow: false,
            ..Redirects::default()
        },
        ..wanted()
    });
    let unwanted = redirect_fault(fail(&mut plan, redirected("rtmp://a.example/other", "")));
    assert_eq!(unwanted, Some(RedirectFault::Disabled));
    let unusable = redirect_fault(fail(
        &mut self::plan(wanted()),
        redirected("http://a.example/", ""),
    ));
    assert_eq!(unusable, Some(RedirectFault::Unusable));
}

#[test]
fn encryption_is_not_given_up_unless_allowed() {
    for (from, to, is_weaker) in [
        ("rtmps", "rtmp", true),
        ("rtmps", "rtmpe", true),
        ("rtmpts", "rtmpt", true),
        ("rtmpe", "rtmp", true),
        ("rtmpte", "rtmpt", true),
        ("rtmps", "rtmpts", false),
        ("rtmpts", "rtmps", false),
        ("rtmp", "rtmpt", false),
        ("rtmpt", "rtmp", false),
        ("rtmp", "rtmps", false),
        ("rtmpe", "rtmps", false),
    ] {
        let location = format!("{from}://a.example/live/kEy");
        let elsewhere = format!("{to}://a.example/other");
        let mut plan = plan_at(&location, wanted());
        let result = fail(&mut plan, redirected(&elsewhere, ""));
        let expected = is_weaker.then_some(RedirectFault::Unencrypted);
        assert_eq!(redirect_fault(result), expected, "{from} {to}");

        let mut config = wanted();
        config.redirects.to_unencrypted = true;
        let mut plan = plan_at(&location, config);
        assert!(fail(&mut plan, redirected(&elsewhere, "")).is_ok(), "{from} {to}");
    }
}

#[test]
fn the_handshake_is_that_of_the_scheme() {
    for (first, to, expected) in [
        (Style::Digest, "rtmpe", Style::Rtmpe),
        (Style::Rtmpe, "rtmps", Style::Digest),
        (Style::Rtmpe, "rtmpte", Style::Rtmpe),
        (Style::Simple, "rtmp", Style::Simple),
    ] {
        let mut plan = plan(ClientConfig {
            handshake: first,
            ..wanted()
        });
        assert!(fail(&mut plan, redirected(&format!("{to}://a.example/other"), "")).is_ok());
        assert_eq!(plan.attempt().config.handshake, expected, "{to}");
    }
}

#[test]
fn ambiguous_keys_are_changed_once_and_cost_no_fall_back() {
    let mut plan = plan(wanted());
    let first = plan.attempt().config.entropy;
    assert!(matches!(plan.handle_ambiguous_keys(), Some(Detour::OtherKeys)));
    let second = plan.attempt().config;
    assert!(second.one_flight);
    assert_ne!(first, second.entropy);
    assert!(plan.handle_ambiguous_keys().is_none());
}

#[test]
fn debug_shows_no_secret() {
    let mut plan = plan(wanted());
    fail(&mut plan, refused(NEED_AUTH)).unwrap();
    fail(&mut plan, refused(CHALLENGE)).unwrap();
    let shown = format!("{plan:?} {:?}", plan.attempt());
    for secret in ["aUtH", "kEy", "s3cret", "tOkEn", "NjA4", "response"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
