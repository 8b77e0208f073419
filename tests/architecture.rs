//! The layers of `docs/architecture.md`: imports point downward, and only the top layers touch GStreamer, sockets,
//! threads and clocks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules with what they may import besides [`LEAVES`] and themselves. From the bottom to the top: a module may
/// only name ones above its own line.
const LAYERS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("timestamp", &[]),
    ("fourcc", &[]),
    ("swf", &[]),
    ("amf", &[]),
    ("url", &["amf"]),
    ("proxy", &["url"]),
    ("flv", &["amf"]),
    ("chunk", &[]),
    ("handshake", &[]),
    ("tunnel", &[]),
    ("rtmfp", &[]),
    ("message", &["amf", "chunk"]),
    ("link", &["message", "chunk", "handshake", "rtmfp"]),
    (
        "session",
        &["link", "message", "chunk", "handshake", "amf", "swf", "url"],
    ),
    ("transport", &["session", "link", "tunnel", "proxy", "url"]),
    (
        "elements",
        &[
            "transport",
            "session",
            "handshake",
            "proxy",
            "flv",
            "url",
            "amf",
            "swf",
        ],
    ),
];

/// What every module may import.
const LEAVES: &[&str] = &["wire", "timestamp", "fourcc"];

/// The layers that live in the world; all others are told the time and handed their bytes.
const WORLDLY: &[&str] = &["transport", "elements"];

/// Lines of a file without its tests beyond which it wants splitting.
const MAX_LINES: usize = 800;

/// One file of the crate.
struct Source {
    path: PathBuf,
    /// The module of [`LAYERS`] that it belongs to.
    module: String,
    /// Modules above it, its own included: 1 for `src/wire.rs`, 2 for `src/chunk/reader.rs`.
    depth: usize,
    /// Whether it holds nothing but tests, as `src/session/tests.rs` does.
    is_tests: bool,
    /// Its text without comments and literals.
    code: String,
}

impl Source {
    /// The code up to the tests, which stand last in each file.
    fn without_tests(&self) -> &str {
        if self.is_tests {
            return "";
        }
        self.code.split("mod tests {").next().unwrap_or(&self.code)
    }
}

/// Every file under `src` but `lib.rs`, which names all modules.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for path in entries.map(|entry| entry.expect("a readable folder").path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inside = path
                .strip_prefix(&root)
                .expect("found under the root")
                .with_extension("");
            let mut modules: Vec<String> = inside.iter().map(|name| name.to_string_lossy().into()).collect();
            modules.pop_if(|last| last == "mod");
            let module = modules.first().expect("a file has a name").clone();
            if module == "lib" {
                continue;
            }
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            sources.push(Source {
                path,
                module,
                depth: modules.len(),
                is_tests: modules.iter().any(|name| name == "tests"),
                code: code(&text),
            });
        }
    }
    sources
}

/// Blanks out comments and literals, keeping the lines.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(raw) = raw_string(rest) {
            raw
        } else if next == '"' {
            quoted(rest, '"').unwrap_or(rest.len())
        } else if next == '\'' {
            // A lifetime has no second quote where a character has one.
            quoted(rest, '\'')
                .filter(|end| *end <= 12 && is_character(&rest[..*end]))
                .unwrap_or(0)
        } else {
            0
        };
        if skipped == 0 {
            out.push(next);
            rest = &rest[next.len_utf8()..];
        } else {
            out.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            rest = &rest[skipped..];
        }
    }
    out
}

/// Length of a literal in quotes at the front of `text`.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if !escaped && c == quote {
            return Some(at + 1);
        }
        escaped = !escaped && c == '\\';
    }
    None
}

fn is_character(literal: &str) -> bool {
    literal.starts_with("'\\") || literal.chars().count() == 3
}

/// Length of a raw string at the front of `text`.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - body.len();
    Some(body.find(&end).map_or(text.len(), |at| start + at + end.len()))
}

/// Where `word` stands as a whole word, with what follows it.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .map(move |(at, _)| (at, &code[at + word.len()..]))
        .filter(move |(at, rest)| !code[..*at].ends_with(part_of_word) && !rest.starts_with(part_of_word))
}

/// First segments of the paths after a prefix: `::a::b` gives a, `::{a, b::{c, d}}` gives a and b.
fn first_segments(rest: &str) -> Vec<&str> {
    let Some(path) = rest.strip_prefix("::").map(str::trim_start) else {
        return Vec::new();
    };
    let ident = |text: &'_ str| {
        text.len()
            - text
                .trim_start_matches(|c: char| c.is_alphanumeric() || c == '_')
                .len()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![&path[..ident(path)]];
    };
    let mut segments = Vec::new();
    let mut depth = 0;
    let mut start = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            c if start && !c.is_whitespace() => {
                segments.push(&group[at..at + ident(&group[at..])]);
                start = false;
            }
            _ => {}
        }
    }
    segments
}

/// Modules that a file reaches through `crate::`, and through `super::` where that leads out of its own module.
fn imports(source: &Source) -> BTreeSet<&str> {
    let mut found: BTreeSet<&str> = words(&source.code, "crate")
        .flat_map(|(_, rest)| first_segments(rest))
        .collect();
    let tests = source.without_tests().len();
    for (at, mut rest) in words(&source.code, "super") {
        let mut up = 1;
        while let Some(further) = rest.strip_prefix("::super") {
            rest = further;
            up += 1;
        }
        // The tests are a module of their file.
        if up == source.depth + usize::from(at >= tests && !source.is_tests) {
            found.extend(first_segments(rest));
        }
    }
    found
}

#[test]
fn imports_point_downward() {
    for source in sources() {
        let path = source.path.display();
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == source.module) else {
            panic!("{path}: give the module {} its place in LAYERS", source.module);
        };
        for import in imports(&source) {
            // Items of the crate's root, such as macros, are no modules.
            let is_module = LAYERS.iter().any(|(name, _)| *name == import);
            let may = import == source.module || LEAVES.contains(&import) || allowed.contains(&import);
            assert!(
                may || !is_module,
                "{path} imports {import}, which {} may not",
                source.module
            );
        }
    }
}

#[test]
fn layers_are_in_order() {
    for (at, (module, allowed)) in LAYERS.iter().enumerate() {
        for import in *allowed {
            assert!(
                LAYERS[..at].iter().any(|(name, _)| name == import),
                "{module} may not import {import}"
            );
        }
    }
}

#[test]
fn only_elements_know_gstreamer() {
    for source in sources().iter().filter(|source| source.module != "elements") {
        for name in ["gst", "gst_base", "glib", "gio"] {
            let mut uses = words(&source.code, name).filter(|(at, rest)| {
                rest.starts_with("::") || source.code[..*at].trim_end().ends_with("use")
            });
            assert!(uses.next().is_none(), "{} uses {name}", source.path.display());
        }
    }
}

#[test]
fn only_worldly_layers_have_sockets_threads_and_clocks() {
    let named = [
        "SystemTime",
        "TcpListener",
        "TcpStream",
        "UdpSocket",
        "ToSocketAddrs",
    ];
    let entered = ["socket2", "rustix", "thread"];
    for source in sources()
        .iter()
        .filter(|source| !WORLDLY.contains(&source.module.as_str()))
    {
        let code = source.without_tests();
        let path = source.path.display();
        for name in named {
            assert!(words(code, name).next().is_none(), "{path} uses {name}");
        }
        for name in entered {
            let mut uses = words(code, name).filter(|(_, rest)| rest.starts_with("::"));
            assert!(uses.next().is_none(), "{path} uses {name}");
        }
        let mut asks = words(code, "Instant").filter(|(_, rest)| rest.starts_with("::now"));
        assert!(asks.next().is_none(), "{path} asks for the time");
    }
}

#[test]
fn no_file_is_too_long() {
    for source in sources() {
        let lines = source.without_tests().lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", source.path.display());
    }
}

#[test]
fn paths_are_found_in_every_form() {
    let text = r##"
        // crate::comment
        use crate::amf::{Value, crate_name};
        use crate::{chunk, flv::{self, Tag}, wire};
        /* crate::block */
        const S: &str = "crate::string \" crate::string";
        const R: &str = r#"crate::raw" crate::raw"#;
        fn f<'a>(x: &'a crate::link::Link) { let c = '"'; super::super::session::g(c); super::own() }
        mod tests { use super::super::own; use super::super::super::url; }
    "##;
    let source = Source {
        path: PathBuf::new(),
        module: "message".to_owned(),
        depth: 2,
        is_tests: false,
        code: code(text),
    };
    let expected = ["amf", "chunk", "flv", "link", "session", "url", "wire"];
    assert_eq!(imports(&source).into_iter().collect::<Vec<_>>(), expected);
}
