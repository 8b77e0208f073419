//! What a server repeats of a stream's secrets is masked by those of the connection, not by what is set meanwhile.

use gst::prelude::*;
use gstrtmp::message::{Level, Status};

use crate::support::refusal::{Attempt, Side};
use crate::support::script::Server;
use crate::support::{Context as _, Failure, Result};

const KEY: &str = "kEyOfThisStream";
const TOKEN: &str = "tOkEnOfThisTest";

#[test]
fn a_location_that_changes_does_not_unmask_the_running_stream() -> Result<()> {
    for side in Side::BOTH {
        let words = format!("{KEY}?token={TOKEN} has had enough");
        let server = Server::start(move |script| {
            let mut client = script.accept()?;
            match side {
                Side::Sink => client.accept_publish(1)?,
                Side::Source => client.accept_play(1)?,
            };
            client.wait_for_cue()?;
            let status = Status::new(Level::Status, &format!("NetStream.{TOKEN}"), &words);
            client.send_command(1, &gstrtmp::message::Command::on_status(&status))?;
            client.send_status(1, Level::Error, "NetStream.Play.Failed", &words)?;
            client.read_to_end()
        })?;
        let location = server.url("live", &format!("{KEY}?token={TOKEN}"));
        let attempt = Attempt::begin(side, &location, &[])?;
        server.wait_for_command(side.command())?;
        attempt
            .element
            .set_property("location", "rtmp://elsewhere.example/live/other");
        attempt.element.set_property("stream", "third");
        server.cue();
        let (before, problem) = attempt.fail().context(format!("{side:?}"))?;
        drop(attempt);
        server.join()?;
        let told: Vec<String> = before
            .iter()
            .filter_map(|message| Some(format!("{:?}", message.structure()?)))
            .chain([format!("{problem:?}")])
            .collect();
        for line in &told {
            assert!(!line.contains(KEY) && !line.contains(TOKEN), "{line}");
        }
        assert!(problem.sentence.contains("***"), "{problem:?}");
        // Nor does the error speak of another server.
        if problem.sentence.contains("elsewhere") {
            return Err(Failure::new(problem.sentence));
        }
    }
    Ok(())
}
