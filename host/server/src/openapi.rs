//! The OpenAPI document of the API. It is made from the table of endpoints and from the types that handlers read and
//! write, so that it matches what they do.

mod schemas;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bg_charm_api::wire::{Problem, path};
use bg_identity::{CharmId, IntegrationId, SpaceDid};
use http::{Method, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::button;
use crate::endpoint::{Access, Answer, Endpoint, Form, Operation, Parameter};
use schemas::Schemas;

const JSON: &str = "application/json";
/// The names of the security schemes.
const SIGNATURE: &str = "messageSignature";
const TOKEN: &str = "loginToken";

const ABOUT: &str = "The charm runtime API of bg-wasm-host: registrations, charms and spaces. All bodies are JSON. \
    Errors are problem details (RFC 9457); a request that is not valid HTTP gets a status alone, such as 431 for a \
    header that is too large. Members that are not described are ignored, unless the schema forbids them. Integers are \
    written without a fraction. Times are milliseconds since 1970, and 0 is never.";

const ABOUT_SIGNATURE: &str = "An HTTP message signature (RFC 9421) in the headers `Signature-Input` and `Signature`, \
    by an Ed25519 key. It covers exactly `@method`, `@authority`, `@path`, `@query` and `content-digest`; the header \
    `Content-Digest` (RFC 9530) has the `sha-256` of the body, also of an empty one. Its parameters are `created`, \
    `expires` (at most 60 s later), `nonce` (16 to 128 characters, for one request only), `keyid` (the signer's \
    `did:key`), `alg=\"ed25519\"` and `tag=\"bg-wasm-host\"`. What the signer may do is in the access lists of spaces.";

const ABOUT_TOKEN: &str = "The operator's login token, which the server prints when it starts, unless \
    `BG_WASM_HOST_LOGIN_TOKEN` sets one. Its holder may do everything.";

/// Any document of this kind.
pub(crate) struct Document;

impl JsonSchema for Document {
    fn schema_name() -> Cow<'static, str> {
        "OpenApi".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "An OpenAPI document.",
            "properties": { "openapi": { "type": "string", "pattern": "^3\\.1\\." } },
            "required": ["openapi", "info", "paths", "components"],
        })
    }
}

/// The document of an API with these endpoints.
pub(crate) fn document(endpoints: Vec<Endpoint>) -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    for endpoint in endpoints {
        let Some(operation) = &endpoint.operation else { continue };
        let described = describe(&endpoint, operation, &mut schemas);
        let methods = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        methods[endpoint.method.as_str().to_ascii_lowercase()] = described;
    }
    json!({
        "openapi": "3.1.1",
        "info": { "title": "bg-wasm-host", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT },
        "servers": [{ "url": "/", "description": "The server that this document comes from." }],
        "paths": paths,
        "components": {
            "schemas": schemas.into_definitions(),
            "securitySchemes": {
                SIGNATURE: { "type": "apiKey", "in": "header", "name": "Signature", "description": ABOUT_SIGNATURE },
                TOKEN: { "type": "http", "scheme": "bearer", "description": ABOUT_TOKEN },
            },
        },
    })
}

fn describe(endpoint: &Endpoint, operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [tag(endpoint.path)],
        "security": security(endpoint),
        "responses": responses(endpoint, operation, schemas),
    });
    if !operation.more.is_empty() {
        described["description"] = operation.more.into();
    }
    let named = names(endpoint.path).map(|name| path_parameter(name, schemas)).collect::<Vec<_>>();
    let query = operation.query.iter().map(|parameter| query_parameter(parameter, schemas));
    let parameters: Vec<Value> = named.into_iter().chain(query.collect::<Vec<_>>()).collect();
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some(body) = &operation.body {
        described["requestBody"] = json!({
            "description": format!("At most {} KiB.", body.limit / 1024),
            "required": true,
            "content": { JSON: { "schema": schemas.read(body.schema) } },
        });
    }
    described
}

/// The tag of an operation, by which documents are sorted.
fn tag(path: &str) -> &str {
    match path.strip_prefix("/api/v1/").and_then(|rest| rest.split('/').next()) {
        Some("runs" | "integrations") => "registrations",
        Some(subject) => subject,
        None if path == path::BUTTON => "registrations",
        None => "service",
    }
}

fn security(endpoint: &Endpoint) -> Value {
    match endpoint.access {
        Access::Pages if endpoint.json => json!([{}, { SIGNATURE: [] }, { TOKEN: [] }]),
        Access::Open | Access::Pages => json!([]),
        Access::Signed => json!([{ SIGNATURE: [] }, { TOKEN: [] }]),
        Access::Operator => json!([{ TOKEN: [] }]),
    }
}

/// The parts of a path that name something.
fn names(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn path_parameter(name: &str, schemas: &mut Schemas) -> Value {
    let schema = match name {
        "space" => schemas.read(SchemaGenerator::subschema_for::<SpaceDid>),
        "charm" => schemas.read(SchemaGenerator::subschema_for::<CharmId>),
        _ => schemas.read(SchemaGenerator::subschema_for::<IntegrationId>),
    };
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}

fn query_parameter(parameter: &Parameter, schemas: &mut Schemas) -> Value {
    let Parameter { name, summary, form, schema } = parameter;
    let schema = schemas.read(*schema);
    let mut described = json!({ "name": name, "in": "query", "description": summary, "required": *form == Form::Json });
    match form {
        Form::Plain => described["schema"] = schema,
        Form::Json => described["content"] = json!({ JSON: { "schema": schema } }),
    }
    described
}

fn responses(endpoint: &Endpoint, operation: &Operation, schemas: &mut Schemas) -> Value {
    let (success, described) = match operation.answer {
        Answer::Json(schema) => {
            ("200", json!({ "description": "Done.", "content": { JSON: { "schema": schemas.written(schema) } } }))
        }
        Answer::Nothing => ("204", json!({ "description": "Done." })),
        Answer::Text(media_type) => ("200", text("Done.", media_type)),
    };
    let mut all = json!({ success: described });
    if endpoint.access == Access::Operator {
        all["303"] = json!({ "description": "To the page where the operator logs in, if a browser asks for a page." });
    }
    for status in endpoint.errors(operation) {
        all[status.as_str()] = refusal(endpoint, status, schemas);
        if status == StatusCode::TOO_MANY_REQUESTS {
            all[status.as_str()]["headers"] = json!({ "Retry-After": {
                "description": "After how many seconds to try again.",
                "required": true,
                "schema": { "type": "integer", "minimum": 1 },
            } });
        }
    }
    all
}

fn text(description: &str, media_type: &str) -> Value {
    json!({ "description": description, "content": { media_type: { "schema": { "type": "string" } } } })
}

fn refusal(endpoint: &Endpoint, status: StatusCode, schemas: &mut Schemas) -> Value {
    let description = meaning(status);
    if endpoint.access == Access::Operator && status == StatusCode::UNAUTHORIZED {
        return text(description, "text/plain; charset=utf-8");
    }
    let problem = json!({ "schema": schemas.written(SchemaGenerator::subschema_for::<Problem>) });
    if endpoint.path != path::BUTTON || endpoint.method != Method::POST {
        return json!({ "description": description, "content": { Problem::MEDIA_TYPE: problem } });
    }
    let mut content = json!({});
    // The host name is checked before anything else.
    if status != StatusCode::MISDIRECTED_REQUEST {
        content[JSON] = json!({ "schema": schemas.written(SchemaGenerator::subschema_for::<button::Refusal>) });
    }
    if [StatusCode::BAD_REQUEST, StatusCode::MISDIRECTED_REQUEST, StatusCode::TOO_MANY_REQUESTS].contains(&status) {
        content[Problem::MEDIA_TYPE] = problem;
    }
    json!({ "description": description, "content": content })
}

/// The meaning of a status.
fn meaning(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "The request is wrong; the text says why.",
        StatusCode::UNAUTHORIZED => "The signature or the token is missing or wrong.",
        StatusCode::FORBIDDEN => "The caller may not do this.",
        StatusCode::NOT_FOUND => "The charm or space does not exist, or nothing is at this path.",
        StatusCode::REQUEST_TIMEOUT => "The body did not arrive in time.",
        StatusCode::PAYLOAD_TOO_LARGE => "The body is too large.",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "The body has another Content-Type than application/json.",
        StatusCode::MISDIRECTED_REQUEST => "The request is addressed to a host name that is not this server's.",
        StatusCode::UNPROCESSABLE_ENTITY => "The charm cannot be used this way.",
        StatusCode::TOO_MANY_REQUESTS => "Too many requests; the header says how long to wait.",
        StatusCode::INSUFFICIENT_STORAGE => {
            "A quota of the space, the caller or the server is exceeded; the text says how to raise it."
        }
        StatusCode::SERVICE_UNAVAILABLE => "The charm runtime failed; the same request may work later.",
        _ => "The request was not done.",
    }
}
