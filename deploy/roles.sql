-- Roles of the database for each kind of process, none of which can change tables (trust S50). Run it with psql, as a
-- superuser or as the owner of the tables, once the tables are there and again after each upgrade:
--
--   psql -d emsp -v ON_ERROR_STOP=1 -f deploy/roles.sql
--
-- emsp_web     reads and writes; what is issued or sealed it only adds to
-- emsp_worker  the same, but for people, their groups and their sessions, which it reads at most
-- emsp_report  reads, but no secrets
--
-- They have no password until you give them one: \password emsp_web. Tables that a later release makes are open to web and
-- worker from the start, and to report when this has run again. Running it twice changes nothing. An owner who is no
-- superuser needs CREATEROLE for the first run.
\set QUIET on
\set ON_ERROR_STOP on
BEGIN;

SELECT pg_get_userbyid(relowner) AS owner FROM pg_class WHERE oid = 'public.django_migrations'::regclass \gset

SELECT format('CREATE ROLE %I LOGIN NOINHERIT', name) FROM unnest(ARRAY['emsp_web', 'emsp_worker', 'emsp_report']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

-- How long a statement may take; the platform says the same for its own processes.
SELECT format('ALTER ROLE %I IN DATABASE %I SET %s', role, current_database(), setting) FROM (VALUES
    ('emsp_web', 'statement_timeout = ''5s'''), ('emsp_worker', 'statement_timeout = ''15min'''),
    ('emsp_report', 'statement_timeout = ''5min'''), ('emsp_report', 'default_transaction_read_only = on')
) AS wanted (role, setting) \gexec

-- Nobody but the owner makes anything, and no other role connects unless you grant it that.
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC, emsp_web, emsp_worker, emsp_report', current_database()) \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO emsp_web, emsp_worker, emsp_report', current_database()) \gexec
REVOKE ALL ON SCHEMA public FROM PUBLIC, emsp_web, emsp_worker, emsp_report;
GRANT USAGE ON SCHEMA public TO emsp_web, emsp_worker, emsp_report;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, emsp_web, emsp_worker, emsp_report;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, emsp_web, emsp_worker, emsp_report;

-- Web and worker: rows of all tables, also of those to come.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO emsp_web, emsp_worker;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO emsp_web, emsp_worker;
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO emsp_web, emsp_worker;
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO emsp_web, emsp_worker;

-- What is issued, sealed or a change stays, whoever asks; triggers say so too. Which migrations ran is the owner's to say.
REVOKE UPDATE, DELETE ON billing_invoice, billing_invoiceline, billing_taxsubtotal, billing_lostnumbers, emsp_auditday
    FROM emsp_web, emsp_worker;
REVOKE DELETE ON billing_document, charging_cdr, pghistory_context FROM emsp_web, emsp_worker;
SELECT format('REVOKE UPDATE, DELETE ON %s FROM emsp_web, emsp_worker', tgrelid::regclass) FROM pg_trigger
WHERE tgname = 'change_is_kept' \gexec
REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM emsp_web, emsp_worker;

-- Days are sealed by the worker; people log in, and are managed, in web.
REVOKE INSERT ON emsp_auditday FROM emsp_web;
REVOKE INSERT, UPDATE, DELETE ON staff_user, staff_user_groups, staff_user_user_permissions, auth_group,
    auth_group_permissions, auth_permission, django_content_type, django_admin_log, api_apikey, staff_secondfactor,
    staff_recoverycode FROM emsp_worker;
REVOKE ALL ON django_session FROM emsp_worker;

-- Report: all columns but secrets, and what could become one: digests of tokens, keys and links, sealed tokens, passwords,
-- sessions, and the messages themselves.
SELECT format('GRANT SELECT ON %s TO emsp_report', oid::regclass) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v') AND relname NOT IN (
    'django_session', 'partners_credentialstoken', 'api_apikey', 'partnerview_link', 'staff_failedlogin', 'staff_failedcode',
    'staff_recoverycode', 'partners_exchange', 'partners_partner', 'staff_secondfactor', 'staff_user', 'charging_command'
) \gexec
SELECT format('GRANT SELECT (%s) ON %s TO emsp_report', string_agg(quote_ident(attname), ', ' ORDER BY attnum), attrelid::regclass)
FROM pg_attribute JOIN (VALUES
    ('partners_partner', ARRAY['outbound_token', 'client_key']), ('staff_secondfactor', ARRAY['secret']),
    ('staff_user', ARRAY['password']), ('charging_command', ARRAY['reply_key'])
) AS secret (name, secrets) ON attrelid = to_regclass('public.' || name)
WHERE attnum > 0 AND NOT attisdropped AND attname <> ALL (secrets) GROUP BY attrelid \gexec

COMMIT;
