import { builtinModules } from 'node:module';
import { posix } from 'node:path';
import ts from 'typescript';
import { type Breach, lineAt, type Rule, type SourceFile } from './rule.ts';

interface Layer {
  /** Folders of src/ that it may import from, besides itself. */
  from: string[];
  /** Why it may import no others. */
  because: string;
}

/** Who may import whom: one way only, so that what a layer does not know can't break it. */
const LAYERS: Record<string, Layer> = {
  base: { from: [], because: 'base knows no product nouns, and everything stands on it' },
  strategy: {
    from: ['storage', 'base'],
    because:
      'what is wanted is read without touching a server; of storages it knows how they are written down',
  },
  storage: { from: ['base'], because: 'a storage keeps bytes; it knows neither repositories nor PostgreSQL' },
  repository: {
    from: ['storage', 'base'],
    because: 'a repository keeps part streams; were it to know PostgreSQL, its format would depend on it',
  },
  postgres: { from: ['base'], because: 'postgres/ talks to servers and knows no backups' },
  providers: { from: ['postgres', 'base'], because: 'a provider is facts about a server, whoever asks' },
  capture: {
    from: ['providers', 'postgres', 'base'],
    because:
      'a capture gives parts away and does not know where they go; operations/ wires it to a repository',
  },
  restore: {
    from: ['capture', 'repository', 'providers', 'postgres', 'base'],
    because: 'a restore reads what a capture described, from a repository; which one, operations/ decides',
  },
  proof: {
    from: ['restore', 'capture', 'repository', 'providers', 'postgres', 'base'],
    because: 'a proof looks at what others made and makes nothing itself',
  },
  watch: { from: ['strategy', 'base'], because: 'health is computed from facts that operations gather' },
  operations: {
    from: [
      'strategy',
      'watch',
      'proof',
      'restore',
      'capture',
      'repository',
      'storage',
      'providers',
      'postgres',
      'base',
    ],
    because: 'the command line, the API and the daemon share the operations, so these know none of them',
  },
  daemon: {
    from: ['operations', 'watch', 'strategy', 'base'],
    because: 'the daemon decides when; operations do the work',
  },
  api: {
    from: ['operations', 'watch', 'strategy', 'base'],
    because: 'a route calls an operation and shows its result',
  },
  cli: {
    from: [
      'operations',
      'daemon',
      'api',
      'strategy',
      'watch',
      'proof',
      'restore',
      'providers',
      'postgres',
      'base',
    ],
    because: 'a command calls an operation, which alone knows where snapshots lie and how they are made',
  },
};

/** Packages that only one folder may import, with the reason. */
const PACKAGE_HOMES: Record<string, { home: string; because: string }> = {
  pg: { home: 'src/postgres/', because: 'sessions get their settings in one place' },
  commander: { home: 'src/cli/', because: 'only the command line parses arguments' },
};

const CODE = /\.tsx?$/;
const TEST = /\.test\.tsx?$/;

interface Import {
  specifier: string;
  line: number;
}

/** Relative imports lead to files that are there, by their whole name. */
const existing: Rule = (file, project) =>
  importsOf(file).flatMap(({ specifier, line }) => {
    if (!specifier.startsWith('.')) return [];
    const breach = { rule: 'imports-exist', path: file.path, line };
    if (!/\.(ts|tsx|json)$/.test(specifier)) {
      const fault = `${specifier} has no ending`;
      return [{ ...breach, fault, instead: 'end it in .ts: Node runs the sources as they are' }];
    }
    if (project.has(target(file, specifier))) return [];
    return [{ ...breach, fault: `no such file: ${specifier}`, instead: 'import a file that is there' }];
  });

/** Layers import in the directions of the table. Tests may use whatever is real. */
const directions: Rule = file => {
  const layer = layerOf(file.path);
  if (layer === undefined || TEST.test(file.path)) return [];
  return importsOf(file).flatMap(({ specifier, line }): Breach[] => {
    if (!specifier.startsWith('.')) return [];
    const to = target(file, specifier);
    const breach = { rule: 'import-directions', path: file.path, line };
    if (!to.startsWith('src/')) {
      const fault = `src/ imports ${to}`;
      return [{ ...breach, fault, instead: 'the product stands alone: move what it needs into src/' }];
    }
    const other = layerOf(to);
    if (other === layer) return [];
    const allowed = LAYERS[layer];
    if (!allowed) {
      const instead = `add it to the table in scripts/import-rules.ts, with its reason`;
      return [{ ...breach, fault: `src/${layer}/ is not a known layer`, instead }];
    }
    if (other !== undefined && allowed.from.includes(other)) return [];
    const fault = `${layer} may not import ${other ?? to}: ${allowed.because}`;
    const instead = `pass it in from above, or move it to one of: ${allowed.from.join(', ') || 'nowhere else'}`;
    return [{ ...breach, fault, instead }];
  });
};

/** Packages are declared, so that an installation has them, and stay in the folder they belong to. */
const packages: Rule = (file, project) =>
  importsOf(file).flatMap(({ specifier, line }): Breach[] => {
    if (specifier.startsWith('.') || specifier.startsWith('node:')) return [];
    const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
    const breach = { rule: 'packages', path: file.path, line };
    if (builtinModules.includes(name)) {
      return [{ ...breach, fault: `${name} without its prefix`, instead: `import node:${specifier}` }];
    }
    const product = file.path.startsWith('src/') && !TEST.test(file.path);
    const known = product ? project.dependencies : [...project.dependencies, ...project.devDependencies];
    if (!known.includes(name)) {
      const instead = product
        ? 'add it to dependencies in package.json'
        : 'add it to devDependencies in package.json';
      return [{ ...breach, fault: `${name} is not declared`, instead }];
    }
    const place = PACKAGE_HOMES[name];
    if (!product || !place || file.path.startsWith(place.home)) return [];
    return [
      {
        ...breach,
        fault: `${name} outside ${place.home}: ${place.because}`,
        instead: `use what ${place.home} exports`,
      },
    ];
  });

export const importRules: Rule[] = [existing, directions, packages];

/** The folder of src/ a path is in; undefined for src/main.ts, which puts everything together, and outside src/. */
function layerOf(path: string): string | undefined {
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

function target(file: SourceFile, specifier: string): string {
  return posix.join(posix.dirname(file.path), specifier);
}

function importsOf({ path, text }: SourceFile): Import[] {
  if (!CODE.test(path)) return [];
  const { importedFiles } = ts.preProcessFile(text, true, true);
  return importedFiles.map(({ fileName, pos }) => ({ specifier: fileName, line: lineAt(text, pos) }));
}
