//! SecureToken and UsherToken.

use crate::support::Result;
use crate::support::refusal::{Act, Attempt, Side, server};
use crate::support::script::text_argument;

const ENCIPHERED: &str = "686bcf87d93c00c90050da63fb3f1cf5";

#[test]
fn secure_token_is_answered_right_after_connect() -> Result<()> {
    let cases: [(&str, &[(&str, &str)]); 2] = [
        ("", &[("secure-token", "#ed%h0#w@1")]),
        (" token=#ed%25h0#w@1", &[]),
    ];
    for side in Side::BOTH {
        for (options, properties) in cases {
            let server = server([Act::AcceptWith("secureToken", ENCIPHERED)])?;
            let location = format!("{}{options}", server.url("live", "key"));
            let attempt = Attempt::begin(side, &location, properties)?;
            server.wait_for_command(side.command())?;
            assert!(attempt.is_content()?);
            drop(attempt);
            let connection = server.join_one()?;
            let names = connection.command_names();
            assert_eq!(
                names.get(..2),
                Some(&["connect".to_owned(), "secureTokenResponse".to_owned()][..])
            );
            let response = connection.command("secureTokenResponse")?;
            assert!(text_argument(response).is_some_and(|text| *text == "HelloWowza123456"));
        }
    }
    Ok(())
}

#[test]
fn without_a_key_the_stream_goes_on_and_a_warning_says_why_it_may_not() -> Result<()> {
    for side in Side::BOTH {
        let server = server([Act::AcceptWith("secureToken", ENCIPHERED)])?;
        let attempt = Attempt::begin(side, &server.url("live", "key"), &[])?;
        server.wait_for_command(side.command())?;
        let warning = attempt.warning()?;
        assert!(attempt.is_content()?, "once is enough");
        drop(attempt);
        let connection = server.join_one()?;
        assert!(connection.command("secureTokenResponse").is_err());
        assert!(warning.contains("set secure-token"), "{warning}");
    }
    Ok(())
}

#[test]
fn an_usher_token_follows_connect() -> Result<()> {
    let server = server([Act::Accept])?;
    let location = format!("{} jtv=a\\20b", server.url("live", "key"));
    let attempt = Attempt::begin(Side::Source, &location, &[])?;
    server.wait_for_command("play")?;
    drop(attempt);
    let connection = server.join_one()?;
    let token = connection.command("NetStream.Authenticate.UsherToken")?;
    assert!(text_argument(token).is_some_and(|text| *text == "a b"));
    Ok(())
}
