/**
 * Event triggers of a database that tables are restored into: they see its DDL as ever, but for those by which a role
 * without superuser would get the rights of a session of ours that has it.
 */
import { quoteName, type Row, type Session } from '../../postgres/session.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';

export interface QuietEventTriggers {
  /** What did not fire, and why; one line each. */
  notes: string[];
  /** Enables them again as they were, in the same transaction. */
  bringBack(): Promise<void>;
}

/** Until the end of the session's transaction, which has begun. */
export async function quietEventTriggers(session: Session): Promise<QuietEventTriggers> {
  const rows = await session.query(sqlFile('untrusted_event_triggers'));
  const change = (name: string, state: string) =>
    session.run(`ALTER EVENT TRIGGER ${quoteName(name)} ${state}`);
  for (const row of rows) await change(row.name!, 'DISABLE');
  // Our sessions begin without any (sessionStart.ts), where the role may say so.
  await session.run(
    "select pg_catalog.set_config(s.name, 'on', true) from pg_catalog.pg_settings s where s.name = 'event_triggers' and s.setting = 'off' and pg_catalog.has_parameter_privilege(s.name, 'SET')",
  );
  return {
    notes: [...Map.groupBy(rows, row => row.owner!)].map(noteOf),
    async bringBack() {
      for (const row of rows) await change(row.name!, row.state!);
    },
  };
}

function noteOf([owner, rows]: [string, Row[]]): string {
  const names = rows.map(row => quoteName(row.name!)).join(', ');
  const what = rows.length > 1 ? 'event triggers' : 'event trigger';
  return `${what} ${names} did not fire: code of ${owner} would have run with the rights of ${rows[0]!.role}`;
}
