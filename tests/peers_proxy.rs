//! Publishing and playing by way of real proxies, and from an address and an interface that were chosen.

#[path = "../examples/relay/mod.rs"]
mod relay;
mod support;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use gst::glib;
use gstrtmp::transport::tls;
use relay::{Notice, Options, Relay};
use support::certificates::{Certificates, Kind};
use support::pipeline::{Pipeline, publisher};
use support::proxy::{self, LOGIN, Proxy};
use support::wait::LONG;
use support::{Context, Result, port, tags};

/// A relay, and from where its clients have come.
struct Server {
    relay: Relay,
    peers: Arc<Mutex<Vec<IpAddr>>>,
}

impl Server {
    fn start() -> Result<Self> {
        Self::start_with(None)
    }

    fn start_with(tls: Option<tls::Server>) -> Result<Self> {
        let peers = Arc::<Mutex<Vec<IpAddr>>>::default();
        let seen = Arc::clone(&peers);
        let options = Options {
            listen: Box::new(move |notice| {
                if let Notice::Connected { peer, .. } = notice {
                    seen.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(peer.ip());
                }
            }),
            tls,
            ..Options::default()
        };
        let relay = Relay::start(options).context("starting the relay")?;
        Ok(Self { relay, peers })
    }

    /// The location of its stream, with its host under another name.
    fn location(&self, host: &str) -> String {
        self.location_by("rtmp", host)
    }

    fn location_by(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}/live/main", self.relay.address().port())
    }

    fn peers(&self) -> Vec<IpAddr> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Publishes and plays `location` with the given properties, and asserts that every frame comes through, and that the
/// server has seen both come from `from`.
fn comes_through(server: &Server, location: &str, properties: &str, from: IpAddr) -> Result<()> {
    let player = Pipeline::new(&format!(
        "rtmpsrc location=\"{location}\" {properties} ! fakesink name=out sync=false"
    ))?;
    let played = player.tap("out")?;
    player.play()?;
    let players = |n| move |snapshot: &relay::Snapshot| snapshot.players("live/main").count() == n;
    server.relay.wait_for(LONG, players(1))?;
    let description = publisher(&format!("\"{location}\" {properties}"), 2);
    let publisher = Pipeline::new(&description)?;
    let published = publisher.tap("sink")?;
    publisher.play()?;
    publisher.wait_for_eos()?;
    player.wait_for_eos()?;
    drop((player, publisher));
    server.relay.wait_for(LONG, players(0))?;

    let published = tags::frames(&published.tags()?);
    assert!(published.len() > 100, "{} frames", published.len());
    assert_eq!(tags::frames(&played.tags()?), published, "{properties}");
    assert_eq!(server.peers(), [from, from], "{properties}");
    Ok(())
}

/// What a pipeline that cannot connect says of it.
fn refused(location: &str, proxy: &str) -> Result<glib::Error> {
    let pipeline = Pipeline::new(&format!(
        "rtmpsrc location={location} proxy={proxy} ! fakesink sync=false"
    ))?;
    pipeline.play()?;
    pipeline.wait_for_error()
}

#[test]
fn dante_passes_every_frame_on() -> Result<()> {
    let dante = Proxy::dante()?;
    for (scheme, host) in [
        ("socks5", "localhost"),
        ("socks5h", "localhost"),
        ("socks5h", "127.0.0.1"),
        ("socks4", "localhost"),
        // Dante 1.4 takes the name of 4A for the address 0.0.0.1.
        ("socks4a", "127.0.0.1"),
    ] {
        let server = Server::start()?;
        let properties = format!("proxy={}", dante.url(scheme));
        comes_through(&server, &server.location(host), &properties, proxy::FROM)
            .context(format!("{scheme} to {host}"))?;
    }
    // librtmp's option.
    let server = Server::start()?;
    let location = format!("{} socks={}", server.location("127.0.0.1"), dante.authority());
    comes_through(&server, &location, "", proxy::FROM)
}

#[test]
fn microsocks_passes_every_frame_on_after_the_login() -> Result<()> {
    let microsocks = Proxy::microsocks()?;
    let server = Server::start()?;
    let properties = format!("proxy={}", microsocks.url_with("socks5h", LOGIN));
    comes_through(&server, &server.location("localhost"), &properties, proxy::FROM)
}

#[test]
fn tinyproxy_passes_every_frame_on() -> Result<()> {
    for wants_login in [false, true] {
        let tinyproxy = Proxy::tinyproxy(wants_login)?;
        let url = if wants_login {
            tinyproxy.url_with("http", LOGIN)
        } else {
            tinyproxy.url("http")
        };
        let server = Server::start()?;
        let location = server.location("localhost");
        comes_through(&server, &location, &format!("proxy={url}"), proxy::FROM)?;
    }
    Ok(())
}

/// tinyproxy closes the connection behind each answer, and is asked for each request by its whole URL.
#[test]
fn requests_of_rtmpt_pass_a_proxy_of_http() -> Result<()> {
    for (scheme, wants_login) in [("rtmpt", false), ("rtmpt", true), ("rtmpte", false)] {
        let tinyproxy = Proxy::tinyproxy(wants_login)?;
        let url = if wants_login {
            tinyproxy.url_with("http", LOGIN)
        } else {
            tinyproxy.url("http")
        };
        let server = Server::start()?;
        let location = server.location_by(scheme, "localhost");
        comes_through(&server, &location, &format!("proxy={url}"), proxy::FROM).context(scheme)?;
    }
    Ok(())
}

#[test]
fn rtmpt_passes_a_proxy_of_socks_and_rtmpts_each() -> Result<()> {
    let (dante, tinyproxy) = (Proxy::dante()?, Proxy::tinyproxy(true)?);
    let server = Server::start()?;
    let properties = format!("proxy={}", dante.url("socks5h"));
    comes_through(
        &server,
        &server.location_by("rtmpt", "localhost"),
        &properties,
        proxy::FROM,
    )?;

    let certificates = Certificates::new()?;
    let authority = certificates.authority();
    for url in [dante.url("socks5h"), tinyproxy.url_with("http", LOGIN)] {
        let good = certificates.issue(Kind::Good)?;
        let tls = tls::Server::from_pem(good.certificate_pem.as_bytes(), good.key_pem.as_bytes())?;
        let server = Server::start_with(Some(tls))?;
        let properties = format!("proxy={url} ca-file={}", authority.display());
        let location = server.location_by("rtmpts", "localhost");
        comes_through(&server, &location, &properties, proxy::FROM).context(url)?;
    }
    Ok(())
}

#[test]
fn a_wrong_login_is_told_by_rtmpt_as_well() -> Result<()> {
    let tinyproxy = Proxy::tinyproxy(true)?;
    let server = Server::start()?;
    for url in [tinyproxy.url_with("http", "alice:hunter2"), tinyproxy.url("http")] {
        let error = refused(&server.location_by("rtmpt", "127.0.0.1"), &url)?;
        assert!(error.matches(gst::ResourceError::NotAuthorized), "{error}");
        assert!(error.message().contains("The proxy on the way to"), "{error}");
        assert!(!error.message().contains("hunter2"), "{error}");
    }
    Ok(())
}

#[test]
fn a_wrong_login_is_told_and_not_shown() -> Result<()> {
    let (microsocks, tinyproxy) = (Proxy::microsocks()?, Proxy::tinyproxy(true)?);
    let location = "rtmp://127.0.0.1/live/key";
    for (proxy, scheme) in [(&microsocks, "socks5h"), (&tinyproxy, "http")] {
        for (url, said) in [
            (proxy.url_with(scheme, "alice:hunter2"), "refused the login"),
            (proxy.url(scheme), "wants a user name and a password"),
        ] {
            let error = refused(location, &url)?;
            assert!(
                error.matches(gst::ResourceError::NotAuthorized),
                "{scheme}: {error}"
            );
            let text = error.message();
            assert!(text.contains(said) && text.contains(&proxy.authority()), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
    Ok(())
}

#[test]
fn a_server_that_a_proxy_does_not_reach_is_told_with_the_reason() -> Result<()> {
    let (dante, microsocks, tinyproxy) = (Proxy::dante()?, Proxy::microsocks()?, Proxy::tinyproxy(false)?);
    let [nobody] = port::free()?;
    let location = format!("rtmp://127.0.0.1:{nobody}/live/key");
    for (url, location, said) in [
        (
            dante.url("socks5h"),
            "rtmp://127.0.0.1:9/live/key",
            "its rules do not allow the connection (SOCKS 5 code 2)",
        ),
        (
            dante.url("socks4"),
            "rtmp://127.0.0.1:9/live/key",
            "(SOCKS 4 code 91)",
        ),
        (
            dante.url("socks5h"),
            &location,
            "connection refused (SOCKS 5 code 5)",
        ),
        (
            microsocks.url_with("socks5h", LOGIN),
            &location,
            "connection refused (SOCKS 5 code 5)",
        ),
        (tinyproxy.url("http"), &location, "(HTTP code 500)"),
    ] {
        let error = refused(location, &url)?;
        assert!(error.matches(gst::ResourceError::OpenRead), "{url}: {error}");
        assert!(error.message().contains(said), "{url}: {error}");
    }
    Ok(())
}

#[test]
fn a_proxy_of_another_kind_is_told() -> Result<()> {
    let (microsocks, tinyproxy) = (Proxy::microsocks()?, Proxy::tinyproxy(false)?);
    // The one answers in its own protocol, the other waits for the end of a line.
    for (url, said) in [
        (
            microsocks.url("http"),
            "does not answer as the proxy that it should be",
        ),
        (tinyproxy.url("socks5h"), "did not answer in time"),
    ] {
        let error = refused("rtmp://127.0.0.1/live/key", &format!("{url} timeout=1"))?;
        assert!(error.matches(gst::ResourceError::OpenRead), "{url}: {error}");
        assert!(error.message().contains(said), "{url}: {error}");
        assert!(error.message().contains("Check scheme"), "{url}: {error}");
    }
    Ok(())
}

#[test]
fn the_server_sees_the_address_that_was_chosen() -> Result<()> {
    let from = IpAddr::from(Ipv4Addr::new(127, 0, 0, 2));
    for properties in [
        "bind-address=127.0.0.2",
        "bind-address=127.0.0.2 bind-interface=lo address-family=ipv4",
    ] {
        let server = Server::start()?;
        comes_through(&server, &server.location("localhost"), properties, from)?;
    }
    Ok(())
}

#[test]
fn one_family_alone_is_connected_to() -> Result<()> {
    let server = Server::start()?;
    let from = IpAddr::from(Ipv4Addr::LOCALHOST);
    comes_through(
        &server,
        &server.location("localhost"),
        "address-family=ipv4",
        from,
    )?;
    let pipeline = Pipeline::new(&format!(
        "rtmpsrc location={} address-family=ipv6 ! fakesink",
        server.location("127.0.0.1")
    ))?;
    pipeline.play()?;
    let error = pipeline.wait_for_error()?;
    assert!(error.message().contains("has no IPv6 address"), "{error}");

    let address = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0));
    let options = Options {
        address,
        ..Options::default()
    };
    // Not every machine has IPv6.
    if let Ok(relay) = Relay::start(options) {
        let location = format!("rtmp://[::1]:{}/live/main", relay.address().port());
        let pipeline = Pipeline::new(&format!(
            "rtmpsrc location={location} address-family=ipv6 bind-address=::1 ! fakesink"
        ))?;
        pipeline.play()?;
        relay.wait_for(LONG, |snapshot| snapshot.players("live/main").count() == 1)?;
    }
    Ok(())
}

#[test]
fn what_cannot_be_bound_to_is_told() -> Result<()> {
    for (properties, said) in [
        ("bind-interface=nosuch0", "through the interface nosuch0"),
        ("bind-address=192.0.2.1", "Could not connect from 192.0.2.1"),
    ] {
        let pipeline = Pipeline::new(&format!(
            "rtmpsrc location=rtmp://127.0.0.1/live/key {properties} ! fakesink"
        ))?;
        pipeline.play()?;
        let error = pipeline.wait_for_error()?;
        assert!(error.matches(gst::ResourceError::Settings), "{error}");
        assert!(error.message().contains(said), "{error}");
    }
    Ok(())
}
