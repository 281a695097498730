import path from 'node:path';
import type { Command } from 'commander';
import { addKey } from '../../operations/key/add.ts';
import { type PlannedEpoch, rotateEpoch } from '../../operations/key/epoch.ts';
import { keepKit, makeKit, writeKit } from '../../operations/key/kit.ts';
import { type ListedKeys, listKeys } from '../../operations/key/list.ts';
import type { OwnerOptions } from '../../operations/key/owner.ts';
import { removeKey } from '../../operations/key/remove.ts';
import { type RotatedKey, rotateKey } from '../../operations/key/rotate.ts';
import { repositoryOf } from '../../operations/open/open.ts';
import type { CliCommand, CliGroup, Context } from '../command.ts';
import { LEAVES } from '../leaves.ts';
import { formatTime, hidesKey, paint, table } from '../output.ts';
import { SUMMARIES } from '../summaries.ts';

/** With --json each prints what its operation returns (src/operations/key/). */
const list: CliCommand = {
  name: 'list <repository>',
  summary: 'show the slots that open a repository',
  define(command) {
    command.addHelpText(
      'after',
      '\nNeeds no key; with it, slots are checked, and the one that it opens is marked with *.',
    );
  },
  async run({ output, strategy }, [repository]) {
    const found = await listKeys(await strategy({ databases: [], repositories: [] }), repository as string);
    output.result(found, () => listLines(found));
    return undefined;
  },
};

function* listLines({ repository, id, epoch, opensWith, trouble, slots }: ListedKeys): Iterable<string> {
  yield `${repository}: id ${id}, epoch ${epoch}`;
  const rows = slots.map(each => [
    each.slot === opensWith ? '*' : '',
    each.slot,
    each.kind ?? '',
    each.epoch === null ? '' : String(each.epoch),
    each.state,
    formatTime(each.created),
    each.for,
  ]);
  yield* table([['', 'slot', 'kind', 'epoch', 'state', 'written', 'for'], ...rows]);
  if (!trouble) return;
  yield `${paint('yellow', 'not checked:')} ${trouble.message} [${trouble.code}]`;
  for (const hint of trouble.hint.split('\n')) yield `  ${hint}`;
}

const add: CliCommand = {
  name: 'add <repository>',
  summary: 'let another secret open a repository',
  leaves: LEAVES.slot,
  define(command) {
    ownerOptions(command);
    command.option('--name <slot>', 'what the slot is called');
  },
  async run({ output, strategy }, [repository], options) {
    const added = await addKey({
      strategy: await strategy({ databases: [], repositories: [repository as string] }),
      repository: repository as string,
      owner: ownerOf(options),
      name: (options.name as string | undefined) ?? null,
    });
    output.result(added, function* () {
      if (added.keyFile !== null) yield `made the key ${added.keyFile}; keep a copy away from this machine`;
      yield added.added
        ? `slot ${added.slot} (${added.kind}) opens ${added.repository} now`
        : `slot ${added.slot} is opened by that already; nothing was done`;
    });
    return undefined;
  },
};

const remove: CliCommand = {
  name: 'remove <repository> <slot>',
  summary: 'let a slot open a repository no longer',
  leaves: LEAVES.slot,
  define(command) {
    command.option('--yes', 'don’t ask');
  },
  async run({ output, strategy, ask }, [repository, slot], options) {
    const removed = await removeKey({
      strategy: await strategy({ databases: [], repositories: [repository as string] }),
      repository: repository as string,
      slot: slot as string,
      async confirm({ warnings }) {
        for (const warning of warnings)
          output.note(`${paint('yellow', 'warning:', process.stderr)} ${warning}`);
        return options.yes === true || ask(`Remove slot ${slot}?`);
      },
    });
    output.result(removed, () => [`slot ${removed.slot} opens ${removed.repository} no longer`]);
    return undefined;
  },
};

const rotate: CliCommand = {
  name: 'rotate <repository>',
  summary: 'replace the secret of a slot, or begin an epoch with a new master key',
  leaves: LEAVES.rotate,
  define(command) {
    ownerOptions(command);
    command
      .option('--slot <slot>', 'which slot; default: the one that the strategy opens the repository with')
      .option('--epoch', 'begin an epoch: what is stored from now on has another master key')
      .option(
        '--with <source...>',
        'with --epoch: secrets of other slots, as key-file=PATH, passphrase-env=NAME …',
      )
      .option(
        '--retire <slot...>',
        'with --epoch: slots that read what was stored until now, and nothing after',
      )
      .option('--yes', 'don’t ask')
      .addHelpText(
        'after',
        '\nNothing that is stored is written anew. A key file gets a new key in its place; for other secrets, say the new one.' +
          '\nCut off anywhere, the repository opens with the old or the new secret; run the command again to finish.',
      );
  },
  async run(context, [repository], options) {
    const owner = ownerOf(options);
    if (options.epoch === true) return begin(context, repository as string, options);
    const rotated = await rotateKey({
      strategy: await context.strategy({ databases: [], repositories: [repository as string] }),
      repository: repository as string,
      slot: (options.slot as string | undefined) ?? null,
      owner,
    });
    context.output.result(rotated, () => rotatedLines(rotated));
    return undefined;
  },
};

async function begin(
  context: Context,
  repository: string,
  options: Record<string, unknown>,
): Promise<undefined> {
  const { output, strategy, ask } = context;
  const begun = await rotateEpoch({
    strategy: await strategy({ databases: [], repositories: [repository] }),
    repository,
    with: (options.with as string[] | undefined) ?? [],
    retire: (options.retire as string[] | undefined) ?? [],
    async confirm(planned) {
      if (options.yes === true) return true;
      for (const line of plannedLines(planned)) output.note(line);
      return ask('Begin it?');
    },
  });
  output.result(begun, function* () {
    yield `epoch ${begun.epoch} of ${begun.repository} has begun; the next backup of each database stores everything again`;
    for (const { slot, replaces } of begun.slots) yield `  slot ${slot} took the place of ${replaces}`;
    for (const slot of begun.retired) yield `  slot ${slot} reads what was stored before`;
    yield `print a new recovery kit: tidemark key kit ${begun.repository}`;
  });
  return undefined;
}

function* plannedLines({ repository, epoch, carried, retired }: PlannedEpoch): Iterable<string> {
  yield `epoch ${epoch} of ${repository}: who can read what is stored from now on`;
  for (const each of carried) yield `  ${each.slot} (${each.kind}) ${each.for}`;
  for (const slot of retired) yield `  not: ${slot}, which reads what was stored before`;
}

function* rotatedLines({ repository, slot, removed, keyFile, next }: RotatedKey): Iterable<string> {
  if (slot === null) yield `finished the rotation that had been cut off: ${removed.join(', ')} removed`;
  else
    yield `slot ${slot} opens ${repository} now${removed.length > 0 ? `; ${removed.join(', ')} no longer` : ''}`;
  if (keyFile !== null) yield `its key is in ${keyFile}`;
  yield next === null ? `print a new recovery kit: tidemark key kit ${repository}` : `next: ${next}`;
}

const kit: CliCommand = {
  name: 'kit <repository>',
  summary: 'print the page that brings a repository back without this machine',
  define(command) {
    command
      .option('-o, --output <file>', 'write it to a file that is not there yet; - for standard output')
      .option('--with-key', 'put the key itself on the page')
      .addHelpText(
        'after',
        '\nPlain text, one A4 page. Without --with-key nothing on it is secret; with it, where standard output is no terminal' +
          '\nand no -o says otherwise, it goes into a file beside the key that only its owner can read.',
      );
  },
  async run({ output, strategy, version }, [repository], options) {
    const withKey = options.withKey === true;
    const loaded = await strategy({ databases: [], repositories: [repository as string] });
    const made = await makeKit({
      strategy: loaded,
      repository: repository as string,
      withKey,
      version,
    });
    const given = (options.output as string | undefined) ?? null;
    const toStdout = given === '-' || (given === null && !(withKey && hidesKey(output.json)));
    const { key } = repositoryOf(loaded, repository as string);
    const file = toStdout
      ? null
      : (given ?? (await keepKit(made.page, made.repository, key, loaded.environment)));
    if (given !== null && file !== null) await writeKit(made.page, file, withKey);
    const page = file !== null && withKey ? null : made.page;
    output.result({ ...made, page, file }, () => (file === null ? made.page : [`wrote ${file}; print it`]));
    return undefined;
  },
};

export const command: CliGroup = {
  name: 'key',
  summary: SUMMARIES.key,
  commands: [list, add, remove, rotate, kit],
};

function ownerOptions(command: Command): void {
  command
    .option('--key-file <path>', 'a key file; made if it is not there')
    .option('--key-env <name>', 'an environment variable that holds a key')
    .option('--passphrase-file <path>', 'a file that holds a passphrase')
    .option('--passphrase-env <name>', 'an environment variable that holds a passphrase')
    .option('--age <recipient...>', 'age recipients (age1…); anyone of them opens the slot')
    .option('--kms <key>', 'aws:arn:aws:kms:…, gcp:projects/… or azure:https://…/keys/…');
}

function ownerOf(options: Record<string, unknown>): OwnerOptions {
  const text = (name: string) => options[name] as string | undefined;
  const file = (name: string) => (text(name) === undefined ? undefined : path.resolve(text(name)!));
  return {
    keyFile: file('keyFile'),
    keyEnv: text('keyEnv'),
    passphraseFile: file('passphraseFile'),
    passphraseEnv: text('passphraseEnv'),
    age: options.age as string[] | undefined,
    kms: text('kms'),
  };
}
