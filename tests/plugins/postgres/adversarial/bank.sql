CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL);
INSERT INTO account SELECT n, 100 FROM generate_series(1, 10) AS n;
COMMENT ON TABLE account IS 'what everybody is after';
CREATE SEQUENCE ticket;
CREATE MATERIALIZED VIEW rich AS SELECT id FROM account WHERE balance > 50;
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (x int, y int);
CREATE TYPE purse AS (x int, y int);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE SCHEMA "Evil Schema";
CREATE TABLE "Evil Schema"."Order; --" (id int);
SELECT lo_create(4242);

-- Functions that change something and say so, in as many disguises as there are.
CREATE FUNCTION rob() RETURNS int LANGUAGE sql AS 'UPDATE account SET balance = 0 RETURNING 1';
CREATE FUNCTION "Evil Schema"."Drop It; --"() RETURNS int LANGUAGE sql AS 'DELETE FROM account RETURNING 1';
CREATE FUNCTION with_default(a int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT rob()';
CREATE FUNCTION many(VARIADIC a int[]) RETURNS int LANGUAGE sql AS 'SELECT rob()';
CREATE FUNCTION named(a int DEFAULT 1, b int DEFAULT 2) RETURNS int LANGUAGE sql AS 'SELECT rob()';
CREATE FUNCTION seize(account) RETURNS int LANGUAGE sql AS 'SELECT rob()';
CREATE FUNCTION lower(varchar) RETURNS text LANGUAGE sql AS 'SELECT rob()::text';
CREATE FUNCTION sneak() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
  PERFORM set_config('transaction_read_only', 'off', true); DELETE FROM account; RETURN 1; END $$;
CREATE FUNCTION shell(command text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', command); RETURN 1; END $$;
CREATE FUNCTION evil_add(int, int) RETURNS int LANGUAGE sql AS 'SELECT rob()';
CREATE FUNCTION evil_not(int) RETURNS int LANGUAGE sql AS 'SELECT rob()';
CREATE FUNCTION evil_cast(pair) RETURNS purse LANGUAGE sql AS 'SELECT ROW(rob(), 1)::purse';
CREATE FUNCTION evil_check(int) RETURNS boolean LANGUAGE sql AS 'SELECT rob() > 0';
CREATE PROCEDURE robbery() LANGUAGE sql AS 'UPDATE account SET balance = 0';
CREATE OPERATOR <+> (LEFTARG = int, RIGHTARG = int, FUNCTION = evil_add);
CREATE OPERATOR @!@ (RIGHTARG = int, FUNCTION = evil_not);
CREATE FUNCTION evil_like(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT rob() > 0';
CREATE OPERATOR <?> (LEFTARG = int, RIGHTARG = int, FUNCTION = evil_like);
CREATE CAST (pair AS purse) WITH FUNCTION evil_cast(pair);
CREATE DOMAIN checked AS int CHECK (evil_check(VALUE));
CREATE DOMAIN checked_twice AS checked CHECK (VALUE > 0);
CREATE TYPE holds_checked AS (a checked);
CREATE AGGREGATE evil_sum (int) (SFUNC = evil_add, STYPE = int, INITCOND = '0');
CREATE FUNCTION out_values(OUT a int, OUT b int) LANGUAGE sql AS 'SELECT rob(), 1';
CREATE FUNCTION overloaded(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION overloaded(int, int DEFAULT 2) RETURNS int LANGUAGE sql AS 'SELECT rob()';
CREATE FUNCTION any_type(anyelement) RETURNS anyelement LANGUAGE sql AS 'SELECT $1 FROM rob()';
CREATE FUNCTION "rob "() RETURNS int LANGUAGE sql AS 'SELECT rob()';
CREATE FUNCTION "röb"() RETURNS int LANGUAGE sql AS 'SELECT rob()';
CREATE FUNCTION good_state(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + $2';
CREATE AGGREGATE final_evil (int) (SFUNC = good_state, STYPE = int, INITCOND = '0', FINALFUNC = evil_not);
CREATE AGGREGATE ordered_evil (ORDER BY int) (SFUNC = evil_add, STYPE = int, INITCOND = '0');
CREATE AGGREGATE moving_evil (int) (SFUNC = good_state, STYPE = int, INITCOND = '0',
  MSFUNC = evil_add, MINVFUNC = evil_add, MSTYPE = int, MINITCOND = '0');
CREATE DOMAIN command AS text CHECK (shell(VALUE) > 0);
CREATE TYPE holds_command AS (a command);

-- Functions that change something and say that they do not; the engine has to stop them.
CREATE FUNCTION liar() RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE 'SET transaction_read_only = off'; DELETE FROM account; RETURN 1; END $$;
CREATE FUNCTION stable_shell(command text) RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN
  EXECUTE format('COPY (SELECT 1) TO PROGRAM %L', command); RETURN 1; END $$;
CREATE FUNCTION definer() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'DELETE FROM account RETURNING 1';
CREATE FUNCTION stable_definer() RETURNS int STABLE SECURITY DEFINER LANGUAGE sql AS 'SELECT rob()';
CREATE VIEW robbing_view AS SELECT rob();

-- And some that are as they should be.
CREATE FUNCTION tidy(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
CREATE FUNCTION tidier(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT balance + $1 FROM account WHERE id = $1';
CREATE FUNCTION tidy_row(account) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1.balance';
CREATE FUNCTION good_add(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + $2';
CREATE AGGREGATE good_sum (int) (SFUNC = good_add, STYPE = int, INITCOND = '0');
CREATE VIEW robust_view AS SELECT tidy(id), random() >= 0 AS yes FROM account;

-- What analysts ask about.
CREATE TABLE sale (id bigserial PRIMARY KEY, account_id int REFERENCES account, at timestamptz, amount numeric(12, 2),
  tags text[], meta jsonb, period daterange, body text, place point);
INSERT INTO sale (account_id, at, amount, tags, meta, period, body, place)
  SELECT 1 + n % 10, now() - n * interval '1 day', n * 1.5, ARRAY['a', 'b' || n], jsonb_build_object('n', n, 'k', 'v'),
    daterange(current_date, current_date + n), 'the quick fox ' || n, point(n, n) FROM generate_series(1, 50) AS n;
CREATE TYPE address AS (street text, zip text);
CREATE TABLE person (id int, a address);
INSERT INTO person VALUES (1, ROW('a street', '00100'));
CREATE TABLE part (id int, d date) PARTITION BY RANGE (d);
CREATE TABLE part_2024 PARTITION OF part FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
ANALYZE;
