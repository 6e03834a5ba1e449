//! `charm acl`.

use crate::args::{AclArgs, AclGrant, Common};
use crate::commands::space;
use crate::{connect, output};

/// Changes the access list of a space, if requested, and prints it.
pub(super) async fn run(common: &Common, args: &AclArgs) -> anyhow::Result<()> {
    let runtime = connect::client(common).await?;
    let space = space::resolve(&*runtime, &args.space).await?;
    for AclGrant { subject, level } in &args.grant {
        runtime.set_acl(&space, subject, Some(*level)).await?;
    }
    for subject in &args.revoke {
        runtime.set_acl(&space, subject, None).await?;
    }
    let acl = runtime.acl(&space).await?;
    let rows: Vec<Vec<String>> =
        acl.0.iter().map(|(subject, level)| vec![subject.to_string(), level.to_string()]).collect();
    output::table(&["SUBJECT", "LEVEL"], &rows)?;
    Ok(())
}
