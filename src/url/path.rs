//! The split of a URL's path into application and stream. The rule and its rivals are told in the module above.

use std::borrow::Cow;

/// Begin a stream name behind an application's query, though a slash in that query might end it earlier.
const NAME_PREFIXES: [&str; 3] = ["/mp4:", "/mp3:", "/flv:"];

/// What a path says without any override.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Split<'a> {
    pub(super) application: &'a str,
    pub(super) stream: Cow<'a, str>,
    /// The path is one segment: an application, but the stream for whom the application is given elsewhere.
    pub(super) alone: bool,
}

impl<'a> Split<'a> {
    /// `path` is what follows the authority, without its leading slash but with query and fragment.
    pub(super) fn of(path: &'a str) -> Self {
        if let Some((application, stream)) = path.split_once('#') {
            return Self {
                application,
                stream: Cow::Borrowed(stream),
                alone: false,
            };
        }
        let (segments, query) = path.split_at(path.find('?').unwrap_or(path.len()));
        if let Some(name) = slist(query) {
            return Self {
                application: path,
                stream: file_name(name),
                alone: false,
            };
        }
        let split = if let Some(name) = path.strip_prefix("ondemand/") {
            Some(("ondemand", name))
        } else if segments.contains('/') {
            split_segments(path, segments)
        } else {
            split_behind_query(path, query)
        };
        match split {
            Some((application, name)) => Self {
                application,
                stream: file_name(name),
                alone: false,
            },
            None => Self {
                application: path,
                stream: Cow::Borrowed(""),
                alone: true,
            },
        }
    }
}

/// The play path of an Akamai URL, `?auth=..&slist=path`, whose application is everything.
fn slist(query: &str) -> Option<&str> {
    query
        .strip_prefix('?')?
        .split('&')
        .find_map(|parameter| parameter.strip_prefix("slist="))
}

fn split_segments<'a>(path: &'a str, segments: &'a str) -> Option<(&'a str, &'a str)> {
    if let Some((application, _)) = segments.split_once("//")
        && !application.is_empty()
    {
        return path.split_once("//");
    }
    let (first, rest) = path.split_once('/')?;
    let (_, rest_of_segments) = segments.split_once('/')?;
    match rest_of_segments.split_once('/') {
        // A colon marks a file name, `mp4:dir/file`, where an instance could otherwise stand.
        Some((instance, _)) if !instance.contains(':') => {
            let (application, stream) = path.split_at_checked(first.len() + 1 + instance.len())?;
            Some((application, stream.strip_prefix('/')?))
        }
        _ => Some((first, rest)),
    }
}

/// FMLE's form, `app?query/stream`: the last slash separates, but the last one before the stream's own query if
/// there is one.
fn split_behind_query<'a>(path: &'a str, query: &'a str) -> Option<(&'a str, &'a str)> {
    let own_query = query.strip_prefix('?').and_then(|rest| rest.split_once('?'));
    let slash = NAME_PREFIXES
        .iter()
        .filter_map(|prefix| query.find(prefix))
        .min()
        .or_else(|| Some(own_query?.0.rfind('/')? + 1))
        .or_else(|| query.rfind('/'))?;
    let (application, stream) = path.split_at_checked(path.len() - query.len() + slash)?;
    Some((application, stream.strip_prefix('/')?))
}

/// The name under which Flash servers keep a file: `mp4:` goes before MPEG-4 files, `.flv` goes away. This is
/// what FFmpeg does, to the letter: in both directions, and not when a query follows.
pub(super) fn file_name(name: &str) -> Cow<'_, str> {
    if !name.contains(':') && (name.ends_with(".mp4") || name.ends_with(".f4v")) {
        Cow::Owned(format!("mp4:{name}"))
    } else {
        Cow::Borrowed(name.strip_suffix(".flv").unwrap_or(name))
    }
}
