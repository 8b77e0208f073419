//! The player that the element says it is: flashVer, swfUrl and pageUrl of connect, and the SWF file that it proves to
//! know when the server asks.

use std::fs::File;
use std::io::Read as _;

use gst::glib;
use gst::prelude::*;

use super::text;
use crate::amf::Text;
use crate::elements::error;
use crate::session::ClientConfig;
use crate::swf;
use crate::url::{Options, Secret};

/// The properties of this group.
#[derive(Clone, Debug, Default)]
pub(super) struct Player {
    flash_version: Option<String>,
    swf_url: Option<String>,
    page_url: Option<String>,
    swf_file: Option<String>,
    swf_hash: Option<Secret>,
    /// Bytes; 0 says nothing.
    swf_size: u32,
}

impl Player {
    pub(super) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        let text = || value.get::<Option<String>>().ok().flatten();
        match name {
            "flash-version" => self.flash_version = text(),
            "swf-url" => self.swf_url = text(),
            "page-url" => self.page_url = text(),
            "swf-file" => self.swf_file = text(),
            "swf-hash" => self.swf_hash = text().map(Secret::from),
            "swf-size" => self.swf_size = value.get().unwrap_or_default(),
            _ => return false,
        }
        true
    }

    pub(super) fn get(&self, name: &str) -> Option<glib::Value> {
        Some(match name {
            "flash-version" => self.flash_version.to_value(),
            "swf-url" => self.swf_url.to_value(),
            "page-url" => self.page_url.to_value(),
            "swf-file" => self.swf_file.to_value(),
            "swf-hash" => self.swf_hash.as_ref().map(Secret::expose).to_value(),
            "swf-size" => self.swf_size.to_value(),
            _ => return None,
        })
    }

    /// Says it in `config`; a property counts before the location's option. Reads the SWF file, if there is one.
    pub(super) fn apply(
        &self,
        options: &Options,
        config: &mut ClientConfig,
    ) -> Result<(), gst::ErrorMessage> {
        let exposed = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
        config.flash_version = self
            .flash_version
            .clone()
            .or_else(|| options.flash_version.clone())
            .map(Text::from);
        config.swf_url = self
            .swf_url
            .clone()
            .or_else(|| exposed(&options.swf_url))
            .map(Text::from);
        config.page_url = self
            .page_url
            .clone()
            .or_else(|| exposed(&options.page_url))
            .map(Text::from);
        config.swf = self.identity().map_err(|fault| error::bad_setting(&fault))?;
        if options.swf_verify == Some(true) && config.swf.is_none() {
            return Err(error::bad_setting(
                &"The location option swfVfy asks for SWF verification, but the file at swfUrl is not downloaded. Give \
                 swf-file, or swf-hash and swf-size.",
            ));
        }
        Ok(())
    }

    /// The SWF file that the properties speak of. What cannot be used is told in a sentence.
    fn identity(&self) -> Result<Option<swf::Identity>, String> {
        let set = |text: &str| !text.is_empty();
        let file = self.swf_file.as_deref().filter(|file| set(file));
        let hash = self
            .swf_hash
            .as_ref()
            .map(Secret::expose)
            .filter(|hash| set(hash));
        match (file, hash, self.swf_size) {
            (None, None, 0) => Ok(None),
            (Some(file), None, 0) => match read(file) {
                Ok(identity) => Ok(Some(identity)),
                Err(fault) => Err(format!("The SWF file {file} cannot be used: {fault}.")),
            },
            (Some(_), _, _) => Err("swf-file says what swf-hash and swf-size say: set either.".to_owned()),
            (None, Some(hash), size) if size != 0 => match octets(hash) {
                Some(hash) => Ok(Some(swf::Identity::new(hash, size))),
                None => Err("swf-hash has to be 64 hexadecimal digits.".to_owned()),
            },
            (None, _, _) => Err("swf-hash and swf-size are of use only together: set both.".to_owned()),
        }
    }
}

/// The identity of a file.
fn read(path: &str) -> Result<swf::Identity, Box<dyn std::error::Error>> {
    let mut file = Vec::new();
    // One byte more than is taken tells that it is too long.
    let limit = swf::MAX_FILE as u64 + 1;
    File::open(path)?.take(limit).read_to_end(&mut file)?;
    Ok(swf::Identity::of_file(&file)?)
}

/// The bytes that 64 hexadecimal digits spell.
fn octets(digits: &str) -> Option<[u8; swf::HASH_SIZE]> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let octets: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok())
        .collect();
    octets?.try_into().ok()
}

pub(super) fn properties() -> Vec<glib::ParamSpec> {
    vec![
        text(
            "flash-version",
            "Flash version",
            "flashVer of connect; left out when unset",
        ),
        text("swf-url", "swfUrl", "swfUrl of connect; left out when unset"),
        text("page-url", "pageUrl", "pageUrl of connect; left out when unset"),
        text(
            "swf-file",
            "SWF file",
            "File of the player that the server asks about in SWF verification; it is read when the element starts",
        ),
        text(
            "swf-hash",
            "SWF hash",
            "In place of swf-file, together with swf-size: its HMAC-SHA256 when inflated, in 64 hexadecimal digits",
        ),
        glib::ParamSpecUInt::builder("swf-size")
            .nick("SWF size")
            .blurb("In place of swf-file, together with swf-hash: its bytes when inflated; 0 = unset")
            .mutable_ready()
            .build(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const HASH: &str = "783752bdedd74343c34da22eb46317cb8f68b060ea87fa8bf5a6a12f084a626d";

    fn identity(properties: &[(&str, &str)]) -> Result<Option<swf::Identity>, String> {
        let mut player = Player::default();
        for (name, value) in properties {
            let value = match *name {
                "swf-size" => value.parse::<u32>().unwrap().to_value(),
                _ => value.to_value(),
            };
            assert!(player.set(name, &value), "{name}");
            assert_eq!(
                player
                    .get(name)
                    .unwrap()
                    .transform::<String>()
                    .unwrap()
                    .get::<String>()
                    .unwrap(),
                value.transform::<String>().unwrap().get::<String>().unwrap()
            );
        }
        player.identity()
    }

    #[test]
    fn hash_and_size_or_a_file_are_an_identity() {
        assert_eq!(identity(&[]), Ok(None));
        assert_eq!(
            identity(&[("swf-file", ""), ("swf-hash", ""), ("swf-size", "0")]),
            Ok(None)
        );
        let by_hash = identity(&[("swf-hash", HASH), ("swf-size", "24")])
            .unwrap()
            .unwrap();
        assert_eq!(
            (by_hash.hash()[0], by_hash.hash()[31], by_hash.size()),
            (0x78, 0x6d, 24)
        );
        assert_eq!(
            identity(&[("swf-hash", &HASH.to_uppercase()), ("swf-size", "24")]),
            Ok(Some(by_hash.clone()))
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("player.swf");
        let movie: Vec<u8> = [70, 87, 83, 10, 24, 0, 0, 0].into_iter().chain(0..16).collect();
        fs::write(&file, movie).unwrap();
        assert_eq!(
            identity(&[("swf-file", file.to_str().unwrap())]),
            Ok(Some(by_hash))
        );
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page.html");
        fs::write(&file, "<html>").unwrap();
        let file = file.to_str().unwrap();
        let missing = folder.path().join("missing");
        let missing = missing.to_str().unwrap();
        let digits = "swf-hash has to be 64 hexadecimal digits.";
        let together = "swf-hash and swf-size are of use only together: set both.";
        let either = "swf-file says what swf-hash and swf-size say: set either.";
        for (properties, sentence) in [
            (&[("swf-hash", "abc"), ("swf-size", "1")][..], digits),
            (&[("swf-hash", &HASH[2..]), ("swf-size", "1")], digits),
            (
                &[("swf-hash", &HASH.replace('7', "g")), ("swf-size", "1")],
                digits,
            ),
            (&[("swf-hash", &"é".repeat(32)), ("swf-size", "1")], digits),
            (&[("swf-hash", HASH)], together),
            (&[("swf-size", "1")], together),
            (&[("swf-file", file), ("swf-size", "1")], either),
            (&[("swf-file", file), ("swf-hash", HASH)], either),
            (
                &[("swf-file", file)],
                &format!("The SWF file {file} cannot be used: it is not a SWF file."),
            ),
        ] {
            assert_eq!(identity(properties), Err(sentence.to_owned()), "{properties:?}");
        }
        let error = identity(&[("swf-file", missing)]).unwrap_err();
        assert!(error.starts_with(&format!("The SWF file {missing} cannot be used: No such file")));
    }
}
