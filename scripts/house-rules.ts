import { posix } from 'node:path';
import { functionLengthRule } from './function-length.ts';
import { importRules } from './import-rules.ts';
import { type Breach, lineAt, type Project, type Rule } from './rule.ts';
import { sqlNamesRule } from './sql-names.ts';

const MAX_FILE_LINES = 600;
/** Folders and files that gather whatever has no place: the name says nothing, so everything fits. */
const EMPTY_NAMES = ['utils', 'util', 'helpers', 'helper', 'common', 'lib', 'types', 'misc'];
const CODE = /\.(ts|tsx|js|mjs|css|sql|sh|html)$/;
const TEST = /\.test\.tsx?$/;
/** The rules' own files hold what they look for. */
const RULES_THEMSELVES = /^scripts\/(house-rules|import-rules|function-length|sql-names)(\.test)?\.ts$/;

export function houseRules(project: Project): Breach[] {
  const rules = [
    fileLength,
    names,
    leftovers,
    focusedTests,
    ownErrors,
    secrets,
    machinePaths,
    queryComments,
    documentLinks,
    lockFileHosts,
    functionLengthRule,
    sqlNamesRule,
    ...importRules,
  ];
  return project.files.flatMap(file => rules.flatMap(rule => rule(file, project)));
}

const fileLength: Rule = ({ path, text }) => {
  const lines = text.split('\n').length - 1;
  if (!CODE.test(path) || lines <= MAX_FILE_LINES) return [];
  const fault = `${lines} lines; at most ${MAX_FILE_LINES}`;
  return [
    { rule: 'file-length', path, line: 0, fault, instead: 'move one of its concerns to a file of its own' },
  ];
};

const names: Rule = ({ path }) => {
  const empty = path
    .split('/')
    .map(part => part.replace(/\..*$/, ''))
    .filter(name => EMPTY_NAMES.includes(name.toLowerCase()));
  return empty.map(name => ({
    rule: 'names',
    path,
    line: 0,
    fault: `"${name}" says nothing about what is in it`,
    instead: "name it after the thing it holds, in the field's words",
  }));
};

const leftovers = perLine({
  rule: 'leftovers',
  applies: path => CODE.test(path) || path.endsWith('.md'),
  pattern: /\b(TODO|FIXME|XXX|HACK)\b/,
  fault: match => `${match} left behind`,
  instead: 'do it now, or write down as an issue what is to be done and why not now',
});

const focusedTests = perLine({
  rule: 'focused-tests',
  applies: path => TEST.test(path),
  pattern: /\b(?:test|it|describe|suite|t)\.(?:only|skip|todo)\(|\bonly: true\b/,
  fault: match => `${match.replace('(', '')} leaves tests out`,
  instead: 'run it, delete it, or give the option skip with the reason that the environment has',
});

const ownErrors = perLine({
  rule: 'own-errors',
  applies: path => path.startsWith('src/') && path.endsWith('.ts') && !TEST.test(path),
  pattern: /\bthrow new (?:Error|TypeError|RangeError)\(/,
  fault: () => 'an error without a code and a hint',
  instead: 'throw a TidemarkError, or use invariant() for what can only be a defect',
});

const SECRETS = [
  /\bAKIA(?![A-Z0-9]*EXAMPLE)[A-Z0-9]{16}\b/,
  /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/,
  /\b(?:ghp|gho|ghs)_[A-Za-z0-9]{36}\b|\bgithub_pat_\w{22,}/,
  /\bxox[abprs]-[A-Za-z0-9-]{10,}/,
  /\bsk_live_[A-Za-z0-9]{16,}/,
  /\bAIza[A-Za-z0-9_-]{35}\b/,
  /\bAGE-SECRET-KEY-1[A-Z0-9]{40,}/,
  /\bnpm_[A-Za-z0-9]{36}\b/,
].map(pattern => pattern.source);

const secrets = perLine({
  rule: 'secrets',
  applies: path => !path.endsWith('package-lock.json'),
  pattern: new RegExp(SECRETS.join('|')),
  fault: match => `${match.slice(0, 8)}… looks like a real secret`,
  instead: 'revoke it; tests make their keys as they run, documents write $VARIABLE or …EXAMPLE',
});

const machinePaths = perLine({
  rule: 'machine-paths',
  applies: path => !path.endsWith('package-lock.json') && !TEST.test(path),
  pattern: /(?<![\w.~$}])\/(?:home|Users|root)\/(?!(?:you|user|me|runner|postgres)\b)[\w.-]+/,
  fault: match => `${match} exists on one machine only`,
  instead: "use a path relative to the project, ~, or the system's temporary folder",
});

const queryComments: Rule = ({ path, text }) => {
  if (!/^src\/postgres\/sql\/.*\.sql$/.test(path) || /^(--|\/\*)/.test(text)) return [];
  const fault = 'a catalog query without a comment on top';
  const instead = 'begin with -- lines: what it returns, and its parameters with their types';
  return [{ rule: 'query-comments', path, line: 1, fault, instead }];
};

const documentLinks: Rule = ({ path, text }, project) => {
  if (!path.endsWith('.md')) return [];
  const prose = text.replace(/^```[\s\S]*?^```/gm, block => block.replace(/[^\n]/g, ' '));
  const links = [...prose.matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)|^\[[^\]]+\]:\s+([^\s#]+)/gm)];
  return links.flatMap(link => {
    const to = decodeURI(link[1] ?? link[2] ?? '');
    if (/^[a-z]+:/i.test(to)) return [];
    const target = to.startsWith('/') ? to.slice(1) : posix.join(posix.dirname(path), to);
    if (project.has(posix.normalize(target).replace(/\/$/, ''))) return [];
    const instead = 'link to a file that is there, relative to the document';
    return [
      { rule: 'document-links', path, line: lineAt(text, link.index), fault: `no such file: ${to}`, instead },
    ];
  });
};

const lockFileHosts: Rule = ({ path, text }) => {
  if (!path.endsWith('package-lock.json')) return [];
  return [...text.matchAll(/"resolved": "([^"]+)"/g)].flatMap(found => {
    if (/^(https:\/\/registry\.npmjs\.org\/|[^:]*$)/.test(found[1] ?? '')) return [];
    const fault = `${found[1]} can't be reached by everyone`;
    const instead =
      'npm install --package-lock-only with npm’s own registry, or omit-lockfile-registry-resolved';
    return [{ rule: 'lock-file-hosts', path, line: lineAt(text, found.index), fault, instead }];
  });
};

function perLine(rule: {
  rule: string;
  applies(path: string): boolean;
  pattern: RegExp;
  fault(match: string): string;
  instead: string;
}): Rule {
  return ({ path, text }) => {
    if (!rule.applies(path) || RULES_THEMSELVES.test(path)) return [];
    return text.split('\n').flatMap((line, index) => {
      const match = rule.pattern.exec(line);
      if (!match) return [];
      return [{ rule: rule.rule, path, line: index + 1, fault: rule.fault(match[0]), instead: rule.instead }];
    });
  };
}
