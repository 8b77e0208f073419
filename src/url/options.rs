//! The options that librtmp takes behind a URL: `rtmp://host/app/stream live=1 timeout=10 conn=S:x`, librtmp(3).
//!
//! Names are compared without case; the last of several values counts, but every `conn` adds an argument. In a
//! value `\20` is a space and `\5c` a backslash, and the same escapes with `%` are decoded too, but for the
//! options whose values are URLs or names on the server: these are sent as they are written, and a `%` is a
//! usual character of theirs.

use std::time::Duration;

use super::connect_args::{Builder, ConnectArgs};
use super::error::{Part, UrlError, UrlWarning};
use super::proxy::Proxy;
use super::secret::Secret;
use super::without_controls;

/// What the options of a location say. `None` where the location has no such option.
///
/// URLs and names can carry a token in their query, so they are secrets here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// `socks`: SOCKS 4 proxy to connect through.
    pub socks: Option<Proxy>,
    /// `app`: application, instead of the path's.
    pub application: Option<Secret>,
    /// `tcUrl`: URL in the connect command, instead of the one that is built.
    pub tc_url: Option<Secret>,
    /// `pageUrl`: web page around the player.
    pub page_url: Option<Secret>,
    /// `swfUrl`: the player.
    pub swf_url: Option<Secret>,
    /// `flashver`: version of the player or encoder.
    pub flash_version: Option<String>,
    /// `conn`: extra arguments of the connect command, of all options of that name.
    pub connect_args: ConnectArgs,
    /// `playpath`: stream, instead of the path's and without any change.
    pub playpath: Option<Secret>,
    /// `playlist`: whether to send `set_playlist` before `play`.
    pub playlist: Option<bool>,
    /// `live`: whether only a live stream is wanted.
    pub live: Option<bool>,
    /// `subscribe`: name for `FCSubscribe`.
    pub subscribe: Option<Secret>,
    /// `jtv`: token for `NetStream.Authenticate.UsherToken`.
    pub jtv: Option<Secret>,
    /// `weeb`: `token;user;password` for `determineAccess`.
    pub weeb: Option<Secret>,
    /// `token`: key of SecureToken.
    pub token: Option<Secret>,
    /// `swfVfy`: whether to answer SWF verification for `swfUrl`.
    pub swf_verify: Option<bool>,
    /// `swfAge`: how long a hash of the player stays good; in days.
    pub swf_age: Option<Duration>,
    /// `start`: where to begin playing; in milliseconds.
    pub start: Option<Duration>,
    /// `stop`: where to end playing; in milliseconds.
    pub stop: Option<Duration>,
    /// `buffer`: length for `SetBufferLength`; in milliseconds.
    pub buffer: Option<Duration>,
    /// `timeout`: how long to wait for the server; in seconds.
    pub timeout: Option<Duration>,
    /// `pubUser`: user name for the server's authentication, instead of the URL's.
    pub username: Option<String>,
    /// `pubPasswd`: password for the server's authentication, instead of the URL's.
    pub password: Option<Secret>,
}

impl Options {
    /// Reads what follows the first space of a location.
    pub(super) fn parse(text: &str) -> Result<(Self, Vec<UrlWarning>), UrlError> {
        let mut options = Self::default();
        let mut connect_args = Builder::default();
        let mut warnings = Vec::new();
        for (place, word) in (1..).zip(text.split(' ').filter(|word| !word.is_empty())) {
            let Some((name, value)) = word.split_once('=') else {
                warnings.push(UrlWarning::NotAnOption { place });
                continue;
            };
            let mut truth = |option| truth(option, value, &mut warnings);
            match name.to_ascii_lowercase().as_str() {
                "socks" => options.socks = Some(proxy(value)?),
                "app" => options.application = Some(verbatim("app", value)?),
                "tcurl" => options.tc_url = Some(verbatim("tcUrl", value)?),
                "pageurl" => options.page_url = Some(verbatim("pageUrl", value)?),
                "swfurl" => options.swf_url = Some(verbatim("swfUrl", value)?),
                "flashver" => options.flash_version = Some(decoded("flashver", value)?),
                "conn" => connect_args.push(value)?,
                "playpath" => options.playpath = Some(verbatim("playpath", value)?),
                "playlist" => options.playlist = Some(truth("playlist")),
                "live" => options.live = Some(truth("live")),
                "subscribe" => options.subscribe = Some(verbatim("subscribe", value)?),
                "jtv" => options.jtv = Some(decoded("jtv", value)?.into()),
                "weeb" => options.weeb = Some(decoded("weeb", value)?.into()),
                "token" => options.token = Some(decoded("token", value)?.into()),
                "swfvfy" => options.swf_verify = Some(truth("swfVfy")),
                "swfage" => options.swf_age = Some(days("swfAge", value)?),
                "start" => options.start = Some(millis("start", value)?),
                "stop" => options.stop = Some(millis("stop", value)?),
                "buffer" => options.buffer = Some(millis("buffer", value)?),
                "timeout" => options.timeout = Some(seconds("timeout", value)?),
                "pubuser" => options.username = Some(decoded("pubUser", value)?),
                "pubpasswd" => options.password = Some(decoded("pubPasswd", value)?.into()),
                _ => warnings.push(UrlWarning::UnknownOption {
                    place,
                    name: name.into(),
                }),
            }
        }
        options.connect_args = connect_args.finish();
        Ok((options, warnings))
    }
}

fn verbatim(option: &'static str, value: &str) -> Result<Secret, UrlError> {
    let value = unescaped(value, Percent::Keep, Part::Option(option))?;
    without_controls(&value, Part::Option(option))?;
    Ok(value.into())
}

fn decoded(option: &'static str, value: &str) -> Result<String, UrlError> {
    let value = unescaped(value, Percent::Decode, Part::Option(option))?;
    without_controls(&value, Part::Option(option))?;
    Ok(value)
}

fn truth(option: &'static str, value: &str, warnings: &mut Vec<UrlWarning>) -> bool {
    let is_one_of = |words: [&str; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(value));
    let yes = is_one_of(["1", "on", "yes", "true"]);
    if !yes && !is_one_of(["0", "off", "no", "false"]) {
        warnings.push(UrlWarning::NotABoolean { option });
    }
    yes
}

fn millis(option: &'static str, value: &str) -> Result<Duration, UrlError> {
    let count = whole(option, value, "a whole number of milliseconds")?;
    Ok(Duration::from_millis(count.into()))
}

fn seconds(option: &'static str, value: &str) -> Result<Duration, UrlError> {
    let count = whole(option, value, "a whole number of seconds")?;
    Ok(Duration::from_secs(count.into()))
}

fn days(option: &'static str, value: &str) -> Result<Duration, UrlError> {
    const SECONDS_OF_A_DAY: u64 = 24 * 60 * 60;
    let count = whole(option, value, "a whole number of days")?;
    Ok(Duration::from_secs(u64::from(count) * SECONDS_OF_A_DAY))
}

fn whole(option: &'static str, value: &str, takes: &'static str) -> Result<u32, UrlError> {
    value
        .parse()
        .map_err(|_| UrlError::OptionInvalid { option, takes })
}

fn proxy(value: &str) -> Result<Proxy, UrlError> {
    let value = decoded("socks", value)?;
    Proxy::socks4(&value).map_err(|_| UrlError::OptionInvalid {
        option: "socks",
        takes: "host or host:port",
    })
}

/// Whether `%20` is a space, beside `\20`, which always is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Percent {
    Decode,
    Keep,
}

/// Decodes the escapes of librtmp. A `%` that two hexadecimal digits do not follow stands for itself.
pub(super) fn unescaped(text: &str, percent: Percent, part: Part) -> Result<String, UrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let is_escape = byte == b'\\' || (byte == b'%' && percent == Percent::Decode);
        let escaped = match behind.split_first_chunk::<2>() {
            Some((digits, behind)) if is_escape => hexadecimal(*digits).map(|byte| (byte, behind)),
            _ => None,
        };
        let (byte, behind) = match escaped {
            Some(escaped) => escaped,
            None if byte == b'\\' => return Err(UrlError::EscapeInvalid(part)),
            None => (byte, behind),
        };
        bytes.push(byte);
        rest = behind;
    }
    String::from_utf8(bytes).map_err(|_| UrlError::NotUtf8(part))
}

fn hexadecimal(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amf::Value;

    fn parse(text: &str) -> Options {
        let (options, warnings) = Options::parse(text).unwrap();
        assert_eq!(warnings, [], "{text}");
        options
    }

    #[test]
    fn every_option_is_read_whatever_its_case() {
        let expected = Options {
            socks: Some(Proxy::parse("socks4://proxy:1081").unwrap()),
            application: Some("live".into()),
            tc_url: Some("rtmp://h/live".into()),
            page_url: Some("http://h/page?a=b".into()),
            swf_url: Some("http://h/a.swf".into()),
            flash_version: Some("LNX 10,0,32,18".to_owned()),
            connect_args: ConnectArgs::parse("S:x N:1").unwrap(),
            playpath: Some("mp4:dir/file.mp4".into()),
            playlist: Some(true),
            live: Some(true),
            subscribe: Some("name".into()),
            jtv: Some("usher".into()),
            weeb: Some("token;user;pass".into()),
            token: Some("#ed%h0#w@1".into()),
            swf_verify: Some(false),
            swf_age: Some(Duration::from_secs(2 * 86_400)),
            start: Some(Duration::from_millis(1500)),
            stop: Some(Duration::from_millis(2500)),
            buffer: Some(Duration::from_secs(30)),
            timeout: Some(Duration::from_secs(10)),
            username: Some("me".to_owned()),
            password: Some("pass=word".into()),
        };
        let text =
            r"socks=proxy:1081 app=live tcUrl=rtmp://h/live pageUrl=http://h/page?a=b swfUrl=http://h/a.swf \
            flashver=LNX\2010,0,32,18 conn=S:x playpath=mp4:dir/file.mp4 playlist=1 live=yes conn=N:1 \
            subscribe=name jtv=usher weeb=token;user;pass token=#ed%h0#w@1 swfVfy=off swfAge=2 start=1500 \
            stop=2500 buffer=30000 timeout=10 pubUser=me pubPasswd=pass=word"
                .replace("\\\n", "");
        assert_eq!(parse(&text), expected);
        let (names, upper): (Vec<_>, Vec<_>) = text
            .split_whitespace()
            .map(|word| word.split_once('=').unwrap())
            .map(|(name, value)| (name, format!("{}={value}", name.to_ascii_uppercase())))
            .unzip();
        assert_eq!(names.len(), 23, "22 options, one of them twice");
        assert_eq!(parse(&upper.join(" ")), expected);
    }

    #[test]
    fn no_option_is_nothing_at_all() {
        assert_eq!(parse(""), Options::default());
        assert_eq!(parse("   "), Options::default());
    }

    #[test]
    fn the_last_value_counts_and_spaces_may_repeat() {
        let options = parse("  live=0   live=TRUE timeout=1  timeout=2 ");
        assert_eq!(
            (options.live, options.timeout),
            (Some(true), Some(Duration::from_secs(2)))
        );
    }

    #[test]
    fn truth_is_one_on_yes_true() {
        for (value, truth, known) in [
            ("1", true, true),
            ("on", true, true),
            ("Yes", true, true),
            ("TRUE", true, true),
            ("0", false, true),
            ("off", false, true),
            ("No", false, true),
            ("false", false, true),
            ("2", false, false),
            ("", false, false),
        ] {
            let (options, warnings) = Options::parse(&format!("live={value}")).unwrap();
            assert_eq!(options.live, Some(truth), "{value}");
            let expected = if known {
                vec![]
            } else {
                vec![UrlWarning::NotABoolean { option: "live" }]
            };
            assert_eq!(warnings, expected, "{value}");
        }
    }

    #[test]
    fn escapes_are_decoded_once() {
        for (text, value) in [
            (r"jtv=a\20b", "a b"),
            (r"jtv=a\5Cb\5c20", r"a\b\20"),
            ("jtv=a%20b%3d", "a b="),
            (r"jtv=\2520", "%20"),
            ("jtv=100%", "100%"),
            ("jtv=%zz%2", "%zz%2"),
            (r"jtv=\c3\a9%C3%A9é", "ééé"),
        ] {
            assert_eq!(parse(text).jtv, Some(value.into()), "{text}");
        }
        // What names something on the server is sent as it is written, but for the backslash.
        let options = parse(r"app=a%20b playpath=k%2Bx\20y tcUrl=rtmp://h/a%20b");
        assert_eq!(options.application, Some("a%20b".into()));
        assert_eq!(options.playpath, Some("k%2Bx y".into()));
        assert_eq!(options.tc_url, Some("rtmp://h/a%20b".into()));
    }

    #[test]
    fn a_proxy_has_a_port_by_default() {
        for (text, url) in [
            ("socks=proxy", "socks4://proxy:1080"),
            ("socks=10.0.0.1:9050", "socks4://10.0.0.1:9050"),
            ("socks=[::1]", "socks4://[::1]:1080"),
            ("socks=[::1]:9050", "socks4://[::1]:9050"),
        ] {
            let expected = Proxy::parse(url).unwrap();
            assert_eq!(parse(text).socks, Some(expected), "{text}");
        }
    }

    #[test]
    fn unknown_options_are_warnings() {
        let (options, warnings) = Options::parse("timout=1 word  live=1 swfVfy=perhaps").unwrap();
        assert_eq!(options.live, Some(true));
        assert_eq!(
            warnings,
            [
                UrlWarning::UnknownOption {
                    place: 1,
                    name: "timout".into()
                },
                UrlWarning::NotAnOption { place: 2 },
                UrlWarning::NotABoolean { option: "swfVfy" },
            ]
        );
        let messages: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            messages,
            [
                "option 1 behind the URL has a name that is not known and was ignored: write one of librtmp's",
                "word 2 behind the URL has no = and was ignored: write option=value, and \\20 for a space in the value",
                "the option swfVfy is neither yes nor no and counts as no: write 1 or 0",
            ]
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let options = parse(
            "app=XX playpath=XX tcUrl=rtmp://h/XX pageUrl=http://XX swfUrl=http://XX subscribe=XX jtv=XX weeb=XX \
             token=XX pubPasswd=XX conn=S:XX timeout=77",
        );
        assert_eq!(options.connect_args.values(), [Value::from("XX")]);
        let shown = format!("{options:?} {options:#?}");
        assert!(!shown.contains("XX"), "{shown}");
        assert!(shown.contains("77s"), "{shown}");
    }
}
