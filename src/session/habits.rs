//! What servers of the Flash era ask of clients beside the specification: measurements of bandwidth, and `ping`.
//!
//! | the server invokes | the client |
//! |---|---|
//! | `onBWDone` | invokes `_checkbw`, once; FMS measures after that, others answer or ignore it |
//! | `_onbwcheck`, several times with a payload | returns how many it has had |
//! | `_onbwdone` | knows now |
//! | `ping` | invokes `pong`, as librtmp does, which returns nothing |
//!
//! Replies to `_checkbw` count for nothing, errors included.

use crate::amf::Value;
use crate::message::Command;

pub(super) const ON_BANDWIDTH_DONE: &str = "onBWDone";
pub(super) const ON_BANDWIDTH_CHECK: &str = "_onbwcheck";
pub(super) const PING: &str = "ping";

/// What a client remembers of them.
#[derive(Debug, Default)]
pub(super) struct Habits {
    has_asked: bool,
    checks: u32,
}

impl Habits {
    /// The command that `command` is answered with. `next` gives a transaction id to one that wants a reply itself.
    pub(super) fn answer(&mut self, command: &Command, next: impl FnOnce() -> f64) -> Option<Command> {
        match command.name.to_str_lossy().as_ref() {
            ON_BANDWIDTH_DONE if !self.has_asked => {
                self.has_asked = true;
                Some(Command::new("_checkbw", next(), Value::Null, Vec::new()))
            }
            ON_BANDWIDTH_CHECK => {
                self.checks = self.checks.saturating_add(1);
                let count = Value::Number(self.checks.into());
                Some(Command::result(command.transaction_id, Value::Null, vec![count]))
            }
            PING => Some(Command::new(
                "pong",
                command.transaction_id,
                Value::Null,
                Vec::new(),
            )),
            _ => None,
        }
    }
}
