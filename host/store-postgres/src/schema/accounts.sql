
-- Accounts at other services. Secrets are sealed. A lease says who renews an account, and until when.
CREATE TABLE oauth_clients (
    provider TEXT COLLATE "C" PRIMARY KEY,
    id TEXT NOT NULL,
    secret BYTEA,
    set_at BIGINT NOT NULL
);

CREATE TABLE oauth_accounts (
    row BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    label TEXT NOT NULL,
    client TEXT NOT NULL,
    scopes TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    renewable BOOLEAN NOT NULL,
    generation BIGINT NOT NULL,
    signed_in_at BIGINT NOT NULL,
    renewed_at BIGINT NOT NULL,
    expires_at BIGINT,
    ended_at BIGINT,
    error TEXT,
    lease_owner TEXT,
    lease_until BIGINT NOT NULL DEFAULT 0,
    UNIQUE (provider, subject)
);

CREATE TABLE oauth_links (
    charm BIGINT NOT NULL REFERENCES charms (row) ON DELETE CASCADE,
    cell TEXT COLLATE "C" NOT NULL,
    account BIGINT NOT NULL REFERENCES oauth_accounts (row) ON DELETE CASCADE,
    token_field TEXT NOT NULL,
    handle BYTEA NOT NULL UNIQUE,
    written BIGINT NOT NULL,
    PRIMARY KEY (charm, cell)
);
CREATE INDEX oauth_links_by_account ON oauth_links (account);
