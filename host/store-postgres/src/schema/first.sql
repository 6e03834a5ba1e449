-- Times are Unix milliseconds, 0 for never. Texts that are sorted or looked up are compared by their bytes. A text with
-- U+0000 in it is kept with other characters in its place: see values.rs.

-- One row: what this database is.
CREATE TABLE bg_wasm_host (
    expanded BIGINT NOT NULL,
    contracted BIGINT NOT NULL,
    needed BIGINT NOT NULL,
    made_by TEXT
);
INSERT INTO bg_wasm_host VALUES (0, 0, 0, NULL);

CREATE TABLE meta (key TEXT COLLATE "C" PRIMARY KEY, number BIGINT, bytes BYTEA) WITH (fillfactor = 50);
INSERT INTO meta (key, number) VALUES ('registrations_revision', 1);

CREATE TABLE spaces (did TEXT COLLATE "C" PRIMARY KEY, created_at BIGINT NOT NULL);

CREATE TABLE acl (
    space TEXT COLLATE "C" NOT NULL REFERENCES spaces (did) ON DELETE CASCADE,
    subject TEXT COLLATE "C" NOT NULL,
    level TEXT NOT NULL CHECK (level IN ('READ', 'WRITE', 'OWNER')),
    PRIMARY KEY (space, subject)
);
CREATE INDEX acl_by_subject ON acl (subject, level);

-- What is read and changed with every poll. Its programs are in a table of their own, so that a new version of the row
-- is a small one, beside the old one. A number is not used again: a handler that still runs for a charm that was
-- deleted would write to another.
CREATE TABLE charms (
    row BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    space TEXT COLLATE "C" NOT NULL REFERENCES spaces (did) ON DELETE CASCADE,
    id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL DEFAULT 1,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    changed TEXT NOT NULL DEFAULT '[]',
    name TEXT,
    file_name TEXT NOT NULL,
    streams TEXT NOT NULL,
    secrets TEXT NOT NULL,
    -- The ID that a charm made from its present program would have, once that was updated in place.
    program TEXT,
    digest BYTEA NOT NULL,
    UNIQUE (space, id)
) WITH (fillfactor = 70);

CREATE TABLE programs (
    charm BIGINT PRIMARY KEY REFERENCES charms (row) ON DELETE CASCADE,
    source TEXT NOT NULL,
    further_sources TEXT NOT NULL,
    module TEXT NOT NULL,
    further_modules TEXT NOT NULL
);

CREATE TABLE cells (
    charm BIGINT NOT NULL REFERENCES charms (row) ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    sealed BOOLEAN NOT NULL,
    document BYTEA NOT NULL,
    PRIMARY KEY (charm, name)
) WITH (fillfactor = 80);

-- With the names of its charm, so that a page of a million is read from one index. `woken_at` is when something last
-- changed that the charm may have waited for.
CREATE TABLE registrations (
    charm BIGINT PRIMARY KEY REFERENCES charms (row) ON DELETE CASCADE,
    space TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    integration TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    woken_at BIGINT NOT NULL DEFAULT 0,
    interval_ms BIGINT NOT NULL DEFAULT 0,
    disabled_at BIGINT NOT NULL DEFAULT 0,
    disabled_by TEXT CHECK (disabled_by IN ('hand', 'failures')),
    status TEXT NOT NULL,
    last_run BIGINT NOT NULL DEFAULT 0,
    last_success BIGINT NOT NULL DEFAULT 0,
    last_kind TEXT,
    last_blame TEXT,
    last_cause TEXT,
    runs BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    total_ms BIGINT NOT NULL DEFAULT 0,
    min_ms BIGINT NOT NULL DEFAULT 0,
    max_ms BIGINT NOT NULL DEFAULT 0,
    last_ms BIGINT NOT NULL DEFAULT 0,
    failed_at BIGINT NOT NULL DEFAULT 0,
    failure TEXT
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX registrations_by_name ON registrations (space, id);
CREATE UNIQUE INDEX registrations_by_integration ON registrations (integration, space, id);

CREATE TABLE registration_changes (
    revision BIGINT PRIMARY KEY,
    space TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL
);

CREATE TABLE integration_lists (integration TEXT COLLATE "C" PRIMARY KEY, created_at BIGINT NOT NULL);

CREATE TABLE runs (
    row BIGINT GENERATED ALWAYS AS IDENTITY,
    charm BIGINT NOT NULL REFERENCES charms (row) ON DELETE CASCADE,
    started_at BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    kind TEXT NOT NULL,
    message TEXT,
    stack TEXT,
    blame TEXT,
    cause TEXT,
    PRIMARY KEY (charm, row)
);

-- What charms log, in the order in which it was kept: a row's number is its cursor. The lines of one charm are written
-- by one transaction at a time, so that who follows the log misses none.
CREATE TABLE logs (
    row BIGINT GENERATED ALWAYS AS IDENTITY,
    charm BIGINT NOT NULL REFERENCES charms (row) ON DELETE CASCADE,
    at BIGINT NOT NULL,
    level TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (charm, row)
);

CREATE TABLE poll_states (
    space TEXT COLLATE "C" NOT NULL,
    charm TEXT COLLATE "C" NOT NULL,
    next_due BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    disabled_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    owed_since BIGINT NOT NULL,
    PRIMARY KEY (space, charm)
) WITH (fillfactor = 70);

CREATE TABLE integration_state (
    integration TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    value BYTEA NOT NULL,
    PRIMARY KEY (integration, key)
);

-- Spaces with a random key, which is sealed; `owner` is the key that made them, empty for the operator.
CREATE TABLE space_names (
    owner TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    space TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES spaces (did) ON DELETE CASCADE,
    key BYTEA NOT NULL,
    PRIMARY KEY (owner, name)
);

-- Who keeps how much: the bytes of the programs, cells, logs and runs of each space's charms, and 64 for each row.
-- Triggers count, so that no statement can forget to, once for each statement. `creator` is the key that made the
-- space; none is the operator, or unknown: then nothing is charged to anybody.
CREATE TABLE holdings (
    space TEXT COLLATE "C" PRIMARY KEY REFERENCES spaces (did) ON DELETE CASCADE,
    creator TEXT COLLATE "C",
    charms BIGINT NOT NULL DEFAULT 0,
    bytes BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE INDEX holdings_by_creator ON holdings (creator) WHERE creator IS NOT NULL;

CREATE FUNCTION bg_space_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO holdings (space) SELECT did FROM new_rows;
    RETURN NULL;
END $$;
CREATE TRIGGER added AFTER INSERT ON spaces REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION bg_space_added();

CREATE FUNCTION bg_charm_size(file_name text, name text, streams text, secrets text) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT 64 + octet_length(file_name)::bigint + coalesce(octet_length(name), 0) + octet_length(streams)
        + octet_length(secrets)
$$;
CREATE FUNCTION bg_charms_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE holdings h SET charms = h.charms + c.charms, bytes = h.bytes + c.bytes FROM (
        SELECT space, count(*) AS charms, sum(bg_charm_size(file_name, name, streams, secrets)) AS bytes
        FROM new_rows GROUP BY space
    ) c WHERE h.space = c.space;
    RETURN NULL;
END $$;
CREATE TRIGGER added AFTER INSERT ON charms REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION bg_charms_added();
-- A poll changes the version alone, and that costs nothing here.
CREATE FUNCTION bg_charm_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE holdings SET bytes = bytes + bg_charm_size(NEW.file_name, NEW.name, NEW.streams, NEW.secrets)
        - bg_charm_size(OLD.file_name, OLD.name, OLD.streams, OLD.secrets) WHERE space = NEW.space;
    RETURN NULL;
END $$;
CREATE TRIGGER changed AFTER UPDATE OF file_name, name, streams, secrets ON charms
    FOR EACH ROW EXECUTE FUNCTION bg_charm_changed();
-- Before a charm goes, what belongs to it goes, so that its triggers know whose it was.
CREATE FUNCTION bg_charm_goes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM cells WHERE charm = OLD.row;
    DELETE FROM logs WHERE charm = OLD.row;
    DELETE FROM runs WHERE charm = OLD.row;
    DELETE FROM programs WHERE charm = OLD.row;
    DELETE FROM poll_states WHERE space = OLD.space AND charm = OLD.id;
    UPDATE holdings SET charms = charms - 1,
        bytes = bytes - bg_charm_size(OLD.file_name, OLD.name, OLD.streams, OLD.secrets) WHERE space = OLD.space;
    RETURN OLD;
END $$;
CREATE TRIGGER goes BEFORE DELETE ON charms FOR EACH ROW EXECUTE FUNCTION bg_charm_goes();

-- The other tables count in the same way, by the charm's space: once for each statement.
DO $$
DECLARE
    counted TEXT[];
BEGIN
    FOREACH counted SLICE 1 IN ARRAY ARRAY[
        ['programs', 'octet_length(r.source)::bigint + octet_length(r.module) + octet_length(r.further_sources)'
            ' + octet_length(r.further_modules)'],
        ['cells', '64 + octet_length(r.name)::bigint + octet_length(r.document)'],
        ['logs', '64 + octet_length(r.text)::bigint'],
        ['runs', '64 + coalesce(octet_length(r.message), 0)::bigint + coalesce(octet_length(r.stack), 0)']
    ] LOOP
        EXECUTE format($f$
            CREATE FUNCTION bg_%1$s_added() RETURNS trigger LANGUAGE plpgsql AS $t$
            BEGIN
                UPDATE holdings h SET bytes = h.bytes + s.bytes FROM (
                    SELECT c.space, sum(%2$s) AS bytes FROM new_rows r JOIN charms c ON c.row = r.charm GROUP BY c.space
                ) s WHERE h.space = s.space;
                RETURN NULL;
            END $t$;
            CREATE FUNCTION bg_%1$s_gone() RETURNS trigger LANGUAGE plpgsql AS $t$
            BEGIN
                UPDATE holdings h SET bytes = h.bytes - s.bytes FROM (
                    SELECT c.space, sum(%2$s) AS bytes FROM old_rows r JOIN charms c ON c.row = r.charm GROUP BY c.space
                ) s WHERE h.space = s.space;
                RETURN NULL;
            END $t$;
            CREATE FUNCTION bg_%1$s_changed() RETURNS trigger LANGUAGE plpgsql AS $t$
            BEGIN
                UPDATE holdings h SET bytes = h.bytes + s.bytes FROM (
                    SELECT c.space, sum(d.bytes) AS bytes FROM (
                        SELECT r.charm, %2$s AS bytes FROM new_rows r UNION ALL SELECT r.charm, -(%2$s) FROM old_rows r
                    ) d JOIN charms c ON c.row = d.charm GROUP BY c.space
                ) s WHERE h.space = s.space AND s.bytes <> 0;
                RETURN NULL;
            END $t$;
            CREATE TRIGGER added AFTER INSERT ON %1$s REFERENCING NEW TABLE AS new_rows
                FOR EACH STATEMENT EXECUTE FUNCTION bg_%1$s_added();
            CREATE TRIGGER gone AFTER DELETE ON %1$s REFERENCING OLD TABLE AS old_rows
                FOR EACH STATEMENT EXECUTE FUNCTION bg_%1$s_gone();
            CREATE TRIGGER changed AFTER UPDATE ON %1$s REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows
                FOR EACH STATEMENT EXECUTE FUNCTION bg_%1$s_changed();
        $f$, counted[1], counted[2]);
    END LOOP;
END $$;

-- Milliseconds, by the clock of the database: the hosts' may differ. It changes within a transaction, so that what
-- waited for another has a later time than that.
CREATE FUNCTION bg_now() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;
