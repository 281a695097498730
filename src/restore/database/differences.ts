import { quoteName, type Session } from '../../postgres/session.ts';
import { sqlFile } from '../../postgres/sqlFile.ts';
import type { SourceLocale } from './create.ts';
import { type DatabaseDefinition, settingName } from './definition.ts';

/**
 * What a database that is there already keeps of its own, though the snapshot says otherwise: who made it decided it, or
 * it can't be changed any more. One line each.
 */
export async function ownProperties(
  session: Session,
  definition: DatabaseDefinition,
  source: SourceLocale,
): Promise<string[]> {
  const [has] = await session.query(sqlFile('database_properties'));
  const name = session.settings.database;
  const lines: string[] = [];
  if (definition.owner !== null && has!.owner !== definition.owner) {
    lines.push(
      `database ${name} still belongs to ${has!.owner}, not to ${definition.owner}, who may then lack rights in schema public: ALTER DATABASE ${quoteName(name)} OWNER TO ${quoteName(definition.owner)}`,
    );
  }
  if (has!.encoding !== source.encoding)
    lines.push(`database ${name} keeps its encoding ${has!.encoding}, not ${source.encoding}`);
  const here = localeOf(
    has!.locale_provider!,
    has!.collate!,
    has!.ctype!,
    has!.locale ?? null,
    has!.rules ?? null,
  );
  const there = localeOf(
    source.localeProvider,
    source.collate,
    source.ctype,
    source.icuLocale,
    literal(definition.clauses.get('ICU_RULES')),
  );
  if (here !== there) lines.push(`database ${name} keeps its locale ${here}, not ${there}`);
  const tablespace = definition.tablespace ?? 'pg_default';
  if (has!.tablespace !== tablespace)
    lines.push(`database ${name} keeps its tablespace ${has!.tablespace}, not ${tablespace}`);
  const wanted = new Set(
    definition.statements
      .filter(({ assignment, role }) => assignment !== null && role === null)
      .map(({ assignment }) => settingName(assignment!).toLowerCase()),
  );
  const more = has!.settings!.split(',').filter(each => each !== '' && !wanted.has(each.toLowerCase()));
  if (more.length > 0)
    lines.push(
      `database ${name} keeps settings of its own that the snapshot does not have: ${more.join(', ')}`,
    );
  const limited = definition.statements.some(({ what }) => what.startsWith('CONNECTION LIMIT'));
  if (!limited && has!.connection_limit !== '-1')
    lines.push(`database ${name} keeps its connection limit of ${has!.connection_limit}`);
  return lines;
}

const PROVIDERS: Record<string, string> = { c: 'libc', i: 'icu', b: 'builtin' };

function localeOf(
  provider: string,
  collate: string,
  ctype: string,
  locale: string | null,
  rules: string | null,
): string {
  const names = [...new Set([...(locale === null ? [] : [locale]), collate, ctype])];
  return `${names.join('/')} (${PROVIDERS[provider] ?? provider}${rules ? `, rules ${rules}` : ''})`;
}

function literal(sql: string | undefined): string | null {
  return sql === undefined ? null : sql.replace(/^E?'|'$/g, '').replaceAll("''", "'");
}
