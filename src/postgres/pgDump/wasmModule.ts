/**
 * pg_dump's WebAssembly module itself, out of @electric-sql/pglite-tools. Its only export runs pg_dump with --inserts
 * into a text file; a custom archive with COPY statements needs the Emscripten module underneath, which the package
 * keeps to itself. So the package's source is given one export more as it is loaded: a loader hook of this thread.
 */
import { registerHooks } from 'node:module';
import { invariant } from '../../base/errors.ts';

/** What is used of the module (emscripten.org: module.html, Filesystem-API.html), besides pglite's two callbacks. */
export interface PgDumpModule {
  ENV: Record<string, string>;
  HEAP8: Int8Array;
  HEAPU8: Uint8Array;
  FS: {
    makedev(major: number, minor: number): number;
    registerDevice(device: number, operations: Record<string, unknown>): void;
    mkdev(path: string, mode: number, device: number): void;
  };
  addFunction(callback: (pointer: number, size: number) => number, signature: string): number;
  /** libpq's recv and send on the only connection. */
  _pgl_set_rw_cbs(receive: number, send: number): void;
  _fflush(file: number): number;
  callMain(args: string[]): number;
}

export interface PgDumpModuleOptions {
  thisProgram: string;
  noExitRuntime: boolean;
  print(line: string): void;
  printErr(line: string): void;
  onExit(status: number): void;
  preRun: ((module: PgDumpModule) => void)[];
}

type Factory = (options: PgDumpModuleOptions) => Promise<PgDumpModule>;

const PACKAGE = '@electric-sql/pglite-tools/pg_dump';
/** The package's own call of the factory, which is minified to another name in each version. */
const FACTORY_CALL = /await ([\w$]+)\(\{noExitRuntime:/;
const EXPORTED_NAME = 'tidemarkPgDumpFactory';

/** Changes how this thread loads the package from now on; in tidemark, only the worker's thread calls it. */
export async function loadPgDumpFactory(): Promise<Factory> {
  const entry = import.meta.resolve(PACKAGE);
  const folder = new URL('.', entry).href;
  let patched: string | null = null;
  const hooks = registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      if (!url.startsWith(folder) || !loaded.source) return loaded;
      const source = Buffer.from(loaded.source as Uint8Array).toString();
      const name = FACTORY_CALL.exec(source)?.[1];
      if (name === undefined) return loaded;
      patched = url;
      return { ...loaded, source: `${source}\nexport { ${name} as ${EXPORTED_NAME} };\n` };
    },
  });
  try {
    await import(entry);
  } finally {
    hooks.deregister();
  }
  invariant(patched !== null, `${PACKAGE} is laid out otherwise than in version 0.4.8`);
  return (await import(patched))[EXPORTED_NAME];
}
