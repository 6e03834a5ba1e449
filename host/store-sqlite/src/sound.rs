//! Rows that cannot be read do not hide the others.

use super::{Failure, What};

/// What was read, if it is sound. What is damaged is logged and skipped; `of` says what it is a part of. Anything
/// else that fails is an error.
pub(crate) fn sound<T>(read: Result<T, Failure>, of: impl FnOnce() -> String) -> Result<Option<T>, Failure> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(Failure::Damaged(what)) => {
            let of = of();
            match what {
                What::Column(column) => tracing::warn!("a row of {of} is skipped: its column {column} is damaged"),
                other => tracing::warn!("a row of {of} is skipped: {other} is damaged"),
            }
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_damaged_is_passed_over() {
        let of = || "the log".to_owned();
        assert_eq!(sound(Ok(1), of).unwrap(), Some(1));
        assert_eq!(sound::<u8>(Err(Failure::Damaged(What::OfCharm("a cell".into()))), of).unwrap(), None);
        let disk = Failure::Sql(rusqlite::Error::SqliteSingleThreadedMode);
        assert!(sound::<u8>(Err(disk), of).is_err());
    }
}
