//! Properties: their defaults and ranges, which scripts of rtmp2src and the C rtmpsrc rely on.

use gst::glib;
use gst::prelude::*;

use super::fixture::*;
use crate::support::{Failure, Result};

/// Every property of the element's own: type, default and range as they print.
const EXPECTED: &[(&str, &str, &str)] = &[
    ("location", "gchararray", "rtmp://localhost/live/myStream"),
    ("scheme", "GstRsRtmpScheme", "rtmp"),
    ("host", "gchararray", "localhost"),
    ("port", "gint 1..65535", "1935"),
    ("application", "gchararray", "live"),
    ("stream", "gchararray", "myStream"),
    ("username", "gchararray", ""),
    ("password", "gchararray", ""),
    ("secure-token", "gchararray", ""),
    ("authmod", "GstRsRtmpAuthmod", "auto"),
    ("stream-key-file", "gchararray", ""),
    ("password-file", "gchararray", ""),
    ("follow-redirects", "gboolean", "true"),
    ("redirect-hosts", "gchararray", ""),
    ("redirect-to-unencrypted", "gboolean", "false"),
    ("timeout", "guint 0..4294967295", "5"),
    (
        "tls-validation-flags",
        "GstRsRtmpTlsValidationFlags",
        "Unknown CA+Bad identity+Not activated+Expired+Revoked+Insecure+Generic error",
    ),
    ("ca-file", "gchararray", ""),
    ("client-certificate", "gchararray", ""),
    ("client-key", "gchararray", ""),
    ("server-name", "gchararray", ""),
    ("certificate-pin", "gchararray", ""),
    ("flash-version", "gchararray", ""),
    ("tc-url", "gchararray", "rtmp://localhost/live"),
    ("swf-url", "gchararray", ""),
    ("page-url", "gchararray", ""),
    ("swf-file", "gchararray", ""),
    ("swf-hash", "gchararray", ""),
    ("swf-size", "guint 0..4294967295", "0"),
    ("extra-connect-args", "gchararray", ""),
    ("connect-args", "gchararray", ""),
    ("async-connect", "gboolean", "true"),
    ("enhanced-rtmp", "GstRsRtmpEnhanced", "auto"),
    ("proxy", "gchararray", ""),
    ("bind-address", "gchararray", ""),
    ("bind-interface", "gchararray", ""),
    ("address-family", "GstRsRtmpAddressFamily", "any"),
    ("tcp-keepalive", "guint 0..32767", "30"),
    ("tcp-user-timeout", "guint 0..2147483647", "0"),
    ("idle-timeout", "guint 0..4294967295", "0"),
    ("no-eof-is-error", "gboolean", "true"),
    ("is-live", "gboolean", "true"),
    ("latency", "guint 0..4294967295", "200"),
    ("start-mode", "GstRsRtmpStartMode", "smooth"),
    ("play-start", "GstRsRtmpPlayStart", "any"),
    ("buffer-length", "guint 0..4294967295", "30000"),
    ("receive-audio", "gboolean", "true"),
    ("receive-video", "gboolean", "true"),
    ("subscribe", "gchararray", ""),
    ("playlist", "gboolean", "false"),
];

/// A value as one types it to `gst-launch-1.0`.
fn typed(value: &glib::Value) -> String {
    if let Ok(text) = value.get::<Option<String>>() {
        return text.unwrap_or_default();
    }
    if let Some(value) = glib::EnumValue::from_value(value).map(|(_, value)| value.nick().to_owned()) {
        return value;
    }
    match value.get::<bool>() {
        Ok(value) => value.to_string(),
        Err(_) => value.serialize().map(Into::into).unwrap_or_default(),
    }
}

fn described(pspec: &glib::ParamSpec) -> String {
    let name = pspec.value_type().name();
    if let Some(pspec) = pspec.downcast_ref::<glib::ParamSpecUInt>() {
        return format!("{name} {}..{}", pspec.minimum(), pspec.maximum());
    }
    if let Some(pspec) = pspec.downcast_ref::<glib::ParamSpecInt>() {
        return format!("{name} {}..{}", pspec.minimum(), pspec.maximum());
    }
    name.to_owned()
}

#[test]
fn properties_have_their_types_ranges_and_defaults() -> Result<()> {
    let element = make()?;
    for (name, type_, default) in EXPECTED {
        let pspec = element
            .find_property(name)
            .ok_or_else(|| Failure::new(format!("no property {name}")))?;
        assert_eq!(described(&pspec), *type_, "{name}");
        assert_eq!(typed(&element.property_value(name)), *default, "{name}");
        assert!(pspec.flags().contains(glib::ParamFlags::READWRITE), "{name}");
        assert!(pspec.blurb().is_some_and(|blurb| blurb.len() > 10), "{name}");
    }
    let stats = element.find_property("stats").ok_or(Failure::new("no stats"))?;
    assert_eq!(stats.value_type(), gst::Structure::static_type());
    assert!(!stats.flags().contains(glib::ParamFlags::WRITABLE));

    // Nothing of the element's own is left out above.
    let base = gst_base::PushSrc::static_type();
    let properties = element.list_properties();
    let own = properties.iter().filter(|pspec| !base.is_a(pspec.owner_type()));
    assert_eq!(own.count(), EXPECTED.len() + 1);
    Ok(())
}

#[test]
fn properties_read_back_as_they_were_set() -> Result<()> {
    let element = make()?;
    for (name, value) in [
        ("scheme", "rtmps"),
        ("host", "example.org"),
        ("port", "65535"),
        ("application", "a/b"),
        ("stream", "mp4:c/d.mp4?token=e/f"),
        ("username", "me"),
        ("password", "p@ss"),
        ("secure-token", "t"),
        ("authmod", "llnw"),
        ("timeout", "4294967295"),
        ("ca-file", "/etc/ca.pem"),
        ("client-certificate", "/etc/me.pem"),
        ("client-key", "/etc/me.key"),
        ("server-name", "example.com"),
        ("certificate-pin", "00:11"),
        ("flash-version", "LNX 10,0,32,18"),
        ("tc-url", "rtmp://h/x"),
        ("swf-url", "http://h/s.swf"),
        ("page-url", "http://h/"),
        ("extra-connect-args", "S:x"),
        ("connect-args", "O:1 O:0"),
        ("async-connect", "false"),
        ("idle-timeout", "7"),
        ("no-eof-is-error", "false"),
        ("is-live", "false"),
        ("latency", "0"),
        ("start-mode", "lowest-latency"),
        ("play-start", "recorded"),
        ("buffer-length", "4294967295"),
    ] {
        element.set_property_from_str(name, value);
        assert_eq!(typed(&element.property_value(name)), value, "{name}");
    }
    element.set_property_from_str("tls-validation-flags", "unknown-ca+expired");
    let flags = typed(&element.property_value("tls-validation-flags"));
    assert_eq!(flags, "Unknown CA+Expired");
    element.set_property_from_str("tls-validation-flags", "validate-all");
    assert!(typed(&element.property_value("tls-validation-flags")).ends_with("Generic error"));
    Ok(())
}

#[test]
fn the_location_sets_its_parts_and_reads_back_as_written() -> Result<()> {
    let element = make()?;
    let location = "rtmp://me:pa%20ss@[::1]:1936/app/inst/key?token=a/b live=1 timeout=10";
    element.set_property("location", location);
    assert_eq!(element.property::<String>("location"), location);
    for (name, expected) in [
        ("host", "::1"),
        ("port", "1936"),
        ("username", "me"),
        ("password", "pa ss"),
    ] {
        assert_eq!(typed(&element.property_value(name)), expected, "{name}");
    }
    let whole = format!(
        "{}/{}",
        element.property::<String>("application"),
        element.property::<String>("stream")
    );
    assert_eq!(whole, "app/inst/key?token=a/b");
    Ok(())
}

#[test]
fn properties_that_cannot_change_any_more_say_so() -> Result<()> {
    let element = make()?;
    for pspec in element.list_properties() {
        let base = gst_base::PushSrc::static_type();
        if base.is_a(pspec.owner_type()) || pspec.name() == "stats" {
            continue;
        }
        let flags = pspec.flags().bits();
        let when = if ["latency", "receive-audio", "receive-video"].contains(&pspec.name()) {
            gst::PARAM_FLAG_MUTABLE_PLAYING
        } else {
            gst::PARAM_FLAG_MUTABLE_READY
        };
        assert!(flags & when.bits() != 0, "{}", pspec.name());
    }
    Ok(())
}
