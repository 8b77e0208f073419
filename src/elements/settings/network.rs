//! How TCP connections are made: from where, through which proxy, and when they count as lost.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use gst::glib;
use gst::prelude::*;

use super::text;
use crate::elements::enums::AddressFamily;
use crate::transport::tcp::{Family, TcpOptions};
use crate::url::{Options, Proxy, Secret, UrlError};

/// Seconds after which the kernel probes a silent peer, so that a half-open connection is found out.
const DEFAULT_KEEPALIVE: u32 = 30;

/// Most seconds that Linux takes for `TCP_KEEPIDLE`.
const MAX_KEEPALIVE: u32 = 32_767;

/// Most milliseconds that Linux takes for `TCP_USER_TIMEOUT`, an int.
const MAX_USER_TIMEOUT: u32 = i32::MAX.cast_unsigned();

/// Longest name of a network interface, IFNAMSIZ of Linux without its NUL.
const MAX_INTERFACE: usize = 15;

/// The properties of this group.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// As it was written.
    proxy: Option<Secret>,
    bind_address: Option<String>,
    bind_interface: Option<String>,
    address_family: AddressFamily,
    /// Seconds; 0 is off.
    keepalive: u32,
    /// Milliseconds; 0 is the system's.
    user_timeout: u32,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            proxy: None,
            bind_address: None,
            bind_interface: None,
            address_family: AddressFamily::default(),
            keepalive: DEFAULT_KEEPALIVE,
            user_timeout: 0,
        }
    }
}

impl Network {
    pub(super) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        let text = || value.get::<Option<String>>().ok().flatten();
        match name {
            "proxy" => self.proxy = text().map(Secret::from),
            "bind-address" => self.bind_address = text(),
            "bind-interface" => self.bind_interface = text(),
            "address-family" => self.address_family = value.get().unwrap_or_default(),
            "tcp-keepalive" => self.keepalive = value.get().unwrap_or(DEFAULT_KEEPALIVE),
            "tcp-user-timeout" => self.user_timeout = value.get().unwrap_or_default(),
            _ => return false,
        }
        true
    }

    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "proxy" => self
                .proxy
                .as_ref()
                .map(|proxy| proxy.expose().to_owned())
                .to_value(),
            "bind-address" => self.bind_address.to_value(),
            "bind-interface" => self.bind_interface.to_value(),
            "address-family" => self.address_family.to_value(),
            "tcp-keepalive" => self.keepalive.to_value(),
            "tcp-user-timeout" => self.user_timeout.to_value(),
            _ => return None,
        })
    }

    /// The options of every socket.
    pub(super) fn tcp(&self) -> Result<TcpOptions, NetworkFault> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let family = Family::from(self.address_family);
        let local_address = given(&self.bind_address)
            .map(|address| {
                let address = address.trim_start_matches('[').trim_end_matches(']');
                address.parse::<IpAddr>().map_err(|_| NetworkFault::BindAddress)
            })
            .transpose()?;
        if local_address.is_some_and(|address| !family.admits(address)) {
            return Err(NetworkFault::Contradiction(family));
        }
        let interface = given(&self.bind_interface);
        if interface
            .as_ref()
            .is_some_and(|name| name.len() > MAX_INTERFACE || name.contains(['\0', '/']))
        {
            return Err(NetworkFault::BindInterface);
        }
        let unless_zero = |time: Duration| (!time.is_zero()).then_some(time);
        Ok(TcpOptions {
            keepalive: unless_zero(Duration::from_secs(self.keepalive.into())),
            user_timeout: unless_zero(Duration::from_millis(self.user_timeout.into())),
            family,
            local_address,
            interface: interface.map(Into::into),
        })
    }

    /// The proxy, of the location's `options` before the property.
    pub(super) fn proxy(&self, options: &Options) -> Result<Option<Proxy>, UrlError> {
        let given = self.proxy.as_ref().filter(|proxy| !proxy.is_empty());
        match (&options.socks, given) {
            (Some(proxy), _) => Ok(Some(proxy.clone())),
            (None, Some(url)) => Proxy::parse(url.expose()).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// What is wrong with a property of this group.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NetworkFault {
    BindAddress,
    BindInterface,
    Contradiction(Family),
}

impl fmt::Display for NetworkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BindAddress => f.write_str(
                "bind-address is not an IP address: write one of this machine, without a port, or use \
                 bind-interface",
            ),
            Self::BindInterface => f.write_str(
                "bind-interface is not the name of a network interface: write one that ip link shows",
            ),
            Self::Contradiction(family) => write!(
                f,
                "bind-address is not of the address-family: write an {family} address, or leave one of them out"
            ),
        }
    }
}

pub(super) fn properties() -> Vec<glib::ParamSpec> {
    vec![
        text(
            "proxy",
            "Proxy",
            "URL of a proxy to connect through: socks5h://[user:password@]host[:port]; socks5 and socks4 look up \
             the server's name here, socks5h, socks4a and http (CONNECT) have the proxy do it",
        ),
        text(
            "bind-address",
            "Local address",
            "IP address of this machine to connect from, and so only to addresses of its family",
        ),
        text(
            "bind-interface",
            "Network interface",
            "Name of the network interface to connect through, such as eth1 (Linux only)",
        ),
        glib::ParamSpecEnum::builder_with_default("address-family", AddressFamily::default())
            .nick("Address family")
            .blurb("Which addresses of the server, or of the proxy, are tried")
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("tcp-keepalive")
            .nick("TCP keepalive")
            .blurb("Seconds of silence after which TCP probes whether the other side is still there, 0 = never")
            .maximum(MAX_KEEPALIVE)
            .default_value(DEFAULT_KEEPALIVE)
            .mutable_ready()
            .build(),
        glib::ParamSpecUInt::builder("tcp-user-timeout")
            .nick("TCP user timeout")
            .blurb(
                "Milliseconds for which what was sent may stay unacknowledged before the connection counts as \
                 lost, 0 = the system's time (Linux only)",
            )
            .maximum(MAX_USER_TIMEOUT)
            .mutable_ready()
            .build(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(properties: &[(&str, &str)]) -> Network {
        let mut network = Network::default();
        for (name, value) in properties {
            assert!(network.set(name, &value.to_value()), "{name}");
        }
        network
    }

    #[test]
    fn defaults_are_keepalive_and_nothing_else() {
        let expected = TcpOptions {
            keepalive: Some(Duration::from_secs(30)),
            ..TcpOptions::default()
        };
        assert_eq!(Network::default().tcp(), Ok(expected));
        assert_eq!(Network::default().proxy(&Options::default()), Ok(None));
    }

    #[test]
    fn every_property_reaches_the_socket() {
        let mut network = network(&[("bind-address", "[::1]"), ("bind-interface", "lo")]);
        network.set("tcp-keepalive", &0_u32.to_value());
        network.set("tcp-user-timeout", &1500_u32.to_value());
        network.set("address-family", &AddressFamily::Ipv6.to_value());
        let expected = TcpOptions {
            keepalive: None,
            user_timeout: Some(Duration::from_millis(1500)),
            family: Family::V6,
            local_address: Some("::1".parse().unwrap()),
            interface: Some("lo".into()),
        };
        assert_eq!(network.tcp(), Ok(expected));
    }

    #[test]
    fn what_cannot_be_bound_to_is_refused() {
        for (name, value, fault) in [
            ("bind-address", "localhost", NetworkFault::BindAddress),
            ("bind-address", "127.0.0.1:80", NetworkFault::BindAddress),
            ("bind-interface", "of_sixteen_bytes", NetworkFault::BindInterface),
            ("bind-interface", "a/b", NetworkFault::BindInterface),
        ] {
            assert_eq!(network(&[(name, value)]).tcp(), Err(fault), "{value}");
            assert!(fault.to_string().starts_with(name), "{fault}");
        }
        let mut contradiction = network(&[("bind-address", "127.0.0.1")]);
        contradiction.set("address-family", &AddressFamily::Ipv6.to_value());
        assert_eq!(contradiction.tcp(), Err(NetworkFault::Contradiction(Family::V6)));
        assert_eq!(
            network(&[("bind-address", ""), ("bind-interface", "")]).tcp(),
            Network::default().tcp()
        );
    }

    #[test]
    fn the_locations_proxy_counts_first() {
        let socks = crate::url::RtmpUrl::parse("rtmp://h/a/b socks=there").unwrap();
        let with = network(&[("proxy", "http://here")]);
        let url = |proxy: Result<Option<Proxy>, UrlError>| proxy.unwrap().unwrap().to_string();
        assert_eq!(url(with.proxy(socks.options())), "socks4://there:1080");
        assert_eq!(url(with.proxy(&Options::default())), "http://here:80");
        assert!(
            network(&[("proxy", "here:80")])
                .proxy(&Options::default())
                .is_err()
        );
        assert_eq!(network(&[("proxy", "")]).proxy(&Options::default()), Ok(None));
    }

    #[test]
    fn debug_shows_no_password() {
        let network = network(&[("proxy", "http://me:hunter2@here")]);
        assert!(!format!("{network:?}").contains("hunter2"));
    }
}
