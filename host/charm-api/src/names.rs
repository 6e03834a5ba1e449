//! Names that nothing has: what is wrong with them, and what may have been meant.

use bg_identity::{IntegrationId, SpaceDid};

/// How many names are listed in place of one that nothing has.
const LISTED: usize = 8;

/// The known name that is most like this one, if one is.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // One slip, or one in three letters.
    let most = (name.chars().count() / 3).max(1);
    let near = known.into_iter().map(|known| (strsim::osa_distance(name, known), known));
    near.filter(|(slips, _)| *slips <= most).min_by_key(|(slips, _)| *slips).map(|(_, known)| known)
}

/// That no charm is registered for an integration; `known` are the integrations that have registrations.
pub fn no_integration<'a>(id: &IntegrationId, known: impl Iterator<Item = &'a str> + Clone) -> String {
    format!("no charm is registered for the integration {id}{}", instead(id.as_str(), known))
}

/// That no charm of a space is registered. `named` is what the caller wrote; `known` are the spaces that have
/// registrations, by their names or DIDs.
pub fn no_space<'a>(space: &SpaceDid, named: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let did = if named.starts_with("did:") { String::new() } else { format!(" ({space})") };
    format!("no charm in the space {named}{did} is registered{}", instead(named, known))
}

/// The name that may have been meant, or all existing names if they are few.
fn instead<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(name, known.clone()) {
        return format!("; did you mean {near}?");
    }
    let listed: Vec<&str> = known.clone().take(LISTED).collect();
    let more = if known.count() > LISTED { ", …" } else { "" };
    match listed.as_slice() {
        [] => "; none is registered at all".to_owned(),
        some => format!("; there are {}{more}", some.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use bg_identity::space_did;

    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognized_and_another_word_is_not() {
        let known = ["interval", "log-interval", "components", "charms", "gmail"];
        for (name, meant) in [
            ("intervall", Some("interval")),
            ("component", Some("components")),
            ("log_interval", Some("log-interval")),
            ("charm", Some("charms")),
            ("gmial", Some("gmail")),
            ("gcal", None),
            ("port", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
    }

    #[test]
    fn the_name_that_may_have_been_meant_is_suggested_and_few_names_are_listed() {
        let known = ["gcal", "gmail"];
        let integration = |text: &str, known: &[&str]| no_integration(&text.parse().unwrap(), known.iter().copied());
        let expected = "no charm is registered for the integration gmial; did you mean gmail?";
        assert_eq!(integration("gmial", &known), expected);
        let listed = "no charm is registered for the integration notes; there are gcal, gmail";
        assert_eq!(integration("notes", &known), listed);
        assert!(integration("notes", &[]).ends_with("none is registered at all"));
        let nine = ["aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh", "ii"];
        assert!(integration("notes", &nine).ends_with("there are aa, bb, cc, dd, ee, ff, gg, hh, …"));
        let wrong = no_space(&space_did("mien"), "mien", ["mine"].into_iter());
        assert!(wrong.ends_with("is registered; did you mean mine?") && wrong.contains("(did:key:"), "{wrong}");
    }
}
