//! Spaces in which anybody may write, for the operator of a server that others reach.

use bg_charm_api::{AccessLevel, SpaceSummary};

use crate::output;

/// How many are named.
const NAMED: usize = 3;

/// Which of these spaces anyone who signs requests may write to, and the command that closes the first of them; `None`
/// if there are none.
pub(crate) fn warning(spaces: &[SpaceSummary]) -> Option<(String, String)> {
    let open: Vec<&SpaceSummary> = spaces.iter().filter(|space| space.anyone >= Some(AccessLevel::Write)).collect();
    let first = open.first()?;
    let named: Vec<String> = open.iter().take(NAMED).map(|space| shown(space)).collect();
    let more = match open.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (count, lets) =
        if open.len() == 1 { ("one space".to_owned(), "lets") } else { (format!("{} spaces", open.len()), "let") };
    let found = format!("{count} {lets} anybody who signs requests write, with any key: {}{more}", named.join(", "));
    Some((found, format!("bg-wasm-host charm acl {} --revoke '*'", first.space)))
}

fn shown(space: &SpaceSummary) -> String {
    match &space.name {
        Some(name) => format!("{} ({})", space.space, output::printable(name)),
        None => space.space.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use bg_identity::space_did;

    use super::*;

    fn space(name: &str, anyone: Option<AccessLevel>) -> SpaceSummary {
        SpaceSummary { space: space_did(name), name: None, charms: 0, bytes: 0, anyone }
    }

    #[test]
    fn open_spaces_are_counted_the_first_are_named_and_one_is_closed() {
        let closed = [space("a", None), space("b", Some(AccessLevel::Read))];
        assert_eq!(warning(&closed), None);
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| space(name, Some(AccessLevel::Write)));
        let named =
            SpaceSummary { name: Some("notes\u{1b}".to_owned()), anyone: Some(AccessLevel::Owner), ..a.clone() };
        let (found, fix) = warning(&[named]).unwrap();
        assert_eq!(
            found,
            format!(
                "one space lets anybody who signs requests write, with any key: {} (notes\\u{{1b}})",
                space_did("a")
            )
        );
        assert_eq!(fix, format!("bg-wasm-host charm acl {} --revoke '*'", space_did("a")));
        let (found, _) = warning(&[closed[0].clone(), a, b, c, d]).unwrap();
        assert!(found.starts_with("4 spaces let anybody") && found.ends_with(" and 1 more"), "{found}");
    }
}
