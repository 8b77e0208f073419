//! Tells the plugin its version, commit and date.

fn main() {
    gst_plugin_version_helper::info();
}
