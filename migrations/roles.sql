-- A role for the processes that is not the owner of the tables: it may append to the log and change nothing there, and cannot
-- switch the triggers off that refuse it to everyone. Run it as the owner after `alteraser migrate`, again after each migration.
-- Then give the role to the login of service and workers: GRANT alteraser_app TO alteraser_login;

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'alteraser_app') THEN
        CREATE ROLE alteraser_app NOLOGIN;
    END IF;
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO alteraser_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO alteraser_app;

REVOKE UPDATE, DELETE, TRUNCATE ON log_entries, log_nodes, log_checkpoints FROM alteraser_app;
REVOKE INSERT, DELETE, TRUNCATE ON log_head FROM alteraser_app;
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM alteraser_app;
