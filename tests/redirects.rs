//! Redirects on the elements: where they are followed to, what goes along, and which are refused.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "elements live in real time behind real sockets"
)]

mod support;

use std::net::SocketAddr;

use support::refusal::{Act, Attempt, Problem, Side, of_connect, server};
use support::script::{Connection, text_argument};
use support::{Failure, Result};

const NAME: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";

/// The address under another name: what redirects go by are names.
fn as_localhost(address: SocketAddr) -> String {
    format!("localhost:{}", address.port())
}

fn stream(connection: &Connection, side: Side) -> Result<String> {
    let begin = connection.command(side.command())?;
    let name = text_argument(begin).ok_or_else(|| Failure::new("no stream"))?;
    Ok(name.to_str_lossy().into_owned())
}

/// What comes of a server that does `first`, when the URL that it names is as it says.
fn problem(side: Side, first: Vec<Act>, properties: &[(&str, &str)]) -> Result<Problem> {
    let server = server(first)?;
    let attempt = Attempt::begin(side, &server.url("live", "kEy"), properties)?;
    let problem = attempt.problem()?;
    drop(attempt);
    server.join()?;
    assert!(!format!("{problem:?}").contains("kEy"), "{problem:?}");
    Ok(problem)
}

#[test]
fn a_redirect_on_the_same_host_is_followed_with_stream_and_login() -> Result<()> {
    for side in Side::BOTH {
        let second = server([Act::refuse(NAME), Act::Accept])?;
        let target = format!("rtmp://{}/edge/inst", second.address());
        let first = server([Act::redirect(target.clone())])?;
        let properties = [("username", "bob"), ("password", "s3cret")];
        let location = first.url("live", "key?a=b");
        let attempt = Attempt::begin(side, &location, &properties)?;
        second.wait_for_command(side.command())?;
        assert_eq!(attempt.steps()?, ["redirect", "login-name"]);
        drop(attempt);
        first.join_one()?;
        let connections = second.join()?;
        let [plain, named] = connections.as_slice() else {
            return Err(Failure::new(format!("{} connections", connections.len())));
        };
        assert_eq!(of_connect(plain, "app")?, "edge/inst");
        assert_eq!(of_connect(plain, "tcUrl")?, target);
        assert_eq!(of_connect(named, "app")?, "edge/inst?authmod=adobe&user=bob");
        assert_eq!(stream(named, side)?, "key?a=b");
    }
    Ok(())
}

#[test]
fn srs_redirects_later_and_names_the_stream() -> Result<()> {
    for side in Side::BOTH {
        let second = server([Act::Accept])?;
        let edge = format!("rtmp://{}/edge", as_localhost(second.address()));
        let first = server([Act::RedirectLater(vec![
            ("redirect", edge.clone()),
            ("redirect2", format!("{edge}/theirs?c=d")),
        ])])?;
        let location = first.url("live", "key?a=b");
        let properties = [("extra-connect-args", "S:aRg"), ("page-url", "http://x/?pAgE")];
        let attempt = Attempt::begin(side, &location, &properties)?;
        second.wait_for_command(side.command())?;
        drop(attempt);
        first.join_one()?;
        let connection = second.join_one()?;
        assert_eq!(of_connect(&connection, "app")?, "edge");
        assert_eq!(stream(&connection, side)?, "theirs?c=d");
        // Another host, which nobody has vouched for, hears nothing else.
        let connect = connection.command("connect")?;
        assert!(connect.arguments.is_empty());
        assert!(connect.object.get("pageUrl").is_none());
    }
    Ok(())
}

#[test]
fn another_host_is_told_the_stream_only_if_the_user_has_named_it() -> Result<()> {
    for side in Side::BOTH {
        let edge = server([Act::Accept])?;
        let target = format!("rtmp://{}/edge", as_localhost(edge.address()));
        problem(side, vec![Act::redirect(target.clone())], &[])?
            .expect(side.open(), "Set redirect-hosts to localhost if you trust it")?;
        for hosts in ["localhost", "a.example, LOCALHOST", "*"] {
            let edge = server([Act::Accept])?;
            let target = format!("rtmp://{}/edge", as_localhost(edge.address()));
            let first = server([Act::redirect(target)])?;
            let properties = [("redirect-hosts", hosts)];
            let attempt = Attempt::begin(side, &first.url("live?v=w", "kEy"), &properties)?;
            edge.wait_for_command(side.command())?;
            drop(attempt);
            first.join_one()?;
            let connection = edge.join_one()?;
            assert_eq!(stream(&connection, side)?, "kEy");
            assert_eq!(of_connect(&connection, "app")?, "edge?v=w");
        }
        // The first one was never asked for anything.
        drop(edge);
    }
    Ok(())
}

#[test]
fn redirects_in_a_circle_and_too_many_end() -> Result<()> {
    let chain = |count: usize| -> Result<Vec<Act>> {
        let address = "ADDRESS";
        Ok((1..=count)
            .map(|n| Act::redirect(format!("rtmp://{address}/app{n}")))
            .collect())
    };
    // A server has to be there before it can name itself.
    let run = |acts: Vec<Act>, count: usize| -> Result<Problem> {
        let [port] = support::port::free()?;
        let address = format!("127.0.0.1:{port}");
        let acts: Vec<Act> = acts
            .into_iter()
            .map(|act| match act {
                Act::Redirect(members) => Act::Redirect(
                    members
                        .into_iter()
                        .map(|(name, value)| (name, value.replace("ADDRESS", &address)))
                        .collect(),
                ),
                other => other,
            })
            .collect();
        let servers = acts.len();
        assert_eq!(servers, count);
        let listener = support::refusal::server_at(&address, acts)?;
        let attempt = Attempt::begin(Side::Sink, &format!("rtmp://{address}/live/kEy"), &[])?;
        let problem = attempt.problem()?;
        drop(attempt);
        listener.join()?;
        Ok(problem)
    };
    run(chain(4)?, 4)?.expect(gst::ResourceError::OpenWrite, "after 3 other redirects")?;
    run(vec![Act::redirect("rtmp://ADDRESS/live")], 1)?
        .expect(gst::ResourceError::OpenWrite, "in a circle")?;
    run(
        vec![
            Act::redirect("rtmp://ADDRESS/other"),
            Act::redirect("rtmp://ADDRESS/live"),
        ],
        2,
    )?
    .expect(gst::ResourceError::OpenWrite, "in a circle")
}

#[test]
fn redirects_that_name_no_url_of_rtmp_are_refused() -> Result<()> {
    for url in [
        "http://127.0.0.1/live".to_owned(),
        "127.0.0.1".to_owned(),
        "/live".to_owned(),
        "rtmfp://127.0.0.1/live".to_owned(),
        "rtmp://bob:pw@127.0.0.1/live".to_owned(),
        "rtmp://127.0.0.1/a b".to_owned(),
        "rtmp://127.0.0.1/a\r\nb".to_owned(),
        format!("rtmp://127.0.0.1/{}", "x".repeat(3000)),
    ] {
        problem(Side::Source, vec![Act::redirect(url)], &[])?
            .expect(gst::ResourceError::OpenRead, "but not to a URL of RTMP")?;
    }
    Ok(())
}

#[test]
fn who_does_not_follow_redirects_is_told_where_they_lead() -> Result<()> {
    let target = "rtmp://127.0.0.1:1/edge/inst";
    for side in Side::BOTH {
        problem(
            side,
            vec![Act::redirect(target)],
            &[("follow-redirects", "false")],
        )?
        .expect(side.open(), "sends clients on to rtmp://127.0.0.1:1/edge/***")?;
    }
    Ok(())
}

#[test]
fn an_error_behind_a_redirect_names_the_host_that_it_came_from() -> Result<()> {
    let second = server([Act::refuse("kEy is not for you")])?;
    let authority = second.address().to_string();
    let target = format!("rtmp://{authority}/edge");
    problem(Side::Sink, vec![Act::redirect(target)], &[])?.expect(
        gst::ResourceError::NotAuthorized,
        &format!("{authority} refused connect"),
    )?;
    second.join_one()?;
    // And so does one that cannot be reached.
    let [port] = support::port::free()?;
    let target = format!("rtmp://127.0.0.1:{port}/edge");
    problem(Side::Sink, vec![Act::redirect(target)], &[])?.expect(
        gst::ResourceError::OpenWrite,
        &format!("127.0.0.1:{port} refused the connection"),
    )
}
