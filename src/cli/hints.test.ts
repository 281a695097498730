/** Every command line that a message, a hint, the help or a guide names exists, with its options. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import type { Command } from 'commander';
import { COMMANDS } from './commands/index.ts';
import { addDefinition, makeProgram } from './program.ts';

const TOP = path.join(import.meta.dirname, '../..');
/** What follows the program's name where it is the subject of a sentence. */
const PROSE = new Set(
  (
    'a and as at be by can carries creates decides does encrypts ends follows format gives has in is it leaves main makes may ' +
    'needs of on or proof read reads refuses runs sets stopped takes that the to uses was were which will with writes you'
  ).split(' '),
);

const commands = new Map<string, Command>();
for (const [name, load] of Object.entries(COMMANDS)) {
  const program = makeProgram('1.2.3');
  addDefinition(program, await load(), () => async () => {}, []);
  const [top] = program.commands;
  commands.set(name, top!);
  for (const each of top!.commands) commands.set(`${name} ${each.name()}`, each);
}

async function files(folder: string, ending: RegExp): Promise<string[]> {
  const found = await readdir(path.join(TOP, folder), { recursive: true, withFileTypes: true });
  return found
    .filter(each => each.isFile() && ending.test(each.name) && !/\.(test|contract)\.ts$/.test(each.name))
    .map(each => path.join(each.parentPath, each.name));
}

/** What is wrong with a command line, its words after `tidemark`. */
function fault(line: string): string | null {
  const [first, second] = line.split(/\s+/) as [string, string?];
  if (!Object.hasOwn(COMMANDS, first)) return PROSE.has(first) ? null : `there is no command ${first}`;
  const group = commands.get(first)!;
  const isWord = second !== undefined && /^[a-z]+$/.test(second);
  if (group.commands.length > 0 && isWord && !commands.has(`${first} ${second}`))
    return `there is no ${first} ${second}`;
  const command = commands.get(`${first} ${second}`) ?? group;
  for (const [option] of line.matchAll(/(?<=\s)--?[a-z][a-z-]*/g)) {
    const known = command.options.some(each => each.long === option || each.short === option);
    if (!known && option !== '--help') return `${first} has no ${option}`;
  }
  return null;
}

test('no message names a command or an option that is not there', async () => {
  let seen = 0;
  const wrong: string[] = [];
  const sources = await files('src', /\.ts$/);
  const pages = [
    ...(await files('docs', /\.md$/)),
    ...(await files('examples', /\.(md|yaml)$/)),
    path.join(TOP, 'README.md'),
  ];
  for (const file of [...sources, ...pages]) {
    const text = await readFile(file, 'utf8');
    const typed = [...text.matchAll(/\btidemark ([a-z]+(?:[ ]+(?!#|\|)[^\s'"`;,()’‘]+)*)/g)].map(
      each => each[1]!,
    );
    const built = [...text.matchAll(/\['tidemark', ([^\]]*)/g)].map(each =>
      each[1]!
        .split(/,\s*/)
        .flatMap(word => /^'(.*)'$/.exec(word)?.[1] ?? [])
        .join(' '),
    );
    for (const line of [...typed, ...built]) {
      seen++;
      const what = fault(line);
      if (what) wrong.push(`${path.relative(TOP, file)}: tidemark ${line}: ${what}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(seen > 200, `${seen}`);
});

test('it would be seen', () => {
  assert.equal(fault('verfiy --all'), 'there is no command verfiy');
  assert.equal(fault('heal --everything'), 'heal has no --everything');
  assert.equal(fault('key rotte main'), 'there is no key rotte');
  assert.equal(fault('key rotate main --epoch'), null);
});
