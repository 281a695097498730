/** The 3-2-1 rule: three copies, the database itself being one, on two kinds of storage, one of them off-site. Pure. */
import { formatDuration } from '../strategy/duration.ts';
import type { Site } from './site.ts';

export interface CopiesFacts {
  database: string;
  /** Where the database itself is. */
  at: Site;
  rpoMs: number | null;
  /** Its plans. */
  plans: PlanFacts[];
  /** Every repository of the strategy. */
  repositories: RepositoryFacts[];
}

export interface PlanFacts {
  name: string;
  /** The longest time between two runs; null: only when asked for. */
  intervalMs: number | null;
  /** It captures everything. */
  whole: boolean;
  store: readonly string[];
}

export interface RepositoryFacts extends Site {
  name: string;
  /** What the strategy says; null: told by the owner. */
  offsite: boolean | null;
}

export interface Judgement {
  check: string;
  level: 'ok' | 'warning';
  message: string;
  /** What to do; empty where there is nothing to do. */
  hint: string;
}

/** Whether a database's plans keep the rule, what is missing, and how old the copies off-site may be. */
export function judgeCopies(facts: CopiesFacts): Judgement[] {
  const plans = facts.plans.some(plan => plan.whole) ? facts.plans.filter(plan => plan.whole) : facts.plans;
  if (plans.length === 0) return [];
  const used = facts.repositories.filter(each => plans.some(plan => plan.store.includes(each.name)));
  const offsite = used.filter(each => isOffsite(each, facts.at));
  return [
    plansFound(plans, used),
    ruleFound(facts, plans, used, offsite),
    ...ageFound(facts, plans, offsite),
  ];
}

function isOffsite({ offsite, owner }: RepositoryFacts, at: Site): boolean {
  return offsite ?? owner !== at.owner;
}

function plansFound(plans: readonly PlanFacts[], used: readonly RepositoryFacts[]): Judgement {
  const said = plans.map(({ name, store }) => {
    const known = used.filter(each => store.includes(each.name)).map(each => each.name);
    return `${name} stores in ${known.join(', ')}: ${counted(known.length + 1, 'copy', 'copies')} with the database itself`;
  });
  return { check: 'copies', level: 'ok', message: said.join('; '), hint: '' };
}

function ruleFound(
  facts: CopiesFacts,
  plans: readonly PlanFacts[],
  used: readonly RepositoryFacts[],
  offsite: readonly RepositoryFacts[],
): Judgement {
  const copies = used.length + 1;
  const media = [...new Set([facts.at.medium, ...used.map(each => each.medium)])];
  const message = [
    `${counted(copies, 'copy', 'copies')} (the database, ${used.map(each => each.name).join(', ')})`,
    `on ${counted(media.length, 'kind', 'kinds')} of storage (${media.join(', ')})`,
    offsite.length > 0 ? `off-site in ${offsite.map(each => each.name).join(', ')}` : 'none off-site',
  ].join('; ');
  const lacks = [
    ...(copies < 3 ? ['a third copy'] : []),
    ...(media.length < 2 ? ['a second kind of storage'] : []),
    ...(offsite.length === 0 ? ['a copy off-site'] : []),
  ];
  if (lacks.length === 0) return { check: '3-2-1', level: 'ok', message, hint: '' };
  const hint = `it lacks ${lacks.join(' and ')}: ${remedy(facts, plans, used, offsite)}`;
  return { check: '3-2-1', level: 'warning', message, hint };
}

/** What brings it nearer with the least to do. */
function remedy(
  { repositories, at }: CopiesFacts,
  plans: readonly PlanFacts[],
  used: readonly RepositoryFacts[],
  offsite: readonly RepositoryFacts[],
): string {
  const plan = mostOften(plans);
  const far = offsite.length === 0;
  const unused = repositories.filter(each => !used.includes(each));
  const there = unused.find(each => (far ? isOffsite(each, at) : each.medium !== at.medium)) ?? null;
  if (there)
    return `let plan ${plan.name} store in ${there.name} too: store: [${[...plan.store, there.name].join(', ')}]`;
  const where = far
    ? 'elsewhere, such as a bucket or an SFTP server of another site or provider,'
    : 'on another disk, server or service';
  const unless = far ? `, or say offsite: true of one that lies elsewhere already` : '';
  return `add a repository ${where} and name it under store: of plan ${plan.name}${unless}`;
}

/** Copies off-site that are made more seldom than the objectives ask for. */
function ageFound(
  { rpoMs }: CopiesFacts,
  plans: readonly PlanFacts[],
  offsite: readonly RepositoryFacts[],
): Judgement[] {
  if (rpoMs === null || offsite.length === 0) return [];
  const names = offsite.map(each => each.name);
  const storing = plans.filter(plan => plan.store.some(name => names.includes(name)));
  const best = mostOften(storing);
  if (best.intervalMs !== null && best.intervalMs <= rpoMs) return [];
  const age =
    best.intervalMs === null
      ? `are made only when somebody runs plan ${best.name}`
      : `can be ${formatDuration(best.intervalMs)} old (plan ${best.name})`;
  const plan = mostOften(plans);
  const others = plan === best ? 'run it more often' : `let plan ${plan.name} store in ${names[0]} too`;
  return [
    {
      check: 'off-site',
      level: 'warning',
      message: `the copies off-site, in ${names.join(', ')}, ${age}; the RPO is ${formatDuration(rpoMs)}`,
      hint: `if the database and what is near it are lost together, that is what is left: ${others}`,
    },
  ];
}

function mostOften(plans: readonly PlanFacts[]): PlanFacts {
  const interval = (plan: PlanFacts) => plan.intervalMs ?? Number.POSITIVE_INFINITY;
  return plans.reduce((best, plan) => (interval(plan) < interval(best) ? plan : best));
}

function counted(count: number, one: string, more: string): string {
  return `${count} ${count === 1 ? one : more}`;
}
