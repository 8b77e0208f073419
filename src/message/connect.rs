//! What a client says in its connect command, RTMP 1.0 section 7.2.1.1.

use std::fmt;

use crate::amf::{Object, Properties, Text, Value};

/// The command object of connect and the arguments after it. What is `None` is left out; the others go in the
/// order of the fields here, which is FFmpeg's.
///
/// `Debug` shows the client's version only: URLs hold passwords and tokens.
#[derive(Clone, Default, PartialEq)]
pub struct ConnectParameters {
    /// `app`: the application, with its query if it has one.
    pub app: Text,
    /// `type`: encoders say `nonprivate`. Not in the specification.
    pub connection_type: Option<Text>,
    /// `flashVer`: name and version of the client. Some servers take it for an encoder only if it begins with
    /// `FMLE/`.
    pub flash_version: Option<Text>,
    /// `swfUrl`: where the player's SWF file came from.
    pub swf_url: Option<Text>,
    /// `tcUrl`: the URL of the application, without user and password.
    pub tc_url: Text,
    /// `fpad`: whether a proxy is in use.
    pub fpad: Option<bool>,
    /// `capabilities`: players say 15. Not in the specification.
    pub capabilities: Option<f64>,
    /// `audioCodecs`: a sum of `SUPPORT_SND_` bits. AMS sends a player nothing else.
    pub audio_codecs: Option<f64>,
    /// `videoCodecs`: a sum of `SUPPORT_VID_` bits. AMS sends a player nothing else.
    pub video_codecs: Option<f64>,
    /// `videoFunction`: 1 when seeking is frame-accurate.
    pub video_function: Option<f64>,
    /// `pageUrl`: the page that the SWF file was embedded in.
    pub page_url: Option<Text>,
    /// `objectEncoding`: 0 for AMF0, 3 for AMF3.
    pub object_encoding: Option<f64>,
    /// Further properties, such as those of Enhanced RTMP.
    pub properties: Properties,
    /// Values after the command object: librtmp's `conn` options.
    pub arguments: Vec<Value>,
}

impl ConnectParameters {
    /// The command object.
    pub(super) fn object(&self) -> Value {
        let text = |text: &Option<Text>| text.clone().map(Value::String);
        let number = |number: Option<f64>| number.map(Value::Number);
        let known = [
            ("app", Some(Value::String(self.app.clone()))),
            ("type", text(&self.connection_type)),
            ("flashVer", text(&self.flash_version)),
            ("swfUrl", text(&self.swf_url)),
            ("tcUrl", Some(Value::String(self.tc_url.clone()))),
            ("fpad", self.fpad.map(Value::Boolean)),
            ("capabilities", number(self.capabilities)),
            ("audioCodecs", number(self.audio_codecs)),
            ("videoCodecs", number(self.video_codecs)),
            ("videoFunction", number(self.video_function)),
            ("pageUrl", text(&self.page_url)),
            ("objectEncoding", number(self.object_encoding)),
        ];
        let known = known
            .into_iter()
            .filter_map(|(name, value)| Some((Text::from(name), value?)));
        Value::Object(Object {
            class: None,
            properties: known.chain(self.properties.iter().cloned()).collect(),
        })
    }
}

impl fmt::Debug for ConnectParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectParameters")
            .field("flash_version", &self.flash_version)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::{Outgoing, Writer, tests::hex};
    use crate::message::Command;
    use crate::timestamp::Timestamp;
    use bytes::Bytes;

    #[test]
    fn golden_connect_of_a_publisher() {
        let parameters = ConnectParameters {
            app: "live".into(),
            connection_type: Some("nonprivate".into()),
            flash_version: Some("FMLE/3.0 (compatible; rs)".into()),
            swf_url: Some("rtmp://h.example/live".into()),
            tc_url: "rtmp://h.example/live".into(),
            ..ConnectParameters::default()
        };
        let (type_id, body) = Command::connect(1.0, &parameters).encode();
        let message = Outgoing {
            chunk_stream: 3,
            timestamp: Timestamp::ZERO,
            type_id,
            stream_id: 0,
            head: Bytes::new(),
            body,
        };
        let mut wire = Vec::new();
        Writer::new().write(message, &mut wire).expect("short enough");
        let expected = hex("03 00 00 00 00 00 9b 14 00 00 00 00 02 00 07 63
                            6f 6e 6e 65 63 74 00 3f f0 00 00 00 00 00 00 03
                            00 03 61 70 70 02 00 04 6c 69 76 65 00 04 74 79
                            70 65 02 00 0a 6e 6f 6e 70 72 69 76 61 74 65 00
                            08 66 6c 61 73 68 56 65 72 02 00 19 46 4d 4c 45
                            2f 33 2e 30 20 28 63 6f 6d 70 61 74 69 62 6c 65
                            3b 20 72 73 29 00 06 73 77 66 55 72 6c 02 00 15
                            72 74 6d 70 3a 2f 2f 68 2e 65 78 61 6d 70 6c 65
                            2f 6c 69 76 65 00 05 74 63 55 72 6c c3 02 00 15
                            72 74 6d 70 3a 2f 2f 68 2e 65 78 61 6d 70 6c 65
                            2f 6c 69 76 65 00 00 09");
        assert_eq!(wire, expected);
    }

    #[test]
    fn players_properties_go_in_order_and_extras_last() {
        let parameters = ConnectParameters {
            fpad: Some(false),
            capabilities: Some(15.0),
            audio_codecs: Some(4071.0),
            video_codecs: Some(252.0),
            video_function: Some(1.0),
            page_url: Some("http://h.example/".into()),
            object_encoding: Some(0.0),
            properties: [("capsEx", Value::Number(1.0))].into_iter().collect(),
            arguments: vec![Value::Boolean(true)],
            ..ConnectParameters::default()
        };
        let command = Command::connect(1.0, &parameters);
        let expected = Value::object([
            ("app", "".into()),
            ("tcUrl", "".into()),
            ("fpad", false.into()),
            ("capabilities", 15.0.into()),
            ("audioCodecs", 4071.0.into()),
            ("videoCodecs", 252.0.into()),
            ("videoFunction", 1.0.into()),
            ("pageUrl", "http://h.example/".into()),
            ("objectEncoding", 0.0.into()),
            ("capsEx", 1.0.into()),
        ]);
        assert_eq!(command.object, expected);
        assert_eq!(command.arguments, [Value::Boolean(true)]);
    }

    #[test]
    fn debug_shows_no_url() {
        let parameters = ConnectParameters {
            tc_url: "rtmp://secret".into(),
            ..ConnectParameters::default()
        };
        assert_eq!(
            format!("{parameters:?}"),
            "ConnectParameters { flash_version: None, .. }"
        );
    }
}
