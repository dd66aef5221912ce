"""What is known about functions beyond what PostgreSQL says about their volatility."""

_HARMLESS = """
random random_normal array_sample array_shuffle gen_random_uuid uuidv4 uuidv7 uuid_generate_v1 uuid_generate_v1mc
uuid_generate_v4 gen_random_bytes gen_salt clock_timestamp timeofday current_query currval lastval
pg_relation_size pg_table_size pg_indexes_size pg_total_relation_size pg_database_size pg_tablespace_size
pg_partition_tree pg_partition_ancestors pg_sequence_last_value pg_get_sequence_data
pg_blocking_pids pg_safe_snapshot_blocking_pids pg_lock_status pg_notification_queue_usage pg_prepared_xact
pg_collation_actual_version pg_database_collation_actual_version
pg_is_in_recovery pg_is_wal_replay_paused pg_get_wal_replay_pause_state pg_current_wal_lsn
pg_current_wal_insert_lsn pg_current_wal_flush_lsn pg_last_wal_receive_lsn pg_last_wal_replay_lsn
pg_last_xact_replay_timestamp pg_last_committed_xact pg_xact_commit_timestamp pg_xact_commit_timestamp_origin
pg_xact_status txid_status pg_get_multixact_members pg_control_system pg_control_checkpoint pg_control_recovery
pg_control_init pg_jit_available pg_get_wait_events pg_stat_get_io pg_stat_have_stats
pg_stat_get_xact_numscans pg_stat_get_xact_tuples_returned pg_stat_get_xact_tuples_fetched
pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_updated pg_stat_get_xact_tuples_deleted
pg_stat_get_xact_tuples_hot_updated pg_stat_get_xact_tuples_newpage_updated pg_stat_get_xact_blocks_fetched
pg_stat_get_xact_blocks_hit pg_stat_get_xact_function_calls pg_stat_get_xact_function_total_time
pg_stat_get_xact_function_self_time pg_stat_get_backend_io pg_stat_get_backend_wal pg_get_shmem_allocations
pg_get_backend_memory_contexts pg_stat_statements pg_stat_statements_info
pgstattuple pgstattuple_approx pgstatindex pgstatginindex pgstathashindex pg_relpages pg_freespace pgrowlocks
pg_sleep pg_sleep_for pg_sleep_until normal_rand pgp_sym_encrypt
pgp_sym_encrypt_bytea pgp_pub_encrypt pgp_pub_encrypt_bytea
ssl_is_used ssl_version ssl_cipher
"""

HARMLESS = frozenset(_HARMLESS.split())
"""VOLATILE, since their answer differs from call to call, but they change nothing. Believed only of functions that
come with PostgreSQL or with an extension; anybody can give these names to functions of their own. Waiting is bounded by
the statement timeout like any other work."""

IN_CHANGES = frozenset({"nextval"})
"""Refused in a statement that reads, and a part of many that change rows."""

RUNS_SQL = "runs text as SQL, which nothing here has read"
WHOLE_TABLES = "reads whole tables that it is given by name"
MAKES_VALUES = "makes a value of any type it is given, and with it runs the checks of that type"
FILES = "reaches files of the database server"
LARGE_OBJECTS = "works on large objects and files"
LOCKS = "takes or gives back a lock that others may wait for"
SESSIONS = "acts on other sessions"
SERVER = "acts on the server itself"
SETTINGS = "changes a setting"

REASONS = {
    "query_to_xml": RUNS_SQL,
    "cursor_to_xml": RUNS_SQL,
    "crosstab": RUNS_SQL,
    "connectby": RUNS_SQL,
    "xpath_table": RUNS_SQL,
    "ts_stat": RUNS_SQL,
    "table_to_xml": WHOLE_TABLES,
    "schema_to_xml": WHOLE_TABLES,
    "database_to_xml": WHOLE_TABLES,
    "array_in(": MAKES_VALUES,
    "domain_in(": MAKES_VALUES,
    "record_in(": MAKES_VALUES,
    "range_in(": MAKES_VALUES,
    "multirange_in(": MAKES_VALUES,
    "dblink": "connects to other databases",
    "postgres_fdw_": "acts on connections to other servers",
    "pg_read_": FILES,
    "pg_ls_": FILES,
    "pg_stat_file": FILES,
    "pg_file_": FILES,
    "pg_logdir_ls": FILES,
    "pg_current_logfile": FILES,
    "lo_": LARGE_OBJECTS,
    "loread": LARGE_OBJECTS,
    "lowrite": LARGE_OBJECTS,
    "pg_advisory_": LOCKS,
    "pg_try_advisory_": LOCKS,
    "pg_terminate_backend": SESSIONS,
    "pg_cancel_backend": SESSIONS,
    "pg_log_backend_": SESSIONS,
    "pg_notify": "sends a message to other sessions",
    "set_config": SETTINGS,
    "setseed": SETTINGS,
    "set_limit": SETTINGS,
    "nextval": "moves a sequence on, which no rollback undoes",
    "setval": "sets a sequence, which no rollback undoes",
    "pg_nextoid": "uses up an object id",
    "pg_reload_conf": SERVER,
    "pg_rotate_logfile": SERVER,
    "pg_promote": SERVER,
    "pg_switch_wal": SERVER,
    "pg_backup_": SERVER,
    "pg_start_backup": SERVER,
    "pg_stop_backup": SERVER,
    "pg_create_": SERVER,
    "pg_drop_": SERVER,
    "pg_copy_": SERVER,
    "pg_wal_replay_": SERVER,
    "pg_logical_": SERVER,
    "pg_replication_": SERVER,
    "pg_export_snapshot": SERVER,
    "pg_import_system_collations": SERVER,
    "pg_stat_reset": "deletes statistics",
    "binary_upgrade_": SERVER,
}
"""Why a function is not run, by its name with a bracket behind it, or how that begins. What is here is refused however
it is marked, if it comes with PostgreSQL or an extension: some of it is STABLE and still reaches beyond the data."""


def reason(name: str) -> str | None:
    """Why a function that comes with PostgreSQL or an extension is not run, as far as that is known."""
    return next((why for beginning, why in REASONS.items() if f"{name}(".startswith(beginning)), None)
