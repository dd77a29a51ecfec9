"""The audit trail can only grow, and each row is tied to the one before it.

The digest covers a JSON array of the row's values, in this order and in PostgreSQL's canonical
`jsonb` text; times are written in UTC with microseconds. `audit_turn()` makes writers take turns,
each until its transaction ends, and gives up after five seconds.
"""

from django.db import migrations

_FUNCTIONS = """
CREATE FUNCTION audit_turn() RETURNS void LANGUAGE plpgsql SET lock_timeout = '5s' AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1684500836);
END $$;

CREATE FUNCTION audit_digest(event accounts_auditevent) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT encode(sha256(convert_to(jsonb_build_array(
        event.previous_hash,
        event.id,
        to_char(event.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        event.actor_id,
        event.actor_name,
        event.token_name,
        event.team_id,
        event.action,
        event.object_type,
        event.object_id,
        event.object_name,
        host(event.address),
        event.detail
    )::text, 'UTF8')), 'hex')
$$;

CREATE FUNCTION audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    head accounts_audithead%ROWTYPE;
BEGIN
    PERFORM audit_turn();
    SELECT * INTO head FROM accounts_audithead WHERE id = 1;
    NEW.id := coalesce(head.last_id, 0) + 1;
    NEW.previous_hash := coalesce(head.last_hash, '');
    NEW.hash := audit_digest(NEW);
    INSERT INTO accounts_audithead (id, last_id, last_hash) VALUES (1, NEW.id, NEW.hash)
        ON CONFLICT (id) DO UPDATE SET last_id = NEW.id, last_hash = NEW.hash;
    RETURN NEW;
END $$;

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'restrict_violation';
END $$;
"""

# Rows of before get numbers without gaps; a new number is never larger than the old one.
CHAIN_WHAT_IS_THERE = """
DO $$
DECLARE
    entry accounts_auditevent%ROWTYPE;
    last_id bigint := 0;
    last_hash text := '';
BEGIN
    FOR entry IN SELECT * FROM accounts_auditevent ORDER BY id LOOP
        UPDATE accounts_auditevent SET id = last_id + 1, previous_hash = last_hash
            WHERE id = entry.id;
        last_id := last_id + 1;
        UPDATE accounts_auditevent AS event SET hash = audit_digest(event)
            WHERE id = last_id RETURNING event.hash INTO last_hash;
    END LOOP;
    IF last_id > 0 THEN
        INSERT INTO accounts_audithead (id, last_id, last_hash) VALUES (1, last_id, last_hash);
    END IF;
END $$;
"""

_TRIGGERS = """
CREATE TRIGGER audit_chains BEFORE INSERT ON accounts_auditevent
    FOR EACH ROW EXECUTE FUNCTION audit_chain();
CREATE TRIGGER audit_keeps_rows BEFORE UPDATE OR DELETE ON accounts_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_keeps_all BEFORE TRUNCATE ON accounts_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
"""

_UNDO = """
DROP TRIGGER audit_keeps_all ON accounts_auditevent;
DROP TRIGGER audit_keeps_rows ON accounts_auditevent;
DROP TRIGGER audit_chains ON accounts_auditevent;
DROP FUNCTION audit_refuse();
DROP FUNCTION audit_chain();
DROP FUNCTION audit_digest(accounts_auditevent);
DROP FUNCTION audit_turn();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_audit_invitations")]

    operations = [
        migrations.RunSQL(_FUNCTIONS + CHAIN_WHAT_IS_THERE + _TRIGGERS, _UNDO),
    ]
