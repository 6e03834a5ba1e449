
-- Which charms are due, and which host has which space. What is claimed is a space: who has it runs all its due charms,
-- so that the limit of polls of a space holds across hosts without anybody counting.

-- One row for each space that has enabled registrations. `vt` is when its first charm is due or, while it is leased, when
-- the lease ends: so what a dead host had is free by itself. It is never set to what is past.
CREATE TABLE turns (
    space TEXT COLLATE "C" PRIMARY KEY,
    vt BIGINT NOT NULL,
    lease BIGINT NOT NULL DEFAULT 0,
    host TEXT
) WITH (fillfactor = 50);
CREATE INDEX turns_by_time ON turns (vt);
CREATE SEQUENCE leases;

-- One narrow row for each enabled registration; the wide row with its status and counters is updated in place.
CREATE TABLE due (
    charm BIGINT PRIMARY KEY REFERENCES charms (row) ON DELETE CASCADE,
    space TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    failures BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE INDEX due_by_space ON due (space, at);

-- The time of the transaction: it is one value, so that an index is used where it is compared.
CREATE FUNCTION bg_began() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT (extract(epoch FROM now()) * 1000)::bigint
$$;

-- Every change of a registration that polls do not make has its charm due now, or not at all, in the same transaction,
-- whichever statement makes it.
CREATE FUNCTION bg_registration_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM due WHERE charm = OLD.charm;
        RETURN NULL;
    END IF;
    IF NEW.disabled_at <> 0 THEN
        DELETE FROM due WHERE charm = NEW.charm;
        RETURN NULL;
    END IF;
    INSERT INTO due (charm, space, at) VALUES (NEW.charm, NEW.space, bg_now())
        ON CONFLICT (charm) DO UPDATE SET at = least(due.at, excluded.at);
    INSERT INTO turns (space, vt) VALUES (NEW.space, bg_now())
        ON CONFLICT (space) DO UPDATE SET vt = excluded.vt WHERE turns.lease = 0 AND turns.vt > excluded.vt;
    RETURN NULL;
END $$;
CREATE TRIGGER changed AFTER INSERT OR DELETE OR UPDATE OF updated_at, woken_at, disabled_at, interval_ms, integration
    ON registrations FOR EACH ROW EXECUTE FUNCTION bg_registration_changed();
