//! Servers that refuse a client in one way after the other, a connection each, and both elements as their clients.

use gst::prelude::*;
use gstrtmp::amf::Value;
use gstrtmp::message::{Command, Level, Status};

use super::pipeline;
use super::script::{Client, Connection, Options, Server, connect_error, connect_result, stream_result};
use super::wait::LONG;
use super::{Context, Failure, Result};

/// Code of most refusals of connect.
pub const REJECTED: &str = "NetConnection.Connect.Rejected";

/// What becomes of one connection.
#[derive(Clone, Debug)]
pub enum Act {
    /// `_error` to connect with this description, then `close` and the end.
    Refuse(String),
    /// The same by an onStatus.
    RefuseByStatus(String),
    /// `_error` to connect with these members of `ex`.
    Redirect(Vec<(&'static str, String)>),
    /// The same to publish or play, by an onStatus on stream 0, as SRS does.
    RedirectLater(Vec<(&'static str, String)>),
    /// `_error` to createStream, before connect is answered.
    RefuseCreateStream,
    /// The end, without a word, once this command has come.
    CloseAt(&'static str),
    /// No word at all until the client goes.
    Silence,
    /// Bytes that are no chunk stream, in the place of an answer.
    Nonsense,
    /// The reply to connect has this property; then all goes well.
    AcceptWith(&'static str, &'static str),
    /// All goes well until the client goes.
    Accept,
}

impl Act {
    pub fn refuse(description: impl Into<String>) -> Self {
        Self::Refuse(description.into())
    }

    /// A redirect at connect that names an application.
    pub fn redirect(url: impl Into<String>) -> Self {
        Self::Redirect(vec![("redirect", url.into())])
    }
}

/// A server that does one thing after the other.
pub fn server(acts: impl IntoIterator<Item = Act>) -> Result<Server> {
    serve(Options::default(), acts.into_iter().collect())
}

/// The same at an address that was free a moment ago, for servers that have to name themselves.
pub fn server_at(address: &str, acts: Vec<Act>) -> Result<Server> {
    let options = Options {
        address: Some(address.parse()?),
        ..Options::default()
    };
    serve(options, acts)
}

fn serve(options: Options, acts: Vec<Act>) -> Result<Server> {
    Server::with(options, move |script| {
        for act in acts {
            let mut client = script.accept()?;
            client.handshake()?;
            perform(&mut client, &act).context(format!("{act:?}"))?;
        }
        Ok(())
    })
}

fn redirect(members: &[(&'static str, String)]) -> Value {
    let ex = [("code", Value::from(302.0))].into_iter().chain(
        members
            .iter()
            .map(|(name, value)| (*name, Value::from(value.as_str()))),
    );
    Value::object([
        ("level", Value::from("error")),
        ("code", Value::from(REJECTED)),
        ("description", Value::from("go there")),
        ("ex", Value::object(ex)),
    ])
}

fn perform(client: &mut Client, act: &Act) -> Result<()> {
    let connect = client.expect_command("connect")?;
    match act {
        Act::Refuse(description) => {
            client.send_command(0, &connect_error(&connect, REJECTED, description))?;
            client.send_command(0, &Command::new("close", 0.0, Value::Null, vec![]))?;
        }
        Act::RefuseByStatus(description) => {
            client.send_status(0, Level::Error, REJECTED, description)?;
        }
        Act::Redirect(members) => {
            let error = Command::error(connect.transaction_id, Value::Null, vec![redirect(members)]);
            client.send_command(0, &error)?;
        }
        Act::RedirectLater(members) => {
            accept_stream(client, &connect, None)?;
            client.read_until("publish or play", |message| {
                let name = message
                    .command
                    .as_ref()
                    .map(|command| command.name.to_str_lossy());
                name.is_some_and(|name| ["publish", "play"].contains(&&*name))
            })?;
            let status = Command::new("onStatus", 0.0, Value::Null, vec![redirect(members)]);
            client.send_command(0, &status)?;
        }
        Act::RefuseCreateStream => {
            let asked = client.expect_command("createStream")?;
            let status = Status::new(Level::Error, "NetConnection.Call.Failed", "not connected");
            let error = Command::error(asked.transaction_id, Value::Null, vec![status.info]);
            client.send_command(0, &error)?;
        }
        Act::CloseAt("connect") => return Ok(()),
        Act::CloseAt(name) => {
            client.send_command(0, &connect_result(&connect))?;
            return client.expect_command(name).map(drop);
        }
        Act::Silence => {}
        Act::Nonsense => client.send_raw(&[0xc4; 64])?,
        Act::AcceptWith(name, value) => {
            accept_stream(client, &connect, Some((name, value)))?;
            start(client)?;
        }
        Act::Accept => {
            accept_stream(client, &connect, None)?;
            start(client)?;
        }
    }
    // Whoever is refused goes at once, and may leave behind what was not read.
    client.read_to_end()
}

fn accept_stream(
    client: &mut Client,
    connect: &Command,
    property: Option<(&'static str, &str)>,
) -> Result<()> {
    let mut reply = connect_result(connect);
    if let (Some((name, value)), Some(Value::Object(info))) = (property, reply.arguments.first_mut()) {
        info.properties.push(name, value.into());
    }
    client.send_command(0, &reply)?;
    let create_stream = client.expect_command("createStream")?;
    client.send_command(0, &stream_result(&create_stream, 1))
}

/// Publishing or playing, whatever the client asks for.
fn start(client: &mut Client) -> Result<()> {
    let asked = client.read_until("publish or play", |message| {
        let name = message
            .command
            .as_ref()
            .map(|command| command.name.to_str_lossy());
        name.is_some_and(|name| ["publish", "play"].contains(&&*name))
    })?;
    let code = match asked.command.is_some_and(|command| command.name == "publish") {
        true => "NetStream.Publish.Start",
        false => "NetStream.Play.Start",
    };
    client.send_status(1, Level::Status, code, "go on")
}

/// Which element is tried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Side {
    Sink,
    Source,
}

impl Side {
    pub const BOTH: [Self; 2] = [Self::Sink, Self::Source];

    /// The command that begins its stream.
    pub const fn command(self) -> &'static str {
        match self {
            Self::Sink => "publish",
            Self::Source => "play",
        }
    }

    /// The code of a stream that cannot be opened.
    pub const fn open(self) -> gst::ResourceError {
        match self {
            Self::Sink => gst::ResourceError::OpenWrite,
            Self::Source => gst::ResourceError::OpenRead,
        }
    }
}

/// An element on its way to a server.
pub struct Attempt {
    pipeline: gst::Pipeline,
    pub element: gst::Element,
}

/// An error as an application gets it.
#[derive(Debug)]
pub struct Problem {
    pub code: Option<gst::ResourceError>,
    pub sentence: String,
    pub debug: String,
}

impl Problem {
    pub fn expect(self, code: gst::ResourceError, part: &str) -> Result<()> {
        match self.code == Some(code) && self.sentence.contains(part) {
            true => Ok(()),
            false => Err(Failure::new(format!("not {code:?} with {part:?}, but {self:?}"))),
        }
    }
}

impl Attempt {
    /// The element, set to connect to `location`.
    pub fn new(side: Side, location: &str, properties: &[(&str, &str)]) -> Result<Self> {
        pipeline::register()?;
        let description = match side {
            Side::Sink => "appsrc caps=video/x-flv ! rtmpsink name=e",
            Side::Source => "rtmpsrc name=e ! fakesink async=false sync=false",
        };
        let pipeline = gst::parse::launch(description)?
            .downcast::<gst::Pipeline>()
            .map_err(|_| Failure::new("no pipeline"))?;
        let element = pipeline
            .by_name("e")
            .ok_or_else(|| Failure::new("the pipeline has no element e"))?;
        element.set_property("location", location);
        for (name, value) in properties {
            element.set_property_from_str(name, value);
        }
        Ok(Self { pipeline, element })
    }

    /// The same, connecting.
    pub fn begin(side: Side, location: &str, properties: &[(&str, &str)]) -> Result<Self> {
        let attempt = Self::new(side, location, properties)?;
        attempt.play();
        Ok(attempt)
    }

    /// Whether it began to connect; if not, an error says why.
    pub fn play(&self) -> bool {
        self.pipeline.set_state(gst::State::Playing).is_ok()
    }

    /// Every message up to an error, and the error.
    pub fn fail(&self) -> Result<(Vec<gst::Message>, Problem)> {
        let bus = self.bus()?;
        let mut before = Vec::new();
        let patience = gst::ClockTime::try_from(LONG).ok();
        while let Some(message) = bus.timed_pop(patience) {
            if let gst::MessageView::Error(error) = message.view() {
                let problem = Problem {
                    code: error.error().kind(),
                    sentence: error.error().message().to_owned(),
                    debug: error.debug().unwrap_or_default().to_string(),
                };
                return Ok((before, problem));
            }
            before.push(message);
        }
        Err(Failure::new("nothing has failed"))
    }

    /// The error that ends it.
    pub fn problem(&self) -> Result<Problem> {
        self.fail().map(|(_, problem)| problem)
    }

    /// The `step`s of the element messages that are there.
    pub fn steps(&self) -> Result<Vec<String>> {
        let mut steps = Vec::new();
        while let Some(message) = self.bus()?.pop() {
            steps.extend(step(&message));
        }
        Ok(steps)
    }

    /// The text of the next warning.
    pub fn warning(&self) -> Result<String> {
        let patience = gst::ClockTime::try_from(LONG).ok();
        let kinds = [gst::MessageType::Warning, gst::MessageType::Error];
        let message = self.bus()?.timed_pop_filtered(patience, &kinds);
        match message.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Warning(warning)) => Ok(warning.error().message().to_owned()),
            other => Err(Failure::new(format!("not a warning, but {other:?}"))),
        }
    }

    /// Whether nothing was warned of so far.
    pub fn is_content(&self) -> Result<bool> {
        Ok(self.bus()?.pop_filtered(&[gst::MessageType::Warning]).is_none())
    }

    fn bus(&self) -> Result<gst::Bus> {
        self.pipeline.bus().ok_or_else(|| Failure::new("no bus"))
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// What an element message `rtmp-connecting` says.
pub fn step(message: &gst::MessageRef) -> Option<String> {
    let structure = message.structure()?;
    (structure.name() == "rtmp-connecting")
        .then(|| structure.get("step").ok())
        .flatten()
}

/// Lets an element meet `acts`, the last of which accepts it; what it said on each connection, and the steps it told of.
pub fn succeed(
    side: Side,
    acts: impl IntoIterator<Item = Act>,
    properties: &[(&str, &str)],
) -> Result<(Vec<Connection>, Vec<String>)> {
    let server = server(acts)?;
    let attempt = Attempt::begin(side, &server.url("live", "key"), properties)?;
    server.wait_for_command(side.command())?;
    let steps = attempt.steps()?;
    drop(attempt);
    Ok((server.join()?, steps))
}

/// Lets an element meet `acts`, the last of which is too much; the error, and how often it connected.
pub fn fail(
    side: Side,
    acts: impl IntoIterator<Item = Act>,
    properties: &[(&str, &str)],
) -> Result<(Problem, Vec<Connection>)> {
    let server = server(acts)?;
    let attempt = Attempt::begin(side, &server.url("live", "key"), properties)?;
    let problem = attempt.problem()?;
    drop(attempt);
    Ok((problem, server.join()?))
}

/// A text in the command object of connect.
pub fn of_connect(connection: &Connection, name: &str) -> Result<String> {
    let connect = connection.command("connect")?;
    let value = connect.object.get(name).and_then(Value::as_str);
    value
        .map(|text| text.into_owned())
        .ok_or_else(|| Failure::new(format!("connect has no {name}")))
}
