//! `authmod`: each branch of the three steps, with servers that keep to a script.

use std::time::Instant;

use gstrtmp::session::login::{Credentials, Gate, Scheme};

use crate::support::refusal::{Act, Attempt, Side, fail, of_connect, server, succeed};
use crate::support::script::{Server, connect_error};
use crate::support::{Context, Failure, Result};

const NAME: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
const CHALLENGE: &str = "[ AccessManager.Reject ] : [ authmod=adobe ] : \
                         ?reason=needauth&user=bob&salt=NDU=&challenge=NjA4NDEzNzg0&opaque=NjA4NDEzNzg0";
const BOB: [(&str, &str); 2] = [("username", "bob"), ("password", "s3cret")];

type Properties = &'static [(&'static str, &'static str)];

/// The applications of all connections; their tcUrls have the same behind the server's address.
fn applications(connections: &[crate::support::script::Connection]) -> Result<Vec<String>> {
    connections
        .iter()
        .map(|connection| {
            let application = of_connect(connection, "app")?;
            let tc_url = of_connect(connection, "tcUrl")?;
            let suffix = application
                .strip_prefix("live")
                .ok_or_else(|| Failure::new(application.clone()))?;
            assert!(tc_url.ends_with(&format!("/live{suffix}")), "{tc_url}");
            assert!(!tc_url.contains("s3cret"), "{tc_url}");
            Ok(application)
        })
        .collect()
}

#[test]
fn three_connects_log_in() -> Result<()> {
    for side in Side::BOTH {
        let acts = [Act::refuse(NAME), Act::refuse(CHALLENGE), Act::Accept];
        let (connections, steps) = succeed(side, acts, &BOB)?;
        let applications = applications(&connections)?;
        let [plain, named, answered] = applications.as_slice() else {
            return Err(Failure::new(format!("{applications:?}")));
        };
        assert_eq!([plain, named], ["live", "live?authmod=adobe&user=bob"]);
        assert!(
            answered.starts_with("live?authmod=adobe&user=bob&challenge=")
                && answered.contains("&response=")
                && answered.ends_with("&opaque=NjA4NDEzNzg0"),
            "{answered}"
        );
        assert_eq!(steps, ["login-name", "login-answer"]);
        // The stream's name stays what it is.
        let begin = connections
            .last()
            .map(|connection| connection.command(side.command()));
        assert!(format!("{:?}", begin.transpose()?.map(|c| c.arguments.clone())).contains("key"));
    }
    Ok(())
}

#[test]
fn credentials_come_from_the_location_or_from_properties() -> Result<()> {
    let cases: [(&str, &str, Properties); 4] = [
        ("bob:s3cret@", "", &[]),
        ("b%6fb:s3c%72et@", "", &[]),
        ("", " pubUser=bob pubPasswd=s3cret", &[]),
        ("eve:other@", "", &BOB),
    ];
    for (user_info, options, properties) in cases {
        let mut gate = Gate::new(
            Scheme::Adobe,
            Credentials::new("bob", "s3cret".into()).into_iter().collect(),
            [7; 32],
        );
        let server = gated(move |app| gate.check(Instant::now(), app).map(drop))?;
        let address = server.address();
        let location = format!("rtmp://{user_info}{address}/live/key{options}");
        let attempt = Attempt::begin(Side::Sink, &location, properties)?;
        server.wait_for_command("publish")?;
        drop(attempt);
        assert_eq!(applications(&server.join()?)?.len(), 3, "{location}");
    }
    Ok(())
}

/// A server that asks `check` about the application of each connect, until it lets one in or three were refused.
fn gated(
    mut check: impl FnMut(&str) -> std::result::Result<(), gstrtmp::session::Status> + Send + 'static,
) -> Result<Server> {
    Server::start(move |script| {
        for _ in 0..3 {
            let mut client = script.accept()?;
            client.handshake()?;
            let connect = client.expect_command("connect")?;
            let app = connect.object.get("app").and_then(|app| app.as_str());
            let app = app.context_none("connect has no app")?.into_owned();
            match check(&app) {
                Ok(()) => {
                    use crate::support::script::{connect_result, stream_result};
                    client.send_command(0, &connect_result(&connect))?;
                    let asked = client.expect_command("createStream")?;
                    client.send_command(0, &stream_result(&asked, 1))?;
                    return client.read_to_end();
                }
                Err(status) => {
                    let refusal = connect_error(&connect, &status.code, &status.description);
                    client.send_command(0, &refusal)?;
                    client.read_to_end()?;
                }
            }
        }
        Ok(())
    })
}

trait ContextNone<T> {
    fn context_none(self, what: &str) -> Result<T>;
}

impl<T> ContextNone<T> for Option<T> {
    fn context_none(self, what: &str) -> Result<T> {
        self.ok_or_else(|| Failure::new(what))
    }
}

#[test]
fn both_schemes_satisfy_the_gate_and_wrong_passwords_do_not() -> Result<()> {
    for (scheme, mode) in [(Scheme::Adobe, "adobe"), (Scheme::Llnw, "llnw")] {
        for (authmod, password, connects) in
            [("auto", "s3cret", 3), (mode, "s3cret", 2), ("auto", "wrong", 3)]
        {
            let mut gate = Gate::new(
                scheme,
                Credentials::new("bob", "s3cret".into()).into_iter().collect(),
                [7; 32],
            );
            let server = gated(move |app| gate.check(Instant::now(), app).map(drop))?;
            let properties = [("username", "bob"), ("password", password), ("authmod", authmod)];
            let attempt = Attempt::begin(Side::Source, &server.url("live", "key"), &properties)?;
            if password == "wrong" {
                let problem = attempt.problem()?;
                for secret in ["wrong", "response", "challenge=", "nonce="] {
                    assert!(
                        !format!("{problem:?}").contains(secret),
                        "{secret} in {problem:?}"
                    );
                }
                problem.expect(gst::ResourceError::NotAuthorized, "reason=authfail")?;
            } else {
                server.wait_for_command("play")?;
            }
            drop(attempt);
            assert_eq!(server.join()?.len(), connects, "{authmod} {password}");
        }
    }
    Ok(())
}

#[test]
fn a_login_that_comes_to_nothing_is_not_authorised_and_not_tried_again() -> Result<()> {
    let mediamtx = "authmod=adobe ?reason=needauth&user=bob&salt=testsalt&challenge=testchallenge";
    let long = format!(
        "authmod=adobe ?reason=needauth&salt={}&challenge=c",
        "x".repeat(1100)
    );
    let endless = format!(
        "authmod=adobe ?reason=needauth&salt=s&challenge=c&x={}",
        "x".repeat(20_000)
    );
    let refuse = |description: &str| Act::refuse(description);
    let table: Vec<(Vec<Act>, &str)> = vec![
        (
            vec![
                refuse(NAME),
                refuse(CHALLENGE),
                refuse("[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed&opaque=x"),
            ],
            "refused the login: [ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed. Check username",
        ),
        (
            vec![
                refuse(NAME),
                refuse("[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=nosuchuser&opaque=x"),
            ],
            "reason=nosuchuser",
        ),
        (
            vec![refuse(NAME), refuse("authmod=adobe ?reason=tired")],
            "reason=tired",
        ),
        // The same question again.
        (vec![refuse(NAME), refuse(NAME)], "asks for it again"),
        (
            vec![refuse(NAME), refuse(CHALLENGE), refuse(CHALLENGE)],
            "asks for it again",
        ),
        (
            vec![refuse(NAME), refuse(mediamtx), refuse(NAME)],
            "asks for it again",
        ),
        // Another scheme in mid-course.
        (
            vec![
                refuse(NAME),
                refuse("[ AccessManager.Reject ] : [ authmod=llnw ] : ?reason=needauth&user=bob&nonce=1"),
            ],
            "by authmod llnw, but adobe was chosen",
        ),
        // Challenges that cannot be answered.
        (
            vec![refuse(NAME), refuse("authmod=adobe ?reason=needauth&challenge=c")],
            "the salt is missing",
        ),
        (
            vec![refuse(NAME), refuse("authmod=adobe ?reason=needauth&salt=s")],
            "the challenge is missing",
        ),
        (vec![refuse(NAME), refuse(&long)], "the challenge is too long"),
        (vec![refuse(NAME), refuse(&endless)], "the challenge is too long"),
        (
            vec![
                refuse(NAME),
                refuse("authmod=adobe ?reason=needauth&salt=s&challenge=c d\r\nEvil: 1"),
            ],
            "the challenge is not printable text",
        ),
    ];
    for side in Side::BOTH {
        for (acts, words) in &table {
            let (problem, connections) = fail(side, acts.clone(), &BOB)?;
            assert_eq!(connections.len(), acts.len(), "{acts:?}");
            let shown = format!("{problem:?}");
            for secret in ["s3cret", "NDU=", "NjA4NDEzNzg0", "testsalt", "testchallenge"] {
                assert!(!shown.contains(secret), "{secret} in {shown}");
            }
            problem.expect(gst::ResourceError::NotAuthorized, words)?;
        }
    }
    Ok(())
}

#[test]
fn who_has_no_credentials_is_told_to_set_them() -> Result<()> {
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[], "asks for a login (authmod adobe). Set username and password"),
        (&[("username", "bob")], "Set username and password"),
        (&[("authmod", "none")], "and authmod is none"),
        (
            &[("authmod", "none"), ("username", "bob"), ("password", "s3cret")],
            "and authmod is none",
        ),
    ];
    for (properties, words) in cases {
        let (problem, connections) = fail(Side::Sink, [Act::refuse(NAME)], properties)?;
        problem.expect(gst::ResourceError::NotAuthorized, words)?;
        assert_eq!(connections.len(), 1);
    }
    Ok(())
}

#[test]
fn servers_that_say_it_otherwise_are_understood() -> Result<()> {
    for acts in [
        // mediamtx.
        vec![
            Act::refuse("code=403 need auth; authmod=adobe"),
            Act::refuse("authmod=adobe ?reason=needauth&user=bob&salt=testsalt&challenge=testchallenge"),
            Act::Accept,
        ],
        // By onStatus in the place of _error.
        vec![
            Act::RefuseByStatus(NAME.to_owned()),
            Act::RefuseByStatus(CHALLENGE.to_owned()),
            Act::Accept,
        ],
        // With the challenge at once.
        vec![Act::refuse(CHALLENGE), Act::Accept],
    ] {
        let count = acts.len();
        let (connections, _) = succeed(Side::Sink, acts, &BOB)?;
        let applications = applications(&connections)?;
        assert_eq!(applications.len(), count);
        assert!(
            applications
                .last()
                .is_some_and(|last| last.contains("&response="))
        );
    }
    Ok(())
}

#[test]
fn a_scheme_that_is_chosen_needs_no_first_question() -> Result<()> {
    let properties = [BOB[0], BOB[1], ("authmod", "adobe")];
    let (connections, steps) = succeed(Side::Source, [Act::refuse(CHALLENGE), Act::Accept], &properties)?;
    let applications = applications(&connections)?;
    assert_eq!(
        applications.first().map(String::as_str),
        Some("live?authmod=adobe&user=bob")
    );
    assert_eq!(steps, ["login-answer"]);
    // One that accepts the name alone is fine, too.
    let (connections, _) = succeed(Side::Source, [Act::Accept], &properties)?;
    assert_eq!(connections.len(), 1);
    Ok(())
}

#[test]
fn a_query_of_the_application_stays_before_the_login() -> Result<()> {
    let server = server([Act::refuse(NAME), Act::Accept])?;
    let location = format!("rtmp://{}/live?vhost=a/key", server.address());
    let attempt = Attempt::begin(Side::Sink, &location, &BOB)?;
    server.wait_for_command("publish")?;
    drop(attempt);
    let applications = applications(&server.join()?)?;
    assert_eq!(
        applications,
        ["live?vhost=a", "live?vhost=a?authmod=adobe&user=bob"]
    );
    Ok(())
}

#[test]
fn a_server_that_closes_in_the_middle_is_an_error_of_the_connection() -> Result<()> {
    // Once more in lock-step, and that is that.
    let acts = [
        Act::refuse(NAME),
        Act::CloseAt("connect"),
        Act::CloseAt("connect"),
    ];
    let (problem, connections) = fail(Side::Sink, acts, &BOB)?;
    problem.expect(gst::ResourceError::OpenWrite, "without answering connect")?;
    let applications = applications(&connections)?;
    assert_eq!(
        applications,
        [
            "live",
            "live?authmod=adobe&user=bob",
            "live?authmod=adobe&user=bob"
        ]
    );
    Ok(())
}

#[test]
fn incomplete_credentials_for_a_scheme_show_when_the_element_starts() -> Result<()> {
    let cases: [(&[(&str, &str)], &str); 3] = [
        (
            &[("authmod", "adobe")],
            "authmod=adobe needs username and password",
        ),
        (
            &[("authmod", "llnw"), ("username", "bob")],
            "authmod=llnw needs username and password",
        ),
        (
            &[("username", "a&b"), ("password", "x")],
            "The user name has a space or one of & ? =",
        ),
    ];
    for side in Side::BOTH {
        for (properties, words) in cases {
            let attempt = Attempt::new(side, "rtmp://127.0.0.1:1/live/key", properties)?;
            assert!(!attempt.play(), "{properties:?}");
            attempt.problem()?.expect(gst::ResourceError::Settings, words)?;
        }
    }
    Ok(())
}

#[test]
fn an_element_that_stops_in_the_middle_of_a_login_does_so_at_once() -> Result<()> {
    let server = server([Act::refuse(NAME), Act::Silence]).context("starting the server")?;
    let properties = [BOB[0], BOB[1], ("timeout", "0")];
    let attempt = Attempt::begin(Side::Source, &server.url("live", "key"), &properties)?;
    server.wait_for("the second connect", |connections| {
        let second = connections.get(1)?;
        second.command("connect").is_ok().then_some(())
    })?;
    let started = Instant::now();
    drop(attempt);
    assert!(started.elapsed() < std::time::Duration::from_secs(5));
    server.join()?;
    Ok(())
}
