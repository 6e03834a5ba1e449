//! Credentials that are sent as something else than a bearer token.

use std::sync::Arc;

use bg_abuse::Attempt;
use bg_egress::{CredentialError, CredentialSource, EgressError, Owner, RequestCharm, Rule};
use bg_identity::Secret;
use bg_manifest::{Credential, CredentialPath, EffectiveGrant};

use crate::support::{Server, Setup, get, text};

const CHARM: &str = "did:key:z6Mkj5HyygpAVo2baUcx7kwTRoUbbBmk5egUQPHnV8arQ3SY/baedrei-mine";

/// Each scheme, a secret, and the header that the server gets.
const SCHEMES: [(&str, &str, &str); 6] = [
    ("bearer", "ya29.secret", "authorization: Bearer ya29.secret\r\n"),
    ("bot", "MTk4.secret", "authorization: Bot MTk4.secret\r\n"),
    ("token", "ghp_secret", "authorization: token ghp_secret\r\n"),
    ("basic", "Aladdin:open sesame", "authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"),
    ("header:authorization", "lin_api_secret", "authorization: lin_api_secret\r\n"),
    ("header:X-Api-Key", "key-secret", "x-api-key: key-secret\r\n"),
];

/// Has a secret for one charm, and another after the first was refused.
struct Secrets(&'static str, Option<&'static str>);

#[async_trait::async_trait]
impl CredentialSource for Secrets {
    async fn bearer(&self, owner: &Owner, charm: &RequestCharm, _: &CredentialPath) -> Result<Secret, CredentialError> {
        if charm.to_string() != CHARM {
            return Err(CredentialError::NotItsCharm { charm: charm.to_string(), owner: owner.clone() });
        }
        Ok(Secret::new(self.0.to_owned()))
    }

    async fn renewed(
        &self,
        _: &Owner,
        _: &RequestCharm,
        _: &CredentialPath,
        refused: &Secret,
    ) -> Result<Option<Secret>, CredentialError> {
        assert_eq!(refused.expose(), self.0);
        Ok(self.1.map(|next| Secret::new(next.to_owned())))
    }
}

fn grant(to: &str, scheme: &str) -> EffectiveGrant {
    let credential = Credential { path: "charm.auth.token".parse().unwrap(), scheme: scheme.parse().unwrap() };
    EffectiveGrant { grant: to.parse().unwrap(), credential: Some(credential) }
}

fn setup(server: &Server, scheme: &str, secret: &'static str, next: Option<&'static str>) -> Setup {
    let mut setup = Setup::new().private(&server.origin());
    setup.grants.push(grant(&format!("{}/api/", server.origin()), scheme));
    setup.credentials = Some(Arc::new(Secrets(secret, next)));
    setup
}

#[tokio::test]
async fn each_scheme_sends_its_header_to_the_granted_place_and_nowhere_else() {
    let attempt =
        Attempt::begin("authorization", "bot, token, basic and named headers: other origins, paths and charms");
    for (scheme, secret, header) in SCHEMES {
        let (server, other) = (Server::ok().await, Server::ok().await);
        let setup = setup(&server, scheme, secret, None)
            .private(&other.origin())
            .grant(&format!("{}/open/", server.origin()))
            .grant(&other.origin());
        let client = setup.client();
        let api = format!("{}/api/x", server.origin());
        text(get(&client, &api, &[("bg-charm", CHARM)]).await.unwrap()).await.unwrap();
        let seen = server.seen().remove(0);
        assert!(seen.contains(header), "{scheme}: {seen}");
        assert!(setup.records.all()[0].credential);
        assert!(!format!("{:?} {client:?}", setup.records.all()).contains("secret"), "{scheme}");
        // Another origin, another path, and a request for no charm get none; that of another charm is not sent.
        let open = format!("{}/open/x", server.origin());
        for (url, headers) in
            [(&other.origin(), vec![("bg-charm", CHARM)]), (&open, vec![("bg-charm", CHARM)]), (&api, vec![])]
        {
            text(get(&client, url, &headers).await.unwrap()).await.unwrap();
        }
        let foreign = get(&client, &api, &[("bg-charm", "did:key:z6Mk/other")]).await.unwrap_err();
        assert!(matches!(foreign, EgressError::Credential { .. }), "{foreign}");
        for seen in server.seen().iter().skip(1).chain(&other.seen()) {
            let seen = seen.to_lowercase();
            let value = header.split_once(": ").unwrap().1.trim().to_lowercase();
            assert!(!seen.contains(&value) && !seen.contains("authorization:"), "{scheme}: {seen}");
        }
        assert_eq!((server.seen().len(), other.seen().len()), (3, 1));
    }
    attempt.ended("only at its origin and path, for its charm");
}

#[tokio::test]
async fn a_redirect_with_any_scheme_is_returned_and_not_followed() {
    for (scheme, secret, _) in SCHEMES {
        let other = Server::ok().await;
        let to = format!("HTTP/1.1 307 Elsewhere\r\nlocation: {}/\r\ncontent-length: 0\r\n\r\n", other.origin());
        let server = Server::answering(to).await;
        let setup = setup(&server, scheme, secret, None).private(&other.origin()).grant(&other.origin());
        let response =
            get(&setup.client(), &format!("{}/api/", server.origin()), &[("bg-charm", CHARM)]).await.unwrap();
        assert_eq!(response.status(), 307);
        assert_eq!(other.connections(), 0, "{scheme}");
    }
}

#[tokio::test]
async fn a_guests_own_header_is_refused_where_the_host_attaches_one_in_any_spelling() {
    let attempt = Attempt::begin("authorization", "the guest's own x-api-key, also as x_api_key, and Authorization");
    let server = Server::ok().await;
    let setup = setup(&server, "header:x-api-key", "key-secret", None).grant(&format!("{}/open/", server.origin()));
    for path in ["/api/", "/open/"] {
        for own in ["x-api-key", "X-API-KEY", "x_api_key", "authorization"] {
            let sent = get(&setup.client(), &format!("{}{path}", server.origin()), &[(own, "mine")]).await;
            let denied = matches!(sent, Err(EgressError::Denied { rule: Rule::OwnAuthorization, option: None, .. }));
            assert!(denied, "{path} {own}: {sent:?}");
        }
    }
    assert_eq!(server.connections(), 0);
    // It does not concern other headers, nor other origins.
    let other = Server::ok().await;
    let setup = setup.private(&other.origin()).grant(&other.origin());
    get(&setup.client(), &format!("{}/api/", server.origin()), &[("x-other-key", "mine")]).await.unwrap();
    get(&setup.client(), &other.origin(), &[("x-api-key", "mine")]).await.unwrap();
    attempt.ended("own-authorization");
}

#[tokio::test]
async fn what_cannot_be_sent_in_a_scheme_is_not_sent_and_not_shown() {
    let attempt =
        Attempt::begin("authorization", "secrets with line ends, without a colon; headers that mean something else");
    let server = Server::ok().await;
    for (scheme, secret) in [
        ("bot", "two words"),
        ("token", "line\r\nx-injected: 1"),
        ("header:x-api-key", "line\r\nx-injected: 1"),
        ("header:x-api-key", ""),
        ("basic", "no-colon"),
        ("basic", ":no-user"),
        ("basic", "user:line\r\nend"),
        // The gate's own list of headers.
        ("header:x-forwarded-for", "1.2.3.4"),
        ("header:x-http-method-override", "DELETE"),
    ] {
        let setup = setup(&server, scheme, secret, None);
        let url = format!("{}/api/", server.origin());
        let error = get(&setup.client(), &url, &[("bg-charm", CHARM)]).await.unwrap_err();
        assert!(matches!(error, EgressError::Credential { .. }), "{scheme}: {error}");
        assert!(secret.is_empty() || !format!("{error} {error:?}").contains(secret), "{error:?}");
    }
    assert_eq!(server.connections(), 0);
    attempt.ended("Credential; nothing is sent");
}

#[tokio::test]
async fn a_refused_secret_is_replaced_in_its_own_scheme() {
    let server = Server::answering("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
    let setup = setup(&server, "basic", "user:old", Some("user:new"));
    get(&setup.client(), &format!("{}/api/", server.origin()), &[("bg-charm", CHARM)]).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen[0].contains("authorization: Basic dXNlcjpvbGQ=\r\n"), "{}", seen[0]);
    assert!(seen[1].contains("authorization: Basic dXNlcjpuZXc=\r\n"), "{}", seen[1]);
}

#[tokio::test]
async fn no_scheme_is_sent_without_tls_to_another_machine() {
    let attempt = Attempt::begin("authorization", "any scheme for an origin without TLS");
    for (scheme, secret, _) in SCHEMES {
        let mut setup = Setup::new().private("http://10.1.2.3");
        setup.grants = vec![grant("http://10.1.2.3/", scheme)];
        setup.credentials = Some(Arc::new(Secrets(secret, None)));
        let sent = get(&setup.client(), "http://10.1.2.3/", &[("bg-charm", CHARM)]).await;
        assert!(matches!(sent, Err(EgressError::Denied { rule: Rule::PlainCredential, .. })), "{scheme}: {sent:?}");
    }
    attempt.ended("plain-credential");
}
