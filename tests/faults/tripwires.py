"""Triggers that a test adds to its database: they note, in the same transaction, what must never be committed."""

from __future__ import annotations

TRIPWIRES = (
    "CREATE TABLE broken_promises (at timestamptz DEFAULT clock_timestamp(), promise text)",
    """
    CREATE FUNCTION watch_pointer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.watermark < OLD.watermark THEN
            INSERT INTO broken_promises (promise) VALUES ('the watermark fell');
        END IF;
        IF NEW.version < OLD.version THEN
            INSERT INTO broken_promises (promise) VALUES ('the version fell');
        END IF;
        RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER watch_pointer AFTER UPDATE ON models FOR EACH ROW EXECUTE FUNCTION watch_pointer()",
    """
    CREATE FUNCTION watch_request() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP = 'DELETE' THEN
            INSERT INTO broken_promises (promise) VALUES ('a request was deleted');
        ELSIF OLD.state IN ('completed', 'cancelled') AND NEW.state <> OLD.state THEN
            INSERT INTO broken_promises (promise) VALUES (OLD.state || ' became ' || NEW.state);
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER watch_request AFTER UPDATE OR DELETE ON deletion_requests
    FOR EACH ROW EXECUTE FUNCTION watch_request()
    """,
    """
    CREATE FUNCTION watch_receipt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO broken_promises (promise) VALUES ('a receipt was changed');
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER watch_receipt AFTER UPDATE OR DELETE ON receipts FOR EACH ROW EXECUTE FUNCTION watch_receipt()",
    """
    CREATE FUNCTION watch_runs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT count(*) FROM runs WHERE model = NEW.model AND state = 'live') > 1 THEN
            INSERT INTO broken_promises (promise) VALUES ('two runs of a model were live');
        END IF;
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER watch_runs AFTER INSERT OR UPDATE ON runs FOR EACH ROW EXECUTE FUNCTION watch_runs()",
)
