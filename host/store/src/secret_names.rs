//! What is secret by its name, whatever the author of a charm says of it.
//!
//! Below a cell of a sign-in, at any depth, a key that names a token, a key or a password is secret. The guest that
//! runs charms has the same table in `host/script/src/js/schema.js`, since what follows from a secret is found there.

/// Rises with each change of what is secret by its name. A store notes by which rules it was sealed.
pub const RULES: i64 = 1;

/// The keys, without `_`, `-` and capitals.
const SECRET_KEYS: [&str; 26] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "apisecret",
    "apitoken",
    "authorization",
    "authtoken",
    "bearertoken",
    "clientsecret",
    "codeverifier",
    "cookie",
    "devicecode",
    "idtoken",
    "jwt",
    "oauthtoken",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "refreshtoken",
    "secret",
    "secretkey",
    "secrets",
    "sessiontoken",
    "token",
    "tokens",
];

/// Whether a cell of that name is filled by a sign-in: `auth`, or a name with a word that ends so, such as
/// `googleAuth`, `auth_data` or `oauth2`, but not `authors`. What follows a `#` is the ID of an object that was put
/// into such a cell.
pub fn is_sign_in(cell: &str) -> bool {
    let name = cell.split('#').next().unwrap_or_default().as_bytes();
    name.windows(4).enumerate().any(|(at, word)| {
        let next = name.get(at + 4).copied().unwrap_or_default();
        let ends = !next.is_ascii_alphabetic() || (word[3] == b'h' && next.is_ascii_uppercase());
        word.eq_ignore_ascii_case(b"auth") && ends
    })
}

/// Whether a key says that its value is secret.
pub fn names_secret(key: &str) -> bool {
    let plain: String = key.chars().filter(|c| !matches!(c, '_' | '-')).collect();
    SECRET_KEYS.contains(&plain.to_lowercase().as_str())
}

/// Whether a key says that its value is a refresh token, which is for the service that renews tokens and for nobody
/// else.
pub fn names_refresh_token(key: &str) -> bool {
    let plain: String = key.chars().filter(|c| !matches!(c, '_' | '-')).collect();
    plain.eq_ignore_ascii_case("refreshtoken")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_has_the_same_table() {
        let guest = include_str!("../../script/src/js/schema.js");
        let (_, from) = guest.split_once("const SECRET_KEYS = ").expect("the table of the guest");
        let (table, _) = from.split_once(';').expect("its end");
        let table: Vec<String> = serde_json::from_str(&table.replace(",\n]", "\n]")).expect("a JSON array");
        assert_eq!(table, SECRET_KEYS);
    }

    #[test]
    fn cells_of_a_sign_in_are_told_by_a_word_of_their_name() {
        for name in [
            "auth",
            "Auth",
            "AUTH",
            "googleAuth",
            "google_auth",
            "overrideAuth",
            "authData",
            "oauth2",
            "OAuth",
            "auth#7",
            "my-auth",
            "GOOGLEAuth",
        ] {
            assert!(is_sign_in(name), "{name}");
        }
        for name in ["", "aut", "author", "AUTHORS", "authored", "emails", "mails#auth", "authenticated"] {
            assert!(!is_sign_in(name), "{name}");
        }
    }

    #[test]
    fn keys_are_compared_without_case_and_what_joins_their_words() {
        for key in
            ["token", "accessToken", "access_token", "ACCESS-TOKEN", "idToken", "id_token", "api_key", "clientSecret"]
        {
            assert!(names_secret(key), "{key}");
        }
        for key in ["", "expiresAt", "tokenType", "token_type", "user", "scope", "email"] {
            assert!(!names_secret(key), "{key}");
        }
        assert!(names_refresh_token("refresh_token") && !names_refresh_token("token"));
    }
}
