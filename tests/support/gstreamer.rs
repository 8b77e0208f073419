//! GStreamer's command line tools with the plugin under test in front of all others.

use std::env;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::process::{Ended, Peer};
use super::{Context, Failure, Result, wait};

/// Names the user's own settings that would let other plugins in.
const OVERRIDES: &[&str] = &[
    "GST_PLUGIN_PATH_1_0",
    "GST_PLUGIN_SYSTEM_PATH",
    "GST_PLUGIN_SYSTEM_PATH_1_0",
    "GST_REGISTRY_1_0",
];

/// A GStreamer that finds the plugin and keeps a registry of its own.
pub struct GStreamer {
    folder: TempDir,
}

impl GStreamer {
    /// Puts the plugin that cargo built for this test where GStreamer will find it, alone, and makes sure that it
    /// does: otherwise the C plugin of the same name would take the test in its stead.
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir().context("making a plugin folder")?;
        let library = library()?;
        let plugins = folder.path().join("plugins");
        std::fs::create_dir(&plugins)?;
        symlink(&library, plugins.join("libgstrtmp.so")).context("linking to the plugin")?;
        let gstreamer = Self { folder };
        let shown = gstreamer.inspect("rtmp")?;
        let stdout = String::from_utf8_lossy(&shown.stdout);
        if !stdout.contains(&*plugins.to_string_lossy()) {
            let library = library.display();
            return Err(Failure::new(format!(
                "GStreamer does not load {library}:\n{stdout}{}",
                shown.stderr
            )));
        }
        Ok(gstreamer)
    }

    /// Without the plugin: the system's elements only, as what ours are compared with.
    pub fn without_plugin() -> Result<Self> {
        let folder = tempfile::tempdir().context("making a registry folder")?;
        Ok(Self { folder })
    }

    /// Where the plugin is.
    pub fn plugin_folder(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    /// `program` with the environment that makes GStreamer see the plugin.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        for name in OVERRIDES {
            command.env_remove(name);
        }
        command
            .env("GST_PLUGIN_PATH", self.plugin_folder())
            // Plugins that the user has installed are in there; this one may be among them.
            .env("XDG_DATA_HOME", self.folder.path())
            .env("GST_REGISTRY", self.folder.path().join("registry.bin"))
            .env("GST_DEBUG_NO_COLOR", "1");
        command
    }

    /// Runs a pipeline, quoted as one types it to a shell, in gst-launch-1.0, which sends it EOS when interrupted. In
    /// the moment before data flows that EOS can get lost: wait for something that only data causes.
    pub fn launch(&self, pipeline: &str) -> Result<Peer> {
        let mut command = self.command("sh");
        command
            .arg("-c")
            .arg(format!("exec gst-launch-1.0 --eos-on-shutdown {pipeline}"));
        Peer::spawn(&mut command, "gstreamer1.0-tools")
    }

    /// What `gst-inspect-1.0` says about `subject`, a plugin or an element.
    pub fn inspect(&self, subject: &str) -> Result<Ended> {
        let mut command = self.command("gst-inspect-1.0");
        Peer::spawn(command.arg(subject), "gstreamer1.0-tools")?.end(wait::LONG)
    }
}

/// The plugin: cargo builds it before the integration tests and puts it beside them.
pub fn library() -> Result<PathBuf> {
    let test = env::current_exe().context("finding out where this test is")?;
    let library = test.with_file_name("libgstrtmp.so");
    if !library.exists() {
        return Err(Failure::new(format!(
            "{} is missing: run `cargo build`",
            library.display()
        )));
    }
    Ok(library)
}
