//! What the sink asks of the kernel, as strace sees it.

mod support;

use std::fs;

use support::gstreamer::GStreamer;
use support::nginx::{Application, Nginx};
use support::process::Peer;
use support::wait::LONG;
use support::{Result, tags};

/// System calls that can put bytes into a socket.
const WRITES: [&str; 6] = ["write", "writev", "send", "sendto", "sendmsg", "sendmmsg"];

/// One system call on a TCP socket.
struct Call<'a> {
    name: &'a str,
    line: &'a str,
}

impl Call<'_> {
    fn is_write(&self) -> bool {
        WRITES.contains(&self.name)
    }

    fn turns_nagle_off(&self) -> bool {
        self.name == "setsockopt" && self.line.contains("TCP_NODELAY, [1]")
    }
}

/// The calls on TCP sockets, from lines such as `4711 sendmsg(11<TCP:[...]>, ...) = 42`. A call during which another
/// thread made one has two lines, of which the first has the arguments.
fn tcp_calls(trace: &str) -> Vec<Call<'_>> {
    trace
        .lines()
        .filter_map(|line| {
            let (_thread, call) = line.split_once(' ')?;
            let (name, arguments) = call.trim_start().split_once('(')?;
            let descriptor = arguments.split([',', ')']).next()?;
            descriptor.contains("<TCP:").then_some(Call { name, line })
        })
        .collect()
}

/// Publishes a number of `pictures` from a muxer, which makes a buffer of each; gives what strace says about it.
fn trace(gstreamer: &GStreamer, nginx: &Nginx, pictures: usize) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let stream = format!("of{pictures}");
    let file = folder.path().join("trace");
    let pipeline = format!(
        "videotestsrc num-buffers={pictures} ! video/x-raw,width=160,height=120,framerate=25/1 \
         ! x264enc bframes=0 ! flvmux streamable=true ! rtmpsink sync=false location={}",
        nginx.url(Application::Record, &stream)
    );
    let mut strace = gstreamer.command("strace");
    strace
        .args(["-f", "-yy", "-e", "trace=network,write,writev", "-o"])
        .arg(&file)
        .arg("gst-launch-1.0")
        .args(pipeline.split_whitespace());
    Peer::spawn(&mut strace, "strace")?.succeed(LONG)?;
    nginx.wait_for_clients(Application::Record, &stream, 0, LONG)?;
    let received = tags::frames(&tags::read(&nginx.recording(&stream))?);
    assert_eq!(received.len(), pictures);
    Ok(fs::read_to_string(file)?)
}

#[test]
fn a_message_costs_one_system_call_and_leaves_at_once() -> Result<()> {
    let nginx = Nginx::start()?;
    let gstreamer = GStreamer::new()?;
    let traces = [trace(&gstreamer, &nginx, 25)?, trace(&gstreamer, &nginx, 75)?];
    let writes = traces.each_ref().map(|trace| {
        let calls = tcp_calls(trace);
        let no_delay = calls.iter().position(Call::turns_nagle_off);
        let first_write = calls.iter().position(Call::is_write);
        assert!(no_delay.is_some() && no_delay < first_write, "{trace}");
        calls.iter().filter(|call| call.is_write()).count()
    });
    // What is more than the same is the pictures.
    assert_eq!(writes[1] - writes[0], 75 - 25, "{}", traces[1]);
    Ok(())
}
