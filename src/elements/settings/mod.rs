//! The properties that both elements share, and what they come to: where to connect and what to say there.
//!
//! What belongs together is a group with a file of its own: it names its properties, keeps their values, and says
//! what they come to.

mod login;
mod network;
mod player;
mod redirects;
mod secrets;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use gst::glib;
use gst::prelude::*;

use self::login::Login;
use self::network::Network;
use self::player::Player;
use self::redirects::Redirects;
pub(super) use self::secrets::SecretFault;
use self::tls::Tls;
use super::enums::{EnhancedRtmp, Scheme};
use super::error;
use crate::amf::Text;
use crate::handshake::Style;
use crate::session::{Capabilities, ClientConfig, Intent, PlayStart, StopCommands, Support};
use crate::transport::Target;
use crate::url::{ConnectArgs, RtmpUrl, Secret, UrlError};

/// rtmp2's default, which no server has by accident.
const DEFAULT_LOCATION: &str = "rtmp://localhost/live/myStream";
/// Seconds that every phase may take.
const DEFAULT_TIMEOUT: u32 = 5;

/// URI schemes that the elements take.
pub(super) const PROTOCOLS: &[&str] = &["rtmp", "rtmps", "rtmpe", "rtmpt", "rtmpts", "rtmpte", "rtmfp"];

/// Where to connect, what the session is to do there, and what the user calls it: the location with all secrets in
/// place, to mask them.
pub(super) type Prepared = (Target, Arc<ClientConfig>, RtmpUrl);

/// What an element was told, by properties, a URI or both; the later word counts.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    url: RtmpUrl,
    /// Why the location that was set last, or a part set after it, could not be used.
    fault: Option<UrlError>,
    /// The location that was set last, if it could not be used: it reads back as it was written too.
    unusable: Option<Secret>,
    /// Whether a part was set after the location, so that the location does not tell the whole truth.
    edited: bool,
    login: Login,
    network: Network,
    player: Player,
    redirects: Redirects,
    tls: Tls,
    /// Seconds; 0 is no limit.
    timeout: u32,
    extra_connect_args: Option<String>,
    connect_args: Option<String>,
    pub(super) async_connect: bool,
    pub(super) enhanced_rtmp: EnhancedRtmp,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: RtmpUrl::parse(DEFAULT_LOCATION).expect("the default location is a good one"),
            fault: None,
            unusable: None,
            edited: false,
            login: Login::default(),
            network: Network::default(),
            player: Player::default(),
            redirects: Redirects::default(),
            tls: Tls::default(),
            timeout: DEFAULT_TIMEOUT,
            extra_connect_args: None,
            connect_args: None,
            async_connect: true,
            enhanced_rtmp: EnhancedRtmp::default(),
        }
    }
}

/// What a connection takes that is not a shared property: the role's own part.
pub(super) struct Role {
    pub(super) intent: Intent,
    pub(super) chunk_size: u32,
    pub(super) stop_commands: StopCommands,
    pub(super) idle_timeout: Option<Duration>,
    /// What the element can do with the codecs of Enhanced RTMP.
    pub(super) support: Support,
    pub(super) receive_audio: bool,
    pub(super) receive_video: bool,
    /// What only a player says.
    pub(super) subscribe: Option<Secret>,
    pub(super) playlist: bool,
    /// Whether what is played is wanted as soon as it can be had.
    pub(super) is_hasty: bool,
}

impl Settings {
    /// The location, safe to show.
    pub(super) const fn url(&self) -> &RtmpUrl {
        &self.url
    }

    /// What was passed over in the location, and what is less safe than it could be.
    pub(super) fn warnings(&self) -> Vec<String> {
        let of_location = self.url.warnings().iter().map(ToString::to_string);
        of_location.chain(self.tls.warnings(self.url.scheme())).collect()
    }

    /// How long every phase may take; the location's option counts before the property. 0 is no limit in both.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let of_property = Duration::from_secs(self.timeout.into());
        let timeout = self.url.options().timeout.unwrap_or(of_property);
        (!timeout.is_zero()).then_some(timeout)
    }

    /// Has one more name masked in what is shown.
    pub(super) fn mask_name(&mut self, name: Secret) {
        self.url.mask_name(name);
    }

    /// Where in a recording the location says that playing ends.
    pub(super) fn stop(&self) -> Option<Duration> {
        let options = self.url.options();
        options
            .stop
            .filter(|stop| *stop > options.start.unwrap_or_default())
    }

    /// Replaces the location and every part that was set before.
    pub(super) fn set_location(&mut self, location: Option<&str>) -> Result<(), UrlError> {
        self.edited = false;
        self.unusable = None;
        let location = location.unwrap_or(DEFAULT_LOCATION);
        match RtmpUrl::parse(location) {
            Ok(url) => {
                self.url = url;
                self.fault = None;
                Ok(())
            }
            Err(fault) => {
                self.fault = Some(fault);
                self.unusable = Some(location.into());
                Err(fault)
            }
        }
    }

    /// Replaces the location by way of `gst::URIHandler`, which `doing` forbids in the element's `state`.
    pub(super) fn set_uri(&mut self, uri: &str, state: gst::State, doing: &str) -> Result<(), glib::Error> {
        if state > gst::State::Ready {
            let why = format!("The URI cannot change while {doing}");
            return Err(glib::Error::new(gst::URIError::BadState, &why));
        }
        self.set_location(Some(uri))
            .map_err(|fault| glib::Error::new(gst::URIError::BadUri, &fault.to_string()))
    }

    /// The location as it was written, secrets included; put together from its parts when one of them was set
    /// afterwards.
    pub(super) fn location(&self) -> String {
        if let Some(unusable) = &self.unusable {
            return unusable.expose().to_owned();
        }
        match self.url.location() {
            Some(location) if !self.edited => location.to_owned(),
            _ => {
                let stream = self.url.stream().expose();
                let separator = if stream.is_empty() { "" } else { "/" };
                format!("{}{separator}{stream}", self.url.tc_url())
            }
        }
    }

    fn edit(&mut self, edit: impl FnOnce(&mut RtmpUrl) -> Result<(), UrlError>) {
        self.edited = true;
        if let Err(fault) = edit(&mut self.url) {
            self.fault = Some(fault);
        }
    }

    /// Sets a shared property; false if `name` is not one. What is wrong with a value shows when the element
    /// starts.
    pub(super) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        let text = || value.get::<Option<String>>().ok().flatten();
        match name {
            "location" => {
                // The fault is kept for start; a property setter has no way to refuse.
                let _ = self.set_location(text().as_deref());
            }
            "scheme" => {
                if let Ok(scheme) = value.get::<Scheme>() {
                    self.edit(|url| {
                        url.set_scheme(scheme.into());
                        Ok(())
                    });
                }
            }
            "host" => self.edit(|url| url.set_host(&text().unwrap_or_default())),
            "port" => {
                let port = value.get::<i32>().ok().and_then(|port| u16::try_from(port).ok());
                self.edit(|url| url.set_port(port.unwrap_or_default()));
            }
            "application" => self.edit(|url| url.set_application(&text().unwrap_or_default())),
            "stream" => self.edit(|url| url.set_stream(&text().unwrap_or_default())),
            "username" => self.edit(|url| url.set_username(&text().unwrap_or_default())),
            "password" => self.edit(|url| url.set_password(&text().unwrap_or_default())),
            "tc-url" => {
                if let Some(tc_url) = text() {
                    let edited = self.edited;
                    self.edit(|url| url.set_tc_url(&tc_url));
                    // Not a part of the location.
                    self.edited = edited;
                }
            }
            "timeout" => self.timeout = value.get().unwrap_or(DEFAULT_TIMEOUT),
            "extra-connect-args" => self.extra_connect_args = text(),
            "connect-args" => self.connect_args = text(),
            "async-connect" => self.async_connect = value.get().unwrap_or(true),
            "enhanced-rtmp" => self.enhanced_rtmp = value.get().unwrap_or_default(),
            _ => {
                return self.login.set(name, value)
                    || self.network.set(name, value)
                    || self.player.set(name, value)
                    || self.redirects.set(name, value)
                    || self.tls.set(name, value);
            }
        }
        true
    }

    /// Reads a shared property.
    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "location" => self.location().to_value(),
            "scheme" => Scheme::from(self.url.scheme()).to_value(),
            "host" => self.url.host().to_value(),
            "port" => i32::from(self.url.port()).to_value(),
            "application" => self.url.application().to_value(),
            "stream" => self.url.stream().expose().to_value(),
            "username" => self.url.username().to_value(),
            "password" => self
                .url
                .password()
                .map(|password| password.expose().to_owned())
                .to_value(),
            "tc-url" => self.url.tc_url().to_value(),
            "timeout" => self.timeout.to_value(),
            "extra-connect-args" => self.extra_connect_args.to_value(),
            "connect-args" => self.connect_args.to_value(),
            "async-connect" => self.async_connect.to_value(),
            "enhanced-rtmp" => self.enhanced_rtmp.to_value(),
            _ => {
                return self
                    .login
                    .get(name)
                    .or_else(|| self.network.get(name))
                    .or_else(|| self.player.get(name))
                    .or_else(|| self.redirects.get(name))
                    .or_else(|| self.tls.get(name));
            }
        })
    }

    /// Whether the settings ask for something that this version cannot do, named as the user named it.
    fn unsupported(&self) -> Option<&'static str> {
        use crate::url::Scheme;
        let options = self.url.options();
        let scheme = self.url.scheme();
        [
            (scheme == Scheme::Rtmfp, "rtmfp"),
            (options.weeb.is_some(), "the location option weeb"),
        ]
        .into_iter()
        .find_map(|(asked, what)| asked.then_some(what))
    }

    /// Everything that a connection needs.
    pub(super) fn connection(&self, role: Role) -> Result<Prepared, gst::ErrorMessage> {
        if let Some(fault) = &self.fault {
            return Err(error::bad_url(fault));
        }
        if let Some(what) = self.unsupported() {
            return Err(error::not_supported_yet(what));
        }
        let mut url = self.url.clone();
        let is_default = url.location() == Some(DEFAULT_LOCATION);
        let unusable = |fault: SecretFault| error::bad_setting(&fault);
        self.login.resolve(&mut url, is_default).map_err(unusable)?;
        let options = self.url.options();
        let tcp = self.network.tcp().map_err(|fault| error::bad_setting(&fault))?;
        let proxy = self
            .network
            .proxy(options)
            .map_err(|fault| error::bad_url(&fault))?;
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy).map_err(|_| error::no_entropy())?;

        let mut intent = role.intent;
        if let Intent::Play { start, buffer_length } = &mut intent {
            if options.live == Some(true) {
                *start = PlayStart::Live;
            } else if let Some(at) = options.start {
                *start = PlayStart::Recorded(millis(at));
            }
            if let Some(buffer) = options.buffer {
                *buffer_length = millis(buffer);
            }
        }
        let mut config = ClientConfig::new(
            intent,
            url.application().into(),
            url.tc_url().as_ref().into(),
            url.stream().expose().into(),
            entropy,
        );
        self.login.apply(&mut url, &mut config).map_err(unusable)?;
        config.redirects = self.redirects.policy();
        self.player.apply(options, &mut config)?;
        if self.url.scheme().is_rtmpe() {
            config.handshake = Style::Rtmpe;
        }
        let subscribe = role.subscribe.as_ref().or(options.subscribe.as_ref());
        config.subscribe = subscribe.map(|name| Text::from(name.expose()));
        config.playlist = role.playlist || options.playlist == Some(true);
        config.renews_buffer = role.is_hasty;
        config.play_length = self.stop().map(|stop| {
            let start = options.start.unwrap_or_default();
            millis(stop.saturating_sub(start))
        });
        config.connect_arguments = options.connect_args.values().to_vec();
        for arguments in [&self.extra_connect_args, &self.connect_args]
            .into_iter()
            .flatten()
        {
            let parsed = ConnectArgs::parse(arguments).map_err(|fault| error::bad_url(&fault))?;
            config.connect_arguments.extend(parsed.into_values());
        }
        config.chunk_size = role.chunk_size;
        config.stop_commands = role.stop_commands;
        config.idle_timeout = role.idle_timeout;
        config.receive_audio = role.receive_audio;
        config.receive_video = role.receive_video;
        if self.enhanced_rtmp != EnhancedRtmp::Never {
            config.enhanced = Some(Capabilities::all(role.support));
        }
        config.timeout = self.timeout();

        let target = Target {
            scheme: self.url.scheme(),
            host: self.url.host().to_owned(),
            port: self.url.port(),
            tcp,
            proxy,
            tls: Some(self.tls.client()?),
        };
        Ok((target, Arc::new(config), url))
    }
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// The shared properties, as `gst-inspect-1.0` shows them.
pub(super) fn properties() -> Vec<glib::ParamSpec> {
    let mut properties = vec![
        glib::ParamSpecString::builder("location")
            .nick("Location")
            .blurb(
                "Where to connect: rtmp://host[:port]/application/stream, with librtmp's options behind a space \
                 if wanted. Sets all parts at once; reads back as written",
            )
            .default_value(DEFAULT_LOCATION)
            .mutable_ready()
            .build(),
        glib::ParamSpecEnum::builder_with_default("scheme", Scheme::default())
            .nick("Scheme")
            .blurb("Protocol variant")
            .mutable_ready()
            .build(),
        text("host", "Host", "Host name or address of the server"),
        glib::ParamSpecInt::builder("port")
            .nick("Port")
            .blurb("TCP port of the server")
            .minimum(1)
            .maximum(65535)
            .default_value(1935)
            .mutable_ready()
            .build(),
        text("application", "Application", "Application on the server, sent verbatim"),
        text(
            "stream",
            "Stream",
            "Stream name, often the stream key, sent verbatim; {env:NAME} stands for an environment variable",
        ),
        text("username", "User name", "User name for the server's authentication"),
        text(
            "password",
            "Password",
            "Password for the server's authentication; {env:NAME} stands for an environment variable",
        ),
        glib::ParamSpecUInt::builder("timeout")
            .nick("Timeout")
            .blurb(
                "Seconds that each of name look-up, TCP connection, proxy, TLS, handshake, connect, createStream, \
                 publish or play, and a blocked write may take; 0 = no limit",
            )
            .default_value(DEFAULT_TIMEOUT)
            .mutable_ready()
            .build(),
        text("tc-url", "tcUrl", "tcUrl of connect; scheme://host[:port]/application when unset"),
        text(
            "extra-connect-args",
            "Extra connect arguments",
            "Values appended to connect in librtmp's grammar, separated by spaces: B:1 N:1.5 S:text Z: and objects of \
             named values, O:1 NS:key:text O:0",
        ),
        text(
            "connect-args",
            "Connect arguments",
            "As extra-connect-args, appended after them",
        ),
        glib::ParamSpecBoolean::builder("async-connect")
            .nick("Connect asynchronously")
            .blurb("Connect while the element starts instead of when the first data is due")
            .default_value(true)
            .mutable_ready()
            .build(),
        glib::ParamSpecEnum::builder_with_default("enhanced-rtmp", EnhancedRtmp::default())
            .nick("Enhanced RTMP")
            .blurb(
                "Whether connect announces Enhanced RTMP, and when a sink of elementary streams sends its tags",
            )
            .mutable_ready()
            .build(),
        glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
            .nick("Statistics")
            .blurb("Figures of the connection, see the documentation for the fields")
            .read_only()
            .build(),
    ];
    properties.extend(login::properties());
    properties.extend(network::properties());
    properties.extend(player::properties());
    properties.extend(redirects::properties());
    properties.extend(tls::properties());
    properties
}

/// A property of text that can be set until the element starts.
fn text(name: &'static str, nick: &'static str, blurb: &'static str) -> glib::ParamSpec {
    glib::ParamSpecString::builder(name)
        .nick(nick)
        .blurb(blurb)
        .mutable_ready()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeout_of_the_location_counts_first_and_zero_is_no_limit() {
        let mut settings = Settings::default();
        let mut timeout = |location, property: u32| {
            settings.set_location(location).unwrap();
            settings.set("timeout", &property.to_value());
            settings.timeout().map(|timeout| timeout.as_secs())
        };
        assert_eq!(timeout(None, 7), Some(7));
        assert_eq!(timeout(None, 0), None);
        assert_eq!(timeout(Some("rtmp://host/live/key timeout=3"), 7), Some(3));
        assert_eq!(timeout(Some("rtmp://host/live/key timeout=3"), 0), Some(3));
        assert_eq!(timeout(Some("rtmp://host/live/key timeout=0"), 7), None);
    }
}
