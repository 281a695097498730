/** The thread that runs pg_dump's WebAssembly build: it blocks while it waits for the server. See wasmHead.ts. */
import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { StderrTail } from './failure.ts';
import type { Ended, FromWorker, WasmWorkerData } from './wasmHead.ts';
import { loadPgDumpFactory, type PgDumpModule } from './wasmModule.ts';
import { type ServerLink, WasmSession } from './wasmSession.ts';

const OUTPUT_PATH = '/dev/archive';
/** A device number that Emscripten does not use itself. */
const OUTPUT_DEVICE_MAJOR = 64;

class PortLink implements ServerLink {
  readonly #port: MessagePort;
  readonly #signal: Int32Array;

  constructor(port: MessagePort, signal: Int32Array) {
    this.#port = port;
    this.#signal = signal;
  }

  send(message: Uint8Array): void {
    tell(this.#port, { kind: 'query', bytes: new Uint8Array(message) });
  }

  receive(): Uint8Array {
    for (;;) {
      const before = Atomics.load(this.#signal, 0);
      const received: { message: Uint8Array } | undefined = receiveMessageOnPort(this.#port);
      if (received !== undefined) {
        const bytes = received.message;
        tell(this.#port, { kind: 'taken', size: bytes.length });
        return bytes;
      }
      Atomics.wait(this.#signal, 0, before);
    }
  }
}

function tell(port: MessagePort, message: FromWorker): void {
  port.postMessage(message);
}

/** A file that can't be positioned, so that pg_dump writes it from front to end, as into a pipe. */
function createOutput(module: PgDumpModule, chunks: Uint8Array[]): void {
  const device = module.FS.makedev(OUTPUT_DEVICE_MAJOR, 0);
  module.FS.registerDevice(device, {
    write(_stream: unknown, memory: Int8Array, offset: number, size: number): number {
      chunks.push(new Uint8Array(memory.buffer, memory.byteOffset + offset, size).slice());
      return size;
    },
  });
  module.FS.mkdev(OUTPUT_PATH, 0o600, device);
}

function connectLibpq(module: PgDumpModule, session: WasmSession): void {
  const receive = (pointer: number, size: number): number => {
    const bytes = session.read(size);
    module.HEAPU8.set(bytes, pointer);
    return bytes.length;
  };
  const send = (pointer: number, size: number): number => {
    session.write(module.HEAPU8.subarray(pointer, pointer + size));
    return size;
  };
  module._pgl_set_rw_cbs(module.addFunction(receive, 'iii'), module.addFunction(send, 'iii'));
}

/** Emscripten writes each character of a variable as one byte, whatever it is. */
function setEnvironment(module: PgDumpModule, environment: Record<string, string>): void {
  for (const [name, value] of Object.entries(environment)) {
    module.ENV[name] = Buffer.from(value, 'utf8').toString('latin1');
  }
}

async function main(data: WasmWorkerData): Promise<Ended> {
  const createModule = await loadPgDumpFactory();
  const chunks: Uint8Array[] = [];
  const stderr = new StderrTail();
  let exitCode = 0;
  const module = await createModule({
    thisProgram: 'pg_dump',
    noExitRuntime: false,
    print: () => {},
    printErr: line => stderr.append(`${line}\n`),
    onExit: status => {
      exitCode = status;
    },
    preRun: [module => setEnvironment(module, data.environment)],
  });
  createOutput(module, chunks);
  const link = new PortLink(data.port, new Int32Array(data.signal));
  connectLibpq(module, new WasmSession(link));
  module.callMain([...data.options, `--file=${OUTPUT_PATH}`]);
  return { kind: 'ended', exitCode, stderr: stderr.text, archive: join(chunks) };
}

/** Not Buffer.concat, whose result may lie in a shared pool and then can't be handed over. */
function join(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  return joined;
}

const data = workerData as WasmWorkerData;
const ended = await main(data);
data.port.postMessage(ended satisfies FromWorker, [ended.archive.buffer]);
data.port.on('message', () => {}); // stay until we are ended, so that the message arrives before our exit does
