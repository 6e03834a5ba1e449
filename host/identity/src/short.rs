//! Short forms of IDs for people.

/// The start and the end of a long ID; a short one unchanged.
pub fn short(id: &str) -> String {
    const START: usize = 8;
    const END: usize = 6;
    match (id.get(..START), id.len().checked_sub(END).and_then(|end| id.get(end..))) {
        (Some(start), Some(end)) if id.len() > START + END + 3 => format!("{start}…{end}"),
        _ => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shortened_in_the_middle() {
        assert_eq!([short("baedreiew6ioyvfnvp2bd"), short("fid1:short")], ["baedreie…nvp2bd", "fid1:short"]);
    }
}
