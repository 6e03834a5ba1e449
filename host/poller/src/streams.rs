//! The streams that a poll can be sent to.

/// The names under which a charm may offer the stream that a poll is sent to, in order of preference. These are the original's.
pub const UPDATER_STREAMS: [&str; 8] = [
    "bgUpdater",
    "integrationUpdater",
    "updater",
    "googleUpdater",
    "githubUpdater",
    "notionUpdater",
    "calendarUpdater",
    "discordUpdater",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Guests know no crate of the host, so each language has its own list.
    #[test]
    fn guests_look_for_the_same_updater_streams() {
        for file in [
            "integrations/sdk/src/charms.rs",
            "examples/integrations/javascript/integration.js",
            "examples/integrations/python/integration.py",
        ] {
            let path = format!("{}/../../{file}", env!("CARGO_MANIFEST_DIR"));
            let source = std::fs::read_to_string(path).unwrap();
            let (_, list) = source.split_once("UPDATER_STREAMS").unwrap();
            let (_, list) = list.split_once("= [").unwrap();
            let (list, _) = list.split_once(']').unwrap();
            let names: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
            assert_eq!(names, UPDATER_STREAMS, "{file}");
        }
    }
}
