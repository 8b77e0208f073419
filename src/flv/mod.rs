//! The FLV container and the tag bodies that it shares with RTMP: Adobe FLV 10.1 Annex E and Enhanced RTMP
//! v2.
//!
//! The body of an FLV tag is the payload of the RTMP message of the same type, so [`audio`], [`video`] and
//! [`script`] serve both sides, while [`reader`] and [`tag`] are about byte streams only. [`metadata`] and
//! [`config`] look into what bodies carry: what a stream says of itself, and what its codecs do.

pub mod audio;
pub mod config;
mod enhanced;
pub mod metadata;
pub mod reader;
pub mod script;
pub mod tag;
mod unwritable;
pub mod video;

pub use crate::fourcc::FourCc;
pub use audio::{AudioPacket, AudioTag};
pub use metadata::Metadata;
pub use reader::{Error, Item, Reader, Tag};
pub use script::ScriptData;
pub use tag::{FileHeader, TagHeader, TagKind};
pub use unwritable::Unwritable;
pub use video::{VideoPacket, VideoTag};
