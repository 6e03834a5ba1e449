//! The names of headers that a guest may not set, each with its source.
//!
//! A grant covers a scheme, a host, a path and methods. Many servers, and proxies in front of them, also read these,
//! and the identity of the client, from headers. Such headers are meant for one trusted proxy, but are believed from
//! anyone if no proxy replaces them. A guest may set none of them.

use std::fmt;

use http::HeaderName;

/// What servers read from a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sets {
    /// No part of the request: the header describes the connection, or the framing of the message.
    Connection,
    /// The method.
    Method,
    /// The path.
    Path,
    /// The host.
    Host,
    /// The scheme.
    Scheme,
    /// The client's address or route.
    Client,
    /// The client's identity.
    Identity,
}

impl fmt::Display for Sets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "it describes the connection",
            Self::Method => "servers take the request's method from it",
            Self::Path => "servers take the request's path from it",
            Self::Host => "servers take the request's host from it",
            Self::Scheme => "servers take the request's scheme from it",
            Self::Client => "servers take the client's address from it",
            Self::Identity => "servers take the client's identity from it",
        })
    }
}

/// What servers read from a header of that name, if a guest may not set it.
///
/// Names are compared as the most lenient server reads them: all characters but letters and digits are equal. CGI,
/// WSGI, PHP and Rack make `X_Forwarded_For` and `X-Forwarded-For` one variable (RFC 3875, section 4.1.18); PHP treats
/// dots the same way, and lighttpd and older versions of Apache every other character.
pub(crate) fn sets(name: &HeaderName) -> Option<Sets> {
    let folded = folded(name.as_str());
    let found = REFUSED.iter().find(|row| row.names.iter().any(|pattern| fits(pattern, &folded)))?;
    Some(found.sets)
}

/// Whether the most lenient server takes two names for one.
pub(crate) fn are_alike(a: &HeaderName, b: &HeaderName) -> bool {
    folded(a.as_str()) == folded(b.as_str())
}

fn folded(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// Names from one source. A name that ends with `*` matches every name with that prefix.
struct Row {
    sets: Sets,
    names: &'static [&'static str],
    /// For readers of this table.
    #[cfg_attr(not(test), expect(dead_code, reason = "it explains the row, and a test checks that every row has one"))]
    source: &'static str,
}

const fn row(sets: Sets, names: &'static [&'static str], source: &'static str) -> Row {
    Row { sets, names, source }
}

use Sets::{Client, Connection, Host, Identity, Method, Path, Scheme};

/// The sources are documents of the named program or company.
#[rustfmt::skip]
const REFUSED: &[Row] = &[
    row(Connection, &["connection", "te", "trailer", "transfer-encoding", "upgrade", "keep-alive"],
        "RFC 9110, sections 7.6.1 and 10.1.4; RFC 9112, appendix C.2.2"),
    // With `Expect`, the server's answer would depend on a body that waits for that answer.
    row(Connection, &["expect", "http2-*"], "RFC 9110, section 10.1.1; RFC 7540, section 3.2.1"),
    row(Connection, &["proxy-*"], "RFC 9110, section 11.7; Proxy-Client-IP and others: older load balancers, \
        ModSecurity's rules"),
    // `content_length` reads the name itself; this row covers its other spellings.
    row(Connection, &["content-length"], "RFC 9110, section 8.6"),
    row(Connection, &["via", "cdn-loop"], "RFC 9110, section 7.6.3; RFC 8586: only intermediaries add them"),
    row(Connection, &["proxy"], "httpoxy (CVE-2016-5385): CGI makes HTTP_PROXY of it, through which the server then \
        sends its own requests"),

    row(Method, &["x-http-method*", "x-method-override"],
        "Google's APIs, OData, Symfony's and Rack's method override, Spring's HiddenHttpMethodFilter, ASP.NET Core, \
        Express's method-override"),
    row(Method, &["x-http-verb", "method-override", "http-method-override"],
        "method overrides of frameworks and gateways that use their own names, among those that Express's \
        method-override can be given"),
    row(Method, &["x-original-method"], "ingress-nginx and Traefik, for the service that authorizes requests"),

    row(Path, &["x-original-url", "x-rewrite-*"], "IIS's URL Rewrite and ISAPI_Rewrite; Symfony (CVE-2018-14773), \
        Zend, Yii (Request::$secureHeaders)"),
    row(Path, &["iis-wasurlrewritten", "unencoded-url", "x-waws-unencoded-url"], "IIS; Zend's Request; Azure App \
        Service"),
    row(Path, &["x-original-uri", "x-original-path*", "x-original-prefix", "x-request-uri", "x-request-url",
            "request-uri", "raw-request-uri"],
        "ingress-nginx, Traefik, Istio, ASP.NET Core; connectors of Tomcat; Akka's and Pekko's Raw-Request-URI"),
    row(Path, &["x-real-url", "x-real-uri", "x-override-url", "x-http-path-override", "x-http-destinationurl",
            "http-url", "base-url"],
        "lists of headers that get past a 403 (Burp, PayloadsAllTheThings)"),
    row(Path, &["script-name", "path-info", "path-translated"], "gunicorn (forwarder_headers, issue 2650): WSGI's own \
        variables, as headers"),
    row(Path, &["x-script-name"], "mod_wsgi (WSGITrustedProxyHeaders), CherryPy, other WSGI middleware"),
    row(Path, &["x-accel-*", "x-sendfile*"], "Rack::Sendfile, Symfony: X-Accel-Mapping makes one path another \
        (CVE-2025-61780)"),
    row(Path, &["x-ms-original-url", "x-ms-endpoint-absolute-path"], "Azure Static Web Apps; Microsoft's Web \
        Application Proxy"),
    row(Path, &["x-cf-forwarded-url", "x-cf-proxy-*"], "Cloud Foundry's route services"),
    row(Path, &["x-invoke-path", "x-matched-path", "x-middleware-subrequest"],
        "Next.js: the page that its router has chosen; and that middleware, which authorizes, has run already \
        (CVE-2025-29927)"),
    row(Path, &["destination"], "WebDAV (RFC 4918, section 10.3): where COPY and MOVE write"),

    row(Host, &["host"], "RFC 9110, section 7.2: it comes from the URL only"),
    row(Host, &["x-host", "x-original-host", "x-host-override", "x-http-host-override", "x-backend-host",
            "http-host", "x-real-host"],
        "mod_rpaf, mod_wsgi, Azure's Application Gateway, Yii; PortSwigger's list of host header attacks"),
    row(Host, &["disguised-host", "was-default-hostname", "x-site-deployment-id"], "Azure App Service"),
    row(Host, &["l5d-*"], "Linkerd: its overrides of where a request goes, and its client"),

    // Every name with that prefix: -For, -Host, -Proto, -Port, -Prefix, -Server, -Uri, -Method, -User, -Client-Cert, …
    // and X-Forward-For.
    row(Client, &["forward*", "x-forward*", "x-original-forwarded*"],
        "RFC 7239; nginx, Apache, HAProxy, Envoy, Traefik, AWS, Azure, Google; Symfony, Laravel, Rails, Django, \
        Flask, Spring, Express, ASP.NET Core"),
    row(Scheme, &["x-scheme", "x-url-scheme", "x-original-scheme", "x-original-proto", "x-real-proto", "x-https",
            "https", "front-end-https"],
        "mod_rpaf, mod_wsgi, ingress-nginx, ASP.NET Core; Microsoft's ISA and OWA; WooCommerce's HTTP_HTTPS"),
    row(Scheme, &["x-appservice-proto", "x-arr-*", "x-proxied-*", "fastly-ssl", "cf-visitor"],
        "Azure App Service, IIS's ARR; Jetty; Fastly; Cloudflare"),
    row(Scheme, &["x-http2-*"], "Netty (HttpConversionUtil): x-http2-scheme, x-http2-path, x-http2-stream-id"),

    row(Client, &["x-real-ip", "x-real-port", "x-real-client-ip", "real-ip", "real-client-ip"], "nginx's realip \
        module, Traefik, mod_remoteip's users, chi"),
    row(Client, &["client-ip", "x-client-ip", "x-client-addr", "x-client-host", "x-client-port", "http-client-ip",
            "x-remote-*", "remote-*"],
        "Rails (RemoteIp), mod_wsgi, request-ip, Azure; Kubernetes (X-Remote-User, -Group, -Extra-); Authelia \
        (Remote-User); Akka (Remote-Address)"),
    row(Client, &["true-client-*", "x-true-*"], "Akamai, Cloudflare, chi"),
    row(Client, &["z-forwarded-for"],
        "lists of headers that get past a limit on addresses: a name for X-Forwarded-For with another first letter"),
    row(Client, &["cluster-client-ip", "x-cluster-client-ip", "x-proxyuser-ip", "x-originating-*", "originating-ip",
            "x-original-for",
            "x-original-ip", "x-original-client-ip", "x-original-remote-*", "x-source-ip", "x-ip-trail", "x-device-ip"],
        "Rackspace, Riverbed and F5; Google's services, Yii; Exchange; ASP.NET Core; request-ip"),
    row(Client, &["x-custom-ip-authorization", "x-proxy-url", "x-proxy-host", "x-proxy-ip", "x-proxy-client-ip",
            "x-from-ip", "x-coming-from",
            "coming-from", "x-host-ip", "x-gateway-host", "http-x-forward*", "http-forward*", "http-via"],
        "lists of headers that get past a limit on addresses (Caido, Burp, FuzzDB)"),
    row(Client, &["cf-connecting-*", "cf-pseudo-ipv4", "cf-ip*", "cf-ew-via", "cf-worker"],
        "Cloudflare: HTTP headers of requests to origins"),
    row(Client, &["fastly-client*", "fastly-temp-xff", "fastly-ff"], "Fastly"),
    row(Client, &["x-akamai-edgescape", "akamai-origin-hop"], "Akamai"),
    row(Client, &["cloudfront-*"], "Amazon CloudFront: CloudFront-Viewer-Address, CloudFront-Forwarded-Proto and \
        others"),
    row(Client, &["x-azure-clientip", "x-azure-socketip", "x-azure-fdid", "x-azure-requestchain*"], "Azure Front Door"),
    row(Client, &["x-ms-proxy", "x-ms-forwarded-*", "x-ms-adfs-*"], "Microsoft's AD FS and Web Application Proxy"),
    row(Client, &["x-appengine-*"], "Google App Engine: X-Appengine-User-IP, -Cron, -QueueName, -Inbound-Appid"),
    row(Client, &["incap-client-ip", "x-sucuri-*", "do-connecting-ip", "fly-client-ip", "fly-forwarded-*",
            "fly-replay-src",
            "x-nf-client-*", "x-nf-geo", "x-vercel-forwarded-*", "x-vercel-proxied-*", "x-vercel-proxy-*",
            "x-vercel-ip-*"],
        "Imperva, Sucuri, DigitalOcean, Fly.io, Netlify, Vercel"),
    row(Client, &["ali-cdn-*", "ali-real-*", "cdn-src-ip", "cdn-real-ip", "tx-client-ip", "eo-client-ip",
            "eo-connecting-ip"],
        "Alibaba, Baidu, Tencent"),
    row(Client, &["wl-proxy-*", "x-weblogic-*"], "Oracle WebLogic's plug-ins for web servers"),
    // `$WSRA` and the like, after `folded`.
    row(Client, &["-ws*"], "IBM WebSphere's and Domino's plug-ins: private headers for address, host, scheme and user"),
    row(Client, &["x-envoy-*", "x-istio-*"], "Envoy (header sanitizing): X-Envoy-Original-Path, -Internal, \
        -External-Address; Istio"),

    row(Identity, &["client-cert*", "x-client-cert*", "x-client-verify", "x-client-dn", "x-client-ssl*", "ssl-*",
            "x-ssl*", "cf-client-cert*",
            "cf-cert-*", "x-amzn-mtls-*", "x-amzn-tls-*"],
        "RFC 9440; ingress-nginx, Tomcat (SSLValve), HAProxy; Cloudflare, AWS: the client's certificate"),
    row(Identity, &["x-amzn-oidc-*"], "AWS's Application Load Balancer"),
    row(Identity, &["x-goog-authenticated-user-*", "x-goog-iap-*", "x-endpoint-api-userinfo",
            "x-apigateway-api-userinfo", "x-cloudtasks-*",
            "x-cloudscheduler*"],
        "Google's IAP, Cloud Endpoints, API Gateway, Cloud Tasks, Cloud Scheduler"),
    row(Identity, &["cf-access-jwt-*", "cf-access-authenticated-*"], "Cloudflare Access. What clients send of \
        themselves (CF-Access-Client-Id) passes"),
    row(Identity, &["x-ms-client-principal*", "x-ms-token-*", "ms-aspnetcore-*"], "Azure App Service; ASP.NET Core's \
        module for IIS"),
    row(Identity, &["x-auth-request-*", "x-authenticated-*", "x-webauth-*", "x-authentik-*", "x-pomerium-*",
            "x-vouch-*", "x-token-subject",
            "tailscale-*", "x-tailscale-*"],
        "oauth2-proxy, Kong, Grafana, authentik, Pomerium, Vouch, Tailscale (Tailscale-User-Login, -Name) and proxies \
        that query it"),
    row(Identity, &["x-scope-orgid"], "Grafana's Cortex, Loki and Mimir: the tenant, which they do not verify"),
    row(Identity, &["auth-user", "eppn"], "CGI's AUTH_USER, as a header; Shibboleth's eduPersonPrincipalName"),
    row(Identity, &["x-consumer-*", "x-credential-identifier", "x-anonymous-consumer", "x-userinfo",
            "x-jwt-assertion", "x-identity-status"],
        "Kong, APISIX, WSO2, OpenStack's keystonemiddleware"),
    row(Identity, &["oidc-*", "mellon-*", "shib-*", "sm-user*", "sm-universalid", "sm-serversession*", "iv-user*",
            "iv-groups", "iv-creds",
            "iv-remote-*", "oam-remote-*", "osso-*"],
        "mod_auth_openidc, mod_auth_mellon, Shibboleth, SiteMinder, WebSEAL, Oracle Access Manager"),
    row(Identity, &["impersonate-*"], "Kubernetes"),
    row(Identity, &["x-sandstorm-*", "x-replit-user-*"], "Sandstorm, Replit"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str) -> Option<Sets> {
        sets(&name.parse().unwrap())
    }

    #[test]
    fn names_are_compared_as_the_most_lenient_server_reads_them() {
        for (name, expected) in [
            ("X-Forwarded-For", Client),
            ("x_forwarded_for", Client),
            ("X.Forwarded.For", Client),
            ("x-Forwarded_For", Client),
            ("x!forwarded~for", Client),
            ("x_http_method_override", Method),
            ("x_original_url", Path),
            ("script_name", Path),
            ("x_host", Host),
            ("x_scheme", Scheme),
            ("remote_user", Client),
            ("transfer_encoding", Connection),
            ("content_length", Connection),
            ("keep_alive", Connection),
            ("proxy_authorization", Connection),
            ("$WSRA", Client),
            ("X-Matched-Path", Path),
            ("x_middleware_subrequest", Path),
            ("X-Scope-OrgID", Identity),
            ("Z-Forwarded-For", Client),
            ("Tailscale-User-Login", Identity),
            ("X-Tailscale-User", Identity),
            ("X-HTTP-Verb", Method),
            ("Method_Override", Method),
            ("AUTH_USER", Identity),
            ("eppn", Identity),
        ] {
            assert_eq!(said(name), Some(expected), "{name}");
        }
    }

    #[test]
    fn headers_that_ordinary_clients_send_pass() {
        for name in [
            "accept",
            "accept-language",
            "authorization",
            "cookie",
            "content-type",
            "date",
            "etag",
            "if-none-match",
            "if-modified-since",
            "link",
            "origin",
            "pragma",
            "prefer",
            "range",
            "referer",
            "user-agent",
            "http-referer",
            "x-title",
            "x-requested-with",
            "x-request-id",
            "x-api-key",
            "x-csrf-token",
            "x-auth-token",
            "x-user-id",
            "x-client-id",
            "client-id",
            "idempotency-key",
            "traceparent",
            "baggage",
            "x-github-api-version",
            "x-goog-user-project",
            "x-goog-api-key",
            "x-goog-api-client",
            "x-ms-version",
            "x-ms-date",
            "x-amz-date",
            "x-amz-security-token",
            "x-amz-content-sha256",
            "x-amzn-trace-id",
            "x-restli-method",
            "anthropic-version",
            "notion-version",
            "cf-access-client-id",
            "cf-access-client-secret",
            "fastly-key",
            "x-serverless-authorization",
            "x-vercel-protection-bypass",
            "x-akamai-acs-action",
            "depth",
            "overwrite",
            "if",
            "timeout",
            "lock-token",
            "slug",
            "sec-fetch-mode",
            "x-shopify-access-token",
            "x-original-filename",
            "x-proxymesh-country",
            "stripe-account",
            "x-http-authorization",
        ] {
            assert_eq!(said(name), None, "{name}");
        }
    }

    #[test]
    fn every_row_has_a_source_and_spells_names_in_the_compared_form() {
        for Row { names, source, .. } in REFUSED {
            assert!(!source.is_empty() && !names.is_empty());
            for name in *names {
                let start = name.strip_suffix('*').unwrap_or(name);
                assert_eq!(folded(start), start);
                assert!(start.len() >= 2, "{name} would refuse too much");
                let rows = REFUSED.iter().flat_map(|row| row.names).filter(|pattern| fits(pattern, start)).count();
                assert_eq!(rows, 1, "{name} is covered by another row as well");
            }
        }
    }
}
