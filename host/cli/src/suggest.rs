//! What was meant, where something is misspelt.

/// The known name that is most like this one, if one is.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // One slip, or one in three letters.
    let most = (name.chars().count() / 3).max(1);
    let near = known.into_iter().map(|known| (strsim::osa_distance(name, known), known));
    near.filter(|(slips, _)| *slips <= most).min_by_key(|(slips, _)| *slips).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
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
}
