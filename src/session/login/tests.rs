//! Golden vectors (checked against FFmpeg 5.1 and rtmp2sink 1.22 on the wire), the branches of a client's login, and
//! both sides against each other.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn bob() -> Credentials {
    Credentials::new("bob", "s3cret".into()).expect("a fit name")
}

fn login(mode: Authmod) -> Login {
    Login::new(mode, Some(bob()))
}

/// What a login makes of a description.
fn meet(login: &mut Login, description: &str) -> Option<Result<Step, LoginFault>> {
    login.handle_refusal(description, "live", &mut Entropy::new([1; 32]), &mut Vec::new())
}

fn suffix(login: &Login) -> String {
    login
        .suffix()
        .map_or_else(String::new, |suffix| suffix.expose().to_owned())
}

const NAME_ADOBE: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
const NAME_LLNW: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=llnw ] : ";
const ANSWER_ADOBE: &str = "[ AccessManager.Reject ] : [ authmod=adobe ] : \
                            ?reason=needauth&user=bob&salt=NDU=&challenge=NjA4NDEzNzg0&opaque=NjA4NDEzNzg0";
const ANSWER_LLNW: &str =
    "[ AccessManager.Reject ] : [ authmod=llnw ] : ?reason=needauth&user=bob&nonce=1c6d4f8b2a";

#[test]
fn golden_answers_of_adobe() {
    for (salt, challenge, opaque, nonce, response) in [
        (
            "NDU=",
            "NjA4NDEzNzg0",
            "NjA4NDEzNzg0",
            "10752e76",
            "svV895ImxnIpaaDP+gLnlA==",
        ),
        (
            "MjA2OTIyMzI5OA==",
            "OTUwMjY0NjQ5",
            "",
            "10752e76",
            "leJM5Ggg8ZA5bvvQNcnw/Q==",
        ),
        (
            "NDU=",
            "NjA4NDEzNzg0",
            "vgoAAA==",
            "EHUudg==",
            "esVTSsAG2G7QEQJUTghNpA==",
        ),
    ] {
        let description = format!(
            "authmod=adobe ?reason=needauth&user=bob&salt={salt}&challenge={challenge}&opaque={opaque}"
        );
        let Some(Demand::Answer(Scheme::Adobe, Ok(parameters))) = Demand::read(&description, None) else {
            panic!("{description}");
        };
        let answer = adobe::answer(&bob(), &parameters, nonce).unwrap();
        assert_eq!(answer.response, response);
        let opaque = if opaque.is_empty() {
            String::new()
        } else {
            format!("&opaque={opaque}")
        };
        assert_eq!(
            answer.parameters,
            format!("challenge={nonce}&response={response}{opaque}")
        );
    }
}

#[test]
fn golden_answers_of_llnw() {
    for (application, response) in [
        ("live", "a8f3ccdd643e04090a4f0ceea1b3cbf6"),
        ("live?vhost=x", "a8f3ccdd643e04090a4f0ceea1b3cbf6"),
        ("live/inst", "8b8e8851ecfdcea92ed20a29657b38df"),
    ] {
        let Some(Demand::Answer(Scheme::Llnw, Ok(parameters))) = Demand::read(ANSWER_LLNW, None) else {
            panic!("{ANSWER_LLNW}");
        };
        let answer = llnw::answer(&bob(), &parameters, application, "4a0dc6c7").unwrap();
        assert_eq!(
            answer.parameters,
            format!("nonce=1c6d4f8b2a&cnonce=4a0dc6c7&nc=00000001&response={response}")
        );
    }
}

#[test]
fn three_steps_lead_to_an_answer() {
    for (scheme, name, challenge) in [
        (Scheme::Adobe, NAME_ADOBE, ANSWER_ADOBE),
        (Scheme::Llnw, NAME_LLNW, ANSWER_LLNW),
    ] {
        let mut login = login(Authmod::Auto);
        assert_eq!(suffix(&login), "");
        assert_eq!(meet(&mut login, name), Some(Ok(Step::Name(scheme))));
        assert_eq!(suffix(&login), format!("?authmod={scheme}&user=bob"));
        assert_eq!(meet(&mut login, challenge), Some(Ok(Step::Answer(scheme))));
        let whole = suffix(&login);
        assert!(
            whole.starts_with(&format!("?authmod={scheme}&user=bob&")),
            "{whole}"
        );
        assert!(whole.contains("&response="), "{whole}");
        // Whatever comes now is the end.
        for (again, fault) in [
            (name, LoginFault::AskedAgain),
            (challenge, LoginFault::AskedAgain),
            (
                &*format!("authmod={scheme} ?reason=authfailed"),
                LoginFault::Refused,
            ),
        ] {
            assert_eq!(meet(&mut login, again), Some(Err(fault)));
        }
    }
}

#[test]
fn a_chosen_scheme_names_the_user_at_once() {
    let mut login = login(Authmod::Only(Scheme::Llnw));
    assert_eq!(suffix(&login), "?authmod=llnw&user=bob");
    assert_eq!(meet(&mut login, NAME_LLNW), Some(Err(LoginFault::AskedAgain)));
    assert_eq!(
        meet(&mut login, ANSWER_LLNW),
        Some(Ok(Step::Answer(Scheme::Llnw)))
    );
}

#[test]
fn texts_without_brackets_and_scheme_are_read() {
    // mediamtx.
    let mut login = login(Authmod::Auto);
    let name = "code=403 need auth; authmod=adobe";
    assert_eq!(meet(&mut login, name), Some(Ok(Step::Name(Scheme::Adobe))));
    let challenge = "authmod=adobe ?reason=needauth&user=bob&salt=testsalt&challenge=testchallenge";
    assert_eq!(meet(&mut login, challenge), Some(Ok(Step::Answer(Scheme::Adobe))));
    assert!(!suffix(&login).contains("opaque"));
    // The scheme that is in use need not be repeated.
    assert_eq!(
        meet(&mut login, "?reason=nosuchuser"),
        Some(Err(LoginFault::Refused))
    );
}

#[test]
fn a_challenge_may_come_at_once() {
    let mut login = login(Authmod::Auto);
    assert_eq!(
        meet(&mut login, ANSWER_ADOBE),
        Some(Ok(Step::Answer(Scheme::Adobe)))
    );
}

#[test]
fn who_cannot_log_in_is_told_why() {
    let fault = |mode, credentials: Option<Credentials>, description| {
        meet(&mut Login::new(mode, credentials), description)
    };
    for (mode, credentials, description, expected) in [
        (
            Authmod::Auto,
            None,
            NAME_LLNW,
            LoginFault::NoCredentials(Scheme::Llnw),
        ),
        (
            Authmod::None,
            Some(bob()),
            NAME_ADOBE,
            LoginFault::Disabled(Scheme::Adobe),
        ),
        (
            Authmod::None,
            None,
            NAME_ADOBE,
            LoginFault::Disabled(Scheme::Adobe),
        ),
        (
            Authmod::Only(Scheme::Adobe),
            Some(bob()),
            NAME_LLNW,
            LoginFault::OtherScheme {
                ours: Scheme::Adobe,
                theirs: Scheme::Llnw,
            },
        ),
        (
            Authmod::Auto,
            Some(bob()),
            "authmod=adobe ?reason=nosuchuser",
            LoginFault::Refused,
        ),
    ] {
        assert_eq!(fault(mode, credentials, description), Some(Err(expected)));
    }
}

#[test]
fn other_words_are_not_about_a_login() {
    for description in [
        "",
        "no",
        "[ AccessManager.Reject ] : [ code=400 ] : ",
        "?reason=needauth&salt=x",
        "authmod=adobe",
        "code=403 need auth",
        "authmod=basic ?reason=needauth",
    ] {
        assert_eq!(
            meet(&mut login(Authmod::Auto), description),
            None,
            "{description}"
        );
    }
}

#[test]
fn challenges_that_cannot_be_answered_are_refused() {
    let long = "x".repeat(1025);
    let many = "&a=b".repeat(33);
    let endless = "&a=".to_owned() + &"x".repeat(5000);
    for parameters in [
        "".to_owned(),
        "&challenge=c".to_owned(),
        "&salt=s".to_owned(),
        "&salt=&challenge=c".to_owned(),
        "&salt=s&challenge=".to_owned(),
        format!("&salt={long}&challenge=c"),
        format!("&salt=s&challenge=c&{long}=1"),
        format!("&salt=s&challenge=c{many}"),
        format!("&salt=s&challenge=c{endless}"),
        "&salt=s&challenge=c d".to_owned(),
        "&salt=s&challenge=c\r\nd".to_owned(),
        "&salt=ß&challenge=c".to_owned(),
    ] {
        let description = format!("authmod=adobe ?reason=needauth{parameters}");
        assert!(
            matches!(
                meet(&mut login(Authmod::Auto), &description),
                Some(Err(LoginFault::BadChallenge(_)))
            ),
            "{parameters:.40}"
        );
    }
    let description = "authmod=llnw ?reason=needauth&user=bob";
    assert_eq!(
        meet(&mut login(Authmod::Auto), description),
        Some(Err(LoginFault::BadChallenge("the nonce is missing")))
    );
}

#[test]
fn challenge_and_answer_are_secrets() {
    let mut secrets = Vec::new();
    let mut login = login(Authmod::Auto);
    let step = login.handle_refusal(ANSWER_ADOBE, "live", &mut Entropy::new([1; 32]), &mut secrets);
    assert_eq!(step, Some(Ok(Step::Answer(Scheme::Adobe))));
    let secrets: Vec<&str> = secrets.iter().map(Secret::expose).collect();
    let [salt, challenge, opaque, response] = secrets[..] else {
        panic!("{} secrets", secrets.len());
    };
    assert_eq!(
        [salt, challenge, opaque],
        ["NDU=", "NjA4NDEzNzg0", "NjA4NDEzNzg0"]
    );
    assert!(suffix(&login).contains(&format!("&response={response}&")));
}

#[test]
fn names_that_would_break_the_query_are_no_credentials() {
    for user in ["", "a b", "a&b", "a?b", "a=b", "a\nb"] {
        assert!(Credentials::new(user, "x".into()).is_none(), "{user:?}");
    }
    for user in ["bob", "bob@example.com", "ü", "a%20b", "a+b"] {
        assert!(Credentials::new(user, "x".into()).is_some(), "{user:?}");
    }
    assert_eq!(format!("{:?}", bob()), "Credentials(***)");
}

#[expect(clippy::disallowed_methods, reason = "an Instant comes from nowhere else")]
fn epoch() -> Instant {
    Instant::now()
}

/// A client's connects to a gate until it is let in or gives up.
fn knock(gate: &mut Gate, login: &mut Login, application: &str) -> Result<String, LoginFault> {
    let now = epoch();
    let mut entropy = Entropy::new([4; 32]);
    for _ in 0..3 {
        let app = format!("{application}{}", suffix(login));
        assert_eq!(without_login(&app), application);
        let status = match gate.check(now, &app) {
            Ok(user) => return Ok(user),
            Err(status) => status,
        };
        assert_eq!(status.code, "NetConnection.Connect.Rejected");
        login
            .handle_refusal(&status.description, application, &mut entropy, &mut Vec::new())
            .expect("the gate speaks of logins")?;
    }
    panic!("three connects are enough");
}

#[test]
fn a_gate_lets_in_who_knows_the_password_and_nobody_else() {
    for scheme in Scheme::ALL {
        let mut gate = Gate::new(scheme, vec![bob()], [3; 32]);
        for application in ["live", "live/inst", "", "live?vhost=x"] {
            for mode in [Authmod::Auto, Authmod::Only(scheme)] {
                let knocked = knock(&mut gate, &mut login(mode), application);
                assert_eq!(knocked, Ok("bob".to_owned()));
                for (user, password) in [("bob", "wrong"), ("eve", "s3cret")] {
                    let credentials = Credentials::new(user, password.into());
                    let knocked = knock(&mut gate, &mut Login::new(mode, credentials), application);
                    assert_eq!(knocked, Err(LoginFault::Refused));
                }
            }
        }
    }
}

#[test]
fn an_answer_opens_the_gate_once_and_not_for_ever() {
    for scheme in Scheme::ALL {
        let now = epoch();
        let mut gate = Gate::new(scheme, vec![bob()], [3; 32]);
        let answer = |gate: &mut Gate| {
            let mut login = login(Authmod::Only(scheme));
            let asked = gate.check(now, &format!("live{}", suffix(&login))).unwrap_err();
            assert!(matches!(
                meet(&mut login, &asked.description),
                Some(Ok(Step::Answer(_)))
            ));
            format!("live{}", suffix(&login))
        };
        let app = answer(&mut gate);
        assert!(gate.check(now, &app).is_ok());
        assert!(gate.check(now, &app).is_err(), "the same answer again");
        let app = answer(&mut gate);
        assert!(
            gate.check(now + Duration::from_secs(61), &app).is_err(),
            "too late"
        );
        // Whoever asks for very many challenges makes the gate forget, not grow.
        let app = answer(&mut gate);
        for _ in 0..2000 {
            answer(&mut gate);
        }
        assert!(gate.check(now, &app).is_err());
    }
}

proptest! {
    #[test]
    fn any_description_is_read(text in any::<String>(), reason in "(needauth|authfailed|)", rest in ".{0,80}") {
        for mode in [Authmod::Auto, Authmod::None, Authmod::Only(Scheme::Adobe), Authmod::Only(Scheme::Llnw)] {
            for description in [
                text.clone(),
                format!("authmod=adobe ?reason={reason}&{rest}"),
                format!("{text}authmod=llnw ?reason={reason}{rest}"),
            ] {
                let mut login = login(mode);
                let _ = meet(&mut login, &description);
                // What is appended to a URL can end neither it nor a line.
                prop_assert!(suffix(&login).bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }

    #[test]
    fn any_app_is_checked(app in any::<String>(), tail in "[a-z=&?]{0,60}") {
        for scheme in Scheme::ALL {
            let mut gate = Gate::new(scheme, vec![bob()], [3; 32]);
            prop_assert!(gate.check(epoch(), &app).is_err());
            let named = format!("live?authmod={scheme}&user=bob&{tail}");
            prop_assert!(gate.check(epoch(), &named).is_err());
        }
    }
}
