//! The description of an endpoint, for routing, documentation and tests.

use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use bg_charm_api::wire::ErrorCode;
use http::{Method, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::app::App;

/// One endpoint of the API.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its method.
    pub method: Method,
    /// Its path; `{…}` stands for a part that names something.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    /// Whether it reads a JSON body.
    pub json: bool,
    /// Its operation in the OpenAPI document; pages have none.
    pub(crate) operation: Option<Operation>,
}

/// Who may use an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Open,
    /// Anybody, also pages of every origin.
    Pages,
    /// Anyone who signs, as far as access lists allow; and the operator, with the login token.
    Signed,
    /// The operator: with the login token, or in a session.
    Operator,
}

/// Makes the schema of a type.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// An operation in the OpenAPI document, without its method, path and access.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// Its name for programs.
    pub(crate) id: &'static str,
    /// What it does.
    pub(crate) summary: &'static str,
    /// More about it.
    pub(crate) more: &'static str,
    pub(crate) query: Vec<Parameter>,
    pub(crate) body: Option<Body>,
    pub(crate) answer: Answer,
    /// Its kinds of error, apart from those of every request with that access.
    pub(crate) errors: Vec<ErrorCode>,
}

/// A query parameter.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) form: Form,
    pub(crate) schema: SchemaOf,
}

/// The form of a query parameter, and whether it is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Plain text; optional.
    Plain,
    /// JSON; required.
    Json,
}

/// A JSON body.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// The most bytes.
    pub(crate) limit: usize,
    pub(crate) schema: SchemaOf,
}

/// The response to a success.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// 200, with JSON.
    Json(SchemaOf),
    /// 204.
    Nothing,
    /// 200, with a text of a media type.
    Text(&'static str),
}

/// A row of the table: an endpoint and its handler.
pub(crate) struct Row {
    pub(crate) endpoint: Endpoint,
    pub(crate) router: MethodRouter<Arc<App>>,
}

impl Row {
    /// An endpoint that is not in the OpenAPI document.
    pub(crate) fn new<H, T>(method: Method, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).expect("the methods of the tables are those of HTTP");
        Self::routed(method, path, access, on(filter, handler))
    }

    /// Sets the handler of other methods.
    pub(crate) fn routed(method: Method, path: &'static str, access: Access, router: MethodRouter<Arc<App>>) -> Self {
        Self { endpoint: Endpoint { method, path, access, json: false, operation: None }, router }
    }

    /// Sets its operation ID and summary. Its response is empty by default.
    pub(crate) fn does(mut self, id: &'static str, summary: &'static str) -> Self {
        let (query, errors) = (Vec::new(), Vec::new());
        self.endpoint.operation =
            Some(Operation { id, summary, more: "", query, body: None, answer: Answer::Nothing, errors });
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Operation)) -> Self {
        change(self.endpoint.operation.as_mut().expect("each row says what it does before it says more"));
        self
    }

    /// Adds a description.
    pub(crate) fn more(self, more: &'static str) -> Self {
        self.with(|operation| operation.more = more)
    }

    /// Adds an optional query parameter.
    pub(crate) fn query<T: JsonSchema>(self, name: &'static str, summary: &'static str) -> Self {
        self.parameter::<T>(name, summary, Form::Plain)
    }

    /// Adds a required query parameter, written as JSON.
    pub(crate) fn json_query<T: JsonSchema>(self, name: &'static str, summary: &'static str) -> Self {
        self.parameter::<T>(name, summary, Form::Json)
    }

    fn parameter<T: JsonSchema>(self, name: &'static str, summary: &'static str, form: Form) -> Self {
        let schema = SchemaGenerator::subschema_for::<T>;
        self.with(|operation| operation.query.push(Parameter { name, summary, form, schema }))
    }

    /// Reads a JSON body of at most `limit` bytes.
    pub(crate) fn reads<T: JsonSchema>(mut self, limit: usize) -> Self {
        self.endpoint.json = true;
        self.with(|operation| operation.body = Some(Body { limit, schema: SchemaGenerator::subschema_for::<T> }))
    }

    /// Responds with JSON.
    pub(crate) fn answers<T: JsonSchema>(self) -> Self {
        self.with(|operation| operation.answer = Answer::Json(SchemaGenerator::subschema_for::<T>))
    }

    /// Responds with text.
    pub(crate) fn answers_text(self, media_type: &'static str) -> Self {
        self.with(|operation| operation.answer = Answer::Text(media_type))
    }

    /// Adds kinds of error, apart from those of every request with that access.
    pub(crate) fn fails<const N: usize>(self, errors: [ErrorCode; N]) -> Self {
        self.with(|operation| operation.errors = errors.to_vec())
    }
}

impl Endpoint {
    /// The statuses of errors, without those for other methods and for requests that are not HTTP.
    pub(crate) fn errors(&self, operation: &Operation) -> Vec<StatusCode> {
        // Any request may have a wrong host, a wrong or missing body, or exceed a rate.
        let mut all = vec![
            StatusCode::BAD_REQUEST,
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::MISDIRECTED_REQUEST,
            StatusCode::TOO_MANY_REQUESTS,
        ];
        match self.access {
            Access::Open => {}
            Access::Pages if !self.json => {}
            Access::Pages => {
                all.extend([StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::SERVICE_UNAVAILABLE]);
            }
            Access::Signed => {
                all.extend([StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE]);
            }
            Access::Operator => {
                // Nothing reads a body there.
                all.retain(|status| *status != StatusCode::REQUEST_TIMEOUT);
                all.extend([StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE]);
            }
        }
        if self.json {
            all.extend([StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNSUPPORTED_MEDIA_TYPE]);
        }
        if self.path.contains('{') {
            // A name with a slash, for example, leads elsewhere.
            all.push(StatusCode::NOT_FOUND);
        }
        all.extend(operation.errors.iter().map(|code| code.status()));
        all.sort_unstable();
        all.dedup();
        all
    }
}
