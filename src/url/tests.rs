use super::*;
use proptest::prelude::*;
use std::time::Duration;

fn url(location: &str) -> RtmpUrl {
    RtmpUrl::parse(location).unwrap_or_else(|error| panic!("{location}: {error}"))
}

/// (location, application, stream, tcUrl). Playing and publishing split alike, so there is one table.
const SPLITS: &[(&str, &str, &str, &str)] = &[
    // By the number of segments.
    ("rtmp://h", "", "", "rtmp://h/"),
    ("rtmp://h/", "", "", "rtmp://h/"),
    ("rtmp://h/app", "app", "", "rtmp://h/app"),
    ("rtmp://h/app/", "app", "", "rtmp://h/app"),
    (
        "rtmp://localhost/live/myStream",
        "live",
        "myStream",
        "rtmp://localhost/live",
    ),
    ("rtmp://h/a/b/c", "a/b", "c", "rtmp://h/a/b"),
    ("rtmp://h/a/b/c/d", "a/b", "c/d", "rtmp://h/a/b"),
    ("rtmp://h/app/st/", "app/st", "", "rtmp://h/app/st"),
    ("rtmp://h//st", "", "st", "rtmp://h/"),
    ("rtmp://h/app//a/b", "app", "a/b", "rtmp://h/app"),
    ("rtmp://h/app/inst//a", "app/inst", "a", "rtmp://h/app/inst"),
    // A colon marks the file: rtmp2 and QtAV issue 213 took the directory for an instance.
    (
        "rtmp://h/app/mp4:dir/f.mp4",
        "app",
        "mp4:dir/f.mp4",
        "rtmp://h/app",
    ),
    (
        "rtmp://h/vod/mp4:dir/file.mp4",
        "vod",
        "mp4:dir/file.mp4",
        "rtmp://h/vod",
    ),
    (
        "rtmp://h/vod/_definst_/mp4:dir/f.mp4",
        "vod/_definst_",
        "mp4:dir/f.mp4",
        "rtmp://h/vod/_definst_",
    ),
    ("rtmp://h/app/mp4:f", "app", "mp4:f", "rtmp://h/app"),
    ("rtmp://h/a:b/c/d", "a:b/c", "d", "rtmp://h/a:b/c"),
    // File names.
    ("rtmp://h/vod/f.mp4", "vod", "mp4:f.mp4", "rtmp://h/vod"),
    (
        "rtmp://h/vod/inst/dir/f.f4v",
        "vod/inst",
        "mp4:dir/f.f4v",
        "rtmp://h/vod/inst",
    ),
    ("rtmp://h/vod/f.flv", "vod", "f", "rtmp://h/vod"),
    ("rtmp://h/vod/flv:f.flv", "vod", "flv:f", "rtmp://h/vod"),
    ("rtmp://h/vod/f.mp3", "vod", "f.mp3", "rtmp://h/vod"),
    ("rtmp://h/vod/f.mp4?x=1", "vod", "f.mp4?x=1", "rtmp://h/vod"),
    ("rtmp://h/vod/f.MP4", "vod", "f.MP4", "rtmp://h/vod"),
    // Akamai's two forms.
    (
        "rtmp://cp1.edgefcs.net/ondemand/mp4:dir/f?auth=x&aifp=y",
        "ondemand",
        "mp4:dir/f?auth=x&aifp=y",
        "rtmp://cp1.edgefcs.net/ondemand",
    ),
    (
        "rtmp://h/ondemand?auth=x&slist=dir/f&aifp=y",
        "ondemand?auth=x&slist=dir/f&aifp=y",
        "dir/f",
        "rtmp://h/ondemand?auth=x&slist=dir/f&aifp=y",
    ),
    (
        "rtmp://h/a/b?slist=f.mp4",
        "a/b?slist=f.mp4",
        "mp4:f.mp4",
        "rtmp://h/a/b?slist=f.mp4",
    ),
    (
        "rtmp://h/app/st?userslist=a",
        "app",
        "st?userslist=a",
        "rtmp://h/app",
    ),
    // A query stays with its segment.
    (
        "rtmp://h/app/st?token=a/b&x=1",
        "app",
        "st?token=a/b&x=1",
        "rtmp://h/app",
    ),
    (
        "rtmp://a.example/live/KEY?token=abc",
        "live",
        "KEY?token=abc",
        "rtmp://a.example/live",
    ),
    (
        "rtmp://h/live/inst/key?tok=1",
        "live/inst",
        "key?tok=1",
        "rtmp://h/live/inst",
    ),
    (
        "rtmp://h/live/inst/key?u=http://x/y",
        "live/inst",
        "key?u=http://x/y",
        "rtmp://h/live/inst",
    ),
    ("rtmp://h/app/st?u=a:b/c", "app", "st?u=a:b/c", "rtmp://h/app"),
    ("rtmp://h/app/?st", "app", "?st", "rtmp://h/app"),
    ("rtmp://h/app?auth=x", "app?auth=x", "", "rtmp://h/app?auth=x"),
    ("rtmp://h?auth=x", "?auth=x", "", "rtmp://h/?auth=x"),
    (
        "rtmp://h/app?auth=x/st",
        "app?auth=x",
        "st",
        "rtmp://h/app?auth=x",
    ),
    (
        "rtmp://h/app?auth=x/inst/st",
        "app?auth=x/inst",
        "st",
        "rtmp://h/app?auth=x/inst",
    ),
    (
        "rtmp://h/app?auth=x/st?t=a/b",
        "app?auth=x",
        "st?t=a/b",
        "rtmp://h/app?auth=x",
    ),
    (
        "rtmp://h/app?auth=x?y/st",
        "app?auth=x?y",
        "st",
        "rtmp://h/app?auth=x?y",
    ),
    (
        "rtmp://h/app?auth=x/mp4:dir/f.mp4",
        "app?auth=x",
        "mp4:dir/f.mp4",
        "rtmp://h/app?auth=x",
    ),
    (
        "rtmp://h/app?auth=x/f.flv",
        "app?auth=x",
        "f",
        "rtmp://h/app?auth=x",
    ),
    // A fragment is the stream, as it is.
    ("rtmp://h/app#st", "app", "st", "rtmp://h/app"),
    (
        "rtmp://h/app/inst/x?k=v#a/b.flv",
        "app/inst/x?k=v",
        "a/b.flv",
        "rtmp://h/app/inst/x?k=v",
    ),
    ("rtmp://h/app/st#", "app/st", "", "rtmp://h/app/st"),
    ("rtmp://h#st", "", "st", "rtmp://h/"),
    // Nothing is decoded, encoded or normalised.
    (
        "rtmp://h/a%2Fb/c%20d+é?e=%41",
        "a%2Fb",
        "c%20d+é?e=%41",
        "rtmp://h/a%2Fb",
    ),
    ("rtmp://h/App/../x", "App/..", "x", "rtmp://h/App/.."),
    // The `@` of a stream name is not that of the user information.
    (
        "rtmp://h/EntryPoint/name_1_500@1234",
        "EntryPoint",
        "name_1_500@1234",
        "rtmp://h/EntryPoint",
    ),
    // Options are no part of the path, which is what breaks old pipelines with rtmp2.
    ("rtmp://h/app/st live=1", "app", "st", "rtmp://h/app"),
    ("rtmp://h/app live=1", "app", "", "rtmp://h/app"),
    ("rtmp://h/x app=live", "live", "x", "rtmp://h/live"),
    (
        "rtmp://h/x.flv?k=a app=live",
        "live",
        "x.flv?k=a",
        "rtmp://h/live",
    ),
    ("rtmp://h/x.flv app=live", "live", "x", "rtmp://h/live"),
    (
        "rtmp://h/a/b app=live/inst",
        "live/inst",
        "b",
        "rtmp://h/live/inst",
    ),
    ("rtmp://h/a/b playpath=x/y.flv", "a", "x/y.flv", "rtmp://h/a"),
    (
        "rtmp://h app=a/b/c playpath=d/e",
        "a/b/c",
        "d/e",
        "rtmp://h/a/b/c",
    ),
    ("rtmp://h/a/b tcUrl=rtmp://other/c", "a", "b", "rtmp://other/c"),
];

#[test]
fn paths_are_split_as_the_module_says() {
    for (location, application, stream, tc_url) in SPLITS {
        let url = url(location);
        let split = (url.application(), url.stream().expose(), &*url.tc_url());
        assert_eq!(split, (*application, *stream, *tc_url), "{location}");
        assert_eq!(url.location(), Some(*location));
        assert_eq!(url.warnings(), [], "{location}");
    }
}

#[test]
fn authorities_give_host_and_port() {
    for (location, scheme, host, port, tc_url) in [
        ("rtmp://h/a/s", Scheme::Rtmp, "h", 1935, "rtmp://h/a"),
        (
            "RTMP://H.Example/a/s",
            Scheme::Rtmp,
            "H.Example",
            1935,
            "rtmp://H.Example/a",
        ),
        ("rtmps://h/a/s", Scheme::Rtmps, "h", 443, "rtmps://h/a"),
        ("rtmpe://h/a/s", Scheme::Rtmpe, "h", 1935, "rtmpe://h/a"),
        ("rtmpt://h/a/s", Scheme::Rtmpt, "h", 80, "rtmpt://h/a"),
        ("rtmpts://h/a/s", Scheme::Rtmpts, "h", 443, "rtmpts://h/a"),
        ("rtmpte://h/a/s", Scheme::Rtmpte, "h", 80, "rtmpte://h/a"),
        ("rtmfp://h/a/s", Scheme::Rtmfp, "h", 1935, "rtmfp://h/a"),
        ("rtmp://h:1935/a/s", Scheme::Rtmp, "h", 1935, "rtmp://h/a"),
        ("rtmp://h:443/a/s", Scheme::Rtmp, "h", 443, "rtmp://h:443/a"),
        ("rtmps://h:1935/a/s", Scheme::Rtmps, "h", 1935, "rtmps://h:1935/a"),
        (
            "rtmp://h:00065535/a/s",
            Scheme::Rtmp,
            "h",
            65535,
            "rtmp://h:65535/a",
        ),
        (
            "rtmp://127.0.0.1:1/a/s",
            Scheme::Rtmp,
            "127.0.0.1",
            1,
            "rtmp://127.0.0.1:1/a",
        ),
        (
            "rtmp://[::1]:1935/app/st",
            Scheme::Rtmp,
            "::1",
            1935,
            "rtmp://[::1]/app",
        ),
        (
            "rtmps://[2001:db8::1]/a/s",
            Scheme::Rtmps,
            "2001:db8::1",
            443,
            "rtmps://[2001:db8::1]/a",
        ),
        (
            "rtmp://[2001:DB8::1]:1936/a/s",
            Scheme::Rtmp,
            "2001:DB8::1",
            1936,
            "rtmp://[2001:DB8::1]:1936/a",
        ),
        (
            "rtmp://u:p@[::1]:2/a/s",
            Scheme::Rtmp,
            "::1",
            2,
            "rtmp://[::1]:2/a",
        ),
        (
            "rtmp://[fe80::1%25eth0]:2/a/s",
            Scheme::Rtmp,
            "fe80::1%eth0",
            2,
            "rtmp://[fe80::1]:2/a",
        ),
        ("  rtmp://h/a/s", Scheme::Rtmp, "h", 1935, "rtmp://h/a"),
    ] {
        let url = url(location);
        let parts = (url.scheme(), url.host(), url.port(), &*url.tc_url());
        assert_eq!(parts, (scheme, host, port, tc_url), "{location}");
    }
}

#[test]
fn user_information_is_decoded_and_ends_at_the_last_at() {
    for (location, username, password) in [
        ("rtmp://h/a/s", None, None),
        ("rtmp://@h/a/s", None, None),
        ("rtmp://me@h/a/s", Some("me"), None),
        ("rtmp://me:pass@h/a/s", Some("me"), Some("pass")),
        ("rtmp://me:@h/a/s", Some("me"), Some("")),
        ("rtmp://:pass@h/a/s", None, Some("pass")),
        ("rtmp://me:a:b@c@h/a/s", Some("me"), Some("a:b@c")),
        ("rtmp://m%40e:p%2Fa%3a%C3%A9@h/a/s", Some("m@e"), Some("p/a:é")),
        ("rtmp://me:100%@h/a/s", Some("me"), Some("100%")),
        ("rtmp://me:p+s@h/a/s", Some("me"), Some("p+s")),
        ("rtmp://h/a/s pubUser=me pubPasswd=a%20b", Some("me"), Some("a b")),
        ("rtmp://x:y@h/a/s pubPasswd=pass", Some("x"), Some("pass")),
    ] {
        let url = url(location);
        let parts = (url.username(), url.password().map(Secret::expose));
        assert_eq!(parts, (username, password), "{location}");
        assert_eq!((url.host(), &*url.tc_url()), ("h", "rtmp://h/a"), "{location}");
    }
}

#[test]
fn a_location_carries_options() {
    let url = url(r"rtmp://host/app/key live=1 timeout=10 conn=S:x\20y timout=3");
    assert_eq!(url.options().live, Some(true));
    assert_eq!(url.options().timeout, Some(Duration::from_secs(10)));
    assert_eq!(url.options().connect_args, ConnectArgs::parse("S:x%20y").unwrap());
    assert_eq!(
        url.warnings(),
        [UrlWarning::UnknownOption {
            place: 4,
            name: "timout".into()
        }]
    );
}

#[test]
fn errors_name_the_part_and_the_remedy() {
    for (location, message) in [
        (
            "",
            "the location does not begin with a scheme: write it as rtmp://host/application/stream",
        ),
        (
            "host/SECRET",
            "the location does not begin with a scheme: write it as rtmp://host/application/stream",
        ),
        (
            "://h/SECRET",
            "the location does not begin with a scheme: write it as rtmp://host/application/stream",
        ),
        (
            "http://h/a/SECRET",
            "the scheme of the location is not one of RTMP: write rtmp, rtmps, rtmpe, rtmpt, rtmpts, rtmpte or \
                 rtmfp before ://",
        ),
        (
            "rtmp:///a/SECRET",
            "the host is missing: write a name or an address behind ://, as in rtmp://host/application/stream",
        ),
        (
            "rtmp://SECRET@:1935/a/b",
            "the host is missing: write a name or an address behind ://, as in rtmp://host/application/stream",
        ),
        (
            "rtmp://h<SECRET>/a",
            "the host has a character that no host has: write a name, an IPv4 address, or an IPv6 address in \
                 brackets",
        ),
        (
            "rtmp://[::1]x:1935/a/SECRET",
            "the host has a character that no host has: write a name, an IPv4 address, or an IPv6 address in \
                 brackets",
        ),
        (
            "rtmp://[::1/a/SECRET",
            "the host begins with [ but has no ]: write ] behind the IPv6 address, as in [::1]:1935",
        ),
        (
            "rtmp://::1/a/SECRET",
            "the host has more than one colon: write an IPv6 address in brackets, as in [::1]:1935, and %3A for \
                 a colon and %40 for an @ in a user name",
        ),
        (
            "rtmp://[SECRET]/a/b",
            "the host is not an IPv6 address: write one such as [2001:db8::1], in brackets",
        ),
        (
            "rtmp://h:/a/SECRET",
            "the port is not a number: write digits behind the colon of the host, as in host:1935, and %2F for \
                 a slash in a password",
        ),
        (
            "rtmp://me:SEC/RET@h/a/SECRET",
            "the port is not a number: write digits behind the colon of the host, as in host:1935, and %2F for \
                 a slash in a password",
        ),
        (
            "rtmp://h:+80/a/SECRET",
            "the port is not a number: write digits behind the colon of the host, as in host:1935, and %2F for \
                 a slash in a password",
        ),
        (
            "rtmp://h:0/a/SECRET",
            "the port is out of range: write a number from 1 to 65535",
        ),
        (
            "rtmp://h:65536/a/SECRET",
            "the port is out of range: write a number from 1 to 65535",
        ),
        (
            "rtmp://h:99999999999999999999/a/b",
            "the port is out of range: write a number from 1 to 65535",
        ),
        (
            "rtmp://h/a/SECRET\n",
            "the stream has a control character: remove it, and a line break at the end if it was read from a \
                 file",
        ),
        (
            "rtmp://h/a\0/SECRET",
            "the application has a control character: remove it, and a line break at the end if it was read \
                 from a file",
        ),
        (
            "rtmp://h\r/a/SECRET",
            "the host has a control character: remove it, and a line break at the end if it was read from a file",
        ),
        (
            "rtmp://SECRET%0d@h/a/b",
            "the user name has a control character: remove it, and a line break at the end if it was read from \
                 a file",
        ),
        (
            "rtmp://me:SECRET\u{85}@h/a/b",
            "the password has a control character: remove it, and a line break at the end if it was read from a \
                 file",
        ),
        (
            r"rtmp://h/a/b pubPasswd=SECRET\0a",
            "the option pubPasswd has a control character: remove it, and a line break at the end if it was \
                 read from a file",
        ),
        (
            "rtmp://me:SECRET%ff@h/a/b",
            "the password is not UTF-8 once its escapes are decoded: escape the bytes of its UTF-8 form",
        ),
        (
            r"rtmp://h/a/b playpath=SECRET\e9",
            "the option playpath is not UTF-8 once its escapes are decoded: escape the bytes of its UTF-8 form",
        ),
        (
            r"rtmp://h/a/b token=SECRET\2",
            r"the option token has a backslash without two hexadecimal digits: write \5c for a backslash, \20 for a space",
        ),
        (
            "rtmp://h/a/b timeout=SECRET",
            "the option timeout has a value that it does not take: write a whole number of seconds",
        ),
        (
            "rtmp://h/a/b buffer=-1",
            "the option buffer has a value that it does not take: write a whole number of milliseconds",
        ),
        (
            "rtmp://h/a/b swfAge=",
            "the option swfAge has a value that it does not take: write a whole number of days",
        ),
        (
            "rtmp://h/a/b socks=SECRET:x",
            "the option socks has a value that it does not take: write host or host:port",
        ),
        (
            "rtmp://h/a/b conn=Z: conn=X:SECRET",
            "the connect argument 2 has no type: begin it with B:, N:, S:, O: or Z:, or with N and one of these",
        ),
        (
            r"rtmp://h/a/b conn=S:SECRET\zz",
            r"the connect argument 1 has a backslash without two hexadecimal digits: write \5c for a backslash, \20 for a space",
        ),
    ] {
        let error = RtmpUrl::parse(location).unwrap_err();
        assert_eq!(error.to_string(), message, "{location:?}");
        assert!(
            !format!("{error} {error:?} {error:#?}").contains("SEC"),
            "{location:?}"
        );
    }
}

#[test]
fn setters_go_before_options_and_options_before_the_path() {
    let mut url =
        url("rtmp://me:pass@h:1936/a/b app=c playpath=d tcUrl=rtmp://e/f pubUser=you pubPasswd=word");
    assert_eq!(
        (url.application(), url.stream().expose(), &*url.tc_url()),
        ("c", "d", "rtmp://e/f")
    );
    assert_eq!(
        (url.username(), url.password()),
        (Some("you"), Some(&"word".into()))
    );

    url.set_scheme(Scheme::Rtmps);
    url.set_host("::1").unwrap();
    url.set_application("live/x").unwrap();
    url.set_stream("y/z.flv").unwrap();
    url.set_username("100%25").unwrap();
    url.set_password("p@/:").unwrap();
    url.set_tc_url("rtmp://g/h").unwrap();
    assert_eq!(
        (url.scheme(), url.host(), url.port()),
        (Scheme::Rtmps, "::1", 1936)
    );
    assert_eq!((url.application(), url.stream().expose()), ("live/x", "y/z.flv"));
    assert_eq!(
        (url.username(), url.password()),
        (Some("100%25"), Some(&"p@/:".into()))
    );
    assert_eq!(url.tc_url(), "rtmp://g/h");
    assert_eq!(
        url.location(),
        Some("rtmp://me:pass@h:1936/a/b app=c playpath=d tcUrl=rtmp://e/f pubUser=you pubPasswd=word")
    );

    assert_eq!(url.set_port(0), Err(UrlError::PortOutOfRange));
    assert_eq!(url.port(), 1936);
    url.set_port(443).unwrap();
    assert_eq!(url.port(), 443);
}

#[test]
fn a_url_is_built_from_parts() {
    let mut url = RtmpUrl::new(Scheme::Rtmp, "[2001:db8::1]").unwrap();
    assert_eq!(url.location(), None);
    assert_eq!((url.application(), url.stream().expose()), ("", ""));
    url.set_application("live").unwrap();
    url.set_stream("key").unwrap();
    assert_eq!((url.host(), url.port()), ("2001:db8::1", 1935));
    assert_eq!(url.tc_url(), "rtmp://[2001:db8::1]/live");
    url.set_scheme(Scheme::Rtmpt);
    assert_eq!((url.port(), &*url.tc_url()), (80, "rtmpt://[2001:db8::1]/live"));
    assert_eq!(RtmpUrl::new(Scheme::Rtmp, ""), Err(UrlError::HostMissing));
}

#[test]
fn an_application_of_its_own_makes_the_only_segment_the_stream() {
    let mut url = url("rtmp://h/key.mp4");
    assert_eq!((url.application(), url.stream().expose()), ("key.mp4", ""));
    url.set_application("live").unwrap();
    assert_eq!(
        (url.application(), url.stream().expose()),
        ("live", "mp4:key.mp4")
    );
    url.set_stream("other").unwrap();
    assert_eq!(url.stream().expose(), "other");
}

#[test]
fn setters_refuse_what_a_location_could_not_say() {
    let mut url = RtmpUrl::new(Scheme::Rtmp, "h").unwrap();
    let before = url.clone();
    assert_eq!(url.set_host("a/b"), Err(UrlError::HostInvalid));
    assert_eq!(url.set_host("[::1"), Err(UrlError::BracketUnclosed));
    assert_eq!(url.set_host("h:1935"), Err(UrlError::AddressInvalid));
    assert_eq!(
        url.set_application("a\n"),
        Err(UrlError::ControlCharacter(Part::Application))
    );
    assert_eq!(
        url.set_stream("key\n"),
        Err(UrlError::ControlCharacter(Part::Stream))
    );
    assert_eq!(
        url.set_username("a\t"),
        Err(UrlError::ControlCharacter(Part::Username))
    );
    assert_eq!(
        url.set_password("\0"),
        Err(UrlError::ControlCharacter(Part::Password))
    );
    assert_eq!(
        url.set_tc_url("rtmp://h/\n"),
        Err(UrlError::ControlCharacter(Part::TcUrl))
    );
    assert_eq!(url, before);
}

#[test]
fn display_shows_where_but_not_what() {
    for (location, shown) in [
        ("rtmp://h/live/key", "rtmp://h/live/***"),
        (
            "rtmps://me:pass@h:1936/live/inst/key?token=x",
            "rtmps://***@h:1936/live/***",
        ),
        ("rtmp://:pass@[::1]/live/key", "rtmp://***@[::1]/live/***"),
        ("rtmp://h/live/key pubUser=me timeout=7", "rtmp://***@h/live/***"),
        ("rtmp://h/key", "rtmp://h/***"),
        ("rtmp://h/key/", "rtmp://h/***"),
        ("rtmp://h/live/key/", "rtmp://h/live/***"),
        ("rtmp://h/key app=live", "rtmp://h/live/***"),
        ("rtmp://h/app?auth=x", "rtmp://h/app/***"),
        ("rtmp://h/app?auth=x/st", "rtmp://h/app/***"),
        ("rtmp://h/app#st", "rtmp://h/app/***"),
        ("rtmp://h", "rtmp://h/"),
        // Whose `@` is it?
        ("rtmp://me:12/34@h/live/key", "rtmp://***"),
        ("rtmp://me:12 34@h/live/key", "rtmp://***"),
        ("rtmp://me:1@2/34@h/live/key", "rtmp://***"),
        ("rtmp://me:pass@h/live/name@1234", "rtmp://***"),
        ("rtmp://h/live/key pubUser=me@x", "rtmp://***@h/live/***"),
    ] {
        let url = url(location);
        assert_eq!(url.to_string(), shown, "{location}");
        assert_eq!(format!("{url:?}"), format!("RtmpUrl({shown})"), "{location}");
    }
}

#[test]
fn scrubbing_masks_what_a_server_repeats() {
    let url = url("rtmp://me:hunter2@h/live?auth=abcd1234/key-5?token=wxyz9&v=1 token=tea");
    for (text, scrubbed) in [
        ("key-5?token=wxyz9&v=1 is now published.", "*** is now published."),
        ("stream key-5 exists", "stream *** exists"),
        ("token wxyz9 has expired; v=1", "token *** has expired; v=1"),
        ("bad app live?auth=abcd1234", "bad app live?***"),
        ("hunter2 tea abcd1234", "*** *** ***"),
        ("cut\0off", "cut\u{fffd}off"),
        (
            "[ AccessManager.Reject ] : [ code=403 need auth ]",
            "[ AccessManager.Reject ] : [ code=403 need auth ]",
        ),
    ] {
        assert_eq!(url.scrub(text), scrubbed);
    }
    assert_eq!(
        RtmpUrl::new(Scheme::Rtmp, "h").unwrap().scrub("as it was"),
        "as it was"
    );
}

proptest! {
    #[test]
    fn any_text_is_parsed_without_panic(text in any::<String>(), tail in "[ -~]{0,40}") {
        for location in [text.clone(), format!("rtmp://{text}"), format!("rtmp://h/{text}"), format!("rtmp://{tail}"),
            format!("rtmp://h/{tail}"), format!("rtmp://h/a/b {tail}"), format!("rtmp://h/a/b conn={tail}")] {
            if let Ok(url) = RtmpUrl::parse(&location) {
                prop_assert_eq!(url.location(), Some(&*location));
                let _ = (url.to_string(), url.tc_url(), url.scrub(&text));
            }
        }
    }

    #[test]
    fn no_secret_is_displayed(
        username in "[a-z:@%]{0,5}SECRET[a-z@%]{0,5}",
        password in "[a-z:@/?#% ]{0,5}SECRET[a-z:@/?#% ]{0,5}",
        key in "[a-z:@/?#%=&. ]{0,5}SECRET[a-z:@/?#%=&. ]{0,5}",
        query in "[a-z:@/?#%=& ]{0,5}SECRET[a-z:@/?#%=& ]{0,5}",
        part in 0_usize..7,
    ) {
        let location = match part {
            0 => format!("rtmp://{username}:{password}@h/live/key"),
            1 => format!("rtmp://h/live/{key}"),
            2 => format!("rtmp://h/live/key?{query}"),
            3 => format!("rtmp://h/live?{query}/key"),
            4 => format!("rtmp://h/live/key#{key}"),
            5 => format!("rtmp://h/live/key playpath={key} pubPasswd={password} token={query}"),
            _ => format!("rtmp://h/live/key conn=S:{query} timeout={password} {key}"),
        };
        let shown = match RtmpUrl::parse(&location) {
            Ok(url) => format!("{url} {url:?} {:?} {:?}", url.options(), url.warnings()),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!shown.contains("SECRET"), "{} shows {}", location, shown);
    }

    #[test]
    fn a_simple_location_comes_apart_as_it_was_put_together(
        scheme in 0_usize..7,
        host in "[a-z][a-z0-9.-]{0,20}",
        port in 1_u16..,
        application in "[a-zA-Z0-9_%-]{1,12}",
        stream in "[a-zA-Z0-9_%-]{1,12}",
        query in "[a-zA-Z0-9_%=&/:?@-]{0,20}",
    ) {
        let scheme = Scheme::ALL[scheme];
        let url = url(&format!("{scheme}://{host}:{port}/{application}/{stream}?a=b{query}"));
        prop_assert_eq!((url.scheme(), url.host(), url.port()), (scheme, &*host, port));
        prop_assert_eq!(url.application(), &application);
        prop_assert_eq!(url.stream().expose(), format!("{stream}?a=b{query}"));
        let port = if port == scheme.default_port() { String::new() } else { format!(":{port}") };
        prop_assert_eq!(url.tc_url(), format!("{scheme}://{host}{port}/{application}"));
    }
}
