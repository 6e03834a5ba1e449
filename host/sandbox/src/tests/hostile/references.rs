//! References that are malformed, or not the integration's own.

use bg_poller::Integration;

use super::limits;
use crate::testing::{self, Guest, charm, refs, runtime_with};

#[tokio::test]
async fn each_reference_is_checked_by_itself() {
    let good = charm("a");
    let (space, id) = (good.space.to_string(), good.charm.to_string());
    let long = "z".repeat(20_000);
    let cases: &[(&str, &[(&str, &str)])] = &[
        (
            "malformed DIDs",
            &[
                ("", &id),
                ("did:key:", &id),
                ("did:key:nonsense", &id),
                ("did:web:example.com", &id),
                ("DID:KEY:z6Mk", &id),
                (&space[..space.len() - 1], &id),
                (&format!("{space}x"), &id),
                (&format!(" {space}"), &id),
                (&format!("{space}\0"), &id),
                (&format!("{space}#key"), &id),
                (&long, &id),
            ],
        ),
        (
            "malformed charm IDs",
            &[
                (&space, ""),
                (&space, "x"),
                (&space, &id[..id.len() - 1]),
                (&space, &format!("{id}x")),
                (&space, &long),
                (&space, &format!("{id}\n")),
                (&space, &format!("\u{202e}{id}")),
            ],
        ),
        (
            "path tricks",
            &[
                (&space, "../../etc/passwd"),
                (&space, &format!("../{id}")),
                (&space, &format!("{id}/..")),
                (&space, "%2e%2e"),
                (&format!("{space}/{id}"), &id),
                (&space, &format!("{space}/{id}")),
                (&space, "."),
                (&space, "~"),
            ],
        ),
        ("duplicates", &[(&space, &id), (&space, &id), (&space, &id)]),
    ];
    let sandbox = testing::sandbox(limits());
    for (what, bad) in cases {
        let attempt = bg_abuse::Attempt::begin("references", *what);
        let mut all = bad.to_vec();
        // In the middle of the others.
        all.insert(all.len() / 2, (&space, &id));
        let (items, fetch_charms) = refs(&all);
        let guest = Guest { fetch_charms, items, pages: 4, ..Guest::default() };
        let integration = testing::load_integration(&sandbox, guest.build(), &runtime_with(&[])).await.unwrap();
        assert_eq!(integration.fetch_charms().await.unwrap(), std::slice::from_ref(&good), "{what}");
        attempt.ended(format!("1 of {} served", all.len()));
    }
}
