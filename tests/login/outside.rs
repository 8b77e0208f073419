//! Secrets that are not in the location: files, and environment variables.

use gst::prelude::*;

use crate::support::refusal::{Act, Attempt, Side, of_connect, server};
use crate::support::script::text_argument;
use crate::support::{Failure, Result};

/// An environment variable that cargo sets for every test, and what it holds.
const VARIABLE: &str = "CARGO_PKG_NAME";

fn value() -> Result<String> {
    std::env::var(VARIABLE).map_err(|error| Failure::new(format!("{VARIABLE}: {error}")))
}

/// The stream that is asked for, and the application.
fn asked(side: Side, location: &str, properties: &[(&str, &str)]) -> Result<(String, String)> {
    let server = server([Act::Accept])?;
    let location = location.replace("HOST", &server.address().to_string());
    let attempt = Attempt::begin(side, &location, properties)?;
    server.wait_for_command(side.command())?;
    let shown: String = attempt.element.property("location");
    assert_eq!(shown, location, "it reads back as it was written");
    drop(attempt);
    let connections = server.join()?;
    let [connection] = connections.as_slice() else {
        return Err(Failure::new("one connection was expected"));
    };
    let name = text_argument(connection.command(side.command())?)
        .map(|name| name.to_str_lossy().into_owned())
        .unwrap_or_default();
    Ok((name, of_connect(connection, "app")?))
}

#[test]
fn environment_variables_stand_for_secrets() -> Result<()> {
    let value = value()?;
    for side in Side::BOTH {
        for (location, stream, application) in [
            (
                "rtmp://HOST/live/{env:CARGO_PKG_NAME}",
                value.clone(),
                "live".to_owned(),
            ),
            (
                "rtmp://HOST/live/key?t={env:CARGO_PKG_NAME}&u=1",
                format!("key?t={value}&u=1"),
                "live".to_owned(),
            ),
            (
                "rtmp://HOST/live?t={env:CARGO_PKG_NAME}/key",
                "key".to_owned(),
                format!("live?t={value}"),
            ),
        ] {
            assert_eq!(asked(side, location, &[])?, (stream, application), "{location}");
        }
    }
    Ok(())
}

#[test]
fn files_hold_secrets() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("key");
    std::fs::write(&path, "live_1?a=b\n")?;
    let path = path.to_str().ok_or_else(|| Failure::new("not UTF-8"))?;
    for (location, application) in [
        ("rtmp://HOST/live", "live"),
        ("rtmp://HOST/live/", "live"),
        ("rtmp://HOST/live/room/", "live/room"),
    ] {
        assert_eq!(
            asked(Side::Sink, location, &[("stream-key-file", path)])?,
            ("live_1?a=b".to_owned(), application.to_owned()),
            "{location}"
        );
    }
    let location = "rtmp://127.0.0.1:1/live/key";
    let attempt = Attempt::new(Side::Sink, location, &[("stream-key-file", path)])?;
    assert!(!attempt.play());
    attempt.problem()?.expect(
        gst::ResourceError::Settings,
        "Both the location and stream-key-file name a stream",
    )
}

#[test]
fn a_password_may_come_from_a_file_or_the_environment() -> Result<()> {
    use gstrtmp::session::login::{Credentials, Gate, Scheme};
    let value = value()?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("password");
    std::fs::write(&path, format!("{value}\r\n"))?;
    let path = path.to_str().ok_or_else(|| Failure::new("not UTF-8"))?;
    let cases: [(&str, &[(&str, &str)]); 4] = [
        ("bob:{env:CARGO_PKG_NAME}@", &[]),
        ("", &[("username", "bob"), ("password", "{env:CARGO_PKG_NAME}")]),
        ("bob@", &[("password-file", path)]),
        ("bob:other@", &[("password-file", path)]),
    ];
    for (user_info, properties) in cases {
        let account = Credentials::new("bob", value.as_str().into());
        let mut gate = Gate::new(Scheme::Adobe, account.into_iter().collect(), [1; 32]);
        let server = crate::support::script::Server::start(move |script| {
            loop {
                let mut client = script.accept()?;
                client.handshake()?;
                let connect = client.expect_command("connect")?;
                let app = connect.object.get("app").and_then(|app| app.as_str());
                let app = app.unwrap_or_default().into_owned();
                match gate.check(std::time::Instant::now(), &app) {
                    Ok(user) if user == "bob" => return Ok(()),
                    Ok(user) => return Err(Failure::new(user)),
                    Err(status) if status.description.contains("authfailed") => {
                        return Err(Failure::new("a wrong password"));
                    }
                    Err(status) => {
                        let refusal = crate::support::script::connect_error(
                            &connect,
                            &status.code,
                            &status.description,
                        );
                        client.send_command(0, &refusal)?;
                        client.read_to_end()?;
                    }
                }
            }
        })?;
        let location = format!("rtmp://{user_info}{}/live/key", server.address());
        let attempt = Attempt::begin(Side::Sink, &location, properties)?;
        server.join()?;
        drop(attempt);
    }
    Ok(())
}

#[test]
fn what_cannot_be_had_is_told_when_the_element_starts() -> Result<()> {
    type Properties = &'static [(&'static str, &'static str)];
    let cases: [(&str, Properties, &str); 6] = [
        (
            "rtmp://127.0.0.1:1/live/{env:NO_SUCH_VARIABLE}",
            &[],
            "The environment variable NO_SUCH_VARIABLE is not set or empty.",
        ),
        (
            "rtmp://127.0.0.1:1/live/{env:oops",
            &[],
            "An environment variable is written as {env:NAME}.",
        ),
        (
            "rtmp://bob:{env:NO_SUCH_VARIABLE}@127.0.0.1:1/live/key",
            &[],
            "NO_SUCH_VARIABLE",
        ),
        (
            "rtmp://127.0.0.1:1/live/key",
            &[("secure-token", "{env:NO_SUCH_VARIABLE}")],
            "NO_SUCH_VARIABLE",
        ),
        (
            "rtmp://127.0.0.1:1/live/",
            &[("stream-key-file", "/no/such/file")],
            "The file /no/such/file cannot be read: No such file",
        ),
        (
            "rtmp://127.0.0.1:1/live/key",
            &[("password-file", "/no/such/file")],
            "The file /no/such/file cannot be read",
        ),
    ];
    for side in Side::BOTH {
        for (location, properties, words) in cases {
            let attempt = Attempt::new(side, location, properties)?;
            assert!(!attempt.play(), "{location}");
            attempt.problem()?.expect(gst::ResourceError::Settings, words)?;
        }
    }
    Ok(())
}

#[test]
fn what_an_environment_variable_holds_is_masked() -> Result<()> {
    let value = value()?;
    let refusal = Act::refuse(format!("{value} is taken"));
    let server = server([refusal])?;
    let location = format!("rtmp://{}/live/a-{{env:{VARIABLE}}}", server.address());
    let attempt = Attempt::begin(Side::Sink, &location, &[])?;
    let problem = attempt.problem()?;
    drop(attempt);
    server.join()?;
    assert!(!format!("{problem:?}").contains(&value), "{problem:?}");
    problem.expect(gst::ResourceError::NotAuthorized, "*** is taken")
}
