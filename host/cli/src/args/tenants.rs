//! What others than the operator may do and store on a server.

use std::fmt;
use std::str::FromStr;

use bg_charm_runtime::Quotas;
use bg_identity::units::{Bytes, parse_bytes};
use clap::Args;

use crate::options::Options;

/// What others may store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Options)]
pub(crate) struct TenantArgs {
    /// Allow anyone who signs requests to create and write in new spaces, even on a server that others reach; on
    /// loopback, this is always allowed
    #[arg(long)]
    #[option(example = "true")]
    pub(crate) open_spaces: bool,

    /// How many charms a space may have; none of these limits applies to the operator [default: 1000]
    #[arg(long, value_name = "N")]
    pub(crate) max_charms: Option<u64>,

    /// How many spaces one key may create [default: 100]
    #[arg(long, value_name = "N")]
    pub(crate) max_spaces: Option<u64>,

    /// How many bytes the charms in all spaces of one key may use: programs, cells, logs and runs [default: 1GiB]
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_signer_bytes: Option<Size>,

    /// The size of the database at which nothing new is stored; existing charms are still polled [default: 16GiB]
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_bytes: Option<Size>,

    /// How much of the disk to keep free: below that, nothing new is stored; existing charms are still polled [default:
    /// 256MiB]
    #[arg(long, value_name = "BYTES")]
    pub(crate) min_free: Option<Size>,
}

impl TenantArgs {
    /// The quotas.
    pub(crate) fn quotas(&self) -> Quotas {
        let defaults = Quotas::default();
        Quotas {
            charms_per_space: self.max_charms.unwrap_or(defaults.charms_per_space),
            spaces_per_signer: self.max_spaces.unwrap_or(defaults.spaces_per_signer),
            bytes_per_signer: self.max_signer_bytes.map_or(defaults.bytes_per_signer, |size| size.0),
            bytes: self.max_bytes.map_or(defaults.bytes, |size| size.0),
            free_disk: self.min_free.map_or(defaults.free_disk, |size| size.0),
        }
    }
}

/// A number of bytes: `4096`, `64KiB`, `64MiB`, `1GiB`, `2TiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A saturated number is not a size.
        let size = parse_bytes(text).filter(|size| *size < u64::MAX);
        size.map(Self).ok_or_else(|| {
            format!("`{text}` is not a number of bytes: a number, or one with KiB, MiB, GiB or TiB, such as 64MiB")
        })
    }
}

/// In the form that is parsed.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Bytes(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn sizes_survive_printing_and_parsing() {
        for (text, bytes) in
            [("0", 0), ("1000", 1000), ("4KiB", 4096), ("64MiB", 64 << 20), ("3GiB", 3 << 30), ("2TiB", 2 << 40)]
        {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, text));
        }
        for text in ["", "MiB", "-1", "1.5GiB", "64MB", "1 MiB", "99999999999999999999", "99999999999TiB"] {
            let error = text.parse::<Size>().unwrap_err();
            assert!(error.contains("such as 64MiB"), "{error}");
        }
    }

    #[test]
    fn the_help_has_the_defaults() {
        let mut all = Cli::command();
        all.build();
        let serve = all.find_subcommand("serve").unwrap();
        let Quotas { charms_per_space, spaces_per_signer, bytes_per_signer, bytes, free_disk } = Quotas::default();
        for (option, default) in [
            ("max-charms", charms_per_space.to_string()),
            ("max-spaces", spaces_per_signer.to_string()),
            ("max-signer-bytes", Size(bytes_per_signer).to_string()),
            ("max-bytes", Size(bytes).to_string()),
            ("min-free", Size(free_disk).to_string()),
        ] {
            let arg = serve.get_arguments().find(|arg| arg.get_long() == Some(option)).unwrap();
            let help = arg.get_help().unwrap().to_string();
            assert!(help.ends_with(&format!("[default: {default}]")), "{option}: {help}");
        }
    }
}
