//! Accounts at other services, over HTTP.

use async_trait::async_trait;
use bg_charm_api::wire::{self, path};
use bg_charm_api::{
    AccountRequest, AccountSummary, Accounts, AttachRequest, ClientRequest, ClientSummary, DetachRequest, DeviceAnswer,
    DeviceBegun, DeviceQuestion, LoggedOut, SignInAnswer, SignInBegun, SignInRequest, SignedIn, TokenRequest,
};
use bg_poller::RuntimeError;
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{RemoteRuntime, call};

impl RemoteRuntime {
    /// What asks a provider takes as long as that.
    async fn ask<B: Serialize + Sync, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, RuntimeError> {
        self.post(path).json(body)?.time(call::HANDLER_TIME).answer().await
    }
}

#[async_trait]
impl Accounts for RemoteRuntime {
    async fn set_client(&self, request: &ClientRequest) -> Result<ClientSummary, RuntimeError> {
        self.call(Method::PUT, path::CLIENTS).json(request)?.answer().await
    }

    async fn clients(&self) -> Result<Vec<ClientSummary>, RuntimeError> {
        let wire::Clients { clients } = self.get(path::CLIENTS).answer().await?;
        Ok(clients)
    }

    async fn accounts(&self) -> Result<Vec<AccountSummary>, RuntimeError> {
        let wire::Accounts { accounts } = self.get(path::ACCOUNTS).limit(call::LIST_BYTES).answer().await?;
        Ok(accounts)
    }

    async fn begin_sign_in(&self, request: &SignInRequest) -> Result<SignInBegun, RuntimeError> {
        self.ask(path::SIGN_IN, request).await
    }

    async fn finish_sign_in(&self, answer: &SignInAnswer) -> Result<SignedIn, RuntimeError> {
        self.ask(path::SIGN_IN_ANSWER, answer).await
    }

    async fn begin_device(&self, request: &SignInRequest) -> Result<DeviceBegun, RuntimeError> {
        self.ask(path::DEVICE, request).await
    }

    async fn poll_device(&self, question: &DeviceQuestion) -> Result<DeviceAnswer, RuntimeError> {
        self.ask(path::DEVICE_ANSWER, question).await
    }

    async fn keep_token(&self, request: &TokenRequest) -> Result<SignedIn, RuntimeError> {
        self.ask(path::TOKEN, request).await
    }

    async fn attach(&self, request: &AttachRequest) -> Result<AccountSummary, RuntimeError> {
        self.ask(path::ATTACH, request).await
    }

    async fn detach(&self, request: &DetachRequest) -> Result<Vec<String>, RuntimeError> {
        let wire::Detached { cells } = self.ask(path::DETACH, request).await?;
        Ok(cells)
    }

    async fn renew(&self, request: &AccountRequest) -> Result<AccountSummary, RuntimeError> {
        self.ask(path::RENEW, request).await
    }

    async fn logout(&self, request: &AccountRequest) -> Result<LoggedOut, RuntimeError> {
        self.ask(path::LOGOUT, request).await
    }
}
