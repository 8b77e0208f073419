//! RTMPS with both ends of ours: what gets through, which certificates are taken, and what is said of those that are
//! not.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "servers live in real time behind real sockets"
)]

#[path = "../examples/relay/mod.rs"]
mod relay;
mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use gst::glib;
use gst::prelude::*;
use gstrtmp::transport::tls::{Anchors, Identity, Server};
use sha2::{Digest as _, Sha256};

use relay::{Options, Relay};
use support::certificates::{Certificate, Certificates, Kind};
use support::ffmpeg::{self, utf8};
use support::gstreamer::GStreamer;
use support::pipeline::{PICTURES, Pipeline, publisher};
use support::process::Peer;
use support::wait::LONG;
use support::{Context, Failure, Result, tags};

fn server(certificate: &Certificate) -> Result<Server> {
    Server::from_pem(
        certificate.certificate_pem.as_bytes(),
        certificate.key_pem.as_bytes(),
    )
    .context("making a TLS server")
}

fn start(server: Server) -> Result<Relay> {
    Relay::start(Options {
        tls: Some(server),
        ..Options::default()
    })
    .context("starting the relay")
}

/// Plays and publishes at `relay` with `properties`; the tags are the same.
fn assert_passes(relay: &Relay, properties: &str) -> Result<()> {
    let location = format!("{} {properties}", relay.url("live", "main"));
    let player = Pipeline::new(&format!(
        "rtmpsrc location={location} ! fakesink name=out sync=false"
    ))?;
    let played = player.tap("out")?;
    player.play()?;
    relay.wait_for(LONG, |snapshot| snapshot.players("live/main").count() == 1)?;
    let publisher = Pipeline::new(&publisher(&location, 2))?;
    let published = publisher.tap("sink")?;
    publisher.play()?;
    publisher.wait_for_eos()?;
    player.wait_for_eos()?;
    let published = tags::frames(&published.tags()?);
    assert!(published.len() > PICTURES);
    assert_eq!(tags::frames(&played.tags()?), published);
    Ok(())
}

/// The error of an element of ours at `location`, as source or as sink.
fn error_of(element: &str, location: &str) -> Result<glib::Error> {
    let line = match element {
        "rtmpsink" => {
            format!("audiotestsrc ! voaacenc ! aacparse ! flvmux ! rtmpsink name=tested location={location}")
        }
        _ => format!("rtmpsrc name=tested location={location} ! fakesink"),
    };
    let pipeline = Pipeline::new(&line)?;
    let whole = pipeline
        .element("tested")?
        .parent()
        .and_downcast::<gst::Element>();
    // Fails where the error comes at once, which the bus tells too.
    let _ = whole
        .ok_or(Failure::new("an element has no pipeline"))?
        .set_state(gst::State::Playing);
    pipeline.wait_for_error()
}

fn assert_error(relay: &Relay, properties: &str, sentence: &str) -> Result<()> {
    let location = format!("{} {properties}", relay.url("live", "secretkey"));
    for (element, code) in [
        ("rtmpsrc", gst::ResourceError::OpenRead),
        ("rtmpsink", gst::ResourceError::OpenWrite),
    ] {
        let error = error_of(element, &location)?;
        assert_eq!(error.kind(), Some(code), "{error}");
        let sentence = sentence.replace("HOST", &relay.address().to_string());
        assert_eq!(error.message(), sentence);
    }
    // Not a byte of RTMP was said, so that nobody is known as a client.
    let snapshot = relay.snapshot();
    assert!(
        snapshot.clients.is_empty() && snapshot.gone.is_empty(),
        "{snapshot:?}"
    );
    Ok(())
}

#[test]
fn what_is_published_by_rtmps_is_played_by_rtmps() -> Result<()> {
    let certificates = Certificates::new()?;
    let relay = start(server(&certificates.issue(Kind::Good)?)?)?;
    assert_passes(&relay, &format!("ca-file={}", utf8(&certificates.authority())?))
}

#[test]
fn bad_certificates_are_refused_and_named() -> Result<()> {
    let certificates = Certificates::new()?;
    let authority = certificates.authority();
    let trusting = format!("ca-file={}", utf8(&authority)?);
    for (kind, sentence) in [
        (
            Kind::Stranger,
            "No authority that is trusted vouches for the certificate of HOST. If it is the right server, set \
             ca-file to the certificate of its authority.",
        ),
        (
            Kind::SelfSigned,
            "Nobody but HOST vouches for its certificate. If it is the right server, set ca-file to that \
             certificate.",
        ),
        (
            Kind::Expired,
            "The certificate of HOST has expired. The server needs a new one, unless this machine's clock is \
             wrong.",
        ),
        (
            Kind::Early,
            "The certificate of HOST is not valid yet. Check this machine's clock.",
        ),
        (
            Kind::WrongHost,
            "The certificate of HOST is for example.com, not for 127.0.0.1. Check the location, or set \
             server-name.",
        ),
    ] {
        let relay = start(server(&certificates.issue(kind)?)?)?;
        assert_error(&relay, &trusting, sentence)?;
    }
    let good = start(server(&certificates.issue(Kind::Good)?)?)?;
    let pin = "0".repeat(64);
    assert_error(
        &good,
        &format!("certificate-pin={pin}"),
        "The certificate of HOST is not the one of certificate-pin. If the server has a new one, set that.",
    )?;
    assert_error(
        &good,
        &format!("{trusting} server-name=example.org"),
        "The certificate of HOST is for localhost, 127.0.0.1, not for example.org. Check the location, or set \
         server-name.",
    )
}

/// What is warned of when a source is started at `location`.
fn warning_of(location: &str) -> Result<String> {
    let pipeline = Pipeline::new(&format!("rtmpsrc location={location} ! fakesink"))?;
    pipeline.play()?;
    pipeline.wait_for(LONG, |message| match message {
        gst::MessageView::Warning(warning) => Some(warning.error().message().to_owned()),
        _ => None,
    })
}

#[test]
fn a_flag_that_is_left_out_lets_pass_what_it_is_for_and_warns() -> Result<()> {
    let certificates = Certificates::new()?;
    let authority = certificates.authority();
    let trusting = format!("ca-file={}", utf8(&authority)?);
    let all = [
        "unknown-ca",
        "bad-identity",
        "not-activated",
        "expired",
        "revoked",
        "insecure",
        "generic-error",
    ];
    for (kind, flag, warning) in [
        (Kind::SelfSigned, "unknown-ca", "who vouches for it"),
        (Kind::WrongHost, "bad-identity", "whether it is for this host"),
        (Kind::Early, "not-activated", "whether its time has come"),
        (Kind::Expired, "expired", "whether it has expired"),
    ] {
        let relay = start(server(&certificates.issue(kind)?)?)?;
        for left_out in ["unknown-ca", "bad-identity", "not-activated", "expired"] {
            let flags: Vec<_> = all.into_iter().filter(|name| *name != left_out).collect();
            let properties = format!("{trusting} tls-validation-flags={}", flags.join("+"));
            if left_out == flag {
                assert_passes(&relay, &properties)?;
                let location = format!("{} {properties}", relay.url("live", "warned"));
                assert_eq!(
                    warning_of(&location)?,
                    format!(
                        "tls-validation-flags is not validate-all: of the server's certificate is not checked \
                         {warning}. Others may pass for the server, and get the stream key and password"
                    )
                );
            } else {
                let location = format!("{} {properties}", relay.url("live", "main"));
                let error = error_of("rtmpsrc", &location)?;
                assert_eq!(
                    error.kind(),
                    Some(gst::ResourceError::OpenRead),
                    "{kind:?}: {error}"
                );
            }
        }
        assert_passes(&relay, "tls-validation-flags=no-flags")?;
    }
    let plain = Relay::start(Options::default())?;
    let location = format!("{} tls-validation-flags=no-flags", plain.url("live", "main"));
    assert_eq!(
        warning_of(&location)?,
        "tls-validation-flags is without effect: rtmp has no certificates, use rtmps"
    );
    Ok(())
}

#[test]
fn a_certificate_of_the_servers_own_is_trusted_by_file_or_by_pin() -> Result<()> {
    let certificates = Certificates::new()?;
    let certificate = certificates.issue(Kind::SelfSigned)?;
    let relay = start(server(&certificate)?)?;
    assert_passes(&relay, &format!("ca-file={}", utf8(&certificate.certificate)?))?;
    let pin: Vec<String> = Sha256::digest(&certificate.der)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    assert_passes(&relay, &format!("certificate-pin={}", pin.join(":")))
}

#[test]
fn the_name_to_check_can_be_another_than_the_host() -> Result<()> {
    let certificates = Certificates::new()?;
    let relay = start(server(&certificates.issue(Kind::WrongHost)?)?)?;
    assert_passes(
        &relay,
        &format!(
            "ca-file={} server-name=example.com",
            utf8(&certificates.authority())?
        ),
    )
}

#[test]
fn a_server_that_demands_a_certificate_gets_it_or_refuses() -> Result<()> {
    let certificates = Certificates::new()?;
    let (ours, theirs) = (
        certificates.issue(Kind::SelfSigned)?,
        certificates.issue(Kind::Good)?,
    );
    let identity = Identity::from_pem(theirs.certificate_pem.as_bytes(), theirs.key_pem.as_bytes())?;
    let clients = Anchors::from_pem(certificates.authority_pem().as_bytes())?;
    let relay = start(Server::new(&identity, Some(&clients))?)?;
    let trusting = format!("ca-file={}", utf8(&certificates.authority())?);
    let shown = |certificate: &Certificate| -> Result<String> {
        let (certificate, key) = (utf8(&certificate.certificate)?, utf8(&certificate.key)?);
        Ok(format!(
            "{trusting} client-certificate={certificate} client-key={key}"
        ))
    };
    assert_passes(&relay, &shown(&theirs)?)?;
    for properties in [trusting.clone(), shown(&ours)?] {
        for element in ["rtmpsrc", "rtmpsink"] {
            let location = format!("{} {properties}", relay.url("live", "main"));
            let error = error_of(element, &location)?;
            assert_eq!(error.kind(), Some(gst::ResourceError::NotAuthorized), "{error}");
            let message = error.message();
            assert!(
                message.contains("does not take this client's certificate")
                    && message.ends_with("Check client-certificate and client-key."),
                "{message}"
            );
        }
    }
    Ok(())
}

#[test]
fn files_that_cannot_be_used_are_told_before_anything_is_connected() -> Result<()> {
    for property in ["ca-file", "client-certificate"] {
        for scheme in ["rtmp", "rtmps"] {
            let location = format!("{scheme}://127.0.0.1:1/live/main {property}=/nowhere.pem");
            let error = error_of("rtmpsrc", &location)?;
            assert_eq!(error.kind(), Some(gst::ResourceError::Settings), "{error}");
            let expected = format!("The file of {property}, /nowhere.pem, cannot be used: No such file");
            assert!(error.message().starts_with(&expected), "{error}");
        }
    }
    Ok(())
}

/// A server that answers what comes first by `answer` and leaves the connection open, or says nothing.
fn answering(answer: &'static [u8]) -> Result<(String, JoinHandle<std::io::Result<usize>>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let thread = thread::spawn(move || {
        let mut stream: TcpStream = listener.accept()?.0;
        let mut hello = [0; 4096];
        let mut count = stream.read(&mut hello)?;
        stream.write_all(answer)?;
        // Until the client gives up.
        loop {
            match stream.read(&mut hello) {
                Ok(0) | Err(_) => return Ok(count),
                Ok(more) => count += more,
            }
        }
    });
    Ok((format!("rtmps://{address}/live/main"), thread))
}

#[test]
fn what_does_not_speak_tls_is_told_by_what_it_speaks() -> Result<()> {
    for (answer, what) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "plain HTTP"),
        (b"\x03\0\0\0\0", "plain RTMP"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "something else"),
    ] {
        let (location, thread) = answering(answer)?;
        let error = error_of("rtmpsrc", &location)?;
        assert!(
            error.message().ends_with(&format!(
                " does not speak TLS but {what}. Use the server's port for rtmps, or the scheme rtmp."
            )),
            "{error}"
        );
        assert!(thread.join().is_ok_and(|served| served.is_ok()));
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let closing = thread::spawn(move || listener.accept().map(drop));
    let error = error_of("rtmpsink", &format!("rtmps://{address}/live/main"))?;
    assert_eq!(
        error.message(),
        format!(
            "{address} closed the connection during the TLS handshake. Is this the server's port for rtmps?"
        )
    );
    assert!(closing.join().is_ok_and(|served| served.is_ok()));
    Ok(())
}

#[test]
fn a_server_that_accepts_and_says_nothing_has_its_time() -> Result<()> {
    let (location, thread) = answering(b"")?;
    // A server of plain RTMP waits for more, as if it were the first bytes of a handshake of RTMP.
    let relay = Relay::start(Options::default())?;
    let plain = relay.url("live", "main").replace("rtmp:", "rtmps:");
    for location in [location, plain] {
        let error = error_of("rtmpsrc", &format!("{location} timeout=1"))?;
        assert!(
            error.message().ends_with(
                " accepted the connection but did not answer the TLS handshake in time. Is this the server's \
                 port for rtmps?"
            ),
            "{error}"
        );
    }
    assert!(thread.join().is_ok_and(|served| served.is_ok()));
    Ok(())
}

#[test]
fn stopping_does_not_wait_for_a_handshake() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let location = format!("rtmps://{}/live/main timeout=0", listener.local_addr()?);
    let pipeline = Pipeline::new(&format!("rtmpsrc location={location} ! fakesink"))?;
    pipeline.play()?;
    let mut peer = listener.accept()?.0;
    let mut hello = [0; 3];
    peer.read_exact(&mut hello)?;
    assert_eq!(hello, [0x16, 3, 1]);
    let begun = Instant::now();
    pipeline.stop()?;
    assert!(begun.elapsed() < LONG / 2);
    Ok(())
}

/// What gst-launch-1.0 says at the end of `pipeline`, on a system that trusts the authorities in `roots`.
fn launch(gstreamer: &GStreamer, roots: &Path, pipeline: &str) -> Result<(bool, String)> {
    let mut command = gstreamer.command("gst-launch-1.0");
    command.env("SSL_CERT_FILE", roots).env_remove("SSL_CERT_DIR");
    let ended = Peer::spawn(command.args(pipeline.split_whitespace()), "gstreamer1.0-tools")?.end(LONG)?;
    Ok((ended.status.success(), ended.stderr))
}

#[test]
fn the_systems_authorities_are_trusted_unless_there_is_a_file() -> Result<()> {
    let certificates = Certificates::new()?;
    let gstreamer = GStreamer::new()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("sent.flv");
    ffmpeg::encode_sample(&file, 1)?;
    let good = start(server(&certificates.issue(Kind::Good)?)?)?;
    let wrong = start(server(&certificates.issue(Kind::WrongHost)?)?)?;
    let publish = |relay: &Relay, roots: &Path, properties: &str| {
        let line = format!(
            "filesrc location={} ! rtmpsink sync=false location={} {properties}",
            utf8(&file)?,
            relay.url("live", "main")
        );
        launch(&gstreamer, roots, &line)
    };
    let authority = certificates.authority();
    let (done, said) = publish(&good, &authority, "")?;
    assert!(done, "{said}");
    let (done, said) = publish(&wrong, &authority, "")?;
    assert!(
        !done && said.contains("is for example.com, not for 127.0.0.1"),
        "{said}"
    );
    let no_host = "tls-validation-flags=unknown-ca+not-activated+expired+revoked+insecure+generic-error";
    let (done, said) = publish(&wrong, &authority, no_host)?;
    assert!(done, "{said}");
    // Another authority's file counts instead of the system's.
    let other = certificates.issue(Kind::SelfSigned)?;
    let only = format!("ca-file={}", utf8(&other.certificate)?);
    let (done, said) = publish(&good, &authority, &only)?;
    assert!(!done && said.contains("No authority that is trusted"), "{said}");
    // A system without any.
    let none = folder.path().join("none.pem");
    std::fs::write(&none, "")?;
    let (done, said) = publish(&good, &none, "")?;
    assert!(
        !done && said.contains("This system has no certificates of authorities"),
        "{said}"
    );
    Ok(())
}
